"""The command `breakeven report`."""

import argparse
from pathlib import Path
from typing import Any, Final

from breakeven.cli.words import DEFAULT_OUT
from breakeven.errors import UsageError

FORMS: Final = ("html", "md", "csv", "json", "png", "pdf")
DEFAULT_HTML: Final = "report.html"
DEFAULT_PORT: Final = 8700
_EXAMPLES: Final = """examples:
  breakeven report runs/2026-11-23T0210-vllm-llama --html report.html
  breakeven report runs/a100 runs/rtx4090 --scenario prices.toml --floor 25 --html report.html --md -
  breakeven report nosana-2024:a100-80 nosana-2024:rtx-4090 --scenario nosana-2024 --md -
  breakeven report --serve runs
"""


def floors(text: str) -> tuple[float, ...]:
    """A list of speeds."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of speeds; write it like 25,50") from None


def add(commands: Any) -> None:
    """Add the command and its options."""
    report = commands.add_parser(
        "report",
        help="make a page, tables or pictures of runs and prices",
        description="Make a page, tables or pictures of runs and prices.\n"
        "The first run is the reference; every other one is held against it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    report.add_argument(
        "runs", metavar="RUN", nargs="*", help="run folder, summary.json, another tool's result, or DATA:GPU"
    )
    money = report.add_argument_group("prices")
    money.add_argument(
        "--scenario",
        dest="scenarios",
        action="append",
        default=[],
        metavar="S",
        help="scenario file or name (nosana-2024, owner, renter, self-host); one more for each further candidate",
    )
    money.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="PLACE=VALUE", help="change one number"
    )
    money.add_argument(
        "--ranges", choices=("default", "correlated"), help="ready ranges for what is given as one number"
    )
    wanted = report.add_argument_group("service level")
    wanted.add_argument(
        "--floor",
        dest="floors",
        type=floors,
        default=(),
        metavar="LIST",
        help="tok/s that on average a user must get at least (default: chosen)",
    )
    wanted.add_argument("--slo", metavar="LIMITS", help="limits such as ttft_p99=2s,tpot_p99=100ms")
    forms = report.add_argument_group("forms (default: --html report.html)")
    forms.add_argument("--html", metavar="FILE", help="one self-contained page")
    forms.add_argument("--md", metavar="FILE", help="Markdown for a pull request; - is stdout")
    forms.add_argument("--csv", metavar="FILE", help="every number, one a line; - is stdout")
    forms.add_argument("--json", metavar="FILE", help="the findings as JSON; - is stdout")
    forms.add_argument("--png", metavar="FOLDER", help="the charts as pictures (needs breakeven[png])")
    forms.add_argument("--pdf", metavar="FILE", help="the page printed (needs a Chromium browser on PATH)")
    forms.add_argument("--title", metavar="TEXT", help="title of the page")
    serve = report.add_argument_group("live")
    serve.add_argument(
        "--serve",
        nargs="?",
        const=Path(DEFAULT_OUT),
        type=Path,
        metavar="FOLDER",
        help="serve a page over a folder of runs (default: runs) instead of writing forms",
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to serve on (default: 127.0.0.1, this machine only)"
    )
    serve.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port to serve on (default: {DEFAULT_PORT})")
    report.set_defaults(do=_report)


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
        scenarios=tuple(arguments.scenarios),
        overrides=tuple(arguments.overrides),
        ranges=arguments.ranges,
        floors=arguments.floors,
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
        scenarios=tuple(arguments.scenarios),
        floors=arguments.floors,
        slo=arguments.slo,
    )
