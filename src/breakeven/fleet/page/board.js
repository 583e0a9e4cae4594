/* The leaderboard: searches, filters and sorts its lines, makes only those rows that are in view, and unpacks a node's
   evidence when its page is opened. Every text is put in as text; nothing is sent or fetched. */
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const one = (selector) => document.querySelector(selector);
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  const lines = data.lines, count = lines.node.length, ROW = 44, MORE = 12;
  const groupText = data.groups.map((group) => group.name);
  const haystack = lines.node.map((node, i) => `${node} ${groupText[lines.group[i]]}`.toLowerCase());

  /* What is shown: the lines that fit, in the order asked for. */
  const state = { sort: null, down: true, shown: [] };
  const fitting = () => {
    const words = one("#filter").value.toLowerCase().split(/\s+/).filter(Boolean), group = one("#group").value;
    const found = [];
    for (let i = 0; i < count; i += 1) {
      if ((group === "" || lines.group[i] === Number(group)) && words.every((word) => haystack[i].includes(word))) found.push(i);
    }
    if (state.sort === null) return found;
    const values = lines[state.sort], sign = state.down ? -1 : 1;
    const known = found.filter((i) => values[i] !== null), rest = found.filter((i) => values[i] === null);
    const text = typeof values[known[0]] === "string" || state.sort === "group";
    const key = state.sort === "group" ? (i) => groupText[values[i]] : (i) => values[i];
    known.sort((a, b) => (text ? -sign * key(a).localeCompare(key(b)) : sign * (key(a) - key(b))) || a - b);
    return [...known, ...rest];
  };

  const view = one("#rows"), body = one("#rows tbody");
  const space = (height) => {
    const row = make("tr", undefined, "space"), cell = make("td");
    cell.colSpan = [...document.querySelectorAll("#rows thead th")].filter((head) => head.offsetParent !== null).length || 1;
    cell.style.height = `${height}px`;
    row.setAttribute("aria-hidden", "true");
    row.append(cell);
    return row;
  };
  const cellOf = (column, i) => {
    const name = `${column.style}${column.number ? " n" : ""}`;
    const group = data.groups[lines.group[i]];
    if (column.name === "group") { const cell = make("td", group.first, name); cell.title = group.name; cell.append(make("small", group.second)); return cell; }
    if (column.name !== "node") return make("td", data.texts[column.name][i], name);
    const cell = make("th", undefined, name), link = make("a", lines.node[i]);
    cell.scope = "row";
    link.href = `#node=${i}`;
    cell.title = lines.node[i];
    if (lines.marks[i]) link.append(" ⚠");
    cell.append(link, make("small", `${group.first} · ${group.second}`));
    return cell;
  };
  const rowOf = (i, place) => {
    const row = make("tr", undefined, lines.high[i] !== null && lines.high[i] < -0.05 ? "line slow" : "line");
    row.setAttribute("aria-rowindex", String(place + 2));
    row.append(...data.columns.map((column) => cellOf(column, i)));
    row.addEventListener("click", (event) => { if (!event.target.closest("a")) location.hash = `node=${i}`; });
    return row;
  };
  let from = -1, until = -1;
  const draw = (force) => {
    const top = Math.max(0, Math.floor(view.scrollTop / ROW) - MORE);
    const end = Math.min(state.shown.length, Math.ceil((view.scrollTop + view.clientHeight) / ROW) + MORE);
    if (!force && top === from && end === until) return;
    [from, until] = [top, end];
    const rows = state.shown.slice(top, end).map((i, at) => rowOf(i, top + at));
    body.replaceChildren(space(top * ROW), ...rows, space((state.shown.length - end) * ROW));
  };
  const show = () => {
    state.shown = fitting();
    view.scrollTop = 0;
    one("#count").textContent = state.shown.length === count ? `${data.total} lines` : `${state.shown.length} of ${data.total} lines`;
    one("#rows table").setAttribute("aria-rowcount", String(state.shown.length + 1));
    const group = one("#group").value, told = group === "" ? null : data.groups[Number(group)];
    one("#told").textContent = told === null ? data.told : told.told;
    one("#cautions").replaceChildren(...(told === null ? [] : told.cautions).map((text) => make("li", `⚠ ${text}`)));
    for (const button of document.querySelectorAll("#rows thead button")) {
      if (button.dataset.name === state.sort) button.setAttribute("aria-sort", state.down ? "descending" : "ascending"); else button.removeAttribute("aria-sort");
    }
    draw(true);
  };

  /* One node: where it stands, what was measured, what it said of itself, its newest jobs. */
  const unpacked = new Map();
  const evidence = async (node) => {
    const shard = Math.floor(node / data.shard);
    if (!unpacked.has(shard)) {
      const bytes = Uint8Array.from(atob(data.evidence[shard]), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      unpacked.set(shard, JSON.parse(await new Response(stream).text()));
    }
    return unpacked.get(shard)[node % data.shard];
  };
  const table = (whole, every, numbers) => {
    const kept = whole.map((_, i) => i).filter((i) => every.some((cells) => cells[i] !== "-"));
    const head = kept.map((i) => whole[i]), rows = every.map((cells) => kept.map((i) => cells[i]));
    numbers = kept.filter((i) => i < numbers).length;
    const element = make("table"), top = make("thead"), inside = make("tbody"), row = make("tr");
    row.append(...head.map((text, i) => { const cell = make("th", text, i >= numbers ? "n" : ""); cell.scope = "col"; return cell; }));
    top.append(row);
    inside.append(...rows.map((cells) => { const line = make("tr"); line.append(...cells.map((text, i) => make("td", text, i >= numbers ? "n" : ""))); return line; }));
    element.append(top, inside);
    const box = make("div", undefined, "scroll");
    box.append(element);
    return box;
  };
  const svg = (tag, given) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(given)) element.setAttribute(name, String(value));
    return element;
  };
  /* Every node of the group as a stroke at its speed, this one with its interval. */
  const strip = (line) => {
    const group = lines.group[line], like = [];
    for (let i = 0; i < count; i += 1) if (lines.group[i] === group && lines.gap[i] !== null) like.push(lines.gap[i]);
    const ends = [...like, lines.low[line] ?? 0, lines.high[line] ?? 0, -0.05, 0.05], low = Math.min(...ends), high = Math.max(...ends);
    const x = (gap) => 30 + (940 * (gap - low)) / (high - low);
    const picture = svg("svg", { viewBox: "0 0 1000 72", class: "strip", role: "img", preserveAspectRatio: "none" });
    picture.setAttribute("aria-label", `${data.texts.gap[line]} beside the median of ${like.length} nodes`);
    picture.append(svg("line", { x1: x(0), x2: x(0), y1: 4, y2: 68 }), svg("line", { x1: 20, x2: 980, y1: 36, y2: 36 }));
    for (const gap of like) picture.append(svg("line", { class: "like", x1: x(gap), x2: x(gap), y1: 24, y2: 48 }));
    if (lines.low[line] !== null) picture.append(svg("line", { class: "own", x1: x(lines.low[line]), x2: x(lines.high[line]), y1: 36, y2: 36 }));
    picture.append(svg("line", { class: "here", x1: x(lines.gap[line]), x2: x(lines.gap[line]), y1: 14, y2: 58 }));
    return picture;
  };
  const standing = (line, levels) => {
    const section = make("section"), group = data.groups[lines.group[line]];
    section.append(make("h2", group.name), make("p", data.standing[line], "lead"), strip(line));
    if (group.cautions.length) { const list = make("ul", undefined, "cautions"); list.append(...group.cautions.map((text) => make("li", `⚠ ${text}`))); section.append(list); }
    if (levels) section.append(table(data.level_head, levels, 1));
    return section;
  };
  const openNode = async (line) => {
    const node = lines.of[line], mine = [];
    for (let i = 0; i < count; i += 1) if (lines.of[i] === node) mine.push(i);
    const told = await evidence(node), main = one("#node"), back = make("a", "← all nodes"), top = make("header");
    back.href = "#";
    const way = make("p", undefined, "eyebrow");
    way.append(back);
    top.append(way, make("h1", lines.node[line]));
    if (told.marks.length) { const list = make("ul", undefined, "cautions"); list.append(...told.marks.map((text) => make("li", `⚠ ${text}`))); top.append(list); }
    const facts = make("section"), records = make("dl", undefined, "defs");
    facts.append(make("h2", "What it said of itself"), make("p", data.facts_lead, "lead"));
    for (const [label, text] of told.facts) records.append(make("dt", label), make("dd", text));
    facts.append(records);
    const jobs = make("section");
    jobs.append(make("h2", "Its newest jobs"), make("p", told.jobs_lead, "lead"), table(data.job_head, told.jobs, 2));
    main.replaceChildren(top, ...mine.map((i) => standing(i, told.levels[String(i)])), ...(told.facts.length ? [facts] : []), jobs);
  };
  const route = async () => {
    const match = /^#node=(\d+)$/.exec(location.hash), line = match ? Number(match[1]) : -1;
    const isNode = line >= 0 && line < count;
    if (isNode) await openNode(line);
    one("#board").hidden = isNode;
    one("#node").hidden = !isNode;
    if (isNode) window.scrollTo(0, 0); else draw(true);
    document.documentElement.dataset.ready = "yes";
  };

  const select = one("#group");
  data.groups.forEach((group, i) => { const option = make("option", `${group.name} (${group.nodes})`); option.value = String(i); select.append(option); });
  for (const button of document.querySelectorAll("#rows thead button")) {
    button.addEventListener("click", () => {
      const name = button.dataset.name;
      if (state.sort === name && state.down === (button.dataset.first === "down")) state.down = !state.down;
      else if (state.sort === name) state.sort = null;
      else { state.sort = name; state.down = button.dataset.first === "down"; }
      show();
    });
  }
  let waiting = 0;
  one("#filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 60); });
  select.addEventListener("change", show);
  view.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)));
  addEventListener("resize", () => draw(true));
  addEventListener("hashchange", route);
  show();
  route();
})();
