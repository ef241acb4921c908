// A film's packed grey values and how they become shades: one road for the offline report and for the review page.
// Level 0 is padding; the modality value of a level is intercept + slope * level.

export async function inflate(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The levels of a film of this size: differences along each row, high bytes before low bytes.
export async function unpackLevels(packed, rows, columns) {
  const planes = await inflate(packed);
  const size = rows * columns;
  if (planes.length !== 2 * size) throw new Error("the packed film is incomplete");
  const levels = new Uint16Array(size);
  for (let row = 0, at = 0; row < rows; row += 1) {
    let level = 0;
    for (let column = 0; column < columns; column += 1, at += 1) {
      level = (level + ((planes[at] << 8) | planes[size + at])) & 0xffff;
      levels[at] = level;
    }
  }
  return levels;
}

export const toModality = (facts, level) => facts.intercept + facts.slope * level;

// The lowest and the highest modality value that the film uses.
export function modalityEnds(facts) {
  return [toModality(facts, 1), toModality(facts, facts.numLevels - 1)].sort((a, b) => a - b);
}

// A window's shade of one modality value, not yet clipped to 0..1 (DICOM PS3.3 C.11.2.1.2).
export function shade(value, { centre, width, shape }) {
  if (shape === "SIGMOID") return 1 / (1 + Math.exp((-4 * (value - centre)) / width));
  if (shape === "LINEAR") {
    if (width <= 1) return value > centre - 0.5 ? 1 : 0;
    return (value - (centre - 0.5)) / (width - 1) + 0.5;
  }
  return (value - centre) / width + 0.5;
}

// One opaque canvas pixel for every level. storedTable is the file's own VOI, used while the view is as stored.
export function shadeTable(facts, view, storedTable) {
  const table = new Uint32Array(facts.numLevels);
  const useStored = view.asStored && storedTable;
  for (let level = 0; level < table.length; level += 1) {
    let shown;
    if (useStored) shown = storedTable[level] / 255;
    else {
      shown = Math.min(1, Math.max(0, shade(toModality(facts, level), view)));
      if (facts.inverted) shown = 1 - shown;
    }
    if (view.inverted) shown = 1 - shown;
    const grey = level === 0 ? 0 : Math.round(shown * 255);
    table[level] = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
  }
  return table;
}
