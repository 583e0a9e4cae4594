"""A node's line is written by us, read as untrusted input, and refused with what is wrong."""

import json

import pytest
from msgspec.structs import replace

from breakeven.errors import UsageError
from breakeven.fleet.job import OUTCOMES, OVER
from breakeven.fleet.result import LARGEST_BYTES, Card, Level, NodeResult, find_result, read_result, result_line

RESULT = NodeResult(
    breakeven="0.1.0",
    template="llama-3.1-8b",
    job="b-1",
    started="2026-11-29T08:00:00+00:00",
    wall_s=93.5,
    outcome="done",
    cards=(Card(index=0, name="NVIDIA GeForce RTX 4090"),),
    levels=(Level(users=1, output_tok_per_s=57.25, ci95=(56.0, 58.5)),),
)


def changed(**fields: object) -> str:
    body = json.loads(result_line(RESULT).removeprefix("BENCH_RESULT "))
    return f"BENCH_RESULT {json.dumps(body | fields)}"


def test_a_line_is_read_back_as_it_was() -> None:
    assert read_result(result_line(RESULT)) == RESULT


def test_a_signed_line_is_believed_with_its_key_alone() -> None:
    line = result_line(RESULT, key="k1")
    assert read_result(line, key="k1").levels == RESULT.levels
    with pytest.raises(UsageError, match="wrong signature"):
        read_result(line, key="k2")
    with pytest.raises(UsageError, match="wrong signature"):
        read_result(line.replace("57.25", "99.25"), key="k1")
    with pytest.raises(UsageError, match="no signature"):
        read_result(result_line(RESULT), key="k1")


def test_a_whole_number_where_a_fraction_may_stand_is_signed_as_it_is_read() -> None:
    whole = replace(RESULT, wall_s=93, levels=(Level(users=1, output_tok_per_s=57),))
    assert read_result(result_line(whole, key="k1"), key="k1").wall_s == 93


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"version": 2}, "version"),
        ({"wall_s": -1}, "wall_s"),
        ({"wall_s": "1e999"}, "wall_s"),
        ({"job": "../../etc/passwd"}, "job"),
        ({"job": "x" * 65}, "job"),
        ({"unknown": 1}, "unknown"),
        ({"levels": [{"users": 1, "output_tok_per_s": 1}] * 2}, "two levels of 1"),
        ({"levels": [{"users": 0, "output_tok_per_s": 1}]}, "users"),
        ({"cards": [{"index": 0, "name": "x", "uuid_sha256": "GPU-1234"}]}, "uuid_sha256"),
    ],
)
def test_a_line_that_cannot_be_so_is_refused_with_the_field(fields: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_result(changed(**fields))


@pytest.mark.parametrize(
    "line", ["BENCH_RESULT {", "BENCH_RESULT []", "BENCH_RESULT \udcff", 'BENCH_RESULT {"a": NaN}']
)
def test_what_is_no_result_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="BENCH_RESULT"):
        read_result(line)


def test_a_longer_line_than_allowed_is_neither_written_nor_read() -> None:
    long = replace(RESULT, cards=tuple(Card(index=i, name="x" * 200, driver="y" * 200) for i in range(64)) * 3)
    with pytest.raises(ValueError, match="bytes"):
        result_line(long)
    with pytest.raises(UsageError, match=str(LARGEST_BYTES)):
        read_result(changed(reason="x" * LARGEST_BYTES))


def test_foreign_text_cannot_move_a_cursor() -> None:
    assert read_result(changed(cpu="AMD\x1b[2J EPYC\n")).cpu == "AMD [2J EPYC"


def test_the_last_result_of_an_output_counts() -> None:
    first, last = result_line(RESULT), result_line(replace(RESULT, job="b-2"))
    assert find_result(f"waiting\n{first}\n{last}\nbye\n") == last
    assert find_result("BENCH_RESULT is not here\n") is None


@pytest.mark.parametrize(
    "before",
    [
        "  ",
        "(grid-0001, pid=12) ",
        "\x1b[36m(grid-0001, pid=12)\x1b[0m ",
        "\x1b[36m(job)\x1b[0m",
        "[pod/job-x7k2p/benchmark] ",
    ],
)
def test_what_a_grid_writes_before_a_result_is_none_of_it(before: str) -> None:
    line = result_line(RESULT, key="k1")
    found = find_result(f"{before}waiting\r\n{before}{line}\r\n{before}bye\r\n")
    assert found is not None
    assert read_result(found, key="k1").job == RESULT.job


@pytest.mark.parametrize("before", ["MY_", "'", "`"])
def test_a_word_that_ends_like_the_mark_and_a_mark_that_is_quoted_hold_no_result(before: str) -> None:
    assert find_result(f"{before}{result_line(RESULT)}\n") is None


def test_every_outcome_but_two_is_the_end() -> None:
    assert set(OUTCOMES) - OVER == {"waiting", "running"}
