/* The money in words and tables: the answer, the figures, the ranking and the crossings, by what is asked. */
"use strict";

const Figures = (() => {
  const { all, one, made } = Kit;
  const { data, current, changes, scenario } = State;
  const { short, digits } = Say;

  const inDigits = (value) => (value === null ? "–" : digits(value));
  const textAt = (worked, path) => {
    const value = Money.at(worked, path), shown = Money.shown(value), row = data.rows[path.slice(path.indexOf(".") + 1)];
    if (shown === null) return value !== undefined && row.never ? "never" : "–";
    return Say.amount(shown, row.unit, row.said);
  };

  /* Cost per token of the candidate / the reference's, with the interval of k as it was measured. */
  const costRatio = (worked) => {
    const times = Money.shown(Money.at(worked, "usd_per_mtok_ratio"));
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
    const told = current(), changed = Object.keys(changes()).length;
    if (!told.answer) return;
    const ratio = costRatio(worked), k = Money.at(worked, "k"), ends = Say.interval(ratio.ends, digits);
    const texts = { ratio: inDigits(ratio.value), k: inDigits(k === undefined ? null : Money.shown(k * told.k_scale)), cost: textAt(worked, "candidate.usd_per_mtok_output") };
    one("#answer").replaceChildren(...told.answer.map((part) => {
      if (typeof part === "string") return part;
      const output = made("output", changed ? texts[part.figure] : part.text);
      output.dataset.part = part.figure;
      return output;
    }));
    one("#sure").textContent = changed ? `What if, with ${changed} changed number${changed > 1 ? "s" : ""}. ${ends ? `95 %: ${ends} of the cost. ` : ""}The measurement stays as it was.` : told.sure;
  };

  const renderFigures = (worked) => {
    for (const element of all("[data-fig]")) {
      const path = element.dataset.fig, value = path === "cost_ratio" ? costRatio(worked).value : Money.at(worked, path);
      const text = path === "cost_ratio" ? inDigits(value) : textAt(worked, path), [number, ...unit] = text.split(" ");
      if (element.dataset.kpi === undefined || !unit.length) element.textContent = text;
      else element.replaceChildren(number, " ", made("small", unit.join(" ")));
      element.dataset.value = Money.shown(value ?? NaN) ?? "";
    }
  };

  /* The lines of the ranking, each at its own price. */
  const lines = all("#ranking tbody tr");
  const renderRanking = (works) => {
    if (!data.priced || !lines.length) return;
    const rows = MoneyCharts.ranked(works), first = rows[0].usd;
    const longest = Math.max(...rows.map((row) => row.usd ?? 0)), most = Math.min(Math.max(longest, ...rows.map((row) => row.ends[1] ?? 0)), 2.5 * longest);
    const share = (value) => `${Math.max(0, Math.min(100, (100 * value) / most)).toFixed(2)}%`;
    rows.forEach((row, place) => {
      const line = lines[row.i], { usd, ends } = row, before = rows[place - 1];
      const tie = usd !== null && place > 0 && ends[0] !== null && before.ends[1] !== null && ends[0] <= before.ends[1];
      const tell = (selector, text) => { const part = one(selector, line); if (part) part.textContent = text; };
      line.classList.toggle("best", usd !== null && place === 0);
      tell(".rank span", usd === null ? "–" : `${place + 1}`);
      tell(".price span", row.hour === null ? "–" : `${Say.price(row.hour)} ${row.kind}`);
      tell(".figure > span", usd === null ? "–" : short(usd));
      tell(".figure > small", Say.interval(ends, short));
      tell(".margin span", usd === null ? "–" : place === 0 ? "cheapest" : `+${Say.whole(100 * (usd / first - 1))} %${tie ? ", a tie with the line above" : ""}`);
      if (usd !== null) {
        one("svg rect", line)?.setAttribute("width", share(usd));
        if (ends[0] !== null && ends[1] !== null) ["x1", "x2"].forEach((name, i) => one("svg line", line)?.setAttribute(name, share(ends[i])));
      }
      line.parentNode.append(line);
    });
  };

  const renderCrossings = (worked) => {
    const rents = MoneyCharts.rents(worked), found = rents.length ? Money.crossings(scenario(), "candidate.rent_usd_per_h", rents) : [];
    const items = found.map(({ what, at }) => {
      const number = made("strong", `${Say.general(at, 4)} USD/h`);
      number.dataset.crossing = String(at);
      return made("li", number, ` ${what.replaceAll("{tokens}", data.counted)}`);
    });
    one("#crossings")?.replaceChildren(...(items.length ? items : ["No curves meet along these rents."]));
  };

  /* What names the candidate that is looked at; what was worked out for the first one alone is hidden at another. */
  const renderNames = (worked) => {
    all("[data-gpu]").forEach((element) => { element.textContent = current().sides[element.dataset.gpu]; });
    for (const side of ["candidate", "reference"].filter((name) => worked[name])) {
      const head = `${Say.general(worked[side].count, 3)} × ${current().gpus[side]}`;
      all(`th.${side}`).forEach((element) => { element.textContent = head; });
      all(`td.${side}`).forEach((element) => { element.dataset.label = head; });
    }
    all("[data-best-only]").forEach((element) => { element.hidden = State.chosen.b !== (data.best ?? 0); });
  };

  const show = (works, worked) => {
    renderFigures(worked);
    renderAnswer(worked);
    renderRanking(works);
    renderCrossings(worked);
    renderNames(worked);
  };
  return { show };
})();
