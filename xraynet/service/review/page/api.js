// The calls to the server. A refusal is an ApiError with its status and body; no answer at all is a TypeError of fetch.

export class ApiError extends Error {
  constructor(status, body) {
    super(typeof body?.error === "string" ? body.error : `the server answered ${status}`);
    this.status = status;
    this.body = body ?? {};
  }
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => null));
  return answer;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await ask(path, { method: "POST", headers, body: JSON.stringify(body) });
  return answer.json();
}

const film = (id) => `/api/films/${encodeURIComponent(id)}`;

export const readSession = async () => (await ask("/api/session")).json();
export const nameReader = (name) => post("/api/reader", { name });
export const readWorklist = async () => (await ask("/api/worklist")).json();
export const readFilm = async (id) => (await ask(film(id))).json();
export const readLevels = async (id) => (await ask(`${film(id)}/levels`)).arrayBuffer();
export const readTable = async (id) => (await ask(`${film(id)}/table`)).arrayBuffer();
export const readHeatmap = async (id) => createImageBitmap(await (await ask(`${film(id)}/heatmap.png`)).blob());
export const sendAction = (id, action) => post(`${film(id)}/actions`, action);

// Calls onChange for every change that any tab or reader made, onFilms when films came or went, onState(true or false) as
// the stream of them comes and goes. A browser keeps six connections to a server, so its tabs share one stream: the tab that
// holds the lock listens and passes the news on; when it closes, another takes its place.
export function followChanges({ onChange, onFilms, onState }) {
  const tabs = new BroadcastChannel("xraynet.news"), heard = { change: onChange, films: onFilms, state: onState };
  const tell = (kind, news) => { tabs.postMessage({ kind, news }); heard[kind](news); };
  tabs.addEventListener("message", ({ data }) => heard[data.kind](data.news));
  if (!navigator.locks) { listen(tell); return; }
  navigator.locks.request("xraynet.news", () => { listen(tell); return new Promise(() => {}); });
}

function listen(tell) {
  let stream = null, waiting = 0;
  const open = () => {
    stream = new EventSource("/api/events");
    stream.addEventListener("open", () => tell("state", true));
    stream.addEventListener("change", (event) => tell("change", JSON.parse(event.data)));
    stream.addEventListener("films", (event) => tell("films", JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      tell("state", false);
      // A refused stream is closed for good by the browser: it is opened anew here.
      if (stream.readyState === EventSource.CLOSED) { clearTimeout(waiting); waiting = setTimeout(open, 3000); }
    });
  };
  open();
}
