"""Writes a level as `vllm bench serve` does, for tools that read its result files."""

from typing import Any, Final

from breakeven.exchange.exported import known, level_files
from breakeven.metrics.summary import Distribution, LevelSummary, RunSummary

_TIMES: Final = {"ttft": "ttft_s", "tpot": "tpot_s", "itl": "itl_s", "e2el": "e2e_s"}
_STATISTICS: Final = {"mean": "mean", "median": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}
NOTES: Final = (
    "output_throughput is that of the steady window, not of the whole run.",
    "TTFT is request due -> first chunk with text, not the first chunk of any kind.",
    "Standard deviations are left out: they are not kept.",
)


def write(run: RunSummary) -> dict[str, bytes]:
    """One file a level, as vLLM writes one a run: name -> content. Figures that are None are left out."""
    return level_files(run, "vllm", lambda level: _document(run, level))


def _document(run: RunSummary, level: LevelSummary) -> dict[str, Any]:
    facts = {
        "date": run.run.started,
        "backend": run.run.engine.get("api"),
        "model_id": run.run.model,
        "num_prompts": level.requests + level.errors,
        "request_rate": "inf" if level.req_per_s_offered is None else level.req_per_s_offered,
        "max_concurrency": level.users,
        "duration": level.window_s,
        "completed": level.requests,
        "failed": level.errors,
        "total_input_tokens": level.input_tokens,
        "total_output_tokens": level.output_tokens,
        "request_throughput": level.req_per_s.value,
        "output_throughput": level.output_tok_per_s.value,
        "total_token_throughput": level.total_tok_per_s.value,
    }
    for theirs, ours in _TIMES.items():
        facts |= _times(theirs, level.of(ours))
    notes = {"breakeven_run": run.run.id, "breakeven_notes": list(NOTES)}
    return known(facts) | notes


def _times(name: str, times: Distribution) -> dict[str, float | None]:
    figures = {theirs: times.at(ours).value for theirs, ours in _STATISTICS.items()}
    return {f"{key}_{name}_ms": None if value is None else value * 1e3 for key, value in figures.items()}
