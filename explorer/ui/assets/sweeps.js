/**
 * The newest sweeps of the store, newest first; a press attaches one. data = {url, chosen}; the
 * view has sweeps: [{id, name, created, state, done, all}].
 */

import { applyTheme, html, mountable, setAttribute, setAttributes, setText } from "./dom.js";
import { hurry, subscribe } from "./live.js";

const HEADS = ["Sweep", "Begun", "State", "Done"];
const WORDS = { running: "trains", stopped: "cancelled", failed: "partly failed" };

export const mount = mountable("sweeps", (root) => {
  const body = html("tbody");
  const titles = HEADS.map((head) => html("th", { scope: "col" }, head));
  const table = html("table", { "data-testid": "sweeps" });
  table.append(html("thead", {}, html("tr", {}, ...titles)), body);
  const region = { class: "scroll", role: "region", tabindex: 0, "aria-label": "Sweeps" };
  const nothing = html("p", { class: "quiet" }, "No sweep has been trained yet.");
  root.append(html("div", region, table), nothing);
  const state = { url: null, chosen: "", unsubscribe: null, fire: null, seq: 0, sweeps: [] };
  let lines = new Map();

  const press = (id) => {
    state.seq = Math.max(state.seq + 1, Date.now());
    state.fire?.("attach", { id, seq: state.seq });
    hurry();
  };
  const show = () => {
    applyTheme(root);
    setAttribute(table, "hidden", state.sweeps.length === 0);
    setAttribute(nothing, "hidden", state.sweeps.length > 0);
    const now = new Map();
    for (const sweep of state.sweeps) now.set(sweep.id, lines.get(sweep.id) ?? makeLine(press));
    if ([...now.keys()].join() !== [...lines.keys()].join()) {
      body.replaceChildren(...[...now.values()].map((line) => line.node));
    }
    lines = now;
    for (const sweep of state.sweeps) lines.get(sweep.id).paint(sweep, state.chosen);
  };

  return {
    update({ data, setTriggerValue }) {
      state.fire = setTriggerValue;
      state.chosen = data.chosen;
      show();
      if (data.url === state.url) return;
      state.unsubscribe?.();
      state.url = data.url;
      state.unsubscribe = subscribe(data.url, (view) => {
        if (view.lost || !view.sweeps) return;
        state.sweeps = view.sweeps;
        show();
      });
    },
    destroy() {
      state.unsubscribe?.();
    },
  };
});

/** One row of the table: its node, and what puts a sweep into it. */
function makeLine(press) {
  const button = html("button", { type: "button" });
  const [when, state, done] = [html("td"), html("td"), html("td", { class: "number" })];
  const node = html("tr", {}, html("th", { scope: "row" }, button), when, state, done);
  let id = "";
  button.addEventListener("click", () => press(id));
  return {
    node,
    paint(sweep, chosen) {
      id = sweep.id;
      const on = sweep.id === chosen;
      setAttributes(node, { "data-sweep": sweep.id, "data-state": sweep.state });
      setAttributes(button, { "aria-current": on ? "true" : null, title: sweep.name });
      setText(button, sweep.name);
      setText(when, moment(sweep.created));
      setText(state, WORDS[sweep.state] ?? sweep.state);
      setText(done, `${sweep.done} of ${sweep.all}`);
    },
  };
}

/** A time in the visitor's own clock and words. */
function moment(seconds) {
  return new Date(1000 * seconds).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
