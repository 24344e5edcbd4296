/** The colours of feature maps: red below 0, blue above, at 0 the page itself. */

const RED_BLUE = ["#b2182b", "#ef8a62", "#fddbc7", "#d1e5f0", "#67a9cf", "#2166ac"]; // ColorBrewer

export const HALF = 127; // colours on either side of 0

/**
 * The colours of the theme around `node`: {colors: 255 of them from -1 to 1, gap, css(value)}.
 * 0 is the page's own colour; on a dark page the far ends are the bright ones.
 */
export function paletteOf(node, theme) {
  const style = getComputedStyle(node);
  const page = theme === "dark" ? rgb(style.getPropertyValue("--st-background-color")) : [255, 255, 255];
  const ends = RED_BLUE.map(rgb);
  const [reds, blues] = [ends.slice(0, 3), ends.slice(3)];
  const half = (color) => between([page, color], 0.5); // else little would look like much
  const anchors =
    theme === "dark"
      ? [...reds.toReversed(), half(reds[0]), page, half(blues[2]), ...blues.toReversed()]
      : [...reds, page, ...blues];
  const mixed = Array.from({ length: 2 * HALF + 1 }, (_, i) => between(anchors, i / (2 * HALF)));
  const gap = between([page, rgb(style.color)], 0.28);
  const css = (value) => `rgb(${mixed[HALF + Math.round(HALF * value)].join(" ")})`;
  return { colors: Uint32Array.from(mixed, packed), gap: packed(gap), css };
}

function between(anchors, share) {
  const place = share * (anchors.length - 1);
  const low = Math.min(Math.floor(place), anchors.length - 2);
  return anchors[low].map((one, i) => Math.round(one + (place - low) * (anchors[low + 1][i] - one)));
}

/** A colour as a canvas keeps it in a 32-bit word (every browser's machine is little-endian). */
function packed([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

let ink = null;

function rgb(color) {
  ink ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  ink.fillStyle = color.trim();
  ink.fillRect(0, 0, 1, 1);
  return [...ink.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
