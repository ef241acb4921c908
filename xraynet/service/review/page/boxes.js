// Boxes [x1, y1, x2, y2] in stored pixels: moved, resized, kept inside the film, and measured in the honest unit.

export const SMALLEST_SIDE = 2;
export const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const PLANES = { detector: "at the detector", calibrated: "(calibrated)" };

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const eighth = (value) => Math.round(value * 8) / 8;

// Eighths of a pixel: finer than anyone points, and exact in the store.
export const tidyBox = (box) => box.map(eighth);

// The box moved by (dx, dy), stopped at the border of a film of size [height, width].
export function moveBox([x1, y1, x2, y2], dx, dy, [height, width]) {
  const right = clamp(dx, -x1, width - x2), down = clamp(dy, -y1, height - y2);
  return [x1 + right, y1 + down, x2 + right, y2 + down];
}

// The box with the sides that the handle names ("nw": top and left) moved by (dx, dy); never smaller than two pixels.
export function resizeBox(box, handle, dx, dy, [height, width]) {
  const [x1, y1, x2, y2] = box;
  return [
    handle.includes("w") ? clamp(x1 + dx, 0, x2 - SMALLEST_SIDE) : x1,
    handle.includes("n") ? clamp(y1 + dy, 0, y2 - SMALLEST_SIDE) : y1,
    handle.includes("e") ? clamp(x2 + dx, x1 + SMALLEST_SIDE, width) : x2,
    handle.includes("s") ? clamp(y2 + dy, y1 + SMALLEST_SIDE, height) : y2,
  ];
}

// The box between two points of a drag, cut at the border; null where nothing is left of it.
export function boxBetween(from, to, [height, width]) {
  const xs = [from[0], to[0]].sort((a, b) => a - b).map((x) => clamp(x, 0, width));
  const ys = [from[1], to[1]].sort((a, b) => a - b).map((y) => clamp(y, 0, height));
  if (xs[1] - xs[0] < SMALLEST_SIDE || ys[1] - ys[0] < SMALLEST_SIDE) return null;
  return [xs[0], ys[0], xs[1], ys[1]];
}

// A box around a point: 20 mm wide where the film has a scale, else a fortieth of its longer side.
export function boxAround([x, y], { size, spacing_mm: spacing }) {
  const plain = Math.max(...size) / 40;
  const half = spacing ? { x: 10 / spacing[1], y: 10 / spacing[0] } : { x: plain, y: plain };
  const middle = [clamp(x, half.x, size[1] - half.x), clamp(y, half.y, size[0] - half.y)];
  return boxBetween([middle[0] - half.x, middle[1] - half.y], [middle[0] + half.x, middle[1] + half.y], size);
}

// The longer side in mm, row and column spacing applied separately; null where the film has no scale.
export function diameterMm([x1, y1, x2, y2], spacing) {
  return spacing ? Math.max((y2 - y1) * spacing[0], (x2 - x1) * spacing[1]) : null;
}

export function sizeWords(box, { spacing_mm: spacing, spacing_plane: plane }) {
  const diameter = diameterMm(box, spacing);
  if (diameter !== null && plane) return `${Math.round(diameter)} mm ${PLANES[plane] ?? plane}`;
  return `${Math.round(Math.max(box[2] - box[0], box[3] - box[1]))} pixels (no millimetre scale)`;
}

export function overlap(one, other) {
  const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (width * height) / (area(one) + area(other) - width * height);
}
