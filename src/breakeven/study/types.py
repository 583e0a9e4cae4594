"""The tables of a study's plan file, as docs/PLANS.md describes them."""

from typing import Any, Final, Literal

from msgspec import Struct

from breakeven.serving import EngineSettings, Hardware, Via

Order = Literal["interleaved", "shuffled"]
Goal = Literal["tok_per_s", "usd_per_mtok", "users"]
Names = str | tuple[str, ...]
AXES: Final = ("hardware", "model", "engine", "settings", "workload")
"""What a cell is a combination of, in the order of its name."""


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[study]`: its name, how often and in which order cells are measured, and what it may take."""

    name: str = "study"
    order: Order = "interleaved"
    seed: int = 0
    """Of the shuffled order."""
    repeats: int = 1
    """Rounds; the engine is started anew for each."""
    max_hours: float | None = None
    max_usd: float | None = None
    """At the rent that the cell's hardware states."""


class HardwareRow(Hardware, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[hardware]]`: what cells are said to run on."""

    name: str
    per_card: bool = False
    """Power, rent and price are of one card, and a cell takes as many as `replicas` x `tensor_parallel` says."""


class ModelRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[models]]`."""

    name: str
    model: str | None = None
    """What engines load: a name of the hub or a path."""
    by_engine: dict[str, str] = {}
    """The same for single rows of `[[engines]]`."""
    served_name: str | None = None
    """Name that requests ask for, where the engine can be told it."""


class EngineRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[engines]]`: which engine, and how it is started or where it runs."""

    name: str
    engine: str | None = None
    """Row of ENGINES; None: the one called like this row."""
    url: str | None = None
    """Where it runs already."""
    api_key_env: str | None = None
    headers: dict[str, str] = {}
    headers_env: dict[str, str] = {}
    proxy: str | None = None
    via: Via = "process"
    command: str | tuple[str, ...] | None = None
    image: str | None = None
    docker_args: tuple[str, ...] | None = None
    mounts: tuple[str, ...] = ()
    env: dict[str, str] = {}
    pass_env: tuple[str, ...] = ()
    start_timeout_s: float = 1800.0
    settings: EngineSettings = EngineSettings()


class SettingsRow(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[settings]]`: settings that are compared; they go before the engine's own."""

    name: str


class WorkloadRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[workloads]]`: what users ask."""

    name: str
    workload: str = "chat"
    api: Literal["chat", "completions"] = "chat"
    input_tokens: int | str | None = None
    output_tokens: int | str | None = None
    file: str | None = None
    options: dict[str, str] = {}
    body: dict[str, Any] = {}
    """Fields of every request, such as `temperature`."""
    think_s: float = 0.0
    seed: int = 0


class Levels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[levels]`: how much, the same for every cell."""

    users: tuple[int, ...] | None = None
    rate: tuple[float, ...] | None = None
    arrivals: str | None = None
    clients: str = "1"
    slo: str | None = None
    duration_s: float | None = None
    requests: int | None = None
    max_duration_s: float | None = None
    precision: float = 0.05
    ramp_s: float | None = None
    warmup_s: float | None = None
    timeout_s: float = 600.0


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[exclude]]`: cells that have all of these names are left out."""

    hardware: Names | None = None
    model: Names | None = None
    engine: Names | None = None
    settings: Names | None = None
    workload: Names | None = None


class Include(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[include]]`: cells that have all of these names are in, excluded or not, with what is given here."""

    url: str | None = None
    users: tuple[int, ...] | None = None
    rate: tuple[float, ...] | None = None


class Foretold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tune.predicted]`: settings that were foretold before any was measured. A prediction, nothing measured."""

    gpu: str
    settings: int
    """How many were foretold."""
    figures: dict[str, float] = {}
    """What was foretold of those that are measured, in what is looked for."""


class Tune(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tune]`: the settings are searched, not all measured; what is looked for, and how near is near enough."""

    goal: Goal = "tok_per_s"
    floor: float | None = None
    """tok/s that on average a user gets at least."""
    margin: float = 0.05
    """It ends when the leader is surely within this share of every other."""
    vary: tuple[str, ...] = ()
    """As `--vary` was given; `[[settings]]` are what came of it."""
    predicted: Foretold | None = None
    """Of a search among predictions: `[[settings]]` are those that may be best."""


class Study(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole plan file."""

    study: Head = Head()
    tune: Tune | None = None
    hardware: tuple[HardwareRow, ...] = ()
    models: tuple[ModelRow, ...] = ()
    engines: tuple[EngineRow, ...]
    settings: tuple[SettingsRow, ...] = ()
    workloads: tuple[WorkloadRow, ...] = ()
    levels: Levels = Levels()
    exclude: tuple[Rule, ...] = ()
    include: tuple[Include, ...] = ()
