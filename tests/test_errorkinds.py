"""A kind of error is one row: whatever tells kinds apart or speaks of one asks the row."""

import asyncio
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from breakeven.cautions import judged_level
from breakeven.client.target import Access, resolve
from breakeven.errorkinds import ERROR_KINDS, ErrorKind, commonest
from breakeven.metrics.summary import LevelSummary
from breakeven.session.questions import hint
from builders import a_record, an_honest_level, summary_of

ROOT = Path(__file__).parent.parent


@pytest.fixture
def brewed(monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind that only this test knows."""
    row = ErrorKind(
        *("it brews | and brews", "client", "let it brew", "pour {http} or {https}"),
        ranks_last=True,
        suspect="{late:whole} requests were brewed",
    )
    monkeypatch.setitem(ERROR_KINDS, "brewed", row)
    return "brewed"


def with_errors(*kinds: str) -> LevelSummary:
    """An honest level in which requests failed besides."""
    facts, records = an_honest_level()
    for number, kind in enumerate(kinds):
        records.append(a_record(due_s=5.0, end_s=9.0, k=1000 + number, status="error", error=kind))
    return judged_level(facts, records)


def test_a_new_row_ranks_and_is_suspected_and_advised_as_it_says(brewed: str) -> None:
    failed: dict[str, Any] = {"due_s": 2.0, "end_s": 62.0, "status": "error"}
    late = summary_of([a_record(**failed, error=brewed), a_record(**failed, error="reset", k=2)])
    assert (late.of("ttft_s").n, late.of("ttft_s").censored) == (1, 1)
    level = with_errors(brewed, brewed, "reset")
    cautions = {caution.id: caution for caution in level.cautions}
    assert cautions["errors"].remedy == "let it brew"
    assert cautions["client_suspect"].text.startswith("2 requests were brewed")
    assert level.client.verdict == "suspect"


def test_a_new_row_stands_in_the_docs(brewed: str) -> None:
    spec = spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    assert "| `brewed` | it brews \\| and brews | client | let it brew |\n" in made.errors("all")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/x", "; pour http://127.0.0.1:1/x or https://127.0.0.1:1/x"),
        ("https://127.0.0.1:1", ""),
        ("unix:/run/x", ""),
    ],
)
def test_a_new_row_says_what_to_do_at_the_first_question(brewed: str, url: str, says: str) -> None:
    assert hint(asyncio.run(resolve(Access(url=url))), brewed) == says


def test_a_level_is_advised_by_its_commonest_kind_and_suspected_of_nothing_for_the_servers_errors() -> None:
    level = with_errors("http_429", "http_429", "reset")
    assert {caution.id: caution.remedy for caution in level.cautions}["errors"] == ERROR_KINDS["http_429"].advice
    assert level.client.verdict == "ok"


def test_of_equally_common_kinds_the_first_by_name_is_told() -> None:
    assert commonest({"reset": 2, "closed": 2, "connect": 1}) == "closed"


@pytest.mark.parametrize("row", ERROR_KINDS.values(), ids=ERROR_KINDS)
def test_what_spoils_a_level_is_the_clients_own_matter(row: ErrorKind) -> None:
    assert bool(row.suspect) == (row.whose == "client")
    assert row.advice
