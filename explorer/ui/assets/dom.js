/**
 * What the panels share: making nodes, changing only what differs, their life and their theme.
 * Text from the server enters the page through textContent alone, so names may hold any character.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with `attributes` and `children` (nodes or strings). */
export function html(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** An SVG element with `attributes` and `children`. */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  node.append(...children);
  return node;
}

/** Set `name`, or remove it for null or false, and only if that changes something. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value === true ? "" : value);
  }
}

/** Set several attributes, each only if it changes something. */
export function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
}

/** Set the text, only if it changes; a live region then speaks only news. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const panels = new WeakMap();

/**
 * The `mount` of a panel. `create(root)` runs once for each parent element and returns
 * {update(args), destroy()}; later calls only update. A cleanup of an earlier call does
 * nothing, because Streamlit runs it after the call that replaced it.
 */
export function mountable(name, create) {
  return (args) => {
    const host = args.parentElement;
    let panel = panels.get(host);
    if (!panel) {
      host.querySelector(".panel-space")?.remove();
      const root = html("div", { class: `panel panel-${name}` });
      host.append(root);
      panel = { root, calls: 0, ...create(root) };
      panels.set(host, panel);
    }
    panel.calls += 1;
    const call = panel.calls;
    applyTheme(panel.root);
    panel.update(args);
    return () => {
      if (panel.calls !== call || panels.get(host) !== panel) return;
      panel.destroy();
      panel.root.remove();
      panels.delete(host);
    };
  };
}

/** Mark `root` as dark or light, after the Streamlit theme it stands in; returns which. */
export function applyTheme(root) {
  const style = getComputedStyle(root);
  const theme = luminance(style.getPropertyValue("--st-background-color")) < 0.4 ? "dark" : "light";
  const primary = luminance(style.getPropertyValue("--st-primary-color"));
  setAttribute(root, "data-theme", theme);
  setAttribute(root, "data-primary", primary > 0.3 ? "pale" : "deep");
  return theme;
}

let ink = null;

/** Relative luminance (WCAG 2) of a CSS colour, 0 to 1; white for one that cannot be read. */
function luminance(color) {
  ink ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  ink.fillStyle = "#ffffff";
  ink.fillStyle = color.trim();
  ink.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...ink.getImageData(0, 0, 1, 1).data].map((byte) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const sheets = new Map();

/** Resolves when that style sheet is there, or cannot be had: a panel must not wait for its looks. */
export function styled(name) {
  if (!sheets.has(name)) {
    const href = new URL(`./${name}.css`, import.meta.url).href;
    const loaded = new Promise((resolve) => {
      const link = html("link", { rel: "stylesheet", href });
      link.addEventListener("load", resolve);
      link.addEventListener("error", resolve);
      document.head.append(link);
    });
    sheets.set(name, loaded);
  }
  return sheets.get(name);
}

await styled("panel");
