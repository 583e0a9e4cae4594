"""Cautions: reasons to doubt a number, in plain words, each with its remedy. CHECKS is walked for every level."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from breakeven.caution import Caution, Value
from breakeven.errorkinds import commonest, kind_of
from breakeven.metrics.checks import Checks, check_level
from breakeven.metrics.definitions import METRICS
from breakeven.metrics.failures import has_mostly_failed
from breakeven.metrics.goodput import TOO_LATE_S, goodput
from breakeven.metrics.level import summarise_level, window_of
from breakeven.metrics.pooling import cannot_tell
from breakeven.metrics.repeats import repeats
from breakeven.metrics.slo import Slo
from breakeven.metrics.statistics import SHORTEST_BATCH_S
from breakeven.metrics.summary import SUSPECT, UNSTEADY, ClientSummary, Distribution, LevelSummary, longer_with
from breakeven.record import LevelFacts, Record

_LAG_S: Final = 0.002
_KERNEL_STAMPED: Final = 0.99
_CLOCKS_S: Final = 0.005
_FEW_STRETCHES: Final = 18.0


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
            seen="on average {found:two} requests were in flight instead of {users}",
            advice=_why_missing(seen),
            values={"found": found, "users": users},
        )


def _why_missing(seen: Seen) -> str:
    if seen.level.errors:
        return "look at the errors: a user pauses after a failed request"
    if seen.facts.clients_lost:
        return "measure this level again with --resume: the users of a client that died are missing"
    if seen.level.status == "interrupted":
        return "run it again with --resume; what was in flight when the run was killed is not known"
    return "give the client more CPU; if it stays, report it as a fault of breakeven"


def _longer(seen: Seen) -> str:
    """The option that makes a level longer; of what is played to its end a file that holds more."""
    is_recording = seen.facts.stopped == "requests" and (seen.facts.plays_once or seen.facts.arrivals == "trace")
    return "a longer recording" if is_recording else longer_with(seen.facts.stopped)


def trend(seen: Seen) -> Iterator[Caution]:
    """The halves of the window agree, as far as their batches can tell and within 5 %."""
    if seen.checks.halves_tok_per_s is None or seen.checks.halves_doubt_tok_per_s is None:
        return
    first, second = seen.checks.halves_tok_per_s
    difference = abs(second - first)
    if difference > max(seen.checks.halves_doubt_tok_per_s, 0.05 * (first + second) / 2):
        yield Caution(
            id="trend",
            seen="the window's halves gave {first:one} and {second:one} tok/s, so it was not steady",
            advice=f"lengthen --warmup, or measure for longer with {_longer(seen)}",
            values={"first": first, "second": second},
        )


def warm_up_too_short(seen: Seen) -> Iterator[Caution]:
    """The throughput had settled when the window opened; where nobody asked for a length, the window has moved."""
    if seen.checks.unsettled_s > 0:
        warm_up_s = (seen.level.warm_up_s or 0.0) + seen.checks.unsettled_s
        yield Caution(
            id="warm_up_too_short",
            seen="the throughput settled only {unsettled_s:time} after the window had opened (MSER-5)",
            advice="use --warmup {warm_up_s}s, or let --duration auto move the window",
            values={"unsettled_s": seen.checks.unsettled_s, "warm_up_s": math.ceil(warm_up_s)},
        )


def saturated(seen: Seen) -> Iterator[Caution]:
    """An open loop's requests are answered as fast as they come."""
    if _is_too_late(seen.level):
        return  # then it is the client that falls behind, and `client_suspect` says so
    if seen.checks.backlog is not None and seen.checks.backlog.is_growing:
        yield Caution(
            id="saturated",
            seen="requests came faster than they were answered: {growth:few} more were in flight each second, so the "
            "latencies only say how long this level lasted",
            advice=f"{_slower(seen)}; the throughput is what the server can do",
            values={"growth": seen.checks.backlog.growth_req_per_s},
        )


def _slower(seen: Seen) -> str:
    return "replay it at a lower --option speed=…" if seen.facts.arrivals == "trace" else "offer a lower --rate"


def little(seen: Seen) -> Iterator[Caution]:
    """Little's law accounts for the users."""
    users, found, tolerance = seen.facts.users, seen.checks.little_users, seen.checks.little_tolerance
    if users is None or seen.facts.plays_once:
        return
    if found is None or tolerance is None:
        yield Caution(
            id="little_not_checked",
            seen="Little's law is not checked: the window holds {per_user:one} answers a user",
            advice=f"measure for longer with {_longer(seen)}, so that each user gets five answers",
            values={"per_user": seen.checks.answers_per_user or 0.0},
        )
    elif abs(found - users) > tolerance * users:
        yield Caution(
            id="little",
            seen="throughput x latency accounts for {found:one} users of {users}, so the window was not steady",
            advice=f"lengthen --warmup, or measure for longer with {_longer(seen)}",
            values={"found": found, "users": users},
        )


def short_window(seen: Seen) -> Iterator[Caution]:
    """Even the longest batches of the interval are as long as a turn of a user: an answer and the pause after it."""
    e2e_s, think_s, batch_s = seen.checks.median_e2e_s, seen.checks.think_s, seen.checks.longest_batch_s
    values = {"window_s": seen.level.window_s or 0.0}
    if batch_s < SHORTEST_BATCH_S * (1 - 1e-9):
        yield Caution(
            id="short_window",
            seen="a window of {window_s:time} is too short for an interval of throughput",
            advice="measure for at least 5 s",
            values=values,
        )
    elif e2e_s is None:
        yield Caution(
            id="short_window",
            seen="no answer came to its end in a window of {window_s:time}; the ± may be too small",
            advice=f"measure for longer with {_longer(seen)}, or ask for shorter answers",
            values=values,
        )
    elif batch_s < e2e_s + think_s:
        pause = " and the pause after it {think_s:time}, together" if think_s else ","
        yield Caution(
            id="short_window",
            seen=f"an answer takes {{e2e_s:time}}{pause} longer than a tenth of the window; the ± may be too small",
            advice=f"measure for {{enough_s:time}} or more with {_longer(seen)}",
            values={"e2e_s": e2e_s, "think_s": think_s, "enough_s": 10 * (e2e_s + think_s)},
        )


def few_answers(seen: Seen) -> Iterator[Caution]:
    """Every tenth of the window holds enough answers to tell how alike they are."""
    few = [which for which in ("p50", "p95") if any(seen.level.of(name).at(which).too_few for name in METRICS)]
    if few:
        yield Caution(
            id="few_answers",
            seen="a tenth of the window holds too few answers to tell how alike they are, so the ± of {which} is too "
            "small",
            advice=f"measure for longer with {_longer(seen)}, or with --repeats 3",
            values={"which": " and ".join(few)},
        )


def speed_wavers(seen: Seen) -> Iterator[Caution]:
    """The machine's speed does not change as slowly as the window lasts."""
    found = seen.checks.wavering
    if found is not None and found < _FEW_STRETCHES and not any(short_window(seen)):
        yield Caution(
            id="speed_wavers",
            seen="the speed wavers so slowly that the window tells as much as {found:whole} independent looks at it, "
            "so every ± may be too small",
            advice="use --repeats 3 or more, and believe the spread between them",
            values={"found": found},
        )


def places_kept(seen: Seen) -> Iterator[Caution]:
    """Users mix, so that one level is like another."""
    if seen.checks.one_length and _is_spread(seen.level.of("ttft_s"), beside=seen.level.of("e2e_s")):
        yield Caution(
            id="places_kept",
            seen="with answers of one length users keep the places that they began with, and another level draws "
            "others, which the ± of TTFT, ITL and E2E does not hold",
            advice="use --repeats 3 or more, and believe the spread between them",
        )


def _is_spread(ttft: Distribution, *, beside: Distribution) -> bool:
    """Some first tokens come later than the middle one, by more than 5 %, or by 0.5 % of an answer as in a queue."""
    middle, tail = ttft.p50.value, ttft.p90.value
    if middle is None or tail is None:
        return False
    return tail - middle > min(0.05 * middle, 0.005 * (beside.p50.value or math.inf))


def estimated_tokens(seen: Seen) -> Iterator[Caution]:
    """Few tokens were estimated, or a chunk is a token anyway."""
    share, ratio = seen.checks.estimated_share, seen.checks.tokens_per_chunk
    if seen.level.tokens_from == "chunks":
        yield Caution(
            id="estimated_tokens",
            seen="no answer came with a token count, so each chunk was counted as one token",
            advice="measure for longer where no answer ended; else compare with the engine's own token counter",
        )
    elif share > 0.05 and abs(ratio - 1) > 0.02:
        yield Caution(
            id="estimated_tokens",
            seen="{share:share} of the tokens belong to cut answers and were taken at {ratio:two} tokens a chunk",
            advice="measure for longer, or by --requests, so that fewer answers are cut",
            values={"share": share, "ratio": ratio},
        )


def chunks_are_not_tokens(seen: Seen) -> Iterator[Caution]:
    """One chunk is one token, so that ITL is what its name says."""
    ratio = seen.checks.tokens_per_chunk
    if abs(ratio - 1) > 0.02 and seen.level.of("itl_s").n:
        yield Caution(
            id="inter_chunk",
            seen="a chunk holds {ratio:two} tokens, so ITL here is the gap between chunks, not between tokens",
            advice="use TPOT, which counts tokens",
            values={"ratio": ratio},
        )


def first_chunk_of_many(seen: Seen) -> Iterator[Caution]:
    """The first chunk holds one token, so that TPOT is unbiased."""
    found = seen.checks.tokens_in_first_chunk
    if found is not None and found > 1.5:
        yield Caution(
            id="tokens_in_first_chunk",
            seen="first chunks hold {found:one} tokens (speculation?), so TPOT reads too low",
            advice="compare E2E at equal output lengths",
            values={"found": found},
        )


def in_one_piece(seen: Seen) -> Iterator[Caution]:
    """Answers are streamed."""
    if seen.level.requests and seen.checks.in_one_piece > seen.level.requests / 2:
        yield Caution(
            id="not_streamed",
            seen="answers arrived in one piece, so TTFT is the whole latency and TPOT means nothing",
            advice="let the server, or the proxy before it, stream",
        )


def hidden_reasoning(seen: Seen) -> Iterator[Caution]:
    """Every token that the server counts is shown."""
    share = seen.checks.hidden_share
    if share:
        yield Caution(
            id="hidden_reasoning",
            seen="{share:share} of the tokens are reasoning that no chunk shows: they are in tok/s, and not in TPOT",
            advice="let the server send its reasoning, or compare by E2E",
            values={"share": share},
        )


def ended_without_done(seen: Seen) -> Iterator[Caution]:
    """Streams end as the API says."""
    if seen.checks.without_done:
        yield Caution(
            id="no_done",
            seen="{without} of {requests} answers ended without [DONE]; their finish_reason or usage was taken for it",
            advice="see whether finish_reason and output_tokens of the records are those of whole answers",
            values={"without": seen.checks.without_done, "requests": seen.level.requests},
        )


def cached_prompts(seen: Seen) -> Iterator[Caution]:
    """Prompts were read, not remembered."""
    share = seen.checks.cached_share
    if share is not None and share > 0.05 + seen.checks.shared_share:
        yield Caution(
            id="cached_prompts",
            seen="the server took {share:share} of the prompt tokens from its prefix cache",
            advice="turn prefix caching off, or say that it is meant",
            values={"share": share},
        )


def lengths_off(seen: Seen) -> Iterator[Caution]:
    """Prompts and answers have the lengths that were asked for."""
    if seen.checks.input_misses:
        yield Caution(
            id="input_length",
            seen="{misses} of {requests} prompts had another length than asked for",
            advice="see the column input_tokens of the records",
            values={"misses": seen.checks.input_misses, "requests": seen.level.requests},
        )
    if seen.checks.output_misses:
        yield Caution(
            id="output_length",
            seen="{misses} of {requests} answers ended early",
            advice="use --engine NAME, so that the engine is told to ignore its end-of-text token",
            values={"misses": seen.checks.output_misses, "requests": seen.level.requests},
        )


def errors(seen: Seen) -> Iterator[Caution]:
    """Nothing failed."""
    if seen.level.errors and not has_mostly_failed(seen.level):
        yield Caution(
            id="errors",
            seen="{errors} requests failed ({kinds}); what is measured is the rest",
            advice=_to_do(seen.level),
            values=_failed(seen.level),
        )


def most_failed(seen: Seen) -> Iterator[Caution]:
    """Most requests were answered."""
    if seen.level.errors and has_mostly_failed(seen.level):
        yield Caution(
            id="most_failed",
            seen="more requests failed ({kinds}) than were answered; what is measured is the rest",
            advice=_to_do(seen.level),
            values=_failed(seen.level),
        )


def _failed(level: LevelSummary) -> Mapping[str, Value]:
    return {"errors": level.errors, "kinds": dict(sorted(level.errors_by_kind.items()))}


def _to_do(level: LevelSummary) -> str:
    """What the commonest kind of error asks for."""
    return kind_of(commonest(level.errors_by_kind)).advice


def client_spoiled_it(seen: Seen) -> Iterator[Caution]:
    """The instrument was fast enough."""
    reason, late = _lag_reason(seen.level)
    if reason is not None:
        cause = " (the engine on this machine may be the cause)" if seen.facts.same_host else ""
        more = "; or share its requests among --clients N" if _is_too_late(seen.level) else ""
        yield Caution(
            id="client_suspect",
            seen=f"{reason}{cause}; the client may have spoiled the latencies",
            advice=f"give the client a core of its own, or another machine{more}",
            values={"late": late},
        )


def _is_too_late(level: LevelSummary) -> bool:
    return (level.client.schedule_lag_p99_s or 0.0) > TOO_LATE_S


def _lag_reason(level: LevelSummary) -> tuple[str | None, float | None]:
    """What was seen of the client, with a slot for its figure; None where it was fast enough."""
    lag_s, share, late_s = level.client.lag_p99_s, level.client.cpu_share, level.client.schedule_lag_p99_s
    for name, count in level.errors_by_kind.items():
        if reason := kind_of(name).suspect:
            return reason, float(count)
    if late_s is not None and late_s > TOO_LATE_S:
        return "this client could not send so fast: requests went out {late:time} after they were due at p99", late_s
    if lag_s is not None and lag_s > _lag_limit_s(level):
        return "the client's own clockwork ran {late:time} late at p99", lag_s
    if share is not None and share > 0.8:
        return "the client used {late:share} of a core", share
    ttft_s = level.of("ttft_s").p50.value
    if late_s is not None and late_s > max(0.002, 0.05 * (ttft_s or 0.0)):
        return "the client sent requests {late:time} after they were due at p99", late_s
    return None, None


def _lag_limit_s(level: LevelSummary) -> float:
    """How late the client may be. With the kernel's stamps it spoils nothing until it reads two tokens at once.

    Then half a token's time is the limit, and 5 % of an answer's, since a user who sees the end late asks again late.
    The figures are in docs/ACCURACY.md.
    """
    itl_s, e2e_s = level.of("itl_s").p50.value or 0.0, level.of("e2e_s").p50.value
    if (level.client.kernel_stamped or 0.0) < _KERNEL_STAMPED:
        return max(_LAG_S, 0.05 * itl_s)
    return max(_LAG_S, min(0.5 * itl_s, math.inf if e2e_s is None else 0.05 * e2e_s))


def beyond_calibration(seen: Seen) -> Iterator[Caution]:
    """The load is one at which this machine's client was found to be right (`breakeven calibrate`)."""
    beyond = _beyond(seen, "calibrated_events_per_s")
    if beyond is not None:
        yield Caution(
            id="beyond_calibration",
            seen="{read:whole} events/s is more than the {most:whole} that this client was found right at",
            advice="share the users among --clients N, or calibrate again",
            values=beyond,
        )


def itl_beyond_calibration(seen: Seen) -> Iterator[Caution]:
    """The load is one at which this machine's client was found to read ITL right, its p99 too."""
    beyond = _beyond(seen, "calibrated_itl_events_per_s")
    if beyond is not None:
        yield Caution(
            id="itl_beyond_calibration",
            seen="{read:whole} events/s is more than the {most:whole} at which this client was found to read ITL "
            "right: chunks that are read together have one stamp, so the p99 may be a chunk's time too high",
            advice="share the users among --clients N, or go by TPOT",
            values=beyond,
        )


def _beyond(seen: Seen, ceiling: str) -> Mapping[str, Value] | None:
    """What was read and the ceiling, where it is more by over 2 %; None where it is not, or there is none."""
    events_per_s = (seen.level.output_tok_per_s.value or 0.0) / seen.checks.tokens_per_chunk
    most = seen.facts.extra.get(ceiling)
    return None if most is None or events_per_s <= 1.02 * most else {"read": events_per_s, "most": most}


def not_settled(seen: Seen) -> Iterator[Caution]:
    """The engine was idle again before the next level."""
    if not seen.facts.settled:
        yield Caution(
            id="carry_over",
            seen="the engine was still busy 30 s after this level was cut; the next level may carry its load",
            advice="measure that level alone",
        )


def clocks_apart(seen: Seen) -> Iterator[Caution]:
    """The clocks of the clients' hosts are aligned well enough for the window: within a thousandth of it, or 5 ms."""
    doubt_s, drift_s = seen.level.extra.get("clock_doubt_s"), seen.level.extra.get("clock_drift_s")
    if doubt_s is not None and doubt_s + (drift_s or 0.0) > max(_CLOCKS_S, 1e-3 * (seen.level.window_s or 0.0)):
        yield Caution(
            id="clock_offsets",
            seen="the clocks of the clients' hosts are known to {doubt_s:time} and drifted by {drift_s:time}, so "
            "arrivals are aligned no better; latencies are not touched",
            advice="use hosts on one quick network, or a longer --duration",
            values={"doubt_s": doubt_s, "drift_s": drift_s or 0.0},
        )


def noted(seen: Seen) -> Iterator[Caution]:
    """What the load itself saw."""
    yield from seen.facts.notes


CHECKS: Final[dict[str, Callable[[Seen], Iterator[Caution]]]] = {
    "errors": errors,
    "most_failed": most_failed,
    "client_spoiled_it": client_spoiled_it,
    "beyond_calibration": beyond_calibration,
    "itl_beyond_calibration": itl_beyond_calibration,
    "users_unaccounted_for": users_unaccounted_for,
    "trend": trend,
    "warm_up_too_short": warm_up_too_short,
    "saturated": saturated,
    "little": little,
    "short_window": short_window,
    "few_answers": few_answers,
    "speed_wavers": speed_wavers,
    "places_kept": places_kept,
    "estimated_tokens": estimated_tokens,
    "chunks_are_not_tokens": chunks_are_not_tokens,
    "first_chunk_of_many": first_chunk_of_many,
    "in_one_piece": in_one_piece,
    "hidden_reasoning": hidden_reasoning,
    "ended_without_done": ended_without_done,
    "cached_prompts": cached_prompts,
    "lengths_off": lengths_off,
    "not_settled": not_settled,
    "clocks_apart": clocks_apart,
    "noted": noted,
}


def judged_together(levels: Sequence[LevelSummary]) -> tuple[LevelSummary, ...]:
    """The levels with what only the repeats of a load tell: of two that lie apart, that two cannot tell."""
    apart = {
        (one.users, one.req_per_s_offered): tuple(_two_repeats(one.figures["output_tok_per_s"].between))
        for one in repeats(levels)
        if cannot_tell(one.n, one.figures["output_tok_per_s"].between)
    }
    return tuple(
        replace(level, cautions=(*level.cautions, *apart.get((level.users, level.req_per_s_offered), ())))
        if level.status == "done"
        else level
        for level in levels
    )


def _two_repeats(between: tuple[float | None, float | None]) -> Iterator[Caution]:
    yield Caution(
        id="two_repeats",
        seen="two repeats cannot tell ({low:few} to {high:few} tok/s by their spread); three can",
        advice="use --repeats 3",
        values={"low": between[0], "high": between[1]},
    )


def judged_level(facts: LevelFacts, records: Sequence[Record], *, slo: Slo | None = None) -> LevelSummary:
    """The summary of a level with its cautions, its verdict on the client, its goodput, and whether it was steady."""
    window = window_of(facts, records)
    level = summarise_level(facts, records, window=window)
    checks = check_level(facts, records, window=window)
    if window is None or checks is None:
        return msgspec.structs.replace(level, cautions=(_never_opened(level), *facts.notes))
    if facts.clients_lost:
        level = msgspec.structs.replace(level, extra=level.extra | {"clients_lost": facts.clients_lost})
    if checks.backlog is not None:
        known = {"saturated": checks.backlog.is_growing, "backlog_growth_req_per_s": checks.backlog.growth_req_per_s}
        level = msgspec.structs.replace(level, extra=level.extra | known)
    if slo is not None:
        good = goodput(facts, records, level=level, slo=slo, window=window)
        found = {} if good is None else {"slo": slo.text(), **msgspec.to_builtins(good)}
        level = msgspec.structs.replace(level, extra=level.extra | found)
    if level.extra.get("failed_share") == 1.0:
        failed = msgspec.structs.replace(level, status="failed", stopped="failed", steady=False)
        return msgspec.structs.replace(failed, cautions=(_never_opened(level), *facts.notes))
    seen = Seen(facts=facts, level=level, checks=checks)
    cautions = tuple(caution for check in CHECKS.values() for caution in check(seen))
    ids = {caution.id for caution in cautions}
    client = msgspec.structs.asdict(level.client) | {"verdict": "suspect" if ids & SUSPECT else "ok"}
    return msgspec.structs.replace(level, cautions=cautions, steady=not ids & UNSTEADY, client=ClientSummary(**client))


def _never_opened(level: LevelSummary) -> Caution:
    if level.errors:
        what = "no answer came to a good end" if level.output_tokens else "nothing was measured"
        return Caution(
            id="nothing_but_errors",
            seen=f"{what}: {{errors}} requests failed ({{kinds}})",
            advice=_to_do(level),
            values=_failed(level),
        )
    return Caution(
        id="no_window",
        seen="the level ended before its warm-up did, so nothing was measured",
        advice="run it again with --resume",
    )
