"use strict";
// The charts. Each takes the cells of one panel (one placement, one way to wait) and a width.

const canvas = (width, height, label) =>
  svg("svg", {
    class: "chart",
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    tabindex: 0,
    "aria-label": `${label}. The arrow keys go from mark to mark.`,
  });

const named = (cell, ...kids) => {
  const lines = [`${cell.n}, ${fmtSize(cell.s)}, ${cell.p}, ${cell.w}`];
  if (cell.p50) lines.push(`p50 ${fmtTime(cell.p50.value)} (${range(cell.p50, fmtTime)})`);
  if (cell.p99) lines.push(`p99 ${fmtTime(cell.p99)}`);
  const bytes = cell.bytes == null ? "" : ` · ${fmtBytes(cell.bytes)}`;
  if (cell.rate) lines.push(fmtRate(cell.rate.value) + bytes);
  if (cell.cpu != null) lines.push(`CPU ${fmtTime(cell.cpu)} a message`);
  if (cell.raw) lines.push(`×raw ${fmtRatio(cell.raw.value)} (${range(cell.raw, fmtRatio)})`);
  if (cell.floor) lines.push(`×floor ${fmtRatio(cell.floor.value)}: ${cell.floorIs}`);
  for (const low of cell.low) lines.push(`⚠ ${low} is below 1: chance, or measured wrongly`);
  lines.push(...cell.flags);
  return svg("g", { "data-m": cell.m, "data-tip": lines.join("\n") }, ...kids);
};

// Whether a topology has a latency for each message; else it has rates.
const isClocked = (t) => ["ping-pong", "idle-gap", "open-loop", "setup"].includes(t);
// The figure that a topology is ranked by.
const figureOf = (t) =>
  isClocked(t)
    ? { of: (c) => c.p50, fmt: fmtTime, tick: tickTime, less: true }
    : { of: (c) => c.rate, fmt: fmtRate, tick: tickRate, less: false };

// Ranked dots with intervals, best first.
const drawRank = (cells, width, t) => {
  const figure = figureOf(t);
  const ours = cells.filter((c) => c.v !== "raw" && figure.of(c));
  if (!ours.length) return null;
  ours.sort((a, b) => (figure.of(a).value - figure.of(b).value) * (figure.less ? 1 : -1));
  const rawOf = (c) => cells.find((r) => r.v === "raw" && r.m === c.m && figure.of(r));
  const row = 24,
    top = 6,
    height = top + row * ours.length + 24;
  const left = Math.max(...ours.map((c) => widthOf(c.n))) + 12;
  const right = Math.max(...ours.map((c) => widthOf(figure.fmt(figure.of(c).value)))) + 14;
  const all = cells
    .map(figure.of)
    .filter(Boolean)
    .flatMap((i) => [i.lo, i.hi]);
  const x = logScale(all, left + 6, width - right - 6);
  const chart = canvas(
    width,
    height,
    `Ranked: ${ours.map((c) => `${c.n} ${figure.fmt(figure.of(c).value)}`).join(", ")}`,
  );
  for (const tick of logTicks(x, Math.max(3, Math.floor((width - left - right) / 55)))) {
    chart.append(
      svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - 20 }),
    );
    chart.append(
      svg(
        "text",
        { class: "axis", x: x(tick), y: height - 6, "text-anchor": "middle" },
        figure.tick(tick),
      ),
    );
  }
  ours.forEach((c, i) => {
    const y = top + row * i + row / 2,
      it = figure.of(c),
      raw = rawOf(c),
      look = lookOf(c.index);
    const g = named(c);
    g.append(svg("rect", { x: 0, y: y - row / 2, width, height: row, fill: "transparent" }));
    g.append(svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, c.n));
    if (raw) g.append(mark(look, x(figure.of(raw).value), y + 6, 3, true));
    g.append(
      svg("line", {
        x1: x(it.lo),
        x2: x(it.hi),
        y1: y,
        y2: y,
        stroke: look.color,
        "stroke-width": 3,
        "stroke-linecap": "round",
        opacity: 0.55,
      }),
    );
    for (const end of [it.lo, it.hi])
      g.append(
        svg("line", {
          x1: x(end),
          x2: x(end),
          y1: y - 5,
          y2: y + 5,
          stroke: look.color,
          "stroke-width": 1.5,
        }),
      );
    g.append(mark(look, x(it.value), y, 4.5, false));
    g.append(svg("text", { x: width - 2, y: y + 4, "text-anchor": "end" }, figure.fmt(it.value)));
    chart.append(g);
  });
  return chart;
};

// Lines with their names at the right end.
const drawLines = (series, width, options) => {
  const { xOf, xTicks, yTick, label } = options;
  const names = series.map((s) => s.cell.n);
  const right = Math.max(...names.map((n) => widthOf(n))) + 26,
    left = 56,
    top = 10;
  const height = Math.max(230, series.length * 14 + 50),
    bottom = height - 26;
  const y = logScale(
    series.flatMap((s) => s.points.map((p) => p[1])),
    bottom,
    top,
    3,
  );
  const xs = series.flatMap((s) => s.points.map((p) => p[0]));
  const [lo, hi] = [Math.min(...xs), Math.max(...xs)];
  const x = (v) =>
    hi === lo
      ? (left + width - right) / 2
      : left + 8 + ((xOf(v) - xOf(lo)) / (xOf(hi) - xOf(lo))) * (width - right - left - 16);
  const chart = canvas(width, height, label);
  for (const tick of logTicks(y, Math.floor((bottom - top) / 26))) {
    chart.append(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
    );
    chart.append(
      svg(
        "text",
        { class: "axis", x: left - 6, y: y(tick) + 4, "text-anchor": "end" },
        yTick(tick),
      ),
    );
  }
  let last = -Infinity;
  for (const [value, text] of xTicks(lo, hi)) {
    const at = x(value),
      half = widthOf(text, 11) / 2;
    if (at - half < last) continue;
    last = at + half + 6;
    chart.append(svg("line", { class: "grid", x1: at, x2: at, y1: top, y2: bottom, opacity: 0.6 }));
    chart.append(
      svg("text", { class: "axis", x: at, y: height - 8, "text-anchor": "middle" }, text),
    );
  }
  const ends = series.map((s) => s.points[s.points.length - 1]);
  const labels = spread(
    ends.map((p) => y(p[1])),
    14,
    top + 6,
    bottom,
  );
  series.forEach((s, i) => {
    const look = lookOf(s.cell.index),
      g = named(s.cell);
    const path = s.points
      .map((p, k) => `${k ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`)
      .join("");
    g.append(svg("path", { d: path, fill: "none", stroke: "transparent", "stroke-width": 10 }));
    g.append(
      svg("path", {
        d: path,
        fill: "none",
        stroke: look.color,
        "stroke-width": 1.75,
        "stroke-dasharray": look.dash,
        "stroke-linejoin": "round",
      }),
    );
    for (const p of s.marks || []) g.append(mark(look, x(p[0]), y(p[1]), 3.5, false));
    const [ex, ey] = [x(ends[i][0]), y(ends[i][1])];
    g.append(
      svg("path", {
        class: "lead",
        d: `M${ex + 5} ${ey}L${width - right + 12} ${labels[i]}`,
        fill: "none",
      }),
    );
    g.append(
      svg(
        "text",
        { x: width - right + 15, y: labels[i] + 4, style: `fill:${look.color}` },
        s.cell.n,
      ),
    );
    chart.append(g);
  });
  return chart;
};

// Whether anything was measured at several sizes.
const isSwept = (cells) => cells.some((a) => cells.some((b) => b.n === a.n && b.s !== a.s));

// By message size.
const drawSweep = (cells, width, t) => {
  const [of, tick] = isClocked(t)
    ? [(c) => c.p50 && c.p50.value, tickTime]
    : [(c) => c.bytes, tickBytes];
  const byName = new Map();
  for (const c of cells)
    if (c.v !== "raw" && c.s > 0 && of(c)) byName.set(c.n, [...(byName.get(c.n) || []), c]);
  const series = [...byName.values()].map((list) => {
    list.sort((a, b) => a.s - b.s);
    const points = list.map((c) => [c.s, of(c)]);
    return { cell: list[list.length - 1], points, marks: points };
  });
  if (series.every((it) => it.points.length < 2)) return null;
  const sizes = [...new Set(cells.map((c) => c.s))].filter((s) => s > 0).sort((a, b) => a - b);
  return drawLines(series, width, {
    xOf: Math.log,
    yTick: tick,
    xTicks: () => sizes.map((s) => [s, tickSize(s)]),
    label: `By message size: ${series.map((s) => s.cell.n).join(", ")}`,
  });
};

// The same cells under each setting: after pauses, with so many processes.
const drawForms = (cells, width, t) => {
  const figure = figureOf(t);
  const forms = [...new Set(cells.map((c) => c.k))];
  const byName = new Map();
  for (const c of cells)
    if (c.v !== "raw" && figure.of(c)) byName.set(c.n, [...(byName.get(c.n) || []), c]);
  const series = [...byName.values()].map((list) => {
    const points = list.map((c) => [forms.indexOf(c.k), figure.of(c).value]);
    points.sort((a, b) => a[0] - b[0]);
    return { cell: list[list.length - 1], points, marks: points };
  });
  if (!series.length) return null;
  return drawLines(series, width, {
    xOf: (v) => v,
    yTick: figure.tick,
    xTicks: () => forms.map((k, i) => [i, k]),
    label: `By setting: ${series.map((s) => s.cell.n).join(", ")}`,
  });
};

// Latency by the messages a second that were due, up to what the mechanism carries.
const drawLoad = (cells, width, quantile) => {
  const series = cells
    .filter((c) => c.v !== "raw")
    .map((cell) => {
      const loads = cell.loads.filter((it) => it[quantile] > 0 && it.offered > 0);
      const points = loads.map((it) => [it.offered, it[quantile]]);
      return { cell, points, marks: points };
    })
    .filter((s) => s.points.length);
  if (!series.length) return null;
  return drawLines(series, width, {
    xOf: Math.log,
    yTick: tickTime,
    xTicks: (lo, hi) => logTicks({ lo, hi }, 5).map((x) => [x, tickRate(x)]),
    label: `${quantile} by load: ${series.map((s) => s.cell.n).join(", ")}`,
  });
};

const NINES = [
  [0, "0"],
  [0.30103, "p50"],
  [1, "p90"],
  [2, "p99"],
  [3, "p99.9"],
  [4, "p99.99"],
  [5, "p99.999"],
];
const drawCurve = (cells, width) => {
  const series = cells
    .filter((c) => c.v !== "raw" && c.curve.length > 1)
    .map((cell) => ({ cell, points: cell.curve }));
  return (
    series.length &&
    drawLines(series, width, {
      xOf: (v) => v,
      yTick: tickTime,
      xTicks: (lo, hi) => NINES.filter(([v]) => v >= lo && v <= hi),
      label: `Percentile curves: ${series.map((s) => s.cell.n).join(", ")}`,
    })
  );
};

// CPU time by p99, each point with its name beside it where there is room.
const drawCost = (cells, width) => {
  const shown = cells.filter((c) => c.v !== "raw" && c.p99 && c.cpu);
  if (!shown.length) return null;
  const height = Math.max(260, Math.min(460, 160 + shown.length * 14)),
    left = 56,
    right = 14,
    top = 12,
    bottom = height - 40;
  const x = logScale(
    shown.map((c) => c.p99),
    left + 16,
    width - right - 16,
    2,
  );
  const y = logScale(
    shown.map((c) => c.cpu),
    bottom - 14,
    top + 14,
    2,
  );
  const cost = (c) => `${c.n} ${fmtTime(c.p99)}, ${fmtTime(c.cpu)}`;
  const chart = canvas(width, height, `p99 and CPU time: ${shown.map(cost).join("; ")}`);
  for (const tick of logTicks(x, Math.floor((width - left) / 60))) {
    chart.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: bottom }));
    chart.append(
      svg(
        "text",
        { class: "axis", x: x(tick), y: bottom + 15, "text-anchor": "middle" },
        tickTime(tick),
      ),
    );
  }
  for (const tick of logTicks(y, Math.floor((bottom - top) / 30))) {
    chart.append(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
    );
    chart.append(
      svg(
        "text",
        { class: "axis", x: left - 6, y: y(tick) + 4, "text-anchor": "end" },
        tickTime(tick),
      ),
    );
  }
  chart.append(
    svg(
      "text",
      { class: "axis", x: (left + width) / 2, y: height - 6, "text-anchor": "middle" },
      "p99 round trip → slower",
    ),
  );
  chart.append(
    svg(
      "text",
      {
        class: "axis",
        x: 12,
        y: (top + bottom) / 2,
        "text-anchor": "middle",
        transform: `rotate(-90 12 ${(top + bottom) / 2})`,
      },
      "CPU a round trip",
    ),
  );
  const taken = shown.map((c) => [x(c.p99) - 6, y(c.cpu) - 6, 12, 12]);
  const free = (b) =>
    b[0] > left &&
    b[0] + b[2] < width &&
    b[1] > 0 &&
    b[1] + b[3] < bottom &&
    taken.every(
      (o) => b[0] + b[2] < o[0] || o[0] + o[2] < b[0] || b[1] + b[3] < o[1] || o[1] + o[3] < b[1],
    );
  for (const c of shown) {
    const look = lookOf(c.index),
      [px, py] = [x(c.p99), y(c.cpu)],
      w = widthOf(c.n),
      g = named(c);
    const spots = [];
    for (const d of [0, 14, 28, 42, 60, 80])
      spots.push(
        [px + 8, py - 7 - d],
        [px + 8, py - 7 + d],
        [px - 8 - w, py - 7 - d],
        [px - 8 - w, py - 7 + d],
        [px - w / 2, py - 22 - d],
        [px - w / 2, py + 8 + d],
      );
    const spot = spots.map(([a, b]) => [a, b, w, 14]).find(free);
    if (spot) {
      taken.push(spot);
      const [sx, sy] = [Math.max(spot[0], Math.min(px, spot[0] + w)), spot[1] + 7];
      if (Math.hypot(sx - px, sy - py) > 16)
        g.append(svg("path", { class: "lead", d: `M${px} ${py}L${sx} ${sy}` }));
      g.append(svg("text", { class: "halo", x: spot[0], y: spot[1] + 11 }, c.n));
    }
    g.append(mark(look, px, py, 5, false));
    chart.append(g);
  }
  return chart;
};

// ×floor by mechanism and size, as a table: it reads without colour too.
const drawHeat = (cells) => {
  const shown = cells.filter((c) => c.v !== "raw" && c.floor);
  if (!shown.length) return null;
  const sizes = [...new Set(shown.map((c) => c.s))].sort((a, b) => a - b);
  const names = [...new Set(shown.map((c) => c.n))];
  const head = html(
    "tr",
    {},
    html("th", { scope: "col" }, "bytes"),
    ...sizes.map((s) => html("th", { scope: "col" }, tickSize(s))),
  );
  const rows = names.map((n) =>
    html(
      "tr",
      { "data-m": shown.find((it) => it.n === n).m },
      html("th", { scope: "row" }, n),
      ...sizes.map((s) => {
        const c = shown.find((it) => it.n === n && it.s === s);
        if (!c) return html("td", {}, "–");
        const heat = Math.round(
          Math.max(0, Math.min(1, Math.log(c.floor.value) / Math.log(50))) * 100,
        );
        const ink = heat < 42 ? "--heat-ink" : heat < 62 ? "--heat-ink-mid" : "--heat-ink-hi";
        const back = `color-mix(in oklab, var(--heat-hi) ${heat}%, var(--heat-lo))`;
        const paint = `background:${back};color:var(${ink})`;
        return html(
          "td",
          {
            style: paint,
            class: c.floor.hi < 0.98 ? "low" : "",
            title: `${range(c.floor, fmtRatio)} × ${c.floorIs}`,
          },
          fmtRatio(c.floor.value),
        );
      }),
    ),
  );
  return html(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Times the floor" },
    html("table", { class: "heat" }, html("thead", {}, head), html("tbody", {}, ...rows)),
  );
};
