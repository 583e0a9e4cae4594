"""The least warm-up is what this server needs, told by its answers; no crew and no loop waits longer for less."""

from typing import Any

import numpy as np
import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.load.merge import Tally, merged, on_our_clock
from breakeven.load.warmup import LEAST_S, TURNS, least_warmup
from breakeven.load.worker import Counts
from breakeven.metrics.level import summarise_level
from breakeven.plan import Plan
from breakeven.session.defaults import level_plan
from levels import Run, a_plan, levels

QUICK = Settings(ttft_s=0.02, itl_s=0.01)
"""Eight tokens in 0.09 s."""


def a_least(**fields: Any) -> tuple[float, str]:
    known: dict[str, Any] = {"ramp_s": 0.5, "warmup_s": 1.0, "longest_s": 12.0, "users": 10, "turns": 10, "turn_s": 0.3}
    return least_warmup(**known | fields)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, (0.5 + 3 * 0.3, "answers")),
        ({"turn_s": 0.01}, (1.0, "least")),
        ({"ramp_s": 2.5, "turn_s": 0.0}, (2.5, "ramp")),
        ({"turn_s": 41.0}, (12.0, "longest")),
        ({"turns": 9}, (12.0, "longest")),  # the first to end are the short ones
        ({"turns": 0, "turn_s": None}, (12.0, "longest")),
        ({"users": None, "turns": 10}, (1.4, "answers")),
        ({"users": None, "turns": 9}, (12.0, "longest")),
        ({"ramp_s": 20.0, "turn_s": 41.0}, (20.0, "ramp")),
        ({"warmup_s": 3.0, "longest_s": 0.0}, (3.0, "asked")),
        ({"warmup_s": 0.0, "longest_s": 0.0}, (0.5, "ramp")),
    ],
)
def test_the_least_warm_up_is_the_ramp_and_three_turns_up_to_the_most(
    fields: dict[str, Any], found: tuple[float, str]
) -> None:
    least_s, by = a_least(**fields)
    assert by == found[1]
    assert least_s == pytest.approx(found[0])


def test_a_warm_up_that_was_asked_for_asks_no_answers() -> None:
    asked = level_plan(Plan(url="http://h", warmup_s=4.0), users=50)
    assert (asked.warmup_s, asked.longest_warmup_s) == (4.0, 0.0)
    bare = level_plan(Plan(url="http://h", requests=200), users=50)
    assert (bare.warmup_s, bare.longest_warmup_s) == (0.0, 0.0)
    left = level_plan(Plan(url="http://h"), users=50)
    assert (left.warmup_s, left.longest_warmup_s) == (LEAST_S, 12.0)


def turns_s(run: Run) -> list[float]:
    """Whole answers that ended before the window opened."""
    open_s = run.facts.open_s or 0.0
    return [one.end_s - one.due_s for one in run.records if one.k and one.end_s <= open_s]


@pytest.mark.parametrize("crew", [{}, {"clients": 2}, {"is_open": True}, {"is_open": True, "clients": 2}])
def test_a_quick_server_is_warm_after_three_turns_on_every_crew(crew: dict[str, Any]) -> None:
    load = {"users": None, "req_per_s": 40.0} if crew.get("is_open") else {"users": 4}
    with ReferenceServer(QUICK) as server:
        (run,) = levels(server.url, a_plan(warmup_s=0.1, longest_warmup_s=8.0, longest_fill_s=5.0, **load), **crew)
    assert run.facts.open_s is not None
    warm_up_s = run.facts.open_s - run.facts.start_s
    assert 0.1 + TURNS * float(np.median(turns_s(run))) <= warm_up_s + 0.05 < 7.0
    assert run.facts.warm_up_by in ("answers", "filling")
    assert summarise_level(run.facts, run.records).extra["warm_up_by"] == run.facts.warm_up_by


def test_long_answers_are_waited_for_up_to_the_most() -> None:
    with ReferenceServer(Settings(ttft_s=0.1, itl_s=0.2)) as server:
        (run,) = levels(server.url, a_plan(warmup_s=0.1, longest_warmup_s=1.0))
    assert run.facts.open_s is not None
    assert run.facts.open_s - run.facts.start_s >= 1.0
    assert run.facts.warm_up_by == "longest"


def test_every_users_first_token_is_still_waited_for() -> None:
    with ReferenceServer(Settings(ttft_s=0.8, itl_s=0.001)) as server:
        (run,) = levels(server.url, a_plan(warmup_s=0.1, longest_warmup_s=0.2))
    assert run.facts.warm_up_by == "first_tokens"
    assert run.facts.open_s is not None
    assert run.facts.open_s - run.facts.start_s >= 0.8


def counts(**fields: Any) -> Counts:
    known: dict[str, Any] = dict.fromkeys(("chunks", "users_begun", "users_failed", "in_flight", "done", "errors"), 0)
    return Counts(at_s=1.0, tokens_per_chunk=1.0, e2e_s=[], **known | fields)


def test_several_clients_tell_one_turn_weighed_by_their_answers() -> None:
    told = []
    many = {"turns": 3, "turn_s": 1.0, "oldest_due_s": 5.0}
    for fields in (many, {"turns": 1, "turn_s": 2.0}, {"oldest_due_s": 4.0}):
        told.append(Tally(2))
        told[-1].take(counts(**fields))
    together = merged(told, now_s=1.0)
    assert (together.turns, together.turn_s, together.oldest_due_s) == (4, 1.25, 4.0)
    told[-1].is_dead = True
    assert merged(told, now_s=1.0).oldest_due_s == 5.0
    assert merged([Tally(2)], now_s=1.0).turn_s is None
    assert on_our_clock(counts(oldest_due_s=7.0), offset_s=2.0).oldest_due_s == 5.0
