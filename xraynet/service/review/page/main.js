// The review page: who reads, which room is shown (worklist or film), and the news from server, queue and other tabs.

import { followChanges, nameReader, readSession, sendAction } from "./api.js";
import { Controls } from "./controls.js";
import { Desk } from "./desk.js";
import { by, make } from "./dom.js";
import { FilmShelf } from "./films.js";
import { fillHelp, listenToKeys } from "./keys.js";
import { MarksLayer } from "./marks.js";
import { Panel } from "./panel.js";
import { StagePointer } from "./pointer.js";
import { ActionQueue, keptActions } from "./queue.js";
import { isFinding, letter } from "./reading.js";
import { FilmStage } from "./stage.js";
import { showSaving, tell, trouble } from "./status.js";
import { Worklist, filmName } from "./worklist.js";

const room = () => (by("film-view").hidden ? "worklist" : "film");
const filmInAddress = () => /^#\/film\/(.+)$/.exec(location.hash)?.[1] ?? null;
let session = null, queue = null, renewing = 0, isSignedOut = false;

const worklist = new Worklist({ waiting: (id) => queue?.ofFilm(id) ?? [], queueState: () => queue?.state ?? "saved", open: (id) => goTo(id, { order: worklist.listed.map((row) => row.id) }) });
const stage = new FilmStage(by("stage"), by("film"), () => { marks.place(); controls.update(); });
const marks = new MarksLayer(by("marks"), stage, {
  draft: (key, box) => panel.live(key, box),
  commit: (key, box) => {
    panel.live(key, null);
    const row = desk.rows.find((one) => one.key === key);
    if (row) desk.moveTo(row, box);
  },
  create: (box) => { panel.live(null, null); desk.addBox(box); },
});
const desk = new Desk({ stage, marks, shelf: new FilmShelf(), worklist, show, goTo, toWorklist });
const panel = new Panel(desk), controls = new Controls({ stage, marks, desk });
new StagePointer(stage, marks, {
  tool: () => desk.tool,
  on: { click: (point) => { stage.element.focus(); desk.choose(marks.keyAt(point), { reveal: false }); }, drawn: () => stage.element.focus() },
});

function show() {
  if (queue) showSaving(queue.state === "saved" && desk.draft ? "saving" : queue.state, queue.entries.length);
  if (!session?.reader) return;
  by("left").textContent = room() === "film" && worklist.films.length ? `${worklist.numLeft} left` : "";
  if (room() !== "film" || !desk.film) return;
  const { film } = desk, rows = desk.rows;
  by("where").textContent = [filmName(film), film.view === "UNKNOWN" ? null : film.view].filter(Boolean).join(" · ");
  by("where").title = filmName(film);
  by("identity").hidden = !film.identity?.length;
  by("identity").replaceChildren(...(film.identity ?? []).map(([label, value]) => make("div", {}, make("dt", {}, label), make("dd", {}, value))));
  marks.scoresShown = !film.hidden;
  marks.show({ rows, others: desk.showOthers ? othersMarks(film) : [], chosen: desk.chosen });
  panel.update();
  controls.update();
}

function othersMarks(film) {
  return film.others.flatMap((other, style) => {
    const added = other.marks.filter((mark) => !mark.detection);
    const name = (mark) => (mark.detection ? mark.detection.slice(1) : letter(added.indexOf(mark)));
    return other.marks.filter(isFinding).map((mark) => ({ style: style % 3, box: mark.box, label: `${other.reader} ${name(mark)}` }));
  });
}

// Rooms.

function showRoom(name) {
  by("film-view").hidden = name !== "film";
  by("worklist-view").hidden = name !== "worklist";
  by("to-worklist").hidden = name !== "film";
  by("skip").textContent = name === "film" ? "To the film" : "To the films";
  by("skip").setAttribute("href", name === "film" ? "#stage" : "#rows");
  if (name === "worklist") { by("where").textContent = ""; by("identity").hidden = true; document.title = "Review"; }
}

async function goTo(id, { order = desk.order } = {}) {
  desk.order = order.length ? order : worklist.films.map((row) => row.id);
  if (filmInAddress() !== id) history.pushState(null, "", `#/film/${id}`);
  showRoom("film");
  const there = await desk.open(id);
  if (there) { document.title = `${filmName(desk.film)} · Review`; stage.element.focus({ preventScroll: true }); }
  return there;
}

function toWorklist() {
  desk.flush();
  const last = desk.film?.id;
  if (filmInAddress()) history.pushState(null, "", "#/");
  showRoom("worklist");
  worklist.draw();
  if (last) worklist.chooseFilm(last);
  by("rows").focus();
  show();
  refreshWorklist();
}

async function refreshWorklist() {
  try {
    await worklist.load(session);
    show();
  } catch {
    // The stream of changes asks again once the server answers.
  }
}

function followAddress() {
  const id = filmInAddress();
  if (id && id !== desk.film?.id) goTo(id);
  else if (id) { showRoom("film"); show(); }
  else if (room() === "film") toWorklist();
}

// Readers.

function askName() {
  desk.flush();
  const dialog = by("name-dialog"), kept = new Map(keptActions(session.store ?? ""));
  const known = [...new Set([...session.readers, ...kept.keys()])];
  by("name-cancel").hidden = !session?.reader;
  by("name-wrong").textContent = "";
  by("name").value = "";
  by("known-readers").replaceChildren(...known.map((name) => make("button", { type: "button", onclick: () => sit(name) },
    kept.has(name) ? `${name} (${kept.get(name)} not saved)` : name)));
  dialog.showModal();
  by("name").focus();
}

async function sit(name) {
  if (!name) return;
  if (queue?.entries.length && name !== session.reader) { by("name-wrong").textContent = "Some changes are not saved yet; wait until they are."; return; }
  try {
    session = await nameReader(name);
  } catch (error) {
    by("name-wrong").textContent = error.message;
    return;
  }
  by("name-dialog").close();
  await begin();
}

async function begin() {
  queue?.close();
  Object.assign(desk, { session, film: null, lastFinished: null, showOthers: false });
  desk.stored.clear();
  desk.conflicts.clear();
  queue = new ActionQueue({
    store: session.store ?? "", reader: session.reader, send: sendAction, seat, revisionOf: (id) => desk.revisionOf(id),
    on: {
      change: (state) => { if (state === "locked out") signedOut(); show(); worklist.drawRows(); },
      saved: (entry, answer) => desk.saved(entry, answer),
      conflict: (id, actions, error) => desk.conflicted(id, actions, error),
      refused: (entry, error) => { desk.refused(entry, error); trouble(`Not stored: ${error.message}.`, [["Understood", () => trouble("")]]); },
      otherReader: () => takeSeat(),
      notKept: () => trouble("This browser keeps nothing for this page: what is not saved yet is lost when the page is closed."),
    },
  });
  desk.queue = queue;
  by("reader").hidden = false;
  by("reader").textContent = session.reader;
  by("reader").setAttribute("aria-label", `Reader: ${session.reader}. Change`);
  await worklist.load(session);
  await queue.open();
  const id = filmInAddress();
  if (id) await goTo(id);
  else toWorklist();
}

// Whose seat the server says this is. One that is nobody's (the server was started again, its link opened) is taken again.
async function seat() {
  const now = await readSession();
  if (now.reader) return now.reader === session.reader ? "mine" : "another's";
  return (await nameReader(session.reader)).reader === session.reader ? "mine again" : "another's";
}

// Another tab of this browser may have changed who sits here.
function takeSeat() {
  trouble(`Another tab has changed the reader. This page reads as ${session.reader}.`, [[`Go on as ${session.reader}`, async () => {
    session = await nameReader(session.reader);
    trouble("");
    queue.retryNow();
  }]]);
}

// News.

async function changed(change) {
  clearTimeout(renewing);
  renewing = setTimeout(refreshWorklist, 400);
  if (change.film !== desk.film?.id) return;
  const mine = change.reader === session?.reader;
  if (mine && (desk.waiting.length || change.revision <= desk.revisionOf(change.film))) return;
  await desk.renew().catch(() => {});
  if (mine) tell("This reading was changed in another tab; the newest is shown.");
}

function signedOut() {
  trouble("This page is not signed in any more. Open the link that the server printed when it was started, in any tab of this browser; this page then goes on.");
  isSignedOut = true;
}

async function connected(there) {
  if (!there) {
    await readSession().catch((error) => { if (error.status === 403) signedOut(); });
    return;
  }
  if (isSignedOut) { isSignedOut = false; trouble(""); }
  if (!queue) return;
  if ((await seat()) === "another's") { takeSeat(); return; }
  queue.retryNow();
  await queue.adopt();
  await refreshWorklist();
  if (!desk.waiting.length) await desk.renew().catch(() => {});
}

async function checkSeat() {
  if (document.hidden) { desk.flush(); return; }
  const now = await readSession().catch(() => null);
  if (now && session?.reader && now.reader !== session.reader) takeSeat();
}

by("name-form").addEventListener("submit", (event) => { event.preventDefault(); sit(by("name").value.trim()); });
by("name-dialog").addEventListener("cancel", (event) => { if (!session?.reader) event.preventDefault(); });
by("name-cancel").addEventListener("click", () => by("name-dialog").close());
by("reader").addEventListener("click", askName);
by("to-worklist").addEventListener("click", toWorklist);
by("show-keys").addEventListener("click", () => by("keys-dialog").showModal());
addEventListener("popstate", followAddress);
addEventListener("pagehide", () => desk.flush());
document.addEventListener("visibilitychange", checkSeat);
addEventListener("beforeunload", (event) => { desk.flush(); if (queue?.entries.length || desk.conflicts.size) event.preventDefault(); });

const bound = (owner, names) => Object.fromEntries(names.map((name) => [name, owner[name].bind(owner)]));
const methods = (owner) => Object.getOwnPropertyNames(Object.getPrototypeOf(owner)).filter((name) => typeof Object.getOwnPropertyDescriptor(Object.getPrototypeOf(owner), name).value === "function");
listenToKeys({
  room,
  rooms: { film: { ...bound(desk, methods(desk)), ...bound(controls, methods(controls)), toWorklist }, worklist },
  help: () => by("keys-dialog").showModal(),
});
fillHelp();

async function start() {
  try {
    session = await readSession();
  } catch (error) {
    const locked = error.status === 403;
    trouble(locked ? "Not signed in: open the address that the server printed." : "The server does not answer; trying again.");
    if (!locked) setTimeout(start, 2000);
    return;
  }
  trouble("");
  followChanges({ onChange: changed, onFilms: refreshWorklist, onState: (there) => connected(there).catch(() => {}) });
  if (session.reader) await begin();
  else askName();
}

start();
