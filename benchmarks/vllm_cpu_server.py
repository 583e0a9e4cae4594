"""Starts vLLM on this machine's CPU, the way the live test and the second opinion want it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from environments import python_of

from breakeven.engine.base import EngineSettings
from breakeven.engine.vllm import Vllm
from breakeven.launch.engines import free_port
from breakeven.launch.health import health_probe
from breakeven.launch.process import start_process

START_TIMEOUT_S: Final = 300.0
SERVED_NAME: Final = "SmolLM2-135M-Instruct"
SETTINGS: Final = EngineSettings(
    served_name=SERVED_NAME,
    context_tokens=2048,
    max_batch=128,
    dtype="bfloat16",
    prefix_caching=False,
    # compiling takes minutes on a CPU
    extra=("--enforce-eager",),
)


class VllmOnCpu(NamedTuple):
    """A server that is ready."""

    url: str
    model: str
    start_s: float


class _Cpu(Vllm):
    command = (str(Path(__file__).resolve().with_name("vllm_cpu.py")), "serve")


@contextlib.contextmanager
def vllm_on_cpu(
    weights: Path, *, log_path: Path, on_wait: Callable[[float, str], None] | None = None
) -> Iterator[VllmOnCpu]:
    """vLLM serving `weights` until the end of the block; environments.Unavailable where it cannot be installed."""
    port = free_port()
    argv = [str(python_of("vllm")), *_Cpu.argv(str(weights), port=port, settings=SETTINGS)]
    with start_process(argv, log_path=log_path, name="vLLM on CPU") as process:
        url = f"http://127.0.0.1:{port}"
        probe = health_probe(url, health_path=Vllm.health_path)
        start_s = process.wait_ready(probe, timeout_s=START_TIMEOUT_S, on_wait=on_wait)
        yield VllmOnCpu(url=url, model=SERVED_NAME, start_s=start_s)
