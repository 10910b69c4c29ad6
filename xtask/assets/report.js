"use strict";
// Filters, kept in the address, and what they show.

(() => {
  const cells = JSON.parse(document.getElementById("data").textContent).cells;
  if (!cells.length) return;
  const by = (id) => document.getElementById(id);
  const distinct = (of) => [...new Set(cells.map(of))];
  const mechanisms = distinct((c) => c.m);
  cells.forEach((c) => {
    c.index = mechanisms.indexOf(c.m);
    c.n = c.v === "ours" ? c.m : `${c.m} (${c.v})`;
  });
  const topologies = distinct((c) => c.t),
    sizes = distinct((c) => c.s).sort((a, b) => a - b);
  const placements = distinct((c) => c.p),
    waits = distinct((c) => c.w);
  const near = sizes.reduce((a, b) =>
    Math.abs(Math.log(b / 64)) < Math.abs(Math.log(a / 64)) ? b : a,
  );
  const usual = {
    t: topologies[0],
    k: "all",
    s: near,
    p: "all",
    w: "all",
    m: mechanisms,
    raw: false,
    one: false,
  };
  const state = { ...usual };
  const rows = [...document.querySelectorAll("#all tbody tr")];
  const PLACE = { "same-cpu": "Same CPU", "cross-cpu": "Across CPUs", unpinned: "Unpinned" };
  const WAIT = { block: "blocking", spin: "spinning", adaptive: "adaptive" };

  const forms = (t) => [...new Set(cells.filter((c) => c.t === t).map((c) => c.k))].filter(Boolean);
  const readHash = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const pick = (key, known) => (known.includes(given.get(key)) ? given.get(key) : usual[key]);
    state.t = pick("t", topologies);
    state.k = forms(state.t).includes(given.get("k")) ? given.get("k") : "all";
    state.p = pick("p", placements);
    state.w = pick("w", waits);
    // Not "or": 0 is a size, and what is not given is no number.
    const size = Number(given.get("s") ?? NaN);
    state.s = sizes.includes(size) ? size : usual.s;
    state.m = given.has("m")
      ? mechanisms.filter((m) => given.get("m").split(",").includes(m))
      : mechanisms;
    state.raw = given.get("raw") === "1";
    state.one = given.get("one") === "1";
  };
  const permalink = () => {
    const out = new URLSearchParams();
    for (const key of ["t", "k", "s", "p", "w"])
      if (state[key] !== usual[key]) out.set(key, state[key]);
    if (state.m.length < mechanisms.length) out.set("m", state.m.join(","));
    if (state.raw) out.set("raw", "1");
    if (state.one) out.set("one", "1");
    return out;
  };
  const hashOf = (out) => out.toString().replaceAll("%2C", ",");
  const writeHash = () => {
    const hash = hashOf(permalink());
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    for (const link of document.querySelectorAll("a.here")) {
      const out = permalink();
      out.set("at", link.dataset.at);
      link.href = `#${hashOf(out)}`;
    }
  };
  // A link to each section, with the filters as they are.
  const links = () => {
    for (const title of document.querySelectorAll("main h2[id]")) {
      const at = title.id.slice(2);
      const link = html(
        "a",
        { class: "here", "data-at": at, href: "#", "aria-label": `Link to ${title.textContent}` },
        "#",
      );
      title.append("\u00a0", link);
    }
  };
  const goThere = () => {
    const at = new URLSearchParams(location.hash.slice(1)).get("at");
    const title = at && by(`h-${at}`);
    if (title) title.scrollIntoView();
  };

  const draw = () => {
    let shown = cells.filter(
      (c) =>
        c.t === state.t &&
        state.m.includes(c.m) &&
        (state.p === "all" || c.p === state.p) &&
        (state.w === "all" || c.w === state.w),
    );
    // Charts of one setting show the one that was chosen, or the first.
    const known = forms(state.t);
    const form = known.includes(state.k) ? state.k : (known[0] ?? "");
    const every = shown;
    shown = every.filter((c) => c.k === form);
    // A topology may have been measured at fewer sizes than the others.
    const chosen = !shown.length || shown.some((c) => c.s === state.s) ? state.s : shown[0].s;
    const atSize = shown.filter((c) => c.s === chosen && (state.raw || c.v !== "raw"));
    const trips = isClocked(state.t),
      open = state.t === "open-loop",
      trip =
        state.t === "setup"
          ? "time from creation to answer"
          : open
            ? `latency (${form}) at half of the saturation`
            : form
              ? `round trip after ${form}`
              : "round trip",
      size = chosen === 0 ? "notifications" : `${fmtSize(chosen)} messages`;
    const rawNote = state.raw ? " Hollow marks are the same system calls in a bare loop." : "";
    const setting = form && !trips ? `${state.t} ${form}: ` : "";
    by("l-rank").textContent =
      setting +
      (trips
        ? `Median ${trip} of ${size} with its 95 % interval; log axis, faster on top.`
        : `${size[0].toUpperCase()}${size.slice(1)} a second with the 95 % interval; log axis, more on top.`) +
      " Each panel has its own scale: compare within it." +
      rawNote;
    by("l-sweep").textContent = trips
      ? `Median ${trip} by message size in bytes; both axes are logarithmic.`
      : "Payload a second by message size in bytes; both axes are logarithmic.";
    by("l-curve").textContent =
      `How the ${open ? "latencies" : "times"} of ${size} are spread, as far as ten samples lie beyond. ` +
      "The further left a curve bends up, the more of them are slow.";
    by("l-cost").textContent =
      `Round trips of ${size}: to the left is a shorter tail, lower is cheaper.`;
    by("s-curve").hidden = by("s-cost").hidden = !trips;
    by("s-sweep").hidden = !isSwept(shown);
    by("s-load").hidden = !every.some((c) => c.loads.length);
    by("s-forms").hidden = open || known.length < 2;
    by("l-forms").textContent = trips
      ? `Median round trip of ${size} after each pause; the vertical axis is logarithmic.`
      : `${size[0].toUpperCase()}${size.slice(1)} a second by the number of processes on the side of the many.`;
    const quantile = shown.some((c) => c.loads.some((it) => it.p99)) ? "p99" : "p50";
    by("l-load").textContent =
      `${quantile} of the latency of ${size}, from when each was due, by messages a second that were due ` +
      `(${form}); both axes are logarithmic. A line ends where the mechanism carries no more.`;
    panels("c-rank", atSize, (list, width) => drawRank(list, width, state.t));
    if (!by("s-sweep").hidden)
      panels(
        "c-sweep",
        shown.filter((c) => c.v !== "raw"),
        (list, width) => drawSweep(list, width, state.t),
        "One size was measured here.",
      );
    if (trips) {
      panels(
        "c-curve",
        atSize,
        drawCurve,
        "Too few round trips were measured to show how they are spread.",
      );
      panels(
        "c-cost",
        atSize,
        drawCost,
        "A p99 takes a thousand round trips: fewer were measured.",
      );
    }
    if (!by("s-load").hidden)
      panels(
        "c-load",
        atSize,
        (list, width) => drawLoad(list, width, quantile),
        "No load was measured here.",
      );
    if (!by("s-forms").hidden)
      panels(
        "c-forms",
        every.filter((c) => c.s === chosen),
        (list, width) => drawForms(list, width, state.t),
      );
    panels("c-heat", shown, drawHeat, "No floor was measured that applies here.");
    filterTable();
  };
  // One panel for each placement and way to wait: what is in different panels is not compared.
  const panels = (id, list, drawOne, none = "Nothing was measured here.") => {
    const box = by(id);
    box.replaceChildren();
    for (const p of placements)
      for (const w of waits) {
        const some = list.filter((c) => c.p === p && c.w === w);
        if (!some.length) continue;
        const panel = html(
          "div",
          { class: "panel" },
          html("h3", {}, `${PLACE[p] || p}, ${WAIT[w] || w}`),
        );
        box.append(panel);
        panel.make = () => drawOne(some, Math.max(260, Math.floor(panel.clientWidth - 26)));
      }
    // Widths are known once all panels are in the grid.
    for (const panel of [...box.children]) {
      const chart = panel.make();
      panel.append(chart || html("p", { class: "empty" }, none));
    }
    if (!box.children.length)
      box.append(html("p", { class: "empty" }, "Nothing was measured with these filters."));
  };

  const filterTable = () => {
    let count = 0;
    for (const row of rows) {
      const d = row.dataset;
      row.hidden = !(
        d.t === state.t &&
        (state.k === "all" || d.k === state.k) &&
        state.m.includes(d.m) &&
        (state.p === "all" || d.p === state.p) &&
        (state.w === "all" || d.w === state.w) &&
        (!state.one || Number(d.s) === state.s) &&
        (state.raw || d.v !== "raw")
      );
      count += row.hidden ? 0 : 1;
    }
    by("l-all").textContent =
      `${count} of ${rows.length} rows, by the filters above; a click on a title sorts.`;
  };
  const sortable = () => {
    const body = document.querySelector("#all tbody"),
      heads = [...document.querySelectorAll("#all thead th")];
    heads.forEach((th, column) => {
      const button = html("button", { type: "button" }, th.textContent);
      th.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = th.getAttribute("aria-sort") !== "ascending";
        heads.forEach((it) => it.removeAttribute("aria-sort"));
        th.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => row.children[column].dataset.n ?? row.children[column].textContent;
        const order = (a, b) => {
          const [x, y] = [key(a), key(b)];
          if (x === "–" || y === "–") return (x === "–") - (y === "–");
          return (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y) * (up ? 1 : -1);
        };
        body.append(...[...rows].sort(order));
      });
    });
  };

  const choices = (select, all, values, show) => {
    if (all) select.append(html("option", { value: "all" }, all));
    for (const value of values) select.append(html("option", { value }, show(value)));
    if (values.length < 2) select.parentElement.hidden = true;
  };
  const controls = () => {
    for (const t of topologies) {
      const radio = html("input", { type: "radio", name: "t", value: t });
      radio.addEventListener("change", () => set({ t, k: "all" }));
      by("f-t").append(html("label", {}, radio, t));
    }
    choices(by("f-s"), null, sizes, fmtSize);
    choices(by("f-p"), "all", placements, (p) => p);
    choices(by("f-w"), "all", waits, (w) => w);
    by("f-k").addEventListener("change", (e) => set({ k: e.target.value }));
    by("f-s").addEventListener("change", (e) => set({ s: Number(e.target.value) }));
    by("f-p").addEventListener("change", (e) => set({ p: e.target.value }));
    by("f-w").addEventListener("change", (e) => set({ w: e.target.value }));
    by("f-raw").addEventListener("change", (e) => set({ raw: e.target.checked }));
    by("f-all").addEventListener("change", (e) => set({ one: !e.target.checked }));
    by("filters").addEventListener("submit", (e) => e.preventDefault());
    const all = html("button", { type: "button" }, "all"),
      none = html("button", { type: "button" }, "none");
    all.addEventListener("click", () => set({ m: mechanisms }));
    none.addEventListener("click", () => set({ m: [] }));
    by("f-m").append(all, none);
    mechanisms.forEach((m, index) => {
      const icon = svg(
        "svg",
        { viewBox: "-6 -6 12 12", "aria-hidden": "true" },
        mark(lookOf(index), 0, 0, 4.5, false),
      );
      const button = html("button", { type: "button", "data-chip": m }, icon, m);
      button.addEventListener("click", () => {
        set({ m: mechanisms.filter((it) => (it === m) !== state.m.includes(it)) });
      });
      by("f-m").append(button);
    });
  };
  const show = () => {
    for (const radio of document.querySelectorAll("#f-t input"))
      radio.checked = radio.value === state.t;
    const known = forms(state.t);
    by("f-k").replaceChildren(
      html("option", { value: "all" }, "all"),
      ...known.map((k) => html("option", { value: k }, k)),
    );
    by("f-k").value = state.k;
    by("f-k").parentElement.hidden = known.length < 2;
    by("f-s").value = state.s;
    by("f-p").value = state.p;
    by("f-w").value = state.w;
    by("f-raw").checked = state.raw;
    by("f-all").checked = !state.one;
    by("f-count").textContent = `${state.m.length} of ${mechanisms.length}`;
    for (const chip of document.querySelectorAll("[data-chip]"))
      chip.setAttribute("aria-pressed", state.m.includes(chip.dataset.chip));
    draw();
  };
  const set = (change) => {
    Object.assign(state, change);
    writeHash();
    show();
  };

  // What is pointed at stands out in every chart, and says its figures.
  const highlight = (it, x, y) => {
    const name = it && it.dataset.m;
    for (const other of document.querySelectorAll("main .panel [data-m]"))
      other.classList.toggle("dim", Boolean(name) && other.dataset.m !== name);
    const tip = by("tip"),
      text = it && it.dataset.tip;
    tip.hidden = !text;
    if (!text) return;
    if (tip.textContent !== text) tip.textContent = text;
    const room = [innerWidth - tip.offsetWidth - 8, innerHeight - tip.offsetHeight - 8];
    tip.style.left = `${Math.max(4, Math.min(x + 14, room[0]))}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 14, room[1]))}px`;
  };
  const point = (target, event) => {
    const it = target && target.closest && target.closest("main [data-m]:not(#all tr)");
    highlight(it, event && event.clientX, event && event.clientY);
  };
  // In a chart the arrow keys go from mark to mark.
  const keys = (event) => {
    const chart = event.target.closest && event.target.closest("svg.chart");
    if (!chart) return;
    const marks = [...chart.querySelectorAll("[data-tip]")];
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") highlight(null);
    if (!step || !marks.length) return;
    event.preventDefault();
    const at = Number(chart.dataset.at ?? (step > 0 ? -1 : 0));
    const next = (at + step + marks.length) % marks.length;
    chart.dataset.at = next;
    // A line spans the chart: its label is where it is read.
    const place = (marks[next].querySelector("text") || marks[next]).getBoundingClientRect();
    highlight(marks[next], place.left, place.bottom);
  };

  for (const it of document.querySelectorAll(".js")) it.hidden = false;
  controls();
  sortable();
  links();
  readHash();
  show();
  goThere();
  writeHash();
  addEventListener("hashchange", () => {
    readHash();
    show();
    goThere();
    writeHash();
  });
  document.addEventListener("keydown", keys);
  document.addEventListener("focusout", () => highlight(null));
  document.addEventListener("pointermove", (e) => point(e.target, e));
  document.addEventListener("pointerleave", () => point(null));
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      draw();
    }
  });
})();
