"""The documents read in order: an index that knows all of them, and pages that begin with a command that works."""

import contextlib
import re
import shlex
from pathlib import Path

import pytest

from breakeven.cli import main
from breakeven.metrics.definitions import METRICS

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
INDEX = ROOT / "docs" / "README.md"


def test_the_index_knows_every_page() -> None:
    linked = re.findall(r"\]\(([A-Z-]+\.md)\)", INDEX.read_text())
    assert sorted(linked) == [page.name for page in PAGES if page != INDEX]


def first_command(page: Path) -> str:
    """The command with which a page begins, under its title."""
    found = re.match(r"# [^\n]+\n\n```sh\n(breakeven [^\n]+)\n```\n", page.read_text())
    assert found is not None, f"{page.name} begins with no command"
    return found[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_begins_with_a_command_that_works(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BREAKEVEN_CACHE", str(tmp_path / "cache"))
    with contextlib.suppress(SystemExit):  # --help and --version, which argparse ends with 0
        assert main(shlex.split(first_command(page))[1:]) == 0
    assert capsys.readouterr().out


def test_the_glossary_has_every_metric() -> None:
    told = (ROOT / "docs" / "GLOSSARY.md").read_text()
    assert [metric.label for metric in METRICS.values() if f"| {metric.label}" not in told] == []
