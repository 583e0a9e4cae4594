/* What the charts of the money are drawn from: rents, prices of levels, and where each run stands at the service level. */
"use strict";

const MoneyCharts = (() => {
  const { data, current, scenario } = State;

  /* Rents along which the curves run, chosen as the library chooses them. */
  const rents = (worked) => {
    const paths = ["candidate.rent_usd_per_h", "reference.rent_usd_per_h", "parity_usd_per_h_card", "cost_parity_usd_per_h_card", "candidate.floor_rent_usd_per_h_card"];
    const found = paths.map((path) => Money.shown(Money.at(worked, path))).filter((value) => value !== null && value > 0);
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

  /* What only a ready range gives counts as its middle, as in the library. */
  const tornado = () => Money.tornado({ ...scenario(), inputs: { ...current().middles, ...scenario().inputs } }, current().target.path, current().ranges);

  const builds = (works, worked) => {
    const along = rents(worked), { target } = current(), found = data.priced ? { answer: Charts.answer(data, costs(works), stands(works)) } : {};
    found.tornado = Charts.tornado(tornado(), { label: `${target.label}${target.unit ? `, ${target.said}` : ""}`, name: (place) => data.places[place] ?? place });
    if (!along.length) return found;
    const parity = Money.shown(Money.at(worked, "parity_usd_per_h_card"));
    found.profit = Charts.againstRent(along, sides(worked, along, "profit_usd_per_h", true), { label: "USD/h profit, a card", top: null, zero: true });
    const days = sides(worked, along, "break_even_days", false), nows = days.map((side) => side.now).filter((v) => v !== null);
    found.breakeven = Charts.againstRent(along, days, {
      label: "days to break-even", top: nows.length ? 4 * Math.max(...nows) : 2000, zero: false, marksAt: parity === null ? [] : [{ at: parity, label: "ROI parity" }],
      level: worked.reference ? Money.shown(worked.reference.break_even_days) : null, levelLabel: "the reference's" });
    return found;
  };

  /* Serving hour of a card, by what is asked. */
  const hourOf = (part) => Money.shown(part.serving_usd_per_h / part.count);

  /* The ranking: the same rows, each at its own price, the cheapest first. */
  const ranked = (works) => {
    if (works === null) return data.ranking.map((row, i) => ({ ...row, i }));
    const rows = data.ranking.map((row, i) => {
      const part = row.money === null ? null : works[row.money][row.side];
      const usd = !part || row.missed ? null : Money.shown(part.usd_per_mtok_output);
      const hour = part ? hourOf(part) : null;
      return { ...row, i, usd, hour, ends: row.rel.map((r) => (usd === null || r === null ? null : usd * r)) };
    });
    return [...rows.filter((row) => row.usd !== null).sort((a, b) => a.usd - b.usd || a.i - b.i), ...rows.filter((row) => row.usd === null)];
  };

  /* What a level's tokens cost: the serving hour of a card of that run, with the changed prices. */
  const costs = (works) => {
    const found = data.subjects.map((_, run) => {
      let b = data.money.findIndex((money) => money.candidate === run), side = "candidate";
      if (b < 0) { b = data.money.findIndex((money) => money.reference === run); side = "reference"; }
      const part = b < 0 ? null : works[b][side];
      const hour = part ? hourOf(part) : null;
      return hour === null ? null : [hour, part.load_factor];
    });
    const cost = (run, level) => {
      if (found[run] === null || !level.perGpu) return { at: null };
      const at = (found[run][0] * 1e6) / (level.perGpu * found[run][1] * 3600), by = (rate) => (rate ? (at * level.y) / rate : null);
      return { at, low: by(level.hi), high: by(level.lo) };
    };
    return Object.assign(cost, data.unit === "tok" ? { label: "USD per million output tokens", unit: "USD per million tokens" } : { label: "USD per million words", unit: "USD per million words" });
  };
  const rates = Object.assign((_, level) => {
    const by = (rate) => (rate === null || !level.y ? null : (level.perGpu * rate) / level.y);
    return { at: level.perGpu, low: by(level.lo), high: by(level.hi) };
  }, { label: `output ${data.unit}/s a card`, unit: `${data.unit}/s a card` });

  /* Where each run stands at the service level; the first of the ranking with its name and what it comes to. */
  const stands = (works) => {
    const known = ranked(works).filter((row) => row.run !== null && Number.isFinite(row.each));
    const at = (row) => (works ? row.usd : row.capacity);
    return known.filter((row) => at(row) !== null).map((row, place) => ({ run: row.run, each: row.each, at: at(row), first: place === 0,
      text: `${data.subjects.length > 1 ? `${data.subjects[row.run].short}: ` : ""}${works ? `${Say.short(Number(at(row).toPrecision(3)))} USD` : `${Say.count(at(row))} ${data.unit}/s`}` }));
  };

  return { rents, indexOf, ranked, builds, tornado, ofRates: () => Charts.answer(data, rates, stands(null)) };
})();
