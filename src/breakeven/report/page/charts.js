/* The charts, drawn with Observable Plot as SVG: one function a chart, each from data to Plot options. */
"use strict";

const Charts = (() => {
  const SYMBOLS = ["circle", "square", "triangle", "diamond2", "cross", "star", "wye", "hexagon"];
  const DASHES = ["", "6 3", "2 3", "8 3 2 3", "", "6 3", "2 3", "8 3 2 3"];
  const COLOURED = 8;
  const colour = (index) => (index < COLOURED ? `var(--s${index})` : "var(--rest)");
  const symbol = (index) => SYMBOLS[index % SYMBOLS.length];
  const dash = (index) => (index < COLOURED ? DASHES[index] : "1 2");

  const si = (value) => {
    const size = Math.abs(value);
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
    return size >= 1e4 ? `${+(value / 1e3).toPrecision(3)}k` : `${+value.toPrecision(3)}`;
  };
  const known = (rows, ...names) => rows.filter((row) => names.every((name) => Number.isFinite(row[name])));
  const extent = (values) => [Math.min(...values), Math.max(...values)];

  /* An axis whose ticks are listed shows each of them: Plot would leave some of a log scale without its number. */
  const listed = (options) => {
    const axes = [];
    for (const [scale, axis, grid] of [["x", Plot.axisX, null], ["y", Plot.axisY, Plot.gridY]]) {
      const given = options[scale];
      if (!Array.isArray(given.ticks)) continue;
      if (grid) axes.push(grid(given.ticks));
      axes.push(axis(given.ticks, { text: given.tickFormat, label: given.label, labelAnchor: given.labelAnchor, labelArrow: "none" }));
      options[scale] = { ...given, axis: null, grid: false };
    }
    return { ...options, marks: [...axes, ...options.marks] };
  };

  /* Room for the axis, few ticks where it is narrow. */
  let onPaper = false;
  const heightOf = (width) => Math.round(onPaper ? Math.min(Math.max(width * 0.35, 170), 235) : Math.min(Math.max(width * 0.56, 230), 340));
  const frame = (width, more) => listed({
    width, height: heightOf(width),
    marginLeft: 52, marginRight: 18, marginTop: 26, marginBottom: 38,
    style: { overflow: "visible" }, ...more,
    x: { grid: false, nice: false, ticks: width < 420 ? 4 : 7, labelAnchor: "center", labelArrow: "none", ...more.x },
    y: { grid: true, nice: true, ticks: 5, labelArrow: "none", tickFormat: si, ...more.y },
  });

  /* 1, 2, 5 and their tens inside a range, few enough to read. */
  const logTicks = (low, high) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
      for (const digit of [1, 2, 5]) found.push(digit * 10 ** power);
    const inside = found.filter((v) => v >= low * 0.999 && v <= high * 1.001);
    return inside.length > 8 ? inside.filter((v) => `${v}`.replace(/[.0]/g, "").startsWith("1")) : inside;
  };
  /* A log axis where values span a range that a linear one would squash. */
  const spanned = (values, limit) => {
    const [low, high] = extent(values);
    if (!(low > 0) || high / low <= limit) return { type: "linear", zero: true };
    const [from, to] = [low / 1.15, high * 1.15];
    return { type: "log", nice: false, domain: [from, to], ticks: logTicks(from, to) };
  };

  const people = (values) => {
    const seen = [...new Set(values)].sort((a, b) => a - b);
    return { type: seen[0] > 0 && seen.at(-1) / seen[0] > 8 ? "log" : "linear", ticks: seen, tickFormat: (d) => `${d}` };
  };

  const tip = (rows, x, y, title) =>
    Plot.tip(rows, Plot.pointer({ x, y, title, fill: "var(--bg)", stroke: "var(--line)", fontSize: 12, maxRadius: 40 }));

  const marks = (rows, index, x, y, more = {}) => [
    Plot.line(rows, { x, y, stroke: colour(index), strokeDasharray: dash(index), strokeWidth: 2, ...more }),
    Plot.dot(rows, { x, y, symbol: symbol(index), stroke: colour(index), strokeWidth: 1.8, r: 4.5,
      fill: (d) => (d.cautions.length ? "var(--bg)" : colour(index)) }),
  ];

  const said = (row, text) => [`${row.who}, ${row.load}`, text, ...row.cautions.map((one) => `⚠ ${one}`)].join("\n");

  const rowsOf = (subjects) => subjects.map((subject) =>
    subject.levels.map((level) => ({ ...level, who: subject.label, load_x: level.users ?? level.rate })));

  const loadLabel = (data) => (data.subjects.some((s) => s.levels.some((l) => l.users === null)) ? "users, or requests per second offered" : "users at once");

  const throughput = (data) => (width) => {
    const groups = rowsOf(data.subjects).map((rows) => known(rows, "load_x", "y").sort((a, b) => a.load_x - b.load_x));
    const all = groups.flat();
    if (!all.length) return null;
    return frame(width, {
      x: { ...people(all.map((d) => d.load_x)), label: loadLabel(data) },
      y: { label: `output ${data.unit}/s`, zero: true },
      marks: [
        ...groups.flatMap((rows, i) => [
          Plot.areaY(known(rows, "lo", "hi"), { x: "load_x", y1: "lo", y2: "hi", fill: colour(i), fillOpacity: 0.13 }),
          Plot.ruleX(known(rows, "lo", "hi"), { x: "load_x", y1: "lo", y2: "hi", stroke: colour(i), strokeWidth: 1.5 }),
          ...marks(rows, i, "load_x", "y"),
        ]),
        tip(all, "load_x", "y", (d) => said(d, `${si(d.y)} ${data.unit}/s${d.lo === null || d.hi === null ? "" : ` (95 %: ${si(d.lo)}–${si(d.hi)})`}`)),
      ],
    });
  };

  /* One run: each level over time, seconds since its window opened; what is not the window is thin. */
  const overTime = (subject, index, unit) => (width) => {
    const lines = subject.series.map((level, n) => ({
      ...level, opacity: 0.4 + (0.6 * (n + 1)) / subject.series.length,
      points: level.y.map((y, i) => ({ x: level.start_s + (i + 0.5) * level.bin_s, y })),
    }));
    if (!lines.length) return null;
    const [from, to] = [Math.min(...lines.map((l) => l.start_s)), Math.max(...lines.map((l) => l.end_s))];
    const inside = (l) => l.points.filter((p) => l.open_s !== null && p.x >= 0 && (l.close_s === null || p.x <= l.close_s));
    const ends = lines.map((l) => (inside(l).length ? inside(l) : l.points)).map((points, n) => ({ ...points.at(-1), load: lines[n].load, level: lines[n].mean ?? points.at(-1).y }));
    return frame(width, {
      marginRight: 74,
      x: { domain: [from, to], label: "seconds since the window opened" },
      y: { label: `output ${unit}/s`, zero: true },
      marks: [
        from < 0 ? Plot.rect([{ a: from, b: 0 }], { x1: "a", x2: "b", fill: "var(--shade)" }) : null,
        from < 0 ? Plot.text([{ x: from, t: "warm-up" }], { x: "x", text: "t", frameAnchor: "top-left", dx: 5, dy: 4, textAnchor: "start", fill: "var(--muted)" }) : null,
        Plot.ruleX([0], { stroke: "var(--muted)", strokeDasharray: "3 3" }),
        ...lines.flatMap((l) => [
          Plot.line(l.points, { x: "x", y: "y", stroke: colour(index), strokeOpacity: 0.35 * l.opacity, strokeWidth: 1 }),
          Plot.line(inside(l), { x: "x", y: "y", stroke: colour(index), strokeOpacity: l.opacity, strokeWidth: 1.6 }),
          Number.isFinite(l.mean) && l.close_s !== null
            ? Plot.ruleY([l.mean], { x1: 0, x2: l.close_s, stroke: "var(--ink)", strokeDasharray: "1 3", strokeOpacity: 0.7 }) : null,
        ]),
        Plot.text(apart(ends, width, Math.max(...lines.flatMap((l) => l.y))), { x: () => to, y: "at", text: "load", textAnchor: "start", dx: 8, fill: "var(--muted)" }),
      ],
    });
  };

  /* Labels at the right end, moved apart so that none covers another. */
  const apart = (ends, width, top) => {
    const sorted = [...ends].sort((a, b) => a.level - b.level);
    const step = (Math.max(top, 1e-9) * 15) / heightOf(width);
    let last = -Infinity;
    return sorted.map((end) => { last = Math.max(end.level, last + step); return { ...end, at: last }; });
  };

  const latency = (data, name, label) => (width) => {
    const groups = rowsOf(data.subjects).map((rows) =>
      known(rows.map((row) => ({ ...row, p50: row[name][0], p95: row[name][1], lo: row[name][2], hi: row[name][3] })), "load_x", "p50")
        .sort((a, b) => a.load_x - b.load_x));
    const all = groups.flat();
    if (!all.length) return null;
    const values = all.flatMap((d) => [d.p50, d.p95]).filter((v) => v > 0);
    const [scale, unit] = Math.max(...values) < 10 ? [1e3, "ms"] : [1, "s"];
    const at = (key) => (d) => (Number.isFinite(d[key]) ? d[key] * scale : null);
    return frame(width, {
      x: { ...people(all.map((d) => d.load_x)), label: loadLabel(data) },
      y: { label: `${label}, ${unit}`, ...spanned(values.map((v) => v * scale), 20) },
      marks: [
        ...groups.flatMap((rows, i) => [
          Plot.areaY(rows.filter((d) => Number.isFinite(d.p95)), { x: "load_x", y1: at("p50"), y2: at("p95"), fill: colour(i), fillOpacity: 0.12 }),
          Plot.line(rows.filter((d) => Number.isFinite(d.p95)), { x: "load_x", y: at("p95"), stroke: colour(i), strokeWidth: 1, strokeOpacity: 0.7 }),
          Plot.ruleX(known(rows, "lo", "hi"), { x: "load_x", y1: at("lo"), y2: at("hi"), stroke: colour(i), strokeWidth: 1.5 }),
          ...marks(rows, i, "load_x", at("p50")),
        ]),
        tip(all, "load_x", at("p50"), (d) => said(d, `p50 ${si(d.p50 * scale)} ${unit}${Number.isFinite(d.p95) ? `, p95 ${si(d.p95 * scale)} ${unit}` : ""}`)),
      ],
    });
  };

  const pareto = (data) => (width) => {
    const groups = rowsOf(data.subjects).map((rows) => known(rows, "perUser", "perGpu").sort((a, b) => a.load_x - b.load_x));
    const all = groups.flat();
    if (!all.length) return null;
    const front = all.filter((d) => d.front).sort((a, b) => a.perUser - b.perUser);
    return frame(width, {
      x: { label: data.speed, zero: true }, y: { label: `${data.unit}/s per GPU`, zero: true },
      marks: [
        Plot.line(front, { x: "perUser", y: "perGpu", curve: "step-before", stroke: "var(--muted)", strokeOpacity: 0.3, strokeWidth: 4 }),
        Number.isFinite(data.floor) ? Plot.ruleX([data.floor], { stroke: "var(--muted)", strokeDasharray: "3 3" }) : null,
        ...groups.flatMap((rows, i) => marks(rows, i, "perUser", "perGpu")),
        Plot.text(all, { x: "perUser", y: "perGpu", text: (d) => `${d.load_x}`, dy: -11, fill: "var(--muted)" }),
        tip(all, "perUser", "perGpu", (d) => said(d, `${si(d.perGpu)} ${data.unit}/s per GPU, at ${si(d.perUser)}${d.front ? "\non the front" : ""}`)),
      ],
    });
  };

  const costAgainstSpeed = (data, costs) => (width) => {
    const groups = rowsOf(data.subjects).map((rows, i) =>
      known(rows.map((row) => ({ ...row, usd: costs(i, row) })), "perUser", "usd").filter((d) => d.usd > 0).sort((a, b) => a.load_x - b.load_x));
    const all = groups.flat();
    if (!all.length) return null;
    return frame(width, {
      x: { label: data.speed, zero: true },
      y: { label: data.unit === "tok" ? "USD per million output tokens" : "USD per million words", ...spanned(all.map((d) => d.usd), 12) },
      marks: [
        Number.isFinite(data.floor) ? Plot.ruleX([data.floor], { stroke: "var(--muted)", strokeDasharray: "3 3" }) : null,
        ...groups.flatMap((rows, i) => marks(rows, i, "perUser", "usd")),
        Plot.text(all, { x: "perUser", y: "usd", text: (d) => `${d.load_x}`, dy: -11, fill: "var(--muted)" }),
        tip(all, "perUser", "usd", (d) => said(d, `${si(d.usd)} USD per million ${data.unit === "tok" ? "tokens" : "words"}, at ${si(d.perUser)} ${data.unit}/s`)),
      ],
    });
  };

  /* rents: x values; sides: [{name, label, index, y: […], rent, now}]; marksAt: vertical lines [{at, label}] */
  const againstRent = (rents, sides, { label, top, zero, marksAt = [], level = null, levelLabel = "" }) => (width) => {
    const shown = sides.map((side) => ({ ...side, points: rents.map((x, i) => ({ x, y: side.y[i] })).filter((p) => Number.isFinite(p.y) && (top === null || p.y <= top)) }));
    const dots = sides.filter((side) => Number.isFinite(side.now) && Number.isFinite(side.rent) && (top === null || side.now <= top) && side.rent <= rents.at(-1));
    if (!shown.some((side) => side.points.length)) return null;
    return frame(width, {
      marginTop: 40,
      x: { domain: [0, rents.at(-1)], label: "rent of a card, USD/h" },
      y: { label, zero, ...(top === null ? {} : { domain: [0, top] }) },
      marks: [
        zero ? Plot.ruleY([0], { stroke: "var(--muted)" }) : null,
        level === null || (top !== null && level > top) ? null : Plot.ruleY([level], { stroke: "var(--muted)", strokeDasharray: "3 3" }),
        level === null || (top !== null && level > top) ? null : Plot.text([levelLabel], { y: () => level, x: () => rents.at(-1), text: (d) => d, textAnchor: "end", dy: -8, fill: "var(--muted)" }),
        ...marksAt.filter((m) => m.at <= rents.at(-1)).flatMap((m) => [
          Plot.ruleX([m.at], { stroke: "var(--accent)", strokeDasharray: "3 3" }),
          Plot.text([m], { x: "at", text: "label", frameAnchor: "top", dy: -13, fill: "var(--accent)" }),
        ]),
        ...shown.map((side) => Plot.line(side.points, { x: "x", y: "y", stroke: colour(side.index), strokeDasharray: dash(side.index), strokeWidth: 2 })),
        ...dots.map((side) => Plot.dot([side], { x: "rent", y: "now", symbol: symbol(side.index), fill: colour(side.index), r: 6, stroke: "var(--bg)" })),
        tip(shown.flatMap((s) => s.points.map((p) => ({ ...p, who: s.label }))), "x", "y", (d) => `${d.who}\n${si(d.x)} USD/h a card: ${si(d.y)} ${label.split(",")[0]}`),
      ],
    });
  };

  const tornado = (found, { label, name }) => (width) => {
    const bars = found.swings.filter((bar) => bar.at_p10 === null || bar.at_p90 === null || Math.abs(bar.at_p90 - bar.at_p10) > 1e-9 * Math.abs(found.middle)).slice(0, 12);
    if (!bars.length || found.middle === null) return null;
    const ends = bars.flatMap((bar) => [bar.at_p10, bar.at_p90]).filter(Number.isFinite);
    const [low, high] = extent([...ends, found.middle]);
    const room = (high - low || Math.abs(found.middle) || 1) * 0.1;
    /* Where both ends lie on one side of the middle, the nearer one has no label. */
    const away = (bar, end) => (bar[`at_${end}`] ?? Infinity) - found.middle;
    const inner = (bar, end) => {
      const [mine, other] = [away(bar, end), away(bar, end === "p10" ? "p90" : "p10")];
      return Math.sign(mine) === Math.sign(other) && Math.abs(mine) < Math.abs(other);
    };
    const flat = bars.flatMap((bar) => [["p10", bar.at_p10], ["p90", bar.at_p90]].map(([end, at]) => ({
      name: name(bar.place), end, at: at ?? high + room, never: at === null, value: bar[end], right: away(bar, end) >= 0, inner: inner(bar, end),
    })));
    const narrow = width < 460;
    const base = frame(width, { x: {}, y: {}, marks: [] });
    return {
      ...base, height: 58 + bars.length * (narrow ? 40 : 30), marginLeft: narrow ? 12 : 180, marginRight: narrow ? 24 : 40, marginTop: 12,
      x: { label, domain: [low - room, high + room], ticks: 5, tickFormat: si, labelAnchor: "center", labelArrow: "none", grid: true },
      y: { domain: bars.map((bar) => name(bar.place)), label: null, axis: narrow ? null : "left", tickSize: 0, padding: narrow ? 0.62 : 0.35 },
      marks: [
        ...["p10", "p90"].map((end, i) => Plot.barX(flat.filter((d) => d.end === end), {
          y: "name", x1: () => found.middle, x2: "at", fill: i ? "var(--s1)" : "var(--s0)", fillOpacity: 0.85, insetTop: narrow ? 8 : 0, insetBottom: narrow ? -8 : 0 })),
        narrow ? Plot.text(bars, { y: (d) => name(d.place), x: () => low - room, text: (d) => name(d.place), textAnchor: "start", dy: -12 }) : null,
        ...["start", "end"].map((anchor) => Plot.text(flat.filter((d) => !d.inner && d.right === (anchor === "start")), {
          y: "name", x: "at", text: (d) => (d.never ? "never" : si(d.value)), dx: anchor === "start" ? 5 : -5, dy: narrow ? 8 : 0,
          textAnchor: anchor, fill: "var(--muted)", stroke: "var(--bg)", strokeWidth: 3, fontSize: 11 })),
        Plot.ruleX([found.middle], { stroke: "var(--ink)" }),
      ],
    };
  };

  const energy = (data) => (width) => {
    const groups = rowsOf(data.subjects).map((rows) => known(rows, "load_x", "tokJ").sort((a, b) => a.load_x - b.load_x));
    const all = groups.flat();
    if (!all.length) return null;
    return frame(width, {
      x: { ...people(all.map((d) => d.load_x)), label: loadLabel(data) },
      y: { label: `output ${data.unit} per joule, GPU board`, zero: true },
      marks: [
        ...groups.flatMap((rows, i) => marks(rows, i, "load_x", "tokJ")),
        tip(all, "load_x", "tokJ", (d) => said(d, `${si(d.tokJ)} ${data.unit} per joule at ${si(d.watts)} W`)),
      ],
    });
  };

  /* Draw into an element at its width. Plot's own style element is left out: page.css has what it says. */
  const draw = (element, build, label, forced) => {
    const width = forced ?? Math.floor(element.clientWidth);
    if (!width) return;
    onPaper = forced !== undefined;
    const options = build(width);
    if (options === null) { element.textContent = "Nothing to draw here: no level has these figures."; return; }
    const marksOnly = options.marks.filter((mark) => mark !== null);
    const svg = Plot.plot({ ...options, style: undefined, marks: marksOnly, ariaLabel: label });
    svg.querySelectorAll("style").forEach((style) => style.remove());
    svg.setAttribute("role", "img");
    element.replaceChildren(svg);
  };

  const swatch = (index) => {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    for (const [name, value] of [["width", 26], ["height", 12], ["viewBox", "0 0 26 12"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
    const line = document.createElementNS(space, "path");
    for (const [name, value] of [["d", "M0 6H26"], ["stroke", colour(index)], ["stroke-width", 2], ["stroke-dasharray", dash(index) || "none"]]) line.setAttribute(name, value);
    const mark = document.createElementNS(space, "path");
    const shape = { circle: d3.symbolCircle, square: d3.symbolSquare, triangle: d3.symbolTriangle, diamond2: d3.symbolDiamond2, cross: d3.symbolCross, star: d3.symbolStar, wye: d3.symbolWye, hexagon: d3.symbolCircle }[symbol(index)];
    for (const [name, value] of [["d", d3.symbol(shape, 48)()], ["transform", "translate(13 6)"], ["fill", colour(index)]]) mark.setAttribute(name, value);
    svg.append(line, mark);
    return svg;
  };

  return { throughput, overTime, latency, pareto, costAgainstSpeed, againstRent, tornado, energy, draw, swatch, si, COLOURED };
})();
