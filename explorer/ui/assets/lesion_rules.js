/** What may be done to a row of blocks, and the scale of their costs: no drawing here. */

/** What runs in each place, in order; 0 where it is deleted. */
export function orderOf(places) {
  return places.map((place) => (place.gone ? 0 : place.runs));
}

/** The block that comes back to the deleted place `at`: its last one, or one not in use. */
export function freeFor(places, at) {
  const used = new Set(orderOf(places));
  const group = shapesOf(places);
  const kept = places.filter((_, other) => group[other] === group[at]);
  const wanted = [places[at].runs, places[at].number, ...kept.map((place) => place.number)];
  return wanted.find((number) => !used.has(number)) ?? places[at].number;
}

/** Why the place `at` cannot take part in a swap now, in words; "" if it can. */
export function refusal(places, at, picked) {
  const place = places[at];
  if (place.changes_shape) return `Block ${place.runs} changes the shape, so it stays in its place`;
  if (place.gone) return `Block ${place.runs} is deleted; bring it back to swap it`;
  const group = shapesOf(places);
  const fits = (other) => other !== at && group[other] === group[at] && !places[other].gone;
  if (picked !== null && picked !== at) {
    const reason = `has another shape than block ${places[picked].runs}`;
    return fits(picked) ? "" : `Block ${place.runs} ${reason}: swaps stay inside a stage`;
  }
  const partner = places.some((_, other) => fits(other));
  return partner ? "" : `Block ${place.runs} has no other of its shape to be swapped with`;
}

/** A mark for each place: the same for blocks that read and put out one and the same shape. */
function shapesOf(places) {
  let changes = 0;
  return places.map((place) => {
    changes += place.changes_shape;
    return place.changes_shape ? `at ${place.number}` : `after ${changes}`;
  });
}

/** The costs that the bars of all arms reach over, from 0 or below; null if none is known. */
export function scaleOf(arms) {
  const costs = arms.flatMap((arm) => arm.blocks.map((block) => block.cost));
  const known = costs.filter(Number.isFinite);
  if (known.length === 0) return null;
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  return { low, high: high > low ? high : low + 0.01 };
}

/** A share as percent. */
export function percent(share) {
  return `${points(share)} %`;
}

/** A difference of shares in points of percent, with a true minus. */
export function points(share) {
  return (100 * share).toFixed(1).replace(/^-(?=0\.0$)/, "").replace("-", "−");
}
