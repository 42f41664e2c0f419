// The selected event: what is told of it, and the way from one event to another.

function select(event, { centre = false, speak = true } = {}) {
  if (event < 0 || event >= count) return;
  view.selected = event;
  // Where only a past is shown, it stays that of the event from which it was asked for, as long as one is within it.
  const within = view.pastOnly && event <= view.past[events.lane[event]];
  if (!within) view.past = pastOf(event);
  const { row, folded } = view.layout;
  const unfold = folded[event] && table.hidden;
  if (row[event] < 0 || unfold || (view.pastOnly && !within)) {
    if (unfold) {
      const place = firstFrom(view.layout.notes.filter((note) => note.fold >= 0), event + 1, (note) => note.fold);
      const note = view.layout.notes.filter((note) => note.fold >= 0)[place - 1];
      if (note) view.open.add(note.fold);
    }
    relayout();
  }
  scrollToEvent(event, centre);
  draw();
  showMoment(event);
  markTable();
  if (speak) byId("spoken").textContent = spokenOf(event);
}

// The nearest event after, or before, the selected one that `wanted` accepts; with `around` from the other end on, if
// there is none.
function step(direction, wanted, around = false) {
  for (let event = view.selected + direction; event >= 0 && event < count; event += direction) {
    if (wanted(event)) return select(event);
  }
  if (!around) return;
  for (let event = direction > 0 ? 0 : count - 1; event !== view.selected && event >= 0 && event < count; event += direction) {
    if (wanted(event)) return select(event);
  }
}
// The table folds nothing.
const isVisible = (event) => view.layout.row[event] >= 0 && (!table.hidden || !view.layout.folded[event]);

let violationShown = -1;
function nextViolation() {
  if (!data.violations.length) return select(operations[0]?.invoked ?? 0, { centre: true });
  violationShown = (violationShown + 1) % data.violations.length;
  select(data.violations[violationShown].event, { centre: true });
}

// An event's text, in which each identifier can be followed.
function shownText(text) {
  const tree = treeOf(text);
  if (!tree) return element("span", {}, text);
  return element("code", { class: "tree" }, ...pretty(tree, 0), text.match(CUT)?.[0] ?? "");
}

function pretty(node, depth) {
  if (isScalar(node)) return [element("span", { class: /^["\d-]/.test(node) ? "value" : "" }, node)];
  if (isIdentifier(node)) return [chip(debugText(node), identifierText(node), node.name)];
  const flat = debugText(node).length < 56 && !hasIdentifier(node);
  if (flat) return [debugText(node)];
  const pad = "  ".repeat(depth + 1);
  const parts = [node.name + (node.name && node.open === "{" ? " {" : node.open)];
  const inline = node.open === "(" && node.items.length === 1;
  for (const { key, value } of node.items) {
    if (!inline) parts.push(`\n${pad}`);
    if (key !== null) parts.push(...(isScalar(key) ? [element("span", { class: "key" }, `${key}: `)] : [...pretty(key, depth + 1), ": "]));
    parts.push(...pretty(value, inline ? depth : depth + 1));
  }
  if (!inline && node.items.length) parts.push(`\n${"  ".repeat(depth)}`);
  parts.push(node.close);
  return parts;
}

function debugText(node) {
  if (isScalar(node)) return node;
  const items = node.items.map(({ key, value }) => (key === null ? "" : `${debugText(key)}: `) + debugText(value)).join(", ");
  if (node.open === "{") return node.name ? (items ? `${node.name} { ${items} }` : `${node.name} {}`) : `{${items}}`;
  return node.name + node.open + items + node.close;
}
const hasIdentifier = (node) => !isScalar(node) && (isIdentifier(node) || node.items.some(({ value }) => hasIdentifier(value)));

function chip(text, label, kind) {
  return element("button", { class: "chip", title: `Find ${kind} ${label} everywhere`, onclick: () => find(text) }, label);
}

function showMoment(event) {
  const kind = kindOf(event);
  const [core, text] = split(event);
  const other = otherEnd(event);
  const panel = byId("moment");
  const operation = operationAt.get(event);
  panel.replaceChildren(
    element("p", { class: "when" },
      element("strong", {}, `${events.at_ms[event]} ms`), ` · ${lanes[events.lane[event]].name} · `,
      element("span", { class: `kind ${COLOUR_OF[kind]}` }, `${core} ${KINDS[kind]}`.trim()),
      operation ? ` · op ${operation.id}` : ""),
    element("div", { class: "text" }, shownText(text)),
  );
  if (other >= 0) {
    const delay = Math.abs(events.at_ms[event] - events.at_ms[other]);
    const way = kind === SENT ? (kindOf(other) === LOST ? "lost after" : "arrives after") : kind === LOST ? "lost after" : "sent";
    const words = kind === SENT || kind === LOST ? `${way} ${delay} ms` : `sent ${delay} ms before`;
    panel.append(element("p", {}, words, " ", element("button", { onclick: () => select(other) }, "Other end (m)")));
  }
  const cores = coresAt(event);
  if (cores.length) panel.append(element("h4", {}, "The cores at this moment"));
  for (const { name, steps } of cores) {
    const list = element("ol", { class: "steps" });
    for (const step of steps) {
      const arrow = { [INPUT]: "→", [EFFECT]: "←", [MARK]: "◆" }[kindOf(step)];
      list.append(element("li", { class: step > event ? "later" : step === event ? "now" : "" },
        element("button", { class: `step ${COLOUR_OF[kindOf(step)]}`, onclick: () => select(step) },
          `${arrow} ${labelOf(step)}`, element("small", {}, ` ${events.at_ms[step]} ms`))));
    }
    panel.append(element("p", { class: "core" }, name), list);
  }
}

// Of each core the last input up to an event, and what it led to.
function coresAt(event) {
  const found = new Map();
  const isOfCore = (at) => kindOf(at) <= MARK;
  const nameOf = (at) => `${lanes[events.lane[at]].name}: ${split(at)[0]}`;
  for (let at = event; at >= 0 && event - at < 20000; at--) {
    if (!isOfCore(at)) continue;
    const name = nameOf(at);
    const core = found.get(name) ?? { name, steps: [], done: false };
    found.set(name, core);
    if (core.done) continue;
    core.steps.unshift(at);
    core.done = kindOf(at) === INPUT || core.steps.length >= 12;
  }
  for (let at = event + 1; at < count && at - event < 2000; at++) {
    if (!isOfCore(at)) continue;
    const core = found.get(nameOf(at));
    if (!core || core.closed) continue;
    if (kindOf(at) === INPUT || events.at_ms[at] > events.at_ms[event]) core.closed = true;
    else core.steps.push(at);
  }
  return [...found.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

// Highlights the events that have a text in them.
function find(text) {
  byId("find").value = text;
  foundTexts = null;
  let events_found = 0;
  if (text) {
    const wanted = text.toLowerCase();
    foundTexts = new Uint8Array(texts.length);
    texts.forEach((known, id) => { foundTexts[id] = known.toLowerCase().includes(wanted) ? 1 : 0; });
    for (let event = 0; event < count; event++) events_found += foundTexts[events.text[event]];
  }
  byId("found").textContent = text ? `${events_found} events` : "";
  draw();
  drawTable();
}

// The same as a table, of which only the rows in sight are there.
const TABLE_ROW = 26;
const table = byId("table");
function drawTable() {
  if (table.hidden) return;
  const order = view.layout.shown;
  table.setAttribute("aria-rowcount", order.length + 1);
  const first = Math.max(0, Math.floor(table.scrollTop / TABLE_ROW) - 5);
  const last = Math.min(order.length, first + Math.ceil(table.clientHeight / TABLE_ROW) + 10);
  const cell = (role, content, kind = "") => element("span", { role, class: kind }, content);
  const head = element("div", { role: "row", class: "head", "aria-rowindex": 1 },
    ...["time", "host", "kind", "what"].map((name) => cell("columnheader", name)));
  const rows = element("div", { role: "rowgroup", class: "rows" });
  rows.style.height = `${order.length * TABLE_ROW}px`;
  for (let place = first; place < last; place++) {
    const event = order[place];
    const kind = kindOf(event);
    const row = element("div", {
      role: "row", class: `row${event === view.selected ? " now" : ""}${foundTexts?.[events.text[event]] ? " found" : ""}`,
      "aria-rowindex": place + 2, "aria-selected": event === view.selected ? "true" : "false",
      onclick: () => select(event, { speak: false }),
    }, cell("cell", `${events.at_ms[event]} ms`), cell("cell", lanes[events.lane[event]].name),
    cell("cell", KINDS[kind], COLOUR_OF[kind]), cell("cell", `${split(event)[0]} ${labelOf(event)}`.trim()));
    row.style.top = `${place * TABLE_ROW}px`;
    rows.append(row);
  }
  table.replaceChildren(head, rows);
}

function markTable() {
  if (table.hidden) return;
  // First as high as it has to be: what is not there cannot be scrolled to.
  drawTable();
  const place = firstFrom(view.layout.shown, view.selected, (event) => event);
  const y = place * TABLE_ROW;
  if (y < table.scrollTop || y > table.scrollTop + table.clientHeight - 3 * TABLE_ROW) table.scrollTop = y - table.clientHeight / 2;
  drawTable();
}
