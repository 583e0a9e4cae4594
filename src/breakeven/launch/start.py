"""Starts the engine of a plan, as a process or in a container, and says beforehand with which words."""

import shlex
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from breakeven.engine.detect import adapter
from breakeven.errors import UsageError
from breakeven.hidden import is_secret_name
from breakeven.launch.cards import gpus_of, variable
from breakeven.launch.docker import begin_in_docker, docker_line, find_image, image_of
from breakeven.launch.engines import begin_engine, command_line, free_ports
from breakeven.launch.launched import Begun, Launched, replica_log, replica_name, start_all
from breakeven.serving import Launch


class Line(NamedTuple):
    """What starts one engine."""

    words: list[str]
    env: dict[str, str]
    """Variables that it gets on top of ours; a container's stand in its command line."""

    @property
    def text(self) -> str:
        """As one would type it; `$NAME` stays a variable."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        return " ".join([*variables, *(f'"{word}"' if "$" in word else shlex.quote(word) for word in self.words)])


def start(
    name: str,
    model: str,
    *,
    launch: Launch,
    log_path: Path,
    environment: Mapping[str, str],
    on_wait: Callable[[float, str], None] | None = None,
) -> Launched:
    """Start engine `name` with `model`, or as many as `replicas` says, and wait until all serve.

    `$NAME` in model, command, mounts and values of `env` is filled in from `environment`; UsageError where it is not
    set. A port is the engine's own or one behind it where that is free, else any. RunFailedError, with the end of its
    log, if one does not come up.
    """
    model, launch = filled(model, environment), filled_launch(launch, environment)
    engine, settings = adapter(name), launch.settings
    count = settings.replicas or 1
    gpus = gpus_of(engine, launch, environment=environment)
    image = None
    if launch.via == "docker":
        _check_passed(launch, environment)
        image = find_image(image_of(engine, launch), log_path=log_path)
    ports = free_ports(count, first=engine.default_port)

    def begin(number: int) -> Begun:
        mine = None if gpus is None else gpus[number - 1]
        one: dict[str, Any] = {
            "name": replica_name(name, number, of=count),
            "port": ports[number - 1],
            "log_path": replica_log(log_path, number),
            "gpus": mine,
        }
        if image is not None:
            return begin_in_docker(engine, model, launch=launch, image=image, **one)
        env = _env(launch, mine, environment=environment)
        return begin_engine(engine, model, settings=settings, command=launch.command, env=env, **one)

    return start_all(count, begin, timeout_s=launch.start_timeout_s, on_wait=on_wait, routing=settings.routing)


def start_lines(name: str, model: str, *, launch: Launch, environment: Mapping[str, str]) -> list[Line]:
    """The exact command line of each engine, from its own port on; `$NAME` and an image's tag stand as they were given.

    UsageError for what cannot be said, or GPUs that `environment` does not show.
    """
    engine = adapter(name)
    gpus = gpus_of(engine, launch, environment=environment) or (None,)
    lines = []
    for port, mine in enumerate(gpus, engine.default_port):
        if launch.via == "docker":
            lines.append(Line(docker_line(engine, model, launch=launch, port=port, gpus=mine), {}))
            continue
        words = command_line(engine, model, port=port, settings=launch.settings, command=launch.command)
        own = engine.environment(port=port, settings=launch.settings)
        lines.append(Line(words, own | _env(launch, mine, environment=environment)))
    return lines


def _env(launch: Launch, gpus: tuple[str, ...] | None, *, environment: Mapping[str, str]) -> dict[str, str]:
    """The plan's variables; of several engines with the GPUs that this one is to see. One alone takes the first."""
    if not gpus or (launch.settings.replicas or 1) == 1:
        return launch.env
    return {**launch.env, variable(launch, environment=environment): ",".join(gpus)}


def filled(text: str, environment: Mapping[str, str]) -> str:
    """`$NAME` and `${NAME}` filled in; `$$` is a dollar sign. Nothing secret: what comes out is stored."""
    template = string.Template(text)
    for name in template.get_identifiers():
        if is_secret_name(name):
            raise UsageError(f"${name} would be stored with the run; let the engine read it from its environment")
        if name not in environment:
            raise UsageError(f"${name}: no such environment variable is set; '{text}' needs it")
    if not template.is_valid():
        raise UsageError(f"'{text}': a $ stands alone; write $NAME for an environment variable, $$ for a dollar sign")
    return template.substitute(environment)


def filled_launch(launch: Launch, environment: Mapping[str, str]) -> Launch:
    """Every text of a launch in which a variable may stand, filled in."""
    command = None if launch.command is None else tuple(filled(word, environment) for word in launch.command)
    return msgspec.structs.replace(
        launch,
        command=command,
        mounts=tuple(filled(mount, environment) for mount in launch.mounts),
        env={name: filled(value, environment) for name, value in launch.env.items()},
    )


def _check_passed(launch: Launch, environment: Mapping[str, str]) -> None:
    for name in launch.pass_env:
        if name not in environment:
            raise UsageError(f"pass_env: {name} is not set; set it, or leave it out of the plan")
