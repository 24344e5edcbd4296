/** Loads lesions.css, which the panels of lesions and of the unravelled graph share. */

import { html } from "./dom.js";

/** Resolves when it is there, or cannot be had. */
function styled() {
  const href = new URL("./lesions.css", import.meta.url).href;
  return new Promise((resolve) => {
    const link = html("link", { rel: "stylesheet", href });
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    document.head.append(link);
  });
}

await styled();
