// The film that lies on the desk: fetched and shown, what is stored of its reading, and what is on its way to the server.

import { by, plural } from "./dom.js";
import { actionWords, emptyReading, foldActions, listFindings } from "./reading.js";
import { say, tell, trouble } from "./status.js";
import { filmName } from "./worklist.js";

export class LyingFilm {
  // room = {stage, marks, shelf, worklist, show()}: show is called whenever what is to be seen has changed.
  constructor(room) {
    Object.assign(this, room);
    this.film = null;
    this.stored = new Map();
    this.chosen = null;
    this.showBelow = false;
    this.showOthers = false;
    this.order = [];
    this.conflicts = new Map();
    this.turn = 0;
    this.opening = null;
  }

  // What has to be put away before another film comes: nothing here.
  leave() {}

  // What is stored, and what will be.

  revisionOf(id) { return this.stored.get(id)?.revision ?? 0; }

  adopt(id, reading) {
    if (reading && reading.revision >= this.revisionOf(id)) this.stored.set(id, reading);
  }

  // Whether the film in sight is about to give way to another: what is done now would be meant for neither.
  get isLeaving() { return !this.film || (this.opening !== null && this.opening !== this.film.id); }

  // What met a conflict on this film and waits for the reader's word.
  get conflict() { return this.film ? this.conflicts.get(this.film.id) ?? null : null; }

  get waiting() { return this.film ? this.queue.ofFilm(this.film.id) : []; }

  get reading() {
    const stored = this.stored.get(this.film.id) ?? emptyReading(this.session.reader, this.session.second_reader);
    return foldActions(stored, this.waiting, this.film.detections);
  }

  get rows() { return listFindings(this.film, this.reading, this.showBelow); }
  get row() { return this.film ? this.rows.find((row) => row.key === this.chosen) ?? null : null; }
  get isRevealing() { return this.waiting.some((action) => action.kind === "reveal"); }

  // Opening films.

  async open(id) {
    this.leave();
    const turn = ++this.turn;
    this.opening = id;
    const late = setTimeout(() => { by("loading").hidden = false; }, 250);
    try {
      const film = await this.shelf.facts(id);
      if (turn !== this.turn) return false;
      const unpacked = await this.shelf.unpacked(film).catch((error) => error);
      if (turn !== this.turn) return false;
      this.layDown(film, unpacked);
    } catch (error) {
      if (turn === this.turn) trouble(`The film could not be fetched: ${error.message}.`, [["Try again", () => { trouble(""); this.open(id); }]]);
      return false;
    } finally {
      clearTimeout(late);
      if (turn === this.turn) { by("loading").hidden = true; this.opening = null; }
    }
    const next = this.worklist.nextUnread(id, this.order);
    if (next) this.shelf.ahead(next);
    return true;
  }

  layDown(film, unpacked) {
    const other = this.film?.id !== film.id;
    this.film = film;
    this.adopt(film.id, film.mine);
    if (other) this.chosen = null;
    if (unpacked instanceof Error) {
      this.stage.clear();
      tell(`The film cannot be shown: ${unpacked.message}.`, { stays: 60000 });
    } else {
      this.stage.show(film, unpacked);
    }
    this.show();
    if (other) by("panel-scroll").scrollTop = 0;
    if (other) say(`${filmName(film)}. ${this.describe()}`);
  }

  // Fetches the facts again, since something about this film was stored elsewhere or came to light.
  async renew() {
    const id = this.film?.id;
    if (!id) return;
    const film = await this.shelf.facts(id);
    const unpacked = await this.shelf.unpacked(film).catch((error) => error);
    if (this.film?.id === id) this.layDown(film, unpacked);
  }

  describe() {
    if (this.film.hidden) return "First look: the detector's marks are hidden.";
    if (this.film.status !== "ok") return "Not analysed by the detector.";
    const num = this.film.detections.filter((detection) => detection.reported).length;
    return num ? `${plural(num, "finding")} by the detector.` : "No finding by the detector.";
  }

  // The queue's news.

  saved(entry, answer) {
    this.adopt(entry.film, answer.reading);
    this.worklist.learn(entry.film, answer.reading);
    if (entry.action.kind === "reveal" && this.film?.id === entry.film) {
      this.renew().then(() => tell("Second look: the detector's marks are shown now. Your first look is kept."));
    }
    this.show();
  }

  conflicted(id, actions, error) {
    if (error.body.reading) this.stored.set(id, error.body.reading);
    else this.stored.delete(id);
    const lost = [...(this.conflicts.get(id)?.actions ?? []), ...actions], words = lost.map(actionWords);
    this.conflicts.set(id, { actions: lost, words });
    if (this.film?.id === id) this.renew().catch(() => this.show());
    else trouble(`${filmName(this.worklist.row(id) ?? { id })} was changed elsewhere; not stored: ${words.join(", ")}.`, [["Look at it", () => { trouble(""); this.goTo(id); }]]);
  }

  refused(entry, error) {
    if (error.body.reading) this.adopt(entry.film, error.body.reading);
    this.show();
  }

  // Makes the actions that met a conflict again, on what is stored now.
  insist() {
    const { actions } = this.conflict, film = this.film.id;
    this.conflicts.delete(film);
    for (const { action_id: _, made_at: __, reader: ___, ...action } of actions) this.queue.add(film, action);
    this.show();
  }

  giveWay() {
    this.conflicts.delete(this.film.id);
    this.show();
  }
}
