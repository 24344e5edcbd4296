/** The columns of the table of runs, and one run as a row: cells made once, then patched. */

import { html, setAttribute, setText } from "./dom.js";

/** `text(row)` stands in the cell, `value(row)` sorts; numbers are right-aligned. */
export const COLUMNS = [
  { name: "id", label: "Run", number: true, text: (row) => `#${row.id}` },
  { name: "name", label: "Network" },
  { name: "state", label: "State", text: (row) => row.state + (row.edited ? ", edited" : "") },
  { name: "step", label: "Step", number: true, text: progress },
  { name: "loss", label: "Loss", number: true, text: (row) => measure(row.loss) },
  { name: "train_error", label: "Train error", number: true, text: (r) => percent(r.train_error) },
  { name: "test_error", label: "Test error", number: true, text: (r) => percent(r.test_error) },
  { name: "device", label: "Device" },
  { name: "seconds", label: "Time", number: true, text: (row) => duration(row.seconds) },
  { name: "bytes", label: "Size", number: true, text: (row) => size(row.bytes) },
  { name: "created", label: "When", number: true, text: (row) => when(row.created) },
  { name: "tags", label: "Tags, note", value: (row) => row.tags.join(" ") },
];

/** A function that orders rows by a column, "-" before its name for the greatest first. */
export function compare(sort) {
  const name = sort.replace(/^-/, "");
  const column = COLUMNS.find((each) => each.name === name) ?? COLUMNS[0];
  const value = column.value ?? ((row) => row[column.name]);
  const way = sort.startsWith("-") ? -1 : 1;
  return (a, b) => {
    const [left, right] = [value(a.values), value(b.values)];
    const known = unknown(left) - unknown(right); // what was not read comes last either way
    if (known || unknown(left)) return known || b.values.id - a.values.id;
    const order = typeof left === "string" ? left.localeCompare(right) : left - right;
    return way * order || b.values.id - a.values.id;
  };
}

function unknown(value) {
  return value === undefined || value === null || value === "" ? 1 : 0;
}

/** A row of the table: {node, values, show(values), mark(on)}. */
export function makeRow(id) {
  const box = html("input", { type: "checkbox" });
  const cells = COLUMNS.map(({ name, number }) =>
    html(name === "name" ? "th" : "td", {
      class: number ? `${name} number` : name,
      scope: name === "name" ? "row" : null,
    }),
  );
  const cell = (name) => cells[COLUMNS.findIndex((column) => column.name === name)];
  const title = html("bdi", { class: "run-name" });
  const brief = html("span", { class: "quiet brief" });
  cell("name").append(title, brief);
  const tags = html("span", { class: "tags" });
  const note = html("bdi", { class: "quiet note" });
  cell("tags").append(tags, note);
  const node = html("tr", { "data-id": id }, html("td", { class: "mark" }, box), ...cells);
  const row = { node, values: null, json: "" };

  row.mark = (on) => {
    box.checked = on;
    setAttribute(node, "data-marked", on);
  };
  row.show = (values) => {
    row.values = values;
    setAttribute(box, "aria-label", `Select run ${values.id}, ${values.name}`);
    COLUMNS.forEach(({ name, text }, index) => {
      if (name !== "name" && name !== "tags") setText(cells[index], (text ?? ((r) => r[name]))(values));
    });
    if (title.textContent !== values.name) title.replaceChildren(...inParts(values));
    setAttribute(title, "title", values.name);
    setText(brief, inBrief(values));
    setAttribute(node, "data-state", values.state);
    setAttribute(cell("state"), "title", values.message || null);
    setText(note, values.note);
    setAttribute(note, "title", values.note || null);
    const marks = values.pinned ? [html("span", { class: "tag pin" }, "reference")] : [];
    tags.replaceChildren(...marks, ...values.tags.map((tag) => html("bdi", { class: "tag" }, tag)));
  };
  return row;
}

/** The name, which breaks after the commas of a short form and not at its hyphens. */
function inParts({ name, planned }) {
  if (planned === undefined) return [name];
  return name.split(/(?<=,)/).map((part) => html("span", { class: "part" }, part));
}

/** What phones show under the name in place of columns. */
function inBrief(row) {
  const loss = row.loss === undefined ? "" : `loss ${measure(row.loss)}`;
  const parts = [row.state, `step ${progress(row)}`, loss, when(row.created)];
  return parts.filter(Boolean).join(" · ");
}

function progress(row) {
  const whole = row.planned === undefined || row.step >= row.planned;
  return whole ? `${row.step}` : `${row.step}/${row.planned}`;
}

/** Three digits; a loss that is no number says so, one that was not read is a dash. */
function measure(value) {
  if (value === undefined) return "–";
  if (value === null) return "not finite";
  const small = Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4;
  return small && value !== 0 ? value.toExponential(1) : Number(value.toPrecision(3)).toString();
}

function percent(share) {
  return typeof share === "number" ? `${(100 * Math.max(share, 0)).toFixed(1)} %` : "–";
}

function duration(seconds) {
  if (seconds < 1) return seconds > 0 ? "< 1 s" : "–";
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function size(bytes) {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes > 0 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : "–";
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** The time of a run of today, else its day. */
function when(created) {
  const [date, now] = [new Date(1000 * created), new Date()];
  return date.toDateString() === now.toDateString() ? TIME.format(date) : DAY.format(date);
}
