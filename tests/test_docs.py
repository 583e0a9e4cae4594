"""What the program knows, the docs name: commands, options, engines, workloads, presets, importers."""

import argparse
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
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
        if action.option_strings:
            assert action.help, f"{name} {action.option_strings}"


def test_the_tables_of_the_docs_are_those_of_the_rows() -> None:
    spec = spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.blocks() == made.wanted()
    for page in made.PAGES:
        text = page.read_text(encoding="utf-8")
        assert made.filled(text) == text, f"python docs/make_tables.py renews {page.name}"
