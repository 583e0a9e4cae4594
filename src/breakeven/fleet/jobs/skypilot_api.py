"""SkyPilot's API server over HTTP: a request is scheduled there, and its outcome is asked for by the request's name.

Its protocol has a version of its own, in a header of every question and answer. A server serves those of the minor
releases before its own; bodies change by further fields with defaults only. Ours is that of 0.14.1, whose errors and
results are JSON beside the pickles, which are not read.
"""

import base64
import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from breakeven.errors import RunFailedError, UsageError, one_line, uncoloured
from breakeven.fleet.jobs.api import Api, check_closed, said
from breakeven.fleet.jobs.place import ANSWER_S, BUSY, NotNowError
from breakeven.prices.web import Answer, StatusError

HERE: Final = "http://127.0.0.1:46580"
"""Where `sky api start` starts one."""
ENDPOINT_VARIABLE: Final = "SKYPILOT_API_SERVER_ENDPOINT"
TOKEN_VARIABLE: Final = "SKYPILOT_SERVICE_ACCOUNT_TOKEN"  # noqa: S105  (a name of a variable)
RELEASE: Final = "0.14.1"
VERSION: Final = 62
OLDEST: Final = 24
"""The oldest server that a client of RELEASE speaks to."""
HEALTH_S: Final = 5.0
LOG_S: Final = 900.0
"""For a job's whole log, which the server fetches from the rented machine first."""
UNDER_WAY: Final = frozenset({"PENDING", "WAITING", "RUNNING"})
"""States of a request that is not over."""
_USER_FILE: Final = "~/.sky/user_hash"

T = TypeVar("T")


class FailedError(RunFailedError):
    """A request that the server took and could not do; `kind` is the name of SkyPilot's exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"skypilot: {kind}: {one_line(uncoloured(message))}")
        self.kind = kind
        self.message = one_line(uncoloured(message))


class Request(Struct, frozen=True):
    """One that the server has scheduled, as it lists them."""

    request_id: str
    name: str
    status: str
    created_at: float = 0.0
    cluster_name: str | None = None
    status_msg: str | None = None
    should_retry: bool | None = False


class _Finished(Struct, frozen=True):
    """What is said of a request that is over; `return_value` and `error` are JSON in a text."""

    status: str
    return_value: str | None = None
    error: str | None = None


class _Refused(Struct, frozen=True):
    detail: _Finished


class _Error(Struct, frozen=True):
    type: str
    message: str = ""


class _Health(Struct, frozen=True):
    status: str = ""
    version: str = ""
    api_version: str | int | None = None


class SkyPilotApi:
    """The server that the environment names, asked as its user."""

    def __init__(self) -> None:
        asked = os.environ.get(ENDPOINT_VARIABLE) or HERE
        self.base, headers = _login(asked.rstrip("/"))
        if token := os.environ.get(TOKEN_VARIABLE):
            headers["Authorization"] = f"Bearer {token}"
        if "Authorization" in headers:
            check_closed(self.base, variable=ENDPOINT_VARIABLE, what="the key")
        headers |= {"X-SkyPilot-API-Version": str(VERSION), "X-SkyPilot-Version": RELEASE}
        self._api = Api(name="skypilot", base=self.base, headers=headers)
        self._user = _user()

    def check(self) -> None:
        """RunFailedError where no server is there, or one that is too old for what we say."""
        try:
            told = self._api.read(self._asked("GET", "api/health", timeout_s=HEALTH_S).body, _Health)
        except NotNowError as error:
            raise RunFailedError(
                f"no API server of SkyPilot answers at {self.base} ({error}); `sky api start` starts one here,"
                f" {ENDPOINT_VARIABLE} names another"
            ) from None
        version = str(told.api_version or "")
        if version.isdecimal() and int(version) < OLDEST:
            raise UsageError(
                f"{self.base}: this SkyPilot ({one_line(told.version, limit=40)}) is too old; {RELEASE} is spoken here"
            )

    def post(self, path: str, body: Mapping[str, Any], *, timeout_s: float = ANSWER_S) -> tuple[str, Answer]:
        """Have something done: the request's name, and what was answered at once."""
        answer = self._asked("POST", path, {**body, "env_vars": self._user}, timeout_s=timeout_s)
        request = answer.headers.get("X-Skypilot-Request-ID") or answer.headers.get("X-Request-ID")
        if not request:
            raise RunFailedError(f"skypilot: {path} was answered without the request's name")
        return request, answer

    def result(self, request: str, kind: type[T]) -> T:
        """What a request came to, waited for; FailedError where it failed there, NotNowError where it takes long."""
        path = f"api/get?request_id={quote(request)}"
        try:
            told = self._api.read(self._asked("GET", path, fails=True).body, _Finished)
        except StatusError as error:
            raise self._failed(error) from None
        if told.status == "CANCELLED":
            raise FailedError("RequestCancelled", "it was cancelled")
        return self._api.read((told.return_value or "null").encode(), kind)

    def ask(self, path: str, body: Mapping[str, Any], kind: type[T]) -> T:
        """Have something done, and wait for what it comes to."""
        request, _ = self.post(path, body)
        return self.result(request, kind)

    def requests(self, cluster: str) -> list[Request]:
        """All requests of the last day for this cluster, the newest first."""
        path = f"api/status?all_status=true&cluster_name={quote(cluster)}"
        found = self._api.read(self._asked("GET", path).body, list[Request])
        mine = [one for one in found if one.cluster_name == cluster]
        return sorted(mine, key=lambda one: one.created_at, reverse=True)

    def _failed(self, error: StatusError) -> RunFailedError:
        """A request's own error comes with HTTP 500, as one of the server does."""
        try:
            told = msgspec.json.decode(error.body, type=_Refused).detail
            why = msgspec.json.decode(told.error or "", type=_Error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return NotNowError(f"skypilot: {error}")
        return FailedError(one_line(why.type, limit=80), why.message)

    def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = ANSWER_S,
        fails: bool = False,
    ) -> Answer:
        try:
            return self._api.ask(method, path, body, timeout_s=timeout_s, busy=BUSY - {500} if fails else BUSY)
        except StatusError as error:
            if error.code == 500 and fails:
                raise
            raise _told(error, path.partition("?")[0]) from error


def _told(error: StatusError, what: str) -> RunFailedError:
    if error.code in (401, 403):
        return RunFailedError(
            f"skypilot does not take who asks ({error}); log in by a token in {TOKEN_VARIABLE}, or by a name and a"
            f" password in {ENDPOINT_VARIABLE}"
        )
    return RunFailedError(f"skypilot refused {what}: {error}{said(error)}")


def _login(endpoint: str) -> tuple[str, dict[str, str]]:
    """The address without the name and password that stand in it, and the header that says them."""
    at = urlsplit(endpoint)
    if at.scheme not in ("http", "https") or not at.hostname:
        raise UsageError(f"{ENDPOINT_VARIABLE}: {one_line(endpoint, limit=80)} is no http address")
    if at.username is None:
        return endpoint, {}
    told = f"{unquote(at.username)}:{unquote(at.password or '')}"
    plain = urlunsplit(at._replace(netloc=at.netloc.rpartition("@")[2]))
    return plain, {"Authorization": f"Basic {base64.b64encode(told.encode()).decode()}"}


def _user() -> dict[str, str]:
    """Whose clusters they are: the one that `sky` on this machine is, so that `sky status` shows them."""
    name = os.environ.get("USER") or str(os.getuid())
    try:
        own = Path(_USER_FILE).expanduser().read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        own = ""
    made = hashlib.sha256(f"{name}@{platform.node()}".encode()).hexdigest()[:8]
    return {"SKYPILOT_USER_ID": os.environ.get("SKYPILOT_USER_ID") or own or made, "SKYPILOT_USER": name}
