// Every key of the page, once: what it is called in the help, and what the desk or the worklist does on it.

import { by, make } from "./dom.js";

// [keys as shown, words, keys as the browser names them, name of what is done, further arguments]
const FILM_KEYS = [
  ["Findings", [
    ["N", "next finding", "n", "step", 1],
    ["P", "previous finding", "p", "step", -1],
    ["A", "accept", "a", "accept"],
    ["X", "reject", "x", "reject"],
    ["C", "take the answer back", "c", "clearAnswer"],
    ["M", "add a finding in the middle of the view", "m", "addInMiddle"],
    ["D", "draw a finding (then drag)", "d", "useTool", "draw"],
    ["Delete", "remove an added finding, reject a detected one", "Delete Backspace", "remove"],
    ["T", "write a note", "t", "writeNote"],
    ["Z", "zoom to the finding, and back", "z", "zoomToFinding"],
    ["Esc", "let go: drawing, finding, field", "Escape", "letGo"],
  ]],
  ["The chosen finding", [
    ["← ↑ → ↓", "move by one stored pixel (Ctrl or Alt: ten)", "ArrowLeft ArrowUp ArrowRight ArrowDown", "arrow"],
    ["Shift + arrows", "resize by one stored pixel (Ctrl or Alt: ten)", "", ""],
  ]],
  ["Finish", [
    ["0", "normal", "0", "finish", "normal"],
    ["Enter", "done with findings", "Enter", "finish", "findings"],
    ["U", "cannot read", "u", "finish", "unreadable"],
    ["Ctrl + Z", "undo (on the film before, if nothing was done here)", "ctrl+z", "undo"],
    ["Ctrl + Shift + Z", "redo", "ctrl+shift+z ctrl+y", "redo"],
    ["J  K", "next and previous film", "j PageDown", "goBy", 1],
    ["", "", "k PageUp", "goBy", -1],
    ["L", "worklist", "l", "toWorklist"],
  ]],
  ["Film", [
    ["← ↑ → ↓", "level and width, while no finding is chosen", "", ""],
    ["W  S", "level (always)", "w", "window", 1, 1],
    ["", "", "s", "window", -1, 1],
    ["Q  E", "width: harder, softer (always)", "q", "window", 0, 1 / 1.05],
    ["", "", "e", "window", 0, 1.05],
    ["R", "the window to begin with", "r", "resetWindow"],
    ["G", "the whole grey range", "g", "fullRange"],
    ["I", "invert", "i", "invert"],
    ["+  −", "zoom", "+ =", "zoom", 1.25],
    ["", "", "-", "zoom", 0.8],
    ["F", "fit", "f", "fit"],
    ["1", "one film pixel on one screen pixel", "1", "actual"],
    ["V", "drag moves the film, or changes the window again", "v", "toggleMove"],
    ["H", "heatmap", "h", "toggleHeat"],
    ["[  ]", "its opacity", "[", "fadeHeat", -10],
    ["", "", "]", "fadeHeat", 10],
    ["B", "boxes", "b", "toggleBoxes"],
    ["O", "boxes of other readers", "o", "toggleOthers"],
  ]],
  ["Mouse and touch", [
    ["Drag", "level (up, down) and width (left, right)", "", ""],
    ["Wheel, two fingers", "zoom", "", ""],
    ["Shift or right button", "move the film", "", ""],
    ["Click a box", "choose it; drag it or its handles", "", ""],
  ]],
];

const WORKLIST_KEYS = [
  ["Worklist", [
    ["↑ ↓", "choose a film", "ArrowUp k", "move", -1],
    ["", "", "ArrowDown j", "move", 1],
    ["", "", "PageUp", "move", -10],
    ["", "", "PageDown", "move", 10],
    ["Home  End", "first and last", "Home", "move", -Infinity],
    ["", "", "End", "move", Infinity],
    ["Enter", "open it", "Enter", "open"],
    ["← →", "other films: all, unread, …", "ArrowLeft", "turnFilter", -1],
    ["", "", "ArrowRight", "turnFilter", 1],
    ["/", "find by name", "/", "search"],
  ]],
];

function table(groups) {
  const keys = new Map();
  for (const [, lines] of groups) {
    for (const [, , names, run, ...rest] of lines) names.split(" ").filter(Boolean).forEach((name) => keys.set(name, [run, rest]));
  }
  return keys;
}

const TABLES = { film: table(FILM_KEYS), worklist: table(WORKLIST_KEYS) };

function nameOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key.startsWith("Arrow")) return key;
  if (event.altKey) return null;
  return event.ctrlKey || event.metaKey ? `ctrl+${event.shiftKey ? "shift+" : ""}${key}` : key;
}

// What a key does again and again while it is held down. A key held too long must not finish the next film, too.
const HELD = new Set(["step", "arrow", "window", "zoom", "fadeHeat", "goBy", "move"]);

const writes = (target) => target.closest("textarea, input:not([type=range], [type=checkbox])") !== null;
const slides = (target, key) => target.closest("input[type=range]") !== null && /^(Arrow|Page|Home|End)/.test(key);
const presses = (target, key) => (key === "Enter" || key === " ") && target.closest("button, a, summary, input") !== null;

// room() is "film" or "worklist"; rooms = {film, worklist}: objects whose methods are named in the tables.
export function listenToKeys({ room, rooms, help }) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (writes(target) && event.key !== "Escape") return;
    if (slides(target, event.key) || presses(target, event.key)) return;
    if (event.key === "?") { event.preventDefault(); help(); return; }
    const [run, rest] = TABLES[room()].get(nameOf(event)) ?? [];
    if (!run || !rooms[room()][run]) return;
    event.preventDefault();
    if (event.repeat && !HELD.has(run)) return;
    rooms[room()][run](...rest, event);
  });
}

export function fillHelp() {
  const groups = [...FILM_KEYS, ...WORKLIST_KEYS].map(([title, lines]) => make("section", {},
    make("h3", {}, title),
    make("dl", {}, ...lines.filter(([shown]) => shown).map(([shown, words]) => make("div", {},
      make("dt", {}, ...shown.split("  ").flatMap((key, at) => [at ? " " : "", make("kbd", {}, key)])),
      make("dd", {}, words))))));
  by("keys").replaceChildren(...groups);
}
