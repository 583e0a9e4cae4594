"""The page as pictures and on paper: what a browser that is on PATH draws of it."""

import base64
from pathlib import Path
from typing import Any, Final, Literal

from breakeven.errors import RunFailedError
from breakeven.report.browser import showing
from breakeven.store.log import cannot_write

CHARTS: Final = "[...document.querySelectorAll('.chart')].filter((one) => one.querySelector('svg'))"
_MADE: Final = {
    "svg": f"{CHARTS}.map((one) => [Save.nameOf(one), Save.svg(one)])",
    "png": f"Promise.all({CHARTS}.map(async (one) => [Save.nameOf(one), await Save.png(one)]))",
}
"""What makes name and content of every chart, in the page."""


def write_pictures(page: str, folder: Path, *, form: Literal["svg", "png"]) -> list[Path]:
    """One picture a chart into `folder`; UsageError without a browser, RunFailedError where nothing can be written."""
    with showing(page, f"--{form}") as browser:
        browser.run("breakeven.drawAll()")
        found: list[tuple[str, Any]] = browser.run(_MADE[form])
    made = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in found:
            path = folder / f"{name}.{form}"
            path.write_bytes(content.encode() if form == "svg" else base64.b64decode(content.partition(",")[2]))
            made.append(path)
    except OSError as error:
        raise RunFailedError(cannot_write(folder, error)) from None
    return made


def write_pdf(page: str, path: Path) -> None:
    """Print a page into a file; UsageError without a browser, RunFailedError where it cannot be written."""
    with showing(page, "--pdf") as browser:
        printed = browser.pdf()
    try:
        path.write_bytes(printed)
    except OSError as error:
        raise RunFailedError(cannot_write(path, error)) from None
