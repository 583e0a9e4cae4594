"""Starts the engine of a plan, as a process or in a container, and says beforehand with which words."""

import string
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from breakeven.engine.detect import adapter
from breakeven.errors import UsageError
from breakeven.hidden import is_secret_name
from breakeven.launch.docker import docker_line, start_in_docker
from breakeven.launch.embedded import Launched
from breakeven.launch.engines import command_line, start_engine
from breakeven.serving import Launch


def start(
    name: str,
    model: str,
    *,
    launch: Launch,
    log_path: Path,
    environment: Mapping[str, str],
    on_wait: Callable[[float, str], None] | None = None,
) -> Launched:
    """Start engine `name` with `model` and wait until it serves.

    `$NAME` in model, command, mounts and values of `env` is filled in from `environment`; UsageError where it is not
    set.
    """
    model, launch = filled(model, environment), filled_launch(launch, environment)
    if launch.via == "docker":
        _check_passed(launch, environment)
        return start_in_docker(name, model, launch=launch, log_path=log_path, on_wait=on_wait)
    return start_engine(
        name,
        model,
        log_path=log_path,
        settings=launch.settings,
        command=launch.command,
        env=launch.env,
        timeout_s=launch.start_timeout_s,
        on_wait=on_wait,
    )


def start_words(name: str, model: str, *, launch: Launch) -> list[str]:
    """The exact command line on the engine's own port; `$NAME` and an image's tag stand as they were given."""
    engine = adapter(name)
    if launch.via == "docker":
        return docker_line(engine, model, launch=launch, port=engine.default_port)
    return command_line(engine, model, port=engine.default_port, settings=launch.settings, command=launch.command)


def start_environment(name: str, *, launch: Launch) -> dict[str, str]:
    """The variables that a process gets on top of ours; a container's stand in its command line."""
    engine = adapter(name)
    if launch.via == "docker":
        return {}
    return {**engine.environment(port=engine.default_port, settings=launch.settings), **launch.env}


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
