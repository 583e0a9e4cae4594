"""The Ray cluster of `--clients ray:N`."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from breakeven.errors import UsageError


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Be a driver of the cluster while the block runs; one that this process has joined before is left as it is."""
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    with _clean_stdout():
        ray.init(log_to_driver=False, logging_level="ERROR")
        try:
            yield
        finally:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError("--clients ray:N needs Ray: pip install 'breakeven[ray]'") from None
    return ray


@contextlib.contextmanager
def _clean_stdout() -> Iterator[None]:
    """Results go to stdout, and Ray prints there what happens to its workers: let it go to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
