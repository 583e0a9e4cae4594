"""Any engine of ENGINES that this machine has installed, started by its own command line."""

import contextlib
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from breakeven.engine.base import EngineSettings, OpenAI
from breakeven.errors import RunFailedError, UsageError
from breakeven.launch.health import health_probe, local_get
from breakeven.launch.launched import Begun, Launched
from breakeven.launch.process import EngineProcess, start_process

PORT: Final = "{port}"
MODEL: Final = "{model}"


def begin_engine(
    engine: type[OpenAI],
    model: str,
    *,
    name: str,
    port: int,
    log_path: Path,
    settings: EngineSettings,
    gpus: tuple[str, ...] | None,
    command: Sequence[str] | None,
    env: Mapping[str, str],
) -> Begun:
    """Start `engine` with `model` on `port`; it is ready when it is healthy, and then asked its version.

    `command` stands in for the engine's own (see `command_line`), `env` is added to our environment. UsageError for a
    setting that the engine cannot say.
    """
    argv = command_line(engine, model, port=port, settings=settings, command=command)
    all_env = {**engine.environment(port=port, settings=settings), **env}
    process = start_process(argv, log_path=log_path, env=all_env, name=name)
    return begun(process, engine=engine, model=model, settings=settings, port=port, gpus=gpus)


def begun(
    process: EngineProcess,
    *,
    engine: type[OpenAI],
    model: str,
    settings: EngineSettings,
    port: int,
    gpus: tuple[str, ...] | None,
    facts: Mapping[str, Any] | None = None,
) -> Begun:
    """A started engine that is waited for, and what it will turn out to be."""
    url = f"http://127.0.0.1:{port}"

    def launched(start_s: float) -> Launched:
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
            gpus=gpus,
            facts=facts or {},
        )

    return Begun(process, health_probe(url, health_path=engine.health_path), launched)


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
        if msgspec.structs.replace(settings, served_name=None, replicas=None, routing=None) != EngineSettings():
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
    (found,) = free_ports(1, first=first)
    return found


def free_ports(count: int, *, first: int | None = None) -> list[int]:
    """So many ports of loopback, none twice: `first` and those behind it that are free, else any."""
    with contextlib.ExitStack() as held:
        return [_held_port(None if first is None else first + number, held) for number in range(count)]


def _held_port(first: int | None, held: contextlib.ExitStack) -> int:
    for port in (0,) if first is None else (first, 0):
        probe = held.enter_context(socket.socket())
        # what is left of closed connections keeps no server away
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        found: int = probe.getsockname()[1]
        return found
    raise RunFailedError("no port of 127.0.0.1 is free")
