"""Telemetry beside a run: starts the process that samples, and ends it."""

import contextlib
import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from breakeven.engine.base import OpenAI
from breakeven.environment import bare_environment
from breakeven.errors import one_line
from breakeven.telemetry.scrape import metric_names

FOLDER: Final = "telemetry"
START_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 5.0

REMOTE: Final = (
    "the engine runs on another machine; name its GPUs' exporter by --gpu-metrics, or declare its watts by --power-w"
)
OF_EXPORTER: Final = "the GPUs are read from their exporter"


class Wanted(NamedTuple):
    """What to sample beside a run."""

    sources: Mapping[str, Mapping[str, Any]]
    """Rows of SOURCES, each with its settings."""
    missing: Mapping[str, str]
    """Why other rows are not asked."""


def sources_for(
    *,
    urls: Sequence[str],
    engine: type[OpenAI] | OpenAI,
    is_local: bool,
    gpus: Sequence[str] | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    unix_path: str | None = None,
    gpu_metrics: str | None = None,
    gpu_labels: Mapping[str, str] = MappingProxyType({}),
    engine_metrics: str | None = None,
) -> Wanted:
    """What tells of this run.

    GPUs and CPU packages are sampled only where the engine runs on this machine: a remote engine does its work
    elsewhere, and tells of its GPUs by the exporter at `gpu_metrics`, whose samples have the labels `gpu_labels`. An
    engine that has no metrics is not asked for them. `urls` are the base addresses of the engine, or of all engines of
    a deployment; metrics are below them, or at `engine_metrics`. `gpus` are those that they were given, in CUDA's
    words; None: all that are visible.
    """
    url = urls[0]
    sources: dict[str, dict[str, Any]] = {
        "host": {},
        "company": {"port": port_of(url) if is_local else None, "in_socket_file": unix_path is not None},
    }
    missing = {}
    if is_local:
        sources |= {"nvml": {} if gpus is None else {"visible": ",".join(gpus)}, "rapl": {}}
    else:
        missing = {"nvml": REMOTE, "rapl": REMOTE}
    if gpu_metrics is not None:
        sources.pop("nvml", None)
        missing["nvml"] = OF_EXPORTER
        sources["exporter"] = {"url": gpu_metrics, "labels": dict(gpu_labels)}
    path = engine.metrics_path or ("/metrics" if engine.name == OpenAI.name else None)
    if engine_metrics is not None:
        sources["engine"] = {"urls": [engine_metrics], "names": metric_names(engine)}
    elif path is None:
        missing["engine"] = f"engine '{engine.name}' has no metrics"
    else:
        names = metric_names(engine)
        sources["engine"] = {
            "urls": [one.rstrip("/") + path for one in urls],
            "names": names,
            "headers": dict(headers),
            "unix_path": unix_path,
        }
    return Wanted(sources, missing)


def port_of(url: str) -> int | None:
    """The port of an address: its own, or its scheme's."""
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class Sampler:
    """Samples into a file of its own in the run's folder `telemetry`, from `with` until its end.

    Telemetry never stops a run: what goes wrong is written down there, as the reason for what is missing.
    """

    def __init__(self, run_folder: Path, *, zero_s: float, wanted: Wanted) -> None:
        self._folder = run_folder / FOLDER
        self._zero_s = zero_s
        self._wanted = wanted
        self._process: subprocess.Popen[bytes] | None = None
        self.path = self._folder / "start00.jsonl"
        """Where the samples go; a run that is resumed gets a further file."""
        self.pid: int | None = None

    def __enter__(self) -> Self:
        number = len({path.stem for path in self._folder.glob("start*")})
        self.path = self._folder / f"start{number:02d}.jsonl"
        self._said = tempfile.TemporaryFile()
        settings = {"file": str(self.path), "zero_s": self._zero_s, **self._wanted._asdict()}
        try:
            self._folder.mkdir(exist_ok=True)
            self._start(json.dumps(settings).encode() + b"\n")
        except OSError as error:
            self._note(f"the sampler did not start: {error}")
        return self

    def _start(self, settings: bytes) -> None:
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "breakeven.telemetry.sampler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=bare_environment(and_starts=("CUDA_", "NVIDIA_")),
            # Ctrl-C is ours: it samples until the last level is over
            start_new_session=True,
        )
        self.pid = process.pid
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(settings)
        process.stdin.flush()
        select.select([process.stdout], [], [], START_TIMEOUT_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take a last sample of everything and end; a second call does nothing."""
        process, self._process = self._process, None
        code = 0 if process is None else _end(process)
        if self._said.closed:
            return
        with self._said as file:
            file.seek(0)
            words = file.read().decode(errors="replace").strip().splitlines()
        if code != 0:
            self._note(f"the sampler ended early (exit code {code}): {one_line(words[-1]) if words else 'no word'}")

    def _note(self, reason: str) -> None:
        """Keep why there are no (more) samples, whatever their source; a full disk keeps nothing."""
        line = json.dumps({"missing": dict.fromkeys(self._wanted.sources, reason)})
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")


def _end(process: "subprocess.Popen[bytes]") -> int:
    """Close its input, which ends it; its exit code."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
