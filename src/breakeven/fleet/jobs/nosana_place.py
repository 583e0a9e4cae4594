"""Nosana's deployments over HTTP: each try is one, and its name finds it again.

`NOSANA_API_KEY` is sent with each request and kept nowhere; `NOSANA_API_URL` names another base. Paths, states and
reasons are those of the public sources of nosana-ci (deployment-manager and cli, 2026-08) and of @nosana/api 2.1.8.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlsplit

from breakeven.clock import wall_now
from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.fleet.job import Outcome
from breakeven.fleet.jobs.nosana import BENCHMARK, RESULT, Nosana
from breakeven.fleet.jobs.parcel import MOST_OUTPUT_BYTES
from breakeven.fleet.jobs.place import ANSWER_S, BUSY, NotNowError, Seen, asked_wait_s
from breakeven.fleet.jobs.task import Task
from breakeven.fleet.result import MARK
from breakeven.prices.web import StatusError, ask

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


class NosanaPlace:
    """Deployments of the account whose key is in the environment."""

    poll_s: ClassVar[float] = 15.0

    def __init__(self, _folder: Path) -> None:
        self._base = os.environ.get(API_VARIABLE, API).rstrip("/")
        at = urlsplit(self._base)
        if at.scheme != "https" and at.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise UsageError(
                f"{API_VARIABLE}: {one_line(self._base)} is no https address; the key would be sent openly"
            )
        self._key = os.environ.get(KEY_VARIABLE, "")
        if not self._key:
            raise UsageError(f"nosana needs an API key of your account in {KEY_VARIABLE}")

    def check(self, task: Task) -> None:
        """UsageError for what Nosana cannot do."""
        Nosana.document(task)

    def submit(self, task: Task, *, name: str) -> str:
        """Create it; where the name is taken already, that one is it."""
        body = Nosana.document(task) | {"name": name, "idempotency_key": name}
        try:
            made = self._ask("POST", "deployments/create", body)
        except StatusError as error:
            found = self.find(name) if error.code == 409 else None
            if found is None:
                raise self._told(error, "the deployment") from None
            return found
        return self._started(made)

    def find(self, name: str) -> str | None:
        """The oldest deployment of this name; one that was made and not started is started."""
        found = self._get(f"deployments?name={quote(name)}&sort_order=asc&limit=10")["deployments"]
        mine = next((one for one in found if one.get("name") == name), None)
        return None if mine is None else self._started(mine)

    def _started(self, deployment: Mapping[str, Any]) -> str:
        remote = str(deployment["id"])
        if deployment.get("status") == "DRAFT":
            self._ask("POST", f"deployments/{quote(remote)}/start", {})
        return remote

    def look(self, remote: str) -> Seen:
        """By its newest job; before there is one, by its own state."""
        path = f"deployments/{quote(remote)}"
        try:
            status = str(self._get(path)["status"])
        except RunFailedError as error:
            if isinstance(error.__cause__, StatusError) and error.__cause__.code == 404:
                return Seen(outcome="lost", reason="Nosana knows it no more")
            raise
        jobs = self._get(f"{path}/jobs?sort_order=desc&limit=10")["jobs"]
        if not jobs:
            return self._without_job(path, status)
        job, node = jobs[0], jobs[0].get("node")
        if job["state"] == "QUEUED":
            return Seen(outcome="failed", reason="stopped") if status in _STOPPED else Seen(outcome="waiting")
        if job["state"] == "RUNNING":
            return Seen(outcome="running", node=node)
        told = self._get(f"{path}/jobs/{quote(str(job['job']))}")
        return _over(told, is_stopped=job["state"] == "STOPPED", node=node or told.get("node"))

    def _without_job(self, path: str, status: str) -> Seen:
        if status in _STOPPED:
            return Seen(outcome="failed", reason="stopped")
        if status == "INSUFFICIENT_FUNDS":
            return Seen(outcome="waiting", reason="the account has too few credits")
        if status != "ERROR":
            return Seen(outcome="waiting")
        events = self._get(f"{path}/events?sort_order=desc&limit=10")["events"]
        why = next((str(one["message"]) for one in events if one.get("message")), "Nosana could not list the job")
        return Seen(outcome="no_node", reason=one_line(why))

    def stop(self, remote: str) -> None:
        """Stop the deployment; one that is only starting cannot be yet, so it is asked again."""
        path = f"deployments/{quote(remote)}"
        status = self._get(path)["status"]
        if status in _STOPS:
            self._ask("POST", f"{path}/stop", {})
        elif status not in _STOPPED:
            raise NotNowError(f"nosana: {remote} is {status}, and can be stopped only when it runs")

    def _get(self, path: str) -> Any:
        try:
            return self._ask("GET", path)
        except StatusError as error:
            raise self._told(error, path) from error

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = ask(
                f"{self._base}/{path}",
                timeout_s=ANSWER_S,
                most_bytes=MOST_OUTPUT_BYTES,
                method=method,
                headers=headers,
                body=data,
            )
            return json.loads(answer)
        except StatusError as error:
            if error.code in BUSY:
                raise NotNowError(f"nosana: {error}{_said(error)}", wait_s=asked_wait_s(error.retry_after)) from error
            raise
        except RunFailedError as error:
            raise NotNowError(f"nosana: {error}") from error
        except ValueError:
            raise NotNowError(f"nosana: {path} was answered by something that is no JSON") from None

    def _told(self, error: StatusError, what: str) -> RunFailedError:
        if error.code in (401, 403):
            return RunFailedError(f"nosana does not take the key in {KEY_VARIABLE} ({error})")
        return RunFailedError(f"nosana refused {one_line(what)}: {error}{_said(error)}")


def _said(error: StatusError) -> str:
    try:
        told = json.loads(error.body)
    except ValueError:
        return ""
    said = (told.get("error") or told.get("message")) if isinstance(told, dict) else told
    return f": {one_line(str(said))}" if said else ""


def _over(told: Mapping[str, Any], *, is_stopped: bool, node: str | None) -> Seen:
    """A job that has ended, by what its node reported."""
    flow = told.get("jobResult")
    if not flow:
        if is_stopped:
            return Seen(outcome="failed", reason="stopped", node=node)
        if wall_now().timestamp() - float(told.get("timeEnd") or 0) < _RESULT_LATE_S:
            return Seen(outcome="running", node=node)
        return Seen(outcome="lost", reason="it ended, and its node told no result", node=node)
    ops = [op for op in flow.get("opStates") or () if isinstance(op, dict)]
    outcome, reason = _how_it_ended(flow, ops)
    return Seen(outcome=outcome, reason=reason, node=node, output="".join(_output(ops)))


def _how_it_ended(flow: Mapping[str, Any], ops: list[dict[str, Any]]) -> tuple[Outcome, str | None]:
    for op in ops:
        error = op.get("error") or {}
        if error.get("event") in _NOT_STARTED:
            return "image_failed", one_line(f"{op.get('operationId')}: {error.get('message')}")
    reasons = [(op.get("diagnostics") or {}).get("reason") or {} for op in ops]
    for name, outcome, why in _DIAGNOSED:
        if any(isinstance(reason, dict) and reason.get(name) for reason in reasons):
            return outcome, why
    benchmark = next((op for op in ops if op.get("operationId") == BENCHMARK), {})
    if benchmark.get("status") == "success":
        return "done", None
    if benchmark.get("exitCode"):
        return "failed", f"exit code {benchmark['exitCode']}"
    errors = [one_line(json.dumps(error)) for error in flow.get("errors") or ()]
    return "failed", next(iter(errors), f"its node says: {one_line(str(flow.get('status')), limit=60)}")


def _output(ops: list[dict[str, Any]]) -> Iterator[str]:
    """What the benchmark wrote, and what Nosana found in it by the definition's expression."""
    for op in ops:
        if op.get("operationId") == BENCHMARK:
            yield from (str(log.get("log") or "") for log in op.get("logs") or () if log.get("type") == "stdout")
            found = (op.get("results") or {}).get(RESULT) or ()
            yield from (f"\n{MARK} {one}\n" for one in ([found] if isinstance(found, str) else found))
