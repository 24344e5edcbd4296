/**
 * Feature maps as mosaics on a canvas: one tile a channel, the features of an MLP as one strip.
 * A MAP of the view is {shape: [C, H, W] or [F], peak, q: base64 of int8}, value = q / 127 peak;
 * peak is null where not all values are finite.
 */

import { HALF } from "./maps_colors.js";

const ENOUGH = 0.8; // of its room that a mosaic is to fill
const STRIP = 4; // how many times as wide as high the features of an MLP are laid out

const fields = new WeakMap(); // MAP -> its field
const drawings = new WeakMap(); // canvas -> what is drawn on it

/**
 * The field of a MAP: {channels, height, width, count, strip, peak, values, unit}; the value of
 * cell i is values[i] * unit, row by row in a channel; only the first `count` cells are there.
 */
export function fieldOf(map) {
  if (!fields.has(map)) fields.set(map, read(map));
  return fields.get(map);
}

function read({ shape, peak, q }) {
  const text = atob(q);
  const values = new Int8Array(text.length);
  for (let i = 0; i < text.length; i += 1) values[i] = text.charCodeAt(i);
  const unit = peak === null ? NaN : peak / HALF;
  const scale = { peak, values, unit, count: values.length };
  if (shape.length === 3) {
    const [channels, height, width] = shape;
    return { channels, height, width, strip: false, ...scale };
  }
  const width = Math.max(1, Math.ceil(Math.sqrt(STRIP * shape[0])));
  return { channels: 1, height: Math.ceil(shape[0] / width), width, strip: true, ...scale };
}

/**
 * The field `share` of the way from `a` to `b`: values in between, pixels of the coarser one
 * taken by the nearest neighbour, channels that one of them lacks taken as 0.
 */
export function blend(a, b, share) {
  if (share === 0 || a === b || a.peak === null) return a;
  if (share === 1 || b.peak === null) return b;
  const [channels, height, width, count] = ["channels", "height", "width", "count"].map((name) =>
    Math.max(a[name], b[name]),
  );
  const values = new Float32Array(channels * height * width);
  let at = 0;
  for (let channel = 0; channel < channels; channel += 1) {
    for (let row = 0; row < height; row += 1) {
      const y = (row + 0.5) / height;
      for (let column = 0; column < width; column += 1, at += 1) {
        const x = (column + 0.5) / width;
        values[at] = (1 - share) * valueAt(a, channel, y, x) + share * valueAt(b, channel, y, x);
      }
    }
  }
  const peak = (1 - share) * a.peak + share * b.peak;
  const cells = a.strip ? count : values.length;
  return { channels, height, width, count: cells, strip: a.strip, peak, values, unit: 1 };
}

/** The value at the place (y, x), each from 0 to 1; 0 in a channel that is not there. */
function valueAt({ channels, height, width, values, unit }, channel, y, x) {
  if (channel >= channels) return 0;
  const row = channel * height + Math.floor(y * height);
  return (values[row * width + Math.floor(x * width)] ?? 0) * unit;
}

/** The root of the mean square of a field's values. */
export function rms({ values, unit, count }) {
  let sum = 0;
  for (let i = 0; i < count; i += 1) sum += values[i] * values[i];
  return Math.sqrt(sum / Math.max(count, 1)) * unit;
}

/** Give `canvas` the size its mosaic takes in `room` px each way; returns how it is laid out. */
export function size(canvas, { channels, height, width }, room) {
  const columns = Math.ceil(Math.sqrt((channels * height) / width)) || 1;
  const rows = Math.ceil(channels / columns);
  const dots = window.devicePixelRatio || 1;
  const gap = Math.max(1, Math.round(dots));
  const fits = (side, tiles) => Math.floor((room * dots - gap * (tiles + 1)) / (side * tiles));
  const whole = Math.max(1, Math.min(fits(width, columns), fits(height, rows)));
  const filled = Math.max(columns * (width * whole + gap), rows * (height * whole + gap)) + gap;
  const zoom = filled < ENOUGH * room * dots ? whole + 1 : whole; // the latter is shrunk to fit
  const [tileX, tileY] = [width * zoom + gap, height * zoom + gap];
  const [across, down] = [columns * tileX + gap, rows * tileY + gap];
  if (canvas.width !== across) canvas.width = across;
  if (canvas.height !== down) canvas.height = down;
  const shrink = Math.min(1, (room * dots) / Math.max(across, down));
  canvas.style.width = `${(across * shrink) / dots}px`;
  canvas.style.imageRendering = shrink < 1 ? "auto" : "pixelated";
  return { columns, rows, gap, zoom, tileX, tileY };
}

/** Draw `field` with colours that end at -limit and limit. */
export function draw(canvas, field, limit, palette, room) {
  const layout = size(canvas, field, room);
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let channel = 0; channel < field.channels; channel += 1) {
    tile(pixels, canvas.width, field, channel, limit, palette, layout);
  }
  context.putImageData(image, 0, 0);
  drawings.set(canvas, { field, layout });
}

function tile(pixels, stride, field, channel, limit, { colors, gap: line }, layout) {
  const { columns, gap, zoom, tileX, tileY } = layout;
  const { height, width, values, count } = field;
  const left = (channel % columns) * tileX;
  const top = Math.floor(channel / columns) * tileY;
  for (let y = top; y < top + tileY + gap; y += 1) {
    pixels.fill(line, y * stride + left, y * stride + left + tileX + gap);
  }
  const scale = limit > 0 ? (field.unit * HALF) / limit : 0;
  for (let row = 0; row < height; row += 1) {
    const start = (top + gap + row * zoom) * stride + left + gap;
    for (let column = 0; column < width; column += 1) {
      const cell = (channel * height + row) * width + column;
      const step = Math.max(-HALF, Math.min(HALF, Math.round(values[cell] * scale)));
      const color = cell < count ? colors[HALF + step] : 0;
      pixels.fill(color, start + column * zoom, start + (column + 1) * zoom);
    }
    for (let copy = 1; copy < zoom; copy += 1) {
      pixels.copyWithin(start + copy * stride, start, start + width * zoom);
    }
  }
}

/** What is under the pointer: "channel 3, row 2, column 7: 0.31", or null between the tiles. */
export function under(canvas, event) {
  const drawing = drawings.get(canvas);
  if (!drawing) return null;
  const { field, layout } = drawing;
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * canvas.width;
  const y = ((event.clientY - box.top) / box.height) * canvas.height;
  const [across, down] = [Math.floor(x / layout.tileX), Math.floor(y / layout.tileY)];
  const column = Math.floor((x - across * layout.tileX - layout.gap) / layout.zoom);
  const row = Math.floor((y - down * layout.tileY - layout.gap) / layout.zoom);
  const channel = down * layout.columns + across;
  const inside = column >= 0 && row >= 0 && column < field.width && row < field.height;
  const cell = (channel * field.height + row) * field.width + column;
  if (!inside || across >= layout.columns || cell >= field.count) return null;
  const value = said(field.values[cell] * field.unit);
  if (field.strip) return `feature ${cell + 1}: ${value}`;
  return `channel ${channel + 1}, row ${row + 1}, column ${column + 1}: ${value}`;
}

/** A number with two significant digits, as it is read: "0.31", "−120", "2.3e-9". */
export function said(value) {
  return `${Number(value.toPrecision(2))}`.replace(/^-/, "\u2212");
}

/** A shape in words: "16 × 8 × 8", "384 features". */
export function shapeText(shape) {
  return shape.length === 1 ? `${shape[0]} features` : shape.join(" \u00d7 ");
}
