/**
 * The way between pages: a row of groups and, where the current one has several, its pages.
 * data = {brand, current, groups: [{name, pages: [{name, path}]}]}.
 * It also takes over the presses of all other links to pages, so that none costs a reload.
 */

import { html, mountable, setAttribute, setAttributes, setText, styled } from "./dom.js";

export const mount = mountable("navigation", (root) => {
  const brand = html("div", { class: "brand" });
  const groups = html("ul", { class: "groups" });
  const pages = html("ul", { class: "pages" });
  const nav = html("nav", { "aria-label": "Pages" }, brand, groups, pages);
  root.append(nav);
  let paths = [];
  let current = null;

  const onClick = (event) => {
    const link = pressed(event, paths);
    if (!link) return;
    event.preventDefault();
    // A press on the page one is on must not throw away what its address says.
    if (nav.contains(link) && link.pathname === current) return;
    if (link.href === location.href) return;
    history.pushState({}, "", link.href);
    // Streamlit answers to Back and Forward by running the page that the address names; a rerun
    // with st.switch_page would enter the page that is left twice in the history.
    dispatchEvent(new PopStateEvent("popstate", { state: {} }));
    root.scrollIntoView();
  };
  document.addEventListener("click", onClick);

  return {
    update({ data }) {
      const group = data.groups.find(({ pages }) => pages.some(at(data.current)));
      current = data.current;
      paths = data.groups.flatMap((one) => one.pages.map(({ path }) => path));
      setText(brand, data.brand);
      fill(groups, data.groups.map(({ name, pages: [first] }) => ({ name, path: first.path })));
      data.groups.forEach((one, index) => markGroup(groups.children[index], one, one === group));
      const shown = group && group.pages.length > 1 ? group.pages : [];
      fill(pages, shown);
      setAttribute(pages, "hidden", shown.length === 0);
      setAttribute(pages, "aria-label", group?.name);
      shown.forEach((page, index) => mark(pages.children[index], at(current)(page) && "page"));
    },
    destroy() {
      document.removeEventListener("click", onClick);
    },
  };
});

function at(path) {
  return (page) => page.path === path;
}

/** The link to a page that `event` presses as one does to follow it here; null for any other. */
function pressed(event, paths) {
  if (event.defaultPrevented || event.button !== 0) return null;
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return null;
  const link = event.composedPath().find((node) => node.nodeName === "A" && node.href);
  if (!link || link.target || link.hasAttribute("download") || link.hash) return null;
  return link.origin === location.origin && paths.includes(link.pathname) ? link : null;
}

/** Make the items of `list` links to `pages`; those already there stay, and keep the focus. */
function fill(list, pages) {
  while (list.children.length > pages.length) list.lastChild.remove();
  while (list.children.length < pages.length) list.append(html("li", {}, html("a")));
  pages.forEach(({ name, path }, index) => {
    const link = list.children[index].firstChild;
    setText(link, name);
    setAttributes(link, { href: path, "data-name": name });
  });
}

function markGroup(item, { pages }, isCurrent) {
  mark(item, isCurrent && (pages.length > 1 ? "true" : "page"));
  setAttribute(item.firstChild, "title", pages.map(({ name }) => name).join(", "));
}

function mark(item, current) {
  setAttribute(item.firstChild, "aria-current", current);
}

await styled("navigation");
