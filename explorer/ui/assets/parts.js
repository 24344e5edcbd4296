/** The pieces of a row: made once, placed and painted by row.js. */

import { html, svg } from "./dom.js";
import { blockCount } from "./layout.js";

const MODES = ["all", "none", "every other"];
const PIXELS = [0.2, 0.75, 0.35, 0.85, 0.5, 0.95, 0.3, 0.8, 0.15]; // a picture of nothing much

/** The name of `arm` and, unless it is plain, the controls of all its skips. */
export function makeHead(arm, index) {
  const title = html("span", { class: "arm-name" }, html("span", { class: "swatch" }), arm.name);
  const head = html("div", { class: "row-head" }, title);
  if (arm.plain) {
    head.append(quiet("no skip connections"));
    return { head, buttons: [], slider: null, strength: null };
  }
  const buttons = MODES.map((mode) =>
    html("button", {
      type: "button",
      class: "small-button",
      "data-mode": mode,
      "data-testid": `skips-${mode.replace(" ", "-")}-${index}`,
      "aria-label": `Skip connections of ${arm.name}: ${mode}`,
    }, mode),
  );
  const slider = html("input", {
    type: "range", min: 0, max: 1, step: 0.05,
    "data-testid": `strength-${index}`,
    "aria-label": `Strength of all skip connections of ${arm.name}`,
  });
  const strength = html("output", { class: "figures" });
  head.append(
    html("span", { class: "group" }, quiet("skips"), ...buttons),
    html("label", { class: "group" }, quiet("strength"), slider, strength),
  );
  return { head, buttons, slider, strength };
}

/** The SVG of `arm` and its pieces, without positions. */
export function makeDrawing(arm, index) {
  const trunk = svg("path", { class: "trunk" });
  const input = svg("g", { class: "input" }, ...PIXELS.map((opacity, i) =>
    svg("rect", { x: (i % 3) * 7, y: Math.floor(i / 3) * 7, width: 6, height: 6, opacity })));
  const stem = makeBlock();
  const head = svg("g", { class: "head" }, svg("path"), svg("title", {}, "head: pool and linear"));
  const blocks = Array.from({ length: blockCount(arm) }, () => makeBlock());
  const skips = arm.plain ? [] : blocks.map((_, block) => makeSkip(arm, index, block));
  const labels = (arm.labels ?? []).map((text) => svg("text", { class: "stage" }, text));
  const layers = [[stem, ...blocks].map((block) => block.node), skips.map((skip) => skip.node)];
  const drawing = svg(
    "svg",
    { class: "drawing", role: "group", "aria-label": `Blocks of ${arm.name}` },
    ...[trunk, input, head, ...layers.flat(), ...labels],
  );
  return { drawing, trunk, input, stem, headGlyph: head, blocks, skips, labels };
}

function quiet(text) {
  return html("span", { class: "quiet" }, text);
}

function makeBlock() {
  const title = svg("title");
  const [body, bar] = ["body", "bar"].map((name) => svg("rect", { class: name }));
  return { node: svg("g", { class: "block" }, title, body, bar), title, body, bar };
}

function makeSkip(arm, index, block) {
  const [title, hit] = [svg("title"), svg("path", { class: "hit" })];
  const [arc, sum] = [svg("path", { class: "arc" }), svg("circle", { class: "sum", r: 3 })];
  const node = svg("g", {
    class: "skip",
    role: "switch",
    tabindex: block === 0 ? 0 : -1,
    "data-block": block,
    "data-testid": `skip-${index}-${block}`,
  }, title, hit, arc, sum);
  return { node, title, hit, arc, sum };
}
