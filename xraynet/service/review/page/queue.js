// The reader's actions on their way to the server: in order, each sent until it is answered, kept over a reload or a crash.
// An action counts as saved when the server has answered 200, never before.

import { ApiError } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
const RELOAD_MS = 2500;

export class ActionQueue {
  // reader and store name the place in localStorage; send(film, action) asks the server; seat() resolves to whose seat the
  // server says this is: "mine", "mine again" (nobody's, and so taken) or "another's"; revisionOf(film) is the revision that
  // the page shows; on = {saved, conflict, refused, otherReader, change}.
  constructor({ store, reader, send, seat, revisionOf, on }) {
    Object.assign(this, { reader, send, seat, revisionOf, on });
    // A dot ends the name: "Dr" must not take over what "Dr. Ada" left behind.
    this.prefix = `xraynet.review.${store}.${encodeURIComponent(reader).replaceAll(".", "%2E")}.`;
    this.place = null;
    this.entries = [];
    this.state = "saved";
    this.sending = false;
    this.stopped = false;
    this.wait = FIRST_WAIT_MS;
    this.timer = 0;
    this.watched = new Set();
    addEventListener("online", () => this.retryNow());
    addEventListener("storage", ({ key, newValue }) => { if (newValue && this.place && this.isOthers(key)) this.watch(key); });
  }

  // Takes this tab's place and what it left there before a reload.
  async open() {
    const place = this.prefix + (await claimTab());
    this.entries = [...readKept(place), ...this.entries];
    this.place = place;
    await this.adopt();
  }

  // Takes over what closed tabs of this reader have left behind, and of those that are open as soon as they close.
  async adopt() {
    if (!this.place) return;
    const keys = Object.keys(localStorage).filter((key) => this.isOthers(key));
    for (const key of keys) {
      if (await isFree(this.tabOf(key))) this.take(key);
      else this.watch(key);
    }
    this.keep();
    this.run();
  }

  isOthers(key) { return key.startsWith(this.prefix) && key !== this.place; }
  tabOf(key) { return key.slice(this.prefix.length); }

  take(key) {
    this.entries = [...this.entries, ...readKept(key)].sort((a, b) => a.at - b.at);
    this.keep();
    localStorage.removeItem(key);
  }

  // Waits until the tab is gone; one that only reloads is back within moments and keeps what is its own.
  async watch(key) {
    if (this.watched.has(key)) return;
    this.watched.add(key);
    do {
      await untilFree(this.tabOf(key));
      await new Promise((done) => setTimeout(done, RELOAD_MS));
    } while (!this.stopped && !(await isFree(this.tabOf(key))));
    this.watched.delete(key);
    if (this.stopped) return;
    this.take(key);
    this.run();
  }

  close() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  ofFilm(film) { return this.entries.filter((entry) => entry.film === film).map((entry) => entry.action); }

  add(film, action) {
    const before = this.entries.findLast((entry) => entry.film === film);
    this.entries.push({
      film, at: Date.now(), after: before?.action.action_id ?? null, base: before ? null : this.revisionOf(film),
      action: { action_id: newId(), reader: this.reader, made_at: new Date().toISOString(), ...action },
    });
    this.keep();
    this.run();
  }

  keep() {
    try {
      if (!this.place) return;
      if (this.entries.length) localStorage.setItem(this.place, JSON.stringify(this.entries));
      else localStorage.removeItem(this.place);
    } catch {
      this.on.notKept();
    }
    this.tell(!this.entries.length ? "saved" : this.state === "saved" ? "saving" : this.state);
  }

  tell(state) {
    this.state = state;
    this.on.change(state, this.entries.length);
  }

  retryNow() {
    if (this.sending || !this.entries.length) return;
    clearTimeout(this.timer);
    this.wait = FIRST_WAIT_MS;
    this.run();
  }

  async run() {
    if (this.sending || this.stopped) return;
    this.sending = true;
    clearTimeout(this.timer);
    while (this.entries.length && !this.stopped) {
      const entry = this.entries[0];
      try {
        if (this.state !== "saving" && (await this.seat()) === "another's") { this.stand("other reader"); break; }
        const { made_at: _, ...action } = entry.action;
        const answer = await this.send(entry.film, { ...action, base_revision: entry.base ?? this.revisionOf(entry.film) });
        this.wait = FIRST_WAIT_MS;
        this.state = "saving";
        this.drop([entry], answer.reading.revision, () => this.on.saved(entry, answer));
      } catch (error) {
        if (!(await this.settle(entry, error))) break;
      }
    }
    this.sending = false;
  }

  // Whether the queue may go on after this error; otherwise it waits, or stands still until someone decides.
  async settle(entry, error) {
    const status = error instanceof ApiError ? error.status : 0;
    const isAnswer = status >= 400 && status < 500 && ![401, 403, 408, 429].includes(status);
    if (!isAnswer) return this.waitAfter(status === 401 || status === 403 ? "locked out" : "retrying");
    try {
      const seat = await this.seat();
      if (seat === "another's") return this.stand("other reader");
      if (seat === "mine again") return true;
    } catch {
      return this.waitAfter("retrying");
    }
    if (status === 409) {
      const lost = this.entries.filter((other) => other.film === entry.film);
      this.drop(lost, null, () => this.on.conflict(entry.film, lost.map((other) => other.action), error));
      return true;
    }
    this.drop([entry], entry.base, () => this.on.refused(entry, error));
    return true;
  }

  waitAfter(state) {
    this.tell(state);
    this.timer = setTimeout(() => this.run(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT_MS);
    return false;
  }

  stand(state) {
    this.tell(state);
    this.on.otherReader();
    return false;
  }

  // Takes entries out and tells what became of them in one go, so that nobody sees the page without both.
  drop(entries, revision, tell) {
    const ids = new Set(entries.map((entry) => entry.action.action_id));
    this.entries = this.entries.filter((entry) => !ids.has(entry.action.action_id));
    this.entries.filter((entry) => ids.has(entry.after)).forEach((entry) => { entry.base = revision; entry.after = null; });
    tell();
    this.keep();
  }
}

function readKept(key) {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

// How many actions of each reader this browser keeps for a store: [[reader, number], …].
export function keptActions(store) {
  const kept = new Map(), prefix = `xraynet.review.${store}.`;
  for (const key of Object.keys(localStorage).filter((name) => name.startsWith(prefix))) {
    const reader = decodeURIComponent(key.slice(prefix.length, key.lastIndexOf(".")));
    kept.set(reader, (kept.get(reader) ?? 0) + readKept(key).length);
  }
  return [...kept];
}

// crypto.randomUUID exists only where the page came over HTTPS or from this machine.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// The name of this tab: the same after a reload, another in a duplicated tab (which copies sessionStorage).
async function claimTab() {
  let tab = sessionStorage.getItem("xraynet.tab") ?? newId();
  if (!(await hold(tab))) {
    tab = newId();
    await hold(tab);
  }
  sessionStorage.setItem("xraynet.tab", tab);
  return tab;
}

const held = new Set();

// Holds the tab's lock for as long as the page lives. A page that is just being reloaded gives its lock up a little late.
function hold(tab) {
  if (!navigator.locks || held.has(tab)) return Promise.resolve(true);
  return new Promise((tell) => {
    const name = `xraynet.tab.${tab}`;
    navigator.locks.request(name, { signal: AbortSignal.timeout(1000) }, () => {
      held.add(tab);
      tell(true);
      return new Promise(() => {});
    }).catch(() => tell(false));
  });
}

function untilFree(tab) {
  return navigator.locks ? navigator.locks.request(`xraynet.tab.${tab}`, () => {}) : new Promise(() => {});
}

function isFree(tab) {
  if (!navigator.locks) return Promise.resolve(!held.has(tab));
  return navigator.locks.request(`xraynet.tab.${tab}`, { ifAvailable: true }, (lock) => lock !== null);
}
