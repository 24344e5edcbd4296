/** Drawing on a grid of pixels with a soft brush: pointer or keys in, levels 0 to 16 out. */

export const MOST = 16; // levels of a pixel, as in the digits of scikit-learn
const SIGNS = "0123456789abcdefg"; // one a level
const THIN = 1 / 16; // of the drawing's side, half the brush's full width
const THINNEST = 0.5; // pixels, so that a dab fills its pixel
const SOFT = 0.75; // pixels over which it fades
const CLOSE = 0.25; // pixels between two dabs of a stroke

/** Levels as text, a sign a pixel, row by row. */
export function encode(levels) {
  return Array.from(levels, (level) => SIGNS[level]).join("");
}

/** The levels of such a text. */
export function decode(text) {
  return Uint8Array.from(text, (sign) => Math.max(0, SIGNS.indexOf(sign)));
}

/** Grey values 0 to 255 as levels. */
export function levelsOf(pixels) {
  return Uint8Array.from(pixels, (value) => Math.round((value / 255) * MOST));
}

/** Levels as grey values 0 to 255. */
export function pixelsOf(levels) {
  return Uint8Array.from(levels, (level) => Math.round((level / MOST) * 255));
}

/** Paint at (x, y) in pixels: full under the brush, less in the neighbours; never weaker. */
export function dab(levels, { width, height }, x, y) {
  const core = Math.max(THINNEST, Math.max(width, height) * THIN);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const level = Math.round(MOST * Math.min(1, Math.max(0, 1 - (distance - core) / SOFT)));
      const at = row * width + column;
      levels[at] = Math.max(levels[at], level);
    }
  }
}

/** Paint along the line between two places, so that a quick stroke has no holes. */
export function stroke(levels, size, from, to) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / CLOSE));
  for (let step = 1; step <= steps; step += 1) {
    const [x, y] = [0, 1].map((i) => from[i] + (step / steps) * (to[i] - from[i]));
    dab(levels, size, x, y);
  }
}

/**
 * Listen to pointer and keys on `canvas`. `hear` has size() -> {width, height} or null while
 * nothing may be drawn, begin() -> levels to paint on, painted(), ended() and moved(row, column).
 */
export function listen(canvas, hear) {
  const state = { pointer: null, from: null, levels: null, row: 0, column: 0 };

  const placeOf = (event, { width, height }) => {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    return [x, ((event.clientY - box.top) / box.height) * height];
  };
  const begin = (size, x, y) => {
    state.levels = hear.begin();
    dab(state.levels, size, x, y);
    hear.painted();
  };
  const end = (event) => {
    if (event.pointerId !== state.pointer) return;
    Object.assign(state, { pointer: null, levels: null });
    hear.ended();
  };

  canvas.addEventListener("pointerdown", (event) => {
    const size = hear.size();
    if (!size || event.button !== 0 || state.pointer !== null) return;
    canvas.setPointerCapture(event.pointerId);
    state.pointer = event.pointerId;
    state.from = placeOf(event, size);
    begin(size, ...state.from);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== state.pointer) return;
    const size = hear.size();
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length > 0 ? between : [event]) {
      const to = placeOf(each, size);
      stroke(state.levels, size, state.from, to);
      state.from = to;
    }
    hear.painted();
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, end);
  }

  const move = (size, down, right) => {
    state.row = Math.min(Math.max(state.row + down, 0), size.height - 1);
    state.column = Math.min(Math.max(state.column + right, 0), size.width - 1);
    hear.moved(state.row, state.column);
  };
  const erase = () => {
    const size = hear.size();
    hear.begin()[state.row * size.width + state.column] = 0;
    hear.painted();
    hear.ended();
  };
  canvas.addEventListener("focus", () => {
    const size = hear.size();
    if (size && canvas.matches(":focus-visible")) move(size, 0, 0);
  });
  canvas.addEventListener("keydown", (event) => {
    const size = hear.size();
    if (!size || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = {
      ArrowUp: () => move(size, -1, 0),
      ArrowDown: () => move(size, 1, 0),
      ArrowLeft: () => move(size, 0, -1),
      ArrowRight: () => move(size, 0, 1),
      Delete: erase,
      Backspace: erase,
      " ": () => {
        begin(size, state.column + 0.5, state.row + 0.5);
        hear.ended();
      },
    }[event.key];
    if (!action) return;
    event.preventDefault(); // the page would scroll
    action();
    hear.moved(state.row, state.column);
  });
}
