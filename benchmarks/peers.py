"""How each load generator is told the same closed-loop load, with what it then wrote into its own result file."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from environments import python_of, tokenizer_folder, versions_of

from breakeven import __version__
from breakeven.clock import now_s
from breakeven.errors import one_line
from breakeven.store.folder import RunFolder

HERE: Final = Path(__file__).resolve().parent
TOOL_TIMEOUT_S: Final = 300.0
OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Tokenizers come from a folder; nothing asks a hub."""


class ToolFailed(Exception):  # noqa: N818  (a row of the table, like any other outcome)
    """A tool that ended without a result; the message is one line of what it said last."""


class Load(NamedTuple):
    """`users` at once, each sending its next request when its answer is complete."""

    url: str
    engine: str
    """Row of breakeven's ENGINES."""
    model: str
    users: int
    requests: int
    input_tokens: int
    output_tokens: int
    folder: Path
    """Of this tool in this round alone; its files go there."""
    duration_s: float | None = None
    """For so long, instead of so many requests, where the tool can."""
    precision: float | None = None
    """Until the tool knows throughput so well, instead of so many requests, where it can."""


class Reading(NamedTuple):
    """What a tool says. None: it does not."""

    output_tok_per_s: float | None
    ttft_p50_s: float | None
    tpot_mean_s: float | None
    """Mean over requests of (E2E - TTFT) / (output tokens - 1), whatever the tool calls it."""
    span_s: tuple[float, float] | None = None
    """Part of the load that the figures speak of, on the machine's monotonic clock; None: the whole load."""


class Spent(NamedTuple):
    """What the tool itself took, from its start to its end, its imports included."""

    wall_s: float
    cpu_s: float


class Peer(NamedTuple):
    """One tool: its command for a load, the reader of its result file, its version."""

    argv: Callable[[Load], list[str]]
    read: Callable[[Load], Reading]
    version: Callable[[], str]
    prepare: Callable[[], object]
    """Makes its environment and the tokenizer it wants; environments.Unavailable where they cannot be had."""


def measure(peer: Peer, load: Load) -> tuple[Reading, Spent]:
    """Let one tool put its load on; ToolFailed if it ends with an error or without its file."""
    load.folder.mkdir(parents=True)
    spent = _run(peer.argv(load), load.folder)
    try:
        return peer.read(load), spent
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ToolFailed(f"its result file cannot be read: {one_line(repr(error))}") from None


def _run(argv: Sequence[str], folder: Path) -> Spent:
    before, start_s = _children_cpu_s(), now_s()
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **OFFLINE},
            start_new_session=True,
        )
        try:
            code = process.wait(TOOL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise ToolFailed(f"not done after {TOOL_TIMEOUT_S:.0f} s") from None
        finally:
            _end_group(process)
    if code:
        raise ToolFailed(f"ended with code {code}: {_last_error(log)}")
    return Spent(wall_s=now_s() - start_s, cpu_s=_children_cpu_s() - before)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Nothing of a tool shall be left when the next one measures."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _children_cpu_s() -> float:
    """CPU seconds of all children that have ended, with theirs; a server that still runs is not among them."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _last_error(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip(" │╭╮╰╯─")]
    errors = [line for line in lines if "error" in line.lower()]
    return one_line((errors or lines or ["it said nothing"])[-1])


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


# breakeven: its window lies inside the load, and is kept in the run folder


def _breakeven_argv(load: Load) -> list[str]:
    until = ["--requests", str(load.requests)]
    if load.duration_s is not None:
        until = ["--duration", f"{load.duration_s}s"]
    if load.precision is not None:
        until = ["--precision", str(load.precision)]
    return [
        *(sys.executable, "-m", "breakeven", "run", "--url", load.url, "--engine", load.engine, "--model", load.model),
        *("--api", "completions", "--workload", "fixed"),
        *("--input-tokens", str(load.input_tokens), "--output-tokens", str(load.output_tokens)),
        *("--users", str(load.users), *until),
        *("--out", str(load.folder / "runs"), "--json", str(load.folder / "breakeven.json")),
    ]


def _read_breakeven(load: Load) -> Reading:
    level = _json(load.folder / "breakeven.json")["levels"][0]
    return Reading(
        output_tok_per_s=level["output_tok_per_s"]["value"],
        ttft_p50_s=level["distributions"]["ttft_s"]["p50"]["value"],
        tpot_mean_s=level["distributions"]["tpot_s"]["mean"],
        span_s=_window_s(next((load.folder / "runs").iterdir())),
    )


def _window_s(run: Path) -> tuple[float, float]:
    """Window of a run's only level, on the machine's clock."""
    folder = RunFolder.open(run)
    zero_s = folder.host()["run"]["clock"]["zero_monotonic_s"]
    facts = next(iter(folder.finished()))
    if facts.open_s is None or facts.close_s is None:
        raise ValueError("its window never opened")
    return zero_s + facts.open_s, zero_s + facts.close_s


# vLLM's own


def _vllm_argv(load: Load) -> list[str]:
    return [
        *(str(python_of("vllm")), str(HERE / "vllm_cpu.py"), "bench", "serve", "--backend", "openai"),
        *("--base-url", load.url, "--endpoint", "/v1/completions", "--model", load.model),
        *("--tokenizer", str(tokenizer_folder()), "--dataset-name", "random", "--ignore-eos"),
        *("--random-input-len", str(load.input_tokens), "--random-output-len", str(load.output_tokens)),
        *("--num-prompts", str(load.requests), "--max-concurrency", str(load.users), "--disable-tqdm"),
        *("--save-result", "--result-dir", str(load.folder), "--result-filename", "vllm.json"),
    ]


def _read_vllm(load: Load) -> Reading:
    found = _json(load.folder / "vllm.json")
    return Reading(
        output_tok_per_s=found["output_throughput"],
        ttft_p50_s=found["median_ttft_ms"] / 1e3,
        tpot_mean_s=found["mean_tpot_ms"] / 1e3,
    )


# guidellm: its "time per output token" counts the first token in, its "inter token latency" is what others call TPOT


def _guidellm_argv(load: Load) -> list[str]:
    many = f"kind=max_requests,count={load.requests}"
    until = many if load.duration_s is None else f"kind=max_duration,seconds={load.duration_s:g}"
    lengths = f"prompt_tokens={load.input_tokens},output_tokens={load.output_tokens}"
    return [
        *(str(python_of("guidellm").with_name("guidellm")), "run", "--disable-console"),
        *("--backend", f"kind=openai_http,target={load.url},model={load.model},request_format=/v1/completions"),
        *("--profile", f"kind=concurrent,streams={load.users}"),
        *("--constraint", until),
        *("--tokenizer", f"kind=hf_auto,model={tokenizer_folder()}", "--data", f"kind=synthetic_text,{lengths}"),
        *("--output", f"kind=json,path={load.folder / 'guidellm.json'}"),
    ]


def _read_guidellm(load: Load) -> Reading:
    found = _json(load.folder / "guidellm.json")["benchmarks"][0]["metrics"]
    return Reading(
        output_tok_per_s=found["output_tokens_per_second"]["successful"]["mean"],
        ttft_p50_s=found["time_to_first_token_ms"]["successful"]["percentiles"]["p50"] / 1e3,
        tpot_mean_s=found["inter_token_latency_ms"]["successful"]["mean"] / 1e3,
    )


# AIPerf: offline it takes a tokenizer only out of a hub's cache, so it gets one that holds a single link


def _aiperf_argv(load: Load) -> list[str]:
    cached = load.folder / "hub" / "models--local--tokenizer"
    for part in ("refs", "snapshots"):
        (cached / part).mkdir(parents=True)
    (cached / "refs" / "main").write_text("here")
    (cached / "snapshots" / "here").symlink_to(tokenizer_folder())
    return [
        *("env", f"HF_HUB_CACHE={cached.parent}"),
        *(str(python_of("aiperf").with_name("aiperf")), "profile", "--ui", "none"),
        *("--url", load.url, "--model", load.model, "--endpoint-type", "completions", "--streaming"),
        *("--concurrency", str(load.users), "--request-count", str(load.requests)),
        *("--synthetic-input-tokens-mean", str(load.input_tokens), "--output-tokens-mean", str(load.output_tokens)),
        *("--extra-inputs", "ignore_eos:true", "--use-server-token-count", "--tokenizer", "local/tokenizer"),
        *("--artifact-dir", str(load.folder / "aiperf"), "--no-gpu-telemetry", "--no-server-metrics"),
    ]


def _read_aiperf(load: Load) -> Reading:
    found = _json(load.folder / "aiperf" / "profile_export_aiperf.json")
    return Reading(
        output_tok_per_s=found["output_token_throughput"]["avg"],
        ttft_p50_s=found["time_to_first_token"]["p50"] / 1e3,
        tpot_mean_s=found["inter_token_latency"]["avg"] / 1e3,
    )


def _in_environment(name: str, package: str) -> tuple[Callable[[], str], Callable[[], object]]:
    return lambda: versions_of(name)[package], lambda: (python_of(name), tokenizer_folder())


PEERS: Final = {
    "breakeven": Peer(_breakeven_argv, _read_breakeven, lambda: __version__, lambda: None),
    "vllm bench serve": Peer(_vllm_argv, _read_vllm, *_in_environment("vllm", "vllm-cpu")),
    "guidellm": Peer(_guidellm_argv, _read_guidellm, *_in_environment("guidellm", "guidellm")),
    "aiperf": Peer(_aiperf_argv, _read_aiperf, *_in_environment("aiperf", "aiperf")),
}
