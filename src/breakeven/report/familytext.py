"""Gates over a study in the terminal, in Markdown for a pull request, and as JUnit XML for a CI system."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from breakeven.compare.family import CellGate, Family
from breakeven.compare.words import gate_level_text, gate_text
from breakeven.errors import one_line
from breakeven.report.mdtext import text
from breakeven.report.studywords import cause

_SIGNS = {"passed": "✅", "failed": "❌", "undecided": "❔"}


def family_lines(found: Family) -> Iterator[str]:
    """The verdict, then each cell that did not pass with its reasons."""
    yield summary_text(found)
    for cell in found.cells:
        if cell.verdict != "passed":
            yield f"  {cell.cell}: {cell.verdict}"
            yield from (f"    {line}" for line in _reasons(cell))


def summary_text(found: Family) -> str:
    """`gates: failed; of 50 cells 48 passed, 1 failed, 1 undecided (50 tests, …)`."""
    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in ("passed", "failed", "undecided"))
    return (
        f"gates: {found.verdict}; of {len(found.cells)} cells {counts} ({found.tests} tests, which together raise a "
        "false alarm in at most 5 %)"
    )


def _reasons(cell: CellGate) -> Iterator[str]:
    yield from map(cause, cell.why)
    for result in cell.gates:
        if result.verdict != "passed":
            yield gate_text(result)
            yield from (f"  {gate_level_text(level, result)}" for level in result.levels if level.verdict != "passed")


def family_markdown(found: Family) -> str:
    """Short: what failed stands open, what is undecided is folded away."""
    lines = [f"**{_SIGNS[found.verdict]} {text(summary_text(found))}**", ""]
    for verdict in ("failed", "undecided"):
        cells = [cell for cell in found.cells if cell.verdict == verdict]
        told = [f"- {_SIGNS[verdict]} {text(one.cell)}: {text(_in_one(one))}" for one in cells]
        if verdict == "undecided" and told:
            told = [f"<details><summary>{len(told)} undecided</summary>", "", *told, "", "</details>"]
        lines += [*told, ""] if told else []
    return "\n".join(lines).rstrip() + "\n"


def _in_one(cell: CellGate) -> str:
    return "; ".join(line.strip() for line in _reasons(cell))


def family_junit(found: Family, *, name: str) -> bytes:
    """One test case a cell: a failure where it failed, skipped where it is undecided."""
    suite = ET.Element(
        "testsuite",
        name=_plain(name),
        tests=str(len(found.cells)),
        failures=str(found.count("failed")),
        skipped=str(found.count("undecided")),
        errors="0",
    )
    for cell in found.cells:
        case = ET.SubElement(suite, "testcase", classname=_plain(name), name=_plain(cell.cell))
        if cell.verdict != "passed":
            reasons = [_plain(line) for line in _reasons(cell)]
            tag = "failure" if cell.verdict == "failed" else "skipped"
            ET.SubElement(case, tag, message=reasons[0] if reasons else cell.verdict).text = "\n".join(reasons)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _plain(value: str) -> str:
    """What XML can hold."""
    return one_line(value, limit=300)
