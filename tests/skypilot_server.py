"""A server that behaves as SkyPilot's API server does, with rented machines that run their job's script as it is."""

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from grid_server import NODE, Answer, Grid

UNDER_WAY = ("PENDING", "RUNNING")
NO_LAUNCH = {
    "no cloud": (
        "NoCloudAccessError",
        "No cloud is enabled. SkyPilot will not be able to run any task. Run `sky check`.",
    ),
    "no resources": (
        "ResourcesUnavailableError",
        "\x1b[33mFailed to acquire resources in all zones in US for {RunPod({'RTX4090': 1})}.\x1b[0m\nTo retry: …",
    ),
    "interrupted": ("RequestInterruptedError", "The request was interrupted; submit it again."),
    "wrong": ("ValueError", "Invalid accelerator: RTX4091"),
}
GONE = ("ClusterDoesNotExist", "Cluster {!r} does not exist.")


class SkyPilotServer(Grid):
    """`how` says what becomes of launches and jobs; `by_name` overrules it for the clusters whose name ends so."""

    node = 'gpu = "rtx4090"'
    create = "/launch"
    looks = ("/api/status", "/api/get")
    second = "{}.2"
    keeps = False

    def __init__(self, starts: Path) -> None:
        super().__init__(starts)
        self.requests: list[dict[str, Any]] = []
        self.clusters: dict[str, dict[str, Any]] = {}
        self.how = "done"
        self.by_name: dict[str, str] = {}
        self.key = "sky_a-token-of-the-test"
        self.tasks: list[dict[str, Any]] = []
        self.users: set[str] = set()
        self.path = ""
        self.version = "62"
        self.stays_up = False

    def env(self, folder: Path) -> dict[str, str]:
        """A `breakeven` on the path of the rented machine does as a_node.py."""
        words = folder / "bin" / "breakeven"
        words.parent.mkdir(exist_ok=True)
        words.write_text(f'#!/bin/sh\nshift\nexec {" ".join(NODE)} "$@"\n')
        words.chmod(0o755)
        self.path = str(words.parent)
        return {"SKYPILOT_API_SERVER_ENDPOINT": self.url, "SKYPILOT_SERVICE_ACCOUNT_TOKEN": self.key}

    def made(self) -> list[str]:
        return [one["cluster_name"] for one in self.requests if one["name"] == "sky.launch"]

    def under_way(self) -> list[str]:
        return list(self.clusters)

    def nodes(self, count: int) -> set[str]:
        return set(self.made()[:count])

    def forget(self) -> None:
        self.requests.clear()
        self.clusters.clear()

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        if self.headers[-1].get("Authorization") != f"Bearer {self.key}":
            return Answer(401, {"detail": "Invalid or expired service account token"})
        if path == "/api/health":
            return Answer(
                200,
                {"status": "healthy", "api_version": self.version, "version": "0.14.1", "commit": "a", "user": None},
            )
        if path == "/api/status":
            found = [one for one in self.requests if query.get("cluster_name") in (None, one["cluster_name"])]
            return Answer(200, [{**one, "return_value": "null", "error": "null"} for one in found])
        if path == "/api/get":
            return self._get(query["request_id"])
        if method != "POST":
            return Answer(405, {"detail": "Method Not Allowed"})
        self.users.add(body["env_vars"]["SKYPILOT_USER_ID"])
        return self._scheduled(path, body)

    def _get(self, request: str) -> Answer:
        one = next((one for one in self.requests if one["request_id"] == request), None)
        if one is None:
            return Answer(404, {"detail": f"Request {request!r} not found"})
        return Answer(500, {"detail": one}) if one["status"] == "FAILED" else Answer(200, one)

    def _scheduled(self, path: str, body: Any) -> Answer:
        """What takes long is a thread's; the rest is done when it is answered."""
        one = {
            "request_id": str(uuid.uuid4()),
            "name": f"sky.{path.rpartition('/')[2]}",
            "cluster_name": body.get("cluster_name"),
            "status": "RUNNING",
            "created_at": time.time(),
            "return_value": "null",
            "error": "null",
            "status_msg": None,
            "should_retry": False,
        }
        self.requests.append(one)
        header = {"X-Skypilot-Request-ID": one["request_id"]}
        if path == "/launch":
            threading.Thread(target=self._launch, args=(one, body), daemon=True).start()
            return Answer(200, None, header)
        does = {"/status": self._status, "/queue": self._queue, "/logs": self._logs, "/down": self._down}
        return Answer(200, does.get(path, self._cancel)(body, one), header)

    def _how(self, name: str) -> str:
        return next((how for end, how in self.by_name.items() if name.endswith(end)), self.how)

    def _launch(self, one: dict[str, Any], body: Mapping[str, Any]) -> None:
        name, task = body["cluster_name"], yaml.safe_load(body["task"])
        how = self._how(name)
        with self.lock:
            self.tasks.append(task)
            if how in NO_LAUNCH:
                self._fail(one, *NO_LAUNCH[how])
            elif how == "restarted":
                one |= {"status": "CANCELLED", "should_retry": True}
            elif how == "never":
                one["status_msg"] = "Waiting for provider-level resources"
            else:
                self.clusters.setdefault(name, {"status": "UP", "jobs": []})
                jobs = self.clusters[name]["jobs"]
                job = {"job_id": len(jobs) + 1, "job_name": task["name"], "status": "RUNNING", "log": "", "how": how}
                jobs.append(job)
                one |= {
                    "status": "SUCCEEDED",
                    "return_value": json.dumps({"job_id": job["job_id"], "handle": "gAROLg=="}),
                }
        if one["status"] == "SUCCEEDED" and how != "hangs":
            self._run(name, job, task)

    def _run(self, name: str, job: dict[str, Any], task: Mapping[str, Any]) -> None:
        keys = {**task.get("envs", {}), **task.get("secrets", {}), "PATH": f"{self.path}:{os.environ['PATH']}"}
        ran = self.run_container(["bash", "-c", task.get("setup", "")], **keys)
        state = "FAILED_SETUP"
        if ran.code == 0:
            ran = self.run_container(["bash", "-c", task["run"]], **keys)
            state = "FAILED" if ran.code else "SUCCEEDED"
        code = 124 if job["how"] == "expired" else ran.code
        state = {"expired": "FAILED", "driver": "FAILED_DRIVER", "cancelled": "CANCELLED"}.get(job["how"], state)
        own = "" if job["how"] in ("expired", "driver") else ran.out + ran.err
        lines = [f"\x1b[36m({task['name']}, pid=1234)\x1b[0m {line}" for line in own.splitlines(True)]
        last = f"\x1b[31mERROR: Job 1 failed with return code list: [{code}]\x1b[0m\n" if code else ""
        with self.lock:
            if job["how"] == "preempted":
                self.clusters[name]["is_gone"] = True
            job |= {
                "status": state,
                "log": "".join(["\x1b[2m├── \x1b[0mWaiting for task resources on 1 node.\n", *lines, last]),
            }

    def _fail(self, one: dict[str, Any], kind: str, message: str) -> None:
        one |= {"status": "FAILED", "error": json.dumps({"object": "gAROLg==", "type": kind, "message": message})}

    def _end(self, one: dict[str, Any], value: Any) -> None:
        one |= {"status": "SUCCEEDED", "return_value": json.dumps(value)}

    def _status(self, body: Any, one: dict[str, Any]) -> None:
        if body["refresh"] == "FORCE":
            self.clusters = {name: found for name, found in self.clusters.items() if "is_gone" not in found}
        found = [name for name in self.clusters if name in body["cluster_names"]]
        self._end(
            one, [{"name": name, "status": self.clusters[name]["status"], "handle": "gAROLg=="} for name in found]
        )

    def _of_cluster(self, body: Any, one: dict[str, Any]) -> dict[str, Any] | None:
        found = self.clusters.get(body["cluster_name"])
        if found is None:
            self._fail(one, GONE[0], GONE[1].format(body["cluster_name"]))
        elif "is_gone" in found:
            self._fail(one, "CommandError", "Command python3 -u -c … failed with return code 255.\nssh: no route")
        return found if one["status"] == "RUNNING" else None

    def _queue(self, body: Any, one: dict[str, Any]) -> None:
        found = self._of_cluster(body, one)
        if found is not None:
            shown = ("job_id", "job_name", "status")
            self._end(one, [{name: job[name] for name in shown} for job in reversed(found["jobs"])])

    def _logs(self, body: Any, one: dict[str, Any]) -> str:
        found = self._of_cluster(body, one)
        if found is None:
            return ""
        job = next(job for job in found["jobs"] if job["job_id"] == body["job_id"])
        if job["how"] == "log cut" and not any(tried["name"] == "sky.logs" for tried in self.requests[:-1]):
            self._end(one, 255)
            return str(job["log"][:40])
        if job["how"] == "log fails" and not any(tried["name"] == "sky.logs" for tried in self.requests[:-1]):
            self._fail(one, "CommandError", "ssh failed")
            return ""
        self._end(one, 0 if job["status"] == "SUCCEEDED" else 100)
        return str(job["log"])

    def _down(self, body: Any, one: dict[str, Any]) -> None:
        if self.stays_up:
            self._fail(one, "CommandError", "the cloud says no")
        elif self.clusters.pop(body["cluster_name"], None) is None:
            self._fail(one, GONE[0], GONE[1].format(body["cluster_name"]))
        else:
            self._end(one, None)

    def _cancel(self, body: Any, one: dict[str, Any]) -> None:
        for asked in self.requests:
            if asked["request_id"] in body["request_ids"] and asked["status"] in UNDER_WAY:
                asked["status"] = "CANCELLED"
        self._end(one, body["request_ids"])
