/* What is asked on the page: which candidate, and the numbers that were changed; kept in its address, told as a scenario. */
"use strict";

const State = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  /* Candidates have prices of their own; what is of the market or the reference they share. */
  const chosen = { b: data.best ?? 0, shared: {}, own: [] };
  const reset = () => { chosen.shared = {}; chosen.own = data.money.map(() => ({})); };
  reset();
  const current = () => data.money[chosen.b];
  const changes = (b = chosen.b) => ({ ...chosen.shared, ...chosen.own[b] });
  const scenario = (b = chosen.b) => Money.changed(data.money[b], changes(b));
  const isChanged = () => Object.keys(changes()).length > 0;
  const neutral = (place) => Money.NEUTRAL[place.split(".")[1]];
  const cards = (b = chosen.b) => scenario(b).inputs["reference.count"] ?? 1;
  const given = (place, b = chosen.b) => data.money[b].inputs[place] ?? neutral(place);
  const isSame = (a, b) => Math.abs(a - b) <= 1e-12 * Math.abs(b);
  const set = (place, value, b = chosen.b) => {
    const where = place.startsWith("candidate.") ? chosen.own[b] : chosen.shared;
    const before = given(place, b);
    if (before !== undefined && isSame(value, before)) delete where[place]; else where[place] = value;
  };

  /* A link keeps it; read back with care. */
  const remember = () => {
    const words = new URLSearchParams();
    if (isChanged() || chosen.b !== (data.best ?? 0)) {
      if (data.money.length > 1) words.set("case", String(chosen.b));
      for (const [place, value] of Object.entries(changes())) words.append("set", `${place}=${value}`);
    }
    const hash = words.toString();
    try { history.replaceState(null, "", hash ? `#${hash}` : `${location.pathname}${location.search}`); } catch { /* some viewers forbid it */ }
  };
  const recall = () => {
    reset();
    const words = new URLSearchParams(location.hash.slice(1));
    const b = Number(words.get("case") ?? chosen.b);
    if (Number.isInteger(b) && b >= 0 && b < data.money.length) chosen.b = b;
    for (const text of words.getAll("set")) {
      const [place, number] = text.split("="), value = Number(number), field = data.limits[place];
      if (field && data.money.length && number !== "" && Number.isFinite(value) && value >= field[0] && value <= field[1]) set(place, value);
    }
  };

  /* The scenario with what was changed, as TOML that `breakeven cost` reads. */
  const quoted = (text) => JSON.stringify(text);
  const key = (name) => (/^[A-Za-z0-9_-]+$/.test(name) ? name : quoted(name));
  const isTable = (v) => v !== null && typeof v === "object" && !Array.isArray(v);
  const isTables = (v) => Array.isArray(v) && v.length > 0 && v.every(isTable);
  const known = (table) => Object.entries(table).filter(([, v]) => v !== null);
  const written = (value) => {
    if (typeof value === "string") return quoted(value);
    if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
    return isTable(value) ? `{ ${lines(value).join(", ")} }` : String(value);
  };
  const lines = (table) => known(table).map(([name, v]) => `${key(name)} = ${written(v)}`);
  const toml = () => {
    const table = structuredClone(current().scenario);
    for (const [place, value] of Object.entries(changes())) {
      const [section, name] = place.split(".");
      (table[section] ??= {})[name] = value;
    }
    const entries = known(table), blocks = [lines(Object.fromEntries(entries.filter(([, v]) => !isTable(v) && !isTables(v))))];
    for (const [name, v] of entries) if (isTable(v)) blocks.push([`[${key(name)}]`, ...lines(v)]);
    for (const [name, v] of entries) if (isTables(v)) for (const item of v) blocks.push([`[[${key(name)}]]`, ...lines(item)]);
    return `${blocks.map((block) => block.join("\n")).join("\n\n")}\n`;
  };

  return { data, chosen, reset, current, changes, scenario, isChanged, neutral, given, cards, isSame, set, remember, recall, toml };
})();
