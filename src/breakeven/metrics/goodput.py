"""Goodput: the requests and tokens that met every limit of an SLO, and whether a level met it."""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from breakeven.metrics.definitions import METRICS
from breakeven.metrics.level import Window
from breakeven.metrics.slo import Limit, Slo
from breakeven.metrics.summary import LevelSummary
from breakeven.record import LevelFacts, Record
from breakeven.units import short_s

TOO_LATE_S: Final = 0.25
"""A schedule that the client is so late for at p99 is not the load that was asked for."""
Verdict = Literal["met", "missed", "unknown"]


class Goodput(Struct, frozen=True, kw_only=True):
    """Good requests per second and their tokens (DistServe, arXiv 2401.09670): each within every limit by itself.

    Both rates are of those that ended inside the window, as `req_per_s` is; the share is of all that count in the
    latencies, which by a count or of a trace may end later.
    """

    goodput_req_per_s: float
    goodput_tok_per_s: float
    good_share: float | None
    """Good requests over those that ended, failed ones included; None where none ended."""
    failed_share: float | None
    """Failed requests over those that ended."""
    verdict: Verdict
    """Whether the level as a whole met the SLO: each limited percentile, not each request; `judged` says how."""
    missed: tuple[str, ...]
    """The limits that were missed or could not be judged, with what was found."""
    met: tuple[str, ...] = ()
    """The limits that were met, with how much of each was used: `ttft_p99 112 ms of 2.00 s`."""


def goodput(facts: LevelFacts, records: Sequence[Record], *, level: LevelSummary, slo: Slo) -> Goodput | None:
    """Goodput of a level; None where it has no window."""
    if facts.open_s is None or facts.close_s is None or facts.close_s <= facts.open_s:
        return None
    window = Window(facts, records)
    answers = window.answers()
    failed = [record for record in window.ended if record.k > 0 and record.status == "error"]
    good = [record for record in answers if _is_good(record, slo)]
    inside = [record for record in window.all_ended if record.k > 0 and record.status == "done"]
    in_time = [record for record in inside if _is_good(record, slo)]
    ended = len(answers) + len(failed)
    failed_share = len(failed) / ended if ended else None
    known = replace(level, extra=level.extra | {"failed_share": failed_share})
    verdict, missed = judged(known, slo)
    return Goodput(
        goodput_req_per_s=len(in_time) / window.length_s,
        goodput_tok_per_s=sum(record.output_tokens or 0 for record in in_time) / window.length_s,
        good_share=len(good) / ended if ended else None,
        failed_share=failed_share,
        verdict=verdict,
        missed=missed,
        met=tuple(_margin(known, limit) for limit in slo.limits if judge(known, limit)[0] == "met"),
    )


def _margin(level: LevelSummary, limit: Limit) -> str:
    return f"{limit.metric} {short_s(figure(level, limit) or 0.0)} of {short_s(limit.limit_s)}"


def figure(level: LevelSummary, limit: Limit) -> float | None:
    """The figure of a level that a limit is set on; None where the level cannot tell it."""
    name, statistic = limit.of
    return level.of(name).at(statistic).value


def _is_good(record: Record, slo: Slo) -> bool:
    return all(_is_within(record, limit) for limit in slo.limits)


def _is_within(record: Record, limit: Limit) -> bool:
    """One answer against one limit. No text came never in time; a single token has no time between tokens."""
    metric = METRICS[limit.of[0]]
    value = metric.of(record)
    return not metric.ranks_late if value is None else value <= limit.limit_s


def judged(level: LevelSummary, slo: Slo) -> tuple[Verdict, tuple[str, ...]]:
    """Whether a level met the SLO, and what was missed or cannot be told.

    A server that refuses what it cannot serve in time, one whose backlog grows, and a client that cannot send what was
    asked for meet nothing, however fast the answers that did come. Where clients were lost the load was less than asked
    for, so that what it met is not known to be met.
    """
    found = [judge(level, limit) for limit in slo.limits]
    reasons = [text for verdict, text in found if verdict != "met"]
    verdicts = {verdict for verdict, _ in found}
    if level.extra.get("saturated"):
        growth = level.extra.get("backlog_growth_req_per_s") or 0.0
        verdicts, reasons = {"missed"}, [*reasons, f"the backlog grew by {growth:.2g} requests each second"]
    late_s = level.client.schedule_lag_p99_s or 0.0
    if late_s > TOO_LATE_S:
        text = f"the client sent {short_s(late_s)} late at p99, so this load was not offered (--clients N)"
        verdicts, reasons = {"missed"}, [*reasons, text]
    if level.status == "failed":
        verdicts = {"missed"}
    if lost := level.extra.get("clients_lost"):
        verdicts, reasons = verdicts | {"unknown"}, [*reasons, f"{_clients(lost)} lost, so this load was not held"]
    verdict: Verdict = "missed" if "missed" in verdicts else "unknown" if "unknown" in verdicts else "met"
    return verdict, tuple(reasons)


def _clients(count: int) -> str:
    return "a client was" if count == 1 else f"{count} clients were"


def judge(level: LevelSummary, limit: Limit) -> tuple[Verdict, str]:
    """Whether a level meets one limit, and what was found. A percentile without enough requests decides nothing.

    A failed request is beyond every limit: where more failed than may be beyond it, it is missed.
    """
    failed_share = level.extra.get("failed_share") or 0.0
    if failed_share > limit.allowed_share + 1e-9:
        return "missed", f"{limit.metric} falls on failed requests ({failed_share:.0%} failed)"
    name, statistic = limit.of
    of, found = level.of(name), level.of(name).at(statistic)
    if found.value is not None:
        return ("met" if found.value <= limit.limit_s else "missed"), f"{limit.metric} was {short_s(found.value)}"
    if found.more_than is not None and found.more_than > limit.limit_s:
        return "missed", f"{limit.metric} was more than {short_s(found.more_than)}"
    if of.n < limit.least_requests:
        needs = f"it needs {limit.least_requests}: measure for longer"
        return "unknown", f"{limit.metric} cannot be told from {of.n} requests; {needs}"
    waiting = f"{of.censored} of {of.n} requests had not come so far when the window closed"
    return "unknown", f"{limit.metric} cannot be told: {waiting}; measure for longer"
