/**
 * The runs of a sweep as a table: a row a kind of network, a column a depth, a cell's marks its
 * seeds. data = {url}; the view has members: [{row, depth, seed, state, share, color, link}].
 */

import { applyTheme, html, mountable, setAttribute, setAttributes, setText } from "./dom.js";
import { subscribe } from "./live.js";

const WORDS = {
  queued: "waits",
  running: "trains",
  paused: "paused",
  done: "done",
  recorded: "recorded",
  diverged: "diverged",
  stopped: "stopped",
  interrupted: "interrupted",
  failed: "failed",
};

export const mount = mountable("members", (root) => {
  const table = html("table", { "data-testid": "members" });
  const caption = html("caption", { class: "quiet" });
  const [head, body] = [html("thead"), html("tbody")];
  table.append(caption, head, body);
  const region = { class: "scroll", role: "region", tabindex: 0, "aria-label": "Runs of the race" };
  root.append(html("div", region, table));
  const state = { url: null, unsubscribe: null, shape: "", marks: [] };

  const show = (view) => {
    if (view.lost || !view.members) return;
    applyTheme(root);
    const shape = JSON.stringify(view.members.map((m) => [m.row, m.depth, m.seed]));
    if (shape !== state.shape) {
      state.marks = lay(head, body, view.members);
      state.shape = shape;
    }
    view.members.forEach((member, index) => paint(state.marks[index], member));
    setText(caption, view.members_said ?? "");
  };

  return {
    update({ data }) {
      if (data.url === state.url) return;
      state.unsubscribe?.();
      state.url = data.url;
      state.unsubscribe = subscribe(data.url, show);
    },
    destroy() {
      state.unsubscribe?.();
    },
  };
});

/** Build rows and columns anew; returns a mark a member, in their order. */
function lay(head, body, members) {
  const depths = [...new Set(members.map((m) => m.depth))].sort((a, b) => a - b);
  const rows = [...new Set(members.map((m) => m.row))];
  const titles = depths.map((depth) => html("th", { scope: "col" }, `${depth}`));
  head.replaceChildren(html("tr", {}, html("th", { scope: "col" }, "depth"), ...titles));
  const cells = new Map();
  body.replaceChildren(
    ...rows.map((row) => {
      const line = html("tr", {}, html("th", { scope: "row" }, row));
      for (const depth of depths) {
        const cell = html("td");
        cells.set(`${row} ${depth}`, cell);
        line.append(cell);
      }
      return line;
    }),
  );
  return members.map((member) => {
    const fill = html("span", { class: "fill" });
    const mark = html(member.link ? "a" : "span", { class: "mark" }, fill);
    cells.get(`${member.row} ${member.depth}`).append(mark);
    return { mark, fill };
  });
}

function paint({ mark, fill }, member) {
  const percent = Math.round(100 * member.share);
  const word = WORDS[member.state] ?? member.state;
  const far = member.state === "running" ? `, ${percent} %` : "";
  const said = `${member.row}, depth ${member.depth}, seed ${member.seed}: ${word}${far}`;
  setAttributes(mark, { "data-state": member.state, title: said, href: member.link });
  setAttribute(mark, "role", mark.tagName === "A" ? null : "img");
  setAttribute(mark, "aria-label", said);
  if (CSS.supports("color", member.color)) mark.style.setProperty("--arm", member.color);
  fill.style.width = `${percent}%`;
}
