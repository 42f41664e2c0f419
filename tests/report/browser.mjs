// Opens a report from its file in a browser and does what a reader does. The first argument is the report of a run that
// failed; further ones are opened, looked at for errors and timed, and so is the last one repeated to 100,000 events. Among
// them there must be one with faults, one with a legal order, and one beside another run.
//
//   node browser.mjs FAILED.html [OTHER.html ...] [--shots DIR]
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const pages = [];
let shots = null;
for (let at = 2; at < process.argv.length; at++) {
  if (process.argv[at] === "--shots") shots = process.argv[++at];
  else pages.push(process.argv[at]);
}
assert(pages.length > 0, "name a report");
if (shots) mkdirSync(shots, { recursive: true });

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

async function open(file, { scheme = "light", width = 1440 } = {}) {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error.stack ?? error)));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && errors.push(message.text()));
  page.on("request", (request) => /^(file|data):/.test(request.url()) || errors.push(`asks for ${request.url()}`));
  await page.setViewport({ width, height: 1000 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(pathToFileURL(path.resolve(file)).href);
  await page.waitForFunction("document.documentElement.dataset.ready || undefined", { timeout: 60_000 });
  return { page, errors };
}

async function shoot(page, name) {
  if (!shots) return;
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
}

// What a screen reader says of the selected event.
const spoken = (page) => page.$eval("#spoken", (region) => region.textContent);
async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
  return spoken(page);
}
// How many pixels of the canvas have the colour of this custom property.
const painted = (page, colour) => page.evaluate((name) => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
    const canvas = document.getElementById("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) found += data[at] === r && data[at + 1] === g && data[at + 2] === b && data[at + 3] === 255;
    done(found);
  }));
}), colour);

const failed = pages[0];
{
  const { page, errors } = await open(failed);
  const heading = await page.$eval("h1", (heading) => heading.textContent);
  assert.match(heading, / is broken: /);
  assert(await painted(page, "bad") > 200, "the violation is in view from the start");

  // The violation, from event to event, and back.
  const violation = await press(page, "v");
  assert.match(violation, /^Event \d+ of \d+, \d+ ms, /);
  const before = await press(page, "k");
  assert.notEqual(before, violation);
  assert.equal(await press(page, "j"), violation);
  const height = await page.$eval("#height", (spacer) => spacer.offsetHeight);
  await press(page, "+");
  assert(await page.$eval("#height", (spacer) => spacer.offsetHeight) > height, "+ makes rows larger");
  await press(page, "-");
  await press(page, "0");
  assert(await page.$eval("#scroll", (scroll) => scroll.scrollHeight <= scroll.clientHeight + 60), "0 shows the whole run");
  for (let n = 0; n < 4; n++) await press(page, "+");

  // Folding away what cannot have led there.
  await press(page, "v", "c");
  assert.equal(await page.$eval('[data-do="past"]', (button) => button.getAttribute("aria-pressed")), "true");
  await press(page, "c");
  await press(page, "q");
  assert.equal(await page.$eval('[data-do="quiet"]', (button) => button.getAttribute("aria-pressed")), "false");
  await press(page, "q");

  // Search, and what it found.
  await press(page, "/");
  await page.keyboard.type("reply");
  assert.match(await page.$eval("#found", (found) => found.textContent), /^[1-9]\d* events$/);
  await press(page, "Escape");
  assert.match((await press(page, "n")).toLowerCase(), /reply/);

  // The table says the same, row by row.
  await press(page, "v", "t");
  const row = await page.$eval("#table .row.now", (row) => [...row.children].map((cell) => cell.textContent));
  assert.equal(row.length, 4);
  assert((await spoken(page)).includes(row[1]), `${await spoken(page)} does not name ${row[1]}`);
  assert(await page.$eval("#table", (table) => Number(table.getAttribute("aria-rowcount"))) > 1);
  await press(page, "t");

  // Keys belong to the diagram: Tab reaches it, and typing elsewhere is typing.
  await press(page, "?");
  assert(await page.$eval("#help", (help) => !help.hidden && help.querySelectorAll("kbd").length > 10));
  await press(page, "?");
  await page.focus("#scroll");
  await press(page, "v");
  assert.notEqual(await press(page, "ArrowUp"), violation);

  // What comes after it, in this order.
  const order = await page.$$eval("h2", (titles) => titles.filter((title) => title.offsetParent).map((title) => title.textContent));
  const at = ["What happened", "What led there, step by step", "What the clients saw", "What the stores held in the end", "The plan"].map((title) => order.indexOf(title));
  assert.deepEqual(at, at.toSorted((one, other) => one - other));
  assert(!at.includes(-1), order.join());
  assert(await page.$$eval("#history tbody tr", (rows) => rows.length) > 0);
  assert(await page.$$eval(".store", (stores) => stores.length) > 0);
  // The steps that led there end with what shows it, and each leads into the diagram.
  const steps = await page.$$eval("#story li", (items) => items.map((item) => item.textContent));
  assert(steps.length > 0 && steps.every((step) => /^\d+ ms /.test(step)), steps.join("\n"));
  // What commits changed is in the run, and among the steps if it came before.
  const [changes, earlier] = await page.evaluate(() => {
    const all = [...events.kind.keys()].filter((event) => kindOf(event) === CHANGE);
    return [all.length, all.filter((event) => event <= about.event).length];
  });
  assert(changes > 0);
  assert.equal(steps.some((step) => step.includes("Δ")), earlier > 0);
  await page.$eval("#story li button", (button) => button.click());
  assert.match(await spoken(page), new RegExp(`^Event \\d+ of \\d+, ${parseInt(steps[0])} ms, `));
  assert.match(await page.$eval("#replay", (code) => code.textContent), /^squall replay /);
  const unnamed = await page.$$eval("button, input, [role=region], [role=group], [role=table]", (parts) =>
    parts.filter((part) => !(part.textContent.trim() || part.getAttribute("aria-label") || part.closest("label"))).length);
  assert.equal(unnamed, 0, "everything that can be used has a name");
  await press(page, "v");
  await shoot(page, "light");
  assert.deepEqual(errors, []);
  await page.close();
}
for (const [name, options] of [["dark", { scheme: "dark" }], ["narrow", { width: 700 }]]) {
  const { page, errors } = await open(failed, options);
  await shoot(page, name);
  assert.deepEqual(errors, []);
  if (name === "narrow") {
    assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), "nothing sticks out sideways");
  }
  await page.close();
}

// A page of the same run, again and again, until it has so many events.
function lengthened(file, wanted, folder) {
  const [before, rest] = readFileSync(file, "utf8").split('id="data">');
  const end = rest.indexOf("</script>");
  const data = JSON.parse(rest.slice(0, end));
  const { timeline } = data;
  const { events } = timeline;
  const [count, time] = [events.at_ms.length, events.at_ms.at(-1) + 50];
  const messages = events.message.reduce((most, number) => Math.max(most, number), 0);
  const times = Math.ceil(wanted / count);
  const round = [...Array(times).keys()];
  timeline.events = {
    ...Object.fromEntries(["lane", "kind", "text"].map((column) => [column, round.flatMap(() => events[column])])),
    at_ms: round.flatMap((n) => events.at_ms.map((at) => at + n * time)),
    message: round.flatMap((n) => events.message.map((number) => number && number + n * messages)),
  };
  timeline.operations = round.flatMap((n) => timeline.operations.map((operation) => ({
    ...operation, id: operation.id + n * 1e6, invoked: operation.invoked + n * count,
    ended: operation.ended === null ? null : operation.ended + n * count,
  })));
  data.simulated_ms = times * time;
  const page = path.join(folder, "lengthened.html");
  writeFileSync(page, `${before}id="data">${JSON.stringify(data).replaceAll("<", "\\u003c")}${rest.slice(end)}`);
  return page;
}

// From fault to fault, there and back, and around.
async function walkFaults(page) {
  const faults = await page.evaluate(() => [...events.kind.keys()].filter((event) => kindOf(event) === FAULT));
  if (!faults.length) return false;
  const selected = () => page.evaluate(() => view.selected);
  await page.evaluate(() => select(0));
  const met = [];
  for (let n = 0; n < faults.length; n++) {
    await press(page, "f");
    met.push(await selected());
  }
  // The first event may be a fault itself, and is left behind at once.
  assert.deepEqual(met.toSorted((one, other) => one - other), faults);
  assert.match(await spoken(page), /^Event \d+ of \d+, \d+ ms, /);
  if (faults.length > 1) {
    await press(page, "F");
    assert.equal(await selected(), met.at(-2), "F goes back");
  }
  return true;
}

// The longest order that explains the history, in words and as a column of it.
async function readOrder(page) {
  const order = await page.evaluate(() => about?.order ?? []);
  if (!order.length) return false;
  const text = await page.$eval("#history-text", (words) => words.textContent);
  assert(text.startsWith(`The longest order that explains what was answered: ${order.map((id) => `op ${id}`).join(" → ")}. After it, nothing explains `), text);
  const rows = await page.$$eval("#history tbody tr", (all) => all.map((row) => [row.cells[0].textContent, row.cells[5].textContent]));
  const placed = rows.filter(([, place]) => /^\d+$/.test(place)).sort(([, one], [, other]) => one - other);
  assert.deepEqual(placed.map(([operation]) => operation), order.map((id) => `op ${id}`));
  const stuck = await page.evaluate(() => about.operations);
  assert.deepEqual(rows.filter(([, place]) => place === "cannot be explained").map(([operation]) => operation).sort(),
    stuck.map((id) => `op ${id}`).filter((name) => rows.some(([operation]) => operation === name)).sort());
  return true;
}

// Another run beside this one: the first line in which they differ is marked, and no other is called so.
async function compareRuns(page) {
  if (!await page.evaluate(() => Boolean(data.against))) return false;
  assert.match(await page.$eval("#against-title", (title) => title.textContent), /^Beside .+, which /);
  const tables = await page.$$eval("#against table", (all) => all.map((table) => [...table.tBodies[0].rows].map((row) => ({
    called: row.cells[0].textContent, first: row.classList.contains("first"), left: row.cells[1].textContent, right: row.cells[2].textContent,
  }))));
  assert.equal(tables.length, 2, "the plans, and the decisions");
  const rows = await page.evaluate(() => [data.against.plan, data.against.decisions]);
  for (const [place, table] of tables.entries()) {
    const first = rows[place].findIndex((row) => !row.same);
    assert.equal(table.length, rows[place].length);
    assert.deepEqual(table.flatMap((row, at) => (row.first || row.called === "first difference" ? [at] : [])), first < 0 ? [] : [first]);
    if (first >= 0) assert.notEqual(table[first].left, table[first].right);
  }
  return rows.some((table) => table.some((row) => !row.same));
}

// What a button copies is what stands beside it.
async function copy(page) {
  await page.evaluate(() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; });
  for (const [button, beside] of [["#copy-replay", "#replay"], ["#copy-plan", "#plan"]]) {
    await page.$eval(button, (pressed) => pressed.click());
    await page.waitForFunction((name) => document.querySelector(name).textContent === "Copied", {}, button);
    assert.equal(await page.evaluate(() => window.copied), await page.$eval(beside, (text) => text.textContent));
  }
}

const met = { faults: false, order: false, against: false };
const scratch = mkdtempSync(path.join(tmpdir(), "report-"));
for (const file of [...pages, lengthened(pages.at(-1), 100_000, scratch)]) {
  const { page, errors } = await open(file);
  const [ready, events] = await page.evaluate(() => [document.documentElement.dataset.ready, document.getElementById("spoken") && count]);
  const frame = await page.evaluate(async () => {
    const from = performance.now();
    for (let n = 0; n < 30; n++) {
      scroll.scrollTop += 400;
      await new Promise((done) => requestAnimationFrame(done));
    }
    return (performance.now() - from) / 30;
  });
  met.faults = await walkFaults(page) || met.faults;
  met.order = await readOrder(page) || met.order;
  met.against = await compareRuns(page) || met.against;
  if (file === failed) await copy(page);
  console.log(`${path.basename(file)}: ${events} events, usable after ${ready} ms, ${frame.toFixed(1)} ms a frame while it scrolls`);
  assert.deepEqual(errors, []);
  await page.close();
}
assert.deepEqual(met, { faults: true, order: true, against: true }, "there is a page with each of them");
rmSync(scratch, { recursive: true });
await browser.close();
console.log("passed");
