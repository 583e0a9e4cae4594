"""The economics on the page: what follows the prices, and how to add some."""

from collections.abc import Iterator

from breakeven import say
from breakeven.cost.tables import comparison_table, figure_table, power_table, swing_table
from breakeven.cost.text import notes
from breakeven.cost.words import SAYS
from breakeven.findings import Findings, Money
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.forms import html
from breakeven.report.markup import Html, el, joined, section
from breakeven.report.whatif import what_if

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


def money(found: Findings) -> Html:
    """All about money where there are prices; else how to add them."""
    if not found.money:
        return _invitation()
    case = found.money[found.best_money or 0]
    lead = "Change a price: every figure, line and crossing point follows, by the formulas below."
    both = el("div", what_if(found, case)), el("div", *_columns(found, case))
    return section("money", "Money", lead, el("div", *both, class_="money"))


def energy(found: Findings) -> Html | None:
    """Measured watts where there are some, and what the scenario makes of those that it declares; else None."""
    measured = any(level.tok_per_j is not None for subject in found.subjects for level in subject.levels)
    table = power_table(found.money[found.best_money or 0].report) if found.money else None
    declared = html(table, style="stack") if table is not None and table.rows else None
    if not measured and declared is None:
        return None
    drawn = chart(
        "energy",
        "Tokens per joule",
        "Board power of all cards, mean over the window.",
        label="Output tokens per joule against users.",
    )
    lead = (
        "Measured with the runs."
        if measured
        else "No power was measured with these runs; what stands here is as the scenario declares it."
    )
    return section("energy", "Energy", lead, drawn if measured else None, declared)


def _invitation() -> Html:
    invite = (
        el("h2", "What does a token cost?"),
        el("p", "Add prices, and this page ranks by cost, shows break-even and parity, and lets you move every price:"),
        el("pre", EXAMPLE),
        el("pre", "breakeven report RUN… --scenario prices.toml --html report.html"),
    )
    return el("section", el("div", *invite, class_="invite"), id="money")


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
    blocks = [el("h3", "All figures"), html(figure_table(case.report), name="figures", style="stack")]
    if case.report.comparison:
        blocks.append(html(comparison_table(case.report)))
    yield el("div", *blocks, class_="figures")
    yield from filter(None, [_notes(case)])


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
        none = "No number of the scenario has a range. Give some, such as rented_share = { low = 0.3, high = 0.9 }, or"
        lead = el("p", f"{none} use --ranges default.", class_="lead")
        return el("div", el("h3", "What moves the result most"), lead, class_="block")
    swings = swing_table(case.report)
    summary = el("summary", "As a table, for the scenario as given")
    return joined(
        chart(
            "tornado",
            "What moves the result most",
            "One input at a time at its P10 (first colour: one draw in ten is lower) and its P90 (second: one in ten "
            "is higher), all others as they stand.",
            label="Tornado: the result with each uncertain input at its P10 and P90.",
            legend=None,
        ),
        el("details", summary, html(swings), data_best_only=True) if swings.rows else None,
        _odds(case),
    )


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
    items = [el("li", text) for text in notes(case.report)]
    summary = el("summary", f"{len(items)} notes and sources of the prices")
    return el("details", summary, el("ul", *items), data_print=True, data_best_only=True) if items else None
