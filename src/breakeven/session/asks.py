"""What a plan asks: its workload, made of the plan's settings."""

import secrets
from typing import Final

import msgspec

from breakeven.errors import UsageError
from breakeven.plan import Plan
from breakeven.session.defaults import output_tokens
from breakeven.workload import make_workload
from breakeven.workload.base import Workload

SALT_BITS: Final = 64


def workload_of(plan: Plan) -> Workload:
    """The workload; reads its file. UsageError where a setting is wrong or the file is no good."""
    workload = make_workload(plan.workload, workload_settings(plan))
    if plan.is_replay and plan.duration_s is not None:
        workload.end_after(plan.duration_s)
    _check_recorded(workload, plan)
    return workload


def _check_recorded(workload: Workload, plan: Plan) -> None:
    """It can be played as the plan says; UsageError where it has no times, or fewer sessions than wanted at once."""
    if plan.is_replay and workload.arrivals_s() is None:
        raise UsageError(f"{plan.file}: does not say when its sessions began; give --users N, so many at once")
    has, most = len(workload.turn_counts()), max(plan.user_levels)
    if plan.users is not None and plan.plays_whole and most > has:
        raise UsageError(
            f"--users {most}: {plan.file} has {has} sessions to play; give at most --users {has}, or --duration, and "
            "the file goes round"
        )


def workload_settings(plan: Plan) -> dict[str, object]:
    """All that the workload is told, defaults filled in; equal settings make equal workloads."""
    return {
        "input_tokens": plan.input_tokens,
        "output_tokens": output_tokens(plan),
        "seed": plan.seed,
        "path": plan.file,
        **plan.options,
    }


def run_salt(plan: Plan) -> int:
    """What all nonces and shared texts of a run come from: the option `salt` where it is given, else drawn."""
    given = plan.options.get("salt")
    return (
        secrets.randbits(SALT_BITS) if given is None else msgspec.convert(given, int, strict=False) % (1 << SALT_BITS)
    )
