/** Every arrow of the diagram as a row of a table, for who reads numbers rather than drawings. */

import { html } from "./dom.js";

const HEADS = ["Arrow", "Shape", "↓ std", "↑ ‖gradient‖"];

/** The table, folded: {node, show(edges)}. */
export function makeTable() {
  const body = html("tbody");
  const head = html("tr", {}, ...HEADS.map((name) => html("th", { scope: "col" }, name)));
  const table = html("table", { "data-testid": "sum-table" }, html("thead", {}, head), body);
  const region = { class: "scroll", role: "region", tabindex: 0, "aria-label": "Numbers" };
  const summary = html("summary", {}, "The numbers as a table");
  return {
    node: html("details", { class: "sum-table" }, summary, html("div", region, table)),
    show(edges) {
      body.replaceChildren(
        ...edges.map(({ name, shape, value, gradient }) => {
          const cells = [shape, value, gradient].map((text) => html("td", {}, text));
          return html("tr", {}, html("th", { scope: "row" }, name), ...cells);
        }),
      );
    },
  };
}
