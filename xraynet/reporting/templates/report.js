"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const stage = by("stage"), layers = by("layers"), canvas = by("film"), heat = by("heat");
  const facts = JSON.parse(by("film-facts").textContent);
  const columns = canvas.width, rows = canvas.height;
  const ends = modalityEnds(facts);
  const range = ends[1] - ends[0];
  const smallest = range / 500;
  const start = { centre: facts.centre, width: Math.max(facts.width, smallest), shape: facts.shape };
  const view = { ...start, asStored: true, inverted: false, zoom: 1, x: 0, y: 0, fitted: true };
  let levels = null, storedTable = null, chosen = -1, drawn = 0;

  const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  async function unpack() {
    const table = by("film-table").textContent;
    if (table) storedTable = await inflate(fromBase64(table));
    levels = await unpackLevels(fromBase64(by("film-levels").textContent), rows, columns);
  }

  function draw() {
    drawn = 0;
    if (!levels) return;
    const table = shadeTable(facts, view, storedTable);
    const picture = new ImageData(columns, rows);
    const words = new Uint32Array(picture.data.buffer);
    for (let at = 0; at < words.length; at += 1) words[at] = table[levels[at]];
    canvas.getContext("2d").putImageData(picture, 0, 0);
    canvas.dataset.ready = "true";
  }

  const words = JSON.parse(by("page-words").textContent);
  const say = (key, value) => words[key].replace(/\{[a-z]+\}/, () => value);
  const show = (number) => {
    const digits = Math.abs(number) < 10 ? 2 : 0;
    return number.toLocaleString(document.documentElement.lang, {
      minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false, numberingSystem: "latn",
    });
  };
  function refresh() {
    by("level").value = view.centre;
    by("width").value = view.width;
    by("level-value").textContent = show(view.centre);
    by("width-value").textContent = show(view.width);
    by("window-note").textContent = [
      `${words.level} ${show(view.centre)}`, `${words.width} ${show(view.width)}`, ...(view.inverted ? [words.inverted] : []),
    ].join("  ");
    by("invert").setAttribute("aria-pressed", String(view.inverted));
    if (!drawn) drawn = requestAnimationFrame(draw);
  }

  function setWindow(centre, width) {
    view.centre = Math.min(ends[1] + range, Math.max(ends[0] - range, centre));
    view.width = Math.min(4 * range, Math.max(smallest, width));
    view.asStored = false;
    refresh();
  }

  function resetWindow() { Object.assign(view, start, { asStored: true }); refresh(); }
  function fullRange() { view.shape = "LINEAR_EXACT"; setWindow((ends[0] + ends[1]) / 2, range); }
  function toggleInvert() { view.inverted = !view.inverted; refresh(); }

  function place() {
    stage.style.setProperty("--zoom", view.zoom);
    stage.style.setProperty("--x", `${view.x}px`);
    stage.style.setProperty("--y", `${view.y}px`);
  }

  function fit() {
    const width = stage.clientWidth, height = stage.clientHeight;
    view.zoom = Math.min(width / columns, height / rows);
    view.x = (width - columns * view.zoom) / 2;
    view.y = (height - rows * view.zoom) / 2;
    view.fitted = true;
    place();
  }

  function zoomAt(factor, x, y) {
    const least = 0.5 * Math.min(stage.clientWidth / columns, stage.clientHeight / rows);
    const zoom = Math.min(16, Math.max(least, view.zoom * factor));
    view.x = x - ((x - view.x) * zoom) / view.zoom;
    view.y = y - ((y - view.y) * zoom) / view.zoom;
    view.zoom = zoom;
    view.fitted = false;
    place();
  }
  const zoomCentre = (factor) => zoomAt(factor, stage.clientWidth / 2, stage.clientHeight / 2);

  const findings = [...document.querySelectorAll(".finding")];
  function choose(index) {
    if (!findings.length) return;
    chosen = (index + findings.length) % findings.length;
    findings.forEach((item, at) => item.classList.toggle("chosen", at === chosen));
    const number = findings[chosen].dataset.number;
    document.querySelectorAll(".box").forEach((box) => box.classList.toggle("chosen", box.dataset.number === number));
    const [x, y, width, height] = findings[chosen].dataset.box.split(" ").map(Number);
    const fitted = Math.min(stage.clientWidth / columns, stage.clientHeight / rows);
    const closer = Math.min(stage.clientWidth / (9 * width), stage.clientHeight / (9 * height));
    view.zoom = Math.min(Math.max(fitted, closer), 4 * Math.max(1, fitted));
    view.x = stage.clientWidth / 2 - (x + width / 2) * view.zoom;
    view.y = stage.clientHeight / 2 - (y + height / 2) * view.zoom;
    view.fitted = false;
    place();
  }
  findings.forEach((item, at) => item.addEventListener("click", () => choose(at)));

  function setLayer(box, name, shown) {
    if (box) box.checked = shown;
    stage.classList.toggle(name, !shown);
  }
  const heatBox = by("show-heat"), boxesBox = by("show-boxes"), opacity = by("opacity");
  const toggleHeat = () => heatBox && setLayer(heatBox, "no-heat", stage.classList.contains("no-heat"));
  const toggleBoxes = () => setLayer(boxesBox, "no-boxes", stage.classList.contains("no-boxes"));
  function setOpacity(percent) {
    if (!opacity) return;
    opacity.value = Math.min(100, Math.max(0, percent));
    by("opacity-value").textContent = say("percent", opacity.value);
    if (heat) stage.style.setProperty("--heat", opacity.value / 100);
  }
  if (heatBox) heatBox.addEventListener("change", () => setLayer(heatBox, "no-heat", heatBox.checked));
  if (boxesBox) boxesBox.addEventListener("change", () => setLayer(boxesBox, "no-boxes", boxesBox.checked));
  if (opacity) opacity.addEventListener("input", () => setOpacity(Number(opacity.value)));

  const level = by("level"), width = by("width");
  level.min = Math.min(ends[0], start.centre);
  level.max = Math.max(ends[1], start.centre);
  width.min = smallest;
  width.max = Math.max(1.5 * range, start.width);
  level.addEventListener("input", () => setWindow(Number(level.value), view.width));
  width.addEventListener("input", () => setWindow(view.centre, Number(width.value)));
  by("reset").addEventListener("click", resetWindow);
  by("full").addEventListener("click", fullRange);
  by("invert").addEventListener("click", toggleInvert);
  by("fit").addEventListener("click", fit);
  by("actual").addEventListener("click", () => zoomCentre(1 / view.zoom));

  const keys = {
    ArrowUp: () => setWindow(view.centre + range / 100, view.width),
    ArrowDown: () => setWindow(view.centre - range / 100, view.width),
    ArrowLeft: () => setWindow(view.centre, view.width / 1.05),
    ArrowRight: () => setWindow(view.centre, view.width * 1.05),
    r: resetWindow, a: fullRange, i: toggleInvert, f: fit, 1: () => zoomCentre(1 / view.zoom),
    "+": () => zoomCentre(1.25), "=": () => zoomCentre(1.25), "-": () => zoomCentre(0.8),
    h: toggleHeat, b: toggleBoxes,
    "[": () => setOpacity(Number(opacity ? opacity.value : 0) - 10),
    "]": () => setOpacity(Number(opacity ? opacity.value : 0) + 10),
    "?": () => { by("keys").open = !by("keys").open; },
    n: () => choose(chosen + 1), p: () => choose(chosen < 0 ? -1 : chosen - 1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const inSlider = event.target instanceof HTMLInputElement && event.target.type === "range";
    const scrolls = event.key.startsWith("Arrow") && event.target.closest("aside");
    if (event.key.startsWith("Arrow") && (inSlider || scrolls)) return;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) { event.preventDefault(); act(); }
  });

  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    const moves = event.shiftKey || event.button !== 0 || event.pointerType === "touch";
    drag = { x: event.clientX, y: event.clientY, moves };
    stage.setPointerCapture(event.pointerId);
    stage.classList.toggle("moving", moves);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    drag.x = event.clientX;
    drag.y = event.clientY;
    if (drag.moves) { view.x += dx; view.y += dy; view.fitted = false; place(); }
    else setWindow(view.centre - (dy * range) / 800, view.width + (dx * range) / 500);
  });
  const drop = () => { drag = null; stage.classList.remove("moving"); };
  stage.addEventListener("pointerup", drop);
  stage.addEventListener("pointercancel", drop);
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", fit);
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = stage.getBoundingClientRect();
    zoomAt(Math.exp(-event.deltaY / 500), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  new ResizeObserver(() => { if (view.fitted) fit(); }).observe(stage);

  stage.style.setProperty("--print-zoom", Math.min(700 / columns, 620 / rows));
  fit();
  refresh();
  unpack().then(refresh).catch((error) => {
    by("failure").hidden = false;
    by("failure").textContent = `${words.failure} (${error.message})`;
  });
})();
