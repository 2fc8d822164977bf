// The teacher's page. It gets the whole view when it opens, and then only what has changed. It keeps what is on the page and
// changes only what differs, so that the focus, a selection and an open learner stay where they are. server.py puts
// base_widget.js before it.

import panel from "./panel.js";
import picture from "./picture.js";

const SILENCE = 35_000; // milliseconds without a word from kubeclass (there is one every ten seconds) until the page says so
const ORDERS = ["learner", "stuck", "hand"];

let view = null;
let texts = {};
let hidden = sessionStorage.getItem("hidden") === "yes";
let order = "learner";
let chosenLab = ""; // empty: the one with the most learners
let last = Date.now();
let lost = false;
const rows = new Map(); // key: { element, cells, … }
const open = new Map(); // key: the row below a learner's

/** A widget's model (anywidget) of which only the page knows. */
function modelOf(known) {
  const values = { status: "", busy: false, viewings: 0, ...known };
  const listeners = new Map();
  const tell = (name) => listeners.get(`change:${name}`)?.forEach((listener) => listener());
  return {
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; tell(name); },
    send: (request) => { if (request.do === "here") { values.viewings += 1; setTimeout(() => tell("viewings")); } },
    on: (name, listener) => listeners.set(name, [...(listeners.get(name) ?? []), listener]),
    off: (name, listener) => listeners.set(name, (listeners.get(name) ?? []).filter((one) => one !== listener)),
  };
}

// -- what is always on the page ---------------------------------------------------------------------------------------

const heading = make("h1");
const summary = make("p");
const status = make("p", { class: "status", role: "status", "aria-live": "polite" });
const spoken = make("p", { class: "spoken", role: "status", "aria-live": "polite" });
const notes = make("ul", { class: "notes", hidden: "" });
const labChoice = make("select", { onchange: () => { chosenLab = labChoice.value; draw(); } });
const labLabel = make("label", {}, make("span"), " ", labChoice);
const orderChoice = make("select", { onchange: () => { order = orderChoice.value; draw(); } });
const orderLabel = make("label", {}, make("span"), " ", orderChoice);
const hide = make("button", { type: "button", onclick: () => hideNames(!hidden) });
const controls = make("div", { class: "controls", role: "group" }, labLabel, orderLabel, hide);
const handsHeading = make("h2", { id: "hands" });
const handsList = make("ol");
const noHands = make("p");
const hands = make("section", { class: "hands", "aria-labelledby": "hands" }, handsHeading, noHands, handsList);
const labHeading = make("h2", { id: "lab" });
const begun = make("p");
const nobody = make("p");
const causesCaption = make("caption", { id: "causes-caption" });
const causesHead = make("tr");
const causesBody = make("tbody");
const causes = make("div", { class: "wide", role: "region", tabindex: "0", "aria-labelledby": "causes-caption" },
  make("table", { class: "causes" }, causesCaption, make("thead", {}, causesHead), causesBody));
const learnersCaption = make("caption", { id: "learners-caption" });
const learnersHead = make("tr");
const learnersBody = make("tbody");
const learners = make("div", { class: "wide", role: "region", tabindex: "0", "aria-labelledby": "learners-caption" },
  make("table", { class: "learners" }, learnersCaption, make("thead", {}, learnersHead), learnersBody));
const lab = make("section", { "aria-labelledby": "lab" }, labHeading, begun, causes, learners);
document.querySelector("main").append(heading, summary, status, spoken, notes, controls, hands, nobody, lab);

const dark = matchMedia("(prefers-color-scheme: dark)");
const useTheme = () => { document.body.dataset.jpThemeLight = String(!dark.matches); };
dark.addEventListener("change", useTheme);
useTheme();

// -- drawing ----------------------------------------------------------------------------------------------------------

function hideNames(wanted) {
  hidden = wanted;
  sessionStorage.setItem("hidden", hidden ? "yes" : "no");
  write(spoken, ""); // it may hold a name
  if (hidden) for (const key of [...open.keys()]) close(key);
  draw();
}

function shownLab() {
  const labs = Object.values(view.labs);
  return view.labs[chosenLab] ?? labs.sort((one, two) => two.number_begun - one.number_begun || one.number.localeCompare(two.number))[0];
}

function draw() {
  if (!view) return;
  document.title = view.title;
  write(heading, view.title);
  write(summary, view.summary);
  drawStatus();
  notes.hidden = !view.notes.length || hidden;
  setList(notes, view.notes, (text) => make("li", {}, text));
  controls.setAttribute("aria-label", texts["watch-controls"]);
  write(labLabel.firstChild, texts["watch-lab"]);
  write(orderLabel.firstChild, texts["watch-order"]);
  write(hide, texts["watch-names-hide"]);
  hide.setAttribute("aria-pressed", hidden);
  setList(orderChoice, ORDERS, (name) => make("option", { value: name }, texts[`watch-order-${name}`]));
  orderChoice.value = order;
  drawHands();
  write(nobody, view.nobody);
  nobody.hidden = !view.nobody;
  const shown = shownLab();
  lab.hidden = labLabel.hidden = !shown;
  if (!shown) return;
  setList(labChoice, Object.values(view.labs).map((one) => [one.number, one.title]), ([number, title]) => make("option", { value: number }, title));
  labChoice.value = shown.number;
  write(labHeading, shown.title);
  write(begun, shown.begun);
  drawCauses(shown);
  drawLearners(shown);
}

/** Make a list's children anew where what they show has changed. */
function setList(list, wanted, makeOne) {
  const text = JSON.stringify([wanted, hidden]);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...wanted.map(makeOne));
}

function drawStatus() {
  write(status, lost ? texts["watch-lost"] ?? "…" : view?.status ?? "");
}

function drawHands() {
  write(handsHeading, texts["watch-hands"]);
  write(noHands, texts["watch-hands-none"]);
  noHands.hidden = view.hands.length > 0;
  const focused = document.activeElement?.dataset?.uid;
  setList(handsList, view.hands, (hand) => {
    const words = make("span", { id: `hand-${hand.uid}` }, hidden ? hand.words_hidden : hand.words);
    const down = make("button", { type: "button", "data-uid": hand.uid, "aria-describedby": words.id, onclick: () => takeDown(hand) }, texts["watch-hand-down"]);
    return make("li", {}, words, down);
  });
  if (focused && !document.activeElement?.dataset?.uid) {
    (handsList.querySelector(`[data-uid="${CSS.escape(focused)}"]`) ?? handsList.querySelector("button") ?? hide).focus();
  }
}

async function takeDown(hand) {
  const answer = await fetch("hand-down", { method: "POST", body: JSON.stringify({ uid: hand.uid }) });
  const { why } = answer.ok ? await answer.json() : { why: texts["watch-lost"] };
  if (why) write(status, why);
}

function drawCauses(shown) {
  const wanted = hidden ? shown.causes_hidden : shown.causes;
  causes.hidden = !wanted.length;
  write(causesCaption, shown.causes_caption);
  setList(causesHead, [texts["marking-page-cause"], ...shown.tasks.map((task) => task.title), texts["watch-meaning"], texts["marking-page-lesson"]], column);
  setList(causesBody, wanted, (one) => make("tr", {},
    make("th", { scope: "row" }, one.words),
    ...one.counts.map((count) => heat(count, shown.number_begun)),
    make("td", {}, one.meaning),
    make("td", {}, one.address ? make("a", { href: one.address, target: "_blank" }, one.lesson) : one.lesson)));
}

function heat(count, of) {
  const cell = make("td", { class: count ? "count hot" : "count" }, String(count));
  cell.style.setProperty("--share", `${of ? Math.round((100 * count) / of) : 0}%`);
  return cell;
}

function column(text) {
  return make("th", { scope: "col" }, text);
}

function drawLearners(shown) {
  const mine = Object.entries(view.rows).filter(([, row]) => row.lab === shown.number);
  const named = mine.some(([, row]) => row.name) && !hidden;
  const grouped = mine.some(([, row]) => row.group) && !hidden;
  write(learnersCaption, shown.caption);
  setList(learnersHead, [
    texts["marking-page-learner"], ...(named ? [texts["marking-page-name"]] : []), ...(grouped ? [texts["marking-page-group"]] : []),
    texts["watch-stuck-on"], texts["watch-activity"], ...shown.tasks.map((task) => task.title), shown.points, texts["marking-page-now"],
  ], column);
  const keys = new Set(mine.map(([key]) => key));
  for (const key of [...rows.keys()]) if (!keys.has(key)) forget(key);
  for (const [key, row] of mine) drawRow(key, row, named, grouped);
  const by = {
    learner: () => 0,
    stuck: (one, two) => two.stuck_minutes - one.stuck_minutes,
    hand: (one, two) => position(one) - position(two),
  }[order];
  mine.sort(([, one], [, two]) => by(one, two) || label(one).localeCompare(label(two)));
  const wanted = mine.flatMap(([key]) => [rows.get(key).element, ...(open.has(key) ? [open.get(key).element] : [])]);
  const focused = document.activeElement;
  wanted.forEach((element, number) => {
    if (learnersBody.children[number] !== element) learnersBody.insertBefore(element, learnersBody.children[number] ?? null);
  });
  if (focused !== document.activeElement && learnersBody.contains(focused)) focused.focus();
}

function label(row) {
  return hidden ? row.alias : row.id;
}

function position(row) {
  const found = view.hands.findIndex((hand) => hand.learner === row.id);
  return found < 0 ? Infinity : found;
}

function drawRow(key, row, named, grouped) {
  const wanted = JSON.stringify([row, hidden, named, grouped]);
  const known = rows.get(key) ?? makeRow(key);
  if (known.drawn === wanted) return;
  const before = known.row;
  known.drawn = wanted;
  known.row = row;
  write(known.button, label(row));
  known.button.disabled = hidden || !row.begun;
  known.button.setAttribute("aria-expanded", open.has(key));
  known.button.title = hidden ? texts["watch-hidden-row"] : "";
  write(known.mark, row.hand ? `⚑ ${texts["watch-hand-up"]}` : "");
  const cells = [
    ...(named ? [["", row.name]] : []), ...(grouped ? [["", row.group]] : []),
    ["stuck", hidden ? row.stuck_hidden : row.why || row.stuck],
    [row.moves ? "moves" : "", row.moves ? `▶ ${row.activity}` : row.activity],
    ...row.cells.map((cell) => [cell.word, `${cell.symbol} ${cell.shown}`, cell.points]),
    ["count", String(row.score)], ["", row.now],
  ];
  const there = [...known.element.children].slice(1);
  there.slice(cells.length).forEach((cell) => cell.remove());
  cells.forEach(([kind, text, points], number) => {
    const cell = there[number] ?? known.element.appendChild(make("td"));
    const wanted = JSON.stringify([kind, text, points]);
    if (cell.dataset.shown !== wanted) {
      cell.dataset.shown = wanted;
      cell.className = kind;
      cell.replaceChildren(points === undefined ? text : make("span", { class: "word" }, text), ...(points === undefined ? [] : [` ${points}`]));
    }
  });
  row.cells.forEach((cell, number) => {
    if (!before || before.cells[number].word === cell.word) return;
    const shown = known.element.children[cells.length - 1 - row.cells.length + number]; // behind these: points, and where the learner is
    shown.classList.remove("new");
    void shown.offsetWidth; // starts the animation again
    shown.classList.add("new");
  });
  if (open.has(key)) load(key);
}

function makeRow(key) {
  const button = make("button", { type: "button", onclick: () => (open.has(key) ? close(key) : showLearner(key)) });
  const mark = make("span", { class: "hand-mark" });
  const known = { element: make("tr", {}, make("th", { scope: "row" }, button, mark)), button, mark, row: null, drawn: "" };
  rows.set(key, known);
  return known;
}

function forget(key) {
  close(key);
  rows.get(key).element.remove();
  rows.delete(key);
}

// -- one learner ------------------------------------------------------------------------------------------------------

function showLearner(key) {
  const words = make("p", { role: "status" }, texts["watch-panel-loading"]);
  const its = make("div");
  const drawn = make("div");
  const ask = make("button", { type: "button", onclick: () => drawPicture(key) }, texts["watch-picture"]);
  const cell = make("td", {}, words, make("div", { class: "parts" }, its, make("div", {}, ask, drawn)));
  const element = make("tr", { class: "detail" }, cell);
  open.set(key, { element, cell, words, its, drawn, model: null, pictureModel: null, ends: [] });
  rows.get(key).button.setAttribute("aria-expanded", "true");
  draw();
  load(key);
}

function close(key) {
  const known = open.get(key);
  if (!known) return;
  for (const end of known.ends) end?.();
  known.element.remove();
  open.delete(key);
  rows.get(key)?.button.setAttribute("aria-expanded", "false");
}

async function ask(what, key) {
  const row = view.rows[key];
  try {
    const answer = row && await fetch(`${what}?${new URLSearchParams({ learner: row.id, lab: row.lab })}`);
    return answer?.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

async function load(key) {
  const found = await ask("panel", key);
  const known = open.get(key);
  if (!known) return;
  known.cell.colSpan = rows.get(key)?.element.children.length ?? 1;
  write(known.words, found ? "" : texts["watch-row-gone"]);
  if (!found) return;
  if (known.model) return known.model.set("view", found);
  known.model = modelOf({ view: found });
  known.ends.push(panel.render({ model: known.model, el: known.its }));
}

async function drawPicture(key) {
  const known = open.get(key);
  write(known.words, texts["watch-panel-loading"]);
  const found = await ask("picture", key);
  if (!open.has(key)) return;
  write(known.words, found ? "" : texts["watch-picture-failed"]);
  if (!found) return;
  const told = found.broken.join("; ");
  if (known.pictureModel) {
    known.pictureModel.set("view", found);
    return known.pictureModel.set("status", told);
  }
  known.pictureModel = modelOf({ view: found, status: told });
  known.ends.push(picture.render({ model: known.pictureModel, el: known.drawn }));
}

// -- listening --------------------------------------------------------------------------------------------------------

let source = null;
let drawing = false;

/** Draw once for a burst of changes. */
function drawSoon() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => { drawing = false; draw(); }, 50);
}

function heard() {
  last = Date.now();
  if (lost) { lost = false; drawStatus(); }
}

function take(news) {
  const before = new Set(view.hands.map((hand) => hand.uid));
  for (const [name, part] of Object.entries(news)) {
    if (name === "rows" || name === "labs") Object.assign(view[name], part);
    else if (name.endsWith("_gone")) for (const key of part) delete view[name.slice(0, -5)][key];
    else view[name] = part;
  }
  const raised = view.hands.filter((hand) => !before.has(hand.uid));
  if (raised.length) write(spoken, `${texts["watch-hands"]}: ${raised.map((hand) => (hidden ? hand.words_hidden : hand.words)).join(", ")}`);
}

function listen() {
  source?.close();
  source = new EventSource("events");
  source.addEventListener("whole", (event) => {
    view = JSON.parse(event.data);
    texts = view.texts;
    heard();
    draw();
  });
  source.addEventListener("change", (event) => {
    if (!view) return;
    take(JSON.parse(event.data));
    heard();
    drawSoon();
  });
  source.addEventListener("beat", heard);
  source.addEventListener("error", () => { lost = true; drawStatus(); });
}

setInterval(() => {
  if (Date.now() - last < SILENCE && source.readyState !== EventSource.CLOSED) return;
  lost = true;
  drawStatus();
  last = Date.now();
  listen(); // after a sleep, or a command that was started again at the same port
}, 5_000);
listen();
