// The film on its stage: grey values through a lookup table, window and level, zoom, pan, heatmap. Boxes are another layer's.

import { inflate, modalityEnds, shadeTable, unpackLevels } from "./film.js";

const LARGEST_ZOOM = 24;
const SHARP_FROM = 6;  // Device pixels per film pixel from which pixels are shown as they are, not smoothed.

// What a film needs to be shown, unpacked: {levels, table, heat}. heat is an ImageBitmap or null.
export async function unpackFilm(film, { levels, table, heat }) {
  const [rows, columns] = film.display_size;
  return {
    levels: await unpackLevels(levels, rows, columns),
    table: table.byteLength ? await inflate(table) : null,
    heat,
  };
}

export class FilmStage {
  // onView is called after every drawn frame, with the stage.
  constructor(element, canvas, onView) {
    Object.assign(this, { element, canvas, onView });
    this.pen = canvas.getContext("2d", { alpha: false });
    this.sheet = document.createElement("canvas");
    this.view = { zoom: 1, x: 0, y: 0, fitted: true };
    this.heatOpacity = 0.5;
    this.heatShown = true;
    this.film = null;
    this.frame = 0;
    new ResizeObserver(() => this.resized()).observe(element);
  }

  get width() { return this.element.clientWidth; }
  get height() { return this.element.clientHeight; }

  show(film, unpacked) {
    const sameFilm = this.film?.id === film.id;
    Object.assign(this, { film, levels: unpacked.levels, table: unpacked.table, heat: unpacked.heat });
    if (sameFilm) return this.refresh();
    [this.sheet.height, this.sheet.width] = film.display_size;
    this.picture = new ImageData(this.sheet.width, this.sheet.height);
    this.words = new Uint32Array(this.picture.data.buffer);
    this.ends = modalityEnds(film.film);
    this.range = Math.max(this.ends[1] - this.ends[0], Number.MIN_VALUE);
    this.resetWindow();
    this.fit();
    return undefined;
  }

  clear() {
    Object.assign(this, { film: null, levels: null, heat: null });
    delete this.canvas.dataset.ready;
    this.refresh();
  }

  // Window and level.

  resetWindow() {
    const { centre, width, shape } = this.film.film;
    this.window = { centre, width: Math.max(width, this.range / 500), shape, asStored: true, inverted: false };
    this.shade();
  }

  fullRange() {
    if (!this.film) return;
    this.window.shape = "LINEAR_EXACT";
    this.setWindow((this.ends[0] + this.ends[1]) / 2, this.range);
  }

  setWindow(centre, width) {
    if (!this.film) return;
    this.window.centre = Math.min(this.ends[1] + this.range, Math.max(this.ends[0] - this.range, centre));
    this.window.width = Math.min(4 * this.range, Math.max(this.range / 500, width));
    this.window.asStored = false;
    this.shade();
  }

  changeWindow(levelSteps, widthFactor) {
    if (this.film) this.setWindow(this.window.centre + (levelSteps * this.range) / 100, this.window.width * widthFactor);
  }

  dragWindow(dx, dy) {
    if (!this.film) return;
    this.setWindow(this.window.centre - (dy * this.range) / 800, this.window.width + (dx * this.range) / 500);
  }

  invert() {
    if (!this.film) return;
    this.window.inverted = !this.window.inverted;
    this.shade();
  }

  shade() {
    this.stale = true;
    this.refresh();
  }

  // Zoom and pan.

  get fittedZoom() { return Math.min(this.width / this.sheet.width, this.height / this.sheet.height) || 1; }

  fit() {
    const zoom = this.fittedZoom;
    this.view = { zoom, fitted: true, x: (this.width - this.sheet.width * zoom) / 2, y: (this.height - this.sheet.height * zoom) / 2 };
    this.refresh();
  }

  zoomTo(zoom, x = this.width / 2, y = this.height / 2) {
    const view = this.view;
    const wanted = Math.min(LARGEST_ZOOM, Math.max(this.fittedZoom / 2, zoom));
    view.x = x - ((x - view.x) * wanted) / view.zoom;
    view.y = y - ((y - view.y) * wanted) / view.zoom;
    view.zoom = wanted;
    view.fitted = false;
    this.refresh();
  }

  zoomBy(factor, x, y) { this.zoomTo(this.view.zoom * factor, x, y); }

  // One pixel of the shown film on one pixel of the screen.
  actual() { this.zoomTo(1 / devicePixelRatio); }

  pan(dx, dy) {
    Object.assign(this.view, { x: this.view.x + dx, y: this.view.y + dy, fitted: false });
    this.refresh();
  }

  // Frames: stored pixels of the file, and CSS pixels of the stage.

  get scaleX() { return (this.sheet.width / this.film.size[1]) * this.view.zoom; }
  get scaleY() { return (this.sheet.height / this.film.size[0]) * this.view.zoom; }

  toStored(x, y) { return [(x - this.view.x) / this.scaleX, (y - this.view.y) / this.scaleY]; }

  toStage([x1, y1, x2, y2]) {
    const { x, y } = this.view, { scaleX, scaleY } = this;
    return { x: x + x1 * scaleX, y: y + y1 * scaleY, width: (x2 - x1) * scaleX, height: (y2 - y1) * scaleY };
  }

  pointOf(event) {
    const frame = this.element.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  get middle() { return this.toStored(this.width / 2, this.height / 2); }

  // Moves the view, zoom unchanged, so that a box can be seen with some film around it.
  reveal(box) {
    const place = this.toStage(box), margin = 40;
    const shift = (start, length, room) => {
      if (start < margin) return margin - start;
      return start + length > room - margin ? room - margin - start - length : 0;
    };
    const dx = shift(place.x, place.width, this.width), dy = shift(place.y, place.height, this.height);
    if (dx || dy) this.pan(dx, dy);
  }

  // The box in the middle, about a seventh of the stage; back to the whole film when it is there already.
  zoomToBox(box) {
    const place = this.toStage(box), view = this.view;
    const closer = Math.min(this.width / (7 * place.width), this.height / (7 * place.height)) * view.zoom;
    const zoom = Math.min(Math.max(this.fittedZoom, closer), 6 * Math.max(1, this.fittedZoom));
    if (!view.fitted && Math.abs(zoom / view.zoom - 1) < 0.02) { this.fit(); return; }
    this.zoomTo(zoom);
    const now = this.toStage(box);
    this.pan(this.width / 2 - now.x - now.width / 2, this.height / 2 - now.y - now.height / 2);
  }

  // Drawing.

  resized() {
    this.canvas.width = Math.max(1, Math.round(this.width * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.round(this.height * devicePixelRatio));
    if (this.film && this.view.fitted) this.fit();
    this.draw();
  }

  refresh() { if (!this.frame) this.frame = requestAnimationFrame(() => this.draw()); }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { pen, canvas, view } = this;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (this.levels) {
      if (this.stale) this.shadeSheet();
      const scale = view.zoom * devicePixelRatio;
      pen.setTransform(scale, 0, 0, scale, view.x * devicePixelRatio, view.y * devicePixelRatio);
      pen.imageSmoothingEnabled = scale < SHARP_FROM;
      pen.imageSmoothingQuality = scale < 1 ? "medium" : "high";
      pen.drawImage(this.sheet, 0, 0);
      if (this.heat && this.heatShown) this.drawHeat();
      this.canvas.dataset.ready = this.film.id;
    }
    this.onView(this);
  }

  shadeSheet() {
    const shades = shadeTable(this.film.film, this.window, this.table);
    const { words, levels } = this;
    for (let at = 0; at < words.length; at += 1) words[at] = shades[levels[at]];
    this.sheet.getContext("2d").putImageData(this.picture, 0, 0);
    this.stale = false;
  }

  drawHeat() {
    this.pen.imageSmoothingEnabled = true;
    this.pen.globalAlpha = this.heatOpacity;
    this.pen.drawImage(this.heat, 0, 0, this.sheet.width, this.sheet.height);
    this.pen.globalAlpha = 1;
  }
}
