/** What the readings say in words, each finding with its rule. data = {url, name}. */

import { applyTheme, html, mountable, setText } from "./dom.js";
import { subscribe } from "./live.js";

export const mount = mountable("findings", (root) => {
  const state = { url: null, unsubscribe: null, list: null };
  return {
    update({ data }) {
      if (data.url === state.url) return;
      state.unsubscribe?.();
      state.list?.remove();
      state.list = makeFindings(data.name);
      root.append(state.list.node);
      state.url = data.url;
      state.unsubscribe = subscribe(data.url, (view) => {
        applyTheme(root);
        if (!view.lost) state.list.show(view);
      });
    },
    destroy() {
      state.unsubscribe?.();
    },
  };
});

/** The view's findings called `name` as a list; a card among charts, too. */
export function makeFindings(id) {
  const list = html("ul", { class: "findings", "data-testid": id });
  return {
    node: list,
    name() {},
    fit() {},
    remove: () => list.remove(),
    show(view) {
      const sentences = view[id] ?? [];
      while (list.children.length > sentences.length) list.lastChild.remove();
      sentences.forEach(({ text, rule }, index) => {
        const item = list.children[index] ?? list.appendChild(finding());
        const said = rule === sentences[index + 1]?.rule; // once, after the last it holds for
        setText(item.firstChild, text);
        setText(item.lastChild, said ? "" : (rule ?? ""));
      });
    },
  };
}

function finding() {
  return html("li", {}, html("span"), " ", html("span", { class: "quiet" }));
}
