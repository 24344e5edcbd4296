/**
 * The search of the table of runs. Every word must be found somewhere in a row; `state:done`
 * looks into one field, `depth>20` compares a number, `-word` must not be found.
 */

const WORD = /^(-?)([a-z_]+)(>=|<=|[:=<>])(.+)$/;
const ALIASES = { tag: "tags", error: "test_error", time: "seconds", size: "bytes", run: "id" };
const SHARES = ["train_error", "test_error"]; // shown, and so compared, in percent
const COMPARED = {
  ">": (a, b) => a > b,
  "<": (a, b) => a < b,
  ">=": (a, b) => a >= b,
  "<=": (a, b) => a <= b,
  "=": (a, b) => a === b,
  ":": (a, b) => a === b,
};

/** A function that says whether a row is found; `text` is what stands in the search box. */
export function searcher(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean).map(finder);
  return (row) => words.every((finds) => finds(row));
}

/** All text of a row, in lower case; kept with it, as it is searched at every key. */
export function textOf(row) {
  const fields = Object.entries(row.fields).map(([name, value]) => `${name}=${value}`);
  const words = [`#${row.id}`, row.name, row.words, row.state, row.device, row.note, row.message];
  const marks = [row.pinned ? "reference" : "", row.edited ? "edited" : ""];
  return [...words, ...row.tags, ...marks, ...fields].join("\n").toLowerCase();
}

function finder(word) {
  const field = WORD.exec(word);
  if (field) {
    const [, minus, name, sign, wanted] = field;
    const number = Number(wanted);
    const finds = (row) => {
      const value = valueOf(row, ALIASES[name] ?? name);
      if (value === undefined) return row.text.includes(word);
      if (typeof value === "number") return COMPARED[sign](value, number);
      return [":", "="].includes(sign) && String(value).toLowerCase().includes(wanted);
    };
    return minus ? (row) => !finds(row) : finds;
  }
  const [not, plain] = /^-./.test(word) ? [true, word.slice(1)] : [false, word];
  return (row) => row.text.includes(plain) !== not;
}

/** A field of the row or of its spec, tags as one text; undefined if it has none of the name. */
function valueOf(row, name) {
  const home = [row.fields, row].find((each) => Object.hasOwn(each, name));
  const value = home?.[name];
  if (Array.isArray(value)) return value.join("\n");
  return SHARES.includes(name) && typeof value === "number" ? 100 * value : value;
}
