"""docs/METRICS.md knows every metric, every caution and every kind of error that the code knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.errorkinds import ERROR_KINDS, UNKNOWN, kind_of
from breakeven.metrics.definitions import METRICS
from breakeven.metrics.statistics import QUANTILES, distribution

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "breakeven"
DOCS = (ROOT / "docs" / "METRICS.md").read_text()
FIRST_CELLS = set(re.findall(r"^\| `(\w+)` \|", DOCS, flags=re.MULTILINE))


def nodes(*paths: Path) -> Iterator[ast.AST]:
    for path in paths:
        yield from ast.walk(ast.parse(path.read_text()))


def text_of(node: ast.expr) -> str | None:
    """A constant text; an f-string with its parts that vary as NNN."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "NNN" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def caution_ids() -> set[str]:
    """The id of every Caution that is made of what was measured or of what a room saw while it measured."""
    sources = [path for room in ("session", "load", "store", "workload") for path in (SOURCE / room).glob("*.py")]
    made = [
        keyword.value
        for node in nodes(SOURCE / "cautions.py", *sources)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Caution"
        for keyword in node.keywords
        if keyword.arg == "id"
    ]
    return {text for value in made if (text := text_of(value)) is not None}


def is_slots(node: ast.Return | ast.Assign) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) for to in node.targets)


def error_kinds() -> set[str]:
    """What stands where the client names a kind of error: `fail(kind, …)`, and the first of a pair that is `why`."""
    found: set[str | None] = set()
    for node in nodes(*(SOURCE / "client" / name for name in ("answer.py", "ask.py", "connection.py"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fail":
            found.add(text_of(node.args[0]))
        elif isinstance(node, ast.Return | ast.Assign) and isinstance(node.value, ast.Tuple) and not is_slots(node):
            found |= {text_of(element) for element in node.value.elts}
    return {kind for kind in found if kind and re.fullmatch(r"[a-z]+(_[a-z]+)*(_NNN)?", kind)} - {"error"}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_explained_with_its_label_and_formula(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*$", DOCS, flags=re.MULTILINE)
    assert f"| {METRICS[name].label} |" in row
    assert METRICS[name].formula.replace(" - ", " − ") in row


def test_the_code_has_the_cautions_and_errors_that_this_test_looks_for() -> None:
    assert {"little_not_checked", "nothing_but_errors", "field_dropped"} <= caution_ids()
    assert {"timeout", "closed", "http_NNN", "bad_stream", "not_openai"} <= error_kinds()


@pytest.mark.parametrize("name", sorted(caution_ids()))
def test_every_caution_is_explained(name: str) -> None:
    assert name in FIRST_CELLS


@pytest.mark.parametrize("kind", sorted(error_kinds()))
def test_every_kind_of_error_that_the_client_names_is_a_row(kind: str) -> None:
    assert kind in ERROR_KINDS


def test_every_row_of_the_kinds_is_named_by_the_client_or_is_a_status() -> None:
    named = error_kinds() | {UNKNOWN}
    assert {kind for kind in ERROR_KINDS if not kind.startswith("http_")} == named - {"http_NNN"}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("timeout", "timeout"),
        ("http_429", "http_429"),
        ("http_307", "http_3NN"),
        ("http_418", "http_4NN"),
        ("http_503", "http_5NN"),
        ("http_999", "http_NNN"),
        ("httpx", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_status_has_a_row_of_its_own_or_that_of_its_class(name: str | None, row: str) -> None:
    assert kind_of(name) is ERROR_KINDS[row]


def test_nothing_is_explained_that_the_code_does_not_know() -> None:
    assert FIRST_CELLS - METRICS.keys() == caution_ids() | ERROR_KINDS.keys()


def test_the_least_n_of_each_percentile_is_the_one_that_the_code_needs() -> None:
    (values,) = re.findall(r"null below n = .*? \|(.*)\|", DOCS)
    (uppers,) = re.findall(r"upper bound is null below \|(.*)\|", DOCS)
    for name, least, least_upper in zip(QUANTILES, values.split("|"), uppers.split("|"), strict=True):
        for n in range(1, 400):
            found = getattr(distribution([1.0] * n), name)
            assert (found.value is None) is (n < int(least))
            assert (found.ci95[1] is None) is (n < int(least_upper))
