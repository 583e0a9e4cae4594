"""How places are asked that speak JSON over HTTP: an answer of the type that is wanted, or why there is none."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from breakeven.errors import RunFailedError, UsageError, one_line, uncoloured
from breakeven.fleet.jobs.parcel import MOST_OUTPUT_BYTES
from breakeven.fleet.jobs.place import ANSWER_S, BUSY, NotNowError, UnreadableError, asked_wait_s
from breakeven.prices.web import Answer, StatusError, TooLargeError, ask

T = TypeVar("T")
_HERE: Final = ("127.0.0.1", "localhost", "::1")


class Api(Struct, frozen=True, kw_only=True):
    """One server."""

    name: str
    """Of the place, as errors call it."""
    base: str
    headers: Mapping[str, str]

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = ANSWER_S,
        busy: Collection[int] = BUSY,
    ) -> Answer:
        """The answer. NotNowError where there is none now; StatusError and TooLargeError for one that will stay so."""
        try:
            return ask(
                f"{self.base}/{path}",
                timeout_s=timeout_s,
                most_bytes=MOST_OUTPUT_BYTES,
                method=method,
                headers={"Content-Type": "application/json", **self.headers},
                body=None if body is None else json.dumps(body).encode(),
            )
        except StatusError as error:
            if error.code in busy:
                wait_s = asked_wait_s(error.retry_after)
                raise NotNowError(f"{self.name}: {error}{said(error)}", wait_s=wait_s) from error
            raise
        except TooLargeError as error:
            raise TooLargeError(f"{self.name}: its answer is {error}") from None
        except RunFailedError as error:
            raise NotNowError(f"{self.name}: {error}") from error

    def read(self, body: bytes | msgspec.Raw, kind: type[T], *, wrong: type[RunFailedError] = RunFailedError) -> T:
        """A body as what it should be; `wrong` where it is JSON of another form, NotNowError where it is none."""
        try:
            return msgspec.json.decode(body, type=kind)
        except RecursionError:
            raise UnreadableError(f"{self.name}: an answer that is nested too deep") from None
        except msgspec.ValidationError as error:
            raise wrong(f"{self.name}: an answer of an unknown form: {one_line(str(error))}") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NotNowError(f"{self.name}: it answers something that is no JSON") from None


def said(error: StatusError) -> str:
    """What a server says beside a status, after a colon; empty where it says nothing."""
    try:
        told = msgspec.json.decode(error.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    for name in ("message", "error", "detail"):
        told = told.get(name, told) if isinstance(told, dict) else told
    return f": {one_line(uncoloured(str(told)))}" if told else ""


def is_open(base: str) -> bool:
    """What is sent to this address can be read on its way: plain HTTP to another machine."""
    at = urlsplit(base)
    return at.scheme != "https" and at.hostname not in _HERE


def check_closed(base: str, *, variable: str, what: str) -> None:
    """UsageError where `what` would be sent openly to the address in `variable`."""
    if is_open(base):
        raise UsageError(f"{variable}: {one_line(base)} is no https address; {what} would be sent openly")
