"""An engine in a container: its image pinned by digest, its container named, and removed whatever happens to us."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec

from breakeven.clock import now_s
from breakeven.engine.base import OpenAI
from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.launch.cards import VARIABLES
from breakeven.launch.causes import likely_cause
from breakeven.launch.engines import begun
from breakeven.launch.launched import Begun
from breakeven.launch.process import start_process
from breakeven.newfile import new_file
from breakeven.serving import Launch

MODEL_IN_IMAGE: Final = "/model"
_GPUS: Final = "--gpus"
_ASK_S: Final = 20.0
_NOT_HERE: Final = re.compile(rb"no such image|image not known", re.IGNORECASE)
"""How docker and podman say so."""


class _Inspected(msgspec.Struct):
    """What is read of `docker image inspect`, which podman answers with the same names."""

    id: str = msgspec.field(name="Id")
    digests: list[str] | None = msgspec.field(name="RepoDigests", default=None)


class Image(NamedTuple):
    """A container image that lies here."""

    name: str
    """As it was asked for."""
    pinned: str
    """The same by its digest, `name@sha256:…`; by its id where it was never in a registry."""
    pull_s: float | None
    """Time to fetch it; None where it was here."""


def begin_in_docker(
    engine: type[OpenAI],
    model: str,
    *,
    name: str,
    port: int,
    log_path: Path,
    launch: Launch,
    image: Image,
    gpus: tuple[str, ...] | None,
) -> Begun:
    """Start `engine` in a container of `image`; it is ready when it is healthy, and then asked its version.

    The container is removed when the engine is stopped, and by the guard when this process ends in any way.
    """
    container = container_name(engine, port, own=secrets.token_hex(4))
    argv = docker_line(engine, model, launch=launch, port=port, gpus=gpus, image=image.pinned, container=container)
    process = start_process(argv, log_path=log_path, name=name, then=["docker", "rm", "--force", container])
    return begun(
        process,
        engine=engine,
        model=model_in_image(model),
        settings=launch.settings,
        port=port,
        gpus=gpus,
        facts={
            "via": "docker",
            "image": image.name,
            "image_pinned": image.pinned,
            "image_pull_s": image.pull_s,
            "container": container,
        },
    )


def docker_line(
    engine: type[OpenAI],
    model: str,
    *,
    launch: Launch,
    port: int,
    gpus: tuple[str, ...] | None = None,
    image: str | None = None,
    container: str | None = None,
) -> list[str]:
    """The exact command line; `image` None: the one that was asked for, not pinned yet; `container` None: any name.

    `gpus` are those that the container gets of several; a single one has what the engine's words of docker say.
    """
    is_shared = gpus is not None and (launch.settings.replicas or 1) > 1
    hidden = VARIABLES if is_shared else ()  # in the container they are counted anew
    return engine.docker_argv(
        model_in_image(model),
        port=port,
        settings=launch.settings,
        mounts=_mounts(engine, model, launch),
        image=image or launch.image,
        docker_args=_docker_args(engine, launch, gpus if is_shared else None),
        container=container or container_name(engine, port),
        env=[*(f"{key}={value}" for key, value in launch.env.items() if key not in hidden), *launch.pass_env],
    )


def _docker_args(engine: type[OpenAI], launch: Launch, gpus: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The words of `docker run`, where the engine's own say `--gpus all` with these GPUs in their place."""
    if not gpus or launch.docker_args is not None:
        return launch.docker_args
    words = list(engine.docker_args)
    words[words.index(_GPUS) + 1] = f"device={gpus[0]}" if len(gpus) == 1 else f'"device={",".join(gpus)}"'
    return tuple(words)


def container_name(engine: type[OpenAI], port: int, *, own: str = "RUN") -> str:
    """A name that nobody else's container has, since what is removed in the end goes by it; `own` is of this start."""
    return f"breakeven-{engine.name}-{port}-{own}"


def image_of(engine: type[OpenAI], launch: Launch) -> str:
    """The image to run; UsageError where there is none."""
    image = launch.image or engine.image
    if image is None:
        raise UsageError(f"engine '{engine.name}' has no container image; name one, or start it without docker")
    return image


def model_in_image(model: str) -> str:
    """A model that lies here by its path in the container; a name of the hub as it is."""
    path = Path(model).expanduser()
    if not path.exists():
        return model
    return MODEL_IN_IMAGE if path.is_dir() else f"{MODEL_IN_IMAGE}/{path.name}"


def _mounts(engine: type[OpenAI], model: str, launch: Launch) -> list[str]:
    path = Path(model).expanduser()
    if path.exists():
        inside = model_in_image(model)
        return [f"{path.resolve()}:{inside}:ro", *launch.mounts]
    here, there = engine.image_cache
    return [f"{Path(here).expanduser()}:{there}", *launch.mounts]


def find_image(name: str, *, log_path: Path) -> Image:
    """The image by its digest, fetched if it is not here; RunFailedError with docker's own last words."""
    pinned = _pinned(name)
    if pinned is not None:
        return Image(name, pinned, None)
    started_s = now_s()
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(log_path) as log:
        done = _run(["docker", "pull", name], stdout=log, timeout_s=None)
    pinned = _pinned(name) if done.returncode == 0 else None
    if pinned is None:
        raise RunFailedError(_explained(f"docker cannot fetch {name}", done))
    return Image(name, pinned, now_s() - started_s)


def _pinned(name: str) -> str | None:
    """None where the image is not here."""
    done = _run(["docker", "image", "inspect", name])
    if done.returncode != 0:
        if _NOT_HERE.search(done.stderr):
            return None
        raise RunFailedError(_explained(f"docker cannot look for {name}", done))
    try:
        (told,) = msgspec.json.decode(done.stdout, type=list[_Inspected])
    except (msgspec.DecodeError, ValueError):
        raise RunFailedError(
            f"docker gives no digest of {name}: {one_line(done.stdout.decode(errors='replace'))}"
        ) from None
    return _of_repository(name, told.digests or ()) or told.id


def _of_repository(name: str, digests: Sequence[str]) -> str | None:
    """The digest of the repository that was asked for; else the first."""
    if "@" in name:
        return name
    head, colon, tag = name.rpartition(":")
    repository = head if colon and "/" not in tag else name
    return next((one for one in digests if one.partition("@")[0].endswith(repository)), next(iter(digests), None))


def _run(
    words: Sequence[str], *, stdout: int | IO[bytes] = subprocess.PIPE, timeout_s: float | None = _ASK_S
) -> "subprocess.CompletedProcess[bytes]":
    if shutil.which(words[0]) is None:
        raise RunFailedError("docker is not found on PATH: install it, or start the engine with --via process")
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=timeout_s,
            check=False,
            env=os.environ,
        )
    except subprocess.TimeoutExpired:
        raise RunFailedError(f"docker did not answer within {timeout_s:g} s; is its daemon well?") from None


def _explained(what: str, done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = done.stderr.decode(errors="replace").splitlines()
    cause = likely_cause(lines, exit_code=None)
    last = next((one_line(line) for line in reversed(lines) if line.strip()), f"exit code {done.returncode}")
    return f"{what}: {last}" + (f" ({cause})" if cause else "")
