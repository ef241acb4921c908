// The worklist: which films there are, which of them this reader has still to read, and the way into each. Only the lines in
// view are in the document, so that ten thousand films scroll like ten.

import { readWorklist } from "./api.js";
import { by, make, plural, refill } from "./dom.js";
import { scoreWords, verdictWords } from "./reading.js";
import { say, waitingWords } from "./status.js";

const ROW_PX = 48;
const STATES = { unread: ["○", "unread"], started: ["◐", "begun"], read: ["●", "read"] };

const FILTERS = [
  ["all", "All", () => true],
  ["unread", "Unread", (row) => row.state !== "read"],
  ["mine", "Mine", (row) => row.state !== "unread"],
  ["findings", "With findings", (row) => row.verdict === "findings"],
  ["normal", "Normal", (row) => row.verdict === "normal"],
  ["unreadable", "Cannot read", (row) => row.verdict === "unreadable"],
  ["refused", "Refused", (row) => row.status === "refused"],
];

// [label, file, the output that it needs]
const EXPORTS = [["COCO", "coco.json"], ["CSV", "findings.csv"], ["DICOM SR", "sr.zip", "sr"]];

export const filmName = (row) => row.path ?? row.id;

export class Worklist {
  // waiting(film): the reader's actions on it that are not stored yet; queueState(): the queue's; open(id) shows a film.
  constructor({ waiting, queueState, open }) {
    Object.assign(this, { waiting, queueState, openFilm: open });
    this.films = [];
    this.learnt = 0;
    this.filter = "unread";
    this.words = "";
    this.at = 0;
    this.place = by("rows");
    this.place.addEventListener("scroll", () => this.drawRows());
    this.place.addEventListener("focus", () => this.sayChosen());
    new ResizeObserver(() => this.drawRows()).observe(this.place);
    by("search").addEventListener("input", () => { this.words = by("search").value.trim().toLowerCase(); this.at = 0; this.draw(); });
    by("search").addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown" || event.key === "Escape") { event.preventDefault(); this.place.focus(); }
    });
  }

  // An answer to an action may overtake a list that was on its way; then the list is fetched again.
  async load(session) {
    this.session = session;
    let listed, known;
    do {
      known = this.learnt;
      listed = await readWorklist();
    } while (known !== this.learnt);
    const chosen = this.listed[this.at]?.id;
    this.films = listed.films;
    this.numNotFilms = listed.num_not_films ?? 0;
    this.byId = new Map(this.films.map((row) => [row.id, row]));
    const again = this.listed.findIndex((row) => row.id === chosen);
    this.at = again >= 0 ? again : Math.max(0, Math.min(this.at, this.listed.length - 1));
    this.draw();
  }

  // A film's line as it will be once everything on its way has arrived.
  lineOf(row) {
    let { state, verdict } = row;
    const actions = this.waiting(row.id);
    for (const action of actions) {
      if (action.kind === "verdict") { verdict = action.verdict; state = "read"; }
      else if (state === "unread" || action.kind === "reveal" || action.kind === "reopen" || action.kind === "undo") { verdict = null; state = "started"; }
    }
    return { ...row, state, verdict, waits: actions.length > 0 };
  }

  row(id) { return this.byId?.get(id); }

  // Takes over what the server said of a film in answer to an action.
  learn(id, reading) {
    this.learnt += 1;
    const row = this.row(id);
    if (!row) return;
    const isRead = Boolean(reading.finished_at) && reading.phase !== "first";
    const others = row.read_by.filter((name) => name !== reading.reader);
    Object.assign(row, { state: isRead ? "read" : "started", verdict: reading.verdict, read_by: isRead ? [...others, reading.reader] : others });
    this.draw();
  }

  get listed() {
    const [, , wanted] = FILTERS.find(([key]) => key === this.filter);
    return this.films.map((row) => this.lineOf(row)).filter((row) => wanted(row) && filmName(row).toLowerCase().includes(this.words));
  }

  get numLeft() { return this.films.filter((row) => this.lineOf(row).state !== "read").length; }

  // The film to read after this one: the next unread in the order of reading, from the start again at its end.
  nextUnread(after, order) {
    const from = order.indexOf(after);
    const unread = (id) => id !== after && this.row(id) && this.lineOf(this.row(id)).state !== "read";
    return [...order.slice(from + 1), ...order.slice(0, Math.max(0, from)), ...this.films.map((row) => row.id)].find(unread) ?? null;
  }

  // What the keys do.

  move(by) {
    const last = this.listed.length - 1;
    this.choose(Math.max(0, Math.min(last, this.at + by)));
  }

  open() {
    const row = this.listed[this.at];
    if (row) this.openFilm(row.id);
  }

  turnFilter(by) {
    const at = FILTERS.findIndex(([key]) => key === this.filter);
    this.setFilter(FILTERS[(at + by + FILTERS.length) % FILTERS.length][0]);
  }

  search() { by("search").focus(); by("search").select(); }

  setFilter(filter) {
    Object.assign(this, { filter, at: 0 });
    this.place.scrollTop = 0;
    this.draw();
    const [, label] = FILTERS.find(([key]) => key === filter);
    say(`${label}: ${plural(this.listed.length, "film")}`);
  }

  choose(at) {
    this.at = at;
    const top = at * ROW_PX, place = this.place;
    if (top < place.scrollTop) place.scrollTop = top;
    else if (top + ROW_PX > place.scrollTop + place.clientHeight) place.scrollTop = top + ROW_PX - place.clientHeight;
    this.drawRows();
    this.sayChosen();
  }

  chooseFilm(id) {
    const at = this.listed.findIndex((row) => row.id === id);
    this.choose(at >= 0 ? at : 0);
  }

  sayChosen() {
    const row = this.listed[this.at];
    if (row && document.activeElement === this.place) say(describeRow(row, this.session));
  }

  // Drawing.

  draw() {
    if (by("worklist-view").hidden) return;
    const lines = this.films.map((row) => this.lineOf(row));
    refill(by("filters"), ...FILTERS.map(([key, label, wanted]) => make("button", {
      type: "button", "aria-pressed": String(key === this.filter), "data-filter": key,
      onclick: () => { this.setFilter(key); this.place.focus(); },
    }, label, make("span", { class: "count" }, String(lines.filter(wanted).length)))));
    by("worklist-title").textContent = this.numLeft ? `${this.numLeft} of ${plural(lines.length, "film")} left to read` : "All films are read";
    by("worklist-foot").textContent = [
      this.session.model ? `${this.session.model.name} ${this.session.model.version}.` : "", this.session.disclaimer,
      this.numNotFilms ? `${plural(this.numNotFilms, "file")} of this run never became a film: see failures.csv.` : "",
    ].filter(Boolean).join(" ");
    refill(by("exports"), make("span", {}, "What readers said, as a file:"), ...EXPORTS
      .filter(([, , needs]) => !needs || this.session.outputs?.[needs])
      .map(([label, file]) => make("a", { href: `/api/export/${file}`, download: file }, label)));
    this.drawRows();
  }

  drawRows() {
    if (by("worklist-view").hidden) return;
    const rows = this.listed, place = this.place;
    const first = Math.max(0, Math.floor(place.scrollTop / ROW_PX) - 5);
    const last = Math.min(rows.length, Math.ceil((place.scrollTop + place.clientHeight) / ROW_PX) + 5);
    const above = make("div", { class: "spacer", role: "presentation" }), below = above.cloneNode();
    above.style.height = `${first * ROW_PX}px`;
    below.style.height = `${(rows.length - last) * ROW_PX}px`;
    const empty = rows.length ? null : make("p", { class: "empty", role: "presentation" }, this.films.length ? "No film here." : "This folder has no film.");
    refill(place, above, ...rows.slice(first, last).map((row, at) => this.drawRow(row, first + at, rows.length)), below, empty);
    if (rows.length) place.setAttribute("aria-activedescendant", `row-${this.at}`);
    else place.removeAttribute("aria-activedescendant");
  }

  drawRow(row, at, size) {
    const [sign, word] = STATES[row.state];
    return make("div", {
      id: `row-${at}`, role: "option", class: `row ${row.state}`, "aria-selected": String(at === this.at), "aria-posinset": at + 1,
      "aria-setsize": size, "aria-label": describeRow(row, this.session), "data-film": row.id,
      onclick: () => { this.chooseFilm(row.id); this.open(); },
    },
    make("span", { class: "sign", title: word }, sign),
    make("span", { class: "name", title: filmName(row) }, filmName(row)),
    make("span", { class: "view quiet" }, row.view === "UNKNOWN" ? "" : row.view),
    make("span", { class: "score" }, ...scoreCell(row, this.session)),
    make("span", { class: "verdict" }, row.verdict ? verdictWords(row.verdict) : row.state === "started" ? "begun" : "", row.waits ? ` (${waitingWords(this.queueState())})` : ""),
    make("span", { class: "readers quiet", title: row.read_by.join(", ") }, row.read_by.join(", ")));
  }
}

function scoreCell(row, session) {
  if (row.status === "refused") return [make("span", { class: "quiet" }, "not analysed")];
  if (row.film_score === null) return [make("span", { class: "quiet" }, session.second_reader ? "after your look" : "not analysed")];
  const meter = make("span", { class: "meter" }, make("span", { class: "fill" }), make("span", { class: "mark" }));
  meter.firstChild.style.width = `${100 * row.film_score}%`;
  meter.lastChild.style.left = `${100 * session.operating_threshold}%`;
  return [make("b", {}, scoreWords(row.film_score)), meter, make("span", { class: "quiet" }, row.num_reported ? plural(row.num_reported, "mark") : "")];
}

function describeRow(row, session) {
  const score = row.status === "refused" ? "not analysed" : row.film_score === null ? "" : `score ${scoreWords(row.film_score)}, ${plural(row.num_reported, "mark")}`;
  const mine = row.verdict ? verdictWords(row.verdict) : STATES[row.state][1];
  const others = row.read_by.filter((name) => name !== session?.reader);
  return [filmName(row), mine, score, others.length ? `read by ${others.join(", ")}` : ""].filter(Boolean).join(", ");
}
