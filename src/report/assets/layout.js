// Where each event stands: its row. Time runs downwards; a row is as long as it takes to tell one thing.

// How long nothing must happen for it to be told.
const PAUSE_MS = 20;
// How many messages and disk operations in a row are a quiet stretch, and how many of its ends are shown all the same.
const QUIET_MIN = 10;
const QUIET_ENDS = 2;

// Stretches of shown events in which nobody decides anything: { from, to } as places in `shown`, both folded.
function quietStretches(shown, open) {
  const stretches = [];
  let from = 0;
  for (let place = 0; place <= shown.length; place++) {
    const quiet = place < shown.length && isMinor(kindOf(shown[place]));
    if (quiet) continue;
    if (place - from >= QUIET_MIN && !open.has(shown[from + QUIET_ENDS])) {
      stretches.push({ from: from + QUIET_ENDS, to: place - QUIET_ENDS - 1 });
    }
    from = place + 1;
  }
  return stretches;
}

// Gives rows to the events that `isShown`, which are `shown` in the order of time; `byRow` leaves those out that are folded. `fold` says whether quiet stretches are one row each; those in `open` are not.
function layOut(isShown, fold, open) {
  const row = new Int32Array(count).fill(-1);
  const shown = [];
  for (let event = 0; event < count; event++) if (isShown(event)) shown.push(event);
  const folds = fold ? quietStretches(shown, open) : [];
  const order = [];
  const notes = [];
  const times = [];
  const laneRow = lanes.map(() => -1);
  let start = 0;
  let max = -1;
  let now = -1;
  let nextFold = 0;
  for (let place = 0; place < shown.length; place++) {
    const event = shown[place];
    const at = events.at_ms[event];
    const stretch = folds[nextFold];
    if (stretch && place === stretch.from) {
      const last = shown[stretch.to];
      let messages = 0;
      for (let folded = place; folded <= stretch.to; folded++) messages += kindOf(shown[folded]) === SENT;
      const disk = shown.slice(place, stretch.to + 1).filter((folded) => kindOf(folded) === DISK).length;
      const what = [messages && `${messages} messages`, disk && `${disk} disk operations`].filter(Boolean).join(", ");
      max += 1;
      notes.push({ row: max, text: `${what || `${stretch.to - place + 1} events`}, ${at} to ${events.at_ms[last]} ms`, fold: event });
      for (let folded = place; folded <= stretch.to; folded++) row[shown[folded]] = max;
      laneRow.fill(max);
      start = max + 1;
      now = events.at_ms[last];
      place = stretch.to;
      nextFold += 1;
      continue;
    }
    if (at !== now) {
      start = max + 1;
      if (now >= 0 && at - now >= PAUSE_MS) {
        notes.push({ row: start, text: `${at - now} ms later`, fold: -1 });
        start += 1;
      }
      now = at;
      times.push({ row: start, at });
    }
    const lane = events.lane[event];
    let mine = Math.max(start, laneRow[lane] + 1);
    if (kindOf(event) === DELIVERED || kindOf(event) === LOST) {
      const from = otherEnd(event);
      if (from >= 0 && row[from] >= 0) mine = Math.max(mine, row[from] + 1);
    }
    row[event] = mine;
    laneRow[lane] = mine;
    max = Math.max(max, mine);
    order.push(event);
  }
  // The events by row, so that what a window shows is found without a look at the rest.
  const byRow = order.slice().sort((one, other) => row[one] - row[other] || one - other);
  const folded = new Uint8Array(count);
  for (const { from, to } of folds) for (let place = from; place <= to; place++) folded[shown[place]] = 1;
  return { row, rows: max + 1, shown, byRow, notes, times, folded };
}

// The first place in a list sorted by `key` at which it is at least `wanted`.
function firstFrom(list, wanted, key) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(list[middle]) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
