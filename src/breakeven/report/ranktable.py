"""The ranking on the page: GPU × engine × price, the cheapest that meets the service level first."""

from breakeven.findings import Findings, Price, Ranked
from breakeven.report import words
from breakeven.report.markup import Html, el
from breakeven.report.sentence import level_text


def ranking(found: Findings) -> Html:
    """GPU × engine × price, the cheapest that meets the service level first."""
    priced = words.is_priced(found)
    level = level_text(found) or "no service level"
    heads = [
        el("th", "#", scope="col"),
        el("th", "GPU · engine", scope="col"),
        el("th", "Price, a card", scope="col") if priced else None,
        el("th", f"{found.unit}/s a card", scope="col", class_="n"),
        el("th", "Users", scope="col", class_="n"),
        el("th", words.per_mtok(found), scope="col", class_="n") if priced else None,
        el("th", "Against the first", scope="col", class_="n"),
    ]
    order = "cheapest per output token first" if priced else "most throughput a card first"
    return el(
        "section",
        el("h2", "GPU × engine × price" if priced else "GPU × engine"),
        el("p", f"At {level}: {order}. In small print: 95 % intervals.", class_="lead"),
        el(
            "div",
            el(
                "table",
                el("thead", el("tr", *heads)),
                *(_rank_row(found, index, priced=priced) for index in range(len(found.ranking))),
                class_="stack",
                id="ranking",
            ),
            class_="scroll",
        ),
        id="ranking-section",
    )


def _rank_row(found: Findings, index: int, *, priced: bool) -> Html:
    row = found.ranking[index]
    subject = None if row.run is None else found.subjects[row.run]
    name = el("span", subject.letter, class_="key") if subject is not None and len(found.subjects) > 1 else None
    reason = words.reason(row)
    notes = [el("small", reason)] if reason else []
    cells = [
        el("td", el("span", str(row.rank) if row.rank else words.DASH, class_="tag rank")),
        el("th", name, words.name(row), *notes, scope="row", class_="wide"),
        _price_cell(row.price) if priced else None,
        _number(
            words.rate(row.capacity_tok_per_s.value), words.rate_range(row.capacity_tok_per_s), f"{found.unit}/s a card"
        ),
        _number(words.people(row.users.value), "", "Users"),
        _cost_cell(found, index) if priced else None,
        el("td", words.margin(row, priced=priced), class_="n margin", data_label="Against the first"),
    ]
    known = [cell for cell in cells if cell is not None]
    return el(
        "tbody",
        el("tr", *known, class_="noted" if row.cautions else None),
        _cautions(row, columns=len(known)) if row.cautions else None,
        class_="best" if row.rank == 1 else None,
        data_row=index,
    )


def _cautions(row: Ranked, *, columns: int) -> Html:
    """How many reasons there are to doubt the line; opened, which."""
    count = len(row.cautions)
    folded = el(
        "details",
        el("summary", f"{count} caution{'' if count == 1 else 's'}", class_="caution"),
        *(el("div", words.caution(place), class_="caution") for place in row.cautions),
        data_print=True,
    )
    return el("tr", el("td"), el("td", folded, colspan=columns - 1, class_="wide"), class_="note")


def _price_cell(price: Price | None) -> Html:
    source = None if price is None else price.source
    return el(
        "td",
        el("span", words.price(price) or words.DASH, class_="price"),
        el("small", source) if source else None,
        data_label="Price",
    )


def _cost_cell(found: Findings, index: int) -> Html:
    row = found.ranking[index]
    return el(
        "td",
        el("span", words.cost(row.usd_per_mtok.value), class_="usd"),
        el("small", words.cost_range(row.usd_per_mtok), class_="usd-ci"),
        class_="n",
        data_label=words.per_mtok(found),
    )


def _number(value: str, interval: str, label: str) -> Html:
    return el("td", value, el("small", interval) if interval else None, class_="n", data_label=label)
