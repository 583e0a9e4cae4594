"""Any engine of ENGINES that this machine has installed, started by its own command line."""

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from breakeven.engine.base import EngineSettings, OpenAI
from breakeven.engine.detect import adapter
from breakeven.errors import RunFailedError, UsageError
from breakeven.launch.embedded import Launched
from breakeven.launch.health import health_probe, local_get
from breakeven.launch.process import EngineProcess, start_process

START_TIMEOUT_S: Final = 1800.0
"""A large model may have to be downloaded and compiled first."""

PORT: Final = "{port}"
MODEL: Final = "{model}"


def start_engine(
    name: str,
    model: str,
    *,
    log_path: Path,
    settings: EngineSettings | None = None,
    command: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = START_TIMEOUT_S,
    on_wait: Callable[[float, str], None] | None = None,
) -> Launched:
    """Start engine `name` with `model`, wait until it is healthy, and ask its version.

    `command` stands in for the engine's own (see `command_line`), `env` is added to our environment. Its port is the
    engine's own if that is free, else any. UsageError for a setting that the engine cannot say; RunFailedError, with
    the end of its log, if it does not come up.
    """
    engine = adapter(name)
    told = settings or EngineSettings()
    port = free_port(first=engine.default_port)
    argv = command_line(engine, model, port=port, settings=told, command=command)
    all_env = {**engine.environment(port=port, settings=told), **(env or {})}
    process = start_process(argv, log_path=log_path, env=all_env, name=name)
    return wait_and_ask(
        process, engine=engine, model=model, settings=told, port=port, timeout_s=timeout_s, on_wait=on_wait
    )


def wait_and_ask(
    process: EngineProcess,
    *,
    engine: type[OpenAI],
    model: str,
    settings: EngineSettings,
    port: int,
    timeout_s: float,
    on_wait: Callable[[float, str], None] | None,
    facts: Mapping[str, Any] | None = None,
) -> Launched:
    """Wait until a started engine serves; what it turned out to be."""
    url = f"http://127.0.0.1:{port}"
    start_s = process.wait_ready(
        health_probe(url, health_path=engine.health_path), timeout_s=timeout_s, on_wait=on_wait
    )
    return Launched(
        url=url,
        model=settings.served_name or model,
        engine=engine.name,
        pid=process.pid,
        argv=process.argv,
        start_s=start_s,
        version=ask_version(engine, url),
        settings=msgspec.to_builtins(settings),
        log_path=process.log_path,
        process=process,
        facts=facts or {},
    )


def command_line(
    engine: type[OpenAI],
    model: str,
    *,
    port: int,
    settings: EngineSettings,
    command: Sequence[str] | None = None,
) -> list[str]:
    """The engine's command line. `command` replaces its command, and what the engine is told follows.

    Where a word of `command` holds `{port}`, it is the whole command line, with `{port}` and `{model}` filled in; then
    there is no place for settings, and UsageError says so.
    """
    if command is None:
        return engine.argv(model, port=port, settings=settings)
    if any(PORT in word for word in command):
        if msgspec.structs.replace(settings, served_name=None) != EngineSettings():
            raise UsageError(f"settings: the command names {PORT}, so it is the whole command line; say them there")
        return [word.replace(PORT, str(port)).replace(MODEL, model) for word in command]
    told = cast("type[OpenAI]", type("Told", (engine,), {"command": tuple(command)}))
    return told.argv(model, port=port, settings=settings)


def ask_version(engine: type[OpenAI], url: str) -> str | None:
    """The version that the engine at `url` on this machine says of itself; None where it says none."""
    body = None if engine.version_path is None else local_get(url.rstrip("/") + engine.version_path)
    try:
        return None if body is None else engine.version_in(json.loads(body))
    except ValueError:
        return None


def free_port(*, first: int | None = None) -> int:
    """A port of loopback on which nobody listens now: `first` if it is free, else any."""
    for port in (0,) if first is None else (first, 0):
        with socket.socket() as probe:
            # what is left of closed connections keeps no server away
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise RunFailedError("no port of 127.0.0.1 is free")
