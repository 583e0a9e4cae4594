"""What the program knows, the docs name: commands, options, engines, workloads, presets, importers."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.cli import parser
from breakeven.cost.presets import PRESETS
from breakeven.engine import ENGINES
from breakeven.exchange import EXPORTERS, IMPORTERS
from breakeven.prices import PRICES
from breakeven.reference import DATA_SETS
from breakeven.workload import WORKLOADS

ROOT = Path(__file__).parent.parent
DOCS = "\n".join(path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    made = parser()
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_is_in_the_docs(name: str) -> None:
    assert f"breakeven {name}" in DOCS


@pytest.mark.parametrize("option", sorted({word for _, one in commands() for word in one._option_string_actions}))
def test_every_option_is_in_the_docs(option: str) -> None:
    assert option in DOCS


@pytest.mark.parametrize(
    "row", [*ENGINES, *WORKLOADS, *PRESETS, *IMPORTERS, *EXPORTERS, *DATA_SETS, *(name for name in PRICES)]
)
def test_every_row_of_a_table_is_in_the_docs(row: str) -> None:
    assert row in DOCS


@pytest.mark.parametrize(("name", "one"), list(commands()))
def test_every_option_explains_itself(name: str, one: argparse.ArgumentParser) -> None:
    assert one.description
    assert one.description.rstrip().endswith(".")
    for action in one._actions:
        if action.option_strings and action.option_strings[-1] not in ("--url", "--reference", "--candidate"):
            assert action.help, f"{name} {action.option_strings}"
