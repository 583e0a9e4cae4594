"""Goodput: the requests and tokens that met every limit of an SLO, and whether a level met it."""

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from breakeven.metrics.definitions import METRICS, Metric
from breakeven.metrics.level import Window, done, given_up, is_timeout, window_of
from breakeven.metrics.sessions import turns_of
from breakeven.metrics.slo import Limit, Slo
from breakeven.metrics.summary import LevelSummary
from breakeven.record import LevelFacts, Record
from breakeven.say import percent
from breakeven.units import short_s

TOO_LATE_S: Final = 0.25
"""A schedule that the client is so late for at p99 is not the load that was asked for."""
BY_LUCK: Final = 0.05
"""A limit is missed where so many are beyond it that a server that just met it would have so many less often."""
Verdict = Literal["met", "missed", "unknown"]
VERDICTS: Final[tuple[Verdict, ...]] = ("missed", "unknown", "met")
"""The worst first: of several repeats all must meet the limits."""


class Counted(Struct, frozen=True, kw_only=True):
    """How many of a level's requests were beyond one limit: what decides where they are too few for a percentile."""

    metric: str
    limit_s: float
    requests: int
    beyond: int


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
    counted: tuple[Counted, ...] = ()
    """Of every limit on a percentile of requests or sessions, not of gaps."""
    goodput_sessions_per_s: float | None = None
    """Of recorded sessions: those that met every limit with every turn, and those on sessions themselves, over the
    time from the window's opening until the last of them had ended; None where none was played."""
    good_session_share: float | None = None
    """These over the sessions that ended, failed ones included."""


def goodput(
    facts: LevelFacts, records: Sequence[Record], *, level: LevelSummary, slo: Slo, window: Window | None = None
) -> Goodput | None:
    """Goodput of a level; None where it has no window."""
    window = window or window_of(facts, records)
    if window is None:
        return None
    answers = window.answers()
    failed = [record for record in window.ended if record.k > 0 and record.status == "error"]
    good = [record for record in answers if _is_good(record, slo)]
    inside = [record for record in window.all_ended if record.k > 0 and record.status == "done"]
    in_time = [record for record in inside if _is_good(record, slo)]
    ended = len(answers) + len(failed)
    failed_share = len(failed) / ended if ended else None
    counted = tuple(_counted(window, limit) for limit in slo.limits if METRICS[limit.of[0]].over != "gaps")
    facts_known = {"failed_share": failed_share, "counted": to_builtins(counted)}
    known = replace(level, extra=level.extra | facts_known)
    verdict, missed = judged(known, slo)
    return Goodput(
        goodput_req_per_s=len(in_time) / window.length_s,
        goodput_tok_per_s=sum(record.output_tokens or 0 for record in in_time) / window.length_s,
        good_share=len(good) / ended if ended else None,
        failed_share=failed_share,
        verdict=verdict,
        missed=missed,
        met=tuple(_margin(known, limit) for limit in slo.limits if judge(known, limit)[0] == "met"),
        counted=counted,
        **_good_sessions(window, records, slo),
    )


def _good_sessions(window: Window, records: Sequence[Record], slo: Slo) -> dict[str, float | None]:
    ended = [one for one in window.sessions if one.status in ("done", "error")]
    if not ended:
        return {}
    turns = turns_of(records)
    good = [one for one in done(ended) if _is_good_session(one, turns[one.user], slo)]
    took_s = max(window.close_s, *(one.end_s for one in ended)) - window.open_s
    return {"goodput_sessions_per_s": len(good) / took_s, "good_session_share": len(good) / len(ended)}


def _is_good_session(session: Record, turns: Sequence[Record], slo: Slo) -> bool:
    own = [limit for limit in slo.limits if _is_of_sessions(limit)]
    return all(_is_within(session, limit) for limit in own) and all(_is_good(turn, slo) for turn in turns)


def _is_of_sessions(limit: Limit) -> bool:
    return METRICS[limit.of[0]].over == "sessions"


def _counted(window: Window, limit: Limit) -> Counted:
    """Failed requests are left out; one that still waits for its first token, or was given up, counts by how long."""
    metric = METRICS[limit.of[0]]
    ended = window.sessions if metric.over == "sessions" else window.ended
    of = window.due if metric.over == "due" else [*done(ended), *given_up(ended)]
    found = [value for record in of if (value := counts_as(record, metric)) is not None]
    beyond = sum(value > limit.limit_s for value in found)
    return Counted(metric=limit.metric, limit_s=limit.limit_s, requests=len(found), beyond=beyond)


def counts_as(record: Record, metric: Metric) -> float | None:
    """What a request counts for; where it has no value and ranks late, how long it was waited for."""
    value = metric.of(record) if record.status != "error" else None
    if value is None and metric.ranks_late and (record.status != "error" or is_timeout(record)):
        return record.end_s - record.due_s
    return value


def _margin(level: LevelSummary, limit: Limit) -> str:
    return f"{limit.metric} {short_s(figure(level, limit) or 0.0)} of {short_s(limit.limit_s)}"


def figure(level: LevelSummary, limit: Limit) -> float | None:
    """The figure of a level that a limit is set on; None where the level cannot tell it."""
    name, statistic = limit.of
    return level.of(name).at(statistic).value


def _is_good(record: Record, slo: Slo) -> bool:
    """A request against every limit on requests."""
    return all(_is_within(record, limit) for limit in slo.limits if not _is_of_sessions(limit))


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

    A failed request is beyond every limit: where more failed than may be beyond it, it is missed. So it is where of
    few requests so many were beyond it that a server which just meets it has as many in at most 5 % of the cases
    (binomial): where none of six was in time nobody has to wait for twenty.
    """
    failed_share, what = _failed(level, limit)
    if failed_share > limit.allowed_share + 1e-9:
        return "missed", f"{limit.metric} falls on failed {what} ({percent(failed_share, digits=0)} failed)"
    name, statistic = limit.of
    of, found = level.of(name), level.of(name).at(statistic)
    if found.value is not None:
        return ("met" if found.value <= limit.limit_s else "missed"), f"{limit.metric} was {short_s(found.value)}"
    if found.more_than is not None and found.more_than > limit.limit_s:
        return "missed", f"{limit.metric} was more than {short_s(found.more_than)}"
    if (counted := _of_few(level, limit)) is not None:
        within = counted["requests"] - counted["beyond"]
        return "missed", f"{limit.metric}: {within} of {counted['requests']} were within {short_s(limit.limit_s)}"
    if of.n < limit.least_requests:
        needs = f"it needs {limit.least_requests}: measure for longer"
        return "unknown", f"{limit.metric} cannot be told from {of.n} {what}; {needs}"
    waiting = f"{of.censored} of {of.n} {what} had not come so far when the window closed"
    return "unknown", f"{limit.metric} cannot be told: {waiting}; measure for longer"


def _failed(level: LevelSummary, limit: Limit) -> tuple[float, str]:
    """The share of what the limit is on that failed, and what that is; a failed turn fails its session."""
    if not _is_of_sessions(limit):
        return level.extra.get("failed_share") or 0.0, "requests"
    failed, good = (float(level.extra.get(name) or 0) for name in ("sessions_failed", "sessions"))
    return (failed / (failed + good) if failed else 0.0), "sessions"


def _of_few(level: LevelSummary, limit: Limit) -> dict[str, Any] | None:
    """The requests counted against a limit, where they decide that it is missed."""
    for one in level.extra.get("counted") or ():
        if one["metric"] == limit.metric and one["limit_s"] == limit.limit_s:
            chance = at_least(one["beyond"], of=one["requests"], share=limit.allowed_share)
            return dict(one) if chance <= BY_LUCK * (1 + 1e-9) else None
    return None


def at_least(count: int, *, of: int, share: float) -> float:
    """P(X >= count) of a binomial X, `of` draws with `share` each; 1 of none."""

    def one(k: int) -> float:
        ways = math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)
        return math.exp(ways + k * math.log(share) + (of - k) * math.log1p(-share))

    return min(1.0, sum(one(k) for k in range(count, of + 1))) if count else 1.0
