/* The charts: one function each, from data to Plot options; `rows` is what is copied as data. */
"use strict";

const Charts = (() => {
  const { colour, symbol, si, known, extent, frame, spanned, loads, texts, values, lines, coloured, wide } = Kit;

  const counted = (count) => `${count} caution${count === 1 ? "" : "s"}`;
  const said = (row, text) => [`${row.who}, ${row.load}`, text, ...(row.predicted ? ["predicted"] : []), ...(row.cautions ? [`⚠ ${counted(row.cautions)}`] : [])].join("\n");
  const rowsOf = (subjects) => subjects.map((subject, run) =>
    subject.levels.map((level) => ({ ...level, run, who: subject.label, predicted: subject.predicted, load_x: level.users ?? level.rate })));
  const byLoad = (data, ...names) => rowsOf(data.subjects).map((rows) => known(rows, "load_x", ...names).sort((a, b) => a.load_x - b.load_x));
  /* Of many levels some, so that their numbers can be read. */
  const few = (rows) => rows.filter((_, i) => i % Math.ceil(rows.length / 8) === 0);
  const loadLabel = (data) => (data.subjects.some((s) => s.levels.some((l) => l.users === null)) ? "users, or requests per second offered" : "users at once");
  const table = (rows, columns) => rows.map((row) => ({ run: row.who, load: row.load, ...Object.fromEntries(Object.entries(columns).map(([head, of]) => [head, typeof of === "function" ? of(row) : row[of]])) }));

  /* The answer: what an output token costs (or what a card gives) against the speed that a user gets, one line a run,
   * intervals as bands, the floor as a line, and where each stands at the service level. */
  const answer = (data, of, stands) => (width) => {
    const groups = rowsOf(data.subjects).map((rows, run) => known(rows.map((row) => ({ ...row, ...of(run, row) })), "each", "at").filter((d) => d.at > 0).sort((a, b) => a.load_x - b.load_x));
    const all = groups.flat(), here = known(stands, "each", "at");
    if (!all.length) return null;
    const banded = groups.map((rows) => known(rows, "low", "high"));
    const ends = [...all, ...here].flatMap((d) => [d.at, d.low, d.high]).filter((v) => v > 0);
    const names = data.subjects.length > 1 ? coloured(groups).map((rows, run) => ({ rows, run })).filter(({ rows }) => rows.length).map(({ rows, run }) => ({ x: rows.at(-1).each, y: rows.at(-1).at, text: data.subjects[run].short, fill: run < Kit.COLOURED ? colour(run) : "var(--muted)" })) : [];
    const users = coloured(groups).flatMap(few).map((d) => ({ x: d.each, y: d.at, text: `${d.load_x}` }));
    const points = coloured(groups).flat().map((d) => ({ x: d.each, y: d.at }));
    const floor = Number.isFinite(data.floor) ? [{ x: data.floor, y: d3.max(ends), text: `at least ${data.floor} ${data.unit}/s` }] : [];
    const first = here.filter((d) => d.first).map((d) => ({ x: d.each, y: d.at, text: d.text, strong: true, fill: "var(--ink)" }));
    return frame(width, {
      x: { label: data.speed_mean, zero: true }, y: { label: of.label, ...spanned(ends, 12, width) },
      rows: table(all, { [data.speed_mean]: "each", [of.label]: "at", low: "low", high: "high" }),
      marks: [
        ...coloured(banded).map((rows, i) => Plot.areaY(rows, { x: "each", y1: "low", y2: "high", fill: colour(i), fillOpacity: groups.length > 3 ? 0.07 : 0.12 })),
        ...floor.map((one) => Plot.ruleX([one.x], { stroke: "var(--muted)", strokeDasharray: "3 3" })),
        ...lines(groups, "each", "at"),
        ...here.filter((d) => d.first || d.run < Kit.COLOURED).reverse().map((d) => Plot.dot([d], { x: "each", y: "at", symbol: symbol(d.run), r: d.first ? 7 : 5, stroke: colour(d.run), strokeWidth: 2.5, fill: d.first ? colour(d.run) : "var(--bg)" })),
        texts([...first, ...names, ...floor, ...users], [...points, ...here.map((d) => ({ x: d.each, y: d.at }))]),
        ...values(all, "each", "at", (d) => said(d, `${si(d.at)} ${of.unit}${Number.isFinite(d.low) && Number.isFinite(d.high) ? ` (95 %: ${si(d.low)}–${si(d.high)})` : ""}, ${si(d.each)} ${data.unit}/s a user`)),
      ],
    });
  };

  const throughput = (data) => (width) => {
    const groups = byLoad(data, "y"), all = groups.flat();
    if (!all.length) return null;
    return frame(width, {
      x: { ...loads(all.map((d) => d.load_x), width), label: loadLabel(data) }, y: { label: `output ${data.unit}/s`, zero: true },
      rows: table(all, { [`output ${data.unit}/s`]: "y", low: "lo", high: "hi" }),
      marks: [
        ...coloured(groups).flatMap((rows, i) => [
          Plot.areaY(known(rows, "lo", "hi"), { x: "load_x", y1: "lo", y2: "hi", fill: colour(i), fillOpacity: 0.13 }),
          Plot.ruleX(known(rows, "lo", "hi"), { x: "load_x", y1: "lo", y2: "hi", stroke: colour(i), strokeWidth: 1.5 }),
        ]),
        ...lines(groups, "load_x", "y"),
        ...values(all, "load_x", "y", (d) => said(d, `${si(d.y)} ${data.unit}/s${d.lo === null || d.hi === null ? "" : ` (95 %: ${si(d.lo)}–${si(d.hi)})`}`)),
      ],
    });
  };

  /* The mean of a point and those about it, so that a wave is seen and not every chunk. */
  const smooth = (points) => {
    const reach = Math.max(2, Math.round(points.length / 24));
    return points.map((point, i) => ({ ...point, y: d3.mean(points.slice(Math.max(0, i - reach), i + reach + 1), (one) => one.y) }));
  };

  /* One run: a panel a level, seconds since its window opened; the raw bins faint behind their smoothed line. */
  const overTime = (subject, index, unit) => (width) => {
    const lines = subject.series.map((level) => ({ ...level, points: level.y.map((y, i) => ({ x: level.start_s + (i + 0.5) * level.bin_s, y })) })).filter((l) => l.points.length);
    if (!lines.length) return null;
    const most = Math.max(1, Math.floor(width / 270)), columns = Math.ceil(lines.length / Math.ceil(lines.length / most));
    const w = width / columns, [from, to] = [Math.min(...lines.map((l) => l.start_s)), Math.max(...lines.map((l) => l.end_s))];
    const panel = (l) => {
      const known_ = Number.isFinite(l.mean), top = Math.max(d3.quantile(l.points.map((p) => p.y), 0.98), known_ ? l.mean * 1.25 : 0, 1e-9);
      const title = `${l.load}${known_ ? `: ${si(l.mean)} ${unit}/s` : ""}`;
      const inside = l.points.filter((p) => l.open_s !== null && p.x >= 0 && (l.close_s === null || p.x <= l.close_s));
      const curve = smooth(inside.length ? inside : l.points);
      return frame(w, {
        height: Math.round(Math.min(Math.max(w * 0.46, 150), 190)), marginTop: 30, marginLeft: 42, marginRight: 24, marginBottom: 34, label: title,
        x: { domain: [from, to], ticks: 4, label: null, tickFormat: (d) => `${d} s` }, y: { domain: [0, top], ticks: 3, label: null, nice: false },
        marks: [
          from < 0 ? Plot.rect([{ a: from, b: 0 }], { x1: "a", x2: "b", fill: "var(--shade)" }) : null,
          Plot.line(l.points, { x: "x", y: "y", stroke: colour(index), strokeOpacity: 0.28, strokeWidth: 1, clip: true }),
          known_ && l.close_s !== null ? Plot.ruleY([l.mean], { x1: 0, x2: l.close_s, stroke: "var(--ink)", strokeDasharray: "1 3", strokeOpacity: 0.8 }) : null,
          Plot.line(curve, { x: "x", y: "y", stroke: colour(index), strokeWidth: 2, clip: true }),
          Plot.text([title], { frameAnchor: "top-left", dy: -20, dx: -34, text: (d) => d, fontWeight: 600, textAnchor: "start" }),
          ...values(curve, "x", "y", (d) => `${l.load}\n${si(d.y)} ${unit}/s, smoothed\n${si(d.x)} s after the window opened`),
        ],
      });
    };
    return { panels: lines.map(panel), columns, rows: lines.flatMap((l) => l.points.map((p) => ({ run: subject.label, load: l.load, "s since the window opened": p.x, [`output ${unit}/s`]: p.y }))) };
  };

  const latency = (data, name, label) => (width) => {
    const groups = rowsOf(data.subjects).map((rows) =>
      known(rows.map((row) => ({ ...row, p50: row[name][0], p95: row[name][1], lo: row[name][2], hi: row[name][3] })), "load_x", "p50").sort((a, b) => a.load_x - b.load_x));
    const all = groups.flat();
    if (!all.length) return null;
    const seen = all.flatMap((d) => [d.p50, d.p95]).filter((v) => v > 0);
    const [scale, unit] = Math.max(...seen) < 10 ? [1e3, "ms"] : [1, "s"];
    const at = (key) => (d) => (Number.isFinite(d[key]) ? d[key] * scale : null);
    return frame(width, {
      x: { ...loads(all.map((d) => d.load_x), width), label: loadLabel(data) },
      y: { label: `${label}, ${unit}`, ...spanned(seen.map((v) => v * scale), 20, width) },
      rows: table(all, { [`${label} p50, ${unit}`]: at("p50"), [`${label} p95, ${unit}`]: at("p95") }),
      marks: [
        ...coloured(groups).flatMap((rows, i) => [
          Plot.areaY(rows.filter((d) => Number.isFinite(d.p95)), { x: "load_x", y1: at("p50"), y2: at("p95"), fill: colour(i), fillOpacity: 0.12 }),
          Plot.line(rows.filter((d) => Number.isFinite(d.p95)), { x: "load_x", y: at("p95"), stroke: colour(i), strokeWidth: 1, strokeOpacity: 0.7 }),
          Plot.ruleX(known(rows, "lo", "hi"), { x: "load_x", y1: at("lo"), y2: at("hi"), stroke: colour(i), strokeWidth: 1.5 }),
        ]),
        ...lines(groups, "load_x", at("p50")),
        ...values(all, "load_x", at("p50"), (d) => said(d, `p50 ${si(d.p50 * scale)} ${unit}${Number.isFinite(d.p95) ? `, p95 ${si(d.p95 * scale)} ${unit}` : ""}`)),
      ],
    });
  };

  const pareto = (data) => (width) => {
    const groups = byLoad(data, "perUser", "perGpu"), all = groups.flat();
    if (!all.length) return null;
    const front = all.filter((d) => d.front).sort((a, b) => a.perUser - b.perUser);
    return frame(width, {
      x: { label: data.speed, zero: true }, y: { label: `${data.unit}/s a card`, zero: true },
      rows: table(all, { [data.speed]: "perUser", [`${data.unit}/s a card`]: "perGpu" }),
      marks: [
        Plot.line(front, { x: "perUser", y: "perGpu", curve: "step-before", stroke: "var(--muted)", strokeOpacity: 0.3, strokeWidth: 4 }),
        ...lines(groups, "perUser", "perGpu"),
        texts(coloured(groups).flatMap(few).map((d) => ({ x: d.perUser, y: d.perGpu, text: `${d.load_x}` })), coloured(groups).flat().map((d) => ({ x: d.perUser, y: d.perGpu }))),
        ...values(all, "perUser", "perGpu", (d) => said(d, `${si(d.perGpu)} ${data.unit}/s a card, ${si(d.perUser)} ${data.unit}/s a user${d.front ? "\nnothing gives more of both" : ""}`)),
      ],
    });
  };

  /* rents: x values; sides: [{label, index, y: […], rent, now}]; marksAt: vertical lines [{at, label}] */
  const againstRent = (rents, sides, { label, top, zero, marksAt = [], level = null, levelLabel = "" }) => (width) => {
    const shown = sides.map((side) => ({ ...side, points: rents.map((x, i) => ({ x, y: side.y[i] })).filter((p) => Number.isFinite(p.y) && (top === null || p.y <= top)) }));
    const dots = sides.filter((side) => Number.isFinite(side.now) && Number.isFinite(side.rent) && (top === null || side.now <= top) && side.rent <= rents.at(-1));
    if (!shown.some((side) => side.points.length)) return null;
    const drawn = shown.flatMap((s) => s.points.map((p) => ({ ...p, who: s.label })));
    const high = top ?? d3.max(drawn, (p) => p.y), lined = level !== null && (top === null || level <= top);
    const stood = marksAt.filter((m) => m.at <= rents.at(-1));
    return frame(width, {
      x: { domain: [0, rents.at(-1)], label: "rent of a card, USD/h" },
      y: { label, zero, ...(top === null ? {} : { domain: [0, top] }) },
      rows: drawn.map((p) => ({ side: p.who, "rent of a card, USD/h": p.x, [label]: p.y })),
      marks: [
        zero ? Plot.ruleY([0], { stroke: "var(--muted)" }) : null,
        lined ? Plot.ruleY([level], { stroke: "var(--muted)", strokeDasharray: "3 3" }) : null,
        ...stood.map((m) => Plot.ruleX([m.at], { stroke: "var(--accent)", strokeDasharray: "3 3" })),
        ...shown.map((side) => Plot.line(side.points, { x: "x", y: "y", stroke: colour(side.index), strokeWidth: 2 })),
        ...dots.map((side) => Plot.dot([side], { x: "rent", y: "now", symbol: symbol(side.index), fill: colour(side.index), r: 6, stroke: "var(--bg)" })),
        texts([...stood.map((m) => ({ x: m.at, y: high, text: m.label, fill: "var(--accent)" })), ...(lined ? [{ x: rents.at(-1) * 0.92, y: level, text: levelLabel }] : [])],
          dots.map((side) => ({ x: side.rent, y: side.now }))),
        ...values(drawn, "x", "y", (d) => `${d.who}\n${si(d.x)} USD/h a card: ${si(d.y)} ${label.split(",")[0]}`),
      ],
    });
  };

  const tornado = (found, { label, name }) => (width) => {
    const bars = found.swings.filter((bar) => bar.at_p10 === null || bar.at_p90 === null || Math.abs(bar.at_p90 - bar.at_p10) > 1e-9 * Math.abs(found.middle)).slice(0, 12);
    if (!bars.length || found.middle === null) return null;
    const ends = bars.flatMap((bar) => [bar.at_p10, bar.at_p90]).filter(Number.isFinite);
    const [low, high] = extent([...ends, found.middle]);
    const room = (high - low || Math.abs(found.middle) || 1) * 0.12;
    /* Where both ends lie on one side of the middle, the nearer one has no label. */
    const away = (bar, end) => (bar[`at_${end}`] ?? Infinity) - found.middle;
    const inner = (bar, end) => {
      const [mine, other] = [away(bar, end), away(bar, end === "p10" ? "p90" : "p10")];
      return Math.sign(mine) === Math.sign(other) && Math.abs(mine) < Math.abs(other);
    };
    const flat = bars.flatMap((bar) => [["p10", bar.at_p10], ["p90", bar.at_p90]].map(([end, at]) => ({
      name: name(bar.place), end, at: at ?? high + room, never: at === null, value: bar[end], right: away(bar, end) >= 0, inner: inner(bar, end),
    })));
    const narrow = width < 460, longest = Math.max(...bars.map((bar) => wide(name(bar.place))));
    const base = frame(width, { x: {}, y: {}, marks: [] });
    return {
      ...base, height: 58 + bars.length * (narrow ? 40 : 30), marginLeft: narrow ? 12 : Math.min(longest + 14, width / 2), marginRight: narrow ? 24 : 40, marginTop: 12,
      x: { label, domain: [low - room, high + room], ticks: narrow ? 3 : 5, tickFormat: si, labelAnchor: "center", labelArrow: "none", grid: true },
      y: { domain: bars.map((bar) => name(bar.place)), label: null, axis: narrow ? null : "left", tickSize: 0, padding: narrow ? 0.62 : 0.35 },
      rows: bars.map((bar) => ({ input: name(bar.place), P10: bar.p10, P90: bar.p90, [`${label} at P10`]: bar.at_p10, "at P90": bar.at_p90 })),
      marks: [
        ...["p10", "p90"].map((end, i) => Plot.barX(flat.filter((d) => d.end === end), {
          y: "name", x1: () => found.middle, x2: "at", fill: i ? "var(--s1)" : "var(--s0)", fillOpacity: 0.85, insetTop: narrow ? 8 : 0, insetBottom: narrow ? -8 : 0 })),
        narrow ? Plot.text(bars, { y: (d) => name(d.place), x: () => low - room, text: (d) => name(d.place), textAnchor: "start", dy: -12 }) : null,
        ...["start", "end"].map((anchor) => Plot.text(flat.filter((d) => !d.inner && d.right === (anchor === "start")), {
          y: "name", x: "at", text: (d) => (d.never ? "never" : si(d.value)), dx: anchor === "start" ? 5 : -5, dy: narrow ? 8 : 0,
          textAnchor: anchor, fill: "var(--muted)", stroke: "var(--bg)", strokeWidth: 3, fontSize: 11 })),
        Plot.ruleX([found.middle], { stroke: "var(--ink)" }),
        ...values(flat, "at", "name", (d) => `${d.name} at its ${d.end.toUpperCase()}, ${si(d.value)}\n${d.never ? "never" : `${si(d.at)} ${label}`}`),
      ],
    };
  };

  const energy = (data) => (width) => {
    const groups = byLoad(data, "tokJ"), all = groups.flat();
    if (!all.length) return null;
    return frame(width, {
      x: { ...loads(all.map((d) => d.load_x), width), label: loadLabel(data) },
      y: { label: `output ${data.unit} per joule, GPU board`, zero: true },
      rows: table(all, { [`output ${data.unit} per joule`]: "tokJ", W: "watts" }),
      marks: [
        ...lines(groups, "load_x", "tokJ"),
        ...values(all, "load_x", "tokJ", (d) => said(d, `${si(d.tokJ)} ${data.unit} per joule at ${si(d.watts)} W`)),
      ],
    });
  };

  /* One cell over time: a point a run with its interval, upright where the figure surely changed, and shaded what the runs
   * from there on are held against. */
  const history = (plot) => (width) => {
    const points = known(plot.points, "x", "y");
    if (!points.length) return null;
    const bases = points.filter((d) => d.base);
    const spans = bases.map((d, at) => ({ from: d.x, to: (bases[at + 1] ?? points.at(-1)).x, y: d.y, lo: d.lo ?? d.y, hi: d.hi ?? d.y }));
    const [low, high] = extent(points.flatMap((d) => [d.y, d.lo, d.hi]).filter(Number.isFinite)), room = (high - low || high) * 0.1;
    const changes = points.filter((d) => d.change !== null);
    return frame(width, {
      x: { type: plot.timed ? "utc" : "linear", label: plot.timed ? "began, UTC" : "runs, the oldest first", inset: 12, ...(plot.timed ? {} : { tickFormat: (d) => (Number.isInteger(d) ? `${d}` : "") }) },
      y: { label: plot.label, domain: [low - room, high + 2 * room], nice: false },
      rows: points.map((d) => ({ run: d.run, began: d.started, [plot.label]: d.y, low: d.lo, high: d.hi, "sure change": d.change })),
      marks: [
        Plot.rect(spans, { x1: "from", x2: "to", y1: "lo", y2: "hi", fill: colour(0), fillOpacity: 0.13 }),
        Plot.ruleY(spans, { x1: "from", x2: "to", y: "y", stroke: colour(0), strokeOpacity: 0.5 }),
        Plot.ruleX(changes, { x: "x", stroke: "var(--accent)", strokeDasharray: "3 3" }),
        Plot.ruleX(known(points, "lo", "hi"), { x: "x", y1: "lo", y2: "hi", stroke: colour(0), strokeWidth: 1.5 }),
        ...[true, false].map((perhaps) => Plot.dot(points.filter((d) => d.perhaps === perhaps), { x: "x", y: "y", stroke: colour(0), strokeWidth: 1.8, r: 4, fill: perhaps ? "var(--bg)" : colour(0) })),
        texts(changes.map((d) => ({ x: d.x, y: high + 1.6 * room, text: d.change, strong: true, fill: "var(--accent)" })), points),
        ...values(points, "x", "y", (d) => d.text),
      ],
    });
  };

  /* Mixes by what an hour of them costs: a bar each below its name, with its interval, and how often it is the cheapest. */
  const mixes = (plot) => (width) => {
    const bars = known(plot.bars, "usd"), label = "USD an hour";
    if (!bars.length) return null;
    const text = (d) => [d.said, d.wins].filter(Boolean).join(" · "), end = (d) => Math.max(d.usd, d.high ?? 0);
    const base = frame(width, { x: {}, y: {}, marks: [] });
    return {
      ...base, height: 58 + bars.length * 44, marginLeft: 12, marginRight: 24 + Math.max(...bars.map((d) => wide(text(d)))), marginTop: 12,
      x: { label, domain: [0, Math.max(...bars.map(end))], ticks: width < 460 ? 3 : 6, tickFormat: si, labelAnchor: "center", labelArrow: "none", grid: true },
      y: { domain: bars.map((d) => d.name), label: null, axis: null, padding: 0.62 },
      rows: bars.map((d) => ({ mix: d.name, [label]: d.usd, low: d.low, high: d.high, "cheapest in": d.wins })),
      marks: [
        ...[true, false].map((found) => Plot.barX(bars.filter((d) => d.found === found), { y: "name", x1: 0, x2: "usd", fill: found ? colour(0) : "var(--rest)", fillOpacity: 0.85, insetTop: 8, insetBottom: -8 })),
        Plot.ruleY(bars.filter((d) => d.low !== null), { y: "name", x1: "low", x2: end, stroke: "var(--ink)", strokeWidth: 2, dy: 8 }),
        Plot.text(bars, { y: "name", x: 0, text: "name", textAnchor: "start", dy: -11, lineWidth: (width - 40) / 12, textOverflow: "ellipsis" }),
        Plot.text(bars, { y: "name", x: end, text, textAnchor: "start", dx: 6, dy: 8, fill: "var(--muted)" }),
        ...values(bars, "usd", "name", (d) => [d.name, d.said + (d.low === null ? "" : ` (95 %: ${si(d.low)}${d.high === null ? ", no bound above" : `–${si(d.high)}`})`), ...(d.wins ? [`the cheapest in ${d.wins}`] : [])].join("\n")),
      ],
    };
  };

  return { answer, throughput, overTime, latency, pareto, againstRent, tornado, energy, history, mixes };
})();
