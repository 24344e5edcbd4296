/**
 * The twins as rows of blocks to one scale; an arc over a block is its skip connection.
 * data = {arms: [{name, color, plain, stages, gates, residual, shortcut, labels?}], url?}.
 */

import { applyTheme, html, mountable, setAttribute, setText } from "./dom.js";
import { blockCount, decades, pitchFor, rowLayout } from "./layout.js";
import { hurry, subscribe } from "./live.js";
import { makeRow } from "./row.js";

const SETTLE = 1500; // ms for which a click outranks what the server still says
const DRAG = 80; // ms between events while the strength is dragged

export const mount = mountable("diagram", (root) => {
  const scroller = html("div", { class: "diagram-scroll" });
  const legend = html("p", { class: "quiet legend" });
  root.append(scroller, legend);
  const state = { data: { arms: [] }, url: null, unsubscribe: null, fire: null, seq: 0, width: 0 };
  let rows = [];
  let measured = []; // the arms of the newest view

  /** Tell Python; every event carries all gates, since Streamlit may drop one of two. */
  const fire = (name, row, detail) => {
    state.seq = Math.max(state.seq + 1, Date.now());
    const gates = rows.map((each) => each.gates);
    const event = { arm: row.index, name: row.arm.name, ...detail, gates, seq: state.seq };
    state.fire?.(name, event);
    hurry();
  };
  const change = (row, gates) => {
    row.gates = gates;
    row.paint();
    row.heldUntil = performance.now() + SETTLE;
    clearTimeout(row.holding);
    row.holding = setTimeout(() => accept(row), SETTLE);
  };
  const hear = {
    toggle(row, block) {
      const value = row.gates[block] === 0 ? row.strengthOf(block) : 0;
      change(row, row.gates.with(block, value));
      fire("toggle", row, { block, value });
    },
    all(row, mode) {
      const value = { all: () => 1, none: () => 0, "every other": (i) => 1 - (i % 2) }[mode];
      change(row, row.gates.map((_, block) => value(block)));
      fire("skip_all", row, { mode });
    },
    strength(row, value, final) {
      change(row, row.gates.map(() => value));
      clearTimeout(row.dragging);
      row.dragging = setTimeout(() => fire("skip_all", row, { value }), final ? 0 : DRAG);
    },
  };

  /** Show the gates of the data, unless a click is still on its way. */
  const accept = (row) => {
    const gates = state.data.arms[row.index]?.gates;
    if (!gates || gates.length !== row.gates.length) return;
    const agreed = gates.every((gate, block) => gate === row.gates[block]);
    if (agreed) row.heldUntil = 0;
    if (agreed || performance.now() < row.heldUntil) return;
    row.gates = [...gates];
    row.paint();
  };
  const place = () => {
    const { arms, url } = state.data;
    if (arms.length === 0 || state.width === 0) return;
    const pitch = pitchFor(arms, state.width);
    rows.forEach((row) => row.place(rowLayout(row.arm, pitch, Boolean(url))));
    drawReadings();
  };
  const drawReadings = () => {
    const found = rows.map((row) => readingsOf(row, measured));
    const scale = decades(found.map((values) => values ?? []));
    rows.forEach((row, index) => row.read(found[index], scale));
    setText(legend, legendText(scale, state.data));
  };
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === state.width) return;
    state.width = root.clientWidth;
    place();
  });
  observer.observe(root);

  return {
    update({ data, setTriggerValue }) {
      state.fire = setTriggerValue;
      state.data = data;
      state.width = root.clientWidth;
      rows = arrange(scroller, data.arms, rows, hear);
      rows.forEach((row, index) => {
        accept(row);
        row.mend(data.arms[index].residual);
      });
      place();
      if ((data.url ?? null) === state.url) return;
      state.unsubscribe?.();
      state.url = data.url ?? null;
      state.unsubscribe = state.url && subscribe(state.url, (view) => {
        applyTheme(root);
        if (view.lost) return;
        measured = view.arms;
        setAttribute(root, "data-step", view.step);
        drawReadings();
      });
    },
    destroy() {
      state.unsubscribe?.();
      observer.disconnect();
      for (const row of rows) row.remove();
    },
  };
});

/** A row for each arm; a row whose structure has not changed is kept as it is. */
function arrange(scroller, arms, before, hear) {
  const rows = arms.map((arm, index) => {
    const { gates, residual, ...fixed } = arm;
    const structure = JSON.stringify(fixed);
    const kept = before[index];
    if (kept?.structure === structure && kept.gates.length === gates.length) {
      return Object.assign(kept, { arm });
    }
    kept?.remove();
    const row = Object.assign(makeRow(arm, index, hear), { structure, heldUntil: 0 });
    scroller.insertBefore(row.node, scroller.children[index] ?? null);
    row.paint();
    return row;
  });
  before.slice(arms.length).forEach((row) => row.remove());
  return rows;
}

/** The gradient at the stem and every block of the row's arm, or null if the view has none. */
function readingsOf({ arm, index }, measured) {
  const same = (other) => other?.name === arm.name;
  const found = same(measured[index]) ? measured[index] : measured.find(same);
  const values = found?.gradient;
  return values?.length === blockCount(arm) + 1 ? values : null;
}

function legendText(scale, { arms, url }) {
  const skips = arms.some((arm) => !arm.plain) ? "Click an arc to cut or restore that skip. " : "";
  if (!url) return skips;
  if (!scale) return `${skips}Bars: gradient reaching each block, once it is measured.`;
  const [low, high] = [scale.low, scale.high].map((power) => `1e${power}`);
  return `${skips}Bars: gradient reaching each block, ‖dL/dx‖, log scale ${low} to ${high}.`;
}
