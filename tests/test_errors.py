"""Errors are one line that a person can act on, whatever a server sent."""

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakeven.errors import (
    INTERRUPTED,
    LIMIT_MISSED,
    BreakevenError,
    LimitMissedError,
    RunFailedError,
    UsageError,
    one_line,
    unknown,
)
from breakeven.registry import load


@pytest.mark.parametrize(
    ("kind", "code"), [(BreakevenError, 1), (RunFailedError, 1), (UsageError, 2), (LimitMissedError, 3)]
)
def test_every_error_knows_the_exit_code_of_its_command(kind: type[BreakevenError], code: int) -> None:
    assert kind("why").exit_code == code


def test_a_missed_limit_and_an_interruption_have_their_exit_codes_from_one_place() -> None:
    source = Path(__file__).parents[1] / "src" / "breakeven"
    said = [
        f"{path.relative_to(source)}:{node.lineno}"
        for room in ("app", "cli", "fleet", "session")
        for path in (source / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Return) and any(_is_code(part) for part in _either(node.value))
    ]
    assert said == []


def _either(value: ast.expr | None) -> list[ast.expr | None]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]


def _is_code(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value in (LIMIT_MISSED, INTERRUPTED)


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones() -> None:
    assert unknown("engine", "vlm", ["openai", "vllm"]) == (
        "no engine is called 'vlm'; did you mean 'vllm'? known: openai, vllm"
    )


def test_a_name_that_resembles_none_is_answered_with_all_known_ones() -> None:
    assert unknown("workload", "zzz", ["chat", "fixed"]) == "no workload is called 'zzz'; known: chat, fixed"


def test_a_table_loads_the_attribute_that_a_name_stands_for() -> None:
    assert load("unit", {"hour": "breakeven.units:S_PER_H"}, "hour") == 3600.0


def test_a_name_that_no_table_has_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no unit is called 'hours'; did you mean 'hour'"):
        load("unit", {"hour": "breakeven.units:S_PER_H"}, "hours")


def test_a_servers_text_loses_its_line_ends_and_escapes() -> None:
    assert one_line("out of\r\n\x1b[31mmemory\x00\t!") == "out of [31mmemory !"


@settings(deadline=None)
@given(st.text(), st.integers(2, 50))
def test_any_text_becomes_one_printable_line_of_the_length_asked_for(text: str, limit: int) -> None:
    line = one_line(text, limit=limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert line.strip() == line


def test_an_error_knows_its_first_line_without_those_that_it_quotes() -> None:
    error = RunFailedError("it ended", "the end of its log:", "  out of memory")
    assert (error.first, str(error)) == ("it ended", "it ended\nthe end of its log:\n  out of memory")
