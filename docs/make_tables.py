"""Print the tables of figures into ECONOMICS.md, from the rows themselves: `python docs/make_tables.py`."""

import re
from pathlib import Path

from breakeven.cost.figures import GROUPS, ROWS, Group
from breakeven.cost.formula import readable
from breakeven.say import label_of

PAGE = Path(__file__).with_name("ECONOMICS.md")
_BLOCK = re.compile(r"<!-- figures: (\w+) -->\n(?:.*\n)*?<!-- end of figures -->\n")


def table(group: Group) -> str:
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


def filled(text: str) -> str:
    """The page with every table as the rows have it now."""
    return _BLOCK.sub(lambda found: f"<!-- figures: {found[1]} -->\n{table(found[1])}<!-- end of figures -->\n", text)  # type: ignore[arg-type]


if __name__ == "__main__":
    assert set(re.findall(r"<!-- figures: (\w+) -->", PAGE.read_text())) == set(GROUPS)
    PAGE.write_text(filled(PAGE.read_text()))
