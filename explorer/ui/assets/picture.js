/**
 * The image that the blocks are shown: one of the data's, or one drawn here. data = {url}; the
 * view has picture: {chosen, shape: [C, H, W], drawable, label, said?, samples: [{id, label, said?,
 * pixels}], current: {pixels}}, pixels base64 of uint8, C * H * W of them; `said` is what the image
 * is and is read as, in words. The event "picture" has {id, seq}, the id "test:17" or "drawn:" and
 * a sign a pixel, see picture_drawing.js.
 */

import { applyTheme, html, mountable, setAttribute, setText } from "./dom.js";
import "./inside.js";
import { hurry, subscribe } from "./live.js";
import { decode, encode, levelsOf, listen, pixelsOf } from "./picture_drawing.js";

const SETTLE = 4000; // ms for which a choice outranks what the server still says
const DRAWN = "drawn:";
const HINT = "Draw with a pointer; with keys, arrows move and Space paints.";

export const mount = mountable("picture", (root) => {
  const parts = build();
  root.append(...parts.nodes);
  setAttribute(root, "data-testid", "picture");
  const state = { url: null, unsubscribe: null, fire: null, seq: 0, picture: null, holding: 0 };
  Object.assign(state, { id: "", pixels: null, levels: null, over: false, stroking: false });
  state.awaited = true;

  const size = () => {
    const [, height, width] = state.picture.shape;
    return { width, height };
  };
  const paint = () => {
    drawPixels(parts.canvas, state.pixels, state.picture.shape);
    parts.show(state);
  };
  /** Show the image of `id` as the chosen one. */
  const take = (id, pixels) => {
    const levels = id.startsWith(DRAWN) ? decode(id.slice(DRAWN.length)) : null;
    Object.assign(state, { id, pixels, levels });
    paint();
  };
  /** Tell Python, and until it agrees stay with what was chosen here; `awaited` is its view. */
  const choose = (id, pixels) => {
    take(id, pixels);
    state.seq = Math.max(state.seq + 1, Date.now());
    state.fire?.("picture", { id, seq: state.seq });
    hurry();
    clearTimeout(state.holding);
    state.holding = setTimeout(() => {
      state.holding = 0;
      accept();
    }, SETTLE);
  };
  const accept = () => {
    if (state.awaited) return;
    const { picture } = state;
    if (picture.chosen === state.id) {
      clearTimeout(state.holding);
      state.holding = 0;
    }
    if (!state.holding && !state.stroking) take(picture.chosen, bytes(picture.current.pixels));
  };
  const chooseDrawing = () => choose(DRAWN + encode(state.levels), pixelsOf(state.levels));

  listen(parts.canvas, {
    size: () => (state.picture?.drawable ? size() : null),
    begin() {
      const { width, height } = size();
      state.stroking = true;
      state.levels ??= state.over ? levelsOf(state.pixels) : new Uint8Array(width * height);
      return state.levels;
    },
    painted() {
      state.pixels = pixelsOf(state.levels);
      drawPixels(parts.canvas, state.pixels, state.picture.shape);
    },
    ended() {
      state.stroking = false;
      chooseDrawing();
    },
    moved(row, column) {
      const { width, height } = size();
      parts.moveCursor(row, column, width, height);
      const grey = Math.round((100 * state.pixels[row * width + column]) / 255);
      setText(parts.said, `row ${row + 1}, column ${column + 1}: ${grey} % white`);
    },
  });
  parts.canvas.addEventListener("blur", () => setText(parts.said, HINT));
  parts.clear.addEventListener("click", () => {
    const { width, height } = size();
    state.levels = new Uint8Array(width * height);
    chooseDrawing();
  });
  parts.over.addEventListener("click", () => {
    state.over = !state.over;
    parts.show(state);
  });
  parts.samples.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const sample = button && state.picture.samples[Number(button.dataset.sample)];
    if (sample) choose(sample.id, bytes(sample.pixels));
  });

  const show = (view) => {
    setAttribute(root, "data-lost", Boolean(view.lost));
    if (view.lost) return;
    state.awaited = !view.picture;
    if (state.awaited) return;
    applyTheme(root);
    setAttribute(root, "data-ready", true);
    const before = JSON.stringify(state.picture?.samples);
    state.picture = view.picture;
    if (JSON.stringify(view.picture.samples) !== before) lay(parts.samples, view.picture);
    accept();
    parts.show(state);
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
      clearTimeout(state.holding);
    },
  };
});

function build() {
  const title = html("p", { class: "card-title", "data-testid": "picture-title" });
  const canvas = html("canvas", { "data-testid": "picture-canvas" });
  const cursor = html("span", { class: "picture-cursor" });
  const frame = html("div", { class: "picture-frame" }, canvas, cursor);
  const clear = html("button", { type: "button", "data-testid": "picture-clear" }, "Clear");
  const over = html("button", { type: "button", "data-testid": "picture-over" }, "Draw over this image");
  const said = html("p", { class: "quiet picture-said", role: "status" }, HINT);
  const tools = html("div", { class: "picture-tools" }, clear, over);
  const samples = html("div", { class: "picture-samples", role: "group", "aria-label": "Images" });
  const left = html("div", {}, frame, tools, said);
  const shown = html("div", { class: "picture-shown" }, left, samples);

  const show = ({ picture, id, over: isOver, levels }) => {
    const [, height, width] = picture.shape;
    const settled = id === picture.chosen;
    const name = nameOf(id, settled ? picture.label : labelOf(picture, id));
    setText(title, settled ? (picture.said ?? name) : `${name}: being read`);
    setAttribute(frame, "data-drawable", picture.drawable);
    for (const one of [tools, said]) setAttribute(one, "hidden", !picture.drawable);
    setAttribute(over, "hidden", levels !== null);
    setAttribute(over, "aria-pressed", String(isOver));
    setAttribute(canvas, "tabindex", picture.drawable ? 0 : null);
    setAttribute(canvas, "role", picture.drawable ? "application" : "img");
    const drawing = `Drawing of ${height} by ${width} pixels, now ${name}. ${HINT} Delete erases.`;
    setAttribute(canvas, "aria-label", picture.drawable ? drawing : name);
    for (const button of samples.children) {
      const its = picture.samples[Number(button.dataset.sample)]?.id;
      setAttribute(button, "aria-pressed", String(its === id));
    }
  };
  const moveCursor = (row, column, width, height) => {
    const share = (part, whole) => `${(100 * part) / whole}%`;
    const [left, top] = [share(column, width), share(row, height)];
    Object.assign(cursor.style, { left, top, width: share(1, width), height: share(1, height) });
  };
  return { nodes: [title, shown], canvas, clear, over, said, samples, show, moveCursor };
}

function labelOf({ samples }, id) {
  return samples.find((sample) => sample.id === id)?.label ?? "";
}

/** An image in words: "Test image 17, labelled 3", "Your drawing". */
function nameOf(id, label) {
  if (id.startsWith(DRAWN)) return "Your drawing";
  const [part, number] = id.split(":");
  if (part === "pixels") return "Your picture";
  const name = `${part === "train" ? "Training" : "Test"} image ${number}`;
  return label ? `${name}, labelled ${label}` : name;
}

/** A button for each sample. */
function lay(place, { samples, shape }) {
  place.replaceChildren(
    ...samples.map(({ id, label, said, pixels }, index) => {
      const canvas = html("canvas", { "aria-hidden": "true" });
      drawPixels(canvas, bytes(pixels), shape);
      const about = { "data-sample": index, "data-testid": `picture-sample-${index}` };
      const name = [label, said, nameOf(id, "")].filter(Boolean).join(", ");
      const attributes = { type: "button", class: "picture-sample", "aria-label": name, ...about };
      const words = [label, said].filter(Boolean);
      const lines = words.map((word, at) => html("span", { class: at ? "quiet" : "" }, word));
      return html("button", attributes, canvas, ...lines);
    }),
  );
}

function bytes(base64) {
  const text = atob(base64);
  return Uint8Array.from(text, (sign) => sign.charCodeAt(0));
}

/** Draw C * H * W values 0 to 255: three channels in colour, else the first in grey. */
function drawPixels(canvas, pixels, [channels, height, width]) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const area = width * height;
  for (let at = 0; at < area; at += 1) {
    for (let part = 0; part < 3; part += 1) {
      image.data[4 * at + part] = pixels[channels === 3 ? part * area + at : at];
    }
    image.data[4 * at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
