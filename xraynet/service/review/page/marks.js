// The boxes over the film: drawn in screen pixels, so that lines stay thin at any zoom; chosen, moved, resized and drawn by hand.

import { HANDLES, boxBetween, moveBox, resizeBox, tidyBox } from "./boxes.js";
import { scoreWords } from "./reading.js";

const SVG = "http://www.w3.org/2000/svg";
const OUTSET = 5;  // Handles stand this far outside of their box, so that a small box can still be seen and taken.
const SIGNS = { accepted: "✓", rejected: "✕", added: "+", undecided: "" };

function node(name, attributes = {}, parent = null) {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  parent?.append(made);
  return made;
}

function placeRect(rect, { x, y, width, height }, outset = 0) {
  rect.setAttribute("x", x - outset);
  rect.setAttribute("y", y - outset);
  rect.setAttribute("width", Math.max(0, width + 2 * outset));
  rect.setAttribute("height", Math.max(0, height + 2 * outset));
}

export class MarksLayer {
  // on = {select(key or null), draft(key, box), commit(key, box), create(box)}; key null in a draft: a box being drawn.
  constructor(svg, stage, on) {
    Object.assign(this, { svg, stage, on });
    this.rows = [];
    this.others = [];
    this.chosen = null;
    this.drafted = null;
    this.hidden = false;
    this.scoresShown = true;
    this.shapes = [];
  }

  // rows as listFindings gives them; others = [{reader, style, label, box}] of other readers.
  show({ rows, others, chosen }) {
    Object.assign(this, { rows, others, chosen });
    this.svg.replaceChildren();
    this.shapes = [
      ...others.map((mark) => this.addShape(mark, `box other other-${mark.style}`, mark.label)),
      ...rows.map((row) => this.addShape(row, `box ${row.state}${row.detection?.reported === false ? " weak" : ""}${row.key === chosen ? " chosen" : ""}`, this.labelOf(row))),
    ];
    this.rubber = node("rect", { class: "rubber" }, this.svg);
    this.handles = rows.some((row) => row.key === chosen) ? HANDLES.map((name) => node("rect", { class: `handle ${name}` }, this.svg)) : [];
    this.place();
  }

  labelOf(row) {
    const score = row.detection && this.scoresShown ? ` · ${scoreWords(row.detection.score)}` : "";
    return `${row.label}${score} ${SIGNS[row.state]}`.trimEnd();
  }

  addShape(item, kind, label) {
    const group = node("g", { class: kind }, this.svg);
    if (item.key) group.dataset.key = item.key;
    const halo = node("rect", { class: "halo" }, group), line = node("rect", { class: "line" }, group);
    const text = node("text", {}, group);
    text.textContent = label;
    return { item, halo, line, text };
  }

  boxOf(item) { return this.drafted && this.drafted.key === item.key ? this.drafted.box : item.box; }

  draft(key, box) {
    this.drafted = { key, box };
    this.place();
  }

  endDraft() {
    this.drafted = null;
    this.place();
  }

  // Puts every shape where the film's view has it now.
  place() {
    if (!this.stage.film) return;
    for (const { item, halo, line, text } of this.shapes) {
      const place = this.stage.toStage(this.boxOf(item));
      placeRect(halo, place);
      placeRect(line, place);
      const gap = item.key && item.key === this.chosen ? 14 : 7;
      const above = item.key && place.y > gap + 15, ends = place.x > this.stage.width - 90;
      text.setAttribute("x", ends ? place.x + place.width : place.x);
      text.setAttribute("y", above ? place.y - gap : place.y + place.height + gap + 11);
      text.setAttribute("text-anchor", ends ? "end" : "start");
    }
    this.placeHandles();
    const drawn = this.drafted?.key === null;
    this.rubber?.classList.toggle("shown", drawn);
    if (drawn) placeRect(this.rubber, this.stage.toStage(this.drafted.box));
  }

  placeHandles() {
    const row = this.chosenRow;
    if (!row) return;
    const place = this.stage.toStage(this.boxOf(row));
    this.handles.forEach((shape, at) => {
      const [x, y] = handlePoint(HANDLES[at], place);
      placeRect(shape, { x: x - 3.5, y: y - 3.5, width: 7, height: 7 });
    });
  }

  get chosenRow() { return this.rows.find((row) => row.key === this.chosen); }

  // Which handle of the chosen box, or "move" inside it, lies under a point of the stage; null for neither.
  gripAt([x, y], reach) {
    const row = this.chosenRow;
    if (!row || this.hidden) return null;
    const place = this.stage.toStage(this.boxOf(row));
    const inside = x >= place.x && x <= place.x + place.width && y >= place.y && y <= place.y + place.height;
    const depth = Math.min(x - place.x, place.x + place.width - x, y - place.y, place.y + place.height - y);
    if (inside && depth > Math.min(5, place.width / 5, place.height / 5)) return "move";
    const [nearest] = HANDLES
      .map((name) => ({ name, far: Math.hypot(...handlePoint(name, place).map((value, axis) => value - [x, y][axis])) }))
      .sort((a, b) => a.far - b.far);
    if (nearest.far <= reach) return nearest.name;
    return inside ? "move" : null;
  }

  // The smallest box under a point of the stage.
  keyAt([x, y]) {
    if (this.hidden) return null;
    const slack = 5;
    const under = this.rows.filter((row) => {
      const place = this.stage.toStage(row.box);
      return x >= place.x - slack && x <= place.x + place.width + slack && y >= place.y - slack && y <= place.y + place.height + slack;
    });
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    return under.sort((a, b) => area(a) - area(b))[0]?.key ?? null;
  }

  // A drag that begins here with the drawing tool or on the chosen box: {move(point), end(point), cancel()}; else null.
  dragFrom(point, { drawing, reach }) {
    const { stage, on } = this, size = stage.film.size, start = stage.toStored(...point);
    if (drawing) return this.drawFrom(start, size);
    const grip = this.gripAt(point, reach), row = this.chosenRow;
    if (!grip) return null;
    let box = row.box;
    return {
      grip,
      move: (to) => {
        const [x, y] = stage.toStored(...to), dx = x - start[0], dy = y - start[1];
        box = tidyBox(grip === "move" ? moveBox(row.box, dx, dy, size) : resizeBox(row.box, grip, dx, dy, size));
        this.draft(row.key, box);
        on.draft(row.key, box);
      },
      end: () => { this.endDraft(); if (box !== row.box) on.commit(row.key, box); },
      cancel: () => { this.endDraft(); on.draft(row.key, row.box); },
    };
  }

  drawFrom(start, size) {
    let box = null;
    return {
      grip: "draw",
      move: (to) => {
        box = boxBetween(start, this.stage.toStored(...to), size);
        if (box) { box = tidyBox(box); this.draft(null, box); this.on.draft(null, box); } else this.endDraft();
      },
      end: () => { this.endDraft(); if (box) this.on.create(box); },
      cancel: () => this.endDraft(),
    };
  }
}

function handlePoint(name, { x, y, width, height }) {
  const across = name.includes("w") ? x - OUTSET : name.includes("e") ? x + width + OUTSET : x + width / 2;
  const down = name.includes("n") ? y - OUTSET : name.includes("s") ? y + height + OUTSET : y + height / 2;
  return [across, down];
}
