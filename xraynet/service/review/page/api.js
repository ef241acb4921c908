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

// Calls onChange for every change that any tab or reader made, onState(true or false) as the stream comes and goes.
export function followChanges({ onChange, onFilms, onState }) {
  let stream = null, waiting = 0;
  const open = () => {
    stream = new EventSource("/api/events");
    stream.addEventListener("open", () => onState(true));
    stream.addEventListener("change", (event) => onChange(JSON.parse(event.data)));
    stream.addEventListener("films", onFilms);
    stream.addEventListener("error", () => {
      onState(false);
      // A refused stream is closed for good by the browser: it is opened anew here.
      if (stream.readyState === EventSource.CLOSED) { clearTimeout(waiting); waiting = setTimeout(open, 3000); }
    });
  };
  open();
}
