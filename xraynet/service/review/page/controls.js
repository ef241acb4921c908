// The tools under the film and the switches of its layers.

import { by, byPointer, make } from "./dom.js";

const show = (number) => (Math.abs(number) < 10 ? number.toFixed(2) : Math.round(number).toString());

// [id, label, key, what is done, whether it can be pressed in]
const TOOLS = [
  [["tool-window", "Window", "", (controls) => controls.desk.useTool("window")],
    ["tool-move", "Move", "V", (controls) => controls.desk.useTool("move")],
    ["tool-draw", "Draw", "D", (controls) => controls.desk.useTool("draw")],
    ["add-middle", "Add", "M", (controls) => controls.desk.addInMiddle()]],
  [["reset", "Reset", "R", (controls) => controls.resetWindow()],
    ["full", "Full", "G", (controls) => controls.fullRange()],
    ["invert", "Invert", "I", (controls) => controls.invert()]],
  [["fit", "Fit", "F", (controls) => controls.fit()], ["actual", "1:1", "1", (controls) => controls.actual()]],
  [["undo", "Undo", "", (controls) => controls.desk.undo()], ["redo", "Redo", "", (controls) => controls.desk.redo()]],
];

export class Controls {
  constructor({ stage, marks, desk }) {
    Object.assign(this, { stage, marks, desk });
    by("tools").replaceChildren(...TOOLS.map((group) => make("span", { class: "buttons" }, ...group.map((tool) => this.button(tool)))));
    by("panel").addEventListener("click", (event) => { if (byPointer(event) && event.target.type === "checkbox") stage.element.focus(); });
    by("show-heat").addEventListener("change", () => this.setHeat(by("show-heat").checked));
    by("show-boxes").addEventListener("change", () => this.setBoxes(by("show-boxes").checked));
    by("opacity").addEventListener("input", () => this.setOpacity(Number(by("opacity").value)));
    by("show-others").addEventListener("change", () => { desk.showOthers = by("show-others").checked; desk.show(); });
    by("show-below").addEventListener("change", () => { desk.showBelow = by("show-below").checked; desk.show(); });
    this.setOpacity(Number(localStorage.getItem("xraynet.opacity") ?? 50));
    this.setHeat(localStorage.getItem("xraynet.heat") !== "off");
  }

  button([id, label, key, run]) {
    const click = (event) => { run(this); if (byPointer(event)) this.stage.element.focus(); };
    return make("button", { type: "button", id, onclick: click, "aria-keyshortcuts": key || null }, label, key ? make("kbd", {}, key) : null);
  }

  // What the keys do.

  window(levelSteps, widthFactor) { this.stage.changeWindow(levelSteps, widthFactor); }
  resetWindow() { if (this.stage.film) this.stage.resetWindow(); }
  fullRange() { this.stage.fullRange(); }
  invert() { this.stage.invert(); }
  zoom(factor) { if (this.stage.film) this.stage.zoomBy(factor); }
  fit() { if (this.stage.film) this.stage.fit(); }
  actual() { if (this.stage.film) this.stage.actual(); }
  toggleHeat() { this.setHeat(!this.stage.heatShown); }
  toggleBoxes() { this.setBoxes(this.marks.hidden); }
  toggleOthers() { this.desk.showOthers = !this.desk.showOthers; this.desk.show(); }
  fadeHeat(by) { this.setOpacity(100 * this.stage.heatOpacity + by); }

  setHeat(shown) {
    this.stage.heatShown = shown;
    by("show-heat").checked = shown;
    localStorage.setItem("xraynet.heat", shown ? "on" : "off");
    this.stage.refresh();
  }

  setBoxes(shown) {
    this.marks.hidden = !shown;
    by("show-boxes").checked = shown;
    this.stage.element.classList.toggle("no-boxes", !shown);
  }

  setOpacity(percent) {
    const kept = Math.round(Math.min(100, Math.max(0, percent)));
    this.stage.heatOpacity = kept / 100;
    by("opacity").value = kept;
    by("opacity-value").textContent = `${kept} %`;
    localStorage.setItem("xraynet.opacity", String(kept));
    this.stage.refresh();
  }

  // Brings the buttons and the notes on the film up to date.
  update() {
    const { stage, desk } = this, window = stage.film ? stage.window : null;
    by("window-note").textContent = window ? `Level ${show(window.centre)}  Width ${show(window.width)}${window.inverted ? "  inverted" : ""}` : "";
    by("frame-note").textContent = stage.film ? `${Math.round(100 * stage.scaleX * devicePixelRatio)} %` : "";
    for (const tool of ["window", "move", "draw"]) by(`tool-${tool}`).setAttribute("aria-pressed", String(desk.tool === tool));
    by("invert").setAttribute("aria-pressed", String(Boolean(window?.inverted)));
    by("undo").disabled = !(desk.film && (desk.reading.can_undo || desk.lastFinished));
    by("redo").disabled = !(desk.film && desk.reading.can_redo);
    by("show-others").checked = desk.showOthers;
    by("show-below").checked = desk.showBelow;
  }
}
