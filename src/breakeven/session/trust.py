"""Asks before a plan in somebody else's folder is followed: it may start programs and send what is the user's."""

import sys
from collections.abc import Iterable
from pathlib import Path

from breakeven.errors import UsageError, one_line
from breakeven.plan import Plan, plan_table
from breakeven.store.mark import has_mark


def ask_for_trust(path: Path, plans: Iterable[Plan], *, is_trusted: bool) -> None:
    """Ask before a foreign plan is resumed; UsageError where nobody can be asked, or the answer is no."""
    does = list(dict.fromkeys(deed for plan in plans for deed in _deeds(plan)))
    if is_trusted or not does or has_mark(path):
        return
    told = f"{path} was not begun by you on this machine, and its plan {'; it '.join(does)}"
    if not sys.stdin.isatty():
        raise UsageError(f"{told}; look at it, then give --trust too")
    print(f"breakeven: {told}", file=sys.stderr)
    print("go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError(f"{path} is not resumed")


def _deeds(plan: Plan) -> list[str]:
    """What of a plan can do harm: programs that it starts, variables and files that it sends."""
    table = plan_table(plan)
    sends = [name for key, value in table.items() if key.endswith("_env") for name in _names(value)]
    found = [f"starts {plan.engine} ({_command(plan)})"] if plan.url is None and not plan.is_embedded else []
    if plan.is_embedded and plan.model is not None:
        found = [f"loads the model {one_line(plan.model, limit=80)}"]
    found += [f"sends the variable {one_line(name, limit=60)} to {one_line(str(plan.url), limit=80)}" for name in sends]
    if plan.file is not None:
        found.append(f"sends what is in {one_line(str(plan.file), limit=80)}")
    return found


def _names(value: object) -> list[str]:
    return [str(name) for name in value.values()] if isinstance(value, dict) else [str(value)]


def _command(plan: Plan) -> str:
    launch = plan.launch
    if launch is None or launch.via == "process":
        words = () if launch is None else launch.command or ()
        return one_line(" ".join(words), limit=120) or "its own command"
    return f"container image {one_line(launch.image or 'of its own', limit=80)}"
