"""A server that behaves as Nosana's deployments do by its public sources, with nodes that do the benchmark."""

import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grid_server import Answer, Grid

BUSY = {"hostShutDown": False, "jobStopped": False, "jobExpired": False}
HOW = {
    "expired": {"jobExpired": True},
    "stopped": {"jobStopped": True},
    "shut down": {"hostShutDown": True},
}
HOSTILE = {
    "of another form": '{"jobResult": {"opStates": [{"operationId": "benchmark", "logs": 5}]}}',
    "nested": '{"jobResult": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "too large": '{"jobResult": {"status": "A"}}',
}
"""What a node tells of its job that is no result of one."""
NO_NODE = "11111111111111111111111111111111"


class NosanaServer(Grid):
    """`how` says what becomes of jobs; `by_name` overrules it for the deployments whose name ends so."""

    node = 'market = "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"'
    create = "/api/deployments/create"
    looks = (
        "/api/deployments/Dep[0-9]+",
        "/api/deployments/Dep[0-9]+/jobs",
        "/api/deployments/Dep[0-9]+/jobs/JobDep[0-9]+",
    )
    second = "{}.2"

    def __init__(self, starts: Path) -> None:
        super().__init__(starts)
        self.deployments: dict[str, dict[str, Any]] = {}
        self.how = "done"
        self.by_name: dict[str, str] = {}
        self.knows_keys = True
        self.autostarts = True
        self.of_another_form = False
        self.result_late_s = 0.0
        self.key = "nos_a-key-of-the-test"

    def env(self, _folder: Path) -> dict[str, str]:
        return {"NOSANA_API_URL": f"{self.url}/api", "NOSANA_API_KEY": self.key}

    def made(self) -> list[str]:
        return [one["name"] for one in self.deployments.values()]

    def under_way(self) -> list[str]:
        return [one["name"] for one in self.deployments.values() if one["status"] != "STOPPED"]

    def nodes(self, count: int) -> set[str]:
        return {f"NodeDep{number}" for number in range(1, count + 1)}

    def forget(self) -> None:
        self.deployments.clear()

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        if self.headers[-1].get("Authorization") != f"Bearer {self.key}":
            return Answer(401, "Unauthorized")
        if (method, path) == ("POST", "/api/deployments/create"):
            return self._create(body)
        if (method, path) == ("GET", "/api/deployments"):
            found = [one for one in self.deployments.values() if query.get("name") in (None, one["name"])]
            page = {"cursor_next": None, "cursor_prev": None, "total_items": len(found)}
            return Answer(200, {"deployments": [_shown(one) for one in found], "pagination": page})
        found_path = re.fullmatch(r"/api/deployments/([^/]+)(/.*)?", path)
        one = self.deployments.get(found_path[1]) if found_path else None
        if one is None or found_path is None:
            return Answer(404, {"error": "Deployment not found"})
        return self._of(method, found_path[2] or "", one)

    def _create(self, body: Any) -> Answer:
        key = body.get("idempotency_key")
        if self.knows_keys and any(one["key"] == key for one in self.deployments.values()):
            return Answer(409, {"error": "a deployment with this idempotency_key exists"})
        if body["timeout"] < 60 or not body["job_definition"]["ops"]:
            return Answer(400, {"error": "Invalid request body"})
        one = {
            "id": f"Dep{len(self.deployments) + 1}",
            "name": body["name"],
            "key": key,
            "market": body["market"],
            "status": "DRAFT",
            "job_definition": body["job_definition"],
            "jobs": [],
        }
        self.deployments[one["id"]] = one
        if self.autostarts and body.get("autostart"):
            self._start(one)
        return Answer(200, _shown(one))

    def _start(self, one: dict[str, Any]) -> None:
        how = next((how for end, how in self.by_name.items() if one["name"].endswith(end)), self.how)
        one["status"] = {"no money": "INSUFFICIENT_FUNDS", "not listed": "ERROR"}.get(how, "RUNNING")
        if how in ("no money", "not listed"):
            return
        job = {"job": f"Job{one['id']}", "state": "QUEUED", "node": None, "result": None, "end": 0.0, "how": how}
        one["jobs"].append(job)
        if how != "never":
            threading.Thread(target=self._work, args=(one, job, how), daemon=True).start()

    def _work(self, one: dict[str, Any], job: dict[str, Any], how: str) -> None:
        with self.lock:
            job |= {"state": "RUNNING", "node": f"Node{one['id']}"}
        if how == "hangs":
            return
        op = next(op for op in one["job_definition"]["ops"] if op["id"] == "benchmark")
        state: dict[str, Any] = {"operationId": "benchmark", "group": None, "providerId": None, "logs": []}
        state |= {"startTime": 1, "endTime": 2, "exitCode": 0, "status": "success", "diagnostics": {"reason": BUSY}}
        if how == "image failed":
            error = {"event": "image-pull-error", "message": "no such image: HTTP code 404", "code": 404}
            state |= {"status": "failed", "exitCode": 2, "error": error}
        elif how in HOW:
            state |= {"status": "stopped", "diagnostics": {"reason": {**BUSY, **HOW[how], "reason": how}}}
        else:
            ran = self.run_container([*op["args"]["entrypoint"], *op["args"]["cmd"]])
            state |= {"exitCode": ran.code, "status": "failed" if ran.code else "success"}
            state["logs"] = [
                *({"type": "stdout", "log": line, "timestamp": "1"} for line in ran.out.splitlines(True)),
                *({"type": "stderr", "log": line, "timestamp": "1"} for line in ran.err.splitlines(True)),
            ]
            if how == "logs cut":
                result = op["results"]["result"]["regex"]
                state["results"] = {
                    "result": [found for log in state["logs"] for found in re.findall(result, log["log"])]
                }
                state["logs"] = []
        flow = {"status": state["status"], "startTime": 1, "endTime": 2, "errors": [], "opStates": [state]}
        with self.lock:
            job |= {"state": "STOPPED" if how == "stopped" else "COMPLETED", "end": time.time()}
        time.sleep(self.result_late_s)
        with self.lock:
            job["result"] = None if how == "no result" else flow
            if how == "no result":
                job["end"] = time.time() - 1000

    def _of(self, method: str, rest: str, one: dict[str, Any]) -> Answer:
        if self.of_another_form:
            return Answer(200, {"deployment": 5})
        if (method, rest) == ("GET", ""):
            return Answer(200, _shown(one))
        if (method, rest) == ("GET", "/jobs"):
            jobs = [{name: job[name] for name in ("job", "state", "node")} for job in one["jobs"]]
            return Answer(200, {"jobs": jobs, "pagination": {}})
        if (method, rest) == ("GET", "/events"):
            return Answer(200, {"events": [{"type": "JOB_LIST_ERROR", "message": "no such market"}], "pagination": {}})
        if method == "GET" and rest.startswith("/jobs/"):
            job = next(job for job in one["jobs"] if rest == f"/jobs/{job['job']}")
            if job["how"] in HOSTILE:
                return Answer(200, HOSTILE[job["how"]].replace("A", "A" * (97 << 20)))
            told = {"state": 2, "node": job["node"] or NO_NODE, "jobResult": job["result"], "timeEnd": job["end"]}
            return Answer(200, told)
        if (method, rest) == ("POST", "/start"):
            if one["status"] != "DRAFT":
                return Answer(500, {"error": "Deployment is not in the correct state"})
            self._start(one)
            return Answer(200, {"status": "STARTING"})
        return self._stop(one) if (method, rest) == ("POST", "/stop") else Answer(404, {"error": "Not found"})

    def _stop(self, one: dict[str, Any]) -> Answer:
        if one["status"] not in ("RUNNING", "ERROR", "INSUFFICIENT_FUNDS"):
            return Answer(500, {"error": "Deployment is not in the correct state"})
        one["status"] = "STOPPED"
        for job in one["jobs"]:
            if job["state"] in ("QUEUED", "RUNNING"):
                job["state"] = "STOPPED"
        return Answer(200, {"status": "STOPPING"})


def _shown(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("id", "name", "market", "status")}
