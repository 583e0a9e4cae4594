/* The economics, in the browser: the same figures by the same formulas as the library (breakeven.cost).
 *
 * A test holds every row against the library's to 1e-9. `workOut` takes numbers by place ("candidate.count") and gives
 * the columns of each side and of the comparison. Inside, Infinity stands for never and NaN for undefined; `shown`
 * turns both into null. A figure whose inputs are missing is not there.
 */
"use strict";

const Money = (() => {
  const S_PER_H = 3600, S_PER_DAY = 86400, TOK_PER_MTOK = 1e6, W_PER_KW = 1000;
  const H_PER_YEAR = 8766, H_PER_DAY = 24, MONTHS_PER_YEAR = 12, H_PER_MONTH = H_PER_YEAR / MONTHS_PER_YEAR;

  /* What an input counts as when nobody gives it. */
  const NEUTRAL = {
    host_usd: 0, host_w: 0, opex_usd_per_h: 0, pue: 1, rented_share: 1, load_factor: 1, availability: 1,
    fee_share: 0, price_decline_per_year: 0, residual_share: 0,
  };
  const WORK = ["tok_per_s", "input_tok_per_s", "good_tok_per_s"];

  const over = (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : b > 0 ? a / b : Infinity);
  const atMostAll = (share) => (share > 1 ? Infinity : share);
  const shown = (value) => (value === undefined || !Number.isFinite(value) ? null : value);

  /* 1 + q + q^2 + … + q^(n-1) */
  const geometric = (q, n) =>
    q === 1 ? n : q === 0 ? 1 : Math.expm1(n * Math.log(q)) / (q - 1);

  const presentValue = (v, discount) => {
    const monthly = (1 + discount) ** (-1 / MONTHS_PER_YEAR);
    const kept = (1 - v.price_decline_per_year) ** (1 / MONTHS_PER_YEAR);
    const earned = v.revenue_usd_per_h * monthly * geometric(kept * monthly, v.months);
    const spent = v.running_usd_per_h * monthly * geometric(monthly, v.months);
    return (earned - spent) * H_PER_MONTH;
  };

  /* Round half to even, as the library does. */
  const rounded = (x) => {
    const low = Math.floor(x), rest = x - low;
    return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1;
  };

  const row = (needs, of, group = "owner") => ({ needs: needs.split(" "), of, group });

  const SIDE = {
    investment_usd: row("count purchase_usd host_usd", (v) => v.count * (v.purchase_usd + v.host_usd)),
    rent_usd_per_h_set: row("count rent_usd_per_h", (v) => v.count * v.rent_usd_per_h),
    energy_usd_per_h: row(
      "count usd_per_kwh pue rented_share power_load_w power_idle_w host_w",
      (v) =>
        (v.count * v.usd_per_kwh * v.pue *
          (v.rented_share * v.power_load_w + (1 - v.rented_share) * v.power_idle_w + v.host_w)) / W_PER_KW,
    ),
    running_usd_per_h: row("energy_usd_per_h count opex_usd_per_h", (v) => v.energy_usd_per_h + v.count * v.opex_usd_per_h),
    revenue_usd_per_h: row(
      "rent_usd_per_h_set rented_share availability fee_share",
      (v) => v.rent_usd_per_h_set * v.rented_share * v.availability * (1 - v.fee_share),
    ),
    profit_usd_per_h: row("revenue_usd_per_h running_usd_per_h", (v) => v.revenue_usd_per_h - v.running_usd_per_h),
    break_even_h: row("investment_usd profit_usd_per_h", (v) => over(v.investment_usd, v.profit_usd_per_h)),
    break_even_days: row("break_even_h", (v) => v.break_even_h / H_PER_DAY),
    roi_per_year: row("profit_usd_per_h investment_usd", (v) => over(v.profit_usd_per_h * H_PER_YEAR, v.investment_usd)),
    months: row("life_years", (v) => Math.max(rounded(v.life_years * MONTHS_PER_YEAR), 1), "life"),
    discount_factor: row(
      "discount_per_year months",
      (v) => (1 + v.discount_per_year) ** (-v.months / MONTHS_PER_YEAR),
      "life",
    ),
    annuity_years: row(
      "discount_per_year months",
      (v) => {
        const years = v.months / MONTHS_PER_YEAR, r = v.discount_per_year;
        return r > 0 ? -Math.expm1(-years * Math.log1p(r)) / r : years;
      },
      "life",
    ),
    capital_usd_per_h: row(
      "investment_usd residual_share discount_factor annuity_years",
      (v) => (v.investment_usd * (1 - v.residual_share * v.discount_factor)) / v.annuity_years / H_PER_YEAR,
      "life",
    ),
    total_usd_per_h: row("capital_usd_per_h running_usd_per_h", (v) => v.capital_usd_per_h + v.running_usd_per_h, "life"),
    floor_rent_usd_per_h_card: row(
      "total_usd_per_h rented_share availability fee_share count",
      (v) => over(v.total_usd_per_h, v.rented_share * v.availability * (1 - v.fee_share) * v.count),
      "life",
    ),
    npv_usd: row(
      "revenue_usd_per_h running_usd_per_h price_decline_per_year discount_per_year months investment_usd " +
        "residual_share discount_factor",
      (v) =>
        presentValue(v, v.discount_per_year) + v.investment_usd * v.residual_share * v.discount_factor - v.investment_usd,
      "life",
    ),
    roi_life: row(
      "revenue_usd_per_h running_usd_per_h price_decline_per_year months investment_usd residual_share",
      (v) => over(presentValue(v, 0) + (v.residual_share - 1) * v.investment_usd, v.investment_usd),
      "life",
    ),
    idle_usd_per_h: row(
      "count opex_usd_per_h usd_per_kwh pue power_idle_w host_w",
      (v) => v.count * (v.opex_usd_per_h + (v.usd_per_kwh * v.pue * (v.power_idle_w + v.host_w)) / W_PER_KW),
      "life",
    ),
    busy_usd_per_h: row(
      "count usd_per_kwh pue power_load_w power_idle_w",
      (v) => (v.count * v.usd_per_kwh * v.pue * (v.power_load_w - v.power_idle_w)) / W_PER_KW,
      "life",
    ),
    break_even_rented_share: row(
      "capital_usd_per_h idle_usd_per_h rent_usd_per_h_set availability fee_share busy_usd_per_h",
      (v) =>
        atMostAll(
          over(
            v.capital_usd_per_h + v.idle_usd_per_h,
            v.rent_usd_per_h_set * v.availability * (1 - v.fee_share) - v.busy_usd_per_h,
          ),
        ),
      "life",
    ),
    owner_usd_per_h_set: row(
      "capital_usd_per_h idle_usd_per_h load_factor busy_usd_per_h availability",
      (v) => over(v.capital_usd_per_h + v.idle_usd_per_h + v.load_factor * v.busy_usd_per_h, v.availability),
      "life",
    ),
    owner_usd_per_h_card: row("owner_usd_per_h_set count", (v) => v.owner_usd_per_h_set / v.count, "life"),
    rent_or_buy_h: row(
      "investment_usd rent_usd_per_h_set idle_usd_per_h busy_usd_per_h",
      (v) => over(v.investment_usd, v.rent_usd_per_h_set - v.idle_usd_per_h - v.busy_usd_per_h),
      "life",
    ),
    rent_or_buy_share: row(
      "capital_usd_per_h idle_usd_per_h rent_usd_per_h_set busy_usd_per_h",
      (v) => atMostAll(over(v.capital_usd_per_h + v.idle_usd_per_h, v.rent_usd_per_h_set - v.busy_usd_per_h)),
      "life",
    ),
    usd_per_tok_per_s: row(
      "investment_usd count tok_per_s",
      (v) => v.investment_usd / (v.count * v.tok_per_s),
      "tokens",
    ),
    serving_usd_per_h: row("owner_usd_per_h_set", (v) => v.owner_usd_per_h_set, "tokens"),
    usd_per_mtok_output: row(
      "serving_usd_per_h count tok_per_s load_factor",
      (v) => over(v.serving_usd_per_h * TOK_PER_MTOK, v.count * v.tok_per_s * v.load_factor * S_PER_H),
      "tokens",
    ),
    usd_per_mtok_blended: row(
      "serving_usd_per_h count tok_per_s input_tok_per_s load_factor",
      (v) =>
        over(
          v.serving_usd_per_h * TOK_PER_MTOK,
          v.count * (v.tok_per_s + v.input_tok_per_s) * v.load_factor * S_PER_H,
        ),
      "tokens",
    ),
    usd_per_mtok_output_apart: row(
      "serving_usd_per_h count tok_per_s input_gpu_s_ratio input_tok_per_s load_factor",
      (v) =>
        over(
          v.serving_usd_per_h * TOK_PER_MTOK,
          v.count * (v.tok_per_s + v.input_gpu_s_ratio * v.input_tok_per_s) * v.load_factor * S_PER_H,
        ),
      "tokens",
    ),
    usd_per_mtok_input_apart: row(
      "input_gpu_s_ratio usd_per_mtok_output_apart",
      (v) => v.input_gpu_s_ratio * v.usd_per_mtok_output_apart,
      "tokens",
    ),
    usd_per_mtok_good: row(
      "serving_usd_per_h count good_tok_per_s load_factor",
      (v) => over(v.serving_usd_per_h * TOK_PER_MTOK, v.count * v.good_tok_per_s * v.load_factor * S_PER_H),
      "tokens",
    ),
    tok_per_usd: row(
      "usd_per_mtok_output",
      (v) => over(v.usd_per_mtok_output * 0 + TOK_PER_MTOK, v.usd_per_mtok_output),
      "tokens",
    ),
    tok_per_j: row("tok_per_s power_load_w", (v) => over(v.tok_per_s, v.power_load_w), "tokens"),
    api_usd_per_h: row(
      "count load_factor tok_per_s api_usd_per_mtok_output input_tok_per_s api_usd_per_mtok_input",
      (v) =>
        (v.count * v.load_factor *
          (v.tok_per_s * v.api_usd_per_mtok_output + v.input_tok_per_s * v.api_usd_per_mtok_input) *
          S_PER_H) / TOK_PER_MTOK,
      "api",
    ),
    api_full_usd_per_h: row("api_usd_per_h load_factor", (v) => over(v.api_usd_per_h, v.load_factor), "api"),
    api_parity_usd_per_h_card: row("api_usd_per_h count", (v) => v.api_usd_per_h / v.count, "api"),
    api_break_even_h: row(
      "investment_usd api_usd_per_h idle_usd_per_h load_factor busy_usd_per_h",
      (v) => over(v.investment_usd, v.api_usd_per_h - v.idle_usd_per_h - v.load_factor * v.busy_usd_per_h),
      "api",
    ),
    api_flip_load_factor: row(
      "capital_usd_per_h idle_usd_per_h api_full_usd_per_h availability busy_usd_per_h",
      (v) =>
        atMostAll(
          over(v.capital_usd_per_h + v.idle_usd_per_h, v.api_full_usd_per_h * v.availability - v.busy_usd_per_h),
        ),
      "api",
    ),
    api_flip_mtok_per_day: row(
      "api_flip_load_factor count tok_per_s input_tok_per_s",
      (v) => (v.api_flip_load_factor * v.count * (v.tok_per_s + v.input_tok_per_s) * S_PER_DAY) / TOK_PER_MTOK,
      "api",
    ),
  };

  /* What replaces rows of SIDE for a deployment that pays rent. */
  const RENTED = {
    serving_usd_per_h: row("rent_usd_per_h_set", (v) => v.rent_usd_per_h_set, "tokens"),
    api_flip_load_factor: row(
      "rent_usd_per_h_set api_full_usd_per_h",
      (v) => atMostAll(over(v.rent_usd_per_h_set, v.api_full_usd_per_h)),
      "api",
    ),
  };

  const COMPARISON = {
    k: row("candidate_count reference_count", (v) => v.candidate_count / v.reference_count),
    parity_usd_per_h_set: row(
      "candidate_investment_usd reference_break_even_h candidate_running_usd_per_h candidate_rented_share " +
        "candidate_availability candidate_fee_share",
      (v) => {
        const wanted = over(v.candidate_investment_usd, v.reference_break_even_h) + v.candidate_running_usd_per_h;
        const rent = over(wanted, v.candidate_rented_share * v.candidate_availability * (1 - v.candidate_fee_share));
        return Number.isFinite(v.reference_break_even_h) ? rent : NaN;
      },
    ),
    parity_usd_per_h_card: row("parity_usd_per_h_set candidate_count", (v) => v.parity_usd_per_h_set / v.candidate_count),
    ratio: row(
      "reference_rent_usd_per_h_set parity_usd_per_h_set",
      (v) => over(v.reference_rent_usd_per_h_set, v.parity_usd_per_h_set),
    ),
    whole_cards: row("candidate_count", (v) => Math.ceil(v.candidate_count - 1e-9)),
    ratio_whole_cards: row(
      "reference_rent_usd_per_h_set whole_cards parity_usd_per_h_card",
      (v) => over(v.reference_rent_usd_per_h_set, v.whole_cards * v.parity_usd_per_h_card),
    ),
    k_tokens: row("reference_tok_per_s candidate_tok_per_s", (v) => v.reference_tok_per_s / v.candidate_tok_per_s),
    cost_parity_usd_per_h_card: row(
      "reference_rent_usd_per_h k_tokens",
      (v) => v.reference_rent_usd_per_h / v.k_tokens,
    ),
    cost_parity_owner_usd_per_h_card: row(
      "reference_owner_usd_per_h_card k_tokens",
      (v) => v.reference_owner_usd_per_h_card / v.k_tokens,
    ),
    usd_per_mtok_ratio: row(
      "reference_usd_per_mtok_output candidate_usd_per_mtok_output",
      (v) => over(v.reference_usd_per_mtok_output, v.candidate_usd_per_mtok_output),
    ),
    capital_ratio: row(
      "reference_investment_usd candidate_investment_usd",
      (v) => over(v.reference_investment_usd, v.candidate_investment_usd),
    ),
  };

  /* What replaces rows of COMPARISON where no throughput is given: both sets do equal work by assumption. */
  const ASSUMED_EQUAL = { k_tokens: row("k", (v) => v.k) };

  /* Where two curves of a sweep meet: what, left, right (a path or a number). */
  const CROSSINGS = [
    ["both break even at the same time (ROI parity)", "candidate.break_even_h", "reference.break_even_h"],
    ["output tokens cost the same", "candidate.usd_per_mtok_output", "reference.usd_per_mtok_output"],
    ["the sets rent for the same (cost parity, renter)", "candidate.rent_usd_per_h_set", "reference.rent_usd_per_h_set"],
    ["the candidate's profit is 0", "candidate.profit_usd_per_h", 0],
    ["the reference's profit is 0", "reference.profit_usd_per_h", 0],
    ["the candidate's NPV is 0", "candidate.npv_usd", 0],
    ["the reference's NPV is 0", "reference.npv_usd", 0],
    ["the candidate's tokens cost what the API charges", "candidate.serving_usd_per_h", "candidate.api_usd_per_h"],
    ["ROI parity rent equals the reference's rent (ratio 1)", "ratio", 1],
  ];

  const walk = (rows, values) => {
    for (const [name, { needs, of }] of Object.entries(rows)) {
      if (needs.every((need) => need in values)) values[name] = of(values);
    }
    return values;
  };

  /* Inputs of one side: the market's, overlaid with its own; a mark-up becomes a share. */
  const own = (inputs, side) => {
    const values = {};
    for (const [section, prefix] of [["market", ""], ["tokens", ""], ["api", "api_"], [side, ""]]) {
      const found = {};
      for (const [place, value] of Object.entries(inputs)) {
        if (place.startsWith(section + ".")) found[prefix + place.slice(section.length + 1)] = value;
      }
      if ("fee_markup" in found) {
        found.fee_share = found.fee_markup / (1 + found.fee_markup);
        delete found.fee_markup;
      }
      Object.assign(values, found);
    }
    return values;
  };

  const workOutSide = (scenario, side, reference) => {
    const values = own(scenario.inputs, side);
    const rentOfSet = values.rent_usd_per_h_set;
    delete values.rent_usd_per_h_set;
    if (!("rent_usd_per_h" in values) && rentOfSet !== undefined && "count" in values) {
      values.rent_usd_per_h = rentOfSet / values.count;
    }
    if (!("tok_per_s" in values) && "tok_per_s" in reference) {
      const share = reference.count / values.count;
      for (const name of WORK) if (name in reference && !(name in values)) values[name] = reference[name] * share;
    }
    if (!("input_tok_per_s" in values) && "input_per_output" in values && "tok_per_s" in values) {
      values.input_tok_per_s = values.tok_per_s * values.input_per_output;
    }
    for (const [name, value] of Object.entries(NEUTRAL)) if (!(name in values)) values[name] = value;
    if (!("power_idle_w" in values) && "power_load_w" in values) values.power_idle_w = values.power_load_w;
    const rows = { ...SIDE, ...(scenario.pays[side] === "rent" ? RENTED : {}) };
    const asked = Object.fromEntries(Object.entries(rows).filter(([, one]) => scenario.api || one.group !== "api"));
    return walk(asked, values);
  };

  /* scenario: {inputs: {place: number}, pays: {candidate, reference?}, api: bool} */
  const workOut = (scenario) => {
    const reference = scenario.pays.reference ? workOutSide(scenario, "reference", {}) : null;
    const candidate = workOutSide(scenario, "candidate", reference ?? {});
    if (reference === null) return { candidate };
    const both = "tok_per_s" in reference && "tok_per_s" in candidate;
    const values = {};
    for (const [name, value] of Object.entries(reference)) values["reference_" + name] = value;
    for (const [name, value] of Object.entries(candidate)) values["candidate_" + name] = value;
    const comparison = walk(both ? COMPARISON : { ...COMPARISON, ...ASSUMED_EQUAL }, values);
    return { candidate, reference, comparison };
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
      if (place.endsWith(".fee_share")) delete inputs[place.replace("fee_share", "fee_markup")];
      if (place.endsWith(".fee_markup")) delete inputs[place.replace("fee_markup", "fee_share")];
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

  /* The months of an owner's cash flow: minus the purchase, then each month's profit, the resale in the last. */
  const flows = (v) => {
    const kept = (1 - v.price_decline_per_year) ** (1 / MONTHS_PER_YEAR), count = rounded(v.months);
    const found = [-v.investment_usd];
    for (let m = 0; m < count; m += 1) {
      found.push((v.revenue_usd_per_h * kept ** m - v.running_usd_per_h) * H_PER_MONTH);
    }
    found[count] += v.residual_share * v.investment_usd;
    return found;
  };

  const discountedPayback = (v) => {
    const months = flows(v), factor = (1 + v.discount_per_year) ** (1 / MONTHS_PER_YEAR);
    const resale = v.residual_share * v.investment_usd;
    let owed = -months[0];
    for (let month = 1; month < months.length; month += 1) {
      const worth = (months[month] - (month === months.length - 1 ? resale : 0)) / factor ** month;
      if (worth > 0 && owed <= worth) return (month - 1 + owed / worth) * H_PER_MONTH;
      owed -= worth;
    }
    return null;
  };

  const worthAt = (months, growth) => {
    let value = 0;
    if (growth <= 1) for (let i = months.length - 1; i >= 0; i -= 1) value = value * growth + months[i];
    else for (const month of months) value = value / growth + month;
    return value;
  };

  const irr = (v) => {
    const months = flows(v), signs = months.filter((flow) => flow !== 0).map((flow) => flow > 0);
    const changes = signs.slice(1).filter((sign, i) => sign !== signs[i]).length;
    if (changes !== 1) return null;
    const rising = signs[signs.length - 1];
    let low = 0, high = 1;
    while (worthAt(months, high) > 0 !== rising && high < 1e9) high *= 2;
    for (let i = 0; i < 200; i += 1) {
      const middle = (low + high) / 2;
      if (worthAt(months, middle) > 0 === rising) high = middle; else low = middle;
    }
    return (2 / (low + high)) ** MONTHS_PER_YEAR - 1;
  };

  /* Figures that are searched for, month by month; undefined where an input is missing. */
  const searched = (values) =>
    "npv_usd" in values
      ? { discounted_payback_h: discountedPayback(values), irr_per_year: irr(values) }
      : { discounted_payback_h: undefined, irr_per_year: undefined };

  return { SIDE, RENTED, COMPARISON, NEUTRAL, CROSSINGS, workOut, at, shown, changed, along, crossings, tornado, searched };
})();

if (typeof module !== "undefined") module.exports = Money;
