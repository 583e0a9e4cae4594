"""The uniform job on a node, step by step; what is known so far is kept after each step.

Run as `python -m breakeven.session.node JOB RESULT FOLDER`: a process that may be ended at any moment (app/node.py).
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from breakeven import __version__
from breakeven.client.ask import FetchError, fetch
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s, wall_now
from breakeven.errors import INTERRUPTED, BreakevenError, RunFailedError, one_line
from breakeven.fleet.bench import card_bench, download_bit_per_s, processor_bench
from breakeven.fleet.proof import Numpy, Torch, prove, torch_device
from breakeven.fleet.result import Card, Level, NodeResult, Word
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.plan import Plan
from breakeven.report.live import Live
from breakeven.serving import Launch, engine_settings
from breakeven.session.measure import Session
from breakeven.session.run import run_plan
from breakeven.session.summary import summarise
from breakeven.store.folder import find_runs
from breakeven.telemetry.gpus import gpu_facts
from breakeven.telemetry.host import host_facts

PROCESSOR_PROOF_BYTES: Final = 2e8
CARD_PROOF_SHARE: Final = 0.8
"""Of the memory that is free on the card once the engine has its own."""
ASK_EVERY_S: Final = 1.0
_SHORT_S: Final = 10.0
_MEANS: Final = ("sm_clock_mean_mhz", "memory_clock_mean_mhz", "power_mean_w", "utilisation_mean_share")
_CARD_FACTS: Final = (
    *("uuid_sha256", "memory_bytes", "power_limit_w", "default_power_limit_w"),
    *("sm_clock_max_mhz", "memory_clock_max_mhz"),
)
_LATENCIES: Final = ("ttft", "tpot", "e2e")


class NodeJob(Struct, frozen=True, kw_only=True):
    """What the operator asked the node for."""

    template: Word
    job: Word
    seed: str | None = None
    """Of the proof of work; None: none is made."""
    url: str | None = None
    """None: the embedded engine."""
    engine: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    users: tuple[int, ...] = (1, 5, 10, 50, 100)
    duration_s: float = 60.0
    output_tokens: int | None = None
    max_wait_s: float = 1800.0
    """How long the engine is waited for."""
    time_limit_s: float = 3600.0
    threads: int | None = None
    """Of the embedded engine."""
    download_url: str | None = None
    dcgm: str | None = None
    """Address of the exporter that tells of the cards where no driver is seen."""
    proof_memory_bytes: float | None = None
    """None: PROCESSOR_PROOF_BYTES, or CARD_PROOF_SHARE of what is free on the card."""

    def plan(self) -> Plan:
        """What is measured, the same on every node."""
        return Plan(
            url=self.url,
            engine=self.engine,
            model=self.model,
            api_key_env=self.api_key_env,
            users=self.users,
            duration_s=self.duration_s,
            output_tokens=self.output_tokens,
            gpu_metrics=self.dcgm,
            launch=self._launch(),
            name="node",
        )

    def _launch(self) -> Launch | None:
        """The embedded engine's settings; None where there are none."""
        return None if self.threads is None else Launch(settings=engine_settings({"threads": self.threads}))


def first_result(job: NodeJob) -> NodeResult:
    """What is known before anything is done."""
    return NodeResult(
        breakeven=__version__,
        template=job.template,
        job=job.job,
        started=wall_now().isoformat(),
        wall_s=0.0,
        outcome="failed",
        reason="nothing was measured yet",
    )


class Work:
    """The steps of one job; `keep` gets the result after each."""

    def __init__(self, job: NodeJob, *, out: Path, keep: Callable[[NodeResult], None]) -> None:
        self._job = job
        self._out = out
        self._keep = keep
        self._result = first_result(job)
        self._problems: list[BreakevenError] = []
        self._live = Live()

    def do(self) -> None:
        """All steps; one that fails leaves its figures out and says why."""
        for step in (self._machine, self._levels, self._bench, self._proof):
            try:
                step()
            except BreakevenError as error:
                self._problems.append(error)
                self._live.say(one_line(str(error), limit=2000))
            self._put()

    def _put(self, **fields: Any) -> None:
        result = replace(self._result, **fields)
        outcome = outcome_of(self._job, result.levels)
        problems = "; ".join(one_line(str(error), limit=150) for error in self._problems)
        reason = problems or (None if outcome == "done" else "levels are missing")
        self._result = replace(result, outcome=outcome, reason=None if reason is None else one_line(reason, limit=200))
        self._keep(self._result)

    def _machine(self) -> None:
        host = host_facts()
        self._processor = str(host["cpu"] or "")
        self._put(
            cpu=_text(host["cpu"]),
            cores=host["cpu_cores"],
            memory_bytes=_real(host["memory_bytes"]),
            cards=cards(gpu_facts(), ()),
        )

    def _levels(self) -> None:
        job = self._job
        if job.url is not None:
            self._live.say(f"waiting for {job.url} …")
            asyncio.run(_wait_for(job.url, most_s=job.max_wait_s))
        session = Session(is_beside=True)
        live = _Told(self._levels_so_far)
        _, summary, is_interrupted = run_plan(job.plan(), out=self._out, live=live, session=session)
        self._take(summary)
        if is_interrupted:
            raise KeyboardInterrupt

    def _levels_so_far(self) -> None:
        self._take(summarise(find_runs(self._out)[0]))

    def _take(self, summary: RunSummary) -> None:
        over = [level for level in summary.levels if level.status != "interrupted"]
        self._put(
            model=_text(summary.run.model),
            engine=_text(summary.run.engine.get("name")),
            engine_version=_text(summary.run.engine.get("version")),
            workload=_text(summary.run.workload.get("name")),
            cards=cards(summary.run.host, over),
            levels=tuple(_level(level) for level in over),
        )

    def _bench(self) -> None:
        device = torch_device()
        self._live.say("measuring memory and matrix rate …")
        bench = processor_bench(f"cpu {self._processor}".strip()) if device is None else card_bench(device)
        self._put(bench=bench)
        if self._job.download_url is not None:
            self._live.say(f"downloading from {self._job.download_url} …")
            self._put(bench=replace(bench, download_bit_per_s=download_bit_per_s(self._job.download_url)))

    def _proof(self) -> None:
        if self._job.seed is None:
            return
        name = torch_device()
        device = Numpy(self._processor) if name is None else Torch(name)
        free = PROCESSOR_PROOF_BYTES if isinstance(device, Numpy) else CARD_PROOF_SHARE * device.free_bytes()
        self._live.say("computing the proof of work …")
        self._put(proof=prove(self._job.seed, self._job.proof_memory_bytes or free, device))


class _Told(Live):
    """A live line that says when a level is over."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def finished(self, level: LevelSummary) -> None:
        super().finished(level)
        self._then()


def outcome_of(job: NodeJob, levels: Sequence[Level]) -> str:
    """`done` where each number of users has a speed, `failed` where none has."""
    measured = {level.users for level in levels if level.output_tok_per_s}
    return "done" if measured >= set(job.users) else "partial" if measured else "failed"


async def _wait_for(url: str, *, most_s: float) -> None:
    """Until the engine lists its models; RunFailedError where it takes longer than `most_s`."""
    start_s, last = now_s(), "no answer"
    while (left_s := most_s - (now_s() - start_s)) > 0:
        try:
            target = await resolve(Access(url=url))
            status, _, _ = await fetch(target, target.to_api("/models"), timeout_s=min(_SHORT_S, left_s))
            if status < 500:
                return
            last = f"it answers {status}"
        except (FetchError, RunFailedError) as error:
            last = str(error)
        await asyncio.sleep(min(ASK_EVERY_S, left_s))
    raise RunFailedError(f"{url} was not ready after {most_s:g} s: {last}")


def _level(level: LevelSummary) -> Level:
    boards = level.extra.get("gpus") or ()
    quantiles = {
        f"{name}_{statistic}_s": level.of(f"{name}_s").at(statistic).value
        for name in _LATENCIES
        for statistic in ("p50", "p95")
    }
    return Level(
        users=level.users or 1,
        output_tok_per_s=level.output_tok_per_s.value,
        ci95=level.output_tok_per_s.ci95,
        window_s=level.window_s,
        done=level.requests,
        failed=level.errors,
        output_tokens=level.output_tokens,
        **quantiles,
        power_mean_w=level.extra.get("gpu_board_power_mean_w"),
        energy_j=level.extra.get("gpu_board_energy_j"),
        temperature_mean_c=_mean(_of(boards, "temperature_mean_c")),
        temperature_max_c=max(_of(boards, "temperature_max_c"), default=None),
        cautions=tuple(dict.fromkeys(caution.id for caution in level.cautions))[:64],
    )


def cards(host: Mapping[str, Any], levels: Sequence[LevelSummary]) -> tuple[Card, ...]:
    """The GPUs that the driver, or an exporter, told of; figures are means over all windows, weighted by length."""
    return tuple(_card(number, gpu, host.get("driver"), levels) for number, gpu in enumerate(host.get("gpus") or ()))


def _card(number: int, gpu: Mapping[str, Any], driver: object, levels: Sequence[LevelSummary]) -> Card:
    seen = [
        (level.window_s or 0.0, board)
        for level in levels
        for board in level.extra.get("gpus") or ()
        if board["index"] == gpu["index"]
    ]
    figures: dict[str, Any] = {name: gpu.get(name) for name in _CARD_FACTS}
    for name in _MEANS:
        figures[name] = _weighted([(window_s, board[name]) for window_s, board in seen if board.get(name) is not None])
    return Card(
        index=int(gpu["index"]) if str(gpu["index"]).isdigit() else number,
        name=_text(gpu["name"]) or "unknown",
        driver=_text(driver),
        temperature_max_c=max(_of([board for _, board in seen], "temperature_max_c"), default=None),
        throttle_share=_throttling([(window_s, board.get("throttle_share")) for window_s, board in seen]),
        **figures,
    )


def _throttling(seen: Sequence[tuple[float, Mapping[str, float] | None]]) -> dict[str, float] | None:
    known = [(window_s, shares) for window_s, shares in seen if shares is not None]
    reasons = sorted({name for _, shares in known for name in shares})
    found = {name: _weighted([(window_s, shares.get(name, 0.0)) for window_s, shares in known]) for name in reasons}
    return {name: share for name, share in found.items() if share is not None} if known else None


def _of(boards: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [board[name] for board in boards if board.get(name) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _weighted(values: Sequence[tuple[float, float]]) -> float | None:
    total = sum(weight for weight, _ in values)
    return sum(weight * value for weight, value in values) / total if total > 0 else None


def _text(value: object) -> str | None:
    return None if value is None else one_line(str(value), limit=200)


def _real(value: float | None) -> float | None:
    return None if value is None else float(value)


def keep_in(path: Path) -> Callable[[NodeResult], None]:
    """Writes a result whole or not at all."""

    def keep(result: NodeResult) -> None:
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(result))
        beside.replace(path)

    return keep


def _end_with_parent() -> None:
    """End this process's group when standard input ends: nobody is left to say what came of the work."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main(words: Sequence[str]) -> int:
    """Do the job in the file; INTERRUPTED where it was. It leads a process group and ends with standard input."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job, result, folder = map(Path, words)
    try:
        Work(msgspec.json.decode(job.read_bytes(), type=NodeJob), out=folder, keep=keep_in(result)).do()
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
