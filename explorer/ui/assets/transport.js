/**
 * Play, pause, step, stop, reset; how far the run is; what happens. data = {url}.
 * A view may leave commands out of `controls`, whose buttons are then not there, nor is the bar
 * where the first is left out, and give
 * `words` for the others and `progress` in place of what is said of steps.
 */

import { applyTheme, html, mountable, setAttribute, setText, svg } from "./dom.js";
import { hurry, subscribe } from "./live.js";

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  resume: "M4 2.5v11l9-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  step: "M3 2.5v11L10 8zM11 2.5h2v11h-2z",
  stop: "M3.5 3.5h9v9h-9z",
  reset: "M8 2.5V.5L4 3.7 8 7V4.6a4 4 0 1 1-4 4H2a6 6 0 1 0 6-6.1z",
};
const LABELS = {
  play: "Play",
  resume: "Resume",
  pause: "Pause",
  step: "Step",
  stop: "Stop",
  reset: "Reset",
};
const HINTS = {
  play: "Play (Space)",
  resume: "Resume (Space)",
  pause: "Pause (Space)",
  step: "One step (right arrow)",
  stop: "Stop and keep the run",
  reset: "Back to step 0",
};
const ENDED = ["done", "diverged", "stopped", "interrupted", "failed"];
const LONGEST_BUSY = 3000; // ms that a button shows a command before it gives up waiting

const KEEPS_ITS_KEYS =
  "input, textarea, select, button, a[href], summary, dialog, [contenteditable=true]," +
  ["switch", "slider", "button", "tab", "radio", "option", "combobox", "menuitem", "dialog"]
    .map((role) => `[role=${role}]`)
    .join();

let count = 0;

export const mount = mountable("transport", (root) => {
  const parts = build(root);
  const state = { url: null, unsubscribe: null, fire: null, seq: 0, waiting: 0 };

  const settle = () => {
    clearTimeout(state.waiting);
    for (const button of parts.buttons) setAttribute(button, "aria-busy", null);
  };
  const command = (button) => {
    if (!enabled(button) || !state.fire) return;
    state.seq = Math.max(state.seq + 1, Date.now());
    setAttribute(button, "aria-busy", "true");
    clearTimeout(state.waiting);
    state.waiting = setTimeout(settle, LONGEST_BUSY);
    state.fire("command", { name: button.dataset.command, seq: state.seq });
    hurry();
  };
  const onClick = (event) => {
    const button = event.target.closest("button");
    if (button) command(button);
  };
  const onKey = (event) => {
    const button = { " ": parts.play, ArrowRight: parts.step }[event.key];
    if (!button || !enabled(button) || event.defaultPrevented || event.repeat) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.composedPath()[0].closest?.(KEEPS_ITS_KEYS)) return;
    event.preventDefault(); // Space would scroll the page
    command(button);
  };
  root.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);

  return {
    update({ data, setTriggerValue }) {
      state.fire = setTriggerValue;
      if (data.url === state.url) return;
      state.unsubscribe?.();
      state.url = data.url;
      state.unsubscribe = subscribe(data.url, (view) => {
        applyTheme(root);
        settle();
        show(root, parts, view);
      });
    },
    destroy() {
      state.unsubscribe?.();
      clearTimeout(state.waiting);
      document.removeEventListener("keydown", onKey);
    },
  };
});

function build(root) {
  const id = `transport-${(count += 1)}`;
  const [play, step, stop, reset] = ["play", "step", "stop", "reset"].map(makeButton);
  play.classList.add("primary");
  const progress = html("progress", {
    "data-testid": "progress",
    "aria-labelledby": id,
    value: 0,
    max: 1,
  });
  const label = html("span", { class: "progress-label", id });
  const status = html("p", {
    class: "status",
    role: "status",
    "aria-live": "polite",
    "data-testid": "status",
  });
  root.append(
    html("div", { class: "buttons" }, play, step, stop, reset),
    html("div", { class: "how-far" }, progress, html("div", { class: "said" }, label, status)),
  );
  return { play, step, stop, reset, progress, label, status, buttons: [play, step, stop, reset] };
}

function makeButton(name) {
  const icon = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path"));
  const button = html("button", { type: "button", "data-testid": name }, icon);
  setEnabled(button, false);
  const word = html("span", { class: "word" });
  setText(word, LABELS[name]);
  button.append(word);
  become(button, name);
  return button;
}

/** Turn `button` into the one that gives `command`. */
function become(button, command) {
  if (button.dataset.command === command) return;
  button.dataset.command = command;
  button.title = HINTS[command];
  button.querySelector("path").setAttribute("d", ICONS[command]);
}

function show(root, parts, view) {
  setAttribute(root, "data-lost", Boolean(view.lost));
  if (view.lost) {
    setText(parts.status, view.error ?? "The server does not answer; trying again.");
    for (const button of parts.buttons) setEnabled(button, false);
    return;
  }
  const { controls } = view;
  const primary = controls.pause ? "pause" : controls.resume ? "resume" : "play";
  become(parts.play, primary);
  const again = primary === "play" && ENDED.includes(view.state);
  const word = again ? "Play again" : LABELS[primary];
  setText(parts.play.querySelector(".word"), view.words?.[primary] ?? word);
  setEnabled(parts.play, controls[primary]);
  const nothing = ["pause", "resume", "play"].every((name) => controls[name] === undefined);
  setAttribute(parts.play, "hidden", nothing);
  setAttribute(parts.progress, "hidden", nothing);
  for (const name of ["step", "stop", "reset"]) {
    setAttribute(parts[name], "hidden", controls[name] === undefined);
    setText(parts[name].querySelector(".word"), view.words?.[name] ?? LABELS[name]);
    if (view.words?.[name]) parts[name].title = view.words[name];
    setEnabled(parts[name], controls[name]);
  }
  setAttribute(root, "data-state", view.state);
  setAttribute(root, "data-step", view.step);
  setAttribute(parts.progress, "max", Math.max(view.steps, 1));
  setAttribute(parts.progress, "value", view.state === "measuring" ? null : view.step);
  setText(parts.label, progressText(view));
  setText(parts.status, view.message ?? "");
}

/** Not `disabled`: that would take the keyboard's focus away while a command is carried out. */
function setEnabled(button, on) {
  setAttribute(button, "aria-disabled", on ? null : "true");
}

function enabled(button) {
  return !button.hasAttribute("aria-disabled");
}

/** Where the run is, in words: "step 93 of 200, 12.3 steps/s, about 8 s left". */
function progressText(view) {
  if (view.progress) return view.progress;
  const place = `step ${view.step} of ${view.steps}`;
  if (view.state === "idle") return `${view.steps} steps`;
  if (view.state === "measuring") return "measuring the network as initialised";
  if (view.state === "queued") return view.queue > 0 ? `queued, position ${view.queue}` : "queued";
  if (view.state === "paused") return `paused at ${place}`;
  if (ENDED.includes(view.state)) return `${view.state} at ${place}`;
  const parts = [place];
  if (view.steps_per_s) parts.push(`${rate(view.steps_per_s)} steps/s`);
  if (view.seconds_left !== null) parts.push(timeLeft(view.seconds_left));
  return parts.join(", ");
}

function rate(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function timeLeft(seconds) {
  if (seconds < 1) return "less than 1 s left";
  if (seconds < 100) return `about ${Math.round(seconds)} s left`;
  if (seconds < 6000) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${Math.round(seconds / 3600)} h left`;
}
