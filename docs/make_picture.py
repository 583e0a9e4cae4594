"""Make the picture of the page that the README shows: `python docs/make_picture.py [--dark] [--out FILE] [RUN…]`.

Without RUN it takes the two runs of examples/cpu-llamacpp-vs-vllm/ with the prices there. It needs a Chromium browser
on PATH.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from breakeven.app.report import Asked, find
from breakeven.report.html import to_html
from breakeven.report.pdf import find_browser

HERE = Path(__file__).parent
STUDY = HERE.parent / "examples" / "cpu-llamacpp-vs-vllm"
RUNS = [str(STUDY / f"smollm2-135m-{engine}-chat") for engine in ("llamacpp", "vllm")]
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=5000",
)


def make(asked: Asked, out: Path, *, width: int, height: int, dark: bool) -> None:
    """Photograph the top of the page."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(to_html(find(asked)), encoding="utf-8")
        command = [
            find_browser(),
            *FLAGS,
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},{height}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--screenshot={out.resolve()}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            page.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Make the picture of the page.")
    parser.add_argument("runs", nargs="*", default=RUNS, metavar="RUN")
    parser.add_argument("--scenario", default=str(STUDY / "prices.toml"))
    parser.add_argument("--floor", type=float, default=12.0)
    parser.add_argument("--out", type=Path, default=HERE / "report.png")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=1560)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    asked = Asked(runs=tuple(given.runs), scenarios=(given.scenario,), floors=(given.floor,))
    make(asked, given.out, width=given.width, height=given.height, dark=given.dark)


if __name__ == "__main__":
    main()
