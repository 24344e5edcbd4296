/** The diagram of one block as SVG, from the input down to the output, with sizes at each arrow. */

import { setAttribute, setAttributes, svg } from "./dom.js";

const TOP = 16;
const [NARROWEST, WIDEST] = [300, 560]; // px
// From node to node, and to the second number: beside the first where there is room, else below.
const WIDE = { least: 460, row: 48, columns: [0.28, 0.7], second: [80, 0], above: 4 };
const NARROW = { row: 64, columns: [0.31, 0.74], second: [0, 16], above: -3 };
const HALF = { end: 11, dot: 4, ring: 12, box: 14, gate: 14 }; // of a node's height
const BOX = [66, 50]; // half of a box's width, by column
const BEND = 10; // px of a rounded corner
const GAP = 8; // px from a line to what is written beside it

/** The drawing: {node, place(width), light(stage or null), reveal(reached)}. */
export function makeDrawing({ nodes, edges }) {
  const places = new Map(nodes.map((node) => [node.name, node]));
  const shapes = new Map(nodes.map((node) => [node.name, makeShape(node)]));
  const arrows = edges.map((edge) => makeArrow(edge, places.get(edge.from), places.get(edge.to)));
  const rows = Math.max(...nodes.map((node) => node.row));
  const name = `Block of ${nodes.length} nodes and ${edges.length} arrows, input at the top`;
  const node = svg("svg", { role: "img", "aria-label": name, "data-testid": "sum-drawing" });
  node.append(...arrows.map((arrow) => arrow.node), ...[...shapes.values()].map((one) => one.node));
  return {
    node,
    place(space) {
      const width = Math.min(WIDEST, Math.max(NARROWEST, space));
      const layout = width < WIDE.least ? NARROW : WIDE;
      const at = ({ column, row }) => [width * layout.columns[column], TOP + row * layout.row];
      setAttributes(node, { width, height: TOP + rows * layout.row + HALF.end + 4 });
      for (const one of nodes) {
        setAttribute(shapes.get(one.name).node, "transform", `translate(${at(one).join(" ")})`);
      }
      for (const arrow of arrows) arrow.place(at, layout);
    },
    light(stage) {
      const lit = new Set(stage?.edges);
      for (const arrow of arrows) {
        const on = lit.has(arrow.edge.name);
        setAttribute(arrow.node, "data-way", on && stage.way);
      }
      for (const [name, one] of shapes) setAttribute(one.node, "data-on", name === stage?.node);
    },
    /** Show the numbers of edges that `reached(edge name, way)` says have been reached. */
    reveal(reached) {
      for (const { edge, texts } of arrows) {
        for (const [way, text] of Object.entries(texts)) {
          setAttribute(text, "data-hidden", !reached(edge.name, way));
        }
      }
    },
  };
}

function makeShape({ name, label, kind, column }) {
  const half = HALF[kind];
  const parts = {
    end: () => [svg("text", { y: 5 }, label)],
    dot: () => [svg("circle", { class: "fork", r: half })],
    ring: () => {
      const plus = svg("path", { class: "plus", d: "M-6 0H6M0 -6V6" });
      return [svg("circle", { class: "ring", r: half }), plus];
    },
    box: () => [box(BOX[column], half, 4), svg("text", { y: 4 }, label)],
    gate: () => [box(30, half, half), svg("text", { y: 4 }, label)],
  }[kind]();
  return { node: svg("g", { class: `node node-${kind}`, "data-node": name }, ...parts) };
}

function box(half, height, rx) {
  return svg("rect", { class: "box", x: -half, y: -height, width: 2 * half, height: 2 * height, rx });
}

/** One arrow with its two heads, of which its way shows one, and its two numbers. */
function makeArrow(edge, from, to) {
  const line = svg("path", { class: "line" });
  const heads = { forward: svg("path", { class: "head" }), backward: svg("path", { class: "head" }) };
  const texts = {
    forward: svg("text", { class: "forward" }, `↓ ${edge.value}`),
    backward: svg("text", { class: "backward" }, `↑ ${edge.gradient}`),
  };
  const label = svg("text", { class: "label" }, edge.label);
  for (const [way, head] of Object.entries(heads)) setAttribute(head, "data-head", way);
  const node = svg("g", { class: "arrow", "data-edge": edge.name });
  node.append(line, ...Object.values(heads), label, ...Object.values(texts));
  return {
    node,
    edge,
    texts,
    place(at, { second, above }) {
      const { d, first, last, middle } = route(from, to, at);
      setAttribute(line, "d", d);
      setAttribute(heads.backward, "d", first);
      setAttribute(heads.forward, "d", last);
      const [x, y] = [middle[0] + GAP, middle[1] + above];
      setAttributes(label, { x: middle[0] - GAP, y: middle[1] + 4 });
      setAttributes(texts.forward, { x, y });
      setAttributes(texts.backward, { x: x + second[0], y: y + second[1] });
    },
  };
}

/**
 * The line of an arrow, the heads at its first and last point, and the middle of its upright part.
 * What goes past F leaves the fork sideways, goes down the other column, and turns to the sum.
 */
function route(from, to, at) {
  const past = from.kind === "dot" && to.kind === "ring";
  const [leaves, enters] = [past || from.column < to.column, past || from.column > to.column];
  const [[x1, y1], [x2, y2]] = [at(from), at(to)];
  const x = leaves || enters ? at({ column: 1, row: 0 })[0] : x1;
  const top = leaves ? y1 : y1 + HALF[from.kind];
  const end = enters ? y2 : y2 - HALF[to.kind];
  const right = x1 + HALF[from.kind];
  const ring = x2 + HALF[to.kind];
  const out = leaves ? `M${right} ${y1}H${x - BEND}Q${x} ${y1} ${x} ${y1 + BEND}` : `M${x} ${top}`;
  const back = enters ? `V${y2 - BEND}Q${x} ${y2} ${x - BEND} ${y2}H${ring}` : `V${end}`;
  return {
    d: out + back,
    first: leaves ? `M${right} ${y1}l8 -4.5v9z` : `M${x} ${top}l-4.5 8h9z`,
    last: enters ? `M${ring} ${y2}l8 -4.5v9z` : `M${x} ${end}l-4.5 -8h9z`,
    middle: [x, (top + end) / 2],
  };
}
