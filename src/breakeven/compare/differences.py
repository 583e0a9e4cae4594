"""What else differs between two runs, so that a figure may not mean what it seems to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from breakeven.compare.pool import Pooled, PooledLevel, unit_of
from breakeven.compare.types import Difference, EngineComparison, Role, Warned, WarnedId
from breakeven.errors import UsageError, one_line
from breakeven.metrics.bracket import load_of
from breakeven.metrics.hosts import host_differences
from breakeven.metrics.pooling import cannot_tell
from breakeven.metrics.summary import SUSPECT, UNSTEADY, LevelSummary

PRECISION: Final = ("precision", "quantization", "quant", "dtype", "kv_cache_dtype")
_ENGINE_PLACE: Final = {
    *("name", "url", "host", "port", "pid", "argv", "command", "log", "models", *PRECISION),
    *("start_s", "starts", "container", "image_pull_s", "replicas", "visible_gpus"),
}
_WORKLOAD_CHANCE: Final = {"seed", "salt", "nonce"}
_SETTINGS_OF_MEASURING: Final = {
    *("users", "duration_s", "max_duration_s", "precision", "requests", "ramp_s", "warmup_s", "timeout_s"),
    *(
        "seed",
        "salt",
        "name",
        "url",
        "out",
        "api_key_env",
        "proxy",
        "engine",
        "model",
        "unit",
        "clients",
        "repeat",
        "repeats",
    ),
    *("launch", "notes", "source", "levels", "rate", "slo", "floors", "find_max", "arrivals", "auto"),
}
_ARGV_PLACE: Final = ("--host", "--port", "--api-key", "--log-level", "--name")


def same_unit(a: Pooled, b: Pooled) -> str:
    """The unit that both runs count in; UsageError where they differ."""
    unit_a, unit_b = unit_of(a), unit_of(b)
    if unit_a != unit_b:
        raise UsageError(
            f"{one_line(a.run.run.id)} counts {unit_a} and {one_line(b.run.run.id)} counts {unit_b}: "
            "they cannot be compared; measure both with the same instrument"
        )
    return unit_a


def engine_name(pooled: Pooled) -> str | None:
    """The engine's name, made safe to print."""
    name = pooled.run.run.engine.get("name")
    return None if name is None else one_line(str(name), limit=40)


def engine_comparison(a: Pooled, b: Pooled) -> EngineComparison | None:
    """The engines where they differ; None where they do not, or are not known."""
    name_a, name_b = engine_name(a), engine_name(b)
    if name_a is None or name_b is None or name_a == name_b:
        return None
    return EngineComparison(reference=name_a, candidate=name_b)


def warnings(a: Pooled, b: Pooled) -> tuple[Warned, ...]:
    """Differences between the runs, then what each run's own numbers suffer from."""
    return (*_differences(a, b), *_own("A", a), *_own("B", b))


def _differences(a: Pooled, b: Pooled) -> Iterable[Warned]:
    run_a, run_b = a.run.run, b.run.run
    if run_a.model != run_b.model:
        yield from _tables("other_model", {"model": run_a.model}, {"model": run_b.model})
    about_a, about_b = _lifted(run_a.engine), _lifted(run_b.engine)
    yield from _tables("other_precision", _only(about_a), _only(about_b))
    chance = _WORKLOAD_CHANCE
    yield from _tables("other_workload", _but(run_a.workload, chance), _but(run_b.workload, chance))
    measuring = _SETTINGS_OF_MEASURING
    yield from _tables("other_settings", _but(run_a.settings, measuring), _but(run_b.settings, measuring))
    if engine_comparison(a, b) is None:
        engine_a, engine_b = _but(about_a, _ENGINE_PLACE), _but(about_b, _ENGINE_PLACE)
        argv = _argv(run_a.engine.get("argv")), _argv(run_b.engine.get("argv"))
        engine_a["argv"], engine_b["argv"] = (sorted(set(one) - set(other)) for one, other in (argv, argv[::-1]))
        yield from _tables("other_engine_settings", engine_a, engine_b)
    if run_a.host.get("gpu") == run_b.host.get("gpu"):
        for text in host_differences(run_a.host, run_b.host):
            yield Warned(id="other_host", host=text)


def _only(engine: Mapping[str, Any]) -> dict[str, Any]:
    return {name: engine[name] for name in PRECISION if name in engine}


def _lifted(engine: Mapping[str, Any]) -> dict[str, Any]:
    """What an engine is and was told, each setting and option by its own name."""
    table = dict(engine)
    for inner in ("settings", "options"):
        told = table.pop(inner, None)
        table = (told if isinstance(told, dict) else {}) | table
    return table


def _but(table: Mapping[str, Any], ignored: Iterable[str]) -> dict[str, Any]:
    skip = set(ignored)
    return {name: value for name, value in table.items() if name not in skip and value is not None}


def _argv(argv: object) -> list[str]:
    """The command line without the program and without where it listens."""
    if not isinstance(argv, list | tuple):
        return []
    words, kept, skip = [str(word) for word in argv[1:]], [], False
    for word in words:
        if not skip and word.split("=")[0] not in _ARGV_PLACE:
            kept.append(word)
        skip = word in _ARGV_PLACE
    return kept


def _tables(kind: WarnedId, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterable[Warned]:
    names = sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
    if names:
        differences = (Difference(name=n, reference=_fact(a.get(n)), candidate=_fact(b.get(n))) for n in names)
        yield Warned(id=kind, differences=tuple(differences))


def _fact(value: object) -> str | list[str] | None:
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return None if value is None else str(value)


def _own(role: Role, pooled: Pooled) -> Iterable[Warned]:
    """What a reader of any figure of this run must know."""
    for level in pooled.left_out:
        yield Warned(id="level_left_out", role=role, left_out=level)
    bare = [level for level in pooled.levels if level.figures["output_tok_per_s"].log_half is None]
    if bare:
        yield _at_loads("no_interval", role, bare)
    unknown = [level for level in pooled.levels if cannot_tell(level.repeats, level.figures["output_tok_per_s"].ci95)]
    if unknown:
        yield _at_loads("two_repeats", role, unknown)
    yield from _cautions(role, pooled)
    if pooled.run.run.settings.get("think_s") or pooled.run.run.workload.get("think_s"):
        yield Warned(id="think_time", role=role)
    if (gpus := gpu_count(pooled.run.run.host)) > 1:
        yield Warned(id="several_gpus", role=role, gpus=gpus)


def _at_loads(kind: WarnedId, role: Role, levels: Sequence[PooledLevel], *, caution: str | None = None) -> Warned:
    """A warning about levels, which are all of users or all of rates."""
    return Warned(
        id=kind,
        role=role,
        caution=caution,
        users=tuple(one.users for one in levels if one.users is not None),
        rates=tuple(one.req_per_s for one in levels if one.req_per_s is not None),
    )


def _cautions(role: Role, pooled: Pooled) -> Iterable[Warned]:
    compared = {level.load: level for level in pooled.levels}
    found: dict[str, dict[float, PooledLevel]] = {}
    for level in pooled.run.levels:
        if (level.users is None) != pooled.is_open or level.status != "done":
            continue
        load = load_of(level) or 0.0
        for name in _ids(level) if load in compared else ():
            found.setdefault(name, {})[load] = compared[load]
    for name, levels in found.items():
        yield _at_loads("caution", role, [levels[load] for load in sorted(levels)], caution=name)


def _ids(level: LevelSummary) -> Iterable[str]:
    """The ids of a level's cautions, and in words what none of them says."""
    ids = {caution.id: None for caution in level.cautions if caution.id != "two_repeats"}  # told of the pooled level
    yield from ids
    if level.errors:
        yield "failed requests"
    if not SUSPECT & ids.keys() and level.client.verdict == "suspect":
        yield "suspect client"
    if not UNSTEADY & ids.keys() and not level.steady:
        yield "not steady"


def gpu_count(host: Mapping[str, Any]) -> int:
    """How many GPUs the host says it has; 0 where it does not say."""
    gpus, count = host.get("gpus"), host.get("gpu_count")
    if isinstance(count, int):
        return count
    return len(gpus) if isinstance(gpus, list | tuple) else 0
