"""`breakeven predict --validate`: how wrong predictions were on what they had not seen, and whether intervals held."""

import sys
from collections.abc import Sequence
from pathlib import Path

from breakeven.app.printed import put_out
from breakeven.app.runs import read_run
from breakeven.engine import ENGINES
from breakeven.errors import UsageError
from breakeven.hardware import find_gpu, find_gpus, find_model
from breakeven.hardware.silicon import Kernels, is_installed, kernels
from breakeven.predict.calibrations import Tier
from breakeven.predict.coverage import Held, HeldByTier, anew, rows, shipped
from breakeven.predict.owntried import LEAST, own_tried
from breakeven.predict.validate import Setting
from breakeven.registry import load
from breakeven.report.validated import validated_text

SHIPPED = "from the shipped table of held-out points; --refit fits and predicts them all again, in a minute or two"
ANEW = "fitted now, without the points that are predicted"


def validate(
    *, model: str | None, gpus: Sequence[str], engine: str | None, runs: Sequence[str], refit: bool, json_to: str | None
) -> int:
    """Print both tables: held-out points of what is shipped, and with `runs` levels of those instead."""
    own = own_tried([read_run(Path(text)) for text in runs])
    if runs and not own:
        raise UsageError(
            f"--from: nothing to hold a prediction against: that takes closed loops without errors, of a card and a "
            f"model that are known, or {LEAST} numbers of users"
        )
    found = () if runs else rows(_held_out(refit=refit), _asked(model, gpus, engine))
    if not runs and not found:
        raise UsageError(
            "no shipped measurement is of that card, engine and model; `breakeven predict --validate` shows which are"
        )
    told = {"format": 1, "rows": found, "own": own}
    put_out(validated_text(found, own, how=ANEW if refit else SHIPPED), told=told, json_to=json_to)
    return 0


def _held_out(*, refit: bool) -> HeldByTier:
    """By kernels only where breakeven[silicon] is there, without which nothing is predicted by them."""
    if refit:
        return anew(known=_kernels if is_installed() else None, tell=_tell)
    return {tier: rows for tier, rows in shipped().items() if tier != "kernels" or is_installed()}


def _tell(tier: Tier, number: int, of: int) -> None:
    """How far it is, to whoever waits."""
    what = "asking for kernels of setting" if tier == "kernels" else f"held out as `{tier}`: fit"
    print(f"{what} {number} of {of}", file=sys.stderr, flush=True)


def _kernels(of: Setting) -> Kernels | None:
    return kernels(of.model, find_gpu(of.gpu), of.engine, cards=of.cards)


class _Asked:
    """Whether a point is of the named card, engine and model."""

    def __init__(self, model: str | None, gpus: frozenset[str], engine: str | None) -> None:
        self._model, self._gpus, self._engine = model, gpus, engine

    def __call__(self, one: Held) -> bool:
        point = one.point
        return (
            self._model in (None, point.model)
            and self._engine in (None, point.engine)
            and (not self._gpus or point.gpu in self._gpus)
        )


def _asked(model: str | None, gpus: Sequence[str], engine: str | None) -> _Asked:
    """UsageError where a name is not known."""
    if engine is not None:
        load("engine", ENGINES, engine)
    keys = frozenset(gpu.key for name in gpus for gpu in find_gpus(name))
    return _Asked(None if model is None else find_model(model).key, keys, engine)
