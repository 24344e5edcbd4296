/** Every block's maps in rows, small; a row is a button that chooses its block. */

import { html, setAttribute, setText } from "./dom.js";
import { draw, fieldOf, said, shapeText, size, under } from "./maps_canvas.js";
import { KINDS, ratioOf } from "./maps_one.js";

const SIDE = 104; // px of a mosaic, at most
const AHEAD = "400px 0px"; // how far outside the region rows are drawn already
const HINT = "Press a row to see its block large; point at a map to read a value.";

/**
 * The part of the panel with all blocks. `hear.choose(n)` is told of a press, `hear.look(n)` of
 * a block pointed at or focused (null: none). Row 0 is the stem, which cannot be chosen.
 */
export function makeGrid(hear) {
  const title = html("p", { class: "card-title" });
  const pointed = html("p", { class: "quiet maps-pointed" }, HINT);
  const head = html("div", { class: "maps-row maps-head", "aria-hidden": "true" });
  const body = html("div", { role: "group", "aria-label": "Blocks" });
  const region = { class: "maps-scroll", role: "region", tabindex: 0, "aria-label": "Maps of all blocks" };
  const scroller = html("div", region, head, body);
  const node = html("section", { "aria-label": "All blocks" }, title, pointed, scroller);
  const state = { rows: [], form: "", chosen: 1, draw: () => {} };

  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const row = state.rows[Number(target.dataset.block)];
        if (row?.node !== target) continue;
        row.inSight = isIntersecting;
        if (row.inSight && row.stale) state.draw(row);
      }
    },
    { root: scroller, rootMargin: AHEAD },
  );
  listen({ scroller, body, pointed }, state, hear);

  return {
    node,
    show(maps, limits, palette, chosen) {
      const formOf = ({ name, color, blocks }) => [name, color, blocks.length];
      const form = JSON.stringify(maps.arms.map(formOf));
      if (form !== state.form) {
        for (const row of state.rows) seen.unobserve(row.node);
        state.rows = build(head, body, maps.arms);
        for (const row of state.rows) seen.observe(row.node);
      }
      setText(title, finding(maps.arms));
      const room = Math.min(SIDE, state.rows[0].cells[0].x.slot.clientWidth) || SIDE;
      state.draw = (row) => drawRow(row, limits, palette, room);
      for (const row of state.rows) {
        fill(row, maps.arms, room);
        row.stale = true;
        if (row.inSight) state.draw(row);
      }
      this.mark(chosen);
      if (form !== state.form) reveal(scroller, head, state.rows[chosen].node);
      state.form = form;
    },
    /** Show `block` as the chosen one, and bring its row into the region's sight if it is news. */
    mark(block) {
      if (block !== state.chosen && state.rows[block]) reveal(scroller, head, state.rows[block].node);
      state.chosen = block;
      const stop = Math.min(Math.max(block, 1), state.rows.length - 1);
      state.rows.forEach((row, number) => {
        if (number === 0) return;
        setAttribute(row.node, "aria-pressed", String(number === block));
        setAttribute(row.node, "tabindex", number === stop ? 0 : -1);
      });
    },
    /** Mark the row that is looked at elsewhere, and bring it into the region's sight. */
    look(block, here) {
      state.rows.forEach((row, number) => setAttribute(row.node, "data-looked", number === block));
      const row = here ? null : state.rows[block];
      if (row) reveal(scroller, head, row.node);
    },
    destroy() {
      seen.disconnect();
    },
  };
}

function listen({ scroller, body, pointed }, state, hear) {
  const numberOf = (event) => {
    const row = event.target.closest?.("[data-block]");
    return row ? Number(row.dataset.block) : null;
  };
  body.addEventListener("click", (event) => {
    const block = numberOf(event);
    if (block) hear.choose(block);
  });
  body.addEventListener("keydown", (event) => {
    const block = numberOf(event);
    const last = state.rows.length - 1;
    const to = { ArrowDown: block + 1, ArrowUp: block - 1, Home: 1, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // the region would scroll besides
    state.rows[Math.min(Math.max(to, 1), last)].node.focus();
  });
  body.addEventListener("focusin", (event) => {
    const block = numberOf(event);
    state.rows.forEach((row, number) => {
      if (number > 0) setAttribute(row.node, "tabindex", number === block ? 0 : -1);
    });
    hear.look(block);
  });
  body.addEventListener("focusout", () => hear.look(null));
  scroller.addEventListener("pointermove", (event) => {
    const block = numberOf(event);
    hear.look(block);
    setText(pointed, (block !== null && pointedAt(event, state.rows[block])) || HINT);
  });
  scroller.addEventListener("pointerleave", () => {
    hear.look(null);
    setText(pointed, HINT);
  });
}

/** The head, and a row for the stem and each block; `cells` has {x, residual, output} an arm. */
function build(head, body, arms) {
  head.replaceChildren(html("span", {}, "block"));
  for (const arm of arms) {
    const kinds = ["x", "F(x)", "output"].map((kind) => html("span", {}, kind));
    head.append(html("span", { class: "maps-cells" }, armName(arm), ...kinds));
  }
  const count = Math.max(...arms.map((arm) => arm.blocks.length));
  const rows = Array.from({ length: count + 1 }, (_, number) => makeRow(number, arms));
  body.replaceChildren(...rows.map((row) => row.node));
  return rows;
}

function makeRow(number, arms) {
  const [name, shape] = [html("span", { class: "maps-name" }), html("span", { class: "quiet" })];
  const cells = arms.map(() => Object.fromEntries(KINDS.map((kind) => [kind, makeCell()])));
  const groups = cells.map((cell, index) => {
    const slots = KINDS.map((kind) => cell[kind].slot);
    return html("span", { class: "maps-cells" }, armName(arms[index]), ...slots);
  });
  const label = html("span", { class: "maps-label" }, name, " ", shape);
  const about = { class: "maps-row", "data-block": number, "data-testid": `maps-row-${number}` };
  const node =
    number === 0
      ? html("div", about, label, ...groups)
      : html("button", { ...about, type: "button" }, label, ...groups);
  return { node, number, name, shape, cells, stale: true, inSight: false };
}

function armName({ name, color }) {
  const about = { class: "maps-of", "aria-hidden": "true" };
  const node = html("span", about, html("span", { class: "swatch" }), name);
  if (CSS.supports("color", color)) node.style.setProperty("--arm", color);
  return node;
}

function makeCell() {
  const canvas = html("canvas", { "aria-hidden": "true" });
  const note = html("span", { class: "quiet" });
  return { slot: html("span", { class: "maps-cell" }, canvas, note), canvas, note, map: null };
}

/** Give a row its words and maps; they are drawn once it comes into sight. */
function fill(row, arms, room) {
  const blocks = arms.map((arm) => arm.blocks[row.number - 1] ?? null);
  const first = row.number === 0 ? { output: arms[0].stem } : blocks.find(Boolean);
  const stage = first.stage ? `, stage ${first.stage}` : "";
  const stem = arms[0].input ? "image, stem" : "stem";
  setText(row.name, row.number === 0 ? stem : `block ${row.number}${stage}`);
  setText(row.shape, shapeText(first.output.shape));
  arms.forEach((arm, index) => {
    const maps = row.number === 0 ? { x: arm.input, output: arm.stem } : (blocks[index] ?? {});
    for (const kind of KINDS) {
      const cell = row.cells[index][kind];
      cell.map = maps[kind] ?? null;
      setAttribute(cell.canvas, "hidden", !cell.map || cell.map.peak === null);
      setText(cell.note, cell.map?.peak === null ? "not finite" : "");
      if (cell.map) size(cell.canvas, layoutOf(cell.map), room);
    }
  });
}

/** Enough of a field to lay it out, without reading its numbers. */
function layoutOf(map) {
  return map.shape.length === 3
    ? { channels: map.shape[0], height: map.shape[1], width: map.shape[2] }
    : fieldOf(map);
}

function drawRow(row, limits, palette, room) {
  row.stale = false;
  row.cells.forEach((cells, index) => {
    for (const kind of KINDS) {
      const { canvas, map } = cells[kind];
      const limit = row.number === 0 ? null : limits[index]?.[kind];
      if (map && map.peak !== null) draw(canvas, fieldOf(map), limit ?? map.peak, palette, room);
    }
  });
}

/** Scroll the region, not the page, until the row is in sight below the head. */
function reveal(scroller, head, node) {
  const top = node.offsetTop - head.offsetHeight;
  const bottom = node.offsetTop + node.offsetHeight - scroller.clientHeight;
  if (scroller.scrollTop > top) scroller.scrollTop = top;
  else if (scroller.scrollTop < bottom) scroller.scrollTop = bottom;
}

function pointedAt(event, row) {
  for (const cells of row.cells) {
    for (const kind of KINDS) {
      const { canvas } = cells[kind];
      const what = event.target === canvas ? under(canvas, event) : null;
      if (what) return `${row.name.textContent}, ${what}`;
    }
  }
  return null;
}

/** In which block F(x) is smallest against the x it is added to, and in which largest. */
function finding(arms) {
  const parts = [];
  for (const { name, blocks } of arms) {
    const ratios = blocks.map((block, index) => [ratioOf(block), index + 1]);
    const found = ratios.filter(([ratio]) => Number.isFinite(ratio)).sort(([a], [b]) => a - b);
    if (found.length === 0) continue;
    const [least, most] = [found[0], found.at(-1)].map(([ratio, n]) => `${said(ratio)} (block ${n})`);
    parts.push(`${name}: the size (RMS) of F(x) over that of its x is between ${least} and ${most}`);
  }
  return parts.join("; ") || "The maps of every block";
}
