// The reader's desk: the finding in hand, and what the reader does with it and with the film.

import { boxAround, moveBox, resizeBox, sizeWords, tidyBox } from "./boxes.js";
import { by, plural } from "./dom.js";
import { LyingFilm } from "./lying.js";
import { newId } from "./queue.js";
import { isFinding, verdictWords } from "./reading.js";
import { say, tell } from "./status.js";
import { filmName } from "./worklist.js";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const EDITS = new Set(["accept", "reject", "clear", "add", "move", "remove"]);
const KEYBOARD_REST_MS = 700;

export class Desk extends LyingFilm {
  constructor(room) {
    super(room);
    this.tool = "window";
    this.lastFinished = null;
    this.draft = null;
  }

  leave() {
    this.flush();
    if (this.tool !== "window") this.useTool("window");
  }

  // Actions.

  act(kind, fields = {}) {
    if (this.isLeaving) return false;
    if (this.isRevealing) { tell("The first look is being finished; wait for the server's answer."); return false; }
    this.flush();
    if (EDITS.has(kind) && this.reading.finished_at) this.queue.add(this.film.id, { kind: "reopen" });
    this.queue.add(this.film.id, { kind, ...fields });
    this.show();
    return true;
  }

  name(row) { return row.detection ? { detection: row.detection.id } : { mark: row.mark.id }; }

  // The finding that a note would belong to; null: the film as a whole.
  get noted() { return this.row?.mark ? this.row : null; }

  choose(key, { reveal = true } = {}) {
    if (key === this.chosen) return;
    this.flush();
    this.chosen = key;
    this.show();
    const row = this.row;
    if (!row) return;
    if (reveal && this.stage.film) this.stage.reveal(row.box);
    by("findings").querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
    say(`Finding ${row.label}, ${sizeWords(row.box, this.film)}, ${row.state}`);
  }

  step(by) {
    if (!this.film) return;
    const rows = this.rows, at = rows.findIndex((row) => row.key === this.chosen);
    if (!rows.length) { tell("There is no finding here. M adds one, D draws one."); return; }
    this.choose(rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : (at + by + rows.length) % rows.length].key);
  }

  // The finding that a key means: the chosen one, or the only one that has no answer yet.
  meant() {
    if (!this.film || this.row) return this.row;
    const open = this.rows.filter((row) => row.state === "undecided");
    if (open.length !== 1) { tell(this.rows.length ? "Choose a finding first: N or P." : "There is no finding here."); return null; }
    this.choose(open[0].key);
    return this.row;
  }

  answer(kind) {
    const row = this.meant();
    if (row && !row.detection && kind === "reject") this.remove();
    if (!row?.detection) return;
    if (row.state === `${kind}ed`) return;
    this.act(kind, { detection: row.detection.id });
    say(`Finding ${row.label} ${kind}ed`);
  }

  accept() { this.answer("accept"); }
  reject() { this.answer("reject"); }

  clearAnswer() {
    const row = this.row;
    if (row?.detection && row.mark) this.act("clear", { detection: row.detection.id });
  }

  remove() {
    const row = this.row;
    if (!row) return;
    if (row.detection) { this.answer("reject"); return; }
    this.act("remove", { mark: row.mark.id });
    this.chosen = null;
    this.show();
    tell(`Finding ${row.label} removed. Ctrl+Z brings it back.`);
  }

  addBox(box) {
    const mark = newId();
    if (!this.act("add", { box: tidyBox(box), mark })) return;
    this.chosen = mark;
    this.useTool("window");
    this.show();
    say(`Finding ${this.row.label} added, ${sizeWords(this.row.box, this.film)}`);
  }

  addInMiddle() { if (this.stage.film) this.addBox(boxAround(this.stage.middle, this.film)); }

  moveTo(row, box) { this.act("move", { ...this.name(row), box: tidyBox(box) }); }

  arrow(event) {
    const [dx, dy] = STEPS[event.key], row = this.row;
    if (!row || this.marks.hidden) { this.stage.changeWindow(-dy, 1.05 ** dx); return; }
    const step = event.ctrlKey || event.altKey || event.metaKey ? 10 : 1, from = this.draft?.box ?? row.box;
    const box = event.shiftKey ? resizeBox(from, "se", dx * step, dy * step, this.film.size) : moveBox(from, dx * step, dy * step, this.film.size);
    this.hold({ of: row.key, box, store: () => this.moveTo(row, box) });
    this.marks.draft(row.key, box);
  }

  // Something half done by keyboard (a box on its way, a note being written): stored after a short rest, or before anything else.
  hold(draft) {
    if (this.draft && this.draft.of !== draft.of) this.flush();
    clearTimeout(this.draft?.timer);
    this.draft = { ...draft, timer: setTimeout(() => this.flush(), KEYBOARD_REST_MS) };
    this.show();
  }

  flush() {
    if (!this.draft) return;
    const { timer, store, box } = this.draft;
    clearTimeout(timer);
    this.draft = null;
    if (box) this.marks.endDraft();
    store();
    if (box && this.row) say(`Finding ${this.row.label}, ${sizeWords(this.row.box, this.film)}`);
  }

  noteTyped(text) {
    const row = this.noted;
    this.hold({ of: "note", store: () => this.act("note", { ...(row ? { mark: row.mark.id } : {}), text }) });
  }

  writeNote() {
    if (this.film) by("note").focus();
  }

  undo() {
    if (this.isLeaving) return;
    this.flush();
    if (this.reading.can_undo) { this.act("undo"); tell("Undone. Ctrl+Shift+Z does it again."); return; }
    const before = this.lastFinished;
    if (!before || before === this.film.id) { tell("There is nothing to undo on this film."); return; }
    this.lastFinished = null;
    this.goTo(before).then((there) => { if (there && this.reading.can_undo) { this.act("undo"); tell("Back on the film before; its end is undone."); } });
  }

  redo() {
    if (this.film && this.reading.can_redo) this.act("redo");
    else tell("There is nothing to do again.");
  }

  // Finishing.

  finish(verdict) {
    if (this.isLeaving) return;
    this.flush();
    const reading = this.reading, found = reading.marks.filter(isFinding).length;
    if (reading.finished_at && reading.verdict === verdict) {
      if (reading.phase === "first") this.act("reveal");
      else this.goOn();
      return;
    }
    if (verdict === "normal" && found) {
      tell(`Not normal: ${plural(found, "finding")} accepted or added. Enter finishes with findings.`);
      return;
    }
    if (verdict === "findings" && !found) {
      tell("Nothing is accepted or added yet. 0 finishes as normal, U as cannot read.");
      return;
    }
    if (verdict === "findings" && !this.mayLeaveOpen()) return;
    if (reading.finished_at && !this.act("reopen")) return;
    if (!this.act("verdict", { verdict })) return;
    if (reading.phase === "first") { this.act("reveal"); return; }
    this.lastFinished = this.film.id;
    if (this.goOn()) tell(`${filmName(this.worklist.row(this.lastFinished) ?? { id: this.lastFinished })}: ${verdictWords(verdict)}. Ctrl+Z takes it back.`);
  }

  // Whether findings without an answer may stay so: asked once, for a few seconds.
  mayLeaveOpen() {
    const open = this.rows.filter((row) => row.state === "undecided" && row.detection.reported);
    if (!open.length || this.asked === this.film.id) { this.asked = null; return true; }
    this.asked = this.film.id;
    setTimeout(() => { this.asked = null; }, 6000);
    tell(`${open.length === 1 ? `Finding ${open[0].label} has` : `${open.length} findings have`} no answer yet. Enter again finishes all the same.`);
    return false;
  }

  // To the next unread film, or to the worklist where there is none; whether there was one.
  goOn() {
    const next = this.worklist.nextUnread(this.film.id, this.order);
    if (next) { this.goTo(next); return true; }
    this.toWorklist();
    say("Every film is read.");
    return false;
  }

  goBy(step) {
    if (!this.film) return;
    const next = this.order[this.order.indexOf(this.film.id) + step];
    if (next) this.goTo(next);
    else tell(step > 0 ? "This is the last film of the list." : "This is the first film of the list.");
  }

  // Tools and letting go.

  useTool(tool) {
    this.tool = this.tool === tool && tool !== "window" ? "window" : tool;
    this.stage.element.dataset.tool = this.tool;
    delete this.stage.element.dataset.grip;
    if (this.tool === "draw") tell("Drag over the finding. Esc: no.", { stays: 4000 });
    this.show();
  }

  toggleMove() { this.useTool("move"); }

  letGo() {
    if (this.tool === "draw") this.useTool("window");
    else if (document.activeElement !== this.stage.element) this.stage.element.focus();
    else if (this.chosen) this.choose(null);
  }

  zoomToFinding() {
    const row = this.meant();
    if (row) this.stage.zoomToBox(row.box);
  }
}
