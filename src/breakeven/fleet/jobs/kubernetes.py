"""Kubernetes: a Job whose engine is a native sidecar of the benchmark, or a CronJob of it."""

import math
from typing import Any, ClassVar, Final

from breakeven.errors import UsageError
from breakeven.fleet.jobs.script import bash, image, variables
from breakeven.fleet.jobs.task import Served, Task, benchmark_image
from breakeven.fleet.result import KEY_VARIABLE
from breakeven.hardware.names import may_mean

BENCHMARK: Final = "benchmark"
"""Its container's name."""
KEYS_IN: Final = "breakeven"
"""The cluster's Secret with the keys, by the names of their variables; it may be absent."""
_PRODUCT: Final = "nvidia.com/gpu.product"
_GPU: Final = "nvidia.com/gpu"
_KEPT_S: Final = 24 * 3600
"""How long an ended Job, and so its log, can be collected."""
_PERIOD_S: Final = 10
_SHM: Final = {"name": "shm", "emptyDir": {"medium": "Memory"}}
_SHM_AT: Final = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108


class Kubernetes:
    """`kubectl apply -f FILE`; needs Kubernetes 1.29 for sidecars."""

    ending: ClassVar[str] = "yaml"

    @staticmethod
    def document(task: Task) -> dict[str, Any]:
        """A failed pod is not started again: whether to pay once more is the operator's to say.

        Its time counts from when a node takes the pod, and a pod that ran out of it is kept with its log.
        """
        spec = {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _KEPT_S,
            "template": {"metadata": {"labels": _labels(task)}, "spec": pod(task)},
        }
        metadata = {"name": task.job, "labels": _labels(task)}
        if task.head.cron is None:
            return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
        schedule = {"schedule": " ".join(task.head.cron.split()), "concurrencyPolicy": "Forbid"}
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": metadata,
            "spec": {**schedule, "jobTemplate": {"spec": spec}},
        }


def _labels(task: Task) -> dict[str, str]:
    return {"app.kubernetes.io/name": "breakeven", "breakeven/job": task.job}


def pod(task: Task) -> dict[str, Any]:
    """The pod's spec."""
    told: dict[str, Any] = {"restartPolicy": "Never", "activeDeadlineSeconds": math.ceil(task.time_limit_s)}
    selector = task.nodes.selector or _selector(task.nodes.gpu)
    if selector:
        told["nodeSelector"] = selector
    if task.plan is not None:
        return told | {"containers": [_cell(task)], "volumes": [_SHM]}
    benchmark: dict[str, Any] = {
        "name": BENCHMARK,
        "image": benchmark_image(task),
        "command": list(task.words[:1]),
        "args": list(task.words[1:]),
        "env": [*_env(task.env), *_keys((KEY_VARIABLE,))],
    }
    if task.served is not None:
        told["initContainers"] = [_sidecar(task.served, gpu_count=task.nodes.gpu_count)]
        told["volumes"] = [_SHM]
    elif task.nodes.gpu is not None and "--url" not in task.words:
        benchmark["resources"] = {"limits": {_GPU: str(task.nodes.gpu_count)}}
    return {**told, "containers": [benchmark]}


def _cell(task: Task) -> dict[str, Any]:
    """The engine's image, in which the cell's plan starts the engine itself."""
    words = bash(task)
    return {
        "name": BENCHMARK,
        "image": image(task),
        "command": words[:1],
        "args": words[1:],
        "env": [*_env(variables(task)), *_keys(task.served.secrets if task.served is not None else ())],
        "resources": {"limits": {_GPU: str(task.nodes.gpu_count)}} if task.nodes.gpu is not None else {},
        "volumeMounts": [_SHM_AT],
    }


def _sidecar(served: Served, *, gpu_count: int) -> dict[str, Any]:
    probe = {"path": served.health_path or "/v1/models", "port": served.port}
    return {
        "name": "engine",
        "restartPolicy": "Always",
        "image": served.image,
        **({"command": [served.entrypoint]} if served.entrypoint is not None else {}),
        "args": list(served.arguments),
        "env": [*_env(served.env), *_keys(served.secrets)],
        "ports": [{"containerPort": served.port}],
        "startupProbe": {"httpGet": probe, "periodSeconds": _PERIOD_S, "failureThreshold": 180},
        "resources": {"limits": {_GPU: str(gpu_count)}},
        "volumeMounts": [_SHM_AT],
    }


def _env(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _keys(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": KEYS_IN, "key": name, "optional": True}}}
        for name in names
    ]


def _selector(gpu: str | None) -> dict[str, str]:
    """The label that the GPU operator gives a node, where the card's name says it: that of a GeForce does."""
    if gpu is None:
        return {}
    found = may_mean(gpu)
    if len(found) != 1 or not found[0].name.startswith("GeForce"):
        raise UsageError(f'the label of a node with \'{gpu}\' is not known; give selector = {{ "{_PRODUCT}" = "…" }}')
    return {_PRODUCT: f"NVIDIA-{found[0].name.replace(' ', '-')}"}
