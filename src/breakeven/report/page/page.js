/* The page: draws the charts, and works the money out again whenever a price changes. Nothing is sent anywhere. */
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  /* Numbers as the library writes them (breakeven.say). */
  const grouped = (text) => text.replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
  const general = (value, digits) => {
    if (value === 0) return "0";
    const exponent = Number(value.toExponential(digits - 1).split("e")[1]);
    if (exponent < -4 || exponent >= digits) {
      const [head, tail] = value.toExponential(digits - 1).split("e");
      const sign = tail[0] === "-" ? "-" : "+";
      return `${head.includes(".") ? head.replace(/\.?0+$/, "") : head}e${sign}${tail.slice(1).padStart(2, "0")}`;
    }
    const fixed = value.toPrecision(digits);
    return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
  };
  const whole = (value) => grouped(value.toFixed(0));
  const short = (value) => (Math.abs(value) >= 1000 ? whole(value) : general(value, 4));
  const count = (value) => {
    const size = Math.abs(value);
    for (const [limit, letter] of [[1e6, "M"], [1e4, "k"]]) {
      if (size >= limit * 0.9995) {
        const scaled = value / (letter === "M" ? 1e6 : 1e3), shown = Math.abs(scaled);
        return scaled.toFixed(shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0) + letter;
      }
    }
    return size >= 99.95 ? value.toFixed(0) : value.toFixed(1);
  };
  const amount = (value, unit, said = unit) => {
    if (unit === "h") return value < 1e6 ? `${whole(value)} h (${whole(value / 24)} days)` : `${general(value, 3)} h`;
    if (unit === "share") return Math.abs(value) < 9.995 ? `${grouped(general(value * 100, 3))} %` : `${whole(value * 100)} %`;
    if (unit === "x") return `${general(value, 3)}x`;
    if (unit === "USD") return Math.abs(value) >= 100 ? `${whole(value)} USD` : `${value.toFixed(2)} USD`;
    return `${unit === "tok/USD" ? count(value) : short(value)} ${said}`.trimEnd();
  };
  const price = (value) => (value >= 0.1 ? `${grouped((Math.round(value * 100 * (1 + 1e-12)) / 100).toFixed(2))} USD/h` : `${general(value, 3)} USD/h`);
  const digits = (value) => (0 < value && value < 0.0995 ? general(value, 2) : value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0));
  /* A label by what is counted. */
  const labelOf = (text) => text.replaceAll("{tokens}", data.counted);

  /* What is asked: which candidate, and the numbers that were changed. Candidates have prices of their own. */
  const state = { b: data.best ?? 0, shared: {}, own: data.money.map(() => ({})) };
  const current = () => data.money[state.b];
  const changes = () => ({ ...state.shared, ...state.own[state.b] });
  const scenario = (b = state.b) => Money.changed(data.money[b], { ...state.shared, ...state.own[b] });
  const isChanged = () => Object.keys(changes()).length > 0;
  const set = (place, value) => {
    const where = place.startsWith("candidate.") ? state.own[state.b] : state.shared;
    const given = current().inputs[place] ?? Money.NEUTRAL[place.split(".")[1]];
    if (given !== undefined && Math.abs(value - given) <= 1e-12 * Math.abs(given)) delete where[place]; else where[place] = value;
  };

  const figure = (worked, path) => Money.at(worked, path);
  const textOf = (value, row) => {
    if (value === undefined) return "–";
    const shown = Money.shown(value);
    if (shown === null) return row.never ? "never" : "–";
    return amount(shown, row.unit, row.said);
  };

  /* Cost per token of the candidate / the reference's, with the interval of k as it was measured. */
  const costRatio = (worked) => {
    const times = Money.shown(figure(worked, "usd_per_mtok_ratio"));
    if (!times) return { value: null, ends: [null, null] };
    const asked = scenario(), [low, high] = current().k_ci95;
    const kept = asked.inputs["candidate.count"] / (asked.inputs["reference.count"] ?? 1);
    const measured = current().inputs["candidate.count"] / (current().inputs["reference.count"] ?? 1);
    const free = low === null || high === null || "candidate.tok_per_s" in asked.inputs || Math.abs(kept / measured - 1) > 1e-12;
    if (free) return { value: 1 / times, ends: [null, null] };
    const ends = [low, high].map((k) => {
      const changed = Money.changed(asked, { "candidate.count": k * (asked.inputs["reference.count"] ?? 1) });
      return 1 / Money.at(Money.workOut(changed), "usd_per_mtok_ratio");
    });
    return { value: 1 / times, ends: ends.sort((a, b) => a - b) };
  };

  const renderAnswer = (worked) => {
    const answer = one("#answer"), sure = one("#sure"), told = current();
    if (!told || !told.answer) return;
    const ratio = costRatio(worked);
    const k = Money.shown(figure(worked, "k"));
    const texts = { ratio: ratio.value === null ? "–" : digits(ratio.value), k: k === null || k === undefined ? "–" : digits(k * told.k_scale),
      cost: textOf(figure(worked, "candidate.usd_per_mtok_output"), data.rows["usd_per_mtok_output"]) };
    answer.replaceChildren(...told.answer.map((part) => {
      if (typeof part === "string") return part;
      const output = document.createElement("output");
      output.dataset.part = part.figure;
      output.textContent = isChanged() ? texts[part.figure] : part.text;
      return output;
    }));
    const interval = ratio.ends[0] === null ? "" : `95 %: ${digits(ratio.ends[0])}–${digits(ratio.ends[1])} of the cost. `;
    sure.textContent = isChanged() ? `What if, with ${Object.keys(changes()).length} changed number${Object.keys(changes()).length > 1 ? "s" : ""}. ${interval}The measurement stays as it was.` : told.sure;
  };

  const renderFigures = (worked) => {
    for (const element of all("[data-fig]")) {
      const path = element.dataset.fig;
      if (path === "cost_ratio") {
        const ratio = costRatio(worked);
        element.textContent = ratio.value === null ? "–" : digits(ratio.value);
        continue;
      }
      if (path === "k_card") { element.textContent = Money.shown(figure(worked, "k")) === null ? "–" : digits(figure(worked, "k")); continue; }
      const value = figure(worked, path), text = textOf(value, data.rows[path.slice(path.indexOf(".") + 1)]);
      if (element.dataset.kpi === undefined) element.textContent = text;
      else {
        const [number, ...unit] = text.split(" "), small = document.createElement("small");
        small.textContent = unit.join(" ");
        element.replaceChildren(number, " ", small);
      }
      element.dataset.value = value === undefined || Money.shown(value) === null ? "" : String(value);
    }
  };

  /* The ranking: the same rows, each at its own price, the cheapest first. */
  const rankedRows = (works) => {
    if (!works) return data.ranking.map((row, i) => ({ ...row, i }));
    const rows = data.ranking.map((row, i) => {
      const part = row.money === null ? null : works[row.money][row.side];
      const usd = !part || row.missed ? null : Money.shown(part.usd_per_mtok_output);
      const hour = !part ? null : Money.shown(part.serving_usd_per_h === undefined ? undefined : part.serving_usd_per_h / part.count);
      return { ...row, i, usd, hour, ends: row.rel.map((r) => (usd === null || r === null ? null : usd * r)) };
    });
    return [...rows.filter((row) => row.usd !== null).sort((a, b) => a.usd - b.usd || a.i - b.i), ...rows.filter((row) => row.usd === null)];
  };
  const renderRanking = (works) => {
    const table = one("#ranking");
    if (!data.priced || !table) return;
    const rows = rankedRows(works), first = rows[0].usd;
    const longest = Math.max(...rows.map((row) => row.usd ?? 0)), most = Math.min(Math.max(longest, ...rows.map((row) => row.ends[1] ?? 0)), 2.5 * longest);
    rows.forEach((row, place) => {
      const line = one(`tbody[data-row="${row.i}"]`, table), { usd, ends } = row, before = rows[place - 1];
      const tie = usd !== null && place > 0 && ends[0] !== null && before.ends[1] !== null && ends[0] <= before.ends[1];
      line.classList.toggle("best", usd !== null && place === 0);
      one(".rank", line).textContent = usd === null ? "–" : `${place + 1}`;
      const tell = (name, text) => { const cell = one(name, line); if (cell) cell.textContent = text; };
      tell(".price", row.hour === null ? "–" : `${price(row.hour)} ${row.kind}`);
      tell(".figure", usd === null ? "–" : short(usd));
      tell(".ends", ends[0] === null || ends[1] === null ? "" : `${short(ends[0])}–${short(ends[1])}`);
      one(".margin", line).textContent = usd === null ? "–" : place === 0 ? "cheapest" : `+${whole(100 * (usd / first - 1))} %${tie ? ", a tie with the line above" : ""}`;
      const bar = one("svg.rankbar", line), at = (value) => `${Math.max(0, Math.min(100, (100 * value) / most)).toFixed(2)}%`;
      if (bar && usd !== null) {
        one("rect", bar).setAttribute("width", at(usd));
        if (ends[0] !== null && ends[1] !== null) for (const [name, value] of [["x1", ends[0]], ["x2", ends[1]]]) one("line", bar)?.setAttribute(name, at(value));
      }
      table.append(line);
    });
  };

  /* Rents along which the curves run, chosen as the library chooses them. */
  const rentLine = (worked) => {
    const paths = ["candidate.rent_usd_per_h", "reference.rent_usd_per_h", "parity_usd_per_h_card", "cost_parity_usd_per_h_card", "candidate.floor_rent_usd_per_h_card"];
    const found = paths.map((path) => Money.shown(figure(worked, path))).filter((value) => value !== null && value > 0);
    if (!found.length) return [];
    const step = Number(((1.3 * Math.max(...found)) / 120).toPrecision(2));
    return Array.from({ length: 121 }, (_, i) => i * step);
  };

  const indexOf = (side) => current()[side] ?? (side === "candidate" || data.subjects.length > 1 ? 0 : 1);
  const sides = (worked, rents, name, perCard) =>
    ["candidate", "reference"].filter((side) => worked[side] && worked[side][name] !== undefined).map((side) => {
      const paths = [`${side}.${name}`, `${side}.count`];
      const found = Money.along(scenario(), `${side}.rent_usd_per_h`, rents, paths);
      const each = (value, i) => (value === null ? null : perCard ? value / found[`${side}.count`][i] : value);
      const count = worked[side].count, now = Money.shown(worked[side][name]);
      return { index: indexOf(side), label: `${side}: ${current().sides[side]}`,
        y: found[`${side}.${name}`].map(each), rent: worked[side].rent_usd_per_h, now: now === null ? null : perCard ? now / count : now };
    });

  /* For the tornado: what only a ready range gives counts as its middle, as in the library. */
  const drawn0 = () => ({ ...scenario(), inputs: { ...current().middles, ...scenario().inputs } });

  const moneyCharts = (works, worked) => {
    const rents = rentLine(worked), builds = data.priced ? { answer: Charts.answer(data, costs(), stands(works)) } : {};
    if (!rents.length) return builds;
    const parity = Money.shown(figure(worked, "parity_usd_per_h_card")), cost = Money.shown(figure(worked, "cost_parity_usd_per_h_card"));
    const lines = [[parity, "ROI parity"], [cost, "cost parity"]].filter(([at]) => at !== null).map(([at, label]) => ({ at, label }));
    builds.profit = Charts.againstRent(rents, sides(worked, rents, "profit_usd_per_h", true), { label: "USD/h profit, a card", top: null, zero: true });
    const days = sides(worked, rents, "break_even_days", false), nows = days.map((side) => side.now).filter((v) => v !== null);
    const reference = worked.reference && Money.shown(worked.reference.break_even_days);
    builds.breakeven = Charts.againstRent(rents, days, {
      label: "days to break-even", top: nows.length ? 4 * Math.max(...nows) : 2000, zero: false, marksAt: parity === null ? [] : lines.slice(0, 1),
      level: reference ?? null, levelLabel: "the reference's" });
    builds.tornado = Charts.tornado(Money.tornado(drawn0(), current().target.path, current().ranges), {
      label: `${current().target.label}${current().target.unit ? `, ${current().target.said}` : ""}`, name: (place) => data.places[place] ?? place });
    return builds;
  };

  /* What a level's tokens cost: the serving hour of a card of that run, with the changed prices. */
  const costs = () => {
    const works = data.money.map((_, b) => Money.workOut(scenario(b)));
    const found = data.subjects.map((_, run) => {
      let b = data.money.findIndex((money) => money.candidate === run), side = "candidate";
      if (b < 0) { b = data.money.findIndex((money) => money.reference === run); side = "reference"; }
      const part = b < 0 ? null : works[b][side];
      const hour = part && part.serving_usd_per_h !== undefined ? Money.shown(part.serving_usd_per_h) : null;
      return hour === null ? null : [hour / part.count, part.load_factor];
    });
    const of = (run, level) => {
      if (found[run] === null || !level.perGpu) return { at: null };
      const at = (found[run][0] * 1e6) / (level.perGpu * found[run][1] * 3600), by = (rate) => (rate ? (at * level.y) / rate : null);
      return { at, low: by(level.hi), high: by(level.lo) };
    };
    return Object.assign(of, data.unit === "tok" ? { label: "USD per million output tokens", unit: "USD per million tokens" } : { label: "USD per million words", unit: "USD per million words" });
  };
  const rates = Object.assign((_, level) => {
    const by = (rate) => (rate === null || !level.y ? null : (level.perGpu * rate) / level.y);
    return { at: level.perGpu, low: by(level.lo), high: by(level.hi) };
  }, { label: `output ${data.unit}/s a card`, unit: `${data.unit}/s a card` });

  /* Where each run stands at the service level; the first of the ranking with its name and what it comes to. */
  const stands = (works) => {
    const ranked = rankedRows(works).filter((row) => row.run !== null && Number.isFinite(row.each));
    const at = (row) => (works ? row.usd : row.capacity);
    return ranked.filter((row) => at(row) !== null).map((row, place) => ({ run: row.run, each: row.each, at: at(row), first: place === 0,
      text: `${data.subjects.length > 1 ? `${data.subjects[row.run].short}: ` : ""}${works ? `${short(Number(at(row).toPrecision(3)))} USD` : `${count(at(row))} ${data.unit}/s`}` }));
  };

  const renderCrossings = (worked) => {
    const list = one("#crossings"), rents = rentLine(worked);
    if (!list) return;
    const found = rents.length ? Money.crossings(scenario(), "candidate.rent_usd_per_h", rents) : [];
    list.replaceChildren(...found.map(({ what, at }) => {
      const item = document.createElement("li"), number = document.createElement("strong");
      number.textContent = `${general(at, 4)} USD/h`;
      number.dataset.crossing = String(at);
      item.append(number, ` ${labelOf(what)}`);
      return item;
    }));
    if (!found.length) list.replaceChildren("No curves meet along these rents.");
  };

  /* The charts by name; money's are made again with every change. */
  const fixed = {
    throughput: Charts.throughput(data),
    ttft: Charts.latency(data, "ttft", "TTFT"),
    tpot: Charts.latency(data, "tpot", "TPOT"),
    pareto: Charts.pareto(data),
    energy: Charts.energy(data),
    ...Object.fromEntries(Object.entries(data.plots ?? {}).map(([name, plot]) => [name, Charts[plot.kind](plot)])),
    ...(data.priced ? {} : { answer: Charts.answer(data, rates, stands(null)) }),
  };
  let live = {};
  const drawn = new Map();
  const drawOne = (element, width) => {
    const { chart, run } = element.dataset;
    const build = chart === "time" ? Charts.overTime(data.subjects[run], Number(run), data.unit) : fixed[chart] ?? live[chart];
    if (build) Kit.draw(element, build, element.dataset.label, width);
    else { element.textContent = ""; element.dataset.drawn = "empty"; }
    if (element.clientWidth) drawn.set(element, element.clientWidth);
  };

  const sideLegend = () => {
    for (const list of all(".legend[data-legend=sides]")) {
      list.replaceChildren(...["candidate", "reference"].filter((side) => current().sides[side]).map((side) => {
        const item = document.createElement("li");
        item.append(Kit.swatch(indexOf(side)), `${side}: ${current().sides[side]}`);
        return item;
      }));
    }
  };
  /* What names the candidate that is looked at; what was worked out for the first one alone is hidden at another. */
  const showCase = (worked) => {
    const letter = data.subjects[current().candidate]?.letter;
    all("[data-gpu]").forEach((element) => { element.textContent = current().sides[element.dataset.gpu]; });
    all("[data-letter]").forEach((element) => { element.textContent = letter; });
    all("th[data-side]").forEach((element) => {
      const side = element.dataset.side;
      element.textContent = `${side}: ${general(worked[side].count, 3)} × ${current().gpus[side]}`;
    });
    all("[data-best-only]").forEach((element) => { element.hidden = state.b !== (data.best ?? 0); });
  };

  const render = () => {
    if (data.money.length) {
      const works = data.money.map((_, b) => Money.workOut(scenario(b)));
      const worked = works[state.b];
      renderFigures(worked);
      renderAnswer(worked);
      renderRanking(works);
      renderCrossings(worked);
      live = moneyCharts(works, worked);
      for (const element of drawn.keys()) if (element.dataset.chart in live) drawOne(element);
      sideLegend();
      showCase(worked);
    }
  };

  /* The fields: a slider and a number of the same thing. k and cards stand for counts of both sets. */
  const cards = (b = state.b) => scenario(b).inputs["reference.count"] ?? 1;
  const valueOf = (field) => {
    const asked = scenario().inputs;
    if (field.dataset.place === "k") return asked["candidate.count"] / cards();
    if (field.dataset.place === "cards") return cards();
    return asked[field.dataset.place] ?? Money.NEUTRAL[field.dataset.place.split(".")[1]];
  };
  const take = (field, value) => {
    const place = field.dataset.place;
    if (place === "k") set("candidate.count", value * cards());
    else if (place === "cards") {
      /* Every candidate keeps its k. */
      const ks = data.money.map((_, b) => scenario(b).inputs["candidate.count"] / cards(b));
      set("reference.count", value);
      const chosen = state.b;
      ks.forEach((k, b) => { state.b = b; set("candidate.count", k * value); });
      state.b = chosen;
    } else set(place, value);
  };
  const value0 = (field) => Money.NEUTRAL[field.dataset.place.split(".")[1]];
  const showField = (field) => {
    const value = valueOf(field), range = one("input[type=range]", field), number = one("input[type=number]", field);
    field.hidden = value === undefined;
    if (value === undefined) return;
    if (value > Number(range.max)) range.max = String(value * 2);
    range.value = String(value);
    if (document.activeElement !== number) number.value = String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
    const given = current().inputs, base = { k: given["candidate.count"] / (given["reference.count"] ?? 1), cards: given["reference.count"] }[field.dataset.place] ?? given[field.dataset.place] ?? value0(field);
    one("label", field).classList.toggle("changed", Math.abs(value - base) > 1e-12 * Math.abs(base));
  };
  const fields = all(".field");
  const showFields = () => fields.forEach(showField);

  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; render(); remember(); });
  };

  const allowed = (field, value) => Number.isFinite(value) && value >= Number(field.dataset.least) && value <= Number(field.dataset.most);
  for (const field of fields) {
    for (const input of all("input", field)) {
      input.addEventListener("input", () => {
        const value = input.value === "" ? NaN : Number(input.value), good = allowed(field, value);
        input.setAttribute("aria-invalid", String(!good));
        if (!good) return;
        take(field, value);
        showFields();
        soon();
      });
      input.addEventListener("blur", () => { input.removeAttribute("aria-invalid"); showField(field); });
    }
  }

  /* The state in the address, so that a link keeps it; read back with care. */
  const remember = () => {
    const words = new URLSearchParams();
    if (isChanged() || state.b !== (data.best ?? 0)) {
      if (data.money.length > 1) words.set("case", String(state.b));
      for (const [place, value] of Object.entries(changes())) words.append("set", `${place}=${value}`);
    }
    const hash = words.toString();
    try { history.replaceState(null, "", hash ? `#${hash}` : `${location.pathname}${location.search}`); } catch { /* some viewers forbid it */ }
  };
  const recall = () => {
    const words = new URLSearchParams(location.hash.slice(1));
    const b = Number(words.get("case") ?? state.b);
    if (Number.isInteger(b) && b >= 0 && b < data.money.length) state.b = b;
    for (const text of words.getAll("set")) {
      const [place, number] = text.split("="), value = Number(number), field = data.limits[place];
      if (field && data.money.length && number !== "" && Number.isFinite(value) && value >= field[0] && value <= field[1]) set(place, value);
    }
  };

  /* The scenario with what was changed, as TOML that `breakeven cost` reads. */
  const quoted = (text) => JSON.stringify(text);
  const key = (name) => (/^[A-Za-z0-9_-]+$/.test(name) ? name : quoted(name));
  const toToml = (value) => {
    if (typeof value === "string") return quoted(value);
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    if (Array.isArray(value)) return `[${value.map(toToml).join(", ")}]`;
    return `{ ${Object.entries(value).filter(([, v]) => v !== null).map(([name, v]) => `${key(name)} = ${toToml(v)}`).join(", ")} }`;
  };
  const lines = (table) => Object.entries(table).filter(([, v]) => v !== null).map(([name, v]) => `${key(name)} = ${toToml(v)}`);
  const scenarioToml = () => {
    const table = structuredClone(current().scenario);
    for (const [place, value] of Object.entries(changes())) {
      const [section, name] = place.split(".");
      (table[section] ??= {})[name] = value;
    }
    const isTable = (v) => v !== null && typeof v === "object" && !Array.isArray(v);
    const isTables = (v) => Array.isArray(v) && v.length > 0 && v.every(isTable);
    const entries = Object.entries(table);
    const plain = Object.fromEntries(entries.filter(([, v]) => !isTable(v) && !isTables(v)));
    const blocks = [lines(plain)];
    for (const [name, v] of entries) if (isTable(v)) blocks.push([`[${key(name)}]`, ...lines(v)]);
    for (const [name, v] of entries) if (isTables(v)) for (const item of v) blocks.push([`[[${key(name)}]]`, ...lines(item)]);
    return `${blocks.map((block) => block.join("\n")).join("\n\n")}\n`;
  };

  const say = (text) => { const status = one("#status"); if (status) status.textContent = text; };
  const copy = async (text, done) => {
    const box = one("#toml");
    try {
      await navigator.clipboard.writeText(text);
      say(done);
    } catch {
      box.value = text;
      one("#toml-box").open = true;
      box.focus();
      box.select();
      say("Copying is not allowed here: the text is selected, press Ctrl+C.");
    }
  };
  one("#copy-toml")?.addEventListener("click", () => {
    one("#toml").value = scenarioToml();
    one("#toml-box").open = true;
    copy(scenarioToml(), "The scenario is on the clipboard.");
  });
  one("#toml-box")?.addEventListener("toggle", () => { one("#toml").value = scenarioToml(); });
  one("#copy-link")?.addEventListener("click", () => { remember(); copy(location.href, "The link is on the clipboard."); });
  one("#reset")?.addEventListener("click", () => {
    state.shared = {};
    state.own = data.money.map(() => ({}));
    showFields();
    render();
    remember();
    say("All numbers are the scenario's again.");
  });
  one("#case")?.addEventListener("change", (event) => { state.b = Number(event.target.value); showFields(); render(); remember(); });
  window.addEventListener("hashchange", () => { state.shared = {}; state.own = data.money.map(() => ({})); recall(); showFields(); render(); });

  /* Start: legends, fields, figures, charts; all of them again before printing. */
  for (const list of all(".legend[data-legend=runs]")) {
    list.replaceChildren(...data.subjects.slice(0, Kit.COLOURED).map((subject, i) => {
      const item = document.createElement("li");
      item.append(Kit.swatch(i, subject.predicted), data.subjects.length > 1 ? `${subject.letter}: ${subject.marked}` : subject.label);
      return item;
    }), ...(data.subjects.length > Kit.COLOURED ? [(() => { const li = document.createElement("li"); li.textContent = `in grey: ${data.subjects.length - Kit.COLOURED} more`; return li; })()] : []));
  }
  recall();
  if (one("#case")) one("#case").value = String(state.b);
  showFields();
  render();
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting && !drawn.has(entry.target)) drawOne(entry.target);
  }, { rootMargin: "600px" });
  /* So that a screenshot, a print and a preview show them; a page of very many waits for the scroll. */
  const AT_ONCE = 30;
  if (all(".chart").length <= AT_ONCE) all(".chart").filter((element) => element.clientWidth).forEach((element) => drawOne(element));
  all(".chart").forEach((element) => seen.observe(element));
  let resizing = null;
  window.addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => { for (const [element, width] of drawn) if (element.clientWidth && element.clientWidth !== width) drawOne(element); }, 120);
  });
  /* Paper is narrower than a window: every chart is drawn for it, and back again. */
  window.addEventListener("beforeprint", () => {
    all("details[data-print]").forEach((element) => { element.open = true; });
    all(".chart").forEach((element) => drawOne(element, element.closest(".grid") ? 330 : 680));
  });
  window.addEventListener("afterprint", () => all(".chart").forEach((element) => drawOne(element)));
  all("details").forEach((element) => element.addEventListener("toggle", () => all(".chart", element).forEach((c) => { if (!drawn.has(c)) drawOne(c); })));
  /* What can be scrolled can be scrolled by keyboard. */
  for (const box of all(".scroll:not([tabindex])")) box.tabIndex = 0;
  Save.start();
  for (const button of all("button.mark")) button.addEventListener("click", () => { const box = document.getElementById(button.getAttribute("popovertarget")); if (box) Save.beside(box, button); });
  for (const link of all(".marked a")) link.addEventListener("click", () => link.closest("[popover]").hidePopover?.());
  document.documentElement.dataset.ready = "yes";
  /* Also of those that are folded away, or not scrolled to: for pictures of them all. */
  const drawAll = () => all(".chart").filter((element) => !one("svg", element)).forEach((element) => drawOne(element, 680));
  window.breakeven = { data, drawAll, scenario, tornado: () => Money.tornado(drawn0(), current().target.path, current().ranges), worked: () => Money.workOut(scenario()), toml: scenarioToml, amount };
})();
