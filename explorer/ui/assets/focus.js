/**
 * Which block a visitor looks at, so that maps and curves show it together: a pointer over a
 * curve marks the row of that block, a row marks the curves.
 */

let focused = null;
const listeners = new Set();

/** Say that `block` (a number, 0 the stem; null: none) is looked at in `source`, any object. */
export function setFocus(block, source) {
  if (block === focused) return;
  focused = block;
  for (const listener of [...listeners]) {
    try {
      listener(block, source);
    } catch (error) {
      reportError(error); // one panel that fails must not stop the others
    }
  }
}

/** Call `callback(block, source)` whenever that changes; returns the function that ends it. */
export function onFocus(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

/**
 * The link of a Plotly chart to the focus. `drawn(figure)` is to be called after every drawing;
 * it does nothing for figures without layout.meta.blocks, whose x (in a heat map also y) is not
 * the number of a block. `end()` unlinks.
 */
export function linkChart(plot) {
  const state = { figure: null, off: null, marked: false };

  const mark = () => {
    const lines = focused === null ? [] : linesAt(plot, state.figure, focused);
    if (lines.length === 0 && !state.marked) return;
    state.marked = lines.length > 0;
    window.Plotly.relayout(plot, { shapes: [...(state.figure.layout.shapes ?? []), ...lines] });
  };
  const onHover = ({ points }) => {
    const x = Number(points[0]?.x ?? NaN);
    setFocus(Number.isFinite(x) ? Math.round(x) : null, plot);
  };
  const onLeave = () => setFocus(null, plot);
  const onLayout = (change) => change.shapes || mark(); // zoomed: our own change has shapes
  const handlers = { plotly_hover: onHover, plotly_unhover: onLeave, plotly_relayout: onLayout };

  const end = () => {
    if (!state.off) return;
    state.off();
    state.off = null;
    for (const [name, handler] of Object.entries(handlers)) plot.removeListener?.(name, handler);
  };
  const drawn = (figure) => {
    if (!figure.layout?.meta?.blocks) return end();
    Object.assign(state, { figure, marked: false }); // the drawing before took the lines along
    if (!state.off) {
      state.off = onFocus(mark);
      for (const [name, handler] of Object.entries(handlers)) plot.on(name, handler);
    }
    mark();
  };
  return { drawn, end };
}

/**
 * Plotly shapes at `block`, in every panel of the figure. They are placed by fractions of the
 * axes: lines in the axes' own numbers would be data to the automatic range, and shift it.
 */
function linesAt(plot, figure, block) {
  const style = getComputedStyle(plot);
  const line = { width: 1, color: style.color, dash: "dot" };
  const halo = { width: 3, color: style.getPropertyValue("--st-background-color").trim() || "#fff" };
  const shapes = new Map();
  for (const { type, xaxis = "x", yaxis = "y" } of figure.data) {
    const at = { xref: `${xaxis} domain`, yref: `${yaxis} domain`, type: "line" };
    const [x, y] = [xaxis, yaxis].map((id) => fraction(plot, id, block));
    const column = x === null ? [] : [{ ...at, x0: x, x1: x, y0: 0, y1: 1 }];
    const row = y === null ? [] : [{ ...at, x0: 0, x1: 1, y0: y, y1: y }];
    const found = type === "heatmap" ? [...column, ...row] : column;
    const styles = type === "heatmap" ? [halo, line] : [line]; // to be seen on any colour
    const lines = styles.flatMap((one) => found.map((shape) => ({ ...shape, line: one })));
    shapes.set(`${xaxis} ${yaxis}`, lines);
  }
  return [...shapes.values()].flat();
}

/** Where `block` lies on the axis called "x", "y2" …, from 0 to 1; null if not in sight. */
function fraction(plot, id, block) {
  const axis = plot._fullLayout?.[`${id[0]}axis${id.slice(1)}`];
  if (!axis?.range) return null;
  const [low, high] = axis.range.map(Number);
  const share = (block - low) / (high - low);
  return share >= 0 && share <= 1 ? share : null;
}
