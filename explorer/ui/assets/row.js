/** One row of the diagram: an arm's name and controls, and its blocks as SVG. */

import { html, setAttribute, setAttributes, setText } from "./dom.js";
import { arcPath, DENSE, hitPath, round, share } from "./layout.js";
import { makeDrawing, makeHead } from "./parts.js";

/** The row of `arm`. `hear` is told of toggles, modes and strengths; it sets `row.gates`. */
export function makeRow(arm, index, hear) {
  const parts = { ...makeDrawing(arm, index), ...makeHead(arm, index) };
  const row = {
    arm,
    index,
    gates: [...arm.gates],
    strengths: arm.gates.map((gate) => gate || 1), // what a cut skip comes back to
    readings: null,
    node: html("section", { class: "row", "aria-label": arm.name }, parts.head, parts.drawing),
  };
  if (CSS.supports("color", arm.color)) row.node.style.setProperty("--arm", arm.color);
  listen(row, parts, hear);
  return Object.assign(row, {
    strengthOf: (block) => row.strengths[block],
    paint: () => paint(row, parts),
    place: (layout) => place(row, parts, layout),
    read: (values, scale) => read(row, parts, values, scale),
    mend: (residual) => mend(parts, residual),
    remove() {
      clearTimeout(row.holding);
      clearTimeout(row.dragging);
      row.node.remove();
    },
  });
}

function listen(row, { drawing, buttons, slider, skips }, hear) {
  const focus = (block) => {
    const target = skips[Math.min(Math.max(block, 0), skips.length - 1)].node;
    target.focus();
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  // Not on the drawing: Chromium makes an SVG that listens to focus a stop of the Tab key.
  row.node.addEventListener("focusin", (event) => {
    const target = event.target.closest(".skip");
    if (!target) return;
    for (const { node } of skips) setAttribute(node, "tabindex", node === target ? 0 : -1);
  });
  drawing.addEventListener("click", (event) => {
    const skip = event.target.closest(".skip");
    if (skip) hear.toggle(row, Number(skip.dataset.block));
  });
  drawing.addEventListener("keydown", (event) => {
    const skip = event.target.closest(".skip");
    if (!skip || event.ctrlKey || event.metaKey || event.altKey) return;
    const block = Number(skip.dataset.block);
    const action = {
      Enter: () => hear.toggle(row, block),
      " ": () => hear.toggle(row, block),
      ArrowLeft: () => focus(block - 1),
      ArrowRight: () => focus(block + 1),
      Home: () => focus(0),
      End: () => focus(skips.length - 1),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  for (const button of buttons) {
    button.addEventListener("click", () => hear.all(row, button.dataset.mode));
  }
  slider?.addEventListener("input", () => hear.strength(row, slider.valueAsNumber, false));
  slider?.addEventListener("change", () => hear.strength(row, slider.valueAsNumber, true));
}

/** Show the gates: a cut skip is a grey dashed arc, a partial one thinner and paler. */
function paint(row, { skips, buttons, slider, strength }) {
  if (row.arm.plain) return;
  row.gates.forEach((gate, block) => {
    const { node, arc, sum } = skips[block];
    const size = Math.min(1, Math.abs(gate));
    if (gate !== 0) row.strengths[block] = gate;
    setAttribute(node, "aria-checked", String(gate !== 0));
    setAttribute(node, "aria-label", skipName(row.arm, block, gate));
    arc.style.setProperty("--size", size);
    setAttribute(sum, "visibility", gate === 0 ? "hidden" : "visible");
  });
  const same = row.gates.every((gate) => gate === row.gates[0]);
  if (slider.valueAsNumber !== row.gates[0] && same) slider.value = row.gates[0];
  setText(strength, same ? row.gates[0].toFixed(2) : "mixed");
  const holds = {
    all: same && row.gates[0] === 1,
    none: same && row.gates[0] === 0,
    "every other": !same && row.gates.every((gate, block) => gate === 1 - (block % 2)),
  };
  for (const button of buttons) {
    setAttribute(button, "aria-pressed", String(holds[button.dataset.mode]));
  }
}

function skipName(arm, block, gate) {
  const name = `Skip connection of block ${block + 1} of ${arm.name}`;
  return gate === 0 || gate === 1 ? name : `${name}, strength ${round(gate)}`;
}

/** Show which residual branches are cut (0) or weakened. */
function mend({ blocks }, residual) {
  residual?.forEach((gate, block) => {
    if (!blocks[block]) return;
    setAttribute(blocks[block].node, "data-cut", gate === 0);
    blocks[block].body.style.setProperty("--size", Math.min(1, Math.abs(gate)));
  });
}

function place(row, parts, layout) {
  const { trunk, pitch, width, height } = layout;
  row.layout = layout;
  setAttributes(parts.drawing, { width: round(width), height, "data-dense": pitch < DENSE });
  setAttribute(parts.trunk, "d", `M${layout.input + 12} ${trunk}H${round(layout.head)}`);
  setAttribute(parts.input, "transform", `translate(${layout.input - 10} ${trunk - 10})`);
  const head = `M${round(layout.head)} ${trunk - 11}l14 4v14l-14 4z`;
  setAttribute(parts.headGlyph.firstChild, "d", head);
  placeBlock(parts.stem, { x: layout.stem, height: 24 }, { ...layout, blockWidth: 8 });
  layout.blocks.forEach((at, block) => {
    placeBlock(parts.blocks[block], at, layout);
    const skip = parts.skips[block];
    if (!skip) return;
    setAttribute(skip.arc, "d", arcPath(at, layout));
    setAttribute(skip.hit, "d", hitPath(at, layout));
    setAttributes(skip.sum, { cx: round(at.x + pitch / 2), cy: trunk });
  });
  parts.labels.forEach((label, stage) => {
    const at = layout.stages[stage];
    const fits = at && at.width > label.textContent.length * 6;
    setAttributes(label, { x: round(at?.x ?? 0), y: layout.labels, hidden: !fits });
  });
}

function placeBlock({ body, bar }, { x, height }, { trunk, blockWidth }) {
  const left = round(x - blockWidth / 2);
  const width = round(blockWidth);
  setAttributes(body, { x: left, y: round(trunk - height / 2), width, height: round(height) });
  setAttributes(bar, { x: left, width });
}

/** Bars under the blocks: the gradient at each site on the scale that all rows share. */
function read(row, { stem, blocks, skips }, values, scale) {
  if (!row.layout) return;
  const { base, barRoom } = row.layout;
  [stem, ...blocks].forEach(({ node, title, bar }, site) => {
    const value = values?.[site];
    const part = share(value, scale);
    const height = part === null ? 1.5 : 1.5 + part * (barRoom - 3.5);
    setAttributes(bar, { y: round(base - height), height: round(height) });
    setAttribute(node, "data-reading", values ? (part === null ? "none" : "some") : null);
    const text = siteText(site, value, Boolean(values));
    setText(title, text);
    if (site > 0 && skips[site - 1]) setText(skips[site - 1].title, text);
  });
}

function siteText(site, value, measured) {
  const name = site === 0 ? "stem" : `block ${site}`;
  if (!measured) return name;
  if (typeof value !== "number") return `${name}: ‖dL/dx‖ is not a number`;
  return `${name}: ‖dL/dx‖ ${value.toExponential(1)}`;
}
