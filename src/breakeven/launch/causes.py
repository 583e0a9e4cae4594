"""Why an engine did not start: from the last lines of its log to one clear sentence."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple


class Cause(NamedTuple):
    """What a log says, and what it means."""

    seen: str
    """Regular expression, looked for in the log without regard to case."""
    text: str
    """What is wrong; and what to do."""
    is_passing: bool = False
    """It is not of the engine or its settings, and may be gone later."""


CAUSES: Final = (
    Cause(
        r"cannot connect to the docker daemon|permission denied while trying to connect to the docker",
        "docker: its daemon does not answer to you: start it, or join the group that may use it, or use --via process",
        is_passing=True,
    ),
    Cause(
        r"container name .{0,80}is already in use",
        "a container of that name is still there: remove it with docker rm -f",
        is_passing=True,
    ),
    Cause(
        r"pull access denied|manifest unknown|manifest for .{0,200} not found|repository does not exist",
        "the container image is not found, or not yours to pull: look at its name and tag, or log in",
    ),
    Cause(
        r"torch not compiled with cuda|no cuda gpus are available|found no nvidia driver|failed to infer device type"
        r"|no cuda-capable device|cuda is not available|libcuda\.so.{0,80}cannot open|could not select device driver",
        "no CUDA: the engine finds no NVIDIA GPU or driver; start it where there is one, or take an engine for the CPU",
    ),
    Cause(
        r"gated repo|access to model .{0,120} is restricted|you are trying to access a gated|401 client error"
        r"|cannot access gated",
        "the model is gated: accept its licence on its hub, and put a token into the variable that the engine reads "
        "(HF_TOKEN)",
    ),
    Cause(
        r"cuda out of memory|out of memory|outofmemory|no available memory for the cache blocks|std::bad_alloc"
        r"|cannot allocate memory|less than desired gpu memory|failed to allocate|larger than the available kv cache",
        "out of memory: take a smaller model, a shorter context or a smaller batch, or end what else uses the memory",
    ),
    Cause(
        r"address already in use|couldn't bind|bind.{0,40}failed|eaddrinuse|port .{0,20}(already )?in use",
        "the port is in use: end what listens there, or give another port",
        is_passing=True,
    ),
    Cause(
        r"repository not found|is not a valid model identifier|is not a local folder|no such file or directory.{0,200}"
        r"(config\.json|gguf)|failed to open gguf|invalid magic characters|failed to load model|no such model",
        "the model is not found or not readable: look at its name or path",
    ),
    Cause(
        r"no space left on device",
        "the disk (or /dev/shm) is full: make room; in a container give --ipc=host or a larger --shm-size",
        is_passing=True,
    ),
    Cause(
        r"max retries exceeded|name resolution|couldn't connect to|connection error.{0,80}hub|offline mode is enabled",
        "the network: the engine could not reach the model's hub; fetch the model before, or give a local path",
        is_passing=True,
    ),
    Cause(
        r"unrecognized arguments|invalid choice|no such option|unexpected argument|unknown flag",
        "the engine does not know one of its options: is this its expected version?",
    ),
)


def told_cause(log: Sequence[str]) -> Cause | None:
    """The first cause of CAUSES that the log tells."""
    text = "\n".join(log)
    return next((cause for cause in CAUSES if re.search(cause.seen, text, re.IGNORECASE)), None)


def likely_cause(log: Sequence[str], *, exit_code: int | None) -> str | None:
    """The first cause of CAUSES that the log tells; by the exit code else; None where nothing is known."""
    cause = told_cause(log)
    if cause is not None:
        return cause.text
    if exit_code == 127:
        return "the command is not found: install the engine, or give its full path"
    if exit_code in (137, -9):
        return "killed from outside, most often by the system for want of memory"
    if exit_code in (132, -4):
        return "an illegal instruction: the engine was built for another processor"
    return None
