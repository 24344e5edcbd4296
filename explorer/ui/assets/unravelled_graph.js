/** The residual network in series and, below it in the same scale, its unravelled graph, as SVG. */

import { setAttribute, setAttributes, svg } from "./dom.js";

const LEFT = 34; // px to the copies of x
const RIGHT = 40; // and from the output
const [NARROWEST, WIDEST] = [46, 260]; // px from column to column
const TALLEST = [0, 56, 48, 40, 27, 21, 18]; // px from row to row, by the number of blocks
const SERIES = { height: 76, trunk: 56, caption: 14 };
const TOP = 34;
const CIVIDIS = [
  ..."#00224e #123570 #3b496c #575d6d #707173 #8a8678 #a59c74 #c3b369 #e1cc55 #fee838".split(" "),
];

/** The colour of a path that takes `length` of `n` blocks. */
export function lengthColor(length, n) {
  return CIVIDIS[Math.round(((CIVIDIS.length - 1) * length) / n)];
}

/** "F3(x2)" with its numbers set low. */
export function lowered(text) {
  const low = (digits) => [...digits].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
  return text.replace(/([Fx])(\d+)/g, (_, letter, digits) => letter + low(digits));
}

/** Both drawings: {nodes: [svg, svg], place(width), light(path or null), rowOf(path)}. */
export function makeDrawings({ n, nodes, edges, paths }) {
  const series = makeSeries(n);
  const graph = makeGraph(n, nodes, edges, paths);
  return {
    nodes: [series.node, graph.node],
    place(width) {
      const pitch = Math.min(WIDEST, Math.max(NARROWEST, (width - LEFT - RIGHT) / n));
      const x = (column) => LEFT + column * pitch;
      setAttribute(series.node, "width", x(n) + RIGHT);
      setAttribute(graph.node, "width", x(n) + RIGHT);
      series.place(x);
      graph.place(x);
    },
    light(path) {
      series.light(path);
      graph.light(path);
    },
    rowOf: (path) => graph.rowOf(path),
  };
}

function makeSeries(n) {
  const caption = svg("text", { class: "caption", x: 4, y: SERIES.caption }, "In series");
  const [input, output] = [shape("x", "x0"), shape("sum", `x${n}`)];
  const blocks = Array.from({ length: n }, (_, at) => ({
    skip: svg("path", { class: "edge" }),
    through: svg("path", { class: "edge" }),
    branch: shape("F", `F${at + 1}`),
    sum: at === n - 1 ? output : shape("sum", ""),
  }));
  const node = svg("svg", { class: "in-series", height: SERIES.height, "aria-hidden": "true" });
  node.append(caption, ...blocks.flatMap(({ skip, through }) => [skip, through]), input.node);
  node.append(...blocks.flatMap(({ branch, sum }) => [branch.node, sum.node]));
  return {
    node,
    place(x) {
      const y = SERIES.trunk;
      input.place(x(0), y);
      blocks.forEach(({ skip, through, branch, sum }, at) => {
        const [from, to] = [x(at), x(at + 1)];
        setAttribute(skip, "d", `M${from} ${y}C${from} ${y - 48} ${to} ${y - 48} ${to} ${y}`);
        setAttribute(through, "d", `M${from} ${y}H${to}`);
        branch.place(x(at + 0.5), y);
        sum.place(to, y);
      });
    },
    light(path) {
      for (const { node: one } of [input, output]) setAttribute(one, "data-on", Boolean(path));
      blocks.forEach(({ skip, through, branch, sum }, at) => {
        const taken = path?.blocks.includes(at + 1);
        setAttribute(skip, "data-on", Boolean(path) && !taken);
        for (const one of [through, branch.node]) setAttribute(one, "data-on", Boolean(taken));
        setAttribute(sum.node, "data-on", Boolean(path));
      });
    },
  };
}

function makeGraph(n, nodes, edges, paths) {
  const pathOf = new Map(paths.map((path, index) => [path.nodes[0], index]));
  const shapes = nodes.map(({ kind, label }, index) => {
    const last = index === nodes.length - 1;
    const one = shape(kind, last ? `x${n}` : kind === "sum" ? "" : label);
    const path = pathOf.get(index);
    if (path === undefined) return one;
    setAttribute(one.node, "data-path", path);
    one.node.style.setProperty("--length", lengthColor(paths[path].blocks.length, n));
    one.node.prepend(svg("title", {}, lowered(paths[path].term)));
    return one;
  });
  const lines = edges.map(() => svg("path", { class: "edge" }));
  const y = (row) => TOP + row * TALLEST[n];
  const node = svg(
    "svg",
    { height: y(2 ** n - 1) + 18, role: "img", "aria-label": graphName(n) },
    svg("text", { class: "caption", x: 4, y: 16 }, "Unravelled"),
    ...lines,
    ...shapes.map((one) => one.node),
  );
  return {
    node,
    place(x) {
      nodes.forEach(({ column, row }, index) => shapes[index].place(x(column), y(row)));
      edges.forEach(([from, to], index) => {
        const [x1, y1] = [x(nodes[from].column), y(nodes[from].row)];
        const [x2, y2] = [x(nodes[to].column), y(nodes[to].row)];
        const middle = (x1 + x2) / 2;
        setAttribute(lines[index], "d", `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`);
      });
    },
    light(path) {
      const [lit, along] = [new Set(path?.nodes), new Set(path?.edges)];
      shapes.forEach((one, index) => setAttribute(one.node, "data-on", lit.has(index)));
      lines.forEach((line, index) => setAttribute(line, "data-on", along.has(index)));
    },
    rowOf: (path) => y(nodes[path.nodes[0]].row),
  };
}

function graphName(n) {
  const blocks = n === 1 ? "1 block" : `${n} blocks`;
  return `Unravelled graph of ${blocks}: ${2 ** n} copies of x, each the start of one path`;
}

/** One circle or box with its text, drawn around (0, 0). */
function shape(kind, label) {
  const text = svg("text", { y: 4 }, lowered(label));
  const parts = {
    x: () => {
      setAttributes(text, { x: -18 });
      return [svg("rect", { class: "hit", x: -28, y: -9, width: 40, height: 18 }), text,
        svg("circle", { class: "copy", r: 6 })];
    },
    F: () => [svg("rect", { class: "box", x: -13, y: -8, width: 26, height: 16, rx: 3 }), text],
    sum: () => {
      setAttributes(text, { x: 18 });
      const plus = svg("path", { class: "plus", d: "M-3 0H3M0 -3V3" });
      return [svg("circle", { class: "ring", r: 5.5 }), plus, text];
    },
  }[kind]();
  const node = svg("g", { class: "node" }, ...parts);
  const place = (x, y) => setAttribute(node, "transform", `translate(${x} ${y})`);
  return { node, place };
}
