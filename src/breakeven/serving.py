"""How an engine shall serve, how it is started, and what it is said to run on: the parts of a plan about machines."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from breakeven.errors import UsageError
from breakeven.hidden import is_secret_name, secret_among

Via = Literal["process", "docker"]
Routing = Literal["round-robin", "least-loaded"]
"""Which of several engines a request goes to: each in turn, or the one with the fewest of our requests in flight."""
ROUND_ROBIN: Final[Routing] = "round-robin"
MOST_REPLICAS: Final = 64
Setting = bool | int | float | str
"""What a setting of an engine may be."""
_OURS: Final = ("--name", "--rm")


class EngineSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an engine shall serve. None: as the engine comes out of the box."""

    host: str = "127.0.0.1"
    served_name: str | None = None
    """Name that requests ask for."""
    tensor_parallel: int | None = None
    """GPUs that the model is split over."""
    context_tokens: int | None = None
    """Longest request, prompt and answer together."""
    max_batch: int | None = None
    """Requests that the engine works on at once; the others wait."""
    dtype: str | None = None
    """Precision of weights and activations, such as `bfloat16`."""
    quantization: str | None = None
    """Of the weights, such as `fp8`; of the embedded engine that of the GGUF file that is taken, such as `q8_0`."""
    prefix_caching: bool | None = None
    replicas: int | None = None
    """Engines side by side, each on a port and GPUs of its own; None: one."""
    routing: Routing | None = None
    """Which of them a request goes to; None: each in turn."""
    options: dict[str, Setting] = {}
    """Further options of the engine by their own names, such as `kv_cache_dtype`."""
    extra: tuple[str, ...] = ()
    """Further words of the command line, as they are."""


_SHARED: Final = frozenset(EngineSettings.__struct_fields__) - {"host", "options", "extra"}
"""Settings that engines share, each said in their own words (`engine.base.Options`); replicas are started by us."""


def engine_settings(given: Mapping[str, Setting]) -> EngineSettings:
    """Settings by their names: those that engines share are fields, any other is an option of the engine's own.

    Numbers and switches may be texts, `16` or `false`. UsageError for a value that a field cannot have.
    """
    shared = {name: value for name, value in given.items() if name in _SHARED}
    own = {name: typed(value) for name, value in given.items() if name not in _SHARED}
    try:
        return msgspec.convert(shared | {"options": own}, EngineSettings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"--set: {error}") from None


def settings_table(settings: EngineSettings) -> dict[str, Setting]:
    """What `engine_settings` reads back: every setting that is no default, by its name."""
    table: dict[str, Any] = msgspec.to_builtins(settings)
    return {name: value for name, value in table.items() if name in _SHARED} | settings.options


def typed(value: Setting) -> Setting:
    """A text as the switch or number that it says, else as it is."""
    if not isinstance(value, str):
        return value
    if value in ("true", "false"):
        return value == "true"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


class Launch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an engine is started. All of it is stored with the run, so nothing secret may be in it."""

    via: Via = "process"
    command: tuple[str, ...] | None = None
    """In place of the engine's own command. With a word `{port}` in it, it is the whole command line."""
    image: str | None = None
    """Container image; None: the engine's own."""
    docker_args: tuple[str, ...] | None = None
    """Words of `docker run`, such as `--gpus all`; None: the engine's own."""
    mounts: tuple[str, ...] = ()
    """docker's `--volume` values, besides the model and the cache of models."""
    env: dict[str, str] = {}
    """Environment variables with their values."""
    pass_env: tuple[str, ...] = ()
    """Environment variables that a container gets from us, by name; a process has them anyway."""
    start_timeout_s: float = 1800.0
    """A large model may have to be downloaded and compiled first."""
    settings: EngineSettings = EngineSettings()


class Hardware(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the plan says the engine runs on; None: not said."""

    gpu: str | None = None
    """Name of the GPU type."""
    count: int = 1
    """GPUs that serve together."""
    power_w: float | None = None
    """Power under load of all of them, declared and not measured."""
    power_source: str | None = None
    rent_usd_per_h: float | None = None
    """Rent of all of them together."""
    rent_source: str | None = None
    price_usd: float | None = None
    """Purchase price of all of them together."""
    price_source: str | None = None


def launch_problem(launch: Launch) -> str | None:
    """The first thing that cannot be, as one line that names the field; None when all is well."""
    for name in launch.env:
        if is_secret_name(name):
            return f"env: {name} would be stored with the run; set it outside, and name it in pass_env for a container"
    own = [f"{name}={value}" for name, value in launch.settings.options.items()]
    for words in (own, launch.command or (), launch.settings.extra, launch.docker_args or (), launch.mounts):
        if (found := secret_among(words)) is not None:
            return f"{found}: it would be stored with the run; give it by an environment variable"
    if any(word.split("=")[0] in _OURS for word in launch.docker_args or ()):
        return f"docker_args: {' and '.join(_OURS)} are ours, so that no other container is removed"
    if (problem := _replicas_problem(launch.settings)) is not None:
        return problem
    if launch.start_timeout_s <= 0:
        return f"start_timeout_s: {launch.start_timeout_s:g} s is not a length of time that can be waited for"
    return _mixed_up(launch)


def _replicas_problem(settings: EngineSettings) -> str | None:
    replicas = settings.replicas or 1
    if not 1 <= (1 if settings.replicas is None else settings.replicas) <= MOST_REPLICAS:
        return f"replicas: {settings.replicas} cannot be; give 1 to {MOST_REPLICAS} engines side by side"
    if replicas == 1 and settings.routing is not None:
        return "routing: it says to which of several engines a request goes; give replicas=2 or more too"
    return None


def _mixed_up(launch: Launch) -> str | None:
    if launch.via == "docker" and launch.command is not None:
        return 'command: it starts a process; with via = "docker" the image\'s own command is used'
    if launch.via == "process":
        for field in ("image", "docker_args", "mounts"):
            if getattr(launch, field) not in (None, ()):
                return f'{field}: it goes with via = "docker"'
    return None


def hardware_problem(hardware: Hardware) -> str | None:
    """The first thing that cannot be; None when all is well."""
    if hardware.count < 1:
        return f"count: {hardware.count} is no number of GPUs; give at least 1"
    for name in ("power_w", "rent_usd_per_h", "price_usd"):
        value = getattr(hardware, name)
        if value is not None and not 0 <= value < 1e12:
            return f"{name}: {value:g} is not a number that it can be"
    if hardware.power_w is not None and hardware.power_source is None:
        return (
            "power_w: say with power_source where it is from (a document, a measurement); it is declared, not measured"
        )
    return None
