"""A Kubernetes cluster through its own client: each try is a Job, whose name the cluster gives once only.

Cluster, account and namespace are those of the kubeconfig's current context, or of the pod that this runs in.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.fleet.job import Outcome
from breakeven.fleet.jobs.kubernetes import BENCHMARK, Kubernetes
from breakeven.fleet.jobs.parcel import MOST_OUTPUT_BYTES
from breakeven.fleet.jobs.place import ANSWER_S, BUSY, NotNowError, Seen, asked_wait_s
from breakeven.fleet.jobs.task import Task

_EXTRA: Final = "kubernetes needs its client: pip install 'breakeven[kubernetes]'"
_IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CANNOT_START: Final = frozenset(
    {
        *("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
        *("CrashLoopBackOff", "StartError", "ContainerCannotRun"),
    }
)
"""Reasons of a container that does not come up by waiting; the engine's restarts count too."""


class KubernetesPlace:
    """Jobs of one namespace."""

    poll_s: ClassVar[float] = 10.0
    holds_on: ClassVar[bool] = False

    def __init__(self, _folder: Path) -> None:
        try:
            from kubernetes import client, config
        except ImportError:
            raise UsageError(_EXTRA) from None
        try:
            self.namespace = _set_up(config)
        except (config.ConfigException, OSError) as error:
            raise UsageError(
                f"kubernetes: no cluster is set up: {one_line(str(error))} Let KUBECONFIG name your kubeconfig"
            ) from None
        self._jobs, self._pods = client.BatchV1Api(), client.CoreV1Api()

    def check(self, task: Task) -> None:
        """UsageError for what a Job cannot say."""
        Kubernetes.document(task)

    def submit(self, task: Task, *, name: str) -> str:
        """Create the Job; where there is one of the name, that is it."""
        body = Kubernetes.document(task)
        body["metadata"]["name"] = _named(name)
        with _told("the Job", fine=409):
            self._jobs.create_namespaced_job(self.namespace, body, _request_timeout=ANSWER_S)
        return _named(name)

    def find(self, name: str) -> str | None:
        """The Job of this name."""
        return None if self._job(_named(name)) is None else _named(name)

    def look(self, remote: str) -> Seen:
        """By the Job's conditions, and the pod's state where they do not say enough."""
        job, pod = self._job(remote), self._pod(remote)
        if job is None:
            return Seen(outcome="lost", reason="the cluster knows it no more")
        ended = {one.type for one in job.status.conditions or () if one.status == "True"}
        if pod is None:
            is_lost = "Failed" in ended or "Complete" in ended
            return Seen(outcome="lost", reason="its pod is gone") if is_lost else Seen(outcome="waiting")
        node = pod.spec.node_name
        outcome, reason = _how_it_stands(pod)
        if outcome in ("waiting", "running", "image_failed"):
            return Seen(outcome=outcome, reason=reason, node=node)
        return Seen(outcome=outcome, reason=reason, node=node, output=self._log(pod.metadata.name))

    def stop(self, remote: str) -> None:
        """Delete it with its pod."""
        with _told(remote, fine=404):
            self._jobs.delete_namespaced_job(
                remote, self.namespace, propagation_policy="Background", _request_timeout=ANSWER_S
            )

    def _job(self, remote: str) -> Any:
        with _told(remote, fine=404):
            return self._jobs.read_namespaced_job(remote, self.namespace, _request_timeout=ANSWER_S)
        return None

    def _pod(self, remote: str) -> Any:
        """The newest pod of the Job."""
        with _told(f"the pods of {remote}"):
            found = self._pods.list_namespaced_pod(
                self.namespace, label_selector=f"job-name={remote}", _request_timeout=ANSWER_S
            ).items
        return max(found, key=lambda pod: pod.metadata.creation_timestamp, default=None)

    def _log(self, pod: str) -> str:
        with _told(f"the log of {pod}", fine=400):  # 400: its container never started
            answer = self._pods.read_namespaced_pod_log(
                pod,
                self.namespace,
                container=BENCHMARK,
                limit_bytes=MOST_OUTPUT_BYTES,
                _preload_content=False,
                _request_timeout=ANSWER_S,
            )
            return str(answer.data.decode(errors="replace"))
        return ""


def _named(name: str) -> str:
    """A name that also a label and a pod may have."""
    return name.replace(".", "-")


def _set_up(config: Any) -> str:
    """The namespace that is spoken to from now on: a kubeconfig's, or that of the pod that this runs in."""
    if _IN_CLUSTER.exists() and "KUBECONFIG" not in os.environ:
        config.load_incluster_config()
        return _IN_CLUSTER.read_text().strip()
    config.load_kube_config()
    _, context = config.list_kube_config_contexts()
    return str(context["context"].get("namespace") or "default")


@contextlib.contextmanager
def _told(what: str, *, fine: int | None = None) -> Iterator[None]:
    """The client's errors as ours; `fine` is the status that is none."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        said = one_line(f"HTTP {error.status} {error.reason}")
        if error.status == fine:
            return
        if error.status in BUSY or not error.status:
            wait_s = asked_wait_s((error.headers or {}).get("Retry-After"))
            raise NotNowError(f"kubernetes: {said}", wait_s=wait_s) from None
        raise RunFailedError(f"kubernetes refused {what}: {said}{_message(error.body)}") from None
    except HTTPError as error:
        raise NotNowError(f"kubernetes: {one_line(str(error))}") from None


def _message(body: Any) -> str:
    try:
        told = json.loads(body)["message"]
    except (TypeError, ValueError, KeyError):
        return ""
    return f": {one_line(str(told))}"


def _how_it_stands(pod: Any) -> tuple[Outcome, str | None]:
    containers = [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]
    for one in containers:
        state = one.state.waiting or one.state.terminated
        if state is not None and state.reason in _CANNOT_START:
            return "image_failed", one_line(f"{one.name}: {state.reason}: {state.message or one.image}")
    if pod.status.phase in ("Succeeded", "Failed"):
        return _how_it_ended(pod)
    if pod.status.phase == "Unknown":
        return "lost", "its node answers no more"
    if pod.spec.node_name:
        return "running", None
    waits = next((one.message for one in pod.status.conditions or () if one.reason == "Unschedulable"), None)
    return "waiting", None if waits is None else one_line(waits)


def _how_it_ended(pod: Any) -> tuple[Outcome, str | None]:
    if pod.status.reason == "DeadlineExceeded":
        return "timed_out", "it ran into its time limit"
    ended = next((one.state.terminated for one in pod.status.container_statuses or () if one.name == BENCHMARK), None)
    if pod.status.phase == "Succeeded":
        return "done", None
    if pod.status.reason is not None or ended is None:  # Evicted, NodeLost, Terminated, Preempting, …
        return "lost", one_line(f"{pod.status.reason}: {pod.status.message or 'its pod was ended'}")
    return "failed", f"exit code {ended.exit_code}" + (f" ({ended.reason})" if ended.reason != "Error" else "")
