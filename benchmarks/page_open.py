"""How long a browser takes to open pages of 1, 10 and 100 runs with every chart drawn, and how large they are.

    python benchmarks/page_open.py

Needs a Chromium browser on PATH. The runs are the RTX 4090 nodes of the 2024 fleet, each under a name of its own.
Opens each page five times in one browser, one size after another, and prints the least, middle and most seconds, and
the ratio of the middles to that of one run. The aim: a hundred runs in two seconds on 2 cores.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from msgspec.structs import replace

from breakeven.compare.runs import compare_runs
from breakeven.findings import findings
from breakeven.metrics.summary import RunSummary
from breakeven.reference import find_run
from breakeven.report.browser import Browser, find
from breakeven.report.html import to_html

COUNTS = (1, 10, 100)
TIMES = 5
FLOOR_TOK_PER_S = 50.0


def runs(count: int) -> list[RunSummary]:
    """The same run, each time of another model."""
    base = find_run("rtx-4090", data="nosana-2024")
    return [replace(base, run=replace(base.run, id=f"run-{at}", model=f"model {at}")) for at in range(count)]


def page(count: int) -> str:
    """The report of so many runs."""
    made = runs(count)
    comparisons = compare_runs(made[0], made[1:], floors=[FLOOR_TOK_PER_S]) if count > 1 else ()
    return to_html(findings(made, comparisons=comparisons))


def main() -> int:
    """Print a line a size."""
    path = find()
    if path is None:
        print("no Chromium browser is on PATH")
        return 1
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for count in COUNTS:
            (folder / f"{count}.html").write_text(page(count), encoding="utf-8")
        took: dict[int, list[float]] = {count: [] for count in COUNTS}
        with Browser(folder / "profile", path=path) as browser:
            for _ in range(TIMES):
                for count in COUNTS:
                    took[count].append(browser.open((folder / f"{count}.html").as_uri()))
        for count, seconds in took.items():
            middle = statistics.median(seconds)
            ratio = middle / statistics.median(took[COUNTS[0]])
            size_kb = (folder / f"{count}.html").stat().st_size / 1000
            told = f"{min(seconds):.2f} {middle:.2f} {max(seconds):.2f} s"
            print(f"{count:4} runs: {told}, {ratio:.1f} x one run, {size_kb:,.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
