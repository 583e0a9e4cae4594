"""What one job does, whatever place it runs at: the engine's container, the benchmark's words, its limits."""

import secrets
from collections.abc import Sequence
from typing import Final

import tomli_w
from msgspec import Struct, structs

from breakeven.engine.base import OpenAI
from breakeven.engine.detect import adapter
from breakeven.errors import UsageError
from breakeven.fleet.job import Job
from breakeven.fleet.jobs.plan import Engine, FleetPlan, Head, Nodes, Uniform
from breakeven.hardware.names import key_of, may_mean
from breakeven.plan import plan_table
from breakeven.serving import EngineSettings, Launch
from breakeven.study.cells import Cell

BENCHMARK: Final = ("breakeven", "node")
CELL_LIMIT_S: Final = 6 * 3600.0
"""Of a cell's job where its study names no max_hours."""
RUNS: Final = "breakeven-runs"
"""Folder on the node where a cell's run folder is made."""


class Served(Struct, frozen=True, kw_only=True):
    """The engine's container."""

    name: str
    """Row of ENGINES."""
    image: str
    command: tuple[str, ...]
    """The whole command line, as on a machine that has the engine installed."""
    entrypoint: str | None
    """None: the image's own."""
    arguments: tuple[str, ...]
    """What is said to the image after its entry point."""
    port: int
    health_path: str | None
    env: dict[str, str]
    secrets: tuple[str, ...]
    """Names of variables with keys, such as the hub's."""


class Task(Struct, frozen=True, kw_only=True):
    """One job as a place gets it."""

    job: str
    template: str
    seed: str
    nodes: Nodes
    head: Head
    image: str | None
    """Of the benchmark."""
    served: Served | None
    """None: the benchmark starts the embedded engine itself, or asks an address."""
    words: tuple[str, ...]
    """The benchmark's command line; an engine beside it answers at `http://127.0.0.1:PORT`."""
    env: dict[str, str]
    time_limit_s: float
    plan: str | None = None
    """Plan file of a cell of a study; None: the uniform job."""


def benchmark_image(task: Task) -> str:
    """The benchmark's container; UsageError where the plan names none."""
    if task.image is None:
        raise UsageError("image: this grid runs the benchmark in a container of its own; name its image in [job]")
    return task.image


def new_jobs(name: str, template: str, nodes: Sequence[Nodes], *, place: str) -> list[Job]:
    """A job for each node, with a name and a seed of its own that nobody can know before."""
    own = secrets.token_hex(3)
    each = [one for one in nodes for _ in range(one.count)]
    return [
        Job(
            id=f"{name}-{own}-{number:04d}",
            template=template,
            seed=secrets.token_hex(16),
            gpu=known_gpu(one.gpu),
            market=one.market,
            usd_per_h=one.usd_per_h,
            place=place,
        )
        for number, one in enumerate(each, 1)
    ]


def known_gpu(name: str | None) -> str | None:
    """The key of the table of GPUs, or of the group of all that it may mean; the name itself where it is not known."""
    return name if name is None else key_of(may_mean(name)) or name


def fleet_task(plan: FleetPlan, job: Job, nodes: Nodes) -> Task:
    """The uniform job on a node of this kind."""
    served = None if plan.engine is None or plan.engine.url is not None else _served(plan.engine, nodes)
    url = plan.engine.url if plan.engine is not None else None
    if served is not None:
        url = f"http://127.0.0.1:{served.port}"
    return Task(
        job=job.id,
        template=job.template,
        seed=job.seed,
        nodes=nodes,
        head=plan.fleet,
        image=plan.job.image,
        served=served,
        words=tuple(_words(plan.job, job, nodes, url=url)),
        env=plan.job.env,
        time_limit_s=plan.job.time_limit_s,
    )


def _words(uniform: Uniform, job: Job, nodes: Nodes, *, url: str | None) -> list[str]:
    return [
        *BENCHMARK,
        *("--template", job.template, "--job", job.id, "--seed", job.seed),
        *(("--url", url) if url is not None else ()),
        *("--users", ",".join(map(str, uniform.users))),
        *("--duration", f"{uniform.duration_s:g}", "--time-limit", f"{uniform.time_limit_s:g}"),
        *(("--threads", str(nodes.threads)) if nodes.threads is not None else ()),
        *(("--download-url", uniform.download_url) if uniform.download_url is not None else ()),
        *(("--dcgm", uniform.dcgm_url) if uniform.dcgm_url is not None else ()),
        *uniform.arguments,
    ]


def _served(engine: Engine, nodes: Nodes) -> Served | None:
    if engine.model is None:
        return None
    kind, settings = adapter(engine.engine), engine.settings
    if (settings.replicas or 1) > 1:
        raise UsageError("replicas: a node of a fleet serves with one engine; measure a study for several side by side")
    if settings.tensor_parallel is None and nodes.gpu_count > 1 and kind.options.tensor_parallel is not None:
        settings = structs.replace(settings, tensor_parallel=nodes.gpu_count)
    return _container(
        kind, engine.model, settings, image=engine.image or kind.image, env=engine.env, pass_env=engine.pass_env
    )


def _container(
    kind: type[OpenAI],
    model: str,
    settings: EngineSettings,
    *,
    image: str | None,
    env: dict[str, str],
    pass_env: Sequence[str],
) -> Served:
    port = kind.default_port
    words = kind.argv(model, port=port, settings=structs.replace(settings, host="0.0.0.0"))
    return Served(
        name=kind.name,
        image=image or "",
        command=tuple(words),
        entrypoint=words[0] if kind.image_takes == "entrypoint" else None,
        arguments=tuple(kind.image_words(words)),
        port=port,
        health_path=kind.health_path,
        env={**kind.environment(port=port, settings=settings), **env},
        secrets=tuple(dict.fromkeys((*((kind.hub_access_env,) if kind.hub_access_env else ()), *pass_env))),
    )


def cell_nodes(cell: Cell) -> Nodes:
    """The node that a cell of a study wants."""
    hardware = cell.plan.hardware
    if hardware is None:
        return Nodes()
    return Nodes(gpu=hardware.gpu, gpu_count=hardware.count, usd_per_h=hardware.rent_usd_per_h)


def cell_task(
    cell: Cell, job: Job, head: Head, *, time_limit_s: float, infra: tuple[str, ...] = (), is_here: bool = False
) -> Task:
    """A cell of a study: its own plan, run where its engine is. The node's container is the engine's own image.

    There is no docker inside a container, so what was `via = "docker"` is started there by its command in that image.
    `is_here`: it runs on this machine, in no container of ours.
    """
    plan, served = cell.plan, None
    if not is_here and plan.url is None and not plan.is_embedded and plan.engine is not None and plan.model is not None:
        kind, launch = adapter(plan.engine), plan.launch or Launch()
        served = _container(
            kind,
            plan.model,
            launch.settings,
            image=launch.image or kind.image,
            env=launch.env,
            pass_env=launch.pass_env,
        )
        own = structs.replace(launch, via="process", image=None, docker_args=None, mounts=(), pass_env=())
        plan = structs.replace(plan, launch=own)
    return Task(
        job=job.id,
        template=job.template,
        seed=job.seed,
        nodes=structs.replace(cell_nodes(cell), infra=infra),
        head=head,
        image=None,
        served=served,
        words=("breakeven", "run", "plan.toml", "--out", RUNS),
        env={},
        time_limit_s=time_limit_s,
        plan=tomli_w.dumps(plan_table(plan)),
    )
