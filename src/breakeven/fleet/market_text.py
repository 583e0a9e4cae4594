"""What a set says of its markets, as text for a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from breakeven.fleet.fairprice import FairPrice
from breakeven.fleet.feedback import evidence
from breakeven.fleet.market import MarketReport
from breakeven.fleet.scores import CAUTIONS
from breakeven.fleet.simulate import Outcome
from breakeven.fleet.strata_text import card_name, cautions_of, icc_text, sd_text, short_names
from breakeven.fleet.verdicts import Verdict
from breakeven.say import amount, interval, number, percent, share, short, usd_per_h, wrapped
from breakeven.table import Table, heads, lines


def render(report: MarketReport) -> str:
    """Strata, then rules tried, fair prices and verdicts, where there are any."""
    parts = (_head(report), _strata(report), _cautions(report), _outcomes(report), _fair(report), _verdicts(report))
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _head(report: MarketReport) -> Iterator[str]:
    yield from wrapped(
        f"{report.jobs:,} jobs of {report.nodes:,} nodes with a speed. Spreads are of the log, of the bulk within "
        "three robust sd; ICC is the share of the variance of one job that lies between nodes, with its 95 % interval."
    )


def _strata(report: MarketReport) -> Iterator[str]:
    columns = heads("", "nodes", "jobs", "mean at fewest", "at most users", "spread", "within a node", "ICC")
    rows = []
    for one, name, means in zip(report.strata, short_names(report.strata), report.mean_tok_per_s, strict=True):
        known = [mean for mean in means if mean is not None]
        ends = (short(known[0]), short(known[-1])) if known else ("-", "-")
        spread = percent(one.sd_log) + (f", {one.outside} outside" if one.outside else "")
        rows.append([name, f"{one.nodes:,}", f"{one.jobs:,}", *ends, spread, sd_text(one.within), icc_text(one.icc)])
    yield f"Nodes by market and card ({_unit(report)})"
    yield from lines(Table(columns, rows), indent="  ")


def _unit(report: MarketReport) -> str:
    counted = {one.counted for one in report.strata}
    return "words/s" if counted == {"words"} else "tok/s" if counted == {"tokens"} else "tokens or words a second"


def _cautions(report: MarketReport) -> Iterator[str]:
    named = zip(short_names(report.strata), (one.cautions for one in report.strata), strict=True)
    for name, where in cautions_of(named).items():
        some = "; ".join(where[:4]) + (f" and {len(where) - 4} more" if len(where) > 4 else "")
        yield from wrapped(f"{CAUTIONS[name]} ({some}).", first="  - ", rest="    ")


def _outcomes(report: MarketReport) -> Iterator[str]:
    if not report.outcomes:
        return
    columns = (
        *heads("", "rule", "premium", "community", "dropped", "mean", "spread", left=(0, 1)),
        *heads("wrongly failed", "if dropped", "weak kept", left=()),
    )
    rows: list[list[str]] = []
    names = short_names(report.strata)
    for place, group in groupby(report.outcomes, key=lambda one: one.stratum):
        tried = list(group)
        first = tried[0]
        before = [percent(first.before_mean_pct / 100), percent(first.before_sd_log)]
        nodes = report.strata[place].nodes
        rows.append([names[place], "none", f"{nodes}", "", "", *before, "", "", ""])
        rows += [_outcome(one) for one in tried]
    yield "What a rule would do, by speed"
    yield from lines(Table(columns, rows), indent="  ")
    yield from wrapped(
        f"A node that misses the rule moves to the community market, and is dropped where it misses '{report.drop}' "
        "too. Mean and spread (the plain sd of the log) are of all premium nodes, the mean beside the median of all. "
        "Wrongly failed: how many of "
        "those that miss the rule are, as expected, no more than 5 % slower in truth, and what their hosts lose a "
        "month where they are dropped; weak kept: how many premium nodes are slower than that."
    )
    if report.rented_share is not None:
        usd = [value for value in report.lost_usd_per_month if value is not None]
        ends = list(dict.fromkeys((amount(min(usd), "USD"), amount(max(usd), "USD"))))
        yield from wrapped(
            f"A good node that is dropped costs its host {' to '.join(ends)} a month: rent x rented share "
            f"({share(report.rented_share)}) x availability x (1 - fee), around the clock. Change it with --set, such "
            "as market.rented_share=0.4."
        )
    else:
        yield from wrapped("Give --price CARD=USD to know what a wrong verdict costs a host, and what a fair price is.")


def _outcome(one: Outcome) -> list[str]:
    usd = one.wrong_usd_per_month
    return [
        "",
        one.rule,
        f"{one.premium}",
        f"{one.community}",
        f"{one.dropped}",
        percent(one.mean_pct / 100) if one.mean_pct is not None else "-",
        percent(one.sd_log),
        number(one.wrong, digits=1),
        "-" if usd is None else amount(usd, "USD"),
        number(one.missed, digits=1),
    ]


def _fair(report: MarketReport) -> Iterator[str]:
    if not report.fair:
        return
    names = short_names(report.strata)
    rows = [_fair_row(one, report, names[one.stratum]) for one in report.fair]
    columns = heads("", "reference", "cards for one of it", "fair rent", "declared", "at", left=(0, 1, 5))
    yield "Fair prices: the rent at which a card's tokens cost what the reference's cost (cost parity), USD/h a card"
    yield from lines(Table(columns, rows), indent="  ")


def _fair_row(one: FairPrice, report: MarketReport, name: str) -> list[str]:
    reference = report.strata[one.reference]
    ends = "" if one.k.ci95 == (None, None) else f" ({interval(*one.k.ci95)})"
    return [
        name,
        f"{card_name(reference.gpu)} at {usd_per_h(one.reference_usd_per_h)}",
        "-" if one.k.value is None else f"{one.k.value:.2f}{ends}",
        "-" if one.usd_per_h is None else usd_per_h(one.usd_per_h),
        "-" if one.paid_usd_per_h is None else usd_per_h(one.paid_usd_per_h),
        one.at,
    ]


def _verdicts(report: MarketReport) -> Iterator[str]:
    if not report.verdicts:
        return
    failed = [one for one in report.verdicts if one.passed is False]
    passed = sum(one.passed is True for one in report.verdicts)
    open_ = len(report.verdicts) - passed - len(failed)
    yield f"By the rules: {passed:,} pass, {len(failed):,} fail, {open_:,} cannot be judged"
    for one in failed:
        yield from _failed(one)


def _failed(one: Verdict) -> Iterator[str]:
    yield f"  {one.node} ({one.market}, {card_name(one.gpu)})"
    for check in one.checks:
        if check.passed is False:
            optional = " (optional)" if check.optional else ""
            yield from wrapped(f"{evidence(check, counted=one.counted)}{optional}", first="    - ", rest="      ")
            if check.words:
                yield from wrapped(check.words, first="      ", rest="      ")
    yield from _because(one)


def _because(one: Verdict) -> Sequence[str]:
    return [
        line
        for cause in one.causes
        for line in wrapped(f"{cause.text}: {cause.remedy}", first="      because ", rest="      ")
    ]
