// Puts the page together, and hears what the reader wants.

const TOGGLES = [["inputs", [INPUT]], ["effects", [EFFECT]], ["messages", [SENT, DELIVERED]], ["changes", [CHANGE]], ["disk", [DISK]], ["log", [LOG]]];
const KEYS = [
  ["j ↓", "next event"], ["k ↑", "previous event"], ["] [", "next and previous event of the same host"], ["m", "the other end of the message"],
  ["f F", "next and previous fault"], ["v", "the violation, and the next one"], ["c", "only what can have led to the selected event"],
  ["q", "fold quiet stretches"], ["Enter", "open or close the fold at the selected event"], ["+ − 0", "zoom in, out, the whole run"],
  ["/", "find a text; n and N go through what was found"], ["t", "table"], ["?", "this help"],
];

function pressed(name, on) {
  document.querySelector(`[data-do="${name}"]`)?.setAttribute("aria-pressed", String(on));
}

function refresh() {
  relayout();
  drawTable();
  scrollToEvent(view.selected, true);
}

function zoom(row) {
  const height = scroll.clientHeight;
  const anchored = view.selected >= 0 && view.layout.row[view.selected] >= 0 ? view.layout.row[view.selected] + 0.5 : (scroll.scrollTop + height / 2) / view.row;
  const offset = anchored * view.row - scroll.scrollTop;
  view.row = Math.min(ROW_MAX, Math.max(Math.min(ROW_MIN, height / (view.layout.rows + 2)), row));
  resize();
  scroll.scrollTop = Math.max(0, anchored * view.row - Math.min(Math.max(offset, 0), height));
  draw();
}

const isFault = (event) => kindOf(event) === FAULT;
const isFound = (event) => foundTexts?.[events.text[event]] === 1;
const DO = {
  violation: nextViolation,
  next: () => step(1, isVisible),
  previous: () => step(-1, isVisible),
  fault: () => step(1, isFault, true),
  faultBefore: () => step(-1, isFault, true),
  along: () => step(1, (event) => isVisible(event) && events.lane[event] === events.lane[view.selected]),
  back: () => step(-1, (event) => isVisible(event) && events.lane[event] === events.lane[view.selected]),
  other: () => { const end = otherEnd(view.selected); if (end >= 0) select(end); },
  foundNext: () => step(1, isFound, true),
  foundBefore: () => step(-1, isFound, true),
  past: () => {
    view.pastOnly = !view.pastOnly;
    view.past = pastOf(view.selected);
    pressed("past", view.pastOnly);
    relayout();
    scrollToEvent(view.selected, true);
  },
  quiet: () => {
    view.fold = !view.fold;
    view.open.clear();
    pressed("quiet", view.fold);
    relayout();
    scrollToEvent(view.selected, true);
  },
  unfold: () => {
    const note = view.layout.notes.find(({ row, fold }) => fold >= 0 && Math.abs(row - view.layout.row[view.selected]) <= 1);
    if (note) view.open.add(note.fold);
    else view.open.clear();
    relayout();
    scrollToEvent(view.selected, true);
  },
  in: () => zoom(view.row * 1.35),
  out: () => zoom(view.row / 1.35),
  fit: () => zoom(scroll.clientHeight / (view.layout.rows + 2)),
  find: () => { byId("find").focus(); byId("find").select(); },
  table: () => {
    table.hidden = !table.hidden;
    for (const part of [scroll, map, byId("lanes")]) part.hidden = !table.hidden;
    pressed("table", !table.hidden);
    if (table.hidden) resize();
    markTable();
  },
  help: () => {
    const help = byId("help");
    help.hidden = !help.hidden;
    document.querySelector('[data-do="help"]').setAttribute("aria-expanded", String(!help.hidden));
  },
};
const KEY_DOES = {
  j: "next", ArrowDown: "next", k: "previous", ArrowUp: "previous", "]": "along", "[": "back", m: "other", f: "fault", F: "faultBefore",
  v: "violation", c: "past", q: "quiet", Enter: "unfold", "+": "in", "=": "in", "-": "out", 0: "fit", "/": "find", n: "foundNext",
  N: "foundBefore", t: "table", "?": "help",
};

function hear() {
  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey) return;
    const inField = press.target.closest("input, textarea, select");
    if (inField) {
      if (press.key === "Escape" || press.key === "Enter") { scroll.focus(); if (press.key === "Enter") DO.foundNext(); press.preventDefault(); }
      return;
    }
    // Arrows scroll the page and Enter presses buttons, unless the diagram has the reader's attention.
    const general = /^(Arrow|Enter)/.test(press.key);
    if (general && !press.target.closest("#scroll, #table")) return;
    const what = KEY_DOES[press.key];
    if (!what) return;
    press.preventDefault();
    DO[what]();
  });
  for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => DO[button.dataset.do]());
  byId("kinds").replaceChildren(...TOGGLES.filter(([, kinds]) => events.kind.some((kind) => kinds.includes(kind))).map(([name, kinds]) =>
    element("button", {
      "aria-pressed": String(!view.hidden.has(kinds[0])), title: `Show ${name}`,
      onclick: (press) => {
        const hide = !view.hidden.has(kinds[0]);
        for (const kind of kinds) hide ? view.hidden.add(kind) : view.hidden.delete(kind);
        press.currentTarget.setAttribute("aria-pressed", String(!hide));
        refresh();
      },
    }, name)));
  if (lanes.some((lane) => lane.kind === "settler")) {
    byId("kinds").append(element("button", {
      "aria-pressed": "false", title: "Show who asks whether the system has come to rest",
      onclick: (press) => {
        view.settling = !view.settling;
        press.currentTarget.setAttribute("aria-pressed", String(view.settling));
        refresh();
      },
    }, "settling"));
  }
  byId("help").replaceChildren(element("dl", {}, ...KEYS.flatMap(([key, what]) => [element("dt", {}, ...key.split(" ").map((one) => element("kbd", {}, one))), element("dd", {}, what)])));
  byId("find").addEventListener("input", (typed) => find(typed.target.value));
  scroll.addEventListener("scroll", draw, { passive: true });
  table.addEventListener("scroll", drawTable, { passive: true });
  scroll.addEventListener("click", (click) => {
    const { event, note } = eventAt(click.clientX, click.clientY);
    if (note) {
      view.open.add(note.fold);
      relayout();
    } else if (event >= 0) select(event);
  });
  scroll.addEventListener("wheel", (turn) => {
    if (!turn.ctrlKey) return;
    turn.preventDefault();
    zoom(view.row * Math.exp(-turn.deltaY / 300));
  }, { passive: false });
  const drag = (point) => {
    const box = map.getBoundingClientRect();
    scroll.scrollTop = ((point.clientY - box.top) / box.height) * (view.layout.rows + 2) * view.row - scroll.clientHeight / 2;
  };
  map.addEventListener("pointerdown", (point) => { map.setPointerCapture(point.pointerId); drag(point); });
  map.addEventListener("pointermove", (point) => { if (point.buttons) drag(point); });
  new ResizeObserver(() => resize()).observe(scroll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
}

function showLegend() {
  const part = (kind, sign, text) => element("span", {}, element("span", { class: kind }, sign), ` ${text}`);
  byId("legend").replaceChildren(
    ...(data.timeline.left_out ? [element("strong", {}, `${data.timeline.left_out} disk operations and messages are left out: the run is too long for a page.`)] : []),
    part("input", "→", "input of a core"), part("effect", "←", "effect"), part("mark", "◆", "decision"), part("delta", "Δ", "what a commit changed"), part("fault", "▲", "fault"),
    part("message", "↘", "message"), part("bad", "✕", "lost"), part("ok", "▮", "operation ok"), part("fail", "▮", "failed"), part("info", "⋮", "unknown"));
}

readColours();
relayout();
showHead();
showCurve();
showStory();
showHistory();
showStores();
showAgainst();
showPlan();
showLegend();
hear();
nextViolation();
byId("spoken").textContent = "";
// For whoever measures: the page can be used from here on.
document.documentElement.dataset.ready = String(Math.round(performance.now()));
