// The space-time diagram: a lane for each host, drawn on a canvas as large as the window, not as the run.

const scroll = byId("scroll");
const canvas = byId("canvas");
const map = byId("map");
const GUTTER = 74;
const ROW_MIN = 2;
const ROW_MAX = 40;
const LABEL_ROW_MIN = 12;
const FONT = 'ui-sans-serif, system-ui, "Segoe UI", sans-serif';

const view = {
  selected: -1,
  row: 23,
  pastOnly: false,
  fold: true,
  open: new Set(),
  hidden: new Set([DISK, LOG]),
  settling: false,
  find: null,
  layout: null,
  past: null,
};
// The events that a search found, by their texts.
let foundTexts = null;

const about = data.violations[0] ?? null;
// What can have led to the violation.
const causes = about ? pastOf(about.event) : null;
const accused = new Set(about ? about.operations : []);

let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ink", "dim", "line", "message", "input", "effect", "mark", "fault", "shade", "ok", "fail", "info", "accent", "bad", "find", "delta"];
  colours = {};
  for (const name of names) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

// When somebody begins to ask whether the system has come to rest. What follows is mostly answers; what is decided,
// what changes in a store and what breaks meanwhile is shown all the same.
const settles = events.lane.findIndex((lane) => lanes[lane].kind === "settler");
const isSettling = (event) => settles >= 0 && event >= settles && ![MARK, FAULT].includes(kindOf(event)) && kindOf(event) < CHANGE;

function isShown(event) {
  const kind = kindOf(event);
  if (event === view.selected) return true;
  if (!view.settling && isSettling(event)) return false;
  if (view.hidden.has(kind) || (kind === DELIVERED && view.hidden.has(SENT))) return false;
  if (view.pastOnly && view.past && event > view.past[events.lane[event]]) return false;
  return true;
}

function relayout() {
  view.layout = layOut(isShown, view.fold, view.open);
  resize();
}

// A lane gets room for what is told on it: decisions take words, a message is an arrow.
const shares = lanes.map((lane) => ({ client: 1.5, host: 1, settler: 0.6 })[lane.kind]);
for (let event = 0; event < count; event++) if ([EFFECT, CHANGE].includes(kindOf(event))) shares[events.lane[event]] = 3.2;
const shareSum = shares.reduce((sum, share) => sum + share, 0);
const laneLeft = shares.map((_, lane) => shares.slice(0, lane).reduce((sum, share) => sum + share, 0) / shareSum);
const room = () => canvas.clientWidth - GUTTER;
const laneWidth = (lane) => (room() * shares[lane]) / shareSum;
const laneX = (lane) => GUTTER + room() * laneLeft[lane] + 16;
const rowY = (row) => (row + 0.5) * view.row;

function resize() {
  byId("height").style.height = `${Math.ceil((view.layout.rows + 2) * view.row)}px`;
  for (const each of [canvas, map]) {
    const ratio = window.devicePixelRatio || 1;
    each.width = Math.round(each.clientWidth * ratio);
    each.height = Math.round(each.clientHeight * ratio);
  }
  const names = byId("lanes");
  names.replaceChildren(...lanes.map((lane, place) => {
    const name = element("span", { class: `lane ${lane.kind}` }, lane.name);
    name.style.left = `${laneX(place)}px`;
    return name;
  }));
  draw();
}

let drawing = 0;
function draw() {
  if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; paint(); paintMap(); });
}

function emphasis(event) {
  const past = view.past ?? causes;
  return !past || event <= past[events.lane[event]] ? 1 : 0.38;
}

function paint() {
  const ratio = window.devicePixelRatio || 1;
  const pen = canvas.getContext("2d");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const { layout, row: unit } = view;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const top = scroll.scrollTop;
  const y = (row) => rowY(row) - top;
  const first = Math.floor(top / unit) - 1;
  const last = Math.ceil((top + height) / unit) + 1;
  const labelled = unit >= LABEL_ROW_MIN;
  pen.textBaseline = "middle";

  paintLanes(pen, height);
  for (const span of spans) paintSpan(pen, span, y, height, labelled);
  for (const operation of operations) paintOperation(pen, operation, y, height);
  paintTimes(pen, y, first, last, width);

  const from = firstFrom(layout.byRow, first - 60, (event) => layout.row[event]);
  const to = firstFrom(layout.byRow, last + 60, (event) => layout.row[event]);
  for (let place = from; place < to; place++) paintMessage(pen, layout.byRow[place], y, height, labelled);
  for (const { row, text, fold } of layout.notes) {
    if (row < first || row > last) continue;
    pen.fillStyle = colours.dim;
    pen.font = `italic 11px ${FONT}`;
    if (labelled) pen.fillText(fold >= 0 ? `▸ ${text}` : `⋮ ${text}`, GUTTER, y(row));
    if (fold >= 0) {
      pen.globalAlpha = 0.5;
      pen.fillStyle = colours.shade;
      pen.fillRect(GUTTER, y(row) - unit / 2 + 1, width - GUTTER, unit - 2);
      pen.globalAlpha = 1;
    }
  }
  for (let place = from; place < to; place++) {
    const event = layout.byRow[place];
    if (layout.row[event] >= first && layout.row[event] <= last) paintEvent(pen, event, y, labelled);
  }
  paintViolation(pen, y, first, last, width);
}

function paintLanes(pen, height) {
  pen.lineWidth = 1.5;
  for (let lane = 0; lane < lanes.length; lane++) {
    pen.strokeStyle = colours.line;
    pen.beginPath();
    pen.moveTo(laneX(lane), 0);
    pen.lineTo(laneX(lane), height);
    pen.stroke();
  }
}

function spanRows({ from, to }) {
  const { row, rows } = view.layout;
  return [row[from] < 0 ? 0 : row[from], to === null || row[to] < 0 ? rows : row[to]];
}

function paintSpan(pen, span, y, height, labelled) {
  const [from, to] = spanRows(span).map(y);
  if (to < 0 || from > height || !span.lanes.length) return;
  const down = span.kind === "down";
  const [one, other] = [Math.min(...span.lanes), Math.max(...span.lanes)].map(laneX);
  const [left, right] = one === other ? [one - 11, one + laneWidth(span.lanes[0]) - 26] : [one, other];
  const [above, length] = [Math.max(from, -20), Math.min(to, height + 20) - Math.max(from, -20)];
  pen.globalAlpha = span.fired === false ? 0.07 : down ? 0.2 : 0.13;
  pen.fillStyle = colours.fault;
  pen.fillRect(left, above, right - left, length);
  pen.globalAlpha = 0.6;
  pen.strokeStyle = colours.fault;
  pen.setLineDash(span.fired === false ? [2, 4] : []);
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(left, above);
  pen.lineTo(left, above + length);
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
  if (down) {
    // Nobody is there: the lane is interrupted.
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 3;
    pen.beginPath();
    pen.moveTo(one, above + 4);
    pen.lineTo(one, above + length - 4);
    pen.stroke();
    pen.setLineDash([2, 5]);
    pen.strokeStyle = colours.fault;
    pen.lineWidth = 1.2;
    pen.stroke();
    pen.setLineDash([]);
  }
  const [seenFrom, seenTo] = [Math.max(from, 0), Math.min(to, height)];
  // Where its beginning is in sight, that says what it is.
  if (labelled && from < 0 && seenTo - seenFrom > 70) {
    pen.save();
    pen.translate(right - 8, (seenFrom + seenTo) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillStyle = colours.fault;
    pen.font = `600 11px ${FONT}`;
    pen.fillText(fitted(pen, span.text, seenTo - seenFrom - 16), 0, 0);
    pen.restore();
    pen.textAlign = "left";
  }
}

const OUTCOMES = { [OK]: "ok", [FAIL]: "fail", [INFO]: "info" };
function outcomeOf(operation) {
  return operation.ended === null ? "info" : OUTCOMES[kindOf(operation.ended)];
}

function paintOperation(pen, operation, y, height) {
  const { row, rows } = view.layout;
  if (row[operation.invoked] < 0) return;
  const from = y(row[operation.invoked]);
  const to = operation.ended === null || row[operation.ended] < 0 ? y(rows) : y(row[operation.ended]);
  if (to < 0 || from > height) return;
  const x = laneX(operation.lane);
  pen.strokeStyle = colours[outcomeOf(operation)];
  pen.globalAlpha = accused.has(operation.id) ? 1 : 0.55;
  pen.lineWidth = accused.has(operation.id) ? 7 : 5;
  pen.lineCap = "round";
  if (outcomeOf(operation) === "info") pen.setLineDash([1, 9]);
  pen.beginPath();
  pen.moveTo(x, from);
  pen.lineTo(x, to);
  pen.stroke();
  pen.setLineDash([]);
  pen.lineCap = "butt";
  pen.globalAlpha = 1;
}

function paintTimes(pen, y, first, last, width) {
  const { times } = view.layout;
  let free = -1e9;
  for (let place = firstFrom(times, first, (time) => time.row); place < times.length && times[place].row <= last; place++) {
    const { row, at } = times[place];
    pen.globalAlpha = 0.45;
    pen.fillStyle = colours.line;
    if (view.row >= LABEL_ROW_MIN) pen.fillRect(GUTTER - 6, y(row) - view.row / 2, width, 0.5);
    pen.globalAlpha = 1;
    if (y(row) - free < 14) continue;
    free = y(row);
    pen.fillStyle = colours.dim;
    pen.font = `11px ${FONT}`;
    pen.textAlign = "right";
    pen.fillText(`${at} ms`, GUTTER - 14, y(row));
    pen.textAlign = "left";
  }
}

function arrowHead(pen, x, y, angle) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - 7 * Math.cos(angle - 0.4), y - 7 * Math.sin(angle - 0.4));
  pen.lineTo(x - 7 * Math.cos(angle + 0.4), y - 7 * Math.sin(angle + 0.4));
  pen.fill();
}

function paintMessage(pen, event, y, height, labelled) {
  const kind = kindOf(event);
  const { row } = view.layout;
  let from = event;
  let to = otherEnd(event);
  if (kind === DELIVERED || kind === LOST) {
    // Drawn from its sender, unless that is not in sight.
    [from, to] = [to, event];
    if (from >= 0 && row[from] >= 0 && !view.layout.folded[from] && Math.abs(row[from] - row[to]) <= 120) return;
  } else if (kind !== SENT) {
    return;
  }
  const lost = to >= 0 && kindOf(to) === LOST;
  const chosen = event === view.selected || from === view.selected || to === view.selected;
  pen.strokeStyle = pen.fillStyle = lost ? colours.bad : chosen ? colours.accent : colours.message;
  pen.globalAlpha = chosen ? 1 : emphasis(to >= 0 ? to : from) * 0.9;
  pen.lineWidth = chosen ? 2 : 1.2;
  const reach = 46;
  const seen = (end) => end >= 0 && row[end] >= 0 && !view.layout.folded[end];
  let [x1, y1, x2, y2] = [0, 0, 0, 0];
  if (seen(from) && seen(to) && events.lane[from] !== events.lane[to]) {
    [x1, y1, x2, y2] = [laneX(events.lane[from]), y(row[from]), laneX(events.lane[to]), y(row[to])];
  } else if (seen(from)) {
    const peer = to >= 0 && events.lane[to] !== events.lane[from] ? events.lane[to] : lanes.findIndex((lane) => textOf(from).includes(` ${lane.name}:`));
    const side = peer < events.lane[from] ? -1 : 1;
    [x1, y1] = [laneX(events.lane[from]), y(row[from])];
    [x2, y2] = [x1 + side * reach, y1 + view.row * 0.7];
  } else if (seen(to)) {
    const peer = from >= 0 ? events.lane[from] : -1;
    const side = peer < events.lane[to] ? -1 : 1;
    [x2, y2] = [laneX(events.lane[to]), y(row[to])];
    [x1, y1] = [x2 + side * reach, y2 - view.row * 0.7];
  } else {
    pen.globalAlpha = 1;
    return;
  }
  if (Math.max(y1, y2) >= -10 && Math.min(y1, y2) <= height + 10) {
    const angle = Math.atan2(y2 - y1, x2 - x1);
    pen.setLineDash(lost ? [5, 4] : []);
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2 - 6 * Math.cos(angle), y2 - 6 * Math.sin(angle));
    pen.stroke();
    pen.setLineDash([]);
    if (lost) {
      const [x, at] = [x2 - 12 * Math.cos(angle), y2 - 12 * Math.sin(angle)];
      pen.lineWidth = 2.2;
      pen.beginPath();
      pen.moveTo(x - 5, at - 5);
      pen.lineTo(x + 5, at + 5);
      pen.moveTo(x + 5, at - 5);
      pen.lineTo(x - 5, at + 5);
      pen.stroke();
    } else if (to >= 0) {
      arrowHead(pen, x2 - 5 * Math.cos(angle), y2 - 5 * Math.sin(angle), angle);
    }
    if (labelled && view.row >= 16 && seen(from) && seen(to)) {
      const delay = events.at_ms[to] - events.at_ms[from];
      const text = `${labelOf(from)} · ${lost ? "lost" : `${delay} ms`}`;
      pen.font = `10px ${FONT}`;
      const [x, at] = [x1 + (x2 - x1) * 0.72, y1 + (y2 - y1) * 0.72 - 7];
      const wide = pen.measureText(text).width;
      const left = Math.min(Math.max(x - wide / 2, GUTTER), canvas.clientWidth - wide - 4);
      const shade = pen.globalAlpha;
      pen.globalAlpha = 0.8;
      pen.fillStyle = colours.paper;
      pen.fillRect(left - 2, at - 6, wide + 4, 12);
      pen.globalAlpha = shade;
      pen.fillStyle = lost ? colours.bad : chosen ? colours.accent : colours.dim;
      pen.fillText(text, left, at);
    }
  }
  pen.globalAlpha = 1;
}

function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low > 2 ? `${text.slice(0, low)}…` : "";
}

const COLOUR_OF = ["input", "effect", "mark", "fault", "message", "message", "bad", "dim", "dim", "delta", "ink", "ok", "fail", "info"];

function paintEvent(pen, event, y, labelled) {
  const kind = kindOf(event);
  if (view.layout.folded[event]) return;
  const [x, at] = [laneX(events.lane[event]), y(view.layout.row[event])];
  const chosen = event === view.selected;
  const found = foundTexts?.[events.text[event]];
  pen.globalAlpha = chosen || found ? 1 : emphasis(event);
  pen.fillStyle = pen.strokeStyle = colours[COLOUR_OF[kind]];
  const size = Math.max(1.5, Math.min(5, view.row * 0.3));
  if (found) {
    pen.save();
    pen.fillStyle = colours.find;
    pen.globalAlpha = 0.75;
    pen.fillRect(x - 9, at - view.row / 2 + 1, laneWidth(events.lane[event]) - 8, view.row - 2);
    pen.restore();
  }
  if (chosen) {
    pen.save();
    pen.globalAlpha = 0.16;
    pen.fillStyle = colours.accent;
    pen.fillRect(0, at - view.row / 2, canvas.clientWidth, view.row);
    pen.globalAlpha = 1;
    pen.strokeStyle = colours.accent;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, at, size + 4, 0, 2 * Math.PI);
    pen.stroke();
    pen.restore();
  }
  shape(pen, kind, x, at, size);
  if (labelled && kind !== SENT && kind !== DELIVERED && kind !== LOST) {
    const heavy = kind === MARK || kind === FAULT || kind >= INVOKE;
    pen.font = `${heavy ? "600 " : ""}${view.row < 16 ? 10 : 12}px ${FONT}`;
    pen.fillStyle = kind === INPUT || kind === EFFECT ? colours.ink : colours[COLOUR_OF[kind]];
    const before = { [INPUT]: "→ ", [EFFECT]: "← ", [CHANGE]: "Δ " }[kind] ?? "";
    pen.fillText(fitted(pen, before + labelOf(event), laneWidth(events.lane[event]) - 34), x + 13, at + 0.5);
  }
  pen.globalAlpha = 1;
}

function shape(pen, kind, x, y, size) {
  pen.beginPath();
  if (kind === MARK) {
    pen.moveTo(x, y - size - 2);
    pen.lineTo(x + size + 2, y);
    pen.lineTo(x, y + size + 2);
    pen.lineTo(x - size - 2, y);
  } else if (kind === FAULT) {
    pen.moveTo(x, y - size - 1);
    pen.lineTo(x + size + 1, y + size);
    pen.lineTo(x - size - 1, y + size);
  } else if (kind === DISK || kind === LOG || kind === CHANGE) {
    pen.rect(x - size * 0.7, y - size * 0.7, size * 1.4, size * 1.4);
  } else {
    pen.arc(x, y, isMinor(kind) || kind === LOST ? size * 0.6 : size, 0, 2 * Math.PI);
  }
  pen.fill();
}

function paintViolation(pen, y, first, last, width) {
  for (const violation of data.violations) {
    const row = view.layout.row[violation.event];
    if (row < first || row > last) continue;
    const at = y(row);
    const x = laneX(events.lane[violation.event]);
    pen.strokeStyle = colours.bad;
    pen.lineWidth = 2;
    pen.setLineDash([6, 4]);
    pen.beginPath();
    pen.moveTo(GUTTER - 8, at + view.row / 2);
    pen.lineTo(width, at + view.row / 2);
    pen.stroke();
    pen.setLineDash([]);
    pen.beginPath();
    pen.arc(x, at, 9, 0, 2 * Math.PI);
    pen.stroke();
    pen.font = `700 11px ${FONT}`;
    const text = `${violation.property} broken`;
    const wide = pen.measureText(text).width + 12;
    pen.fillStyle = colours.bad;
    pen.beginPath();
    pen.roundRect(width - wide - 6, at + view.row / 2 - 9, wide, 18, 9);
    pen.fill();
    pen.fillStyle = colours.paper;
    pen.fillText(text, width - wide, at + view.row / 2 + 0.5);
    break;
  }
}

// The whole run at a glance: drawn once for each layout and selection, since it shows every event.
const overview = document.createElement("canvas");
let overviewOf = null;
function paintOverview(width, height) {
  const ratio = window.devicePixelRatio || 1;
  overview.width = map.width;
  overview.height = map.height;
  const pen = overview.getContext("2d");
  const { layout } = view;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const scale = height / (layout.rows + 2);
  const x = (lane) => ((lane + 0.5) / lanes.length) * width;
  for (const span of spans) {
    const [from, to] = spanRows(span);
    pen.globalAlpha = 0.3;
    pen.fillStyle = colours.fault;
    const [one, other] = [Math.min(...span.lanes), Math.max(...span.lanes)];
    pen.fillRect(x(one) - 4, from * scale, x(other) - x(one) + 8, Math.max(1, (to - from) * scale));
  }
  // No more than a few marks a pixel.
  const step = Math.max(1, Math.floor(layout.byRow.length / (height * 8)));
  for (let place = 0; place < layout.byRow.length; place += step) {
    const event = layout.byRow[place];
    pen.globalAlpha = 0.7 * emphasis(event);
    pen.fillStyle = colours[COLOUR_OF[kindOf(event)]];
    pen.fillRect(x(events.lane[event]) - 2, layout.row[event] * scale, 4, Math.max(0.7, Math.min(2, scale)));
  }
  pen.globalAlpha = 1;
  for (const violation of data.violations) {
    pen.fillStyle = colours.bad;
    const row = layout.row[violation.event];
    if (row >= 0) pen.fillRect(0, row * scale - 1, width, 3);
  }
}

// The overview, and which part of it is in the window.
function paintMap() {
  const [width, height] = [map.clientWidth, map.clientHeight];
  if (!width || !height) return;
  const { layout } = view;
  const of = [layout, view.past, colours, map.width, map.height];
  if (!overviewOf || of.some((part, place) => part !== overviewOf[place])) {
    paintOverview(width, height);
    overviewOf = of;
  }
  const ratio = window.devicePixelRatio || 1;
  const pen = map.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.drawImage(overview, 0, 0, width, height);
  const scale = height / (layout.rows + 2);
  pen.strokeStyle = colours.accent;
  pen.lineWidth = 1.5;
  const top = scroll.scrollTop / view.row;
  pen.strokeRect(1, top * scale, width - 2, Math.max(6, (scroll.clientHeight / view.row) * scale - 1));
}

// The event at a place of the window, or the note there.
function eventAt(clientX, clientY) {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [clientX - box.left, clientY - box.top + scroll.scrollTop];
  const row = Math.floor(y / view.row);
  const note = view.layout.notes.find((note) => note.row === row && note.fold >= 0);
  if (note) return { note };
  let best = { event: -1, far: Infinity };
  for (let place = firstFrom(view.layout.byRow, row - 1, (event) => view.layout.row[event]); place < view.layout.byRow.length; place++) {
    const event = view.layout.byRow[place];
    if (view.layout.row[event] > row + 1) break;
    const dx = x - laneX(events.lane[event]);
    const beside = dx < -12 ? -dx * 2 : dx > laneWidth(events.lane[event]) - 20 ? dx * 2 : Math.abs(dx) / 8;
    const far = beside + Math.abs(rowY(view.layout.row[event]) - y) * 2;
    if (far < best.far) best = { event, far };
  }
  return best;
}

function scrollToEvent(event, centre) {
  const row = view.layout.row[event];
  if (row < 0) return;
  const [y, height] = [rowY(row), scroll.clientHeight];
  if (centre || y < scroll.scrollTop + 40 || y > scroll.scrollTop + height - 60) {
    scroll.scrollTop = Math.max(0, y - height * (centre ? 0.6 : 0.5));
  }
}
