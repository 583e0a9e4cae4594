/* The list of runs: filter it, pick two, watch what is running. Asks this server again every two seconds; writes nothing. */
"use strict";

(() => {
  const EVERY_MS = 2000, MOST_PICKED = 12;
  const one = (selector, root = document) => root.querySelector(selector);
  const picked = [];
  let told = { runs: [], studies: [] };

  const cell = (tag, text, name, label) => {
    const element = document.createElement(tag);
    element.textContent = text ?? "–";
    if (name) element.className = name;
    if (label) element.dataset.label = label;
    return element;
  };
  const query = (...ids) => ids.map((id) => `run=${encodeURIComponent(id)}`).join("&");
  const reportLink = (text, ...ids) => Object.assign(document.createElement("a"), { href: `/report?${query(...ids)}`, textContent: text });
  const when = (text) => (text ? text.slice(0, 16).replace("T", " ") : null);
  const GOOD = ["done", "running", "imported", "predicted", "data_set"];
  const isGood = (run) => GOOD.includes(run.status);

  const rowOf = (run) => {
    const row = document.createElement("tr");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: picked.includes(run.id), disabled: run.error !== null });
    box.setAttribute("aria-label", `Pick ${run.id}`);
    box.addEventListener("change", () => {
      if (box.checked) picked.push(run.id); else picked.splice(picked.indexOf(run.id), 1);
      showPicked();
      show();
    });
    const place = picked.indexOf(run.id), pick = document.createElement("td");
    pick.append(box, place < 0 ? "" : ` ${String.fromCharCode(65 + place)}`);
    const name = cell("th", "", "wide");
    name.scope = "row";
    name.append(run.error === null ? reportLink(run.id, run.id) : run.id);
    const status = cell("td", "", null, "Status"), state = cell("span", run.status, isGood(run) ? "state" : "state bad");
    if (run.running) state.prepend(cell("span", "", "dot"));
    status.append(state);
    if (run.error ?? run.why) status.append(cell("small", run.error ?? run.why));
    row.append(pick, name, status, cell("td", when(run.started), "time", "Time"), cell("td", run.hardware === null ? null : [run.hardware, run.engine].filter(Boolean).join(" · "), null, "Machine · engine"),
      cell("td", run.model, null, "Model"), cell("td", run.workload, null, "Workload"), cell("td", run.load, null, "Load"),
      cell("td", String(run.errors), run.errors ? "n bad" : "n", "Errors"), cell("td", run.best === null ? null : Kit.si(run.best) + (run.unit === "tok" ? "" : ` ${run.unit}/s`), "n", "Best tok/s"));
    return row;
  };

  const STATES = { all: () => true, running: (run) => run.running, done: (run) => run.status === "done", "with problems": (run) => !isGood(run) || run.errors > 0 };
  const show = () => {
    const wanted = one("#filter").value.toLowerCase().split(/\s+/).filter(Boolean), state = STATES[one("#state").value];
    const fits = told.runs.filter((run) => {
      const text = [run.id, run.hardware, run.engine, run.model, run.workload, run.load, run.status].join(" ").toLowerCase();
      return state(run) && wanted.every((word) => text.includes(word));
    });
    one("#runs tbody").replaceChildren(...fits.map(rowOf));
    one("#count").textContent = fits.length === told.runs.length ? `${told.runs.length} runs` : `${fits.length} of ${told.runs.length} runs`;
    one("#studies").replaceChildren(...told.studies.map((study) => {
      const item = cell("li", ""), failed = Object.entries(study.failures);
      item.append(cell("strong", `Study ${study.id}`), `: ${study.runs.length} run${study.runs.length === 1 ? "" : "s"} `);
      if (study.runs.length) item.append(reportLink("open its page", study.id));
      for (const [what, why] of failed) item.append(cell("small", `${what} failed: ${why}`, "bad"));
      return item;
    }));
  };
  const showPicked = () => {
    one("#over-time").disabled = picked.length < 2;
    const button = one("#compare");
    button.disabled = picked.length < 2 || picked.length > MOST_PICKED;
    button.textContent = picked.length < 2 ? "Pick two to compare" : `Compare ${picked.length} runs`;
  };

  /* A running run: its levels over time, the newest first, drawn again as they grow. */
  const live = async () => {
    const running = told.runs.filter((run) => run.running), place = one("#live");
    for (const element of [...place.children]) if (!running.some((run) => run.id === element.dataset.id)) element.remove();
    for (const run of running) {
      const answer = await fetch(`/api/live?${query(run.id)}`);
      if (!answer.ok) continue;
      const now = await answer.json();
      let box = [...place.children].find((element) => element.dataset.id === run.id);
      if (!box) {
        box = cell("section", "", "live");
        box.dataset.id = run.id;
        box.append(cell("h2", ""), cell("p", "", "lead"), cell("div", "", "chart"));
        place.append(box);
      }
      one("h2", box).replaceChildren(cell("span", "", "dot"), reportLink(run.id, run.id));
      one("p", box).textContent = now.now;
      if (now.series.length) Kit.draw(one(".chart", box), Charts.overTime({ series: [...now.series].reverse(), label: run.id }, 0, now.unit), `Throughput over time of ${run.id}, as it goes on`);
    }
  };

  const refresh = async () => {
    try {
      const answer = await fetch("/api/runs");
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const newest = await answer.json();
      if (JSON.stringify(newest) !== JSON.stringify(told)) { told = newest; show(); }
      await live();
      one("#error").textContent = "";
    } catch (error) {
      one("#error").textContent = `Not up to date: ${error.message}.`;
    }
    document.documentElement.dataset.ready = "yes";
    setTimeout(refresh, EVERY_MS);
  };

  one("#filter").addEventListener("input", show);
  one("#state").addEventListener("change", show);
  one("#compare").addEventListener("click", () => { location.href = `/report?${query(...picked)}`; });
  one("#over-time").addEventListener("click", () => { location.href = `/history?${query(...picked)}`; });
  showPicked();
  refresh();
})();
