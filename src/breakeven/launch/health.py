"""Asking an engine on this machine whether it serves; nothing of it is measured."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final

_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past any proxy: the environment's is for the world outside, and would be asked for 127.0.0.1 too."""


def local_get(url: str, *, timeout_s: float = 2.0) -> bytes | None:
    """The body of a 200 answer; None for anything else, also where nobody listens."""
    try:
        with _DIRECT.open(url, timeout=timeout_s) as answer:
            body: bytes = answer.read()
            return body if answer.status == 200 else None
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return None


def health_probe(url: str, *, health_path: str | None) -> Callable[[], bool]:
    """A question for `wait_ready`: does the engine at `url` answer 200? None as path: /v1/models is asked."""
    return lambda: local_get(url.rstrip("/") + (health_path or "/v1/models")) is not None
