/* The list of runs: filter it, pick two, watch what is running. Asks this server again every two seconds; writes nothing. */
"use strict";

(() => {
  const EVERY_MS = 2000;
  const one = (selector, root = document) => root.querySelector(selector);
  const picked = [];
  let runs = [];

  const cell = (tag, text, name) => {
    const element = document.createElement(tag);
    element.textContent = text ?? "–";
    if (name) element.className = name;
    return element;
  };
  const query = (...ids) => ids.map((id) => `run=${encodeURIComponent(id)}`).join("&");
  const reportLink = (text, ...ids) => {
    const link = document.createElement("a");
    link.href = `/report?${query(...ids)}`;
    link.textContent = text;
    return link;
  };

  const rowOf = (run) => {
    const row = document.createElement("tr");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = picked.includes(run.id);
    box.setAttribute("aria-label", `Pick ${run.id}`);
    box.disabled = run.error !== null;
    box.addEventListener("change", () => {
      if (box.checked) picked.push(run.id); else picked.splice(picked.indexOf(run.id), 1);
      showPicked();
      show();
    });
    const place = picked.indexOf(run.id), pick = document.createElement("td");
    pick.append(box, place < 0 ? "" : ` ${String.fromCharCode(65 + place)}`);
    const name = document.createElement("th");
    name.scope = "row";
    name.append(run.error === null ? reportLink(run.id, run.id) : run.id);
    if (run.error !== null) name.append(cell("small", run.error, "caution"));
    if (run.running) { const mark = cell("small", "running"), dot = cell("span", "", "dot"); mark.prepend(dot); name.append(mark); }
    row.append(pick, name, cell("td", run.hardware), cell("td", run.engine), cell("td", run.model),
      cell("td", run.levels === null ? "–" : String(run.levels), "n"), cell("td", run.best === null ? "–" : Kit.si(run.best), "n"));
    return row;
  };

  const show = () => {
    const wanted = one("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = runs.filter((run) => {
      const text = [run.id, run.hardware, run.engine, run.model, run.running ? "running" : ""].join(" ").toLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    one("#runs tbody").replaceChildren(...fits.map(rowOf));
    one("#count").textContent = fits.length === runs.length ? `${runs.length} runs` : `${fits.length} of ${runs.length} runs`;
  };
  const showPicked = () => {
    const button = one("#compare");
    button.disabled = picked.length < 2;
    button.textContent = picked.length < 2 ? "Pick two to compare" : `Compare ${picked.length} runs`;
  };

  /* A running run: its levels over time, drawn again as they grow. */
  const live = async () => {
    const running = runs.filter((run) => run.running);
    const place = one("#live");
    for (const element of [...place.children]) if (!running.some((run) => run.id === element.dataset.id)) element.remove();
    for (const run of running) {
      const answer = await fetch(`/api/live?${query(run.id)}`);
      if (!answer.ok) continue;
      const told = await answer.json();
      let box = [...place.children].find((element) => element.dataset.id === run.id);
      if (!box) {
        box = document.createElement("div");
        box.className = "live";
        box.dataset.id = run.id;
        box.append(cell("h3", ""), cell("p", "", "lead"), cell("div", "", "chart"));
        place.append(box);
      }
      one("h3", box).replaceChildren(cell("span", "", "dot"), reportLink(run.id, run.id));
      one("p", box).textContent = told.now;
      if (told.series.length) Kit.draw(one(".chart", box), Charts.overTime({ series: told.series, label: run.id }, 0, told.unit), `Throughput over time of ${run.id}, as it goes on`);
    }
  };

  const refresh = async () => {
    try {
      const answer = await fetch("/api/runs");
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const told = await answer.json();
      const text = JSON.stringify(told.runs);
      if (text !== JSON.stringify(runs)) { runs = told.runs; show(); }
      await live();
      one("#error").textContent = "";
    } catch (error) {
      one("#error").textContent = `Not up to date: ${error.message}.`;
    }
    document.documentElement.dataset.ready = "yes";
    setTimeout(refresh, EVERY_MS);
  };

  one("#filter").addEventListener("input", show);
  one("#compare").addEventListener("click", () => { location.href = `/report?${query(...picked)}`; });
  showPicked();
  refresh();
})();
