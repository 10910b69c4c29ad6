"use strict";
// Small things that every chart needs: elements, numbers as people read them, log scales, marks.

const svgNs = "http://www.w3.org/2000/svg";
const svg = (tag, attrs, ...kids) => {
  const it = document.createElementNS(svgNs, tag);
  for (const [name, value] of Object.entries(attrs || {})) it.setAttribute(name, value);
  it.append(...kids);
  return it;
};
const html = (tag, attrs, ...kids) => {
  const it = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs || {})) it.setAttribute(name, value);
  it.append(...kids);
  return it;
};

const digits = (x) => (x < 9.995 ? x.toFixed(2) : x < 99.95 ? x.toFixed(1) : x.toFixed(0));
const scaled = (x, units, show) => {
  let i = 0;
  while (x >= 999.5 && i + 1 < units.length) {
    x /= 1000;
    i += 1;
  }
  return `${show(x)} ${units[i]}`.trim();
};
const TIME = ["ns", "µs", "ms", "s"],
  RATE = ["", "k", "M", "G"],
  BYTES = ["B/s", "kB/s", "MB/s", "GB/s"];
const fmtTime = (x) => scaled(x, TIME, digits);
const fmtRate = (x) => `${scaled(x, RATE, digits)}/s`.replace(" /s", "/s");
const fmtBytes = (x) => scaled(x, BYTES, digits);
const fmtRatio = (x) => (x < 10 ? x.toFixed(2) : digits(x));
const range = (it, show) => `${show(it.lo)}–${show(it.hi)}`;
const short = (x) => String(Number(x.toPrecision(3)));
const tickTime = (x) => scaled(x, TIME, short);
const tickRate = (x) => `${scaled(x, RATE, short)}/s`;
const tickBytes = (x) => scaled(x, BYTES, short);
const fmtSize = (n) =>
  n === 0
    ? "no payload"
    : n >= 1048576 && n % 1048576 === 0
      ? `${n / 1048576} MiB`
      : n >= 1024 && n % 1024 === 0
        ? `${n / 1024} KiB`
        : `${n} B`;
const tickSize = (n) =>
  n === 0 ? "none" : fmtSize(n).replace(" KiB", "K").replace(" MiB", "M").replace(" B", "");

// A log scale over the values, padded, and with at least `span` from end to end.
const logScale = (values, from, to, span = 1.5) => {
  let lo = Math.min(...values) / 1.06,
    hi = Math.max(...values) * 1.06;
  if (hi / lo < span) {
    const mid = Math.sqrt(lo * hi),
      half = Math.sqrt(span);
    lo = mid / half;
    hi = mid * half;
  }
  const scale = (x) =>
    from + ((Math.log(x) - Math.log(lo)) / (Math.log(hi) - Math.log(lo))) * (to - from);
  return Object.assign(scale, { lo, hi });
};
// Round numbers on a log scale, no more than `most`, from the coarsest set that has three.
const logTicks = ({ lo, hi }, most) => {
  const sets = [
    [1],
    [1, 3],
    [1, 2, 5],
    [1, 1.5, 2, 3, 5, 7],
    [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9],
  ];
  let best = [];
  for (const set of sets) {
    const ticks = [];
    for (let e = Math.floor(Math.log10(lo)); e <= Math.ceil(Math.log10(hi)); e += 1)
      for (const f of set) {
        const x = f * 10 ** e;
        if (x >= lo && x <= hi) ticks.push(x);
      }
    if (ticks.length > most) break;
    best = ticks;
    if (ticks.length >= 3) break;
  }
  return best;
};

// A mechanism is a colour and a shape; 24 differ, and each mark is labelled besides.
const SHAPES = ["circle", "square", "up", "diamond", "down", "hexagon"];
const lookOf = (index) => ({
  color: `var(--c${index % 8})`,
  shape: SHAPES[index % 6],
  dash: ["", "6 3", "2 3"][Math.floor(index / 8) % 3],
});
const mark = (look, x, y, r, hollow) => {
  const paint = hollow
    ? { fill: "var(--bg)", stroke: look.color, "stroke-width": 1.5 }
    : { fill: look.color, stroke: "var(--bg)", "stroke-width": 1 };
  const poly = (points) =>
    svg("polygon", {
      points: points.map(([a, b]) => `${x + a * r},${y + b * r}`).join(" "),
      ...paint,
    });
  switch (look.shape) {
    case "square":
      return svg("rect", {
        x: x - r * 0.9,
        y: y - r * 0.9,
        width: r * 1.8,
        height: r * 1.8,
        ...paint,
      });
    case "up":
      return poly([
        [0, -1.2],
        [1.1, 0.9],
        [-1.1, 0.9],
      ]);
    case "down":
      return poly([
        [0, 1.2],
        [1.1, -0.9],
        [-1.1, -0.9],
      ]);
    case "diamond":
      return poly([
        [0, -1.3],
        [1.3, 0],
        [0, 1.3],
        [-1.3, 0],
      ]);
    case "hexagon":
      return poly([
        [1.15, 0],
        [0.6, 1],
        [-0.6, 1],
        [-1.15, 0],
        [-0.6, -1],
        [0.6, -1],
      ]);
    default:
      return svg("circle", { cx: x, cy: y, r, ...paint });
  }
};

// Text as wide as the browser would set it.
const ruler = document.createElement("canvas").getContext("2d");
const widthOf = (text, px = 12) => {
  ruler.font = `${px}px system-ui, sans-serif`;
  return ruler.measureText(text).width;
};

// Moves labels apart along one axis: each keeps its order and at least `gap` to the next.
const spread = (wanted, gap, lo, hi) => {
  const order = wanted.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]);
  const at = order.map(([y]) => Math.max(lo, Math.min(hi, y)));
  for (let i = 1; i < at.length; i += 1) at[i] = Math.max(at[i], at[i - 1] + gap);
  for (let i = at.length - 1, top = hi; i >= 0; i -= 1) {
    at[i] = Math.min(at[i], top);
    top = at[i] - gap;
  }
  const out = [];
  order.forEach(([, i], k) => {
    out[i] = at[k];
  });
  return out;
};
