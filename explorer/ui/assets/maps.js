/**
 * What an image becomes in every block: x, F(x) and their sum, one block large and all in rows.
 * data = {url}; the view has maps: {arms: [{name, color, plain, input, stem, blocks: [{name,
 * stage, skip, act, x, residual, output}]}], block}, each map as in maps_canvas.js, x null where
 * nothing is added. The event "block" has {block, seq}.
 */

import { applyTheme, html, mountable, setAttribute, setText } from "./dom.js";
import { onFocus, setFocus } from "./focus.js";
import "./inside.js";
import { hurry, subscribe } from "./live.js";
import { paletteOf } from "./maps_colors.js";
import { makeGrid } from "./maps_grid.js";
import { KINDS, makeOne, placeText } from "./maps_one.js";

const STEP = 0.05; // of a block, on the slider
const TICK = 45; // ms from one step to the next while it plays
const STILL = 1000; // ms a block where motion is not wanted
const SCALES = { map: "each map", arm: "all blocks" };

export const mount = mountable("maps", (root) => {
  const controls = makeControls();
  const one = makeOne();
  const state = { url: null, unsubscribe: null, fire: null, seq: 0, text: "", maps: null };
  Object.assign(state, { at: 1, told: null, served: null, scale: "map", theme: "", playing: 0, width: 0 });

  const last = () => Math.max(...state.maps.arms.map((arm) => arm.blocks.length));
  const limits = () => state.maps.arms.map((arm) => (state.scale === "arm" ? limitsOf(arm) : null));
  const drawOne = () => {
    controls.show(state, last());
    one.show(state.maps, state.at, limits(), state.palette);
  };
  const drawAll = () => {
    if (!state.maps || root.clientWidth === 0) return;
    state.palette = paletteOf(root, state.theme);
    drawOne();
    grid.show(state.maps, limits(), state.palette, Math.round(state.at));
  };
  const go = (at) => {
    state.at = at;
    drawOne();
    grid.mark(Math.round(at));
  };
  /** Tell Python which block is on show, once the slider has come to rest. */
  const tell = () => {
    const block = Math.round(state.at);
    if (block === state.told) return;
    state.told = block;
    state.seq = Math.max(state.seq + 1, Date.now());
    state.fire?.("block", { block, seq: state.seq });
    hurry();
  };
  const pause = () => {
    clearTimeout(state.playing);
    state.playing = 0;
    controls.playing(false);
  };
  const play = () => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const next = still ? Math.floor(state.at) + 1 : Math.round((state.at + STEP) / STEP) * STEP;
    go(Math.min(Number(next.toFixed(2)), last()));
    setFocus(Math.round(state.at), root);
    if (state.at < last()) {
      state.playing = setTimeout(play, still ? STILL : TICK);
      return;
    }
    pause();
    tell();
  };
  const grid = makeGrid({
    look: (block) => setFocus(block, root),
    choose(block) {
      pause();
      go(block);
      tell();
    },
  });
  root.append(controls.node, one.node, grid.node);
  setAttribute(root, "data-testid", "maps");

  controls.play.addEventListener("click", () => {
    if (!state.maps) return;
    if (state.playing) {
      pause();
      tell();
      return;
    }
    if (state.at >= last()) go(1);
    controls.playing(true);
    play();
  });
  controls.slider.addEventListener("input", () => {
    pause();
    go(controls.slider.valueAsNumber);
    setFocus(Math.round(state.at), root);
  });
  controls.slider.addEventListener("change", tell);
  controls.slider.addEventListener("keydown", (event) => {
    const [low, high] = [Math.ceil(state.at) - 1, Math.floor(state.at) + 1]; // whole blocks
    const to = { ArrowLeft: low, ArrowDown: low, ArrowRight: high, ArrowUp: high }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey || !state.maps) return;
    event.preventDefault();
    pause();
    go(Math.min(Math.max(to, 1), last()));
    setFocus(Math.round(state.at), root);
  });
  controls.slider.addEventListener("keyup", () => state.maps && tell());
  controls.slider.addEventListener("blur", () => setFocus(null, root));
  controls.onScale((scale) => {
    state.scale = scale;
    drawAll();
  });

  const show = (view) => {
    setAttribute(root, "data-lost", Boolean(view.lost));
    if (view.lost) return;
    setAttribute(root, "data-waiting", !view.maps);
    if (!view.maps) return;
    const { block, ...maps } = view.maps;
    const text = JSON.stringify(maps);
    const news = text !== state.text;
    if (news) Object.assign(state, { text, maps });
    setAttribute(root, "data-ready", true);
    state.at = Math.min(state.at, last());
    if (block !== state.served) {
      // Only a block that changed there: an older answer must not move the slider back.
      Object.assign(state, { served: block, told: block });
      if (block !== Math.round(state.at) && !state.playing) state.at = Math.min(Math.max(block, 1), last());
    }
    if (news) drawAll();
    else go(state.at);
    setAttribute(root, "data-image", maps.image);
  };
  const look = () => {
    const theme = applyTheme(root);
    if (theme !== state.theme) {
      state.theme = theme;
      drawAll();
    }
    return {};
  };
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === state.width) return;
    state.width = root.clientWidth;
    drawAll();
  });
  observer.observe(root);
  const off = onFocus((block, source) => grid.look(block, source === root));

  return {
    update({ data, setTriggerValue }) {
      state.fire = setTriggerValue;
      look();
      if (data.url === state.url) return;
      state.unsubscribe?.();
      state.url = data.url;
      state.unsubscribe = subscribe(data.url, show, look);
    },
    destroy() {
      state.unsubscribe?.();
      observer.disconnect();
      pause();
      off();
      setFocus(null, root);
      grid.destroy();
    },
  };
});

/** The largest value of each kind over an arm's blocks, stated once for all of them. */
function limitsOf({ blocks }) {
  const peak = (kind) => Math.max(0, ...blocks.map((block) => block[kind]?.peak ?? 0));
  return Object.fromEntries(KINDS.map((kind) => [kind, peak(kind)]));
}

function makeControls() {
  const play = html("button", { type: "button", class: "maps-play", "data-testid": "maps-play" }, "Play");
  const range = { type: "range", min: 1, max: 1, step: STEP, value: 1, "data-testid": "maps-slider" };
  const slider = html("input", { ...range, "aria-label": "Block" });
  const place = html("output", { class: "maps-place" });
  const buttons = Object.entries(SCALES).map(([scale, words]) => {
    const about = { type: "button", class: "small-button", "data-scale": scale };
    return html("button", { ...about, "aria-pressed": String(scale === "map") }, words);
  });
  const scales = { class: "group", role: "group", "aria-label": "Colour scale of" };
  const group = html("div", scales, html("span", { class: "quiet" }, "Colour scale of"), ...buttons);
  const node = html("div", { class: "maps-controls" }, play, slider, place, group);
  return {
    node,
    play,
    slider,
    show({ at }, count) {
      setAttribute(slider, "max", count);
      if (slider.valueAsNumber !== at) slider.value = at;
      setAttribute(slider, "aria-valuetext", `${placeText(at)} of ${count}`);
      setText(place, Number.isInteger(at) ? `block ${at} of ${count}` : placeText(at));
    },
    playing(on) {
      setText(play, on ? "Pause" : "Play");
    },
    onScale(hear) {
      group.addEventListener("click", (event) => {
        const chosen = event.target.closest("[data-scale]");
        if (!chosen) return;
        for (const each of buttons) setAttribute(each, "aria-pressed", String(each === chosen));
        hear(chosen.dataset.scale);
      });
    },
  };
}
