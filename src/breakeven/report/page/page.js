/* The page: draws the charts, and shows the money again whenever a price changes. Nothing is sent anywhere. */
"use strict";

(() => {
  const { all, one, made } = Kit;
  const { data, current, scenario } = State;

  /* The charts by name; money's are made again with every change. */
  const fixed = {
    ...Object.fromEntries(Object.entries(data.plots ?? {}).map(([name, plot]) => [name, Charts[plot.kind](plot)])),
    throughput: Charts.throughput(data),
    ttft: Charts.latency(data, "ttft", "TTFT"),
    tpot: Charts.latency(data, "tpot", "TPOT"),
    pareto: Charts.pareto(data),
    energy: Charts.energy(data),
    ...(data.priced ? {} : { answer: MoneyCharts.ofRates() }),
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

  const legend = (which, items) => all(`.legend[data-legend=${which}]`).forEach((list) => list.replaceChildren(...items()));
  const runs = () => {
    const shown = data.subjects.slice(0, Kit.COLOURED).map((subject, i) => made("li", Kit.swatch(i, subject.predicted), `${subject.letter}: ${subject.marked}`));
    return data.subjects.length > Kit.COLOURED ? [...shown, made("li", `in grey: ${data.subjects.length - Kit.COLOURED} more`)] : shown;
  };
  const sides = () => ["candidate", "reference"].filter((side) => current().sides[side]).map((side) => made("li", Kit.swatch(MoneyCharts.indexOf(side)), `${side}: ${current().sides[side]}`));

  const render = () => {
    if (!data.money.length) return;
    const works = data.money.map((_, b) => Money.workOut(scenario(b))), worked = works[State.chosen.b];
    Figures.show(works, worked);
    live = MoneyCharts.builds(works, worked);
    for (const element of drawn.keys()) if (element.dataset.chart in live) drawOne(element);
    legend("sides", sides);
  };

  /* Start: legends, fields, figures, charts; all of them again before printing. */
  if (data.subjects.length > 1) legend("runs", runs);
  WhatIf.start(render);
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
  window.breakeven = { drawAll, tornado: MoneyCharts.tornado, worked: () => Money.workOut(scenario()), toml: State.toml, amount: Say.amount };
})();
