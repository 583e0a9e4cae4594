"""A mix as plain text for a terminal, or as JSON for a program."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from breakeven.compare.words import reason_text
from breakeven.errors import one_line
from breakeven.mix.types import Doubt, Fleet, Load, LoadClass, MixReport, Offer
from breakeven.say import amount, chance, interval, room, share, short, usd_per_h, wrapped
from breakeven.table import Column, Table, heads, lines
from breakeven.units import H_PER_MONTH, load_text, short_rate, short_s

_RIVALS: Final = 5


def to_json(report: MixReport) -> dict[str, object]:
    """The report for JSON, format 1, with its sentences as `text`."""
    return {**msgspec.structs.asdict(report), "text": [*_verdict(report), *_doubt(report), *_remarks(report)]}


def render(report: MixReport) -> str:
    """The report as text, at most about 120 columns wide."""
    parts = (_verdict(report), _fleet(report), _alone(report), _day(report), _doubt(report), _remarks(report))
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _verdict(report: MixReport) -> Iterator[str]:
    fleet, more = report.fleet, []
    if report.usd_per_mtok_output is not None:
        more.append(f"{amount(report.usd_per_mtok_output, 'USD/Mtok')} of output at the peak")
    spare = ", one node to spare" if report.wanted.spare else ""
    yield from wrapped(
        f"The cheapest mix for {load_classes(report.load)} with {report.at}{spare}: "
        f"{fleet_text(report.offers, fleet.nodes)} for {_cost(fleet)}{'; ' if more else ''}{'; '.join(more)}. "
        f"The load takes {share(report.used)} of it."
        + ("" if report.served is None else f" Enough of its spot nodes are there {share(report.served)} of the time.")
    )


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


def _cost(fleet: Fleet) -> str:
    return f"{usd_per_h(fleet.usd_per_h)} ({amount(fleet.usd_per_h * H_PER_MONTH, 'USD')} a month)"


def _fleet(report: MixReport) -> Iterator[str]:
    """What there was to choose from, and how much of it is taken."""
    units = [one.unit for one in report.load.classes]
    names = [
        f"{unit} a node" if one.name == "all" else f"{one.name}: {unit} a node"
        for one, unit in zip(report.load.classes, units, strict=True)
    ]
    columns = [
        *(Column("nodes"), Column("", align="left"), Column("USD/h a node"), *map(Column, names)),
        Column("price", align="left", goes=1),
    ]
    rows = []
    for offer, count in zip(report.offers, report.fleet.nodes, strict=True):
        capacities = [_capacity(offer, number) for number in range(len(units))]
        rows.append(
            [f"{count:,}", _name(offer), f"{offer.usd_per_h:.3g}", *capacities, one_line(offer.source, limit=44)]
        )
    yield "On offer"
    yield from lines(Table(columns, rows), width=room(), indent="  ")


def _capacity(offer: Offer, number: int) -> str:
    one = offer.capacity[number]
    if one.value is None:
        return "–"
    more = "at least " if offer.at_least else ""
    ends = "" if one.ci95 == (None, None) else f" ({interval(*one.ci95)})"
    return f"{more}{short(one.value)}{ends}"


def _alone(report: MixReport) -> Iterator[str]:
    if len(report.offers) < 2:
        return
    rows = []
    for one in report.alone:
        name = _name(report.offers[one.offer])
        if one.fleet is None:
            rows.append(["–", name, "cannot carry it alone"])
            continue
        more = one.fleet.usd_per_h / report.fleet.usd_per_h - 1
        rows.append(
            [f"{one.fleet.nodes[one.offer]:,}", name, _cost(one.fleet), f"{share(more)} more" if more > 1e-9 else ""]
        )
    yield "One kind of node alone"
    yield from lines(Table(heads("", "", "", "", left=(1, 2, 3)), rows), indent="  ")


def _day(report: MixReport) -> Iterator[str]:
    day = report.day
    if day is None:
        return
    saved = 1 - day.usd_per_day / day.always_on_usd_per_day
    cold = short_s(report.wanted.cold_start_s)
    yield from wrapped(
        f"Over the day: as many nodes as each part of it needs cost {amount(day.usd_per_day, 'USD')} a day, with "
        f"{day.starts} starts of {cold} each; the peak's mix all day {amount(day.always_on_usd_per_day, 'USD')}. "
        + (f"That saves {share(saved)}" if saved > 5e-4 else "That saves nothing")
        + (f"; the cheapest day is at most {share(day.within)} cheaper still." if day.within > 5e-4 else ".")
    )
    rows = []
    for number, fleet in enumerate(day.fleets):
        start_h = 24 * number / len(day.fleets)
        load = report.load.hours[number] / max(report.load.hours)
        clock = f"{int(start_h):02d}:{round(start_h % 1 * 60):02d}"
        rows.append([clock, share(load), f"{fleet.usd_per_h:.2f}", fleet_text(report.offers, fleet.nodes)])
    yield from lines(Table(heads("from", "load", "USD/h", "nodes", left=(0, 3)), rows), indent="  ")


def _doubt(report: MixReport) -> Iterator[str]:
    doubt = report.doubt
    if doubt is None:
        if report.wanted.draws:
            yield "How sure: no capacity and no price has an interval, so nothing is known of that."
        return
    yield from wrapped(
        f"How sure: in {doubt.draws} draws of capacities and prices, each from its interval, this mix carries the load "
        f"in {chance(doubt.enough)}. The cheapest is a mix of {_kinds(report, doubt)}."
        + (f" In {chance(doubt.none)} nothing available carries it." if doubt.none else "")
    )
    careful = report.careful
    if careful is not None:
        yield from wrapped(
            f"With each capacity at the lower end of its 95 % interval: {fleet_text(report.offers, careful.nodes)} for "
            f"{_cost(careful)}."
        )


def _kinds(report: MixReport, doubt: Doubt) -> str:
    told = [
        f"{' and '.join(_name(report.offers[i]) for i in one.offers)} in {chance(one.share)}"
        for one in doubt.kinds[:_RIVALS]
    ]
    rest = sum(one.share for one in doubt.kinds[_RIVALS:])
    return "; of ".join([*told, *([f"others in {chance(rest)}"] if rest else [])])


def _remarks(report: MixReport) -> Iterator[str]:
    """What a number in it rests on, a line each."""
    if report.within > 5e-4:
        yield f"The search ended before it was sure: the cheapest of all is at most {share(report.within)} cheaper."
    taken = [offer for offer, count in zip(report.offers, report.fleet.nodes, strict=True) if count]
    for offer in taken:
        if offer.predicted:
            yield from wrapped(f"{offer.label}: nobody has measured it; measure it before renting many.")
        if offer.at_least:
            yield from wrapped(
                f"{offer.label} still met the service at its top level, so that fewer nodes may do: measure more users."
            )
    if len(report.load.classes) > 1:
        yield "A node that carries several classes is taken to share its time among them, each at its own capacity."
    for left in report.left_out:
        why = "no run of it is near the lengths asked" if left.reason is None else reason_text(left.reason)
        yield from wrapped(f"Left out: {one_line(left.label, limit=80)}: {why}.")
