/* The economics, in the browser: the library's formulas (FORMULAS, compiled from the same texts), and their model.
 *
 * `workOut` takes numbers by place ("candidate.count") and gives the columns of each side and of the comparison. Inside,
 * Infinity stands for never and NaN for undefined; `shown` turns both into null. A figure whose inputs are missing is
 * not there. F has what a formula may call; a test holds each against the library's.
 */
"use strict";

const Money = (() => {
  const MONTHS_PER_YEAR = 12, H_PER_MONTH = 8766 / MONTHS_PER_YEAR, LAST_MONTH = 2 ** 20;

  const shown = (value) => (value === undefined || !Number.isFinite(value) ? null : value);

  /* 1 + q + q^2 + … + q^(n-1) */
  const geometric = (q, n) =>
    q === 1 ? n : q === 0 ? Math.min(n, 1) : Math.expm1(n * Math.log(q)) / (q - 1);
  const monthlyOf = (discount) => (1 + discount) ** (-1 / MONTHS_PER_YEAR);
  const stepOf = (decline) => (1 - decline) ** (1 / MONTHS_PER_YEAR);

  /* Round half to even, as the library does. */
  const rounded = (x) => {
    const low = Math.floor(x), rest = x - low;
    return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1;
  };

  const over = (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : b > 0 ? a / b : Infinity);

  const repaid_h = (investment, profit, revenue, decline, discount) => {
    if (Number.isNaN(investment) || Number.isNaN(profit)) return NaN;
    if (decline === 0 && discount === 0) return over(investment, profit);
    const step = stepOf(decline), monthly = monthlyOf(discount), running = revenue - profit;
    const earned = (n) => (n === 0 ? 0
      : H_PER_MONTH * monthly * (revenue * geometric(step * monthly, n) - running * geometric(monthly, n)));
    const best = Math.floor(Math.log(running / revenue) / Math.log(step)) + 1;
    let low = 0;
    let high = step < 1 && running > 0 && Number.isFinite(best) ? Math.min(Math.max(best, 0), LAST_MONTH) : LAST_MONTH;
    for (let i = 0; i < 21; i += 1) {
      const middle = Math.floor((low + high) / 2);
      if (earned(middle) >= investment) high = middle; else low = middle;
    }
    if (profit <= 0 || !(earned(high) >= investment)) return Infinity;
    const before = Math.max(high - 1, 0);
    return (before + (investment - earned(before)) / (earned(high) - earned(before))) * H_PER_MONTH;
  };

  /* The one rate at which the monthly cash flow is worth nothing, by halving; NaN where there is none, or several. */
  const rate_of_return = (investment, revenue, running, decline, residual, months) => {
    const flows = [-investment];
    for (let m = 0; m < rounded(months); m += 1) {
      flows.push((revenue * (1 - decline) ** (m / MONTHS_PER_YEAR) - running) * H_PER_MONTH);
    }
    flows[flows.length - 1] += residual * investment;
    const signs = flows.filter((flow) => flow !== 0).map((flow) => flow > 0);
    if (signs.slice(1).filter((sign, i) => sign !== signs[i]).length !== 1) return NaN;
    const worth = (growth) => {
      let value = 0;
      if (growth <= 1) for (let i = flows.length - 1; i >= 0; i -= 1) value = value * growth + flows[i];
      else for (const flow of flows) value = value / growth + flow;
      return value;
    };
    const rising = signs[signs.length - 1];
    let low = 0, high = 1;
    while (worth(high) > 0 !== rising && high < 1e9) high *= 2;
    for (let i = 0; i < 200; i += 1) {
      const middle = (low + high) / 2;
      if (worth(middle) > 0 === rising) high = middle; else low = middle;
    }
    return (2 / (low + high)) ** MONTHS_PER_YEAR - 1;
  };

  const F = {
    over,
    within: (value, most) => (value > most ? Infinity : value),
    known: (value, condition) => (Number.isFinite(condition) ? value : NaN),
    up: (value) => Math.ceil(value - 1e-9),
    whole_months: (years) => Math.max(rounded(years * MONTHS_PER_YEAR), 1),
    present_h: (months, decline, discount) => {
      const monthly = monthlyOf(discount);
      return H_PER_MONTH * monthly * geometric(stepOf(decline) * monthly, months);
    },
    kept: (hours, decline) => {
      if (decline === 0 || hours === 0) return 1;
      const month = Math.floor(hours / H_PER_MONTH), step = stepOf(decline);
      return (H_PER_MONTH * geometric(step, month) + (hours - H_PER_MONTH * month) * step ** month) / hours;
    },
    repaid_h,
    rate_of_return,
  };

  const walk = (rows, values) => {
    for (const [name, number] of Object.entries(rows)) {
      const [needs, of] = FORMULAS[number];
      if (needs.every((need) => need in values)) values[name] = of(values, F);
    }
    return values;
  };

  /* Inputs of one side: the market's, overlaid with its own; then what stands for those that are not given. */
  const sideOf = (scenario, side, reference) => {
    const values = {};
    for (const [section, prefix] of [...SECTIONS, [side, ""]]) {
      for (const [place, value] of Object.entries(scenario.inputs)) {
        const dot = place.indexOf("."), name = place.slice(dot + 1);
        if (place.slice(0, dot) !== section) continue;
        delete values[TWINS[name]];
        values[RENAMED[place] ?? prefix + name] = value;
      }
    }
    const known = { ...reference, ...values };
    for (const [name, number, question] of ELSE) {
      const [needs, of] = FORMULAS[number];
      if (name in values || !needs.every((need) => need in known) || (question && question !== scenario.question)) continue;
      values[name] = known[name] = of(known, F);
    }
    return walk(scenario.rows[side], values);
  };
  const prefixed = (prefix, values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));

  /* scenario: {inputs: {place: number}, rows: {part: {figure: number of its formula}}, question} */
  const workOut = (scenario) => {
    if (!scenario.rows.reference) return { candidate: sideOf(scenario, "candidate", {}) };
    const reference = sideOf(scenario, "reference", {}), of = prefixed("reference_", reference);
    const candidate = sideOf(scenario, "candidate", of);
    const both = "tok_per_s" in reference && "tok_per_s" in candidate;
    const rows = both ? scenario.rows.comparison : scenario.rows.equal;
    return { candidate, reference, comparison: walk(rows, { ...of, ...prefixed("candidate_", candidate) }) };
  };

  /* Value of "candidate.break_even_h", or of "ratio" for the comparison; undefined where it was not worked out. */
  const at = (worked, path) => {
    const dot = path.indexOf(".");
    const part = dot < 0 ? worked.comparison : worked[path.slice(0, dot)];
    return part === undefined || part === null ? undefined : part[path.slice(dot + 1)];
  };

  /* The scenario with other numbers; a fee given one way goes before a fee that stood there the other way. */
  const changed = (scenario, changes) => {
    const inputs = { ...scenario.inputs };
    for (const [place, value] of Object.entries(changes)) {
      const [section, name] = place.split(".");
      delete inputs[`${section}.${TWINS[name]}`];
      inputs[place] = value;
    }
    return { ...scenario, inputs };
  };

  /* Figures by path along a line of values of one input. */
  const along = (scenario, place, values, paths) => {
    const found = Object.fromEntries(paths.map((path) => [path, []]));
    for (const value of values) {
      const worked = workOut(changed(scenario, { [place]: value }));
      for (const path of paths) found[path].push(shown(at(worked, path)));
    }
    return found;
  };

  const gap = (worked, left, right) => {
    const a = at(worked, left), b = typeof right === "number" ? right : at(worked, right);
    return a === undefined || b === undefined ? NaN : a - b;
  };

  /* Where curves meet along a line of values, by halving. */
  const crossings = (scenario, place, values) => {
    const workedAt = (value) => workOut(changed(scenario, { [place]: value }));
    const worked = values.map(workedAt);
    const found = [];
    for (const [what, left, right] of CROSSINGS) {
      const gaps = worked.map((one) => gap(one, left, right));
      if (gaps.every((one) => Object.is(one, gaps[0]))) continue;
      gaps.forEach((one, i) => { if (one === 0) found.push({ what, at: values[i] }); });
      for (let i = 0; i + 1 < values.length; i += 1) {
        if (!(Math.sign(gaps[i]) * Math.sign(gaps[i + 1]) < 0)) continue;
        let low = values[i], high = values[i + 1];
        for (let step = 0; step < 60; step += 1) {
          const middle = (low + high) / 2;
          if (Math.sign(gap(workedAt(middle), left, right)) === Math.sign(gaps[i])) low = middle; else high = middle;
        }
        found.push({ what, at: (low + high) / 2 });
      }
    }
    return found.sort((a, b) => a.at - b.at);
  };

  /* Each range at its P10 and P90, all else as it stands; the longest bar first, one that ends at never on top. */
  const tornado = (scenario, target, ranges) => {
    const bars = Object.entries(ranges).map(([place, [p10, p90]]) => {
      const ends = [p10, p90].map((end) => shown(at(workOut(changed(scenario, { [place]: end })), target)));
      return { place, p10, p90, at_p10: ends[0], at_p90: ends[1] };
    });
    const length = (bar) => (bar.at_p10 === null || bar.at_p90 === null ? Infinity : Math.abs(bar.at_p90 - bar.at_p10));
    return { middle: shown(at(workOut(scenario), target)), swings: bars.sort((a, b) => length(b) - length(a)) };
  };

  return { F, NEUTRAL, workOut, at, shown, changed, along, crossings, tornado };
})();

if (typeof module !== "undefined") module.exports = Money;
