// Everything around the diagram.

function copier(button, text) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page that was opened from a file may not use the clipboard everywhere.
      const area = element("textarea", {}, text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const was = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = was; }, 1200);
  });
}

// More than these tell nothing new.
const VIOLATIONS_MAX = 50;

const counted = (counts) => Object.entries(counts).map(([name, times]) => `${name} ${times}`).join(", ");

function showHead() {
  const failed = data.violations.length > 0;
  const badge = byId("badge");
  badge.textContent = failed ? "broken" : "holds";
  badge.className = failed ? "bad" : "good";
  byId("subject").textContent = `${data.system} · ${data.scenario} with seed ${data.seed} · ${data.simulated_ms} ms simulated`;
  byId("sentence").textContent = data.sentence;
  byId("replay").textContent = data.replay;
  copier(byId("copy-replay"), data.replay);
  const { ok, fail, info } = data.operations;
  const facts = [`operations: ${ok} ok, ${fail} failed, ${info} unknown`, counted(data.faults) && `faults: ${counted(data.faults)}`, counted(data.marks) && `marks: ${counted(data.marks)}`];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  const shown = (violation, place) => element("div", { class: "violation" },
    place === 0 ? null : element("h3", {}, `${violation.property}: ${violation.key}`),
    element("dl", {},
      element("dt", {}, "expected"), element("dd", {}, violation.expected),
      element("dt", {}, "actual"), element("dd", {}, violation.actual)),
    violation.details.length
      ? element("details", {}, element("summary", {}, "Evidence"), element("pre", { tabindex: 0 }, violation.details.join("\n")))
      : null,
    element("button", { onclick: () => { violationShown = place - 1; nextViolation(); byId("diagram").scrollIntoView(); } }, "Show in the diagram"));
  const [first, ...others] = data.violations.slice(0, VIOLATIONS_MAX).map(shown);
  if (!first) return;
  byId("violation").replaceChildren(first);
  if (others.length) {
    const more = data.violations.length - 1;
    byId("violation").append(element("details", {}, element("summary", {}, `${more} more of what broke in this run`), ...others));
  }
}

function showCurve() {
  const curve = data.curve;
  if (!curve || !curve.points.length) return;
  byId("curve-section").hidden = false;
  const jump = curve.jump === null ? null : curve.points[curve.jump];
  byId("curve-text").textContent = `The run was kept up to a moment, and all chance after it drawn anew, ${curve.runs} times for each. `
    + (jump ? `At ${jump.at_ms} ms the share of runs that still fail jumps to ${Math.round((100 * jump.failed) / curve.runs)} %: ${jump.text}` : "There is no single moment at which it jumps.");
  const [width, height, pad] = [900, 150, 34];
  const end = Math.max(1, curve.points.at(-1).at_ms);
  const x = (point) => pad + (point.at_ms / end) * (width - 2 * pad);
  const y = (point) => height - 24 - (point.failed / curve.runs) * (height - 40);
  const svg = (name, attributes, ...content) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    made.append(...content);
    return made;
  };
  const path = curve.points.map((point, place) => `${place ? `H${x(point)}V` : `M${x(point)} `}${y(point)}`).join("");
  const dots = curve.points.map((point, place) => {
    const dot = svg("circle", { cx: x(point), cy: y(point), r: place === curve.jump ? 6 : 3.5, class: place === curve.jump ? "jump" : "dot", tabindex: 0, role: "button", "aria-label": `${point.at_ms} ms: ${point.failed} of ${curve.runs} fail. ${point.text}` });
    dot.append(svg("title", {}, `${point.at_ms} ms: ${point.failed} of ${curve.runs} fail\n${point.text}`));
    const go = () => { select(point.event ?? 0, { centre: true }); byId("diagram").scrollIntoView(); };
    dot.addEventListener("click", go);
    dot.addEventListener("keydown", (press) => { if (press.key === "Enter") go(); });
    return dot;
  });
  const axis = [0, 1].map((share) => svg("text", { x: pad - 6, y: height - 20 - share * (height - 40), "text-anchor": "end" }, `${share * 100} %`));
  const ends = [svg("text", { x: pad, y: height - 6 }, "0 ms"), svg("text", { x: width - pad, y: height - 6, "text-anchor": "end" }, `${end} ms`)];
  byId("curve").replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Share of runs that still fail" },
    svg("path", { d: path, class: "share" }), ...axis, ...ends, ...dots));
}

// How many steps somebody reads.
const STORY_MAX = 80;

// How much of one line of a step is told.
const STEP_CHARS_MAX = 200;
const shortened = (line) => (line.length > STEP_CHARS_MAX ? `${line.slice(0, STEP_CHARS_MAX - 1)}…` : line);

// A list has more room than the diagram: what is decided about something is told as well.
function inFull(event) {
  const tree = [INPUT, EFFECT].includes(kindOf(event)) ? treeOf(split(event)[1]) : null;
  return tree ? brief(tree, 5) : labelOf(event);
}

// What a commit changed takes a line each: all of it is news.
function linesOf(event) {
  if (kindOf(event) >= INVOKE) return [told(event)];
  if (kindOf(event) !== CHANGE) return [`${split(event)[0]} ${inFull(event)}`.trim()];
  return textOf(event).split("\n");
}

// What can have led to the violation, without messages and disk operations: to be read from the top to the bottom. What faults
// did, clients saw and commits changed before it belongs to the story even where no message leads from there.
function showStory() {
  if (!about) return;
  const inPast = (event) => event <= causes[events.lane[event]] || kindOf(event) === FAULT || kindOf(event) >= CHANGE;
  // Who waits for the system to come to rest asks the same again and again: of that the first is enough.
  const asked = new Set();
  const isNews = (event) => {
    if (!isSettling(event)) return true;
    const said = `${events.lane[event]} ${kindOf(event)} ${split(event)[0]} ${labelOf(event).replace(/\d+/g, "#")}`;
    return !asked.has(said) && asked.add(said);
  };
  const isTold = (event) => !isMinor(kindOf(event)) && kindOf(event) !== LOG && lanes[events.lane[event]].kind !== "settler" && isNews(event);
  const all = [...events.kind.keys()].filter((event) => event <= about.event && isTold(event) && inPast(event));
  // Where there are too many, what the cores were told and asked for at first goes first, and then what commits changed.
  const isDetail = (event) => kindOf(event) === INPUT || kindOf(event) === EFFECT;
  const details = [...all.filter(isDetail), ...all.filter((event) => kindOf(event) === CHANGE)];
  const spare = new Set(details.slice(0, Math.max(0, all.length - STORY_MAX)));
  const steps = all.filter((event) => !spare.has(event)).slice(-STORY_MAX);
  if (!steps.length) return;
  byId("story-section").hidden = false;
  byId("story-text").textContent = `Faults, what clients asked and were told, what the cores did that can have led to what broke, and what commits changed${steps.length < all.length ? `: ${steps.length} of ${all.length} steps` : ""}.`;
  const SIGN = { [INPUT]: "→", [EFFECT]: "←", [MARK]: "◆", [FAULT]: "▲", [LOST]: "✕", [CHANGE]: "Δ", [INVOKE]: "asks", [OK]: "is told", [FAIL]: "is told: failed", [INFO]: "does not know" };
  byId("story").replaceChildren(...steps.map((event) => {
    const kind = kindOf(event);
    return element("li", { class: kind === FAULT || kind === LOST ? "fault" : "" },
      element("button", { class: "step", onclick: () => { select(event, { centre: true }); byId("diagram").scrollIntoView(); } },
        element("span", { class: "at" }, `${events.at_ms[event]} ms`), " ", element("span", { class: "who" }, lanes[events.lane[event]].name), " ",
        element("span", { class: "said" }, element("span", { class: COLOUR_OF[kind] }, `${SIGN[kind]} `), linesOf(event).map(shortened).join("\n"))));
  }));
}

// How many operations the history has at most, besides those that show what broke.
const HISTORY_MAX = 2000;

function showHistory() {
  const order = new Map((about?.order ?? []).map((id, place) => [id, place + 1]));
  const words = [];
  if (about?.order.length) {
    words.push(`The longest order that explains what was answered: ${about.order.map((id) => `op ${id}`).join(" → ")}. `);
    const stuck = about.operations.filter((id) => operations.some((operation) => operation.id === id));
    words.push(stuck.length ? `After it, nothing explains ${stuck.map((id) => `op ${id}`).join(", ")}.` : "After it, nothing explains what the stores held when the run was over.");
  } else if (accused.size) {
    words.push("Marked are the operations that show what broke.");
  }
  const end = Math.max(1, data.simulated_ms);
  const head = element("tr", {}, ...["op", "client", "when", "asked", "was told", about?.order.length ? "in the order" : ""].map((name) => element("th", { scope: "col" }, name)));
  // The page has to open: of a long history there are those that matter, and the first of the others.
  const matters = (operation) => accused.has(operation.id) || order.has(operation.id);
  let room = HISTORY_MAX - operations.filter(matters).length;
  const shown = operations.filter((operation) => matters(operation) || room-- > 0);
  if (shown.length < operations.length) words.push(` ${operations.length - shown.length} of ${operations.length} operations are left out.`);
  byId("history-text").textContent = words.join("");
  const rows = shown.map((operation) => {
    const outcome = outcomeOf(operation);
    const from = events.at_ms[operation.invoked];
    const to = operation.ended === null ? end : events.at_ms[operation.ended];
    const bar = element("span", { class: `bar ${outcome}` });
    bar.style.marginLeft = `${(90 * from) / end}px`;
    bar.style.width = `${Math.max(3, (90 * (to - from)) / end)}px`;
    const answer = operation.ended === null ? "nothing" : told(operation.ended);
    const bad = accused.has(operation.id);
    const place = order.get(operation.id);
    return element("tr", { class: bad ? "accused" : "" },
      element("td", {}, element("button", { onclick: () => { select(operation.ended ?? operation.invoked, { centre: true }); byId("diagram").scrollIntoView(); } }, `op ${operation.id}`)),
      element("td", {}, lanes[operation.lane].name),
      element("td", { class: "when" }, element("span", { class: "track" }, bar), ` ${from} to ${operation.ended === null ? "…" : `${to} ms`}`),
      element("td", {}, told(operation.invoked)),
      element("td", {}, element("span", { class: `outcome ${outcome}` }, outcome === "info" ? "unknown" : outcome), ` ${answer}`),
      element("td", {}, bad ? element("strong", { class: "bad" }, about.order.length ? "cannot be explained" : "shows it") : place ? `${place}` : ""));
  });
  byId("history").replaceChildren(element("div", { class: "scrolled", tabindex: 0, role: "region", "aria-label": "Operations of the clients" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))));
}
// More than a label has room for: the first list is told too, and fields with their names.
function told(event) {
  const tree = treeOf(textOf(event));
  if (!tree || isScalar(tree)) return textOf(event);
  const list = tree.items.find(({ value }) => !isScalar(value) && value.open === "[" && value.items.length)?.value;
  if (list) return `${tree.name}: ${list.items.map(({ value }) => `${isScalar(value) ? value : value.name} ${fields(value)}`).join(", ")}`;
  return tree.open === "(" ? fields(tree) : `${tree.name} ${fields(tree)}`;
}

function fields(node, inList = false) {
  if (isScalar(node)) return bare(node);
  if (isIdentifier(node)) return identifierText(node);
  const parts = node.items.map(({ key, value }) => {
    const empty = isScalar(value) ? /^(0|false|None)$/.test(value) : !isIdentifier(value) && !value.items.length;
    if (empty && key !== null) return "";
    const text = fields(value, node.open === "[");
    return key === null ? text : isScalar(key) && !/^(id|kind|tx)$/.test(key) ? `${bare(key)}=${text}` : text;
  });
  const text = parts.filter(Boolean).join(" ");
  if (node.open === "{" && (inList || !node.name)) return `${node.name}{${text}}`;
  // What is one of several things says which; a value is told by itself.
  return node.open === "(" && node.name && !IS_VALUE.test(node.name) ? `${node.name}(${text})` : text;
}
const IS_VALUE = /^(Some|Ok|Int|Real|Bool|Text|List|Kind|String|Number|Object|Array)$/;

const SIGNS = { same: [" ", ""], extra: ["+", "should not be there"], missing: ["−", "is missing"], different: ["~", "differs"] };
function showStores() {
  const column = (store) => {
    const wrong = store.lines.filter((line) => line.sign !== "same").length;
    const note = !store.judged ? "" : wrong ? `${wrong} of ${store.lines.length} lines are not as they should be` : "as it should be";
    const lines = store.lines.map((line) => element("li", { class: line.sign },
      element("span", { class: "sign", "aria-label": SIGNS[line.sign][1] || null }, SIGNS[line.sign][0]),
      element("code", {}, line.text),
      ...(line.changes ?? []).map((change) => element("span", { class: "change" }, change))));
    return element("div", { class: "store" }, element("h3", {}, store.name, " ", element("small", { class: wrong ? "bad" : "good" }, note)),
      lines.length ? element("ul", {}, ...lines) : element("p", { class: "dim" }, "empty"));
  };
  const judged = data.stores.filter((store) => store.judged);
  const others = data.stores.filter((store) => !store.judged);
  byId("stores").replaceChildren(
    element("div", { class: "columns" }, ...judged.map(column)),
    ...others.map((store) => element("details", { open: !judged.length }, element("summary", {}, `${store.name}: ${store.lines.length} lines`), column(store))));
}

function showAgainst() {
  const other = data.against;
  if (!other) return;
  byId("against-section").hidden = false;
  byId("against-title").textContent = `Beside ${other.title}, which ${other.outcome}`;
  const compared = (rows, title, note) => {
    const first = rows.findIndex((row) => !row.same);
    const body = rows.map((row, place) => {
      const { same } = row;
      const side = (text) => element("td", {}, text === undefined ? "" : element("code", {}, text.replace(/ #[0-9a-f]{8}$/, "")));
      return element("tr", { class: `${same ? "same" : "changed"}${place === first ? " first" : ""}` },
        element("th", { scope: "row" }, place === first ? "first difference" : same ? "" : "≠"), side(row.left), side(row.right));
    });
    return element("div", {}, element("h3", {}, title), note ? element("p", { class: "dim" }, note) : null,
      element("div", { class: "scrolled compared", tabindex: 0, role: "region", "aria-label": title },
        element("table", {}, element("thead", {}, element("tr", {}, element("th", {}), element("th", { scope: "col" }, "this run"), element("th", { scope: "col" }, other.title))), element("tbody", {}, ...body))));
  };
  byId("against").replaceChildren(
    compared(other.plan, "The plans", ""),
    compared(other.decisions, "What the cores decided",
      [other.same ? `The first ${other.same} decisions are the same in both.` : "", other.decisions.every((row) => row.same) ? "They decided the same; only their times differ." : ""].filter(Boolean).join(" ")));
}

function showPlan() {
  byId("plan").textContent = data.plan;
  copier(byId("copy-plan"), data.plan);
}
