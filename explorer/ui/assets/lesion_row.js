/** One network's row of the lesions: its accuracy, and its blocks as switches in stages. */

import { html, setAttribute, setAttributes, setText, svg } from "./dom.js";
import { orderOf, percent, points, refusal } from "./lesion_rules.js";

const MANY = 60; // blocks, above which each is drawn narrower
const BOX = "M7 17h16a2 2 0 0 1 2 2v16a2 2 0 0 1 -2 2h-16a2 2 0 0 1 -2 -2v-16a2 2 0 0 1 2 -2z";
const POINTED = "M1.5 27l7 -10h13l7 10l-7 10h-13z";

/** The row of `arm`. `hear` is told of presses, of "Restore all", and of Escape. */
export function makeRow(arm, index, hear) {
  const result = makeResult(arm, index);
  const cells = arm.blocks.map((block, at) => makeCell(arm, index, block, at));
  const blocks = html("div", { class: "lesion-blocks", role: "group" }, ...staged(arm, cells));
  setAttributes(blocks, { "aria-label": `Blocks of ${arm.name}`, "data-many": cells.length > MANY });
  const node = html("section", { class: "lesion-row", "aria-label": arm.name }, result.node, blocks);
  if (CSS.supports("color", arm.color)) node.style.setProperty("--arm", arm.color);
  const row = { arm, index, node, places: [], picked: null };
  row.take = () => {
    row.places = row.arm.blocks.map((block) => ({ ...block }));
    row.picked = null;
  };
  row.take();
  listen(row, cells, blocks, result.restore, hear);
  return Object.assign(row, {
    measure: (scale) => cells.forEach((cell, at) => drawCost(cell, row.arm.blocks[at].cost, scale)),
    paint(mode, stale) {
      cells.forEach((cell, at) => paintCell(row, cell, at, mode));
      result.show(row.arm, stale, row.places);
    },
    remove() {
      clearTimeout(row.holding);
      node.remove();
    },
  });
}

function listen(row, cells, blocks, restore, hear) {
  const cellOf = (event) => cells.findIndex((cell) => cell.button.contains(event.target));
  const focus = (at) => cells[Math.min(Math.max(at, 0), cells.length - 1)].button.focus();
  blocks.addEventListener("focusin", (event) => {
    const now = cellOf(event);
    cells.forEach(({ button }, at) => setAttribute(button, "tabindex", at === now ? 0 : -1));
  });
  blocks.addEventListener("click", (event) => {
    const at = cellOf(event);
    if (at >= 0 && !cells[at].button.hasAttribute("aria-disabled")) hear.press(row, at);
  });
  blocks.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = cellOf(event);
    const action = {
      ArrowLeft: () => focus(at - 1),
      ArrowRight: () => focus(at + 1),
      Home: () => focus(0),
      End: () => focus(cells.length - 1),
      Escape: () => hear.drop(row),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  restore.addEventListener("click", () => {
    if (!restore.hasAttribute("aria-disabled")) hear.restore(row);
  });
}

/** The cells, a group a stage. */
function staged(arm, cells) {
  let from = 0;
  return arm.stages.map((count, stage) => {
    const nodes = cells.slice(from, from + count).map((cell) => cell.node);
    from += count;
    const label = html("span", { class: "quiet lesion-stage-name" }, `stage ${stage + 1}`);
    return html("div", { class: "lesion-stage" }, label, html("div", {}, ...nodes));
  });
}

/** A block: a switch with its drawing, and below it the bar of what it costs. */
function makeCell(arm, index, block, at) {
  const number = svg("text", { x: 15, y: 31 });
  const bow = arm.plain ? [] : [svg("path", { class: "bow", d: "M0 27C0 1 30 1 30 27" })];
  const drawing = svg(
    "svg",
    { viewBox: arm.plain ? "0 14 30 26" : "0 0 30 40", "aria-hidden": "true" },
    svg("path", { class: "wire", d: "M0 27H30" }),
    ...bow,
    svg("path", { class: "box", d: block.changes_shape ? POINTED : BOX }),
    number,
  );
  const button = html("button", {
    type: "button",
    tabindex: at === 0 ? 0 : -1,
    "data-testid": `lesion-${index}-${block.number}`,
  }, drawing);
  const bar = html("span");
  const cost = html("span", { class: "cost", "aria-hidden": "true" }, bar);
  const node = html("span", { class: "lesion-place", "data-plain": arm.plain }, button, cost);
  return { node, button, number, bar, cost };
}

/** Switches say what runs; while two are swapped, buttons say which one is picked. */
function paintCell(row, { node, button, number }, at, mode) {
  const place = row.places[at];
  const swapping = mode === "swap";
  const reason = swapping ? refusal(row.places, at, row.picked) : "";
  const moved = !place.gone && place.runs !== place.number;
  setText(number, `${place.runs}`);
  setAttributes(node, { "data-gone": place.gone, "data-moved": moved });
  const name = `Block ${place.runs} of ${row.arm.name}`;
  const facts = [
    moved && `in place ${place.number}`,
    swapping && place.gone && "deleted",
    place.changes_shape && "changes the shape",
    !moved && costText(row.arm.blocks[at].cost), // it was measured in the trained order
  ].filter(Boolean);
  const said = [name, ...facts].join(", ");
  setAttributes(button, {
    role: swapping ? null : "switch",
    "aria-checked": swapping ? null : String(!place.gone),
    "aria-pressed": swapping ? String(row.picked === at) : null,
    "aria-disabled": reason ? "true" : null,
    "aria-label": said,
    title: reason || said,
  });
}

function costText(cost) {
  if (!Number.isFinite(cost)) return "not yet lesioned alone";
  if (cost < 0) return `lesioned alone it gains ${points(-cost)} points`;
  return `lesioned alone it costs ${points(cost)} points`;
}

/** The bar from 0 up to the cost; one that gains accuracy hangs below 0 and is hollow. */
function drawCost({ bar, cost: room }, cost, scale) {
  const known = scale !== null && Number.isFinite(cost);
  const share = (value) => (100 * (value - scale.low)) / (scale.high - scale.low);
  setAttributes(bar, { hidden: !known, "data-gain": known && cost < 0 });
  if (scale) room.style.setProperty("--zero", `${share(0)}%`);
  if (!known) return;
  bar.style.bottom = `${share(Math.min(0, cost))}%`;
  bar.style.height = `${Math.abs(share(cost) - share(0))}%`;
}

/** The name, the accuracy as a number and as a bar from chance to 100 %, and what was done. */
function makeResult(arm, index) {
  const swatch = html("span", { class: "swatch" });
  const name = html("span", { class: "arm-name" }, swatch, arm.name);
  const number = html("span", { class: "lesion-number", "data-testid": `lesion-accuracy-${index}` });
  const [fill, mark] = [html("span", { class: "fill" }), html("span", { class: "intact" })];
  const track = html("div", { class: "track", role: "img" }, fill, mark);
  const [low, high] = [html("span"), html("span", {}, "100 %")];
  const ends = html("div", { class: "ends quiet", "aria-hidden": "true" }, low, high);
  const said = html("p", { class: "lesion-said", role: "status" });
  const restore = html("button", { type: "button", class: "small-button" }, "Restore all");
  setAttribute(restore, "aria-label", `Restore all blocks of ${arm.name}`);
  const scale = html("div", { class: "lesion-scale" }, track, ends);
  const node = html("div", { class: "lesion-result" }, name, restore, number, scale, said);

  const show = ({ accuracy, intact, chance, busy, said: words }, stale, places) => {
    const part = (value) => Math.min(100, Math.max(0, (100 * (value - chance)) / (1 - chance)));
    const known = Number.isFinite(accuracy);
    const waits = stale || busy;
    setAttributes(node, { "data-waits": waits, "aria-busy": String(waits) });
    setText(number, known ? percent(accuracy) : busy ? "measuring" : "not measured");
    setAttribute(number, "data-words", !known);
    fill.style.width = `${known ? part(accuracy) : 0}%`;
    mark.style.left = `${part(intact)}%`;
    setAttribute(mark, "hidden", !Number.isFinite(intact));
    const from = `from chance, ${percent(chance)}, to 100 %`;
    const now = known ? percent(accuracy) : "not measured";
    const whole = Number.isFinite(intact) ? `intact ${percent(intact)}` : "intact not measured";
    setAttribute(track, "aria-label", `Test accuracy of ${arm.name} ${now}, ${from}; ${whole}`);
    setText(low, `chance ${percent(chance)}`);
    if (!stale) setText(said, words ?? "");
    const complete = orderOf(places).every((runs, at) => runs === places[at].number);
    setAttribute(restore, "aria-disabled", complete ? "true" : null);
  };
  return { node, restore, show };
}
