"""A plan is checked before anything is started; every bad value is one line that names its field."""

import math
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.app.given import plan_given
from breakeven.errors import UsageError
from breakeven.options import option_said
from breakeven.plan import DEFAULT_USERS, Plan, plan_table, read_plan
from breakeven.study.read import read_plan_file

BAD: list[tuple[str, dict[str, Any]]] = [
    ("users", {"users": ()}),
    ("users", {"users": (0,)}),
    ("users", {"users": (1, -5)}),
    ("users", {"users": (1, 5, 1)}),
    ("rate", {"rate": ()}),
    ("rate", {"rate": (1.0, 0.0)}),
    ("rate", {"rate": (math.inf,)}),
    ("rate", {"rate": (math.nan,)}),
    ("rate", {"rate": (1e9,)}),
    ("rate", {"rate": (0.0009,)}),
    ("rate", {"rate": (1.0, 1.0)}),
    ("rate", {"rate": (2.0, 5.0, 2.0001)}),
    ("rate", {"rate": (5.0,), "workload": "conversation"}),
    ("rate", {"rate": (5.0,), "workload": "trace", "users": (1,)}),
    ("rate", {"rate": (5.0,), "workload": "trace"}),
    ("arrivals", {"arrivals": "poisson", "workload": "trace"}),
    ("find_max", {"find_max": True, "slo": "ttft_p99=2s", "workload": "trace"}),
    ("auto", {"auto": True, "workload": "trace"}),
    ("requests", {"requests": 1000, "workload": "trace"}),
    ("think_s", {"think_s": 1.0, "workload": "trace"}),
    ("ramp_s", {"ramp_s": 1.0, "workload": "trace"}),
    ("options", {"options": {"speed": "2"}, "workload": "trace", "users": (1,)}),
    ("repeats", {"repeats": 0}),
    ("floors", {"floors": (25.0, 0.0), "auto": True}),
    ("find_max", {"find_max": True}),
    ("requests and rate", {"rate": (2.0,), "requests": 1000}),
    ("duration_s and requests", {"duration_s": 5.0, "requests": 1000}),
    ("requests", {"users": (1, 100), "requests": 199}),
    ("requests", {"users": (1,), "requests": 0}),
    ("precision", {"precision": 0.0}),
    ("precision", {"precision": 5.0}),
    ("precision", {"precision": math.nan}),
    ("input_tokens", {"input_tokens": 0}),
    ("output_tokens", {"output_tokens": -1}),
    ("duration_s", {"duration_s": 0.0}),
    ("duration_s", {"duration_s": math.inf}),
    ("max_duration_s", {"max_duration_s": -1.0}),
    ("timeout_s", {"timeout_s": 0.0}),
    ("timeout_s", {"timeout_s": math.nan}),
    ("ramp_s", {"ramp_s": -0.1}),
    ("warmup_s", {"warmup_s": math.inf}),
    ("think_s", {"think_s": -1.0}),
]


@pytest.mark.parametrize(("field", "values"), BAD, ids=[f"{field}-{number}" for number, (field, _) in enumerate(BAD)])
def test_a_bad_value_gives_one_line_that_begins_with_its_field(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Plan(**values)
    assert str(caught.value).startswith(f"{field}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("field", "values"), BAD, ids=[f"{field}-{number}" for number, (field, _) in enumerate(BAD)])
def test_a_bad_value_in_a_file_names_the_file_first(field: str, values: dict[str, Any]) -> None:
    text = tomli_w.dumps({key: list(value) if isinstance(value, tuple) else value for key, value in values.items()})
    with pytest.raises(UsageError) as caught:
        read_plan(text, where="plan.toml")
    assert str(caught.value).startswith(f"plan.toml: {field}: ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("usrs = [1]", "unknown field `usrs`"),
        ('users = "1,5"', "`$.users`"),
        ("users = [1.5]", "`$.users[0]`"),
        ("users = [true]", "`$.users[0]`"),
        ('api = "grpc"', "`$.api`"),
        ('timeout_s = "10 s"', "`$.timeout_s`"),
        ("users = [1", "end of document"),
        ("users = [1]\nusers = [2]\n", "line 2"),
    ],
)
def test_a_file_that_is_no_plan_is_one_line_with_file_and_place(text: str, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_plan(text, where="plan.toml")
    assert str(caught.value).startswith("plan.toml: ")
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_the_default_plan() -> None:
    assert read_plan("", where="plan.toml") == Plan()
    assert Plan().user_levels == DEFAULT_USERS == (1, 5, 10, 50, 100)
    assert Plan().timeout_s == 600.0
    assert Plan().precision == 0.05


MIXED: list[tuple[str, dict[str, Any]]] = [
    ("users and rate", {"users": (5,), "rate": (5.0,)}),
    ("arrivals", {"users": (5,), "arrivals": "constant"}),
    ("arrivals", {"arrivals": "poisson"}),
    ("auto and rate", {"auto": True, "rate": (5.0,)}),
    ("auto and find_max", {"auto": True, "find_max": True, "slo": "ttft_p99=1s"}),
    ("floors", {"floors": (25.0,)}),
    ("users and find_max", {"users": (1, 5), "find_max": True, "slo": "ttft_p99=1s"}),
    ("rate and find_max", {"rate": (1.0, 5.0), "find_max": True, "slo": "ttft_p99=1s"}),
]


@pytest.mark.parametrize(("fields", "given"), MIXED)
def test_fields_of_which_one_would_be_left_out_are_refused_in_words_and_in_a_file(
    fields: str, given: dict[str, Any]
) -> None:
    Plan(**given)  # a stored run that was so given can still be read
    with pytest.raises(UsageError) as caught:
        plan_given(given)
    options = " ".join(map(option_said, fields.split()))
    assert str(caught.value).startswith(f"{options}: ")
    text = tomli_w.dumps({key: list(value) if isinstance(value, tuple) else value for key, value in given.items()})
    with pytest.raises(UsageError, match=f"^plan.toml: {fields}: "):
        read_plan_file(text, where="plan.toml")


@pytest.mark.parametrize(
    "given",
    [
        {"users": (5,), "think_s": 1.0},
        {"rate": (5.0, 6.0), "arrivals": "constant"},
        {"users": (5,), "find_max": True, "slo": "ttft_p99=1s"},
        {"find_max": True, "slo": "ttft_p99=1s"},
        {"auto": True, "slo": "ttft_p99=1s"},
    ],
)
def test_fields_that_go_together_are_a_plan(given: dict[str, Any]) -> None:
    assert plan_given(given) == Plan(**given)


def test_two_requests_a_user_are_enough_and_one_less_is_not() -> None:
    assert Plan(users=(100,), requests=200).requests == 200
    with pytest.raises(UsageError, match="give at least 200"):
        Plan(users=(100,), requests=199)


def test_users_that_are_given_make_a_closed_loop_of_a_trace() -> None:
    assert Plan(workload="trace").is_replay
    closed = Plan(workload="trace", users=DEFAULT_USERS, requests=1000, think_s=1.0, ramp_s=1.0)
    assert not read_plan(tomli_w.dumps(plan_table(closed)), where="plan.toml").is_replay


def test_a_search_needs_two_requests_a_user_of_its_first_load_only() -> None:
    assert Plan(find_max=True, slo="ttft_p99=2s", users=(1,), requests=2).requests == 2
    with pytest.raises(UsageError, match="requests: 15 is less than two for each of 8 users; give at least 16"):
        Plan(find_max=True, slo="ttft_p99=2s", users=(8,), requests=15)


def test_no_ramp_no_warmup_and_no_thinking_are_allowed() -> None:
    assert Plan(ramp_s=0.0, warmup_s=0.0, think_s=0.0).ramp_s == 0.0


def test_a_default_is_not_written_into_the_table() -> None:
    assert plan_table(Plan(users=(1, 2), name="x")) == {"users": (1, 2), "name": "x"}


seconds = st.floats(0.001, 1e6)
plans = st.builds(
    Plan,
    url=st.none() | st.text(min_size=1),
    engine=st.none() | st.text(),
    model=st.none() | st.text(),
    api=st.sampled_from(["chat", "completions"]),
    api_key_env=st.none() | st.text(),
    users=st.none() | st.lists(st.integers(1, 10**6), min_size=1, max_size=6, unique=True).map(tuple),
    arrivals=st.none() | st.text(),
    rate=st.none()
    | st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=4, unique_by=lambda rate: round(rate, 3)).map(tuple),
    repeats=st.integers(1, 100),
    slo=st.none() | st.text(),
    options=st.dictionaries(st.text(), st.text(), max_size=3),
    workload=st.text(),
    input_tokens=st.none() | st.integers(1, 10**6) | st.text(),
    output_tokens=st.none() | st.integers(1, 10**6),
    duration_s=st.none() | seconds,
    max_duration_s=st.none() | seconds,
    precision=st.floats(1e-6, 0.999),
    ramp_s=st.none() | seconds,
    warmup_s=st.none() | st.just(0.0) | seconds,
    think_s=st.just(0.0) | seconds,
    timeout_s=seconds,
    seed=st.integers(-(2**63), 2**63 - 1),
    name=st.none() | st.text(),
)


@settings(max_examples=40, deadline=None)
@given(plans)
def test_a_plan_comes_back_from_its_file_as_it_was(plan: Plan) -> None:
    assert read_plan(tomli_w.dumps(plan_table(plan)), where="plan.toml") == plan
