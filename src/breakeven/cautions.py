"""Cautions: reasons to doubt a number, in plain words, each with its remedy. CHECKS is walked for every level."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from breakeven.metrics.arrivals import Arrivals
from breakeven.metrics.checks import Checks, check_level
from breakeven.metrics.goodput import TOO_LATE_S, goodput
from breakeven.metrics.level import summarise_level
from breakeven.metrics.slo import Slo
from breakeven.metrics.statistics import SHORTEST_BATCH_S
from breakeven.metrics.summary import SUSPECT, UNSTEADY, Caution, ClientSummary, LevelSummary, longer_with
from breakeven.record import LevelFacts, Record
from breakeven.units import short_s

_LAG_S: Final = 0.002
_KERNEL_STAMPED: Final = 0.99
_CLOCKS_S: Final = 0.005


class Seen(Struct, frozen=True, kw_only=True):
    """All that a check may look at."""

    facts: LevelFacts
    level: LevelSummary
    checks: Checks


def users_unaccounted_for(seen: Seen) -> Iterator[Caution]:
    """In flight on average as many as there are users, within 1 %."""
    users, found = seen.facts.users, seen.checks.in_flight
    if users is not None and found is not None and abs(found - users) > 0.01 * users:
        yield Caution(
            id="users_unaccounted_for",
            text=f"on average {found:.2f} requests were in flight instead of {users}",
            remedy=_why_missing(seen),
        )


def _why_missing(seen: Seen) -> str:
    if seen.level.errors:
        return "look at the errors: a user pauses after a failed request"
    if seen.facts.clients_lost:
        return "measure this level again with --resume: the users of a client that died are missing"
    if seen.level.status == "interrupted":
        return "run it again with --resume; what was in flight when the run was killed is not known"
    return "give the client more CPU; if it stays, report it as a fault of breakeven"


def trend(seen: Seen) -> Iterator[Caution]:
    """The halves of the window agree, as far as their batches can tell and within 5 %."""
    if seen.checks.halves_tok_per_s is None or seen.checks.halves_doubt_tok_per_s is None:
        return
    first, second = seen.checks.halves_tok_per_s
    difference = abs(second - first)
    if difference > max(seen.checks.halves_doubt_tok_per_s, 0.05 * (first + second) / 2):
        yield Caution(
            id="trend",
            text=f"the window's halves gave {first:.1f} and {second:.1f} tok/s, so it was not steady",
            remedy=f"lengthen --warmup, or measure for longer with {longer_with(seen.facts.stopped)}",
        )


def warm_up_too_short(seen: Seen) -> Iterator[Caution]:
    """The throughput had settled when the window opened; where nobody asked for a length, the window has moved."""
    if seen.checks.unsettled_s > 0:
        warm_up_s = (seen.level.warm_up_s or 0.0) + seen.checks.unsettled_s
        yield Caution(
            id="warm_up_too_short",
            text=f"the throughput settled only {short_s(seen.checks.unsettled_s)} after the window had opened (MSER-5)",
            remedy=f"use --warmup {math.ceil(warm_up_s)}s, or let --duration auto move the window",
        )


def saturated(seen: Seen) -> Iterator[Caution]:
    """An open loop's requests are answered as fast as they come."""
    if _is_too_late(seen.level):
        return  # then it is the client that falls behind, and `client_suspect` says so
    if seen.checks.backlog is not None and seen.checks.backlog.is_growing:
        growth = seen.checks.backlog.growth_req_per_s
        yield Caution(
            id="saturated",
            text=f"requests came faster than they were answered: {growth:.2g} more were in flight each second, so the "
            "latencies only say how long this level lasted",
            remedy=f"{_slower(seen)}; the throughput is what the server can do",
        )


def _slower(seen: Seen) -> str:
    return "replay it at a lower --option speed=…" if seen.facts.arrivals == "trace" else "offer a lower --rate"


def little(seen: Seen) -> Iterator[Caution]:
    """Little's law accounts for the users."""
    users, found, tolerance = seen.facts.users, seen.checks.little_users, seen.checks.little_tolerance
    if users is None:
        return
    if found is None or tolerance is None:
        per_user = seen.checks.answers_per_user or 0.0
        yield Caution(
            id="little_not_checked",
            text=f"Little's law is not checked: the window holds {per_user:.1f} answers a user",
            remedy=f"measure for longer with {longer_with(seen.facts.stopped)}, so that each user gets five answers",
        )
    elif abs(found - users) > tolerance * users:
        yield Caution(
            id="little",
            text=f"throughput x latency accounts for {found:.1f} users of {users}, so the window was not steady",
            remedy=f"lengthen --warmup, or measure for longer with {longer_with(seen.facts.stopped)}",
        )


def short_window(seen: Seen) -> Iterator[Caution]:
    """Even the longest batches of the interval are as long as an answer."""
    e2e_s, batch_s = seen.checks.median_e2e_s, seen.checks.longest_batch_s
    window = short_s(seen.level.window_s or 0.0)
    if batch_s < SHORTEST_BATCH_S * (1 - 1e-9):
        yield Caution(
            id="short_window",
            text=f"a window of {window} is too short for an interval of throughput",
            remedy="measure for at least 5 s",
        )
    elif e2e_s is None:
        yield Caution(
            id="short_window",
            text=f"no answer came to its end in a window of {window}; the ± may be too small",
            remedy=f"measure for longer with {longer_with(seen.facts.stopped)}, or ask for shorter answers",
        )
    elif batch_s < e2e_s:
        yield Caution(
            id="short_window",
            text=f"an answer takes {short_s(e2e_s)}, longer than a tenth of the window; the ± may be too small",
            remedy=f"measure for {short_s(10 * e2e_s)} or more with {longer_with(seen.facts.stopped)}",
        )


def estimated_tokens(seen: Seen) -> Iterator[Caution]:
    """Few tokens were estimated, or a chunk is a token anyway."""
    share, ratio = seen.checks.estimated_share, seen.checks.tokens_per_chunk
    if seen.level.tokens_from == "chunks":
        yield Caution(
            id="estimated_tokens",
            text="no answer came with a token count, so each chunk was counted as one token",
            remedy="measure for longer where no answer ended; else compare with the engine's own token counter",
        )
    elif share > 0.05 and abs(ratio - 1) > 0.02:
        yield Caution(
            id="estimated_tokens",
            text=f"{share:.0%} of the tokens belong to cut answers and were taken at {ratio:.2f} tokens a chunk",
            remedy="measure for longer, or by --requests, so that fewer answers are cut",
        )


def chunks_are_not_tokens(seen: Seen) -> Iterator[Caution]:
    """One chunk is one token, so that ITL is what its name says."""
    ratio = seen.checks.tokens_per_chunk
    if abs(ratio - 1) > 0.02 and seen.level.itl_s.n:
        yield Caution(
            id="inter_chunk",
            text=f"a chunk holds {ratio:.2f} tokens, so ITL here is the gap between chunks, not between tokens",
            remedy="use TPOT, which counts tokens",
        )


def first_chunk_of_many(seen: Seen) -> Iterator[Caution]:
    """The first chunk holds one token, so that TPOT is unbiased."""
    found = seen.checks.tokens_in_first_chunk
    if found is not None and found > 1.5:
        yield Caution(
            id="tokens_in_first_chunk",
            text=f"first chunks hold {found:.1f} tokens (speculation?), so TPOT reads too low",
            remedy="compare E2E at equal output lengths",
        )


def in_one_piece(seen: Seen) -> Iterator[Caution]:
    """Answers are streamed."""
    if seen.level.requests and seen.checks.in_one_piece > seen.level.requests / 2:
        yield Caution(
            id="not_streamed",
            text="answers arrived in one piece, so TTFT is the whole latency and TPOT means nothing",
            remedy="let the server, or the proxy before it, stream",
        )


def cached_prompts(seen: Seen) -> Iterator[Caution]:
    """Prompts were read, not remembered."""
    share = seen.checks.cached_share
    if share is not None and share > 0.05:
        yield Caution(
            id="cached_prompts",
            text=f"the server took {share:.0%} of the prompt tokens from its prefix cache",
            remedy="turn prefix caching off, or say that it is meant",
        )


def lengths_off(seen: Seen) -> Iterator[Caution]:
    """Prompts and answers have the lengths that were asked for."""
    if seen.checks.input_misses:
        yield Caution(
            id="input_length",
            text=f"{seen.checks.input_misses} of {seen.level.requests} prompts had another length than asked for",
            remedy="see the column input_tokens of the records",
        )
    if seen.checks.output_misses:
        yield Caution(
            id="output_length",
            text=f"{seen.checks.output_misses} of {seen.level.requests} answers ended early",
            remedy="use --engine NAME, so that the engine is told to ignore its end-of-text token",
        )


def errors(seen: Seen) -> Iterator[Caution]:
    """Nothing failed."""
    if seen.level.errors:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(seen.level.errors_by_kind.items()))
        yield Caution(
            id="errors",
            text=f"{seen.level.errors} requests failed ({kinds}); what is measured is the rest",
            remedy="see the column error_text of the records",
        )


def client_spoiled_it(seen: Seen) -> Iterator[Caution]:
    """The instrument was fast enough."""
    reason = _lag_reason(seen.level)
    if reason is not None:
        cause = " (the engine on this machine may be the cause)" if seen.facts.same_host else ""
        more = "; or share its requests among --clients N" if _is_too_late(seen.level) else ""
        yield Caution(
            id="client_suspect",
            text=f"{reason}{cause}; the client may have spoiled the latencies",
            remedy=f"give the client a core of its own, or another machine{more}",
        )


CLIENT_LIMIT: Final = "client_limit"
"""Kind of the errors that are the client's own: it may open no more files or ports."""


def _is_too_late(level: LevelSummary) -> bool:
    return (level.client.schedule_lag_p99_s or 0.0) > TOO_LATE_S


def _lag_reason(level: LevelSummary) -> str | None:
    lag_s, share, late_s = level.client.lag_p99_s, level.client.cpu_share, level.client.schedule_lag_p99_s
    if limited := level.errors_by_kind.get(CLIENT_LIMIT):
        return f"{limited} requests had no connection, since this client's machine allows no more (ulimit -n, ports)"
    if late_s is not None and late_s > TOO_LATE_S:
        return f"this client could not send so fast: requests went out {short_s(late_s)} after they were due at p99"
    if lag_s is not None and lag_s > _lag_limit_s(level):
        return f"the client's own clockwork ran {short_s(lag_s)} late at p99"
    if share is not None and share > 0.8:
        return f"the client used {share:.0%} of a core"
    ttft_s = level.ttft_s.p50.value
    if late_s is not None and late_s > max(0.002, 0.05 * (ttft_s or 0.0)):
        return f"the client sent requests {short_s(late_s)} after they were due at p99"
    return None


def _lag_limit_s(level: LevelSummary) -> float:
    """How late the client may be. With the kernel's stamps it spoils nothing until it reads two tokens at once.

    Then half a token's time is the limit, and 5 % of an answer's, since a user who sees the end late asks again late.
    The figures are in docs/ACCURACY.md.
    """
    itl_s, e2e_s = level.itl_s.p50.value or 0.0, level.e2e_s.p50.value
    if (level.client.kernel_stamped or 0.0) < _KERNEL_STAMPED:
        return max(_LAG_S, 0.05 * itl_s)
    return max(_LAG_S, min(0.5 * itl_s, math.inf if e2e_s is None else 0.05 * e2e_s))


def beyond_calibration(seen: Seen) -> Iterator[Caution]:
    """The load is one at which this machine's client was found to be right (`breakeven calibrate`)."""
    beyond = _beyond(seen, "calibrated_events_per_s")
    if beyond is not None:
        yield Caution(
            id="beyond_calibration",
            text=f"{beyond} that this client was found right at",
            remedy="share the users among --clients N, or calibrate again",
        )


def itl_beyond_calibration(seen: Seen) -> Iterator[Caution]:
    """The load is one at which this machine's client was found to read ITL right, its p99 too."""
    beyond = _beyond(seen, "calibrated_itl_events_per_s")
    if beyond is not None:
        yield Caution(
            id="itl_beyond_calibration",
            text=f"{beyond} at which this client was found to read ITL right: chunks that are read together have one "
            "stamp, so the p99 may be a chunk's time too high",
            remedy="share the users among --clients N, or go by TPOT",
        )


def _beyond(seen: Seen, ceiling: str) -> str | None:
    """What was read is more than this ceiling, by over 2 %; None where it is not, or there is none."""
    events_per_s = (seen.level.output_tok_per_s.value or 0.0) / seen.checks.tokens_per_chunk
    most = seen.facts.extra.get(ceiling)
    return (
        None
        if most is None or events_per_s <= 1.02 * most
        else f"{events_per_s:.0f} events/s is more than the {most:.0f}"
    )


def not_settled(seen: Seen) -> Iterator[Caution]:
    """The engine was idle again before the next level."""
    if not seen.facts.settled:
        yield Caution(
            id="carry_over",
            text="the engine was still busy 30 s after this level was cut; the next level may carry its load",
            remedy="measure that level alone",
        )


def clocks_apart(seen: Seen) -> Iterator[Caution]:
    """The clocks of the clients' hosts are aligned well enough for the window: within a thousandth of it, or 5 ms."""
    doubt_s, drift_s = seen.level.extra.get("clock_doubt_s"), seen.level.extra.get("clock_drift_s")
    if doubt_s is not None and doubt_s + (drift_s or 0.0) > max(_CLOCKS_S, 1e-3 * (seen.level.window_s or 0.0)):
        yield Caution(
            id="clock_offsets",
            text=f"the clocks of the clients' hosts are known to {short_s(doubt_s)} and drifted by "
            f"{short_s(drift_s or 0.0)}, so arrivals are aligned no better; latencies are not touched",
            remedy="use hosts on one quick network, or a longer --duration",
        )


def noted(seen: Seen) -> Iterator[Caution]:
    """What the load itself saw."""
    yield from _notes(seen.facts)


CHECKS: Final[dict[str, Callable[[Seen], Iterator[Caution]]]] = {
    "errors": errors,
    "client_spoiled_it": client_spoiled_it,
    "beyond_calibration": beyond_calibration,
    "itl_beyond_calibration": itl_beyond_calibration,
    "users_unaccounted_for": users_unaccounted_for,
    "trend": trend,
    "warm_up_too_short": warm_up_too_short,
    "saturated": saturated,
    "little": little,
    "short_window": short_window,
    "estimated_tokens": estimated_tokens,
    "chunks_are_not_tokens": chunks_are_not_tokens,
    "first_chunk_of_many": first_chunk_of_many,
    "in_one_piece": in_one_piece,
    "cached_prompts": cached_prompts,
    "lengths_off": lengths_off,
    "not_settled": not_settled,
    "clocks_apart": clocks_apart,
    "noted": noted,
}


def judged_level(facts: LevelFacts, records: Sequence[Record], *, slo: Slo | None = None) -> LevelSummary:
    """The summary of a level with its cautions, its verdict on the client, its goodput, and whether it was steady."""
    arrivals = Arrivals(records)
    level = summarise_level(facts, records, arrivals=arrivals)
    checks = check_level(facts, records, arrivals=arrivals)
    if checks is None:
        return msgspec.structs.replace(level, cautions=(_never_opened(level), *_notes(facts)))
    if facts.clients_lost:
        level = msgspec.structs.replace(level, extra=level.extra | {"clients_lost": facts.clients_lost})
    if checks.backlog is not None:
        known = {"saturated": checks.backlog.is_growing, "backlog_growth_req_per_s": checks.backlog.growth_req_per_s}
        level = msgspec.structs.replace(level, extra=level.extra | known)
    if slo is not None:
        level = _with_goodput(level, facts, records, slo=slo)
    if level.errors and not level.requests and not level.output_tokens:
        failed = msgspec.structs.replace(level, status="failed", stopped="failed", steady=False)
        return msgspec.structs.replace(failed, cautions=(_never_opened(level), *_notes(facts)))
    seen = Seen(facts=facts, level=level, checks=checks)
    cautions = tuple(caution for check in CHECKS.values() for caution in check(seen))
    ids = {caution.id for caution in cautions}
    client = msgspec.structs.asdict(level.client) | {"verdict": "suspect" if ids & SUSPECT else "ok"}
    return msgspec.structs.replace(level, cautions=cautions, steady=not ids & UNSTEADY, client=ClientSummary(**client))


def _with_goodput(level: LevelSummary, facts: LevelFacts, records: Sequence[Record], *, slo: Slo) -> LevelSummary:
    good = goodput(facts, records, level=level, slo=slo)
    found = {} if good is None else {"slo": slo.text(), **msgspec.to_builtins(good)}
    return msgspec.structs.replace(level, extra=level.extra | found)


def _never_opened(level: LevelSummary) -> Caution:
    if level.errors:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(level.errors_by_kind.items()))
        return Caution(
            id="nothing_but_errors",
            text=f"nothing was measured: {level.errors} requests failed ({kinds})",
            remedy="see the column error_text of the records",
        )
    return Caution(
        id="no_window",
        text="the level ended before its warm-up did, so nothing was measured",
        remedy="run it again with --resume",
    )


def _notes(facts: LevelFacts) -> Iterator[Caution]:
    for note in facts.notes:
        name, _, text = note.partition(": ")
        text, _, remedy = text.partition(" | ")
        yield Caution(id=name, text=text, remedy=remedy)
