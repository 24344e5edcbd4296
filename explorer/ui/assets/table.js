/**
 * All runs as a table that is searched, sorted and marked here, without a word to the server.
 * data = {url, version, ids, find, sort, seq}; the event "look" has {ids, find, sort, seq}.
 */

import { applyTheme, html, mountable, setAttribute, setText, styled } from "./dom.js";
import { subscribe, wakeAll } from "./live.js";
import { COLUMNS, compare, makeRow } from "./table_row.js";
import { searcher, textOf } from "./search.js";

const AT_ONCE = 60; // rows drawn; more as one scrolls
const MOST_SELECTED = 200; // whose ids still fit an address
const SETTLE = 500; // ms without a key until the address has the words searched
const HINT = "Search: plain-56 state:done depth>20 tag:mine";

export const mount = mountable("table", (root) => {
  const parts = build(root);
  const state = { url: null, version: null, unsubscribe: null, fire: null, seq: 0, typing: 0 };
  const look = { ids: new Set(), find: "", sort: "" };
  const rows = new Map(); // by id
  let order = []; // ids as the server gave them, newest first
  let found = [];
  let limit = AT_ONCE;

  /** Tell Python what is on show, so that the address can say it. */
  const tell = () => {
    clearTimeout(state.typing);
    state.typing = 0;
    state.seq = Math.max(state.seq + 1, Date.now());
    state.fire?.("look", { ...look, ids: [...look.ids], seq: state.seq });
  };
  const draw = () => {
    const finds = searcher(look.find);
    found = order.map((id) => rows.get(id)).filter((row) => finds(row.values));
    if (look.sort) found.sort(compare(look.sort));
    place(parts.body, found.slice(0, limit).map((row) => row.node));
    parts.tell(found, order.length, look, rows);
    setAttribute(root, "data-rows", found.length);
  };
  const select = (ids, on) => {
    for (const id of ids) if (on && look.ids.size < MOST_SELECTED) look.ids.add(id);
    for (const id of ids) if (!on) look.ids.delete(id);
    for (const row of rows.values()) row.mark(look.ids.has(row.values.id));
    parts.tell(found, order.length, look, rows);
    tell();
  };
  const sortBy = (sort) => {
    look.sort = sort;
    draw();
    tell();
  };
  const onView = (view) => {
    setAttribute(root, "data-lost", Boolean(view.lost));
    if (view.lost) return;
    applyTheme(root);
    order = view.rows.map((row) => row.id);
    for (const id of [...rows.keys()]) if (!order.includes(id)) rows.delete(id);
    for (const values of view.rows) update(rows, values, look);
    draw();
    if (root.dataset.state !== "ready") showFirst(parts, found, look, (count) => {
      limit = Math.max(limit, count);
      draw();
    });
    setAttribute(root, "data-state", "ready");
  };

  parts.search.addEventListener("input", () => {
    look.find = parts.search.value;
    limit = AT_ONCE;
    draw();
    clearTimeout(state.typing);
    state.typing = setTimeout(tell, SETTLE);
  });
  parts.search.addEventListener("change", () => state.typing && tell());
  parts.sort.addEventListener("change", () => sortBy(parts.sort.value));
  parts.all.addEventListener("change", () => {
    select(found.map((row) => row.values.id), parts.all.checked);
  });
  parts.head.addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.column;
    if (name) sortBy(next(look.sort, name));
  });
  parts.body.addEventListener("change", (event) => {
    select([Number(event.target.closest("tr").dataset.id)], event.target.checked);
  });
  parts.body.addEventListener("click", (event) => {
    if (event.target.closest("input, a, button") || String(getSelection())) return;
    event.target.closest("tr")?.querySelector("input").click();
  });
  parts.body.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) moveFocus(event, step);
  });
  parts.scroller.addEventListener("scroll", () => {
    const { scrollTop, clientHeight, scrollHeight } = parts.scroller;
    if (scrollTop + 2 * clientHeight < scrollHeight || limit >= found.length) return;
    limit += AT_ONCE;
    draw();
  });

  return {
    update({ data, setTriggerValue }) {
      state.fire = setTriggerValue;
      if (data.seq >= state.seq && !state.typing) {
        Object.assign(look, { ids: new Set(data.ids), find: data.find, sort: data.sort });
        if (parts.search.value !== data.find) parts.search.value = data.find;
        for (const row of rows.values()) row.mark(look.ids.has(row.values.id));
      }
      state.seq = Math.max(state.seq, data.seq);
      if (data.url !== state.url) {
        state.unsubscribe?.();
        state.unsubscribe = subscribe(data.url, onView);
      } else if (data.version !== state.version) {
        wakeAll();
      }
      Object.assign(state, { url: data.url, version: data.version });
      draw();
    },
    destroy() {
      state.unsubscribe?.();
      clearTimeout(state.typing);
    },
  };
});

function build(root) {
  const search = html("input", { type: "search", placeholder: HINT, "aria-label": "Search runs" });
  const sort = html("select", { "aria-label": "Sort by" }, ...sortOptions());
  const count = html("p", { class: "quiet count", role: "status", "data-testid": "count" });
  const all = html("input", { type: "checkbox", "aria-label": "Select all that are found" });
  const heads = COLUMNS.map(makeHead);
  const head = html("tr", {}, html("th", { scope: "col", class: "mark" }, all), ...heads);
  const body = html("tbody");
  const table = html("table", { "aria-label": "Runs" }, html("thead", {}, head), body);
  const scroller = html("div", { class: "table-scroll" }, table);
  root.append(html("div", { class: "finder" }, search, sort, count), scroller);

  /** Say how many are found and selected, and which column sorts. */
  const tell = (found, total, look, rows) => {
    const one = total === 1 ? "run" : "runs";
    const shown = found.length === total ? `${total} ${one}` : `${found.length} of ${total} ${one}`;
    const chosen = [...look.ids].filter((id) => rows.has(id)).length;
    setText(count, chosen ? `${shown}, ${chosen} selected` : shown);
    const marked = found.filter((row) => look.ids.has(row.values.id)).length;
    all.checked = marked > 0 && marked === found.length;
    all.indeterminate = marked > 0 && marked < found.length;
    setAttribute(table, "aria-rowcount", found.length + 1);
    if (sort.value !== look.sort) sort.value = look.sort;
    for (const each of heads) {
      const name = each.firstChild.dataset.column;
      const way = { [name]: "ascending", [`-${name}`]: "descending" }[look.sort];
      setAttribute(each, "aria-sort", way ?? (name === "id" && !look.sort ? "descending" : null));
    }
  };
  return { search, sort, all, head, body, scroller, tell };
}

function makeHead({ name, label, number }) {
  const button = html("button", { type: "button", "data-column": name }, label);
  return html("th", { scope: "col", class: number ? `${name} number` : name }, button);
}

/** For phones, where most columns, and so their heads, are not in sight. */
function sortOptions() {
  const options = [html("option", { value: "" }, "Newest first")];
  for (const { name, label, number } of COLUMNS) {
    if (name === "id" || name === "created") continue;
    options.push(html("option", { value: name }, number ? `${label}, least first` : label));
    if (number) options.push(html("option", { value: `-${name}` }, `${label}, greatest first`));
  }
  return options;
}

/** What a click on a column's head makes of the order: up, down, and back to newest first. */
function next(sort, name) {
  if (name === "id") return sort === "id" ? "" : "id";
  return { [name]: `-${name}`, [`-${name}`]: "" }[sort] ?? name;
}

/** Make the row of `values`, or change what differs in the one that is there. */
function update(rows, values, look) {
  const text = JSON.stringify(values);
  const row = rows.get(values.id) ?? makeRow(values.id);
  rows.set(values.id, row);
  if (row.json === text) return;
  row.json = text;
  values.text = textOf(values);
  row.show(values);
  row.mark(look.ids.has(values.id));
}

/** Have exactly these children, in this order; a node that moves keeps the focus. */
function place(parent, nodes) {
  const focus = document.activeElement;
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  if (focus !== document.activeElement && parent.contains(focus)) {
    focus.focus({ preventScroll: true });
  }
}

/** Bring the first selected run into sight, once, when a link to a comparison was followed. */
function showFirst(parts, found, look, draw) {
  const index = found.findIndex((row) => look.ids.has(row.values.id));
  if (index < 0) return;
  draw(index + AT_ONCE);
  const top = found[index].node.offsetTop - parts.head.offsetHeight;
  parts.scroller.scrollTop = Math.max(0, top - parts.scroller.clientHeight / 3);
}

function moveFocus(event, step) {
  const row = event.target.closest("tr");
  const other = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  other?.querySelector("input").focus();
  event.preventDefault(); // the box would scroll besides
}

await styled("table");
