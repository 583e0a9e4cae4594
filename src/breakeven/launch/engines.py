"""Any engine of ENGINES that this machine has installed, started by its own command line."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from breakeven.engine.base import EngineSettings, OpenAI
from breakeven.engine.detect import adapter
from breakeven.launch.embedded import Launched
from breakeven.launch.health import health_probe, local_get
from breakeven.launch.process import start_process

START_TIMEOUT_S: Final = 1800.0
"""A large model may have to be downloaded and compiled first."""


def start_engine(
    name: str,
    model: str,
    *,
    log_path: Path,
    settings: EngineSettings | None = None,
    port: int | None = None,
    timeout_s: float = START_TIMEOUT_S,
    on_wait: Callable[[float, str], None] | None = None,
) -> Launched:
    """Start engine `name` with `model`, wait until it is healthy, and ask its version.

    `port` None takes one that is free. UsageError for a setting that the engine cannot say; RunFailedError, with the
    end of its log, if it does not come up.
    """
    engine = adapter(name)
    told = settings or EngineSettings()
    port = port or free_port()
    argv = engine.argv(model, port=port, settings=told)
    process = start_process(argv, log_path=log_path, env=engine.environment(port=port, settings=told), name=name)
    url = f"http://127.0.0.1:{port}"
    start_s = process.wait_ready(
        health_probe(url, health_path=engine.health_path), timeout_s=timeout_s, on_wait=on_wait
    )
    return Launched(
        url=url,
        model=told.served_name or model,
        engine=name,
        pid=process.pid,
        argv=tuple(argv),
        start_s=start_s,
        version=ask_version(engine, url),
        settings=msgspec.to_builtins(told),
        log_path=log_path,
        process=process,
    )


def ask_version(engine: type[OpenAI], url: str) -> str | None:
    """The version that the engine at `url` on this machine says of itself; None where it says none."""
    body = None if engine.version_path is None else local_get(url.rstrip("/") + engine.version_path)
    try:
        return None if body is None else engine.version_in(json.loads(body))
    except ValueError:
        return None


def free_port() -> int:
    """A port of loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
