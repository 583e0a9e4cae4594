"""The search asks for what may still be the best, ends when the leader is surely good enough, learns from failures."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.errors import UsageError
from breakeven.findings.race import Next, Try, contenders, first_tries, known, next_try, skipped_for_neighbours, spread
from breakeven.study.space import MOST_SETTINGS, next_users, parse_vary, settings_in


def tried(name: str, *figures: float, sd: float | None = 0.01, **values: float | str) -> Try:
    logs = tuple(math.log(figure) for figure in figures)
    return Try(name, values or {"x": float(name)}, logs, (sd,) * len(logs))


def test_repeats_of_all_settings_tell_together_how_far_repeats_lie_apart() -> None:
    sd, df = spread([tried("1", 100), tried("2", 100)])
    assert [sd, df] == pytest.approx([0.03, 4])  # nothing was repeated: as taken beforehand
    sd, df = spread([tried("1", 100, 100), tried("2", 100, 110)])
    half = math.log(1.1) / 2
    assert [sd, df] == pytest.approx([math.sqrt((4 * 0.03**2 + 2 * half**2) / 6), 6])


def test_a_setting_is_out_when_it_is_surely_worse_than_the_leader() -> None:
    # one try each: sd 0.03 * sqrt(2) = 4.2 %, times t(4) of 2.78 is 11.8 % on the log scale
    found = known([tried("1", 100), tried("2", 90)])
    assert [one.one.name for one in contenders(found)] == ["1", "2"]
    found = known([tried("1", 100), tried("2", 88)])
    assert [one.one.name for one in contenders(found)] == ["1"]


def test_a_try_with_a_wide_interval_of_its_own_is_not_out_by_chance() -> None:
    found = known([tried("1", 100, sd=0.2), tried("2", 80, sd=0.2)])
    assert len(contenders(found)) == 2


def test_of_two_that_cannot_be_told_apart_the_one_that_is_known_less_is_measured_again() -> None:
    assert next_try([tried("1", 100, 101), tried("2", 99)]) == Next("2", "race")
    assert next_try([tried("1", 100), tried("2", 99, 98)]) == Next("1", "race")


def test_it_ends_when_the_leader_is_surely_within_the_margin_or_every_repeat_is_used() -> None:
    sure = [tried("1", *[100.0] * 12), tried("2", *[99.5] * 12)]
    assert next_try(sure, most_repeats=20) is None
    doubtful = [tried("1", 100, 100), tried("2", 99, 99)]
    assert next_try(doubtful, most_repeats=2) is None
    assert next_try(doubtful, most_repeats=3) is not None


def test_at_first_settings_are_spread_out_and_none_is_asked_twice() -> None:
    tries = {f"{x}": Try(f"{x}", {"x": float(x)}) for x in range(9)}
    asked = []
    for _ in range(first_tries(list(tries.values()))):
        chosen = next_try(list(tries.values()), seed=3)
        assert chosen is not None
        assert chosen.why == "spread"
        asked.append(int(chosen.name))
        tries[chosen.name] = tried(chosen.name, 100)
    assert len(set(asked)) == 4
    assert max(b - a for a, b in zip(sorted(asked), sorted(asked)[1:], strict=False)) <= 4


def test_what_is_foretold_to_be_better_is_tried_before_what_is_foretold_to_be_worse() -> None:
    rising = [tried(f"{x}", 100 * 1.3**x) if x in (0, 1, 2, 3) else Try(f"{x}", {"x": float(x)}) for x in range(8)]
    assert next_try(rising) == Next("4", "gain")


def test_beyond_a_number_that_failed_nothing_is_tried_where_the_other_side_went_well() -> None:
    tries = [
        tried("8", 100, slots=0.0, dtype="a"),
        Try("64", {"slots": 3.0, "dtype": "a"}, has_failed=True),
        Try("128", {"slots": 4.0, "dtype": "a"}),
        Try("128b", {"slots": 4.0, "dtype": "b"}),
        Try("16", {"slots": 1.0, "dtype": "a"}),
    ]
    assert [one.name for one in skipped_for_neighbours(tries)] == ["128"]


def test_a_choice_with_which_every_try_failed_is_left_out_after_three() -> None:
    failed = [Try(f"f{x}", {"x": float(x), "kv": "fp8"}, has_failed=True) for x in range(2)]
    rest = [tried("ok", 100, x=0.0, kv="auto"), Try("left", {"x": 5.0, "kv": "fp8"})]
    assert skipped_for_neighbours([*failed, *rest]) == []
    third = Try("f2", {"x": 2.0, "kv": "fp8"}, has_failed=True)
    assert [one.name for one in skipped_for_neighbours([*failed, third, *rest])] == ["left"]


def test_where_everything_fails_it_ends() -> None:
    assert next_try([Try(str(x), {"x": float(x)}, has_failed=True) for x in range(3)]) is None


@settings(deadline=None)  # machines are noisy
@given(st.integers(0, 1000), st.integers(1, 12))
def test_the_same_tries_and_seed_give_the_same_answer_and_it_always_ends(seed: int, size: int) -> None:
    rng = random.Random(seed)
    tries = {f"{x}": Try(f"{x}", {"x": float(x)}) for x in range(size)}
    for _ in range(5 * size + 1):
        chosen = next_try(list(tries.values()), seed=seed)
        assert chosen == next_try(list(tries.values()), seed=seed)
        if chosen is None:
            break
        one = tries[chosen.name]
        tries[chosen.name] = one._replace(logs=(*one.logs, rng.gauss(0, 0.1)), sds=(*one.sds, 0.02))
    assert chosen is None
    assert max(len(one.logs) for one in tries.values()) <= 5


def test_a_range_is_walked_in_factors_of_two_or_in_as_many_steps_as_are_asked_for() -> None:
    assert parse_vary("max-num-seqs=16..256").values == (16, 32, 64, 128, 256)
    assert parse_vary("x=10..1000:3").values == (10, 100, 1000)
    assert parse_vary("x=0.5..0.9:3").values == (0.5, 0.671, 0.9)
    assert parse_vary("kv_cache_dtype=auto,fp8") == ("kv_cache_dtype", ("auto", "fp8"), None)
    assert parse_vary("b=true,false if a=1,2") == ("b", (True, False), ("a", (1, 2)))


@pytest.mark.parametrize("text", ["x", "x=", "=1", "x=8..4", "x=1,1", "x=1..4:1", "x=1,2 if y"])
def test_what_says_no_values_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=16"):
        parse_vary(text)


def test_a_setting_that_hangs_on_another_is_said_only_with_it_and_no_combination_stands_twice() -> None:
    varied = [parse_vary("a=1,2"), parse_vary("b=x,y if a=2")]
    assert settings_in(varied, seed=0) == [{"a": 1}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    with pytest.raises(UsageError, match="b hangs on c, which is not varied"):
        settings_in([parse_vary("b=1,2 if c=1")], seed=0)
    with pytest.raises(UsageError, match="a stands twice"):
        settings_in([parse_vary("a=1,2"), parse_vary("a=3,4")], seed=0)
    many = settings_in([parse_vary(f"{name}=1..512") for name in "abc"], seed=1)
    assert len(many) == MOST_SETTINGS
    assert many == settings_in([parse_vary(f"{name}=1..512") for name in "abc"], seed=1)


def test_levels_are_measured_near_the_capacity_only() -> None:
    ladder = (1, 2, 4, 8, 16)
    assert next_users(ladder, {4: True}) == 8
    assert next_users(ladder, {4: True, 8: False}) is None
    assert next_users(ladder, {4: False}) == 2
    assert next_users(ladder, {4: False, 2: False}) == 1
    assert next_users(ladder, {4: False, 2: False, 1: False}) is None
    assert next_users(ladder, {16: True}) is None
