/** Where everything in the diagram stands: pure geometry, one scale for all rows. */

const LEAD = 74; // input and stem
const TAIL = 56; // head
const WIDEST = 60; // px from block to block
const STAGE_GAP = 0.5; // of a pitch
const TALLEST = 34; // px, a block of the first stage
const SHRINK = 0.8; // of a block's height from stage to stage, as resolution falls
const LIFT = 15; // px from a block to the top of its arc
const MARGIN = 6;
const BAR_ROOM = 24;
const FINGER = 24; // px, the least a target should measure

/** What is drawn in full, and what a very deep network leaves out. */
export const DENSE = 13; // px of pitch, below which sums and borders go

/** Least pitch: a finger's width as long as scrolling through the network stays bearable. */
function leastPitch(blocks) {
  if (blocks <= 60) return FINGER;
  return blocks <= 200 ? 12 : 6;
}

/** The pitch at which the longest of `arms` fits into `width`, within bounds. */
export function pitchFor(arms, width) {
  const units = arms.map((arm) => blockCount(arm) + STAGE_GAP * (arm.stages.length - 1));
  const blocks = Math.max(...arms.map(blockCount));
  const fitting = (width - LEAD - TAIL) / Math.max(...units, 1);
  return Math.min(WIDEST, Math.max(leastPitch(blocks), fitting));
}

export function blockCount(arm) {
  return arm.stages.reduce((sum, blocks) => sum + blocks, 0);
}

/** Positions of one row: {width, height, trunk, base, bars, labels, blocks, stages, ...}. */
export function rowLayout(arm, pitch, hasBars) {
  const top = MARGIN + (arm.plain ? 0 : LIFT);
  const trunk = top + TALLEST / 2;
  const base = trunk + TALLEST / 2 + 8 + (hasBars ? BAR_ROOM : 0);
  const blocks = [];
  const stages = [];
  let left = LEAD;
  arm.stages.forEach((count, stage) => {
    const height = Math.max(14, TALLEST * SHRINK ** stage);
    stages.push({ x: left + (count * pitch) / 2, width: count * pitch });
    for (let i = 0; i < count; i += 1) blocks.push({ x: left + (i + 0.5) * pitch, height });
    left += count * pitch;
    if (stage < arm.stages.length - 1) left += STAGE_GAP * pitch;
  });
  const labelled = Boolean(arm.labels?.length);
  return {
    width: left + TAIL,
    height: base + (labelled ? 20 : 6),
    trunk,
    base,
    barRoom: BAR_ROOM,
    labels: base + 14,
    blockWidth: pitch < DENSE ? Math.max(3, pitch - 2) : Math.min(34, pitch * 0.6),
    pitch,
    blocks,
    stages,
    input: 22,
    stem: 56,
    head: left + 18,
  };
}

/** The arc of a skip: from the trunk before its block to the trunk after it; if dense, its top. */
export function arcPath({ x, height }, { trunk, pitch }) {
  const foot = pitch < DENSE ? trunk - height / 2 - 1 : trunk;
  const peak = trunk - height / 2 - LIFT + 3;
  const handle = round(foot - (foot - peak) / 0.75); // a cubic reaches 3/4 of its handles
  const [from, to] = [x - pitch / 2, x + pitch / 2].map(round);
  return `M${from} ${round(foot)}C${from} ${handle} ${to} ${handle} ${to} ${round(foot)}`;
}

/** The area that takes the clicks for a skip: its whole pitch, from above the arc to the trunk. */
export function hitPath({ x, height }, { trunk, pitch }) {
  const top = trunk - height / 2 - LIFT - 2;
  return `M${round(x - pitch / 2)} ${round(top)}h${round(pitch)}V${round(trunk)}h${round(-pitch)}z`;
}

export function round(value) {
  return Math.round(value * 100) / 100;
}

/** Decades that hold every positive reading of all rows; null if there is none. */
export function decades(rows) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of rows.flat()) {
    if (value > 0 && value < Infinity) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) return null;
  const [floor, ceiling] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  return { low: floor, high: Math.max(ceiling, floor + 1) };
}

/** A reading's place in `decades`, 0 to 1; null for none, zero or one that is not a number. */
export function share(value, scale) {
  if (!scale || !(value > 0) || value === Infinity) return null;
  return (Math.log10(value) - scale.low) / (scale.high - scale.low);
}
