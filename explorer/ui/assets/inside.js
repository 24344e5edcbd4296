/** Loads inside.css once; its importers are there when it is, or cannot be had. */

import { html } from "./dom.js";

const href = new URL("./inside.css", import.meta.url).href;

await new Promise((resolve) => {
  const link = html("link", { rel: "stylesheet", href });
  link.addEventListener("load", resolve);
  link.addEventListener("error", resolve);
  document.head.append(link);
});
