"""The commands that read and write other tools' result files: import, export."""

import argparse
from typing import Final

from breakeven.cli.command import OUT, Command
from breakeven.options import PATH, Option


def _import(arguments: argparse.Namespace) -> int:
    from breakeven.app.exchange import import_files

    return import_files(arguments.files, out=arguments.out)


def _export(arguments: argparse.Namespace) -> int:
    from breakeven.app.exchange import export

    return export(arguments.run, form=arguments.form, to=arguments.to)


COMMANDS: Final = (
    Command(
        "import",
        "read another tool's result file as a run",
        _import,
        (Option("FILE", "one file, or the files of one sweep", kind=PATH, field="files", values="+"), OUT),
        "Make a run of result files of vLLM bench, SGLang bench_serving, guidellm, AIPerf, genai-bench, "
        "inference-perf, InferenceX or llmperf, or of llm-d's Benchmark Reports. Each number keeps its tool's "
        "definition; what cannot be mapped is left out and said.",
    ),
    Command(
        "export",
        "write a run in another tool's format, or as recorded sessions, or send it",
        _export,
        (
            Option("RUN", "run folder, summary, or study (a folder a cell)", kind=PATH),
            Option(
                "--as",
                "vllm-json (default), llmd-report, openmetrics or sessions; otlp or mlflow, sent",
                "FORMAT",
                field="form",
                default="vllm-json",
            ),
            Option("--to", "where to write (default: here), or the server of otlp or mlflow", "PLACE"),
        ),
    ),
)
