/**
 * One block with the numbers of its forward and its backward pass, stepped through stage by stage.
 * data = {url}; the view has sum_node: {nodes: [{name, label, kind, column, row}], edges: [{name,
 * label, from, to, shape, value, gradient}], stages: [{label, way, node, edges, text}], finding,
 * changed, note}. Stage 0 shows all numbers, a later one those that have been reached by then.
 */

import "./sum_node_style.js";
import { applyTheme, html, mountable, setAttribute, setText } from "./dom.js";
import { subscribe } from "./live.js";
import { makeDrawing } from "./sum_node_drawing.js";
import { makeTable } from "./sum_node_table.js";

const SLOW = 1250; // ms a stage
const WHOLE = { label: "both passes at once", edges: [], text: "" };
const LEGEND =
  "↓ forward: standard deviation of the values. ↑ backward: ‖gradient‖, the L2 norm over the batch.";

export const mount = mountable("sum_node", (root) => {
  const parts = build(root);
  const state = { url: null, unsubscribe: null, view: null, text: "", at: 0, timer: 0, width: 0 };

  const stages = () => [WHOLE, ...(state.view?.stages ?? [])];
  const last = () => stages().length - 1;
  const go = (at) => {
    state.at = Math.min(Math.max(at, 0), last());
    paint(parts, stages(), state.at);
    if (state.drawing) show(state.drawing, stages(), state.at);
  };
  const pause = () => {
    clearInterval(state.timer);
    state.timer = 0;
    playing(parts.play, false);
  };
  const play = () => {
    playing(parts.play, true);
    go(state.at < last() ? state.at + 1 : 1);
    state.timer = setInterval(() => {
      go(state.at + 1);
      if (state.at === last()) pause();
    }, SLOW);
  };
  const step = (by) => {
    if (!state.view) return;
    pause();
    go(state.at + by);
  };
  parts.play.addEventListener("click", () => {
    if (state.timer) pause();
    else if (state.view) play();
  });
  parts.back.addEventListener("click", () => step(-1));
  parts.next.addEventListener("click", () => step(1));
  parts.slider.addEventListener("input", () => step(parts.slider.valueAsNumber - state.at));

  const place = () => {
    if (!state.drawing || parts.pane.clientWidth === 0) return;
    state.width = parts.pane.clientWidth;
    state.drawing.place(state.width);
  };
  const observer = new ResizeObserver(() => parts.pane.clientWidth !== state.width && place());
  observer.observe(parts.pane);

  const take = (view) => {
    setAttribute(root, "data-lost", Boolean(view.lost));
    if (view.lost) return;
    setAttribute(root, "data-waiting", !view.sum_node);
    setAttribute(root, "data-failed", !view.sum_node && !view.busy); // the transport says why
    if (!view.sum_node) return;
    applyTheme(root);
    setAttribute(root, "data-ready", true);
    const text = JSON.stringify(view.sum_node);
    if (text === state.text) return;
    const before = stages()[state.at].label;
    Object.assign(state, { text, view: view.sum_node, drawing: makeDrawing(view.sum_node) });
    parts.pane.replaceChildren(state.drawing.node);
    parts.table.show(state.view.edges);
    for (const name of ["finding", "changed", "note"]) setText(parts[name], state.view[name] ?? "");
    place();
    const same = stages().findIndex(({ label }) => titleOf(label) === titleOf(before));
    go(Math.max(same, 0));
  };
  return {
    update({ data }) {
      if (data.url === state.url) return;
      state.unsubscribe?.();
      pause();
      state.url = data.url;
      setAttribute(root, "data-waiting", true);
      state.unsubscribe = subscribe(data.url, take);
    },
    destroy() {
      state.unsubscribe?.();
      clearInterval(state.timer);
      observer.disconnect();
    },
  };
});

/** What a stage is about, without its place: another block or variant may have more of them. */
function titleOf(label) {
  const [place, ...title] = label.split(": ");
  return title.length ? place.split(" ")[0] + title.join(": ") : label;
}

function build(root) {
  const text = (name, more = {}) =>
    html("p", { class: `sum-${name}`, "data-testid": `sum-${name}`, ...more });
  const button = (name, word) => html("button", { type: "button", "data-testid": `sum-${name}` }, word);
  const [finding, changed, stage, note] = ["finding", "changed", "stage", "note"].map((name) => text(name));
  const status = text("status", { role: "status", "aria-live": "polite" });
  const [play, back, next] = [button("play", "Play"), button("back", "Back"), button("next", "Next")];
  play.classList.add("primary");
  const slider = html("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Stage" });
  setAttribute(slider, "data-testid", "sum-slider");
  note.classList.add("quiet");
  const controls = html("div", { class: "sum-controls" });
  controls.append(html("div", { class: "buttons" }, play, back, next), slider, stage, status);
  const pane = html("div", { class: "sum-drawing" });
  const legend = html("p", { class: "quiet sum-legend" }, LEGEND);
  const table = makeTable();
  setAttribute(changed, "aria-live", "polite");
  const head = html("div", { class: "sum-head" }, finding, changed);
  const foot = html("div", { class: "sum-foot" }, legend, note, table.node);
  root.append(html("div", { class: "sum-panes" }, head, controls, pane, foot));
  return { finding, changed, stage, status, note, play, back, next, slider, pane, table };
}

function playing(button, on) {
  setText(button, on ? "Pause" : "Play");
}

/** The transport at stage `at`: its label, its words, and what can be pressed. */
function paint(parts, stages, at) {
  const [end, stage] = [stages.length - 1, stages[at]];
  setAttribute(parts.slider, "max", end);
  parts.slider.value = at;
  setAttribute(parts.slider, "aria-valuetext", stage.label);
  setText(parts.stage, stage.label);
  setText(parts.status, at ? stage.text : `All numbers of both passes. Play shows them in ${end} stages.`);
  setAttribute(parts.back, "aria-disabled", at === 0 && "true");
  setAttribute(parts.next, "aria-disabled", at === end && "true");
}

/** Light what runs at stage `at`, and show the numbers that are known by then. */
function show(drawing, stages, at) {
  const known = new Set();
  for (const { way, edges } of stages.slice(1, at + 1)) {
    for (const edge of edges) known.add(`${way} ${edge}`);
  }
  drawing.reveal((edge, way) => at === 0 || known.has(`${way} ${edge}`));
  drawing.light(at ? stages[at] : null);
}
