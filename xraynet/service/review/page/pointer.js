// What mouse, pen and fingers do on the film: window and level, move, draw, resize; two fingers zoom and move.

const CLICK_REACH = 4;

export class StagePointer {
  // tool() is "window", "move" or "draw"; on = {click(point), drawn()}.
  constructor(stage, marks, { tool, on }) {
    Object.assign(this, { stage, marks, tool, on });
    this.fingers = new Map();
    this.drag = null;
    const element = stage.element;
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.moved(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => this.cancel(event));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("dblclick", () => { if (this.tool() !== "draw") stage.fit(); });
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    this.stage.zoomBy(Math.exp((-event.deltaY * lines) / 500), ...this.stage.pointOf(event));
  }

  down(event) {
    if (!this.stage.film) return;
    const point = this.stage.pointOf(event);
    this.fingers.set(event.pointerId, point);
    this.stage.element.setPointerCapture(event.pointerId);
    if (this.fingers.size === 2) { this.drag?.held?.cancel(); this.drag = null; return; }
    if (this.fingers.size > 2) return;
    const plain = event.button === 0 && !event.shiftKey;
    const reach = event.pointerType === "touch" ? 24 : 8;
    const held = plain ? this.marks.dragFrom(point, { drawing: this.tool() === "draw", reach }) : null;
    this.drag = { at: point, from: point, held, moves: !plain || this.tool() === "move", far: false };
    this.stage.element.classList.toggle("moving", this.drag.moves || held?.grip === "move");
  }

  moved(event) {
    const point = this.stage.pointOf(event), before = this.fingers.get(event.pointerId);
    if (!before) { this.hover(point); return; }
    if (this.fingers.size === 2) this.pinch(event.pointerId, before, point);
    this.fingers.set(event.pointerId, point);
    const drag = this.drag;
    if (!drag) return;
    const [dx, dy] = [point[0] - drag.at[0], point[1] - drag.at[1]];
    if (!drag.far && Math.hypot(point[0] - drag.from[0], point[1] - drag.from[1]) < CLICK_REACH) return;
    drag.far = true;
    drag.at = point;
    if (drag.held) drag.held.move(point);
    else if (drag.moves) this.stage.pan(dx, dy);
    else this.stage.dragWindow(dx, dy);
  }

  pinch(id, before, point) {
    const [, other] = [...this.fingers].find(([key]) => key !== id);
    const spread = (from) => Math.hypot(from[0] - other[0], from[1] - other[1]) || 1;
    this.stage.zoomBy(spread(point) / spread(before), ...other.map((value, axis) => (value + point[axis]) / 2));
    this.stage.pan((point[0] - before[0]) / 2, (point[1] - before[1]) / 2);
  }

  up(event) {
    if (!this.fingers.delete(event.pointerId)) return;
    const drag = this.drag;
    this.drag = null;
    this.stage.element.classList.remove("moving");
    if (!drag) return;
    if (!drag.far) { drag.held?.cancel(); if (event.button === 0) this.on.click(drag.from); return; }
    drag.held?.end();
    if (drag.held?.grip === "draw") this.on.drawn();
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
    this.drag?.held?.cancel();
    this.drag = null;
    this.stage.element.classList.remove("moving");
  }

  // The pointer's shape tells what a drag would do here.
  hover(point) {
    const grip = this.tool() === "draw" ? "draw" : this.marks.gripAt(point, 8) ?? this.tool();
    if (this.stage.element.dataset.grip !== grip) this.stage.element.dataset.grip = grip;
  }
}
