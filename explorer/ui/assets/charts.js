/**
 * The live charts: figures of the view, drawn by Plotly.react into cards that stay.
 * data = {url, ids, wide?, titles?, heights?, plotly}; the id "sentences" places the findings.
 */

import { applyTheme, html, mountable, setAttribute, setAttributes, setText } from "./dom.js";
import { saveCsv, saveHtml, saveSvg } from "./downloads.js";
import { makeFindings } from "./findings.js";
import { linkChart } from "./focus.js";
import { subscribe, wakeAll } from "./live.js";

const NARROW = 700; // px, also in panel.css
const HEIGHT = 340; // px, of a chart whose figure names none
const SENTENCES = "sentences";
const CONFIG = {
  responsive: false, // the cards are watched here, which also sees a sidebar open
  displaylogo: false,
  displayModeBar: matchMedia("(hover: none)").matches ? false : "hover", // a finger would not lose it
  modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"],
};
const SAVERS = { SVG: saveSvg, CSV: saveCsv, HTML: saveHtml };

export const mount = mountable("charts", (root) => {
  const grid = html("div", { class: "grid" });
  root.append(grid);
  setAttribute(root, "data-state", "waiting");
  const state = { url: null, layout: "", plotly: "", unsubscribe: null, narrow: false };
  let cards = new Map();

  const look = () => {
    state.narrow = isNarrow(root, state.narrow);
    return { theme: applyTheme(root), narrow: state.narrow ? "1" : "0" };
  };
  const onView = (view) => {
    setAttribute(root, "data-lost", Boolean(view.lost));
    if (view.lost) return;
    for (const [id, card] of cards) card.show(view, id);
    setAttributes(root, { "data-state": view.state, "data-step": view.step, "data-tag": view.tag });
  };
  const observer = new ResizeObserver(() => {
    if (isNarrow(root, state.narrow) !== state.narrow) wakeAll();
    for (const card of cards.values()) card.fit();
  });
  observer.observe(root);

  return {
    update({ data }) {
      const layout = JSON.stringify([data.ids, data.wide, data.titles, data.heights]);
      if (layout !== state.layout) {
        cards = arrange(grid, data, cards);
        state.layout = layout;
      }
      if (data.url === state.url && layout === state.shown) return;
      state.shown = layout;
      state.url = data.url;
      loadPlotly(data.plotly).catch(() => {}); // early: a chart that fails to get it says so
      state.unsubscribe?.();
      state.unsubscribe = subscribe(data.url, onView, look);
    },
    destroy() {
      state.unsubscribe?.();
      observer.disconnect();
      for (const card of cards.values()) card.remove();
    },
  };
});

/** Whether figures should be made for a narrow screen; as before while the panel is not shown. */
function isNarrow(root, before) {
  return root.clientWidth === 0 ? before : root.clientWidth < NARROW;
}

/** The cards of `data.ids` in order; those that were there before are kept with their drawing. */
function arrange(grid, data, before) {
  const cards = new Map();
  for (const id of data.ids) {
    const card = before.get(id) ?? (id === SENTENCES ? makeFindings(id) : makeChart(id, data.plotly));
    card.name(data.titles?.[id] ?? "", data.heights?.[id] ?? HEIGHT);
    setAttribute(card.node, "data-wide", id === SENTENCES || Boolean(data.wide?.includes(id)));
    cards.set(id, card);
    grid.append(card.node);
  }
  for (const [id, card] of before) if (!cards.has(id)) card.remove();
  return cards;
}

function makeChart(id, plotlyUrl) {
  const plot = html("div", { class: "plot skeleton" });
  const picture = html("div", { class: "picture", role: "group", "aria-label": id }, plot);
  const title = html("p", { class: "card-title" });
  const savers = html("div", { class: "savers" });
  const node = html("section", { class: "card", "data-chart": id, "data-testid": `chart-${id}` });
  node.append(html("div", { class: "card-head" }, title, savers), picture);
  const drawing = { figure: null, next: null, busy: false, drawn: "", gone: false };
  const link = linkChart(plot);

  for (const [format, save] of Object.entries(SAVERS)) {
    const button = html("button", { type: "button", class: "quiet-button" }, format);
    setAttribute(button, "aria-label", `Download the chart ${id} as ${format}`);
    button.addEventListener("click", () => {
      if (drawing.figure) save(id, plot, drawing.figure, plotlyUrl);
    });
    savers.append(button);
  }

  /** Draw the newest figure; one that came meanwhile is drawn next, those between never. */
  const draw = async () => {
    if (drawing.busy) return;
    drawing.busy = true;
    try {
      const plotly = await loadPlotly(plotlyUrl);
      while (drawing.next && !drawing.gone) {
        const figure = drawing.next;
        drawing.next = null;
        await nextFrame();
        await plotly.react(plot, figure.data, { ...figure.layout, autosize: true }, CONFIG);
        drawing.figure = figure;
        link.drawn(figure);
        plot.classList.remove("skeleton");
      }
    } catch (error) {
      drawing.next = null;
      reportError(error);
    } finally {
      drawing.busy = false;
    }
  };

  return {
    node,
    name(text, height) {
      setText(title, text);
      plot.style.minHeight = `${height}px`;
    },
    show(view) {
      const figure = view.figures?.[id] ?? null;
      setAttribute(node, "hidden", figure === null);
      setAttribute(picture, "aria-label", view.alts?.[id] ?? id);
      if (figure === null) return;
      const text = JSON.stringify(figure);
      if (text === drawing.drawn) return;
      drawing.drawn = text;
      drawing.next = figure;
      if (figure.layout?.height) plot.style.minHeight = `${figure.layout.height}px`;
      draw();
    },
    fit() {
      if (drawing.figure && plot.clientWidth > 0) window.Plotly.Plots.resize(plot);
    },
    remove() {
      drawing.gone = true;
      link.end();
      if (window.Plotly) window.Plotly.purge(plot);
      node.remove();
    },
  };
}

/** The next repaint, or soon where the page is hidden and none comes. */
function nextFrame() {
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
    setTimeout(resolve, 100);
  });
}

let plotly = null;

/** The plotly.js library, loaded once for all panels; tried again after a failure. */
function loadPlotly(url) {
  plotly ??= new Promise((resolve, reject) => {
    const script = html("script", { src: url });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      plotly = null;
      script.remove();
      reject(new Error(`${url} could not be loaded`));
    });
    document.head.append(script);
  });
  return plotly;
}
