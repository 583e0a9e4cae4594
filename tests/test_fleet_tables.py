"""The tables and figures of docs/GRID.md are what the scripts and the data of 2024 give."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from breakeven.cli import main

ROOT = Path(__file__).parents[1]
GRID = (ROOT / "docs" / "GRID.md").read_text(encoding="utf-8")
FLEET = ROOT.parent / "shared" / "data" / "nosana_2024_fleet.csv"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def script(name: str) -> Any:
    __import__(name)
    return sys.modules[name]


@pytest.mark.parametrize(
    ("kind", "nodes", "place", "jobs"), [("normal, sd 3 %", 8, 2, 5), ("sd 3 %, 5 % run 1.5 x slower", 20, 1, 2)]
)
def test_the_table_of_coverage_is_what_the_script_gives(
    scripts: None, kind: str, nodes: int, place: int, jobs: int
) -> None:
    made = script("grid_coverage")
    (line,) = [one for one in GRID.splitlines() if one.startswith(f"| {kind} | {nodes} |")]
    found = made.cell(kind, nodes, jobs, total=4000)
    assert line.split(" | ")[2 + place] == made._text(found)
    assert found.holds >= 0.9


def test_the_table_of_detection_is_what_the_script_gives(scripts: None) -> None:
    made = script("grid_detection")
    assert f"| {made.row('clocked down to 75 %', '8 %, SC22', 150)} |" in GRID


def test_the_table_of_few_nodes_is_what_the_script_gives(scripts: None) -> None:
    made = script("grid_few")
    assert f"| {made.row(4, 1, 0.03, fleets=2000)} |" in GRID


@pytest.mark.skipif(not FLEET.exists(), reason="the 2024 fleet data (no licence) are not here")
def test_the_figures_of_the_2024_fleet_are_what_inspect_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = str(tmp_path / "set")
    assert main(["fleet", "import", str(FLEET), "--to", results]) == 0
    capsys.readouterr()
    assert main(["fleet", "inspect", results, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["nodes"], told["tested"], told["slow"], told["weak"], told["untestable_nodes"]) == (
        206,
        178,
        20,
        18,
        28,
    )
    kinds = [one["kind"] for one in told["found"] if one["is_slow"]]
    assert [kinds.count(kind) for kind in ("contention", "underclocker", "unexplained", "spoofer")] == [8, 4, 6, 0]
    assert len({one["node"] for one in told["found"] if one["kind"] == "misplaced"}) == 21
    cards = [told["strata"][one["stratum"]]["gpu"] for one in told["found"] if one["is_slow"]]
    assert cards.count("rtx3090") == 11
    assert "**20 of 178 testable nodes are slow, 18 of them weak**" in GRID
