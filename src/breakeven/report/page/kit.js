/* What every chart is made of: colours, axes, labels that cover nothing, values by pointer and keyboard, the drawing itself. */
"use strict";

const Kit = (() => {
  const SYMBOLS = ["circle", "square", "triangle", "diamond2", "cross", "star", "wye", "hexagon"];
  const COLOURED = 8, PREDICTED = "5 4", FONT = "12px system-ui, sans-serif";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const made = (tag, ...children) => { const element = document.createElement(tag); element.append(...children); return element; };
  const svg = (tag, attributes = {}, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const colour = (index) => (index < COLOURED ? `var(--s${index})` : "var(--rest)");
  const symbol = (index) => SYMBOLS[index % SYMBOLS.length];

  const si = (value) => {
    const size = Math.abs(value);
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
    return size >= 1e4 ? `${+(value / 1e3).toPrecision(3)}k` : `${+value.toPrecision(3)}`;
  };
  const known = (rows, ...names) => rows.filter((row) => names.every((name) => Number.isFinite(row[name])));
  const extent = (values) => [Math.min(...values), Math.max(...values)];
  const read = (of, row) => (typeof of === "function" ? of(row) : row[of]);

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
  const MARGINS = { marginLeft: 52, marginRight: 18, marginTop: 28, marginBottom: 42 };
  const heightOf = (width) => Math.round(onPaper ? Math.min(Math.max(width * 0.35, 170), 235) : Math.min(Math.max(width * 0.52, 230), 380));
  const frame = (width, more) => listed({
    width, height: heightOf(width),
    ...MARGINS, style: { overflow: "visible" }, ...more,
    x: { grid: false, nice: false, ticks: width < 420 ? 4 : 7, labelAnchor: "center", labelArrow: "none", ...more.x },
    y: { grid: true, nice: true, ticks: 5, labelArrow: "none", tickFormat: si, ...more.y },
  });

  /* Few and round: 1, 2, 5 and their tens where there is room for a line of text at each, else powers of ten as far apart
   * as that needs. */
  const TICK_ROOM = 24;
  const logTicks = (low, high, length) => {
    const decade = length / Math.log10(high / low), is125 = decade * Math.log10(2) >= TICK_ROOM;
    const step = is125 ? 1 : Math.ceil(TICK_ROOM / decade), found = [];
    for (let power = Math.ceil(Math.floor(Math.log10(low)) / step) * step; 10 ** power <= high; power += step)
      for (const digit of is125 ? [1, 2, 5] : [1]) found.push(Number(`${digit}e${power}`));
    return found.filter((v) => v >= low && v <= high);
  };
  /* A log axis where values span a range that a linear one would squash. */
  const spanned = (values, limit, width) => {
    const [low, high] = extent(values);
    if (!(low > 0) || high / low <= limit) return { type: "linear", zero: true };
    const [from, to] = [low / 1.15, high * 1.15];
    return { type: "log", nice: false, domain: [from, to], ticks: logTicks(from, to, heightOf(width) - MARGINS.marginTop - MARGINS.marginBottom) };
  };

  /* Loads as ticks, the outer ones first, and of the others those that have room for their number. */
  const loads = (values, width) => {
    const seen = [...new Set(values)].sort((a, b) => a - b), [low, high] = [seen[0], seen.at(-1)];
    const type = low > 0 && high / low > 8 ? "log" : "linear", at = (v) => (type === "log" ? Math.log(v) : v);
    const place = (v) => ((at(v) - at(low)) / (at(high) - at(low) || 1)) * (width - 70);
    const kept = [];
    for (const v of [low, high, ...seen]) {
      const room = 8 + 4 * `${v}`.length;
      if (kept.every((one) => Math.abs(place(one) - place(v)) > room + 4 * `${one}`.length)) kept.push(v);
    }
    return { type, ticks: kept.sort((a, b) => a - b), tickFormat: (d) => `${+d.toPrecision(4)}` };
  };

  /* How wide a text is. */
  const canvas = document.createElement("canvas").getContext("2d");
  const wide = (text, font = FONT) => { canvas.font = font; return canvas.measureText(text).width; };

  /* Texts beside points, the first the most wanted: each goes to the first place where it covers no other, no point and no
   * edge, and is left out where there is none; pointer and keyboard read what is left out.
   * items: [{x, y, text, strong, fill}]; points: [{x, y}] in the units of the scales. */
  const texts = (items, points) => (_, scales, __, frame_) => {
    const { width, height, marginTop, marginBottom, marginLeft } = frame_;
    const at = (one) => [scales.x(one.x), scales.y(one.y)];
    const taken = points.map(at).map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
    const group = svg("g", { class: "texts" });
    for (const item of items) {
      const [x, y] = at(item), w = wide(item.text, item.strong ? `600 ${FONT}` : FONT), h = 13;
      const near = [[0, -14], [0, 15], [w / 2 + 10, 0], [-w / 2 - 10, 0], [w / 2 + 7, -13], [-w / 2 - 7, -13], [w / 2 + 7, 14], [-w / 2 - 7, 14]];
      const far = item.strong ? [[0, -30], [0, 30], [w / 2 + 20, -28], [-w / 2 - 20, -28], [w / 2 + 20, 28], [-w / 2 - 20, 28], [0, -48], [0, 48], [w / 2 + 20, -60], [-w / 2 - 20, -60]] : [];
      const boxes = [...near, ...far].map(([dx, dy]) => [x + dx - w / 2, y + dy - h / 2, x + dx + w / 2, y + dy + h / 2]);
      const free = boxes.find((b) => b[0] >= marginLeft + 2 && b[2] <= width - 2 && b[1] >= marginTop - 6 && b[3] <= height - marginBottom - 2
        && taken.every((t) => b[2] + 2 < t[0] || t[2] + 2 < b[0] || b[3] < t[1] || t[3] < b[1]));
      if (!free) continue;
      taken.push(free);
      group.append(svg("text", { x: (free[0] + free[2]) / 2, y: (free[1] + free[3]) / 2, dy: "0.35em", "text-anchor": "middle",
        fill: item.fill ?? "var(--muted)", stroke: "var(--bg)", "stroke-width": 3, "paint-order": "stroke", ...(item.strong ? { "font-weight": 600 } : {}) }, item.text));
    }
    return group;
  };

  /* The value at a point: a tip for the pointer, and the same text for whoever walks the points by arrow keys. */
  const POINTS = new WeakMap();
  const values = (rows, x, y, title) => [
    Plot.tip(rows, Plot.pointer({ x, y, title, fill: "var(--bg)", stroke: "var(--line)", fontSize: 12, maxRadius: 40 })),
    (_, scales, __, ___, context) => {
      POINTS.set(context.ownerSVGElement, rows.map((row) => ({ at: [scales.x(read(x, row)), scales.y(read(y, row))], text: title(row) })));
      return null;
    },
  ];

  const marks = (rows, index, x, y, more = {}) => {
    const predicted = rows.some((row) => row.predicted);
    return [
      Plot.line(rows, { x, y, stroke: colour(index), strokeDasharray: predicted ? PREDICTED : "", strokeWidth: 2, ...more }),
      Plot.dot(rows, { x, y, symbol: symbol(index), stroke: colour(index), strokeWidth: 1.8, r: 4, fill: predicted ? "var(--bg)" : colour(index) }),
    ];
  };

  /* A line a run: those with a colour of their own with marks, all others as plain grey lines below them. */
  const lines = (groups, x, y) => [
    Plot.line(groups.slice(COLOURED).flat(), { x, y, z: "run", stroke: "var(--rest)", strokeWidth: 1, strokeOpacity: 0.7 }),
    ...coloured(groups).flatMap((rows, i) => marks(rows, i, x, y)),
  ];
  const coloured = (groups) => groups.slice(0, COLOURED);

  /* Plot's own style element is left out: page.css has what it says. */
  const plotted = (options, label) => {
    const { rows, panels, ...rest } = options;
    const drawn = Plot.plot({ ...rest, style: undefined, marks: options.marks.filter((mark) => mark !== null), ariaLabel: label });
    all("style", drawn).forEach((style) => style.remove());
    /* What is drawn is one picture with one name; its parts have none of their own. */
    const inside = svg("g", { "aria-hidden": "true" });
    inside.append(...drawn.childNodes);
    drawn.append(inside);
    return drawn;
  };

  /* Panels beside and below each other, as one picture. */
  const tiled = ({ panels, columns }, width, label) => {
    const rows = Math.ceil(panels.length / columns), { height } = panels[0];
    const outer = svg("svg", { width, height: rows * height, viewBox: `0 0 ${width} ${rows * height}`, "aria-label": label });
    panels.forEach((panel, i) => {
      const inner = plotted(panel, panel.label);
      inner.removeAttribute("aria-label");
      inner.setAttribute("x", (i % columns) * (width / columns));
      inner.setAttribute("y", Math.floor(i / columns) * height);
      outer.append(inner);
    });
    return outer;
  };

  /* Arrow keys go from value to value, as the pointer would. */
  const withKeys = (picture) => {
    const stops = () => [picture, ...all("svg", picture)].flatMap((owner) => (POINTS.get(owner) ?? []).map((point) => ({ owner, ...point })));
    let place = -1, last = null;
    const leave = () => last?.dispatchEvent(new PointerEvent("pointerleave"));
    picture.addEventListener("keydown", (event) => {
      const places = stops(), step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") { leave(); return; }
      if (!places.length || (step === undefined && event.key !== "Home" && event.key !== "End")) return;
      event.preventDefault();
      place = event.key === "Home" ? 0 : event.key === "End" ? places.length - 1 : Math.min(Math.max(place + step, 0), places.length - 1);
      const { owner, at, text } = places[place], spot = new DOMPoint(...at).matrixTransform(owner.getScreenCTM());
      if (last !== owner) leave();
      last = owner;
      owner.dispatchEvent(new PointerEvent("pointermove", { clientX: spot.x, clientY: spot.y, pointerType: "mouse", bubbles: true }));
      const heard = document.getElementById("reading");
      if (heard) heard.textContent = text;
    });
    picture.addEventListener("blur", leave);
  };

  const ROWS = new WeakMap();
  const EMPTY = "Nothing to draw here: no level has these figures.";
  const draw = (element, build, label, forced) => {
    const width = forced ?? Math.floor(element.clientWidth);
    if (!width) return;
    onPaper = forced !== undefined;
    const options = build(width);
    element.dataset.drawn = options === null ? "empty" : "yes";
    if (options === null) { element.textContent = EMPTY; return; }
    const picture = options.panels ? tiled(options, width, label) : plotted(options, label);
    picture.setAttribute("role", "img");
    picture.setAttribute("tabindex", "0");
    withKeys(picture);
    ROWS.set(element, options.rows ?? []);
    element.replaceChildren(picture);
  };
  const rowsOf = (element) => ROWS.get(element) ?? [];

  const swatch = (index, predicted = false) => {
    const drawn = svg("svg", { width: 26, height: 12, viewBox: "0 0 26 12", "aria-hidden": "true" });
    const shape = { circle: d3.symbolCircle, square: d3.symbolSquare, triangle: d3.symbolTriangle, diamond2: d3.symbolDiamond2, cross: d3.symbolCross, star: d3.symbolStar, wye: d3.symbolWye, hexagon: d3.symbolCircle }[symbol(index)];
    drawn.append(svg("path", { d: "M0 6H26", stroke: colour(index), "stroke-width": 2, "stroke-dasharray": predicted ? PREDICTED : "none" }),
      svg("path", { d: d3.symbol(shape, 48)(), transform: "translate(13 6)", fill: predicted ? "var(--bg)" : colour(index), stroke: colour(index), "stroke-width": 1.5 }));
    return drawn;
  };

  return { all, one, made, svg, COLOURED, colour, symbol, si, known, extent, frame, logTicks, spanned, loads, wide, texts, values, lines, coloured, draw, rowsOf, swatch };
})();
