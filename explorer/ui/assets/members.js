/**
 * The runs of a sweep as a table: a column a value of one field, a row the others, a cell's marks
 * its seeds. data = {url}; the view has members: [{row, column, seed, state, share, color, link}],
 * members_head (the columns' field), members_columns (its values in order), members_said and, for
 * all of them together, members_link: {text, href}.
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
  const region = { class: "scroll", role: "region", tabindex: 0, "aria-label": "Runs by combination" };
  const link = html("a", { class: "members-link" });
  root.append(html("div", region, table), link);
  const state = { url: null, unsubscribe: null, shape: "", marks: [] };

  const show = (view) => {
    if (view.lost || !view.members) return;
    applyTheme(root);
    const { members, members_head: field, members_columns: columns } = view;
    const linked = (m) => [m.row, m.column, m.seed, Boolean(m.link)];
    const shape = JSON.stringify([field, columns, members.map(linked)]);
    if (shape !== state.shape) {
      state.marks = lay(head, body, members, field, columns);
      state.shape = shape;
    }
    members.forEach((member, index) => paint(state.marks[index], member, field));
    setText(caption, view.members_said ?? "");
    setText(link, view.members_link?.text ?? "");
    setAttributes(link, { hidden: !view.members_link, href: view.members_link?.href });
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
function lay(head, body, members, field, columns) {
  const rows = [...new Set(members.map((m) => m.row))];
  const titles = columns.map((column) => html("th", { scope: "col" }, `${column}`));
  head.replaceChildren(html("tr", {}, html("th", { scope: "col" }, field), ...titles));
  const cells = new Map();
  const place = (row, column) => JSON.stringify([row, column]);
  body.replaceChildren(
    ...rows.map((row) => {
      const line = html("tr", {}, html("th", { scope: "row" }, row));
      for (const column of columns) {
        const cell = html("td");
        cells.set(place(row, column), cell);
        line.append(cell);
      }
      return line;
    }),
  );
  return members.map((member) => {
    const fill = html("span", { class: "fill" });
    const mark = html(member.link ? "a" : "span", { class: "mark" }, fill);
    cells.get(place(member.row, member.column)).append(mark);
    return { mark, fill };
  });
}

function paint({ mark, fill }, member, field) {
  const percent = Math.round(100 * member.share);
  const word = WORDS[member.state] ?? member.state;
  const far = member.state === "running" ? `, ${percent} %` : "";
  const said = `${member.row}, ${field} ${member.column}, seed ${member.seed}: ${word}${far}`;
  setAttributes(mark, { "data-state": member.state, title: said, href: member.link });
  setAttribute(mark, "role", mark.tagName === "A" ? null : "img");
  setAttribute(mark, "aria-label", said);
  if (CSS.supports("color", member.color)) mark.style.setProperty("--arm", member.color);
  fill.style.width = `${percent}%`;
}
