"""What a plan asks: its workload, made of the plan's settings."""

import secrets
from typing import Final

import msgspec

from breakeven.errors import UsageError
from breakeven.plan import Plan
from breakeven.session.defaults import output_tokens
from breakeven.workload import make_workload
from breakeven.workload.base import Workload
from breakeven.workload.sessions import Sessions
from breakeven.workload.trace import Trace

SALT_BITS: Final = 64


def workload_of(plan: Plan) -> Workload:
    """The workload; reads its file. UsageError where a setting is wrong or the file is no good."""
    workload = make_workload(plan.workload, workload_settings(plan))
    if isinstance(workload, Trace) and plan.is_replay and plan.duration_s is not None:
        workload.end_after(plan.duration_s)
    if isinstance(workload, Sessions) and plan.is_replay and arrivals_of(workload) is None:
        raise UsageError(f"{plan.file}: does not say when its sessions began; give --users N, so many at once")
    return workload


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


def arrivals_of(workload: Workload) -> tuple[float, ...] | None:
    """When the requests of a trace are due, or recorded sessions begin, in seconds from the first; None for others."""
    if isinstance(workload, Trace):
        return tuple(workload.arrivals_s().tolist())
    arrivals_s = workload.arrivals_s() if isinstance(workload, Sessions) else None
    return None if arrivals_s is None else tuple(arrivals_s)
