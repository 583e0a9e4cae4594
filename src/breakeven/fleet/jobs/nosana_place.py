"""Nosana's deployments over HTTP: each try is one, and its name finds it again.

`NOSANA_API_KEY` is sent with each request and kept nowhere; `NOSANA_API_URL` names another base. Paths, states and
reasons are those of the public sources of nosana-ci (deployment-manager and cli, 2026-08) and of @nosana/api 2.1.8.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from breakeven.clock import wall_now
from breakeven.errors import LONGEST_NAME, RunFailedError, UsageError, one_line
from breakeven.fleet.job import Outcome
from breakeven.fleet.jobs.api import Api, check_closed, said
from breakeven.fleet.jobs.nosana import BENCHMARK, RESULT, Nosana
from breakeven.fleet.jobs.place import NotNowError, Seen, UnreadableError
from breakeven.fleet.jobs.task import Task
from breakeven.fleet.result import MARK
from breakeven.prices.web import StatusError, TooLargeError

API: Final = "https://api.nosana.com/api"
API_VARIABLE: Final = "NOSANA_API_URL"
KEY_VARIABLE: Final = "NOSANA_API_KEY"
_STOPS: Final = frozenset({"RUNNING", "ERROR", "INSUFFICIENT_FUNDS"})
"""States that can be stopped."""
_STOPPED: Final = frozenset({"STOPPING", "STOPPED", "ARCHIVED"})
_RESULT_LATE_S: Final = 120.0
"""How long after its end a job's result may come."""
_NOT_STARTED: Final = frozenset({"image-pull-error", "resource-error", "container-runtime-error"})
"""What a node tells of an image or a volume that it could not get."""
_DIAGNOSED: Final[tuple[tuple[str, Outcome, str], ...]] = (
    ("jobExpired", "timed_out", "it ran into its time limit"),
    ("jobStopped", "failed", "stopped"),
    ("hostShutDown", "lost", "its node shut down"),
)


T = TypeVar("T")


class _Deployment(Struct, frozen=True):
    id: str
    status: str
    name: str | None = None


class _Deployments(Struct, frozen=True):
    deployments: list[_Deployment]


class _Job(Struct, frozen=True):
    job: str
    state: str
    node: str | None = None


class _Jobs(Struct, frozen=True):
    jobs: list[_Job]


class _Events(Struct, frozen=True):
    events: list[dict[str, Any]]


class _Ended(Struct, frozen=True, rename="camel"):
    """A job that has ended; what its node said of it is read apart."""

    node: str | None = None
    time_end: float | None = None
    job_result: msgspec.Raw = msgspec.Raw(b"null")


class _Log(Struct, frozen=True):
    type: str | None = None
    log: str | None = None


class _Op(Struct, frozen=True, rename="camel"):
    operation_id: str | None = None
    status: str | None = None
    exit_code: int | None = None
    error: dict[str, Any] | None = None
    diagnostics: dict[str, Any] | None = None
    logs: list[_Log] | None = None
    results: dict[str, Any] | None = None


class _Flow(Struct, frozen=True, rename="camel"):
    """A node's word."""

    status: str | None = None
    errors: list[Any] | None = None
    op_states: list[_Op] | None = None


class NosanaPlace:
    """Deployments of the account whose key is in the environment."""

    poll_s: ClassVar[float] = 15.0
    holds_on: ClassVar[bool] = False

    def __init__(self, _folder: Path) -> None:
        base = os.environ.get(API_VARIABLE, API).rstrip("/")
        check_closed(base, variable=API_VARIABLE, what="the key")
        key = os.environ.get(KEY_VARIABLE, "")
        if not key:
            raise UsageError(f"nosana needs an API key of your account in {KEY_VARIABLE}")
        self._api = Api(name="nosana", base=base, headers={"Authorization": f"Bearer {key}"})

    def check(self, task: Task) -> None:
        """UsageError for what Nosana cannot do."""
        Nosana.document(task)

    def submit(self, task: Task, *, name: str) -> str:
        """Create it; where the name is taken already, that one is it."""
        body = Nosana.document(task) | {"name": name, "idempotency_key": name}
        try:
            made = self._api.ask("POST", "deployments/create", body)
        except StatusError as error:
            found = self.find(name) if error.code == 409 else None
            if found is None:
                raise _told(error, "the deployment") from None
            return found
        return self._started(self._api.read(made.body, _Deployment))

    def find(self, name: str) -> str | None:
        """The oldest deployment of this name; one that was made and not started is started."""
        found = self._get(f"deployments?name={quote(name)}&sort_order=asc&limit=10", _Deployments).deployments
        mine = next((one for one in found if one.name == name), None)
        return None if mine is None else self._started(mine)

    def _started(self, deployment: _Deployment) -> str:
        if deployment.status == "DRAFT":
            self._api.ask("POST", f"deployments/{quote(deployment.id)}/start", {})
        return deployment.id

    def look(self, remote: str) -> Seen:
        """By its newest job; before there is one, by its own state."""
        path = f"deployments/{quote(remote)}"
        try:
            status = self._get(path, _Deployment).status
        except RunFailedError as error:
            if isinstance(error.__cause__, StatusError) and error.__cause__.code == 404:
                return Seen(outcome="lost", reason="Nosana knows it no more")
            raise
        jobs = self._get(f"{path}/jobs?sort_order=desc&limit=10", _Jobs).jobs
        if not jobs:
            return self._without_job(path, status)
        job = jobs[0]
        if job.state == "QUEUED":
            return Seen(outcome="failed", reason="stopped") if status in _STOPPED else Seen(outcome="waiting")
        if job.state == "RUNNING":
            return Seen(outcome="running", node=_name(job.node))
        ended, flow = self._ended(f"{path}/jobs/{quote(job.job)}")
        return _over(ended, flow, is_stopped=job.state == "STOPPED", node=_name(job.node or ended.node))

    def _ended(self, path: str) -> tuple[_Ended, _Flow | None]:
        """UnreadableError for what its node made too large, or of another form."""
        try:
            ended = self._get(path, _Ended)
        except TooLargeError as error:
            raise UnreadableError(f"what its node told cannot be read: {error}") from None
        return ended, self._api.read(ended.job_result, _Flow | None, wrong=UnreadableError)  # type: ignore[arg-type]

    def _without_job(self, path: str, status: str) -> Seen:
        if status in _STOPPED:
            return Seen(outcome="failed", reason="stopped")
        if status == "INSUFFICIENT_FUNDS":
            return Seen(outcome="waiting", reason="the account has too few credits")
        if status != "ERROR":
            return Seen(outcome="waiting")
        events = self._get(f"{path}/events?sort_order=desc&limit=10", _Events).events
        why = next((str(one["message"]) for one in events if one.get("message")), "Nosana could not list the job")
        return Seen(outcome="no_node", reason=one_line(why))

    def stop(self, remote: str) -> None:
        """Stop the deployment; one that is only starting cannot be yet, so it is asked again."""
        path = f"deployments/{quote(remote)}"
        status = self._get(path, _Deployment).status
        if status in _STOPS:
            self._api.ask("POST", f"{path}/stop", {})
        elif status not in _STOPPED:
            raise NotNowError(f"nosana: {remote} is {status}, and can be stopped only when it runs")

    def _get(self, path: str, kind: type[T]) -> T:
        try:
            answer = self._api.ask("GET", path)
        except StatusError as error:
            raise _told(error, path) from error
        return self._api.read(answer.body, kind)


def _told(error: StatusError, what: str) -> RunFailedError:
    if error.code in (401, 403):
        return RunFailedError(f"nosana does not take the key in {KEY_VARIABLE} ({error})")
    return RunFailedError(f"nosana refused {one_line(what)}: {error}{said(error)}")


def _name(node: str | None) -> str | None:
    return None if node is None else one_line(node, limit=LONGEST_NAME)


def _over(ended: _Ended, flow: _Flow | None, *, is_stopped: bool, node: str | None) -> Seen:
    """A job that has ended, by what its node reported."""
    if flow is None or flow == _Flow():
        if is_stopped:
            return Seen(outcome="failed", reason="stopped", node=node)
        if wall_now().timestamp() - (ended.time_end or 0) < _RESULT_LATE_S:
            return Seen(outcome="running", node=node)
        return Seen(outcome="lost", reason="it ended, and its node told no result", node=node)
    ops = flow.op_states or []
    outcome, reason = _how_it_ended(flow, ops)
    return Seen(outcome=outcome, reason=reason, node=node, output="".join(_output(ops)))


def _how_it_ended(flow: _Flow, ops: Sequence[_Op]) -> tuple[Outcome, str | None]:
    for op in ops:
        error = op.error or {}
        if str(error.get("event")) in _NOT_STARTED:
            return "image_failed", one_line(f"{op.operation_id}: {error.get('message')}")
    reasons = [(op.diagnostics or {}).get("reason") for op in ops]
    for name, outcome, why in _DIAGNOSED:
        if any(isinstance(reason, dict) and reason.get(name) for reason in reasons):
            return outcome, why
    benchmark = next((op for op in ops if op.operation_id == BENCHMARK), _Op())
    if benchmark.status == "success":
        return "done", None
    if benchmark.exit_code:
        return "failed", f"exit code {benchmark.exit_code}"
    errors = [one_line(json.dumps(error)) for error in flow.errors or ()]
    return "failed", next(iter(errors), f"its node says: {one_line(str(flow.status), limit=60)}")


def _output(ops: Sequence[_Op]) -> Iterator[str]:
    """What the benchmark wrote, and what Nosana found in it by the definition's expression."""
    for op in ops:
        if op.operation_id == BENCHMARK:
            yield from (log.log or "" for log in op.logs or () if log.type == "stdout")
            found: object = (op.results or {}).get(RESULT)
            yield from (f"\n{MARK} {one}\n" for one in (found if isinstance(found, list) else [found]) if one)
