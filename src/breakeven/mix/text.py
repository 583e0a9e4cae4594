"""A mix as plain text for a terminal, or as JSON for a program."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from breakeven.compare.words import reason_text
from breakeven.errors import one_line
from breakeven.metrics.summary import Estimate
from breakeven.mix.types import Fleet, Load, LoadClass, MixReport, Offer, Rival
from breakeven.say import amount, chance, interval, rent, room, share, short, usd_per_h, wrapped
from breakeven.table import Column, Table, heads, lines
from breakeven.units import H_PER_MONTH, load_text, short_rate, short_s

LEAST_SHARE: Final = 5e-4
"""A share of less than this is none."""
SAME: Final = 1e-9


def to_json(report: MixReport) -> dict[str, object]:
    """The report for JSON, format 1, with its sentences as `text`."""
    told = [*answer_lines(report), *day_lines(report), *doubt_lines(report), *remarks(report)]
    return {**msgspec.structs.asdict(report), "text": told}


def render(report: MixReport) -> str:
    """The report as text, as wide as the terminal."""
    parts = (
        _wrapped(answer_lines(report)),
        _titled("On offer", offers_table(report)),
        _titled("One kind of node alone", alone_table(report)),
        [*(["Over the day"] if report.day else []), *_wrapped(day_lines(report)), *_lines(day_table(report))],
        _wrapped(doubt_lines(report)),
        _titled("Kinds of mixes, by how often one is the cheapest in those draws", rivals_table(report)),
        _wrapped(remarks(report)),
    )
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _wrapped(sentences: Iterable[str]) -> list[str]:
    return [line for sentence in sentences for line in wrapped(sentence)]


def _titled(title: str, table: Table) -> list[str]:
    return [title, *_lines(table)] if table.rows else []


def _lines(table: Table) -> list[str]:
    return lines(table, width=room(), indent="  ") if table.rows else []


def answer_lines(report: MixReport) -> Iterator[str]:
    """The mix and what it costs; then how full it is."""
    fleet = report.fleet
    each = report.usd_per_mtok_output
    tokens = "" if each is None else f", {amount(each, 'USD/Mtok')} of output at the peak"
    spare = ", one node to spare" if report.wanted.spare else ""
    yield (
        f"The cheapest mix for {load_classes(report.load)} with {report.at}{spare}: "
        f"{fleet_text(report.offers, fleet.nodes)} for {cost_text(fleet)}{tokens}."
    )
    served = report.served
    there = "" if served is None else f" Enough of its spot nodes are there {share(served)} of the time."
    yield f"The load takes {share(report.used)} of what that mix can carry.{there}"


def load_classes(load: Load) -> str:
    """All of its classes: `500 users`."""
    return " and ".join(class_text(one) for one in load.classes)


def class_text(one: LoadClass) -> str:
    """`500 users`, `chat (4 req/s of 512 + 256 tokens)`."""
    amount_ = load_text(one.users, None) if one.users is not None else f"{short_rate(one.req_per_s or 0.0)} req/s"
    lengths = [short(tokens) for tokens in (one.input_tokens, one.output_tokens) if tokens is not None]
    told = f"{amount_} of {' + '.join(lengths)} tokens" if lengths else amount_
    return told if one.name == "all" else f"{one_line(one.name, limit=40)} ({told})"


def fleet_text(offers: Sequence[Offer], nodes: Sequence[int]) -> str:
    """`2 × L40S · vLLM + 1 × RTX 4090 · vLLM (spot)`."""
    taken = [f"{count:,} × {_name(offer)}" for offer, count in zip(offers, nodes, strict=True) if count]
    return " + ".join(taken) or "nothing"


def _name(offer: Offer) -> str:
    return offer.label + (" (spot)" if offer.kind == "spot" else "")


def cost_text(fleet: Fleet) -> str:
    """`2.63 USD/h (1,921 USD a month)`."""
    return f"{usd_per_h(fleet.usd_per_h)} ({amount(fleet.usd_per_h * H_PER_MONTH, 'USD')} a month)"


def offers_table(report: MixReport, *, price_chars: int = 44) -> Table:
    """What there was to choose from, and how much of it is taken; a page has room for the whole of a price's source."""
    classes = report.load.classes
    names = [one.unit if one.name == "all" else f"{one_line(one.name, limit=20)} {one.unit}" for one in classes]
    columns = [
        *(Column("taken"), Column("", align="left"), Column("USD/h a node")),
        *(column for name in names for column in (Column(f"{name} a node"), Column("95 %", goes=2))),
        Column("price", align="left", goes=1),
    ]
    rows = []
    for offer, count in zip(report.offers, report.fleet.nodes, strict=True):
        capacities = [cell for number in range(len(classes)) for cell in _capacity(offer, number)]
        rows.append(
            [f"{count:,}", _name(offer), rent(offer.usd_per_h), *capacities, one_line(offer.source, limit=price_chars)]
        )
    return Table(columns, rows)


def _capacity(offer: Offer, number: int) -> tuple[str, str]:
    """What a node carries of a class, and its interval."""
    one = offer.capacity[number]
    if one.value is None:
        return "–", ""
    ends = "" if one.ci95 == (None, None) else interval(*one.ci95, short)
    return f"{'at least ' if offer.at_least else ''}{short(one.value)}", ends


def alone_table(report: MixReport) -> Table:
    """The load on each kind of node by itself; empty where there is one kind."""
    rows = []
    for one in report.alone if len(report.offers) > 1 else ():
        name = _name(report.offers[one.offer])
        if one.fleet is None:
            rows.append(["–", name, "cannot carry it alone", ""])
            continue
        more = one.fleet.usd_per_h / report.fleet.usd_per_h - 1
        dearer = f"{share(more)} more" if more > SAME else ""
        rows.append([f"{one.fleet.nodes[one.offer]:,}", name, cost_text(one.fleet), dearer])
    return Table(heads("", "", "", "", left=(1, 2, 3)), rows)


def day_lines(report: MixReport) -> Iterator[str]:
    """What taking nodes by the hour saves."""
    day = report.day
    if day is None:
        return
    saved = 1 - day.usd_per_day / day.always_on_usd_per_day
    cold = short_s(report.wanted.cold_start_s)
    yield (
        f"Taking as many nodes as each part of it needs costs {amount(day.usd_per_day, 'USD')} a day, with "
        f"{day.starts} starts of {cold} each; the peak's mix all day costs {amount(day.always_on_usd_per_day, 'USD')}. "
        + (f"That saves {share(saved)}" if saved > LEAST_SHARE else "That saves nothing")
        + (f"; the cheapest day is at most {share(day.within)} cheaper still." if day.within > LEAST_SHARE else ".")
    )


def day_table(report: MixReport) -> Table:
    """A row a part of the day."""
    rows = []
    fleets = report.day.fleets if report.day is not None else ()
    for number, fleet in enumerate(fleets):
        start_h = 24 * number / len(fleets)
        load = report.load.hours[number] / max(report.load.hours)
        clock = f"{int(start_h):02d}:{round(start_h % 1 * 60):02d}"
        rows.append([clock, share(load), rent(fleet.usd_per_h), fleet_text(report.offers, fleet.nodes)])
    return Table(heads("from", "load", "USD/h", "nodes", left=(0, 3)), rows)


def doubt_lines(report: MixReport) -> Iterator[str]:
    """What the draws say of the mix, and the mix for whoever wants to be sure."""
    doubt = report.doubt
    if doubt is None:
        if report.wanted.draws:
            yield "How sure: no capacity and no price has an interval, so nothing is known of that."
        return
    yield (
        f"How sure: in {doubt.draws} draws of capacities and prices, each from its interval, this mix carries the load "
        f"in {chance(doubt.enough)}."
        + (f" In {chance(doubt.none)} nothing available carries it." if doubt.none else "")
    )
    careful = report.careful
    if careful is not None:
        yield (
            f"With each capacity at the lower end of its 95 % interval: {fleet_text(report.offers, careful.nodes)} for "
            f"{cost_text(careful)}."
        )


def rivals_table(report: MixReport) -> Table:
    """Kinds of mixes, whatever their numbers: in how many draws they are the cheapest, and what they cost."""
    kinds = report.doubt.kinds if report.doubt is not None else ()
    rows = [
        [rival_chance(one), *_usd(one.usd_per_h), fleet_text(report.offers, one.fleet.nodes)]
        for one in kinds
        if one.fleet is not None
    ]
    rest = sum(one.share for one in kinds if one.fleet is None)
    rows += [[chance(rest), "", "", "others"]] if rest else []
    return Table([Column("cheapest in"), Column("USD/h"), Column("95 %"), Column("mix", align="left")], rows)


def rival_chance(one: Rival) -> str:
    """In how many draws it is the cheapest."""
    return chance(one.share) if one.share else "none"


def _usd(cost: Estimate) -> tuple[str, str]:
    ends = "" if cost.ci95 == (None, None) else interval(*cost.ci95, rent)
    return "–" if cost.value is None else rent(cost.value), ends


def remarks(report: MixReport) -> Iterator[str]:
    """What a number in it rests on, a sentence each."""
    if report.within > LEAST_SHARE:
        yield f"The search ended before it was sure: the cheapest of all is at most {share(report.within)} cheaper."
    taken = [offer for offer, count in zip(report.offers, report.fleet.nodes, strict=True) if count]
    for offer in taken:
        if offer.predicted:
            yield f"{offer.label}: nobody has measured it; measure it before renting many."
        if offer.at_least:
            yield f"{offer.label} still met the service at its top level, so fewer nodes may do: measure more users."
    if len(report.load.classes) > 1:
        yield "A node that carries several classes is taken to share its time among them, each at its own capacity."
    for left in report.left_out:
        why = "no run of it is near the lengths asked" if left.reason is None else reason_text(left.reason)
        yield f"Left out: {one_line(left.label, limit=80)}: {why}."
