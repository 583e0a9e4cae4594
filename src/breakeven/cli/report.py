"""The command `breakeven report`."""

import argparse
from pathlib import Path
from typing import Final

from breakeven.cli.command import DEFAULT_OUT, WRITABLE, Command
from breakeven.cli.money import FLOOR, SET, SLO
from breakeven.errors import UsageError
from breakeven.options import PATH, TEXTS, WHOLE, Option

FORMS: Final = ("html", "md", "csv", "json", "png", "svg", "pdf")
DEFAULT_HTML: Final = "report.html"
DEFAULT_PORT: Final = 8700
_EXAMPLES: Final = """  breakeven report runs/2026-11-23T0210-vllm-llama --html report.html
  breakeven report runs/a100 runs/rtx4090 --scenario prices.toml --floor 25 --html report.html --md -
  breakeven report nosana-2024:a100-80 nosana-2024:rtx-4090 --scenario nosana-2024 --md -
  breakeven report --serve runs
"""


def _report(arguments: argparse.Namespace) -> int:
    forms = {form: where for form in FORMS if (where := getattr(arguments, form)) is not None}
    if arguments.serve is not None:
        return _serve(arguments, forms)
    if not arguments.runs:
        raise UsageError("report: give at least one RUN, or --serve FOLDER; `breakeven runs` lists the runs")
    if list(forms.values()).count("-") > 1:
        raise UsageError("report: only one form can go to stdout (-)")
    from breakeven.app.report import Asked, report

    asked = Asked(
        runs=tuple(arguments.runs),
        scenarios=tuple(arguments.scenarios or ()),
        overrides=tuple(arguments.overrides or ()),
        ranges=arguments.ranges,
        floors=arguments.floor or (),
        slo=arguments.slo,
        title=arguments.title,
    )
    return report(asked, forms=forms or {"html": DEFAULT_HTML})


def _serve(arguments: argparse.Namespace, forms: dict[str, str]) -> int:
    if arguments.runs or forms:
        raise UsageError("report: --serve shows a folder of runs; leave RUN and the forms out")
    from breakeven.app.serve import serve

    return serve(
        arguments.serve,
        host=arguments.host,
        port=arguments.port,
        scenarios=tuple(arguments.scenarios or ()),
        floors=arguments.floor or (),
        slo=arguments.slo,
    )


_PRICES: Final = "prices"
_FORMS: Final = "forms (default: --html report.html)"
_LIVE: Final = "live"

COMMANDS: Final = (
    Command(
        "report",
        "make a page, tables or pictures of runs and prices",
        _report,
        (
            Option(
                "RUN",
                "run folder, study, summary.json, another tool's result, or DATA:GPU",
                field="runs",
                values="*",
            ),
            Option(
                "--scenario",
                "scenario file or name (nosana-2024, owner, renter, self-host); one more for each further candidate",
                "S",
                kind=TEXTS,
                field="scenarios",
                group=_PRICES,
            ),
            SET._replace(group=_PRICES),
            Option(
                "--ranges",
                "ready ranges for what is given as one number",
                choices=("default", "correlated"),
                group=_PRICES,
            ),
            FLOOR,
            SLO,
            Option("--html", "one self-contained page", "FILE", group=_FORMS),
            Option("--md", "Markdown for a pull request; - is stdout", "FILE", group=_FORMS),
            Option("--csv", "every number, one a line; - is stdout", "FILE", group=_FORMS),
            Option("--json", "the findings as JSON; - is stdout", "FILE", kind=WRITABLE, group=_FORMS),
            Option("--png", "the charts as pictures (needs a Chromium browser on PATH)", "FOLDER", group=_FORMS),
            Option("--svg", "the charts as drawings (needs a Chromium browser on PATH)", "FOLDER", group=_FORMS),
            Option("--pdf", "the page printed (needs a Chromium browser on PATH)", "FILE", group=_FORMS),
            Option("--title", "title of the page", "TEXT", group=_FORMS),
            Option(
                "--serve",
                "serve a page over a folder of runs (default: runs) instead of writing forms",
                "FOLDER",
                kind=PATH,
                values="?",
                const=Path(DEFAULT_OUT),
                group=_LIVE,
            ),
            Option(
                "--host",
                "address to serve on (default: 127.0.0.1, this machine only)",
                "HOST",
                default="127.0.0.1",
                group=_LIVE,
            ),
            Option(
                "--port",
                f"port to serve on (default: {DEFAULT_PORT})",
                "PORT",
                kind=WHOLE,
                default=DEFAULT_PORT,
                group=_LIVE,
            ),
        ),
        "Make a page, tables or pictures of runs and prices.\n"
        "The first run is the reference; every other one is held against it.",
        _EXAMPLES,
    ),
)
