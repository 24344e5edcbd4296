/**
 * A small table of the view: view[name] = {caption, head: [text], rows: [[text]]}, the first cell of
 * a row its heading, with an optional color: {text, color}. data = {url, name}.
 */

import { applyTheme, html, mountable, setAttribute, setText } from "./dom.js";
import { subscribe } from "./live.js";

export const mount = mountable("facts", (root) => {
  const caption = html("caption", { class: "quiet" });
  const [head, body] = [html("thead"), html("tbody")];
  const table = html("table", {}, caption, head, body);
  const region = html("div", { class: "scroll", role: "region", tabindex: 0 }, table);
  root.append(region);
  const state = { url: null, name: "", unsubscribe: null, said: "" };

  const show = (view) => {
    if (view.lost) return;
    applyTheme(root);
    const facts = view[state.name];
    setAttribute(root, "hidden", !facts?.rows.length);
    const said = JSON.stringify(facts ?? null);
    if (!facts || said === state.said) return;
    state.said = said;
    setText(caption, facts.caption ?? "");
    setAttribute(region, "aria-label", facts.caption ?? state.name);
    head.replaceChildren(html("tr", {}, ...facts.head.map((text) => html("th", { scope: "col" }, text))));
    body.replaceChildren(...facts.rows.map(line));
  };

  return {
    update({ data }) {
      if (data.url === state.url && data.name === state.name) return;
      state.unsubscribe?.();
      Object.assign(state, { url: data.url, name: data.name });
      setAttribute(table, "data-testid", `facts-${data.name}`);
      state.unsubscribe = subscribe(data.url, show);
    },
    destroy() {
      state.unsubscribe?.();
    },
  };
});

function line([first, ...cells]) {
  const heading = html("th", { scope: "row" }, first.text ?? first);
  if (first.color && CSS.supports("color", first.color)) {
    const swatch = html("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = first.color;
    heading.prepend(swatch);
  }
  return html("tr", {}, heading, ...cells.map((text) => html("td", {}, text)));
}
