"""The commands that read and write other tools' result files: import, export."""

import argparse
from pathlib import Path
from typing import Any

from breakeven.cli.words import add_out


def add(commands: Any) -> None:
    """Add the commands and their options."""
    take = commands.add_parser(
        "import",
        help="read another tool's result file as a run",
        description="Make a run of result files of vLLM bench, guidellm, AIPerf, genai-bench, inference-perf or "
        "InferenceX. Each number keeps its tool's definition; what cannot be mapped is left out and said.",
    )
    take.add_argument("files", nargs="+", type=Path, metavar="FILE", help="one file, or the files of one sweep")
    add_out(take)
    take.set_defaults(do=_import)
    give = commands.add_parser(
        "export", help="write a run in another tool's format", description="Write a run in another tool's format."
    )
    give.add_argument("run", type=Path, metavar="RUN", help="run folder or summary")
    give.add_argument("--as", dest="form", default="vllm-json", metavar="FORMAT", help="vllm-json (default)")
    give.add_argument("--to", type=Path, default=Path(), metavar="FOLDER", help="where to write (default: here)")
    give.set_defaults(do=_export)


def _import(arguments: argparse.Namespace) -> int:
    from breakeven.app.exchange import import_files

    return import_files(arguments.files, out=arguments.out)


def _export(arguments: argparse.Namespace) -> int:
    from breakeven.app.exchange import export

    return export(arguments.run, form=arguments.form, out=arguments.to)
