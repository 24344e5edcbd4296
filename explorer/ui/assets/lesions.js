/**
 * Trained networks as rows of blocks: a press deletes one or brings it back, or swaps two.
 * data = {url}; the view has lesions: {mode: "delete"|"swap", harm, note, arms: [{name, color,
 * plain, stages, accuracy, intact, chance, busy, said, blocks: [{number, runs, gone, changes_shape,
 * cost}]}]}.
 * In words, `harm` is what was done to a block alone for its cost, and `note` how it was measured.
 * The event "lesion" has {arm, order, seq}; order is what runs in each place, 0 for deleted.
 */

import "./lesion_style.js";
import { applyTheme, html, mountable, setAttribute, setText } from "./dom.js";
import { makeRow } from "./lesion_row.js";
import { freeFor, orderOf, points, scaleOf } from "./lesion_rules.js";
import { hurry, subscribe } from "./live.js";

const SETTLE = 2500; // ms for which a press outranks what the server still says
const DELETED = "deleted";
const HOW = {
  delete: "Press a block to delete it, once more to bring it back.",
  swap: "Press two blocks to swap them, both of one stage and of those that keep the shape.",
};

export const mount = mountable("lesions", (root) => {
  const finding = html("p", { class: "lesion-finding" });
  const list = html("div", { class: "lesion-rows", "data-testid": "lesions" });
  const legend = html("p", { class: "quiet lesion-legend" });
  root.append(finding, list, legend);
  const state = { url: null, unsubscribe: null, fire: null, seq: 0, mode: "delete", awaited: true };
  let rows = [];

  /** Show a change at once, tell Python, and hold it against older views for a while. */
  const change = (row) => {
    row.heldUntil = performance.now() + SETTLE;
    clearTimeout(row.holding);
    row.holding = setTimeout(() => accept(row), SETTLE);
    paint(row);
    state.seq = Math.max(state.seq + 1, Date.now());
    state.fire?.("lesion", { arm: row.index, order: orderOf(row.places), seq: state.seq });
    hurry();
  };
  const hear = {
    press(row, at) {
      if (state.mode === "swap") return swap(row, at);
      const place = row.places[at];
      if (place.gone) place.runs = freeFor(row.places, at);
      place.gone = !place.gone;
      change(row);
    },
    restore(row) {
      row.places.forEach((place) => Object.assign(place, { runs: place.number, gone: false }));
      row.picked = null;
      change(row);
    },
    drop(row) {
      row.picked = null;
      paint(row);
    },
  };
  const swap = (row, at) => {
    const first = row.picked;
    if (first === null || first === at) {
      row.picked = first === null ? at : null;
      paint(row);
      return;
    }
    const [one, other] = [row.places[first], row.places[at]];
    [one.runs, other.runs] = [other.runs, one.runs];
    row.picked = null;
    change(row);
  };
  const agrees = (row) => `${orderOf(row.places)}` === `${orderOf(row.arm.blocks)}`;
  const paint = (row) => row.paint(state.mode, !agrees(row));

  /** Show what the newest view says, unless a press or the view that answers it is on its way. */
  const accept = (row) => {
    if (state.awaited) return;
    if (agrees(row)) row.heldUntil = 0;
    else if (performance.now() >= row.heldUntil) row.take();
    paint(row);
  };
  const show = (view) => {
    setAttribute(root, "data-lost", Boolean(view.lost));
    if (view.lost || !view.lesions) return;
    state.awaited = false;
    applyTheme(root);
    setAttribute(root, "data-ready", true);
    const { arms, mode, harm = DELETED, note = "" } = view.lesions;
    if (mode !== state.mode) rows.forEach((row) => Object.assign(row, { picked: null }));
    state.mode = mode;
    rows = arrange(list, arms, rows, hear);
    const scale = scaleOf(arms);
    rows.forEach((row) => {
      row.measure(scale);
      accept(row);
    });
    setText(finding, findingOf(arms, harm, note));
    setText(legend, legendOf(scale, mode, arms, [harm, note].filter(Boolean).join(", ")));
  };

  return {
    update({ data, setTriggerValue }) {
      state.fire = setTriggerValue;
      if (data.url === state.url) return;
      state.unsubscribe?.();
      Object.assign(state, { url: data.url, awaited: true });
      state.unsubscribe = subscribe(data.url, show);
    },
    destroy() {
      state.unsubscribe?.();
      for (const row of rows) row.remove();
    },
  };
});

/** A row for each arm; one whose blocks are still the same is kept, with the focus in it. */
function arrange(list, arms, before, hear) {
  const rows = arms.map((arm, index) => {
    const fixed = arm.blocks.map((block) => [block.number, block.changes_shape]);
    const structure = JSON.stringify([arm.name, arm.color, arm.plain, arm.stages, fixed]);
    if (before[index]?.structure === structure) return Object.assign(before[index], { arm });
    before[index]?.remove();
    const row = Object.assign(makeRow(arm, index, hear), { structure, heldUntil: 0 });
    list.insertBefore(row.node, list.children[index] ?? null);
    return row;
  });
  before.slice(arms.length).forEach((row) => row.remove());
  return rows;
}

/** What one lesion costs each network, in words; nothing before all of it is measured. */
function findingOf(arms, harm, note) {
  const all = arms.map((arm) => arm.blocks.map((block) => block.cost));
  if (!all.length || !all.every((costs) => costs.length && costs.every(Number.isFinite))) return "";
  const said = all.map((costs, index) => {
    const sorted = costs.toSorted((a, b) => a - b);
    const half = sorted.length / 2;
    const median = (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
    return `${arms[index].name} ${points(median)} (at most ${points(sorted.at(-1))})`;
  });
  const what = harm === DELETED ? "Deleting one block" : `One block, ${harm},`;
  const how = note ? `, with ${note}` : "";
  return `${what} costs, in points of test accuracy${how}, at the median: ${said.join("; ")}.`;
}

function legendOf(scale, mode, arms, harm) {
  const changes = arms.some((arm) => arm.blocks.some((block) => block.changes_shape));
  const diamonds = changes ? " A block with pointed sides changes the shape." : "";
  const intact = " The line across an accuracy's bar marks the intact network.";
  const low = scale && scale.low < 0 ? `${points(scale.low)}` : "0";
  const bars = scale
    ? ` Bars: test accuracy lost with that block alone lesioned (${harm}), ${low} to` +
      ` ${points(scale.high)} points, one linear scale${arms.length > 1 ? " for all rows" : ""}.`
    : "";
  return `${HOW[mode] ?? ""}${diamonds}${intact}${bars}`;
}
