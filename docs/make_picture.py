"""Make the pictures of the page in docs/: `python docs/make_picture.py`, or of runs of your own: `… RUN… --out FILE`.

Of the two runs of examples/cpu-llamacpp-vs-vllm/ with the prices there, of four predicted cards, and of the list of
runs. It needs a Chromium browser on PATH.
"""

import argparse
import contextlib
import io
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Final

from breakeven.app.report import Asked, find
from breakeven.app.serve import Shelf
from breakeven.cli import main as breakeven
from breakeven.report.browser import Browser, showing
from breakeven.report.html import to_html
from breakeven.report.server import make_server

HERE: Final = Path(__file__).parent
STUDY: Final = HERE.parent / "examples" / "cpu-llamacpp-vs-vllm"
RUNS: Final = tuple(str(STUDY / f"smollm2-135m-{engine}-chat") for engine in ("llamacpp", "vllm"))
MEASURED: Final = Asked(runs=RUNS, scenarios=(str(STUDY / "prices.toml"),), floors=(12.0,))
PREDICTED: Final = "predict --model llama-3.1-8b --gpu a100-80-pcie,h100-sxm,l40s,rtx4090 --users 1,4,16,64,128 --out"


def page(asked: Asked, out: Path, *, height: int, dark: bool = False) -> None:
    """Photograph the top of a page."""
    with showing(to_html(find(asked)), "a picture") as browser:
        browser.look(width=1200, height=height, dark=dark)
        shoot(browser, out)


def shoot(browser: Browser, out: Path) -> None:
    """When the charts have taken the window's width."""
    browser.run("new Promise((done) => setTimeout(done, 500))")
    browser.screenshot(out)


def predicted(out: Path) -> None:
    """Four cards that nobody measured, at their newest quotes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.environ["BREAKEVEN_CACHE"] = str(Path(folder) / "empty")
        assert breakeven([*PREDICTED.split(), folder]) == 0
        runs = sorted(str(path) for path in Path(folder).glob("*predicted*"))
        page(Asked(runs=tuple(runs), floors=(25.0,)), out, height=1130)


def served(out: Path) -> None:
    """The list of `breakeven report --serve` over the study's runs."""
    with tempfile.TemporaryDirectory() as folder:
        for run in RUNS:
            shutil.copytree(run, Path(folder) / Path(run).name)
        server = make_server(Shelf(Path(folder)).source(), host="127.0.0.1", port=0)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Browser(Path(folder) / "profile") as browser:
            browser.look(width=1200, height=560)
            browser.open(f"http://127.0.0.1:{server.server_address[1]}/")
            shoot(browser, out)
        server.shutdown()
        server.server_close()


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Make the pictures of the page.")
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--floor", type=float)
    parser.add_argument("--out", type=Path, default=HERE / "report.png")
    parser.add_argument("--height", type=int, default=1130)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    if given.runs:
        floors = () if given.floor is None else (given.floor,)
        asked = Asked(runs=tuple(given.runs), scenarios=tuple(given.scenario), floors=floors)
        page(asked, given.out, height=given.height, dark=given.dark)
        return
    page(MEASURED, HERE / "report.png", height=1130)
    predicted(HERE / "report-predicted.png")
    served(HERE / "report-runs.png")


if __name__ == "__main__":
    main()
