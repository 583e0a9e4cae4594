"""`make demo` tells the whole story: every command of it is understood, and its price has a source and a date."""

import re
import shlex
from pathlib import Path

from breakeven.cli import parser
from breakeven.session.plan_file import read_file, understood

ROOT = Path(__file__).parent.parent
PLAN = ROOT / "examples/demo.toml"
RECIPE = (ROOT / "Makefile").read_text().partition("\ndemo: ")[2].partition("\n\n")[0]


def commands() -> list[list[str]]:
    lines = [line for line in RECIPE.splitlines() if "$(BIN)/breakeven " in line]
    return [
        shlex.split(line.partition("$(BIN)/breakeven ")[2].replace("$$", "$").partition(" > ")[0]) for line in lines
    ]


def test_every_command_of_the_demo_is_one_of_ours_with_options_that_it_has() -> None:
    assert [parser().parse_args(words).command for words in commands()] == ["run", "predict", "choose", "report"]


def test_the_demo_ends_with_the_path_of_the_page() -> None:
    assert commands()[-1][-2:] == ["--html", "runs/demo.html"]


def test_the_price_of_the_demo_is_called_an_assumption_with_source_and_date() -> None:
    (cell,) = understood(read_file(PLAN), where=str(PLAN)).cells
    assert cell.plan.hardware is not None
    assert cell.plan.hardware.rent_usd_per_h == 0.0864
    source = cell.plan.hardware.rent_source or ""
    assert source.startswith("an assumption: ")
    assert re.search(r"read \d{4}-\d{2}-\d{2}", source)


def test_the_demo_measures_the_five_levels_that_it_is_said_to() -> None:
    (cell,) = understood(read_file(PLAN), where=str(PLAN)).cells
    assert cell.plan.is_embedded
    assert cell.plan.user_levels == (1, 5, 10, 50, 100)
