"""SkyPilot: each try is a cluster of one rented machine with one job, found again by its name.

A cluster is taken down as soon as its job's log is here; where nobody looks, it gives itself back after a while of
idling (skypilot.py).
"""

import os
import re
from pathlib import Path
from typing import Any, ClassVar, Final

from msgspec import Struct

from breakeven.errors import RunFailedError, one_line, uncoloured
from breakeven.fleet.job import Outcome
from breakeven.fleet.jobs.api import check_closed
from breakeven.fleet.jobs.place import Seen, UnreadableError
from breakeven.fleet.jobs.skypilot import SkyPilot
from breakeven.fleet.jobs.skypilot_api import ENDPOINT_VARIABLE, LOG_S, UNDER_WAY, FailedError, Request, SkyPilotApi
from breakeven.fleet.jobs.task import Task
from breakeven.fleet.jobs.yaml import to_yaml
from breakeven.prices.web import TooLargeError

LAUNCH: Final = "sky.launch"
DOWN: Final = "sky.down"
_NO_NODE: Final = frozenset(
    {"ResourcesUnavailableError", "NoCloudAccessError", "ConnectionError", "ConnectTimeout", "ReadTimeout"}
)
"""Errors of a launch after which no machine is there; the last three are of its server's way to the clouds."""
_RESTARTED: Final = "SkyPilot's server was restarted while it was launched"
_LOST: Final = "SkyPilot knows it no more"
_TIMED_OUT: Final = 124
"""Exit code of `timeout`, which each job is under."""
_ENDED: Final[dict[str, tuple[Outcome, str | None]]] = {
    "SUCCEEDED": ("done", None),
    "FAILED": ("failed", "it failed"),
    "FAILED_SETUP": ("image_failed", "breakeven could not be installed in its image"),
    "FAILED_DRIVER": ("lost", "what started it on its machine was killed"),
    "CANCELLED": ("failed", "stopped"),
}
"""States of a job that is over; it is under way in all others."""
_WHOLE: Final = (None, 0, 100, 103)
"""What fetching a log ends with: the job ended well, failed, was cancelled. 255 is a connection that was lost."""
_CODE: Final = re.compile(r"return code list:\s*\[(\d+)")
_OWN: Final = re.compile(r"^\([^()]*pid=\d+[^()]*\) (.*\S)", re.MULTILINE)
"""What the job wrote itself, behind its name."""


class _Job(Struct, frozen=True):
    job_id: int
    status: str


class _Cluster(Struct, frozen=True):
    name: str
    status: str


class SkyPilotPlace:
    """Clusters of the user, at the API server that the environment names."""

    poll_s: ClassVar[float] = 20.0
    holds_on: ClassVar[bool] = True

    def __init__(self, _folder: Path) -> None:
        self._api = SkyPilotApi()
        self._is_there = False

    def check(self, task: Task) -> None:
        """UsageError for what SkyPilot cannot do; RunFailedError where its server is not there."""
        if _with_keys(SkyPilot.document(task)).get("secrets"):
            check_closed(self._api.base, variable=ENDPOINT_VARIABLE, what="keys of the environment")
        if not self._is_there:
            self._api.check()
            self._is_there = True

    def submit(self, task: Task, *, name: str) -> str:
        """Have its cluster launched; how that went is looked for."""
        document = _with_keys(SkyPilot.document(task))
        self._api.post("launch", {"task": to_yaml(document), "cluster_name": name})
        return name

    def find(self, name: str) -> str | None:
        """A cluster of this name, or a request that it be launched."""
        is_asked = any(one.name == LAUNCH for one in self._api.requests(name))
        return name if is_asked or self._clusters(name) else None

    def look(self, remote: str) -> Seen:
        """By the newest request for its cluster; once that is launched, by its job."""
        asked = [one for one in self._api.requests(remote) if one.name in (LAUNCH, DOWN)]
        if not asked:
            return self._of_job(remote)
        newest = asked[0]
        if newest.status in UNDER_WAY:
            why = one_line(uncoloured(newest.status_msg)) if newest.status_msg else None
            return Seen(outcome="waiting" if newest.name == LAUNCH else "running", reason=why)
        if newest.name == DOWN:
            return self._taken_down(newest, remote)
        if newest.should_retry:
            return Seen(outcome="lost", reason=_RESTARTED)
        if newest.status == "CANCELLED":
            return Seen(outcome="failed", reason="stopped")
        return self._of_job(remote) if newest.status == "SUCCEEDED" else self._not_launched(newest)

    def _not_launched(self, launch: Request) -> Seen:
        try:
            self._api.result(launch.request_id, object)
        except FailedError as error:
            if error.kind in _NO_NODE:
                return Seen(outcome="no_node", reason=error.message)
            if error.kind == "RequestInterruptedError":
                return Seen(outcome="lost", reason=_RESTARTED)
            return Seen(outcome="failed", reason=f"{error.kind}: {error.message}")
        return Seen(outcome="failed", reason="SkyPilot did not launch it, and says no reason")

    def _taken_down(self, down: Request, remote: str) -> Seen:
        if down.status == "FAILED" and self._clusters(remote):
            raise RunFailedError(f"skypilot could not take {remote} down: take it down by `sky down {remote}`")
        return Seen(outcome="failed", reason="stopped")

    def _of_job(self, remote: str) -> Seen:
        try:
            jobs = self._api.ask("queue", {"cluster_name": remote, "all_users": True}, list[_Job])
            if not jobs:
                return Seen(outcome="lost", reason="its machine has no job")
            job = min(jobs, key=lambda one: one.job_id)
            if job.status not in _ENDED:
                return Seen(outcome="running", node=remote)
            outcome, reason = _ENDED[job.status]
            output = "" if job.status == "CANCELLED" else self._log(remote, job)
        except FailedError as error:
            return self._without_answer(remote, error)
        return _over(outcome, reason, output=output, node=remote)

    def _without_answer(self, remote: str, error: FailedError) -> Seen:
        """Its machine does not say how it stands: whether it still is there is asked of its cloud."""
        if error.kind == "ClusterDoesNotExist":
            return Seen(outcome="lost", reason=_LOST)
        found = self._clusters(remote, refresh="FORCE")
        if any(one.status == "UP" for one in found):
            return Seen(outcome="running", reason=error.message, node=remote)
        states = ", ".join(one.status for one in found) or "gone"
        return Seen(outcome="lost", reason=f"its machine is {one_line(states)}: {error.message}", node=remote)

    def _log(self, remote: str, job: _Job) -> str:
        """All of it, which holds the result; FailedError where it was not whole."""
        told = {"cluster_name": remote, "job_id": job.job_id, "follow": False}
        try:
            request, answer = self._api.post("logs", told, timeout_s=LOG_S)
        except TooLargeError as error:
            raise UnreadableError(f"its log cannot be read: {error}") from None
        code = self._api.result(request, object)
        if code not in _WHOLE:
            raise FailedError("LogsError", f"its log broke off with code {code}")
        return answer.body.decode(errors="replace")

    def stop(self, remote: str) -> None:
        """End what launches it, and have its cluster taken down, once; that takes minutes and is not waited for."""
        asked = self._api.requests(remote)
        launches = [one.request_id for one in asked if one.name == LAUNCH and one.status in UNDER_WAY]
        if launches:
            self._api.ask("api/cancel", {"request_ids": launches}, object)
        if launches or not (asked and asked[0].name == DOWN and asked[0].status != "FAILED"):
            self._api.post("down", {"cluster_name": remote})

    def _clusters(self, name: str, *, refresh: str = "NONE") -> list[_Cluster]:
        told = {"cluster_names": [name], "refresh": refresh, "include_credentials": False, "summary_response": True}
        return [one for one in self._api.ask("status", told, list[_Cluster]) if one.name == name]


def _with_keys(document: dict[str, Any]) -> dict[str, Any]:
    """With the keys that the environment has: `sky launch` takes them by name, the server by value."""
    keys = {name: os.environ[name] for name in document.get("secrets", ()) if os.environ.get(name)}
    plain = {name: value for name, value in document.items() if name != "secrets"}
    return plain | {"secrets": keys} if keys else plain


def _over(outcome: Outcome, reason: str | None, *, output: str, node: str) -> Seen:
    """A job that has ended, by its state and its log."""
    if outcome == "failed" and output:
        plain = uncoloured(output)
        codes, own = _CODE.findall(plain), _OWN.findall(plain)
        last = f": {one_line(own[-1])}" if own else ""
        if codes and int(codes[-1]) == _TIMED_OUT:
            outcome, reason = "timed_out", "it ran into its time limit"
        else:
            reason = f"exit code {codes[-1]}{last}" if codes else f"{reason}{last}"
    return Seen(outcome=outcome, reason=reason, output=output, node=node)
