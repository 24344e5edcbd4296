/** One block's maps, large, for every arm; between two blocks their mixture. */

import { html, setAttribute, setText } from "./dom.js";
import { blend, draw, fieldOf, rms, said, shapeText, under } from "./maps_canvas.js";

const LARGEST = 300; // px of a mosaic
export const KINDS = ["x", "residual", "output"];

/** The part of the panel that shows one block: {node, show(maps, at, limits, palette)}. */
export function makeOne() {
  const title = html("p", { class: "card-title", "data-testid": "maps-title" });
  const arms = html("div", { class: "maps-arms" });
  const pointed = html("p", { class: "quiet maps-pointed", "data-testid": "maps-value" });
  const node = html("section", { class: "maps-one", "aria-label": "One block" }, title, arms, pointed);
  let parts = [];

  node.addEventListener("pointermove", (event) => setText(pointed, pointedAt(event, parts) ?? HINT));
  node.addEventListener("pointerleave", () => setText(pointed, HINT));
  setText(pointed, HINT);

  return {
    node,
    show(maps, at, limits, palette) {
      while (parts.length > maps.arms.length) parts.pop().node.remove();
      while (parts.length < maps.arms.length) {
        parts.push(makeArm());
        arms.append(parts.at(-1).node);
      }
      setText(title, finding(maps.arms, at));
      maps.arms.forEach((arm, index) => {
        showArm(parts[index], arm, at, limits[index], palette);
      });
    },
  };
}

const HINT = "Activations: red below 0, blue above. Point at a map to read one.";

function makeArm() {
  const name = html("span");
  const place = html("span", { class: "quiet" });
  const head = html("p", { class: "maps-arm-head" }, html("span", { class: "swatch" }), name, place);
  const kinds = Object.fromEntries(KINDS.map((kind) => [kind, makeFigure()]));
  const figures = KINDS.map((kind) => kinds[kind].node);
  const node = html("div", { class: "maps-arm" }, head, html("div", { class: "maps-three" }, ...figures));
  return { node, name, place, kinds };
}

function makeFigure() {
  const heading = html("figcaption");
  const canvas = html("canvas", { role: "img" });
  const frame = html("div", { class: "maps-frame" }, canvas);
  const [least, most] = [html("span"), html("span")];
  const bar = html("span", { class: "maps-bar", "aria-hidden": "true" });
  const legend = html("p", { class: "maps-legend quiet" }, least, bar, most);
  const nothing = html("p", { class: "quiet" });
  const node = html("figure", {}, heading, frame, nothing, legend);
  return { node, heading, canvas, frame, nothing, legend, least, bar, most };
}

function showArm(part, arm, at, limits, palette) {
  if (CSS.supports("color", arm.color)) part.node.style.setProperty("--arm", arm.color);
  const [low, high, share] = neighbours(arm.blocks, at);
  const near = share < 0.5 ? low : high;
  setText(part.name, arm.name);
  setText(part.place, shapeText(near.output.shape));
  const names = namesOf(near);
  for (const kind of KINDS) {
    const figure = part.kinds[kind];
    const field = low[kind] && high[kind] && blend(fieldOf(low[kind]), fieldOf(high[kind]), share);
    setText(figure.heading, names[kind]);
    const drawable = field && field.peak !== null;
    setText(figure.nothing, field ? "not all values are finite" : "nothing is added");
    setAttribute(figure.nothing, "hidden", drawable);
    for (const one of [figure.frame, figure.legend]) setAttribute(one, "hidden", !drawable);
    figure.said = `${arm.name}, ${placeText(at)}, ${names[kind]}`;
    if (drawable) showField(figure, field, limits?.[kind] ?? field.peak, palette);
  }
}

function showField(figure, field, limit, palette) {
  const room = Math.min(LARGEST, figure.frame.clientWidth);
  if (room > 0) draw(figure.canvas, field, limit, palette, room);
  const tiles = field.strip ? `${field.count} features` : `${field.channels} channels`;
  const largest = `largest size of a value ${said(field.peak)}`;
  setAttribute(figure.canvas, "aria-label", `${figure.said}: ${tiles}, ${largest}`);
  setText(figure.least, said(-limit));
  setText(figure.most, said(limit));
  const stops = [-1, -0.67, -0.33, 0, 0.33, 0.67, 1].map(palette.css);
  figure.bar.style.backgroundImage = `linear-gradient(90deg, ${stops.join(", ")})`;
}

/** The blocks on either side of `at`, and how far it is from the first to the second. */
function neighbours(blocks, at) {
  const place = Math.min(Math.max(at, 1), blocks.length);
  const low = Math.floor(place);
  return [blocks[low - 1], blocks[Math.min(low, blocks.length - 1)], place - low];
}

/** What a block's maps are called: "x", "F(x)" and the sum that it makes of them. */
export function namesOf({ x, skip, act }) {
  const added = x === null ? "F(x)" : `${skip === 1 ? "" : `${said(skip)} `}x + F(x)`;
  return { x: "x", residual: "F(x)", output: act ? `ReLU(${added})` : added };
}

/** "block 5", "between block 5 and 6". */
export function placeText(at) {
  const low = Math.floor(at);
  return at === low ? `block ${low}` : `between block ${low} and ${low + 1}`;
}

/** How large F(x) is against what is added to it, in the words of the heading. */
function finding(arms, at) {
  const block = Math.round(at);
  const parts = arms.map((arm) => {
    const ratio = ratioOf(arm.blocks[Math.min(block, arm.blocks.length) - 1]);
    if (ratio === null) return `in ${arm.name} nothing is added to F(x)`;
    if (Number.isNaN(ratio)) return `in ${arm.name} not all values are finite`;
    return `in ${arm.name} F(x) is ${said(ratio)} times as large (RMS) as the x it is added to`;
  });
  return `${block === at ? "Block" : "Near block"} ${block}: ${parts.join("; ")}`;
}

/** RMS of F(x) over that of what the skip adds; null if it adds nothing, NaN if not finite. */
export function ratioOf({ x, skip, residual }) {
  const added = x === null ? 0 : Math.abs(skip) * rms(fieldOf(x));
  return added === 0 ? null : rms(fieldOf(residual)) / added;
}

function pointedAt(event, parts) {
  for (const { kinds } of parts) {
    for (const { canvas, said: where } of Object.values(kinds)) {
      const what = event.target === canvas ? under(canvas, event) : null;
      if (what) return `${where}, ${what}`;
    }
  }
  return null;
}
