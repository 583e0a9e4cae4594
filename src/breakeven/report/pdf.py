"""The page as PDF: printed by a browser that is on PATH."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from breakeven.errors import RunFailedError, UsageError

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "brave")
LONGEST_S: Final = 120


def find_browser() -> str:
    """A browser of Chromium's family; UsageError where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise UsageError(
            f"--pdf needs a browser on PATH ({', '.join(BROWSERS[:3])}, …); install one, or print the --html page"
        )
    return found


def write_pdf(page: str, path: Path) -> None:
    """Print a page into a file; RunFailedError where the browser does not give one."""
    browser = find_browser()
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-pdf-header-footer",
            "--window-size=1280,900",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={made}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            source.as_uri(),
        ]
        try:
            subprocess.run(command, check=False, capture_output=True, timeout=LONGEST_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RunFailedError(f"--pdf: {Path(browser).name} did not print the page ({error})") from None
        if not made.is_file():
            raise RunFailedError(f"--pdf: {Path(browser).name} printed nothing; print the --html page from a browser")
        shutil.copyfile(made, path)
