// The column beside the film: findings and their answers, how to finish, other readers, layers, facts.

import { overlap, sizeWords } from "./boxes.js";
import { by, byPointer, make, plural, refill } from "./dom.js";
import { isFinding, isWeak, letter, markKey, placeWords, scoreWords, verdictWords } from "./reading.js";
import { waitingWords } from "./status.js";

const SAME_PLACE = 0.2;  // The overlap above which two readers' marks are listed as one.
const STATE_WORDS = { undecided: "no answer yet", accepted: "accepted", rejected: "rejected", added: "added by you" };

export class Panel {
  constructor(desk) {
    this.desk = desk;
    this.liveBox = null;
    by("note").addEventListener("input", () => desk.noteTyped(by("note").value));
    by("note").addEventListener("blur", () => desk.flush());
  }

  update() {
    const { desk } = this, { film } = desk;
    if (!film) return;
    const reading = desk.reading, rows = desk.rows;
    this.drawTitle(film, reading, rows);
    const waiting = new Set(desk.waiting.map((action) => action.detection ?? action.mark));
    refill(by("findings"), ...rows.map((row) => this.drawRow(row, waiting.has(row.key))));
    this.drawBelow(film, rows);
    this.drawNote(desk.noted, reading);
    this.drawConflict();
    this.drawFinish(reading, rows);
    this.drawReaders(film, reading, rows);
    this.drawLayers(film);
    this.drawFacts(film);
  }

  drawTitle(film, reading, rows) {
    const num = rows.filter((row) => row.detection?.reported).length, analysed = film.status === "ok";
    const title = film.hidden ? "First look" : !analysed ? "Not analysed" : num ? `${plural(num, "finding")} by the detector` : "No finding by the detector";
    by("panel-title").textContent = reading.finished_at ? `Read: ${verdictWords(reading.verdict)}` : title;
    by("panel-lead").textContent = this.lead(film, reading, num, analysed);
  }

  lead(film, reading, num, analysed) {
    if (this.desk.isRevealing) return "The first look is being finished. The detector's marks come with the server's answer.";
    if (film.hidden) return "The detector's marks are hidden until you have finished. Mark what you see, then finish.";
    if (reading.finished_at) return `Finished ${when(reading.finished_at)}. A change opens it again.`;
    if (reading.phase === "second") return `Second look: the detector's marks are shown. Your first look (${verdictWords(reading.first?.verdict)}) is kept.`;
    if (!analysed) return "The detector has not looked at this film. It can be read all the same.";
    return num ? "" : "That does not rule out a nodule.";
  }

  drawRow(row, waits) {
    const { desk } = this, chosen = row.key === desk.chosen;
    const choose = () => desk.choose(row.key);
    const press = (run) => (event) => { run(); if (byPointer(event)) desk.stage.element.focus(); };
    const answer = (kind, label, key) => make("button", {
      type: "button", class: `answer ${kind}`, "aria-pressed": String(row.state === `${kind}ed`), "data-focus": `${row.key} ${kind}`,
      "aria-label": `${label} finding ${row.label}`, onclick: press(() => { desk.choose(row.key, { reveal: false }); desk[kind](); }),
    }, label, make("kbd", {}, key));
    const remove = make("button", {
      type: "button", class: "answer", "data-focus": `${row.key} remove`, "aria-label": `Remove finding ${row.label}`, onclick: press(() => { desk.choose(row.key, { reveal: false }); desk.remove(); }),
    }, "Remove", make("kbd", {}, "Del"));
    return make("li", { class: `finding ${row.state}${chosen ? " chosen" : ""}`, "data-key": row.key },
      make("button", {
        type: "button", class: "what", "aria-current": chosen ? "true" : null, "data-focus": row.key, onfocus: choose, onclick: press(choose),
        "aria-label": this.describe(row),
      },
      make("span", { class: "number" }, row.label),
      make("span", { class: "words" }, make("b", {}, whereIs(row)), make("br"), make("span", { class: "size" }, this.size(row)), moved(row)),
      row.detection ? make("span", { class: "score" }, scoreWords(row.detection.score)) : make("span", { class: "score" })),
      make("div", { class: "answers" },
        ...(row.detection ? [answer("accept", "Accept", "A"), answer("reject", "Reject", "X")] : [remove]),
        make("span", { class: "state quiet" }, waits || (chosen && desk.draft) ? waitingWords(desk.queue.state) : STATE_WORDS[row.state])));
  }

  size(row) { return sizeWords(this.liveBox?.key === row.key ? this.liveBox.box : row.key === this.desk.chosen && this.desk.draft?.box ? this.desk.draft.box : row.box, this.desk.film); }

  // The size while a box is dragged; key null: a box being drawn.
  live(key, box) {
    this.liveBox = box ? { key, box } : null;
    const place = key === null ? by("frame-note") : [...by("findings").children].find((item) => item.dataset.key === key)?.querySelector(".size");
    if (place && box) place.textContent = sizeWords(box, this.desk.film);
  }

  describe(row) {
    const what = row.detection ? `${whereIs(row)}, score ${scoreWords(row.detection.score)}` : whereIs(row);
    return `Finding ${row.label}, ${what}, ${sizeWords(row.box, this.desk.film)}, ${STATE_WORDS[row.state]}`;
  }

  drawBelow(film, rows) {
    const shown = new Set(rows.map((row) => row.key));
    const weak = film.detections.filter((detection) => isWeak(film, detection) && (this.desk.showBelow || !shown.has(detection.id))).length;
    by("below").hidden = !weak;
    by("below-words").textContent = `Show ${plural(weak, "weaker mark")} (score ${scoreWords(film.scale.lowest)} and more)`;
  }

  drawNote(row, reading) {
    const field = by("note");
    const key = `${this.desk.film.id} ${row?.key ?? ""}`;
    by("note-words").replaceChildren(row ? `Note on finding ${row.label} ` : "Note on the film ", make("kbd", {}, "T"));
    if (document.activeElement !== field || field.dataset.key !== key) field.value = (row ? row.mark.note : reading.note) ?? "";
    field.dataset.key = key;
  }

  drawConflict() {
    const { desk } = this, place = by("conflict"), conflict = desk.conflict;
    place.hidden = !conflict;
    if (place.hidden || place.conflict === conflict) return;
    place.conflict = conflict;
    place.replaceChildren(
      make("p", {}, make("b", {}, "This reading was changed elsewhere, "), "in another tab or window. What is stored is shown now."),
      make("p", {}, `Not stored: ${conflict.words.join(", ")}.`),
      make("div", { class: "buttons" },
        make("button", { type: "button", class: "main", onclick: () => desk.insist() }, "Make these changes again"),
        make("button", { type: "button", onclick: () => desk.giveWay() }, "Leave it as it is")));
  }

  drawFinish(reading, rows) {
    const { desk } = this, found = reading.marks.filter(isFinding).length;
    const open = rows.some((row) => row.state === "undecided" && row.detection.reported);
    const button = (verdict, label, key, main) => make("button", {
      type: "button", class: main ? "main" : null, "data-focus": verdict, "data-verdict": verdict, "aria-pressed": String(reading.verdict === verdict),
      onclick: (event) => { desk.finish(verdict); if (byPointer(event)) desk.stage.element.focus(); },
    }, label, make("kbd", {}, key));
    refill(by("finish"),
      button("normal", "Normal", "0", false),
      button("findings", found ? `Done: ${plural(found, "finding")}` : "Done with findings", "↵", found > 0 && !open),
      button("unreadable", "Cannot read", "U", false));
  }

  // Readers side by side: a line a finding, a column a reader; marks that overlap share a line.
  drawReaders(film, reading, rows) {
    const { desk } = this, shown = film.others.length > 0 || reading.first;
    by("readers-section").hidden = !shown;
    by("others-switch").hidden = !film.others.length;
    if (!shown) return;
    const columns = [{ name: "you", reading }, ...(reading.first ? [{ name: "you, first look", reading: reading.first }] : []), ...film.others.map((other) => ({ name: other.reader, reading: other }))];
    if (!reading.finished_at && !desk.showOthers && film.others.length) {
      by("readers").replaceChildren(make("p", { class: "quiet" }, `Also read by ${film.others.map((other) => other.reader).join(", ")}. Shown when you have finished, or when you ask for it.`));
      return;
    }
    const lines = comparedLines(rows, columns);
    by("readers").replaceChildren(make("table", {},
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Finding"), ...columns.map(({ name }) => make("th", { scope: "col" }, name)))),
      make("tbody", {},
        ...lines.map(({ label, cells }) => make("tr", {}, make("th", { scope: "row" }, label), ...cells.map((mark) => make("td", {}, mark ? this.markWords(mark) : "–")))),
        make("tr", { class: "verdicts" }, make("th", { scope: "row" }, "Film"), ...columns.map(({ reading: one }) => make("td", {}, verdictWords(one.verdict)))))));
  }

  markWords(mark) {
    const sign = mark.state === "rejected" ? "✕ rejected" : `${mark.state === "added" ? "+" : "✓"} ${sizeWords(mark.box, { ...this.desk.film, spacing_plane: this.desk.film.spacing_plane }).replace(/ \(no.*\)| at the detector| \(calibrated\)/, "")}`;
    return mark.note ? `${sign}: ${mark.note}` : sign;
  }

  drawLayers(film) {
    by("layers-section").classList.toggle("no-heat", !film.has_heatmap);
    by("heat-switch").hidden = !film.has_heatmap;
    by("heat-tools").hidden = !film.has_heatmap;
    if (film.has_heatmap && by("legend").scale !== JSON.stringify(film.scale)) drawLegend(by("legend"), film.scale);
  }

  drawFacts(film) {
    if (this.factsOf === film) return;
    this.factsOf = film;
    const changed = film.mine?.model_changed ? ["The detector's results on this film have changed since you began; those you began with are shown."] : [];
    const warnings = [...changed, ...film.warnings, ...(film.gate?.passed === false ? [`The gate would not let this film pass: ${film.gate.words ?? film.gate.reasons.join(", ")}.`] : [])];
    by("warnings-section").hidden = !warnings.length;
    by("warnings").replaceChildren(...warnings.map((words) => make("li", {}, words)));
    const { model, operating_threshold: threshold, facts } = this.desk.session;
    const [row, column] = film.spacing_mm ?? [];
    const lines = [
      ["File", film.path], ["Reading", film.id], ["View", film.view === "UNKNOWN" ? "not stated" : film.view],
      ["Pixels", `${film.size[0]} × ${film.size[1]} (rows × columns), shown as ${film.display_size[0]} × ${film.display_size[1]}`],
      ["Spacing", film.spacing_mm ? `${row.toFixed(3)} × ${column.toFixed(3)} mm, ${film.spacing_plane === "calibrated" ? "calibrated" : "at the detector"}` : "not stated; no millimetres are given"],
      ["Model", model && `${model.name} ${model.version}, ${model.fingerprint.slice(0, 16)}`], ["Operating point", model && `score ${scoreWords(threshold)}`],
      ["Sensitivity", facts?.sensitivity ?? null],
    ];
    by("facts").replaceChildren(...lines.filter(([, words]) => words).map(([label, words]) => make("div", {}, make("dt", {}, label), make("dd", {}, words))));
  }
}

const whereIs = ({ detection, mark }) => (detection ? placeWords(mark?.zone || mark?.side ? mark : detection) : mark.zone || mark.side ? placeWords(mark) : "your mark");
const when = (time) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const moved = (row) => (row.mark?.moved && row.detection ? make("span", { class: "quiet" }, " · moved by you") : null);

function comparedLines(rows, columns) {
  const lines = rows.filter((row) => row.detection).map((row) => ({ label: row.label, key: row.key, box: row.box }));
  columns.forEach(({ name, reading }, at) => {
    reading.marks.filter((mark) => !mark.detection).forEach((mark, number) => {
      const same = lines.find((line) => !line.marks?.[at] && line.key === undefined && overlap(line.box, mark.box) > SAME_PLACE);
      const line = same ?? { label: `${at ? `${name}: ` : ""}${letter(number)}`, box: mark.box };
      line.marks = { ...line.marks, [at]: mark };
      if (!same) lines.push(line);
    });
  });
  return lines.map((line) => ({
    label: line.label,
    cells: columns.map(({ reading }, at) => line.marks?.[at] ?? (line.key ? reading.marks.find((mark) => markKey(mark) === line.key) : undefined)),
  }));
}

function drawLegend(legend, scale) {
  const SVG = "http://www.w3.org/2000/svg", width = 300;
  const odds = (score) => Math.log(score / (1 - score));
  const place = (score) => (width * (odds(score) - odds(scale.lowest))) / (odds(scale.highest) - odds(scale.lowest));
  const put = (name, attributes, words = null, parent = legend) => {
    const made = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (words !== null) made.textContent = words;
    parent.append(made);
    return made;
  };
  legend.replaceChildren();
  legend.scale = JSON.stringify(scale);
  legend.setAttribute("aria-label", `Colours of the score: transparent below ${scoreWords(scale.lowest)}, operating point at ${scoreWords(scale.operating)}.`);
  const ramp = put("linearGradient", { id: "ramp" });
  scale.stops.forEach(([offset, colour]) => put("stop", { offset, "stop-color": colour }, null, ramp));
  const mark = place(scale.operating);
  put("text", { x: mark, y: 11, "text-anchor": mark < width * 0.3 ? "start" : "middle", class: "operating" }, `operating point ${scoreWords(scale.operating)}`);
  put("rect", { x: 0, y: 17, width, height: 12, fill: "url(#ramp)" });
  put("path", { d: `M${mark} 15v16`, class: "operating-line" });
  put("text", { x: 0, y: 45, "text-anchor": "middle" }, scoreWords(scale.lowest));
  put("text", { x: width, y: 45, "text-anchor": "middle" }, scoreWords(scale.highest));
}
