"""What a plan leaves open, filled in: METHOD's demo defaults for the embedded engine, longer ones for a URL."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from breakeven.load.level import LevelPlan
from breakeven.load.warmup import LEAST_S
from breakeven.metrics.slo import Slo, parse_slo
from breakeven.plan import DEFAULT_USERS, Plan

RAMP_S_PER_USER: Final = 0.05
LONGEST_RAMP_S: Final = 5.0
EMBEDDED_OUTPUT_TOKENS: Final = 64
URL_OUTPUT_TOKENS: Final = 256
URL_MAX_DURATION_S: Final = 120.0
CONTEXT_SLACK_TOKENS: Final = 64
DRAWN_CONTEXT_TOKENS: Final = 2048
"""For workloads whose lengths are drawn or read from a file."""
OPEN_LOOP_AS_USERS: Final = 10
"""An open loop warms up, and lasts at most, as long as this many users."""
LONGEST_FILL: Final = 0.5
"""Of a window's longest: an open loop waits so long for its first answers to end before the window opens."""
TRACE_DURATION_S: Final = math.inf
"""A recording ends when its last request has been sent."""
_USERS: Final = (1, 5, 10, 50, 100)
_LONGEST_WARMUP_S: Final = (2.0, 4.0, 5.0, 12.0, 20.0)
_EMBEDDED_MAX_S: Final = (8.0, 18.0, 20.0, 38.0, 55.0)


def output_tokens(plan: Plan) -> int | str | None:
    """Length of an answer: 64 tokens embedded, 256 for a URL, unless the plan says; None where a file does."""
    if plan.output_tokens is not None or plan.file_says_lengths:
        return plan.output_tokens
    return EMBEDDED_OUTPUT_TOKENS if plan.is_embedded else URL_OUTPUT_TOKENS


def _most_waiting(slo: Slo | None) -> float:
    """What waits for a first token ranks last in TTFT: so much of it leaves every limited percentile to be told."""
    shares = [limit.allowed_share for limit in (slo.limits if slo else ()) if limit.of[0] == "ttft_s"]
    return min(shares, default=1.0)


def context_tokens(plan: Plan) -> int:
    """Context that the embedded engine gives each user: prompt, answer and some slack, where they are numbers."""
    asked, answered = plan.input_tokens or 0, output_tokens(plan)
    if isinstance(asked, int) and isinstance(answered, int) and plan.workload in ("chat", "fixed"):
        return asked + answered + CONTEXT_SLACK_TOKENS
    return DRAWN_CONTEXT_TOKENS


def slots(plan: Plan) -> int:
    """Users that the embedded engine serves at once: the most of the plan; for a search as many as it has by default.

    With the slots of its first load, a search would find where those end.
    """
    return max(*plan.user_levels, *DEFAULT_USERS) if plan.find_max else max(plan.user_levels)


def level_plans(plan: Plan, *, salt: int, arrivals_s: Sequence[float] | None = None) -> list[LevelPlan]:
    """Every level of a plan, repeat by repeat, so that drift does not fall on one level.

    `arrivals_s` are those of a trace that is replayed; without them its level has no rate yet.
    """
    loads = _loads(plan, arrivals_s=arrivals_s)
    return [
        level_plan(plan, users=users, req_per_s=rate, repeat=repeat, salt=salt, arrivals_s=arrivals_s)
        for repeat in range(plan.repeats)
        for users, rate in loads
    ]


def round_levels(plan: Plan, repeat: int) -> list[LevelPlan]:
    """The levels of one round."""
    return [level for level in level_plans(plan, salt=0) if level.repeat == repeat]


def first_load(plan: Plan) -> tuple[int | None, float | None]:
    """Users or offered rate at which a search begins."""
    return (plan.user_levels[0], None) if plan.rate is None else (None, plan.rate[0])


def _loads(plan: Plan, *, arrivals_s: Sequence[float] | None) -> list[tuple[int | None, float | None]]:
    if plan.is_replay:
        is_rate = plan.workload == "trace"  # of sessions it would be none of requests
        return [(None, None if arrivals_s is None or not is_rate else _req_per_s(arrivals_s))]
    if plan.rate is not None:
        return [(None, rate) for rate in plan.rate]
    return [(users, None) for users in plan.user_levels]


def _req_per_s(arrivals_s: Sequence[float]) -> float | None:
    """Mean rate of recorded arrivals; None where all come at one moment."""
    took_s = arrivals_s[-1] - arrivals_s[0]
    return (len(arrivals_s) - 1) / took_s if took_s else None


def level_plan(
    plan: Plan,
    *,
    users: int | None,
    req_per_s: float | None = None,
    repeat: int = 0,
    salt: int = 0,
    arrivals_s: Sequence[float] | None = None,
) -> LevelPlan:
    """A level with every default filled in; between the numbers of users of the table, in proportion."""
    load = OPEN_LOOP_AS_USERS if users is None else users
    most_s = float(np.interp(load, _USERS, _EMBEDDED_MAX_S)) if plan.is_embedded else URL_MAX_DURATION_S
    is_bare = plan.requests is not None or plan.plays_whole
    ramp_s = 0.0 if users is None else min(RAMP_S_PER_USER * users, LONGEST_RAMP_S)
    longest_s = most_s if plan.max_duration_s is None else plan.max_duration_s
    is_told = is_bare or plan.warmup_s is not None
    slo = None if plan.slo is None else parse_slo(plan.slo)
    return LevelPlan(
        users=users,
        req_per_s=req_per_s,
        arrivals="trace" if plan.is_replay else plan.arrivals or "poisson",
        times_s=None if arrivals_s is None or users is not None else tuple(arrivals_s),
        plays_whole=plan.plays_whole,
        repeat=repeat,
        ramp_s=ramp_s if plan.ramp_s is None else plan.ramp_s,
        warmup_s=plan.warmup_s or 0.0 if is_told else LEAST_S,
        longest_warmup_s=0.0 if is_told else float(np.interp(load, _USERS, _LONGEST_WARMUP_S)),
        longest_fill_s=0.0 if is_told else LONGEST_FILL * max(longest_s, plan.duration_s or 0.0),
        duration_s=TRACE_DURATION_S if plan.plays_whole and plan.duration_s is None else plan.duration_s,
        requests=plan.requests,
        max_duration_s=longest_s,
        precision=plan.precision,
        least_answers=0 if slo is None else max(limit.least_requests for limit in slo.limits),
        most_waiting_share=_most_waiting(slo),
        think_s=plan.think_s,
        seed=plan.seed,
        salt=salt,
    )
