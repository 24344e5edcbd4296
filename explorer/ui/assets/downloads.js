/** A chart as a file: SVG as drawn, CSV of its numbers, HTML that stands alone. */

import { html } from "./dom.js";

/** The drawing as it is on screen, on the page's colour: its text is made for that. */
export function saveSvg(id, plot) {
  const { width, height } = plot.getBoundingClientRect();
  const layout = { ...plot.layout, paper_bgcolor: pageColor(plot) };
  const figure = { data: plot.data, layout };
  window.Plotly.downloadImage(figure, { format: "svg", filename: id, width, height });
}

/** Every point of every trace, one a row. */
export function saveCsv(id, plot, figure) {
  save(`${id}.csv`, "text/csv", csv(figure));
}

/** A page that shows the chart without a network, plotly.js inside. */
export async function saveHtml(id, plot, figure, plotlyUrl) {
  const library = await (await fetch(plotlyUrl)).text();
  save(`${id}.html`, "text/html", standalone(id, figure, library, pageColor(plot)));
}

function pageColor(plot) {
  return getComputedStyle(plot).getPropertyValue("--st-background-color").trim() || "#ffffff";
}

/** The figure's numbers as CSV with the columns trace, x, y and, for maps, z. */
export function csv(figure) {
  const rows = figure.data.flatMap(rowsOf);
  const columns = rows.some((row) => row.length > 3) ? 4 : 3;
  const lines = [["trace", "x", "y", "z"].slice(0, columns), ...rows].map((row) =>
    row.concat(Array(columns - row.length).fill("")).map(cell).join(","),
  );
  return lines.join("\r\n") + "\r\n";
}

function rowsOf(trace, index) {
  const name = trace.name ?? `trace ${index + 1}`;
  const [x, y, z] = [trace.x, trace.y, trace.z].map(values);
  if (z) {
    return z.flatMap((row, i) => values(row).map((v, j) => [name, x?.[j] ?? j, y?.[i] ?? i, v]));
  }
  const length = Math.max(x?.length ?? 0, y?.length ?? 0);
  return Array.from({ length }, (_, i) => [name, x?.[i] ?? i, y?.[i] ?? ""]);
}

const KINDS = {
  i1: Int8Array,
  u1: Uint8Array,
  u1c: Uint8ClampedArray,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
  f4: Float32Array,
  f8: Float64Array,
};

/** A plain array, of rows where it has two axes; plotly packs arrays as {bdata, dtype, shape}. */
function values(packed) {
  if (!packed?.bdata) return packed;
  const bytes = Uint8Array.from(atob(packed.bdata), (letter) => letter.charCodeAt(0));
  const flat = [...new KINDS[packed.dtype](bytes.buffer)];
  const [rows, columns] = String(packed.shape ?? flat.length).split(",").map(Number);
  if (columns === undefined) return flat;
  return Array.from({ length: rows }, (_, i) => flat.slice(i * columns, (i + 1) * columns));
}

/** One cell, quoted where needed; a text that a spreadsheet would run is kept a text. */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : `${value}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function standalone(id, figure, library, page) {
  const json = JSON.stringify(figure).replaceAll("<", "\\u003c"); // no tag may end the script
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    html("title", {}, id).outerHTML,
    `<style>body { margin: 1rem; background: ${page} }</style>`,
    `<script>${library}</script></head><body>`,
    '<div id="chart" style="height:90vh"></div>',
    `<script>const figure = ${json};`,
    'Plotly.newPlot("chart", figure.data, figure.layout, {responsive: true});</script>',
    "</body></html>",
  ].join("\n");
}

function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  html("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
