// A reading as the page shows it: what the server has stored, with the actions laid over it that are still on their way.

export const markKey = (mark) => mark.detection ?? mark.id;
export const isFinding = (mark) => mark.state === "accepted" || mark.state === "added";

export function emptyReading(reader, secondReader) {
  return {
    reader, revision: 0, phase: secondReader ? "first" : "final", verdict: null, finished_at: null, started_at: null,
    note: "", marks: [], can_undo: false, can_redo: false, first: null,
  };
}

// The stored reading with the waiting actions applied, each undone or redone as the server will do it.
export function foldActions(stored, actions, detections) {
  let now = stored;
  const past = [], future = [];
  for (const action of actions) {
    if (action.kind === "undo") {
      if (past.length) { future.push(now); now = past.pop(); }
    } else if (action.kind === "redo") {
      if (future.length) { past.push(now); now = future.pop(); }
    } else {
      past.push(now);
      future.length = 0;
      now = applyAction(now, action, detections);
    }
  }
  if (now === stored) return stored;
  return { ...now, can_undo: stored.can_undo || past.length > 0, can_redo: future.length > 0 };
}

function applyAction(reading, action, detections) {
  if (action.kind === "verdict") return { ...reading, verdict: action.verdict, finished_at: action.made_at };
  if (action.kind === "reopen") return { ...reading, verdict: null, finished_at: null };
  if (action.kind === "reveal") return reading;
  if (action.kind === "note" && !action.mark && !action.detection) return { ...reading, note: action.text };
  return { ...reading, marks: applyToMarks(reading.marks, action, detections) };
}

function applyToMarks(marks, action, detections) {
  const key = action.detection ?? action.mark;
  const known = marks.find((mark) => markKey(mark) === key);
  const without = () => marks.filter((mark) => markKey(mark) !== key);
  const put = (mark) => (known ? marks.map((other) => (other === known ? mark : other)) : [...marks, mark]);
  const detected = () => {
    const detection = detections.find((item) => item.id === key);
    const note = known?.note ?? "";
    return { id: key, detection: key, state: "accepted", box: detection?.box ?? action.box, moved: false, note };
  };
  switch (action.kind) {
    case "accept": return put(known?.moved ? { ...known, state: "accepted" } : detected());
    case "reject": return put({ ...detected(), state: "rejected" });
    case "clear": case "remove": return without();
    case "add": return put({ id: action.mark, detection: null, state: "added", box: action.box, moved: false, note: "" });
    case "move": return put(movedMark(known ?? detected(), action.box));
    case "note": return known ? put({ ...known, note: action.text }) : marks;
    default: return marks;
  }
}

function movedMark(mark, box) {
  return mark.detection ? { ...mark, box, moved: true, state: "accepted" } : { ...mark, box };
}

// What an added finding is called: A, B, … Z, A1, …
export const letter = (at) => String.fromCharCode(65 + (at % 26)) + (at >= 26 ? Math.floor(at / 26) : "");

// Marks below the operating point that are worth a look: from the score on at which the heatmap has colour.
export const isWeak = (film, detection) => !detection.reported && detection.score >= film.scale.lowest;

// What the list and the film show, detections first (by falling score), then what the reader added, in order.
// Weak detections are left out unless asked for or already answered; even weaker ones unless answered.
export function listFindings(film, reading, showBelow) {
  const marks = new Map(reading.marks.map((mark) => [markKey(mark), mark]));
  const found = film.detections
    .map((detection, at) => ({
      key: detection.id, label: String(at + 1), detection, mark: marks.get(detection.id) ?? null,
      box: marks.get(detection.id)?.box ?? detection.box, state: marks.get(detection.id)?.state ?? "undecided",
    }))
    .filter((row) => row.detection.reported || row.mark || (showBelow && isWeak(film, row.detection)));
  const added = reading.marks.filter((mark) => !mark.detection).map((mark, at) => ({
    key: mark.id, label: letter(at), detection: null, mark, box: mark.box, state: "added",
  }));
  return [...found, ...added];
}

const WORDS = {
  accept: (action, name) => `accept ${name}`, reject: (action, name) => `reject ${name}`,
  clear: (action, name) => `take back the answer on ${name}`, add: () => "add a finding", move: (action, name) => `move ${name}`,
  remove: (action, name) => `remove ${name}`, note: (action, name) => `note on ${name}`,
  verdict: (action) => `finish as "${verdictWords(action.verdict)}"`, reopen: () => "open again", reveal: () => "finish the first look",
  undo: () => "undo", redo: () => "redo",
};

export function actionWords(action) {
  const mark = action.detection ?? action.mark;
  const name = !mark ? "the film" : /^d\d+$/.test(mark) ? `finding ${mark.slice(1)}` : "an added finding";
  return (WORDS[action.kind] ?? (() => action.kind))(action, name);
}

export function verdictWords(verdict) {
  return { findings: "with findings", normal: "normal", unreadable: "cannot read" }[verdict] ?? "not finished";
}

export const scoreWords = (score) => (score > 0 && score < 0.1 ? score.toFixed(3) : score.toFixed(2));

export function placeWords({ side, zone }) {
  if (side && zone) return `${side} ${zone} zone`;
  if (zone) return `${zone} zone, side not stated`;
  return side ? `${side} side` : "place not stated";
}
