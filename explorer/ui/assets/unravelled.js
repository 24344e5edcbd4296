/**
 * A residual network as the sum of its paths (Veit et al. 2016): its drawing in series, its
 * unravelled graph, and a list of the paths, each of which lights where it runs.
 * data = {url}; the view has unravelled: {n, nodes: [{kind, label, column, row}], edges: [[from,
 * to]], paths: [{blocks, term, nodes, edges, value}], full, partial, said}.
 */

import "./lesion_style.js";
import { applyTheme, html, mountable, setAttribute, setAttributes, setText } from "./dom.js";
import { percent } from "./lesion_rules.js";
import { subscribe } from "./live.js";
import { lengthColor, lowered, makeDrawings } from "./unravelled_graph.js";

const TERMS = "The terms add up to the output if every F is linear.";
const SHARES = "Each term as a share of the output, with random linear F.";

export const mount = mountable("unravelled", (root) => {
  const said = html("p", { class: "unravelled-said" });
  const look = { role: "region", tabindex: 0, "aria-label": "Drawing of the unravelled graph" };
  const scroller = html("div", { class: "unravelled-graph", ...look });
  const list = html("div", { class: "unravelled-paths", role: "group", "aria-label": "Paths" });
  const panes = html("div", { class: "unravelled-panes", "data-testid": "unravelled" });
  panes.append(scroller, list);
  const sums = ["partial", "full"].map(() => html("p", { class: "unravelled-sum" }));
  root.append(said, panes, ...sums);
  const state = { url: null, unsubscribe: null, shape: "", view: null, drawings: null, width: 0 };
  const chosen = { pinned: null, over: null }; // indices of paths
  let items = [];

  const light = () => {
    const lit = chosen.over ?? chosen.pinned;
    state.drawings.light(state.view.paths[lit] ?? null);
    setAttribute(scroller, "data-lit", state.view.paths[lit] !== undefined);
    items.forEach(({ item, button }, index) => {
      setAttribute(item, "data-on", index === lit);
      setAttribute(button, "aria-pressed", String(index === chosen.pinned));
    });
  };
  const over = (path) => {
    if (path === chosen.over) return;
    chosen.over = path;
    light();
  };
  const press = (path) => {
    chosen.pinned = chosen.pinned === path ? null : path;
    light();
  };
  /** Scroll the drawing, and nothing around it, until the start of the path is in sight. */
  const reveal = (path) => {
    const [series] = scroller.children;
    const at = series.clientHeight + state.drawings.rowOf(state.view.paths[path]);
    const [top, end] = [scroller.scrollTop + series.clientHeight, scroller.clientHeight];
    if (at < top + 16 || at > scroller.scrollTop + end - 24) scroller.scrollTop = at - end / 2;
  };
  const pathOf = (event) => {
    const found = event.target.closest?.("[data-path]");
    return found ? Number(found.dataset.path) : null;
  };
  const focused = () => {
    const at = items.findIndex(({ button }) => button.matches(":focus-visible"));
    return at < 0 ? null : at;
  };
  for (const part of [scroller, list]) {
    // Not pointerover, which comes too when the list is scrolled by keys below a resting pointer.
    part.addEventListener("pointermove", (event) => over(pathOf(event) ?? focused()));
    part.addEventListener("pointerleave", () => over(focused()));
    part.addEventListener("click", (event) => {
      const path = pathOf(event);
      if (path === null) return;
      press(path);
      if (part === list) reveal(path);
    });
  }
  list.addEventListener("focusin", (event) => {
    const now = pathOf(event);
    if (now === null) return;
    items.forEach(({ button }, index) => setAttribute(button, "tabindex", index === now ? 0 : -1));
    if (!event.target.matches(":focus-visible")) return;
    over(now);
    reveal(now);
  });
  list.addEventListener("focusout", () => over(null));
  list.addEventListener("keydown", (event) => {
    const last = items.length - 1;
    const now = pathOf(event);
    const to = { ArrowUp: now - 1, ArrowDown: now + 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    items[Math.min(Math.max(to, 0), last)].button.focus();
  });

  const place = () => {
    if (!state.drawings || scroller.clientWidth === 0) return;
    state.width = scroller.clientWidth;
    state.drawings.place(state.width);
  };
  const observer = new ResizeObserver(() => scroller.clientWidth !== state.width && place());
  observer.observe(scroller);

  const show = (view) => {
    if (view.lost || !view.unravelled) return;
    applyTheme(root);
    setAttribute(root, "data-ready", true);
    state.view = view.unravelled;
    const { n, nodes, edges, paths } = state.view;
    const shape = JSON.stringify([n, nodes, edges, paths.map((path) => path.nodes)]);
    if (shape !== state.shape) {
      Object.assign(state, { shape, drawings: makeDrawings(state.view) });
      Object.assign(chosen, { pinned: null, over: null });
      scroller.replaceChildren(...state.drawings.nodes);
      items = paths.map((path, index) => makeItem(path, index, n));
      const known = paths.some((path) => Number.isFinite(path.value));
      const note = html("p", { class: "length-name quiet" }, known ? SHARES : TERMS);
      list.replaceChildren(note, ...byLength(items, paths));
      place();
    }
    paths.forEach((path, index) => setText(items[index].value, valueText(path.value)));
    setText(said, state.view.said ?? "");
    setText(sums[0], lowered(state.view.partial ?? ""));
    setText(sums[1], lowered(state.view.full ?? ""));
    light();
  };

  return {
    update({ data }) {
      if (data.url === state.url) return;
      state.unsubscribe?.();
      state.url = data.url;
      state.unsubscribe = subscribe(data.url, show);
    },
    destroy() {
      state.unsubscribe?.();
      observer.disconnect();
    },
  };
});

/** One path of the list: its colour, its term, and its value where it has one. */
function makeItem(path, index, n) {
  const term = html("span", { class: "term" }, lowered(path.term));
  const value = html("span", { class: "figures" });
  const swatch = html("span", { class: "swatch" });
  const button = html("button", { type: "button", tabindex: index === 0 ? 0 : -1 });
  setAttributes(button, { "data-path": index, "data-testid": `path-${index}` });
  button.append(swatch, term, value);
  button.style.setProperty("--length", lengthColor(path.blocks.length, n));
  return { item: html("li", {}, button), button, value };
}

/** The paths under a line a length, which says how many there are of it. */
function byLength(items, paths) {
  const lengths = [...new Set(paths.map((path) => path.blocks.length))];
  return lengths.map((length) => {
    const same = items.filter((_, index) => paths[index].blocks.length === length);
    const count = same.length === 1 ? "1 path" : `${same.length} paths`;
    const through = length === 0 ? "through no block" : `of length ${length}`;
    const name = html("p", { class: "length-name quiet" }, `${count} ${through}`);
    return html("div", {}, name, html("ul", {}, ...same.map(({ item }) => item)));
  });
}

/** A share of the output in percent; nothing where there is none. */
function valueText(value) {
  return Number.isFinite(value) ? percent(value) : "";
}
