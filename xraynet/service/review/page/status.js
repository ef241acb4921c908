// What is said beside the film: whether everything is saved, what just happened, what is wrong.

import { by } from "./dom.js";

let messageTimer = 0, lastState = "saved";

const SAVING = {
  saved: () => "Saved",
  saving: () => "Saving…",
  retrying: (waiting) => `Not saved: retrying (${waiting} kept here)`,
  "locked out": (waiting) => `Not saved: not signed in (${waiting} kept here)`,
  "other reader": (waiting) => `Not saved: another reader (${waiting} kept here)`,
};

export function showSaving(state, waiting) {
  const place = by("saving"), words = SAVING[state](waiting);
  if (place.textContent !== words) place.textContent = words;
  place.dataset.state = state === "saved" || state === "saving" ? state : "not-saved";
  if (place.dataset.state === "not-saved" && lastState !== state) say(words);
  lastState = state;
}

// What is said of a single thing that is on its way.
export const waitingWords = (state) => (state === "saved" || state === "saving" ? "saving…" : "not saved yet");

// A sentence for those who listen to the page.
export function say(words) {
  const place = by("live");
  place.textContent = place.textContent === words ? `${words}\u00a0` : words;
}

// A sentence over the film, for some seconds, which is also said.
export function tell(words, { stays = 6000 } = {}) {
  const place = by("message");
  clearTimeout(messageTimer);
  place.textContent = words;
  place.hidden = !words;
  if (!words) return;
  say(words);
  messageTimer = setTimeout(() => { place.hidden = true; }, stays);
}

// A line under the header that stays until it is taken away; actions = [[label, function]].
export function trouble(words, actions = []) {
  const place = by("trouble");
  place.replaceChildren(words);
  for (const [label, run] of actions) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", run);
    place.append(" ", button);
  }
  place.hidden = !words;
}
