"""The solver of a mix against brute force, and what holds for every mix."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from breakeven.mix.day import day_of
from breakeven.mix.solve import Array, Problem, cheapest, most_carried

MOST_CARDS = 10


def problem(
    usd: list[float], capacity: list[list[float]], demand: list[float], *, spare: bool = False, least: int = 1
) -> Problem:
    return Problem(
        usd_per_h=np.array(usd),
        capacity=np.array(capacity),
        demand=np.array(demand),
        least=np.full(len(usd), float(least)),
        spare=spare,
    )


def fleets(offers: int, *, most: int) -> Iterator[tuple[int, ...]]:
    """Every fleet of at most so many nodes."""
    return (nodes for nodes in itertools.product(range(most + 1), repeat=offers) if sum(nodes) <= most)


def carries(of: Problem, nodes: tuple[int, ...]) -> bool:
    """By a linear program of another form: the time that each kind of node gives to each class."""
    left = [nodes]
    if of.spare:
        left = [tuple(n - (i == lost) for i, n in enumerate(nodes)) for lost, n in enumerate(nodes) if n] or [nodes]
    return all(_carries(of.capacity, of.demand, np.array(some, dtype=np.float64)) for some in left)


def _carries(capacity: Array, demand: Array, nodes: Array) -> bool:
    offers, classes = capacity.shape
    serve = np.zeros((classes, offers * classes))
    time = np.zeros((offers, offers * classes))
    for i in range(offers):
        for c in range(classes):
            serve[c, i * classes + c] = -capacity[i, c]
            time[i, i * classes + c] = 1.0
    found = optimize.linprog(
        np.zeros(offers * classes), A_ub=np.vstack([serve, time]), b_ub=np.concatenate([-demand * (1 - 1e-7), nodes])
    )
    return bool(found.status == 0)


def brute(of: Problem) -> float | None:
    """The least cost of at most ten cards, by trying all of them, cheapest first."""
    tried = sorted(fleets(len(of.usd_per_h), most=MOST_CARDS), key=lambda nodes: float(of.usd_per_h @ np.array(nodes)))
    for nodes in tried:
        lets = all(n == 0 or n >= least for n, least in zip(nodes, of.least, strict=True))
        stock = all(float(cards @ np.array(nodes)) <= most for cards, most in of.most)
        if lets and stock and carries(of, nodes):
            return float(of.usd_per_h @ np.array(nodes))
    return None


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    offers, classes = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    capacity = draw(
        st.lists(
            st.lists(st.sampled_from([0, 7, 20, 33, 50, 90]), min_size=classes, max_size=classes),
            min_size=offers,
            max_size=offers,
        )
    )
    usd = draw(st.lists(st.integers(1, 40), min_size=offers, max_size=offers))
    made = problem(
        [float(one) for one in usd],
        [[float(one) for one in row] for row in capacity],
        [float(draw(st.integers(1, 100))) for _ in range(classes)],
        spare=draw(st.booleans()),
        least=draw(st.sampled_from([1, 1, 3])),
    )
    stock = draw(st.sampled_from([None, 1, 3]))
    only = np.eye(offers)[0] * draw(st.sampled_from([1.0, 2.0]))
    return made if stock is None else made._replace(most=((only, float(stock)),))


@settings(max_examples=120, deadline=None)
@given(problems())
def test_no_ten_cards_are_cheaper_than_what_is_found(of: Problem) -> None:
    best, found = brute(of), cheapest(of)
    if best is None:
        assert found is None or sum(found.nodes) > MOST_CARDS
        return
    assert found is not None
    usd = float(of.usd_per_h @ np.array(found.nodes))
    assert usd <= best * (1 + 1e-6)
    assert usd == pytest.approx(best) or sum(found.nodes) > MOST_CARDS
    assert carries(of, found.nodes)
    assert found.within < 1e-4


@settings(max_examples=40, deadline=None)
@given(problems())
def test_what_cannot_be_carried_is_carried_in_part(of: Problem) -> None:
    part = most_carried(of)
    assert (cheapest(of) is not None) == (part > 1 - 1e-6)
    if 0.01 < part < 1 - 1e-6:
        assert cheapest(of._replace(demand=of.demand * part * 0.999)) is not None
        assert cheapest(of._replace(demand=of.demand * part * 1.001)) is None


def test_two_cards_of_one_kind_and_one_of_another_beat_three() -> None:
    found = cheapest(problem([1.0, 0.6], [[100.0], [50.0]], [240.0]))
    assert found is not None
    assert found.nodes == (2, 1)


def test_a_spare_node_is_one_more_of_the_largest_kind_at_most() -> None:
    found = cheapest(problem([1.0, 0.6], [[100.0], [50.0]], [200.0], spare=True))
    assert found is not None
    assert found.nodes == (3, 0)  # 2 + 2 of the small would leave 200 without one large, at 3.2


def test_classes_share_a_node_by_its_time() -> None:
    found = cheapest(problem([1.0], [[100.0, 10.0]], [50.0, 5.0]))
    assert found is not None
    assert found.nodes == (1,)


def test_a_class_that_a_card_cannot_serve_takes_another_card() -> None:
    found = cheapest(problem([1.0, 5.0], [[100.0, 0.0], [100.0, 50.0]], [100.0, 10.0]))
    assert found is not None
    assert found.nodes == (1, 1)


def test_the_cheapest_day_is_no_dearer_than_any_other_and_says_how_near_it_is() -> None:
    peak = problem([1.0, 0.45], [[100.0], [40.0]], [200.0])
    hours, cold_h = [40.0, 90.0, 200.0, 120.0], 2.0
    found = day_of(peak, hours, cold_start_h=cold_h)
    fit = [[np.array(nodes) for nodes in fleets(2, most=5) if np.dot(nodes, [100, 40]) >= load] for load in hours]
    best = min(_day_usd(days, peak.usd_per_h, cold_h) for days in itertools.product(*fit))
    assert best <= found.usd_per_day * (1 + 1e-9)
    assert found.usd_per_day * (1 - found.within) <= best * (1 + 1e-9)
    nodes = [np.array(fleet.nodes) for fleet in found.fleets]
    assert _day_usd(tuple(nodes), peak.usd_per_h, cold_h) == pytest.approx(found.usd_per_day)
    assert all(np.dot(some, [100, 40]) >= load for some, load in zip(nodes, hours, strict=True))
    assert found.usd_per_day <= found.always_on_usd_per_day


def _day_usd(days: tuple[np.ndarray, ...], usd_per_h: Array, cold_h: float) -> float:
    starts = sum(
        float(np.maximum(0, now - before) @ usd_per_h) for before, now in zip((days[-1], *days), days, strict=False)
    )
    return sum(float(nodes @ usd_per_h) for nodes in days) * 24 / len(days) + starts * cold_h


def test_starting_costs_nothing_where_it_takes_no_time_and_nobody_starts_where_it_takes_a_day() -> None:
    peak = problem([1.0], [[100.0]], [400.0])
    quick, slow = (day_of(peak, [100, 400, 200], cold_start_h=hours) for hours in (0.0, 24.0))
    assert quick.usd_per_day == pytest.approx((1 + 4 + 2) * 8)
    assert slow.starts == 0
    assert slow.usd_per_day == pytest.approx(slow.always_on_usd_per_day) == pytest.approx(4 * 24)
