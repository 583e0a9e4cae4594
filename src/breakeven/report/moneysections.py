"""The economics on the page: the what-if fields, the charts that follow them, and every figure."""

from collections.abc import Iterator, Mapping

from breakeven.cost.result import Figure, Side
from breakeven.cost.text import GROUPS
from breakeven.findings import Findings, Money
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.fields import PLACES, Field, fields
from breakeven.report.markup import Html, el, joined

EXAMPLE = """[reference]
gpu = "A100 80GB"
rent_usd_per_h = 1.65

[candidate]
gpu = "RTX 4090"
purchase_usd = 1750
rent_usd_per_h = 0.32
power_load_w = 365

[market]
usd_per_kwh = 0.16
rented_share = 0.6
life_years = 4
discount_per_year = 0.10"""


def money_sections(found: Findings) -> Iterator[Html]:
    """All about money where there are prices; else how to add them. Energy stands in either."""
    if not found.money:
        yield _invitation()
        yield _energy(found, None)
        return
    case = found.money[found.best_money or 0]
    yield el(
        "section",
        el("h2", "Money"),
        el(
            "p",
            "Change a price: every figure, line and crossing point follows, by the formulas below.",
            class_="lead",
        ),
        el("div", el("div", _what_if(found, case), class_="side"), el("div", *_columns(found, case)), class_="money"),
        id="money",
    )
    yield _energy(found, case)


def _invitation() -> Html:
    return el(
        "section",
        el(
            "div",
            el("h2", "What does a token cost?"),
            el(
                "p",
                "Add prices, and this page ranks by cost, shows break-even and parity, and lets you move every price:",
            ),
            el("pre", EXAMPLE),
            el("pre", "breakeven report RUN… --scenario prices.toml --html report.html"),
            class_="invite",
        ),
        id="money",
    )


def _what_if(found: Findings, case: Money) -> Html:
    cases = [el("option", one.label, value=i, selected=one is case) for i, one in enumerate(found.money)]
    chooser = joined(el("label", "Candidate", for_="case"), el("select", *cases, id="case")) if len(cases) > 1 else None
    return el(
        "form",
        el("h3", "What if"),
        el("p", "Slider or number. A dot marks what differs from the scenario."),
        chooser,
        *(_field(field, i) for i, field in enumerate(fields(case))),
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


def _field(field: Field, index: int) -> Html:
    number = f"{field.value:.8g}"
    shared = {"data_least": field.least, "data_most": field.most}
    return el(
        "div",
        el("label", field.label, " ", el("small", field.unit), for_=f"f{index}"),
        el(
            "input",
            type="number",
            id=f"f{index}",
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
            aria_label=f"{field.label}, {field.unit}",
        ),
        class_="field",
        data_place=field.place,
        **shared,
    )


def _columns(found: Findings, case: Money) -> Iterator[Html]:
    yield chart(
        "cost",
        "USD per million tokens against interactivity"
        if found.unit == "tok"
        else "USD per million words against speed",
        "What a faster answer costs. Numbers at the marks: users. Dashed: the service level.",
        label="Cost per million output tokens against the speed of one user.",
    )
    if case.curves:
        yield el("ul", class_="legend", data_legend="sides")
        yield el(
            "div",
            chart(
                "breakeven",
                "Break-even against rent",
                "Each card along its own rent; the marks stand at today's.",
                label="Days to break-even against the rent of a card.",
                legend=None,
            ),
            chart(
                "profit",
                "Profit against rent",
                "An hour of one card, energy and fee paid.",
                label="Profit an hour of a card against its rent.",
                legend=None,
            ),
            class_="grid",
        )
        yield el(
            "div",
            el("h3", "Where curves meet, by the candidate's rent a card"),
            el("ul", *_crossings(case, found), id="crossings"),
            class_="block",
        )
    yield _tornado(case)
    yield _figures(found, case)
    notes = _notes(case)
    if notes is not None:
        yield notes


def _crossings(case: Money, found: Findings) -> Iterator[Html]:
    for crossing in case.crossings:
        yield el(
            "li",
            el("strong", f"{crossing.at:.4g} USD/h", data_crossing=repr(crossing.at)),
            " ",
            words.counted(crossing.what, found),
        )


def _tornado(case: Money) -> Html:
    if not case.ranges:
        return el(
            "div",
            el("h3", "What moves the result most"),
            el(
                "p",
                "No number of the scenario has a range. Give some, such as rented_share = { low = 0.3, high = 0.9 }, "
                "or use --ranges default.",
                class_="lead",
            ),
            class_="block",
        )
    tornado = case.report.tornado
    rows = [
        el(
            "tr",
            el("th", PLACES.get(one.place, one.place), scope="row"),
            *(el("td", text, class_="n") for text in _swing(one.p10, one.p90, one.at_p10, one.at_p90)),
        )
        for one in (tornado.swings if tornado is not None else ())
    ]
    return joined(
        chart(
            "tornado",
            "What moves the result most",
            "One input at a time at its P10 (first colour) and P90 (second), all others as they stand.",
            label="Tornado: the result with each uncertain input at its P10 and P90.",
            legend=None,
        ),
        el(
            "details",
            el("summary", "As a table, for the scenario as given"),
            el(
                "table",
                el(
                    "thead",
                    el(
                        "tr",
                        *(
                            el("th", t, scope="col", class_="n" if i else None)
                            for i, t in enumerate(["Input", "P10", "P90", "Result at P10", "at P90"])
                        ),
                    ),
                ),
                el("tbody", *rows),
            ),
        )
        if rows
        else None,
        _odds(case),
    )


def _swing(p10: float, p90: float, at_p10: float | None, at_p90: float | None) -> list[str]:
    return [
        words.cost(p10),
        words.cost(p90),
        "never" if at_p10 is None else words.cost(at_p10),
        "never" if at_p90 is None else words.cost(at_p90),
    ]


_ODDS: Mapping[str, str] = {
    "candidate_breaks_even_first": "the candidate breaks even first",
    "candidate_tokens_cheaper": "the candidate's tokens are cheaper",
    "candidate_work_cheaper": "the candidate does the work for less",
    "candidate_parity_rent_below_reference_rent": "its ROI parity rent is below the reference's rent",
    "candidate_npv_below_0": "the candidate's NPV is below 0",
    "reference_npv_below_0": "the reference's NPV is below 0",
    "candidate_cheaper_than_api": "the candidate is cheaper than the API",
}


def _odds(case: Money) -> Html | None:
    sure = case.report.uncertainty
    if sure is None or not sure.probabilities:
        return None
    items = [
        el("li", el("strong", f"{share * 100:.0f} %"), f" {_ODDS.get(name, name)}")
        for name, share in sure.probabilities.items()
    ]
    return el(
        "div",
        el("h3", "How likely, for the scenario as given"),
        el("p", f"Over {sure.draws:,} draws of every uncertain input at once.", class_="lead"),
        el("ul", *items),
        class_="block",
    )


def _figures(found: Findings, case: Money) -> Html:
    """Every figure of both sides, then of the comparison."""
    report = case.report
    sides = [("reference", report.reference), ("candidate", report.candidate)]
    known = [(name, side) for name, side in sides if side is not None]
    heads = [
        el("th", "Figure", scope="col"),
        *(el("th", _side_name(name, side), scope="col", class_="n") for name, side in known),
    ]
    rows: list[Html] = []
    for group, title in GROUPS.items():
        shown = [
            name
            for name, figure in report.candidate.figures.items()
            if figure.group == group and figure.shown and any(_is_known(side, name) for _, side in known)
        ]
        if shown:
            rows.append(el("tr", el("th", title, colspan=len(known) + 1, scope="colgroup"), class_="group"))
        rows += [_figure_row(found, name, known) for name in shown]
    blocks = [
        el("h3", "All figures"),
        el("div", el("table", el("thead", el("tr", *heads)), el("tbody", *rows), id="figures"), class_="scroll"),
    ]
    if report.comparison:
        blocks += [el("h3", "Candidate against reference"), _comparison(found, report.comparison)]
    return el("div", *blocks, class_="figures")


def _side_name(name: str, side: Side) -> str:
    return f"{name}: {side.count:.4g} × {side.gpu}"


def _is_known(side: Side, name: str) -> bool:
    return name in side.figures and not side.figures[name].missing


def _figure_row(found: Findings, name: str, known: list[tuple[str, Side]]) -> Html:
    label = next(side.figures[name].label for _, side in known)
    cells = [_figure_cell(found, side.figures.get(name), f"{part}.{name}") for part, side in known]
    return el("tr", el("th", words.counted(label, found), scope="row"), *cells)


def _figure_cell(found: Findings, figure: Figure | None, path: str) -> Html:
    title = None if figure is None else figure.reason or f"{figure.formula} = {figure.numbers}"
    return el("td", el("span", words.figure(figure, unit=found.unit), data_fig=path, title=title), class_="n")


def _comparison(found: Findings, comparison: Mapping[str, Figure]) -> Html:
    rows = [
        el("tr", el("th", words.counted(figure.label, found), scope="row"), _figure_cell(found, figure, name))
        for name, figure in comparison.items()
        if figure.shown and not figure.missing
    ]
    return el("div", el("table", el("tbody", *rows)), class_="scroll")


def _notes(case: Money) -> Html | None:
    report = case.report
    sides = [side for side in (report.reference, report.candidate) if side is not None]
    sources = [*(f"{side.gpu}, {text}" for side in sides for text in side.sources), *report.sources]
    items = [*report.notes, *report.taken, *sources]
    return (
        el(
            "details",
            el("summary", f"{len(items)} notes and sources of the prices"),
            el("ul", *(el("li", text) for text in items)),
            data_print=True,
        )
        if items
        else None
    )


def _energy(found: Findings, case: Money | None) -> Html:
    """Energy: measured watts where there are some, and what the scenario makes of it."""
    measured = any(level.tok_per_j is not None for subject in found.subjects for level in subject.levels)
    drawn = (
        chart(
            "energy",
            "Tokens per joule",
            "Board power of all cards, mean over the window.",
            label="Output tokens per joule against users.",
        )
        if measured
        else None
    )
    table = None if case is None else _energy_table(found, case)
    lead = (
        "Measured with the runs."
        if measured
        else "No power was measured with these runs; what stands here is as the scenario declares it."
        if table is not None
        else "No power was measured with these runs."
    )
    return el("section", el("h2", "Energy"), el("p", lead, class_="lead"), drawn, table, id="energy")


def _energy_table(found: Findings, case: Money) -> Html | None:
    report = case.report
    known = [
        (n, s)
        for n, s in (("reference", report.reference), ("candidate", report.candidate))
        if s is not None and "power_load_w" in s.inputs
    ]
    if not known:
        return None
    heads = [el("th", "", scope="col"), *(el("th", _side_name(n, s), scope="col", class_="n") for n, s in known)]
    watts = el(
        "tr",
        el("th", "power of a card under load", scope="row"),
        *(
            el(
                "td",
                f"{s.inputs['power_load_w']:.4g} W",
                el("small", next((t.partition(": ")[2] for t in s.sources if t.startswith("power: ")), "")),
                class_="n",
            )
            for _, s in known
        ),
    )
    rows = [
        _figure_row(found, name, known)
        for name in ("energy_usd_per_h", "tok_per_j")
        if any(_is_known(s, name) for _, s in known)
    ]
    return el("div", el("table", el("thead", el("tr", *heads)), el("tbody", watts, *rows)), class_="scroll")
