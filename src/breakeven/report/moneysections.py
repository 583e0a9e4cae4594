"""The economics on the page: what follows the prices, and how to add some."""

from collections.abc import Iterator

from breakeven import say
from breakeven.cost.words import PLACES, SAYS, note_text
from breakeven.findings import Findings, Money
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.forms import html
from breakeven.report.markup import Html, el, joined
from breakeven.report.moneytables import energy_section, figure_tables
from breakeven.report.whatif import what_if
from breakeven.table import Table, heads

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
        if _has_energy(found, None):
            yield energy_section(found, None)
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
        el("div", el("div", what_if(found, case), class_="side"), el("div", *_columns(found, case)), class_="money"),
        id="money",
    )
    if _has_energy(found, case):
        yield energy_section(found, case)


def _has_energy(found: Findings, case: Money | None) -> bool:
    """Whether power was measured, or a scenario declares it."""
    sides = [] if case is None else [case.report.candidate, case.report.reference]
    return any(level.tok_per_j is not None for one in found.subjects for level in one.levels) or any(
        side is not None and "power_load_w" in side.inputs for side in sides
    )


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


def _columns(found: Findings, case: Money) -> Iterator[Html]:
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
    yield figure_tables(found, case)
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
    return joined(
        chart(
            "tornado",
            "What moves the result most",
            "One input at a time at its P10 (first colour: one draw in ten is lower) and its P90 (second: one in ten "
            "is higher), all others as they stand.",
            label="Tornado: the result with each uncertain input at its P10 and P90.",
            legend=None,
        ),
        _swings(case),
        _odds(case),
    )


def _swings(case: Money) -> Html | None:
    """The bars as a table."""
    tornado = case.report.tornado
    if tornado is None:
        return None
    rows = [
        (PLACES.get(one.place, one.place), *_swing(one.p10, one.p90, one.at_p10, one.at_p90)) for one in tornado.swings
    ]
    table = html(Table(heads("Input", "P10", "P90", "Result at P10", "at P90"), rows))
    summary = el("summary", "As a table, for the scenario as given")
    return el("details", summary, table, data_best_only=True)


def _swing(p10: float, p90: float, at_p10: float | None, at_p90: float | None) -> list[str]:
    return [
        words.cost(p10),
        words.cost(p90),
        "never" if at_p10 is None else words.cost(at_p10),
        "never" if at_p90 is None else words.cost(at_p90),
    ]


def _odds(case: Money) -> Html | None:
    sure = case.report.uncertainty
    if sure is None or not sure.probabilities:
        return None
    items = [
        el("li", el("strong", say.chance(share)), f" {say.label_of(SAYS[name], case.report.counted)}")
        for name, share in sure.probabilities.items()
    ]
    return el(
        "div",
        el("h3", "How likely, for the scenario as given"),
        el("p", f"Over {sure.draws:,} draws of every uncertain input at once.", class_="lead"),
        el("ul", *items),
        class_="block",
        data_best_only=True,
    )


def _notes(case: Money) -> Html | None:
    report = case.report
    sides = [side for side in (report.reference, report.candidate) if side is not None]
    sources = [f"{side.name}, {one.what}: {one.text}" for side in sides for one in side.sources]
    sources += [f"{one.what}: {one.text}" for one in report.sources]
    taken = [
        f"{one.name}={say.plain(one.value)}" if one.is_neutral else f"{one.name}: {one.why}" for one in report.taken
    ]
    items = [*(note_text(note) for note in report.notes), *taken, *sources]
    return (
        el(
            "details",
            el("summary", f"{len(items)} notes and sources of the prices"),
            el("ul", *(el("li", text) for text in items)),
            data_print=True,
            data_best_only=True,
        )
        if items
        else None
    )
