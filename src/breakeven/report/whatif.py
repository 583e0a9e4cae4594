"""The what-if panel: every price that can be moved, as a slider with its number."""

from collections.abc import Iterator
from string import Formatter

from breakeven.findings import Findings, Money
from breakeven.report.fields import Field, fields
from breakeven.report.markup import Html, el, joined
from breakeven.report.shortnames import sides_of


def what_if(found: Findings, case: Money) -> Html:
    """The form; whatif.js makes it work."""
    cases = [el("option", one.label, value=i, selected=one is case) for i, one in enumerate(found.money)]
    chooser = joined(el("label", "Candidate", for_="case"), el("select", *cases, id="case")) if len(cases) > 1 else None
    sides = sides_of(case, found)
    return el(
        "form",
        el("h3", "What if"),
        el("p", "Slider or number. A dot marks what differs from the scenario."),
        chooser,
        *(_field(field, i, sides) for i, field in enumerate(fields(case))),
        el(
            "div",
            el("button", "Copy as scenario.toml", type="button", id="copy-toml"),
            el("button", "Copy link", type="button", id="copy-link"),
            el("button", "Reset", type="button", id="reset"),
            class_="buttons",
        ),
        el("p", class_="status", id="status", role="status"),
        el(
            "details",
            el("summary", "scenario.toml"),
            el("textarea", id="toml", readonly=True, aria_label="Scenario as TOML"),
            id="toml-box",
            class_="screen",
        ),
        class_="whatif",
        aria_label="What if",
        autocomplete="off",
    )


def _field(field: Field, index: int, sides: dict[str, str]) -> Html:
    number = f"{field.value:.0f}" if abs(field.value) >= 1000 else f"{field.value:.4g}"
    name = f"f{index}"
    return el(
        "div",
        el("label", *_label(field.label, sides), " ", el("small", field.unit), for_=name, id=f"{name}-label"),
        el(
            "input",
            type="number",
            id=name,
            value=number,
            step="any",
            min=field.least,
            max=field.most,
            inputmode="decimal",
        ),
        el(
            "input",
            type="range",
            value=number,
            step="any",
            min=0 if field.least < 1e-2 else field.least,
            max=f"{field.high:.8g}",
            aria_labelledby=f"{name}-label",
        ),
        class_="field",
        data_place=field.place,
        data_least=field.least,
        data_most=field.most,
    )


def _label(text: str, sides: dict[str, str]) -> Iterator[Html | str]:
    """The label with the names of the cards set apart, as they change with the candidate."""
    for plain, side, *_ in Formatter().parse(text):
        yield plain
        if side is not None:
            yield el("span", sides[side], data_gpu=side)
