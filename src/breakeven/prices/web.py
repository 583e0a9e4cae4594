"""One answer over HTTP, with a limit on time and on size, from the host that was asked and from no other."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import IO, Final, NamedTuple, cast
from urllib.parse import urlsplit

from breakeven import __version__
from breakeven.clock import now_s
from breakeven.errors import RunFailedError, one_line

CHUNK_BYTES: Final = 64 * 1024
_MOST_SAID_BYTES: Final = 1 << 20
"""With a status of no success."""


class StatusError(RunFailedError):
    """The answer was a status that is none of success."""

    def __init__(self, code: int, reason: str, body: bytes, retry_after: str | None) -> None:
        super().__init__(f"HTTP {code} {one_line(reason, limit=100)}")
        self.code = code
        self.body = body
        self.retry_after = retry_after
        """The header, as it came."""


class TooLargeError(RunFailedError):
    """The answer has more bytes than were allowed."""


class Answer(NamedTuple):
    """What came back."""

    body: bytes
    headers: Mapping[str, str]
    """Whatever the case of the name that is asked for."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to the same scheme and host: prices are believed by where they are from."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        asked, told = urlsplit(req.full_url), urlsplit(newurl)
        if (asked.scheme, asked.netloc) != (told.scheme, told.netloc):
            raise RunFailedError(f"sent elsewhere, to {told.scheme}://{one_line(told.netloc, limit=80)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def get(url: str, *, timeout_s: float, most_bytes: int) -> bytes:
    """The body of a GET; RunFailedError says why there is none. `timeout_s` is for all of it, however it trickles."""
    return ask(url, timeout_s=timeout_s, most_bytes=most_bytes).body


def ask(
    url: str,
    *,
    timeout_s: float,
    most_bytes: int,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """The answer; StatusError for a status of no success, else RunFailedError says why there is none."""
    until_s = now_s() + timeout_s
    opener = urllib.request.build_opener(_SameHost)
    told = {"User-Agent": f"breakeven/{__version__}", **(headers or {})}
    try:
        asked = urllib.request.Request(url, headers=told, data=body, method=method)
        with opener.open(asked, timeout=timeout_s) as answer:
            body = _body(answer, until_s=until_s, most_bytes=most_bytes, timeout_s=timeout_s)
            return Answer(body, cast("Mapping[str, str]", answer.headers))
    except urllib.error.HTTPError as error:
        said = _said(error, until_s=until_s)
        raise StatusError(error.code, error.reason, said, error.headers.get("Retry-After")) from None
    except TimeoutError:
        raise RunFailedError(f"no answer within {timeout_s:g} s") from None
    except urllib.error.URLError as error:
        raise RunFailedError(_why(error, timeout_s=timeout_s)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RunFailedError(one_line(f"{type(error).__name__}: {error}", limit=120)) from None


def _said(error: urllib.error.HTTPError, *, until_s: float) -> bytes:
    """What came with a status of no success; nothing where it is not whole in time."""
    answer = cast("http.client.HTTPResponse", error.fp)
    try:
        return _body(answer, until_s=until_s, most_bytes=_MOST_SAID_BYTES, timeout_s=0.0)
    except (OSError, http.client.HTTPException, RunFailedError):
        return b""


def _why(error: urllib.error.URLError, *, timeout_s: float) -> str:
    if isinstance(error.reason, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return one_line(str(error.reason), limit=120)


def _body(answer: http.client.HTTPResponse, *, until_s: float, most_bytes: int, timeout_s: float) -> bytes:
    parts: list[bytes] = []
    left = most_bytes
    while part := answer.read1(CHUNK_BYTES):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise TooLargeError(f"larger than {most_bytes >> 20} MiB")
        if now_s() > until_s:
            raise RunFailedError(f"not whole within {timeout_s:g} s")
    body = b"".join(parts)
    promised = answer.headers.get("Content-Length")
    if promised is not None and promised != str(len(body)):
        raise RunFailedError(f"cut after {len(body)} bytes")
    return body
