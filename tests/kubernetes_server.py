"""An API server that behaves as Kubernetes does towards who creates Jobs, with nodes that do the benchmark."""

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes import client
from pydantic import ValidationError

from grid_server import Answer, Grid

JOBS, PODS = "/apis/batch/v1/namespaces/bench/jobs", "/api/v1/namespaces/bench/pods"
NOW = "2026-11-29T12:00:00Z"
GONE = ("evicted", "node lost", "pod gone")
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "{url}"}}}}]
users: [{{name: me, user: {{token: "{token}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: me, namespace: bench}}}}]
"""


class KubernetesServer(Grid):
    """`how` says what becomes of pods; `by_name` overrules it for the Jobs whose name ends so."""

    node = ""
    create = JOBS
    looks = (f"{JOBS}/[^/]+", PODS, f"{PODS}/.*/log")
    second = "{}-2"

    def __init__(self, starts: Path) -> None:
        super().__init__(starts)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, str] = {}
        self.deleted: list[str] = []
        self.how = "done"
        self.by_name: dict[str, str] = {}
        self.key = "a-token-of-the-test"

    def env(self, folder: Path) -> dict[str, str]:
        config = folder / "kubeconfig"
        config.write_text(KUBECONFIG.format(url=self.url, token=self.key))
        return {"KUBECONFIG": str(config)}

    def made(self) -> list[str]:
        """Those that were not deleted."""
        return list(self.jobs)

    under_way = made

    def nodes(self, count: int) -> set[str]:
        return {f"gpu-node-{number}" for number in range(1, count + 1)}

    def forget(self) -> None:
        self.jobs.clear()

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        if self.headers[-1].get("authorization", self.headers[-1].get("Authorization")) != f"Bearer {self.key}":
            return _status(401, "Unauthorized", "Unauthorized")
        if (method, path) == ("POST", JOBS):
            return self._create(body)
        if (method, path) == ("GET", PODS):
            name = query["labelSelector"].removeprefix("job-name%3D").removeprefix("job-name=")
            items = [pod for pod in self.pods.values() if pod["metadata"]["labels"]["job-name"] == name]
            return Answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
        log = re.fullmatch(rf"{PODS}/([^/]+)/log", path)
        if method == "GET" and log:
            return self._log(log[1], query)
        name = path.removeprefix(f"{JOBS}/")
        if name not in self.jobs:
            return _status(404, "NotFound", f'jobs.batch "{name}" not found')
        if method == "DELETE":
            return self._delete(name)
        return Answer(200, self.jobs[name])

    def _create(self, body: Any) -> Answer:
        try:
            client.V1Job.model_validate(body, strict=True)
        except ValidationError as error:
            return _status(422, "Invalid", str(error))
        name = body["metadata"]["name"]
        if name in self.jobs:
            return _status(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        self.jobs[name] = {**body, "status": {"active": 1, "startTime": NOW}}
        pod = {
            "metadata": {"name": f"{name}-x7k2p", "labels": {"job-name": name}, "creationTimestamp": NOW},
            "spec": body["spec"]["template"]["spec"],
            "status": {"phase": "Pending", "startTime": None},
        }
        self.pods[name] = pod
        how = next((how for end, how in self.by_name.items() if name.endswith(end)), self.how)
        threading.Thread(target=self._work, args=(name, how, f"gpu-node-{len(self.jobs)}"), daemon=True).start()
        return Answer(201, self.jobs[name])

    def _work(self, name: str, how: str, node: str) -> None:
        with self.lock:
            pod = self.pods[name]
        if how == "never":
            why = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
            unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
            pod["status"] = {"phase": "Pending", "conditions": [unscheduled]}
            return
        with self.lock:
            pod["spec"] = {**pod["spec"], "nodeName": node}
            if how == "image failed":
                waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
                pod["status"] = {"phase": "Pending", "containerStatuses": [_container(waiting=waiting)]}
                return
            pod["status"] = {"phase": "Running", "containerStatuses": [_container(running={"startedAt": NOW})]}
        if how == "hangs":
            return
        one = pod["spec"]["containers"][0]
        ran = self.run_container([*one["command"], *one["args"]]) if how == "done" else None
        with self.lock:
            self._end(name, how, ran.code if ran else 137)
            self.logs[pod["metadata"]["name"]] = (ran.out + ran.err) if ran else ""

    def _end(self, name: str, how: str, code: int) -> None:
        reason = "Completed" if code == 0 else "Error"
        ended = _container(terminated={"exitCode": code, "reason": reason, "finishedAt": NOW})
        status: dict[str, Any] = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [ended]}
        if how == "expired":
            status |= {"reason": "DeadlineExceeded", "message": "Pod was active longer than specified deadline"}
        if how == "evicted":
            status |= {"reason": "Evicted", "message": "The node was low on resource: memory."}
        if how == "out of memory":
            status["containerStatuses"] = [_container(terminated={"exitCode": 137, "reason": "OOMKilled"})]
        self.pods[name]["status"] = status
        if how == "pod gone":
            del self.pods[name]
        kind = "Failed" if code else "Complete"
        self.jobs[name]["status"] = {"conditions": [{"type": kind, "status": "True"}]}

    def _log(self, pod: str, query: Mapping[str, str]) -> Answer:
        if query.get("container") != "benchmark" or pod not in self.logs:
            return _status(400, "BadRequest", "container is waiting to start")
        return Answer(200, self.logs[pod])

    def _delete(self, name: str) -> Answer:
        self.deleted.append(name)
        del self.jobs[name]
        self.pods.pop(name, None)
        return Answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})


def _container(**state: Any) -> dict[str, Any]:
    told = {"name": "benchmark", "image": "registry.example/node:1", "imageID": "", "ready": False, "restartCount": 0}
    return {**told, "state": state}


def _status(code: int, reason: str, message: str) -> Answer:
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
    return Answer(code, {**told, "code": code})
