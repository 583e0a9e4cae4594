"""`tune --on predicted`: every setting foretold on a simulated engine, and only what may be best measured."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, get_args

from breakeven.app.fit import chosen_gpus
from breakeven.app.predict import Asked, Loads, predicted_curves
from breakeven.errors import UsageError
from breakeven.findings.choice import Left
from breakeven.findings.search import Foreseen
from breakeven.findings.study import goal_figure
from breakeven.hardware import Gpu
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, RunSummary
from breakeven.serving import ROUND_ROBIN, Launch, Routing, Setting, settings_table
from breakeven.session.defaults import output_tokens
from breakeven.session.plan_file import PlanFile
from breakeven.session.tune import service_level
from breakeven.study.cells import Cell
from breakeven.study.types import Foretold, Goal

MOST_FINALISTS: Final = 8
"""Settings that are measured of those that were foretold."""
_KINDS: Final[Mapping[str, Mapping[Setting, object]]] = MappingProxyType(
    {
        "dtype": {"auto": None, "bfloat16": "bf16", "float16": "fp16"},
        "quantization": {"fp8": "fp8"},
        "kv_cache_dtype": {"auto": None, "fp8": 8, "fp8_e4m3": 8, "fp8_e5m2": 8},
        "routing": {name: name for name in get_args(Routing)},
    }
)
"""Choices that a prediction tells of, and what they are to it; None: the model's own."""
_NUMBERS: Final = ("max_batch", "tensor_parallel", "replicas")


class Finals(NamedTuple):
    """Which settings are measured, and what was foretold."""

    told: Foretold
    """Its figures are of the rows of `[[settings]]` that are measured."""
    foreseen: Foreseen


def finals(plan: PlanFile, *, varied: Sequence[str]) -> Finals:
    """The settings whose prediction lies inside the interval of the best one's, at most MOST_FINALISTS.

    UsageError for a setting that a prediction does not tell of, a model or card that it does not know, and where no
    setting is foretold to give anything.
    """
    card, goal = _card(plan.cells[0]), _goal(plan)
    figures, reasons = _figures(plan, card=card, varied=varied)
    if not figures:
        why = f": {reasons[0]}" if reasons else " at the service level"
        raise UsageError(f"--on predicted: no setting is foretold to give anything on {card.name}{why}")
    sign = 1 if goal == "usd_per_mtok" else -1
    order = sorted(figures, key=lambda name: sign * (figures[name].value or 0.0))
    best = figures[order[0]]
    near = [name for name in order if _is_inside(figures[name].value or 0.0, best, goal=goal)]
    kept = near[:MOST_FINALISTS]
    told = Foretold(
        gpu=card.name,
        settings=len(plan.cells),
        figures={name: float(f"{figures[name].value:.4g}") for name in kept},
    )
    foreseen = Foreseen(
        card=card.name,
        goal=goal,
        settings=len(plan.cells),
        best=order[0],
        figure=best,
        near=len(near),
        kept=len(kept),
        nothing=len(plan.cells) - len(figures),
    )
    return Finals(told, foreseen)


def _goal(plan: PlanFile) -> Goal:
    assert plan.tune is not None
    return plan.tune.goal


def _figures(plan: PlanFile, *, card: Gpu, varied: Sequence[str]) -> tuple[dict[str, Estimate], list[str]]:
    """What each row of settings is foretold to give, and why some give nothing."""
    level = service_level(plan)
    known: dict[tuple[Asked, Loads], RunSummary | Left] = {}
    figures: dict[str, Estimate] = {}
    reasons: list[str] = []
    for cell in plan.cells:
        if lacking := _lacking(cell, card):
            reasons.append(lacking)
            continue
        asked, loads = _asked(cell, gpu=card.key, varied=varied), _loads(cell)
        if (asked, loads) not in known:
            known[asked, loads] = _foretold(asked, loads, level)
        found = known[asked, loads]
        if isinstance(found, Left):
            reasons.append(found.detail)
            continue
        figure = goal_figure(found, level, goal=_goal(plan), rent_usd_per_h=cell.rent_usd_per_h)
        if figure.value is not None:
            figures[cell.names["settings"]] = figure
    return figures, reasons


def _lacking(cell: Cell, card: Gpu) -> str | None:
    """That a card has no such 16 bits as a setting says."""
    dtype = settings_table((cell.plan.launch or Launch()).settings).get("dtype")
    numbers = None if dtype is None else _KINDS["dtype"].get(dtype)
    return None if numbers is None or numbers in card.multiplies else f"it has no {numbers}"


def _is_inside(value: float, best: Estimate, *, goal: Goal) -> bool:
    low, high = best.ci95
    if goal == "usd_per_mtok":
        return high is None or value <= high
    return low is None or value >= low


def _card(cell: Cell) -> Gpu:
    name = None if cell.plan.hardware is None else cell.plan.hardware.gpu
    if name is None:
        raise UsageError("--on predicted needs --gpu, the card that it is predicted for, such as --gpu l40s")
    found = chosen_gpus((name,))
    if len(found) > 1:
        raise UsageError(f"--gpu {name}: is it {' or '.join(gpu.key for gpu in found)}? give one")
    return found[0]


def _loads(cell: Cell) -> Loads:
    settings = (cell.plan.launch or Launch()).settings
    return Loads(
        users=tuple(cell.plan.user_levels),
        replicas=settings.replicas or 1,
        routing=settings.routing or ROUND_ROBIN,
    ).checked()


def _foretold(asked: Asked, loads: Loads, level: ServiceLevel | None) -> RunSummary | Left:
    (found,) = predicted_curves(asked, asked.shape, loads, decide=level or ServiceLevel())
    return found


def _asked(cell: Cell, *, gpu: str, varied: Sequence[str]) -> Asked:
    """What a prediction of this setting is of; UsageError for what it would not tell of."""
    plan = cell.plan
    settings = settings_table((plan.launch or Launch()).settings)
    if plan.model is None or plan.engine is None:
        raise UsageError("--on predicted needs --engine and --model, as `breakeven predict` knows them")
    if plan.input_tokens is None or output_tokens(plan) is None:
        raise UsageError(
            "--on predicted needs --workload fixed or lengths, with --input-tokens and --output-tokens: "
            "a prediction is of requests of a length"
        )
    for name in varied:
        _check(name, settings.get(name))
    kinds = {name: _KINDS[name].get(settings[name]) for name in _KINDS if name in settings}
    return Asked(
        model=plan.model,
        gpus=(gpu,),
        engine=plan.engine,
        precision=None if (kept := kinds.get("quantization")) is None else str(kept),
        kv_bits=None if kinds.get("kv_cache_dtype") is None else 8,
        cards=int(settings.get("tensor_parallel") or 1),
        max_batch=None if "max_batch" not in settings else int(settings["max_batch"]),
        told=(plan.input_tokens, output_tokens(plan)),
    )


def _check(name: str, value: Setting | None) -> None:
    if name not in _KINDS and name not in _NUMBERS:
        known = ", ".join((*_NUMBERS, *_KINDS))
        raise UsageError(
            f"--on predicted: a prediction does not tell of {name}; it tells of {known}. Leave it out, or search "
            "without --on"
        )
    if name in _KINDS and value is not None and value not in _KINDS[name]:
        known = ", ".join(map(str, _KINDS[name]))
        raise UsageError(f"--on predicted: a prediction does not tell of {name}={value}; it tells of {known}")
