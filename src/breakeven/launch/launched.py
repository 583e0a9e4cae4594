"""Engines that we started: what they turned out to be, waited for and ended together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from breakeven.launch.process import EngineProcess, stop_all, stopped_on_failure, wait_all
from breakeven.serving import ROUND_ROBIN, Routing


@dataclass(frozen=True, kw_only=True)
class Launched:
    """An engine that we started, ready to serve; of several side by side the first, with the others."""

    url: str
    model: str
    """Name to ask for."""
    engine: str
    """Row of ENGINES that knows it."""
    pid: int
    argv: tuple[str, ...]
    start_s: float
    """Seconds from start until it served; of several, until all did."""
    version: str | None
    settings: Mapping[str, Any]
    log_path: Path
    process: EngineProcess
    gpus: tuple[str, ...] | None = None
    """Its GPUs, in CUDA's words; None: all that are visible."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further facts to keep, such as the container image and its digest."""
    beside: tuple["Launched", ...] = ()
    """The other engines of the deployment."""

    @property
    def replicas(self) -> tuple["Launched", ...]:
        """All engines of the deployment, itself first."""
        return (self, *self.beside)

    @property
    def all_gpus(self) -> tuple[str, ...] | None:
        """The GPUs of all engines together; None: all that are visible."""
        return None if self.gpus is None else tuple(gpu for one in self.replicas for gpu in one.gpus or ())

    def stop(self) -> None:
        """End the engines and all that they started."""
        stop_all([one.process for one in self.replicas])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Begun(NamedTuple):
    """An engine that was started and does not serve yet."""

    process: EngineProcess
    is_ready: Callable[[], bool]
    launched: Callable[[float], Launched]
    """What it turned out to be, after so many seconds."""


def start_all(
    count: int,
    begin: Callable[[int], Begun],
    *,
    timeout_s: float,
    on_wait: Callable[[float, str], None] | None = None,
    routing: Routing | None = None,
) -> Launched:
    """Begin engines 1 to `count`, which load at the same time, and wait until all of them serve.

    Where one does not, all are stopped; RunFailedError says why. `routing` says how requests will be shared out.
    """
    begun: list[Begun] = []
    processes: list[EngineProcess] = []
    with stopped_on_failure(processes):
        for number in range(1, count + 1):
            begun.append(begin(number))
            processes.append(begun[-1].process)
        started_s = wait_all([(one.process, one.is_ready) for one in begun], timeout_s=timeout_s, on_wait=on_wait)
        first, *others = [one.launched(start_s) for one, start_s in zip(begun, started_s, strict=True)]
    if not others:
        return first
    settings = {**first.settings, "replicas": len(begun), "routing": routing or ROUND_ROBIN}
    facts = {**first.facts, "replicas": [replica_facts(one) for one in (first, *others)]}
    return replace(first, start_s=max(started_s), settings=settings, beside=tuple(others), facts=facts)


def replica_facts(one: Launched) -> dict[str, Any]:
    """What is kept of each engine of several."""
    gpus = {} if one.gpus is None else {"visible_gpus": list(one.gpus)}
    return {"url": one.url, "start_s": one.start_s, "log": one.log_path.name, **gpus, **one.facts}


def replica_name(name: str, number: int, *, of: int) -> str:
    """What errors call one of several engines, counted from 1."""
    return name if of == 1 else f"replica {number} of {of} of {name}"


def replica_log(log_path: Path, number: int) -> Path:
    """The log of an engine of several: the first has the name of a single one."""
    return log_path if number == 1 else log_path.with_stem(f"{log_path.stem}-replica{number}")
