"use strict";
// The run: the data of the page, and what can be said about an event.

const data = JSON.parse(document.getElementById("data").textContent);
const { lanes, events, texts, operations, spans } = data.timeline;
const count = events.at_ms.length;

const KINDS = ["input", "effect", "mark", "fault", "sent", "delivered", "lost", "disk", "log", "change", "invoke", "ok", "fail", "info"];
const [INPUT, EFFECT, MARK, FAULT, SENT, DELIVERED, LOST, DISK, LOG, CHANGE, INVOKE, OK, FAIL, INFO] = KINDS.keys();
const kindOf = (event) => events.kind[event];
const textOf = (event) => texts[events.text[event]];
const isMinor = (kind) => kind === SENT || kind === DELIVERED || kind === DISK;

// Where a message was sent, by its number: what is delivered or lost later comes from there.
const sentAt = new Map();
// And where it ended.
const endedAt = new Map();
for (let event = 0; event < count; event++) {
  const message = events.message[event];
  if (!message) continue;
  if (kindOf(event) === SENT) sentAt.set(message, event);
  else endedAt.set(message, event);
}
// The other end of a message; -1 where there is none.
function otherEnd(event) {
  const message = events.message[event];
  if (!message) return -1;
  return (kindOf(event) === SENT ? endedAt : sentAt).get(message) ?? -1;
}

const operationAt = new Map();
for (const operation of operations) {
  operationAt.set(operation.invoked, operation);
  if (operation.ended !== null) operationAt.set(operation.ended, operation);
}

// What can have led to an event (Lamport, 1978): of each lane a beginning. Gives for each lane its last event, or -1.
function pastOf(event) {
  const last = lanes.map(() => -1);
  last[events.lane[event]] = event;
  for (let at = event; at >= 0; at--) {
    if (at > last[events.lane[at]] || kindOf(at) !== DELIVERED) continue;
    const from = otherEnd(at);
    if (from >= 0) last[events.lane[from]] = Math.max(last[events.lane[from]], from);
  }
  return last;
}

// Rust's `Debug` text as a tree: { name, open, items: [{ key, value }] }, or a string for a scalar. Null where it is
// something else, a sentence for instance. Of a text that was cut off the tree is what is there, and ends with "…".
const CUT = / … \(\d+ bytes more\)$/;
function parseDebug(whole) {
  const text = whole.replace(CUT, "");
  const isCut = text !== whole;
  let at = 0;
  const isOver = () => isCut && at >= text.length;
  const space = () => { while (text[at] === " ") at++; };
  const CLOSING = { "{": "}", "(": ")", "[": "]" };
  function quoted() {
    const from = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    if (at++ < text.length) return text.slice(from, at);
    if (!isCut) throw 0;
    return `${text.slice(from)}…"`;
  }
  function value() {
    space();
    if (isOver()) return "…";
    if (text[at] === '"') return quoted();
    const name = /^[\w.+:#-]*/.exec(text.slice(at, at + 200))[0].replace(/:$/, "");
    at += name.length;
    const before = at;
    space();
    const open = text[at];
    // JSON in `Debug` has lists with a name.
    if (!CLOSING[open] || (open === "[" && name && name !== "Array")) {
      at = before;
      if (!name) throw 0;
      return name;
    }
    at++;
    const items = [];
    for (;;) {
      space();
      if (isOver()) items.push({ key: null, value: "…" });
      if (text[at] === CLOSING[open] || isOver()) break;
      const item = { key: null, value: value() };
      space();
      if (text[at] === ":") {
        at++;
        item.key = item.value;
        item.value = value();
        space();
      }
      items.push(item);
      if (text[at] === ",") at++;
      else if (text[at] !== CLOSING[open] && !isOver()) throw 0;
    }
    at++;
    return { name, open, close: CLOSING[open], items };
  }
  try {
    const tree = value();
    space();
    return at === text.length || isOver() ? tree : null;
  } catch {
    return null;
  }
}

const isScalar = (node) => typeof node === "string";
// A name of something: `EntityId("alice")`, `TxId { incarnation: 1, serial: 2 }`, `RequestId(3)`.
const isIdentifier = (node) => !isScalar(node) && /(Id|Key)$/.test(node.name) && node.items.every((item) => isScalar(item.value));
const bare = (scalar) => (scalar.startsWith('"') ? scalar.slice(1, -1) : scalar);
const identifierText = (node) => node.items.map((item) => bare(item.value)).join(".");

// In a few words: names, and the identifiers in them.
function brief(node, depth) {
  if (isScalar(node)) return bare(node);
  if (isIdentifier(node) || (node.items.length === 1 && node.open === "(" && isScalar(node.items[0].value) && !node.name.endsWith("s"))) {
    return identifierText(node);
  }
  if (node.name === "Some" && node.items.length === 1) return brief(node.items[0].value, depth);
  if (node.open === "[") return `[${node.items.length}]`;
  if (!node.name) return node.items.length ? `{${node.items.length}}` : "{}";
  const words = [node.name];
  if (depth > 0) {
    let before = node.name;
    for (const { value } of node.items) {
      if (isScalar(value) && /^(0|false|None)$/.test(value)) continue;
      const word = brief(value, depth - 1);
      const first = word.split(" ", 1)[0];
      if (first && !/^[[{]/.test(first) && first.length < 40) {
        // `Do { id: Finish(1), action: Finish { tx: 1, decision: … } }`: of what is named twice the one that says more.
        if (first !== before) words.push(word);
        else if (word.startsWith(`${words.at(-1)} `)) words[words.length - 1] = word;
      }
      before = first;
    }
  }
  return words.join(" ");
}

// The core that an event is of, and what it says.
function split(event) {
  const kind = kindOf(event);
  const text = textOf(event);
  const space = text.indexOf(" ");
  const ofCore = kind === INPUT || kind === EFFECT || kind === MARK;
  return ofCore && space > 0 ? [text.slice(0, space), text.slice(space + 1)] : ["", text];
}

const trees = new Map();
function treeOf(text) {
  if (!trees.has(text)) trees.set(text, parseDebug(text));
  return trees.get(text);
}

const labels = new Map();
// What stands beside an event in the diagram.
function labelOf(event) {
  const id = events.text[event];
  if (labels.has(id)) return labels.get(id);
  const kind = kindOf(event);
  const [, text] = split(event);
  let label = text;
  if (kind === SENT || kind === DELIVERED || kind === LOST) {
    label = text.replace(/^(sent to|delivered from|lost to|lost from) [^:]*: /, "").replace(/ #\w+$/, "").replace(" bytes", " B");
  } else if (kind === DISK) {
    label = text.replace(/, after \w+$/, "").replace(/\/data\//, "");
  } else if (kind === CHANGE) {
    label = text.replaceAll("\n", "; ");
  } else if (kind !== FAULT && kind !== LOG && kind !== INFO && kind !== FAIL) {
    const tree = treeOf(text);
    label = tree ? brief(tree, 2) : text;
    // What a decision is called matters more than what it is about.
    if (kind === MARK && tree && !isScalar(tree) && !label.startsWith(tree.name)) label = `${tree.name} ${label}`;
  }
  label = label.length > 120 ? label.slice(0, 119) + "…" : label;
  labels.set(id, label);
  return label;
}

// An event in a sentence, for people who listen.
function spokenOf(event) {
  const [core] = split(event);
  const kind = KINDS[kindOf(event)];
  const other = otherEnd(event);
  const delay = other < 0 ? "" : `, ${Math.abs(events.at_ms[event] - events.at_ms[other])} ms under way`;
  return `Event ${event + 1} of ${count}, ${events.at_ms[event]} ms, ${lanes[events.lane[event]].name}, ${core} ${kind}: ${labelOf(event)}${delay}`;
}

// Makes an element: attributes, and content as text or elements.
function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on")) made.addEventListener(attribute.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(attribute, value === true ? "" : value);
  }
  made.append(...content.filter((part) => part !== null));
  return made;
}
const byId = (id) => document.getElementById(id);
