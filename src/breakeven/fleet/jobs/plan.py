"""A fleet plan: one uniform job, and the nodes that shall do it; read and checked before anything is rented."""

import math
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from breakeven.engine.detect import adapter
from breakeven.errors import FieldError, UsageError
from breakeven.fleet.result import KEY_VARIABLE, Word
from breakeven.hidden import holds_key, is_secret_name, secret_among
from breakeven.serving import EngineSettings
from breakeven.study.read import converted, parsed

Name = Annotated[str, Meta(max_length=29, pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$")]
Cron = Annotated[str, Meta(max_length=100, pattern=r"^\s*\S+(\s+\S+){4}\s*$")]
Several = Annotated[int, Meta(ge=1, le=10_000)]
Amount = Annotated[float, Meta(gt=0, lt=1e9)]


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[fleet]`: its name, and what it may take."""

    name: Name = "fleet"
    parallel: Several = 8
    """Jobs under way at once."""
    tries: Annotated[int, Meta(ge=1, le=10)] = 1
    """How often a job is given out that no node took, whose image failed or that was lost; each may be paid."""
    wait_s: Amount = 3600.0
    """How long a job waits for a node; then it is taken back."""
    max_usd: Amount | None = None
    """Nothing is submitted that could take more, all jobs at their time limit."""
    cron: Cron | None = None
    """When to measure again: minute, hour, day, month, weekday."""


class Uniform(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[job]`: the uniform job. Results of different templates are never compared."""

    template: Word
    image: str | None = None
    """Container of the benchmark; needed where it runs in one of its own."""
    users: tuple[Several, ...] = (1, 5, 10, 50, 100)
    duration_s: Amount = 60.0
    """Window of a level."""
    time_limit_s: Amount = 3600.0
    """Of the whole job, engine start included."""
    download_url: str | None = None
    """What the node's network is measured with."""
    dcgm_url: str | None = None
    """Where DCGM's exporter answers, for power and clocks where the container sees no driver."""
    env: dict[str, str] = {}
    arguments: tuple[str, ...] = ()
    """Further words of `breakeven node`."""


class Engine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engine]`: what serves on each node; without it, the embedded engine inside the benchmark."""

    engine: str = "llamacpp"
    model: str | None = None
    url: str | None = None
    """Where an engine serves already."""
    image: str | None = None
    env: dict[str, str] = {}
    pass_env: tuple[str, ...] = ()
    """Variables with secrets, by name; the place's own store holds their values."""
    settings: EngineSettings = EngineSettings()


class Nodes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[nodes]]`: so many nodes of a kind."""

    count: Several = 1
    gpu: str | None = None
    """As the place's list calls it, such as `RTX 4090` or `A100 80GB`."""
    gpu_count: Annotated[int, Meta(ge=1, le=64)] = 1
    market: str | None = None
    """Of Nosana: its address."""
    usd_per_h: Amount | None = None
    """What one such node costs, for the budget."""
    max_usd_per_h: Amount | None = None
    """What a place that bids may pay for one."""
    infra: tuple[str, ...] = ()
    """Clouds to look in, such as `runpod`, `vast`; of SkyPilot and dstack."""
    selector: dict[str, str] = {}
    """Node labels, of Kubernetes."""
    threads: Annotated[int, Meta(ge=1, le=4096)] | None = None
    """Of the embedded engine."""


class FleetPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole fleet plan."""

    fleet: Head = Head()
    job: Uniform
    engine: Engine | None = None
    nodes: Annotated[tuple[Nodes, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        problem = next(_problems(self), None)
        if problem is not None:
            raise problem


def is_fleet_plan(text: str) -> bool:
    """A fleet's plan has nodes; a study's has engines and hardware."""
    table = parsed(text, where="the plan")
    return "nodes" in table or "job" in table or "fleet" in table


def read_fleet_plan(text: str, *, where: str) -> FleetPlan:
    """Read and check; UsageError with file, line and key."""
    for number, line in enumerate(text.splitlines(), 1):
        if holds_key(line):
            raise UsageError(f"{where}, line {number}: something that looks like a secret; name a variable instead")
    return converted(parsed(text, where=where), FleetPlan, text=text, where=where)


def _problems(plan: FleetPlan) -> Iterator[FieldError]:
    for name in (*plan.job.env, *(plan.engine.env if plan.engine else ())):
        if is_secret_name(name) or name == KEY_VARIABLE:
            yield FieldError(f"{name} would be stored with the fleet; it is taken from your environment", "env")
    found = secret_among((*plan.job.arguments, *(plan.engine.settings.extra if plan.engine else ())))
    if found is not None:
        yield FieldError(f"{found}: it would be stored with the fleet", "arguments")
    if not math.isfinite(plan.job.time_limit_s) or plan.job.time_limit_s <= plan.job.duration_s * len(plan.job.users):
        yield FieldError("it is shorter than the windows of all levels together", "time_limit_s")
    if len(set(plan.job.users)) < len(plan.job.users):
        yield FieldError("a number of users stands twice", "users")
    if plan.fleet.max_usd is not None and any(nodes.usd_per_h is None for nodes in plan.nodes):
        yield FieldError("it needs the usd_per_h of every [[nodes]]", "max_usd")
    if plan.engine is not None:
        yield from _engine_problems(plan.engine)


def _engine_problems(engine: Engine) -> Iterator[FieldError]:
    try:
        kind = adapter(engine.engine)
        if engine.model is not None and engine.url is None:
            kind.argv(engine.model, port=kind.default_port, settings=engine.settings)
            if engine.image is None and kind.image is None:
                yield FieldError(f"engine '{engine.engine}' has no image of its own; name one", "image")
    except UsageError as error:
        yield FieldError(str(error), "engine")
    if engine.model is None and engine.url is None and engine.engine != "llamacpp":
        yield FieldError(f"engine '{engine.engine}' has no model to load; name one", "model")
    if engine.url is not None and engine.settings != EngineSettings():
        yield FieldError("an engine that serves at a URL cannot be told settings", "settings")
