/* The what-if panel: a slider and a number of the same thing, and what its buttons do. */
"use strict";

const WhatIf = (() => {
  const { all, one } = Kit;
  const fields = all(".field");

  /* k and cards stand for the counts of both sets. */
  const valueOf = ({ dataset: { place } }) => {
    const asked = State.scenario().inputs;
    if (place === "k") return asked["candidate.count"] / State.cards();
    return place === "cards" ? State.cards() : asked[place] ?? State.neutral(place);
  };
  const givenOf = ({ dataset: { place } }) => {
    if (place === "k") return State.given("candidate.count") / (State.given("reference.count") ?? 1);
    return State.given(place === "cards" ? "reference.count" : place);
  };
  const take = ({ dataset: { place } }, value) => {
    if (place === "k") State.set("candidate.count", value * State.cards());
    else if (place === "cards") {
      /* Every candidate keeps its k. */
      const ks = State.data.money.map((_, b) => State.scenario(b).inputs["candidate.count"] / State.cards(b));
      State.set("reference.count", value);
      ks.forEach((k, b) => State.set("candidate.count", k * value, b));
    } else State.set(place, value);
  };
  const allowed = (field, value) => Number.isFinite(value) && value >= Number(field.dataset.least) && value <= Number(field.dataset.most);

  const show = (field) => {
    const value = valueOf(field), range = one("input[type=range]", field), number = one("input[type=number]", field);
    field.hidden = value === undefined;
    if (value === undefined) return;
    if (value > Number(range.max)) range.max = String(value * 2);
    range.value = String(value);
    if (document.activeElement !== number) number.value = String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
    one("label", field).classList.toggle("changed", !State.isSame(value, givenOf(field)));
  };
  const showAll = () => fields.forEach(show);

  const say = (text) => { one("#status").textContent = text; };
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

  /* `render` shows what follows from another state. */
  const start = (render) => {
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; render(); State.remember(); });
    };
    const again = () => { showAll(); render(); State.remember(); };
    for (const field of fields) {
      for (const input of all("input", field)) {
        input.addEventListener("input", () => {
          const value = input.value === "" ? NaN : Number(input.value), good = allowed(field, value);
          input.setAttribute("aria-invalid", String(!good));
          if (!good) return;
          take(field, value);
          showAll();
          soon();
        });
        input.addEventListener("blur", () => { input.removeAttribute("aria-invalid"); show(field); });
      }
    }
    const on = (selector, event, what) => one(selector)?.addEventListener(event, what);
    on("#copy-toml", "click", () => { one("#toml-box").open = true; copy(State.toml(), "The scenario is on the clipboard."); });
    on("#toml-box", "toggle", () => { one("#toml").value = State.toml(); });
    on("#copy-link", "click", () => { State.remember(); copy(location.href, "The link is on the clipboard."); });
    on("#reset", "click", () => { State.reset(); again(); say("All numbers are the scenario's again."); });
    on("#case", "change", (event) => { State.chosen.b = Number(event.target.value); again(); });
    const recalled = () => {
      State.recall();
      if (one("#case")) one("#case").value = String(State.chosen.b);
      showAll();
      render();
    };
    window.addEventListener("hashchange", recalled);
    recalled();
  };

  return { start };
})();
