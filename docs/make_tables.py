"""Print tables of the docs (figures, options, errors, data sets) from their rows: `python docs/make_tables.py`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from breakeven.cli import COMMANDS
from breakeven.cost.figures import GROUPS, ROWS
from breakeven.cost.formula import readable
from breakeven.errorkinds import ERROR_KINDS
from breakeven.metrics.summary import RunSummary
from breakeven.options import PLAN_OPTIONS, Option
from breakeven.reference import DATA_SETS, nodes, reference_runs
from breakeven.say import label_of, number, percent
from breakeven.table import Table, heads, lines

PAGES: Final = [Path(__file__).with_name(name) for name in ("ECONOMICS.md", "COMMANDS.md", "METRICS.md", "FACTS.md")]
_BLOCK = re.compile(r"<!-- (figures|options|errors|data): ([\w-]+) -->\n(?:.*\n)*?<!-- end of \1 -->\n")


def figures(group: str) -> str:
    """Name, label, formula, unit, and why there is none, a line a figure."""
    lines = ["| figure | formula | unit | None when |", "|---|---|---|---|"]
    for name, row in ROWS.items():
        if row.group == group:
            why = "; ".join(filter(None, [f"never: {row.never}" if row.never else "", row.undefined])) or "–"
            label = label_of(row.label, "tokens")
            lines.append(
                f"| `{name}` {label} | `{readable(row.text)}` | {row.unit or '–'} | {label_of(why, 'tokens')} |"
            )
    return "\n".join(lines) + "\n"


def options(name: str) -> str:
    """Option, meaning, and the key of a plan file that says the same, a line an option."""
    command = next(command for command in COMMANDS if command.name == name)
    of_plan = "| option | meaning | key of a plan file |\n|---|---|---|\n"
    return (of_plan if name == "run" else "| option | meaning |\n|---|---|\n") + "".join(
        f"| {_words(option)} | {_cell(option.help)} |{_key(option) if name == 'run' else ''}\n"
        for option in command.options
        if option.word is None
    )


def _words(option: Option) -> str:
    value = option.unit or "\\|".join(map(str, option.choices))
    return f"`{option.name}{f' {value}' if value else ''}`"


def _key(option: Option) -> str:
    return f" `{option.place}` |" if option in PLAN_OPTIONS else " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def errors(of: str) -> str:
    """Kind, what happened, whose matter it is, and what to do, a line a kind."""
    del of
    return "| kind | what happened | whose matter | what to do |\n|---|---|---|---|\n" + "".join(
        f"| `{name}` | {_cell(row.what)} | {row.whose} | {_cell(row.advice)} |\n" for name, row in ERROR_KINDS.items()
    )


def data_set(name: str) -> str:
    """What a data set holds: words per second at its lowest, middle and highest level, nodes, spread."""
    runs, users = reference_runs(name), (1, 10, 100)
    head = heads("GPU", "cards", "workload", *(f"{n} users" for n in users), "nodes", "spread", left=(0, 2))
    source = f"Words per second. Source: {runs[0].run.settings['source']}."
    notes = (f"- {note}" for note in runs[0].run.settings["notes"])
    table = lines(Table(head, [_run_row(run, users) for run in runs]))
    return "\n".join(["```", *table, "", source, *notes, "```"]) + "\n"


def _run_row(run: RunSummary, users: Sequence[int]) -> tuple[str, ...]:
    rates = {level.users: level.output_tok_per_s.value for level in run.levels}
    spreads = [sd for level in run.levels if (sd := level.extra.get("between_node_sd_log")) is not None]
    host = run.run.host
    return (
        *(host["gpu"], str(host["gpu_count"]), run.run.workload["name"]),
        *(number(rates.get(n)) for n in users),
        *(str(nodes(run)), percent(max(spreads), digits=0) if spreads else "-"),
    )


def filled(text: str) -> str:
    """The page with every table as the rows have it now."""
    tables = {"figures": figures, "options": options, "errors": errors, "data": data_set}
    return _BLOCK.sub(
        lambda found: f"<!-- {found[1]}: {found[2]} -->\n{tables[found[1]](found[2])}<!-- end of {found[1]} -->\n", text
    )


def blocks() -> set[tuple[str, str]]:
    """Every table that the pages have room for."""
    return {(found[1], found[2]) for page in PAGES for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))}


def wanted() -> set[tuple[str, str]]:
    """Every table that the pages must have."""
    of_commands = {("options", command.name) for command in COMMANDS if command.options}
    of_data = {("data", name) for name in DATA_SETS}
    return {("figures", group) for group in GROUPS} | of_commands | of_data | {("errors", "all")}


if __name__ == "__main__":
    assert blocks() == wanted()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
