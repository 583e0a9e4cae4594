"""`breakeven node`: holds the time limit of the uniform job, and says what came of it in one line."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec
from msgspec.structs import replace

from breakeven.client.target import parse_url
from breakeven.clock import now_s
from breakeven.errors import UsageError, one_line
from breakeven.fleet.result import KEY_VARIABLE, NodeResult, result_line
from breakeven.session.node import NodeJob, first_result, outcome_of
from breakeven.session.run import check_plan

RESERVE_S: Final = 5.0
"""Kept of the time limit to end what runs and to speak, at most a fifth of it."""
_POLL_S: Final = 0.05
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def node(job: NodeJob) -> int:
    """Do the job in a process of its own and print its result; 0 where all of it was measured, else 1."""
    start_s = now_s()
    _check(job)
    with tempfile.TemporaryDirectory(prefix="breakeven-node-", ignore_cleanup_errors=True) as folder:
        result = _worked(job, Path(folder), start_s=start_s)
    result = replace(result, wall_s=now_s() - start_s)
    for line in (*flat_lines(result), fitting_line(result, key=os.environ.get(KEY_VARIABLE) or None)):
        print(line)
    sys.stdout.flush()
    return 0 if result.outcome == "done" else 1


def _check(job: NodeJob) -> None:
    try:
        msgspec.convert(msgspec.to_builtins(job), NodeJob)
    except msgspec.ValidationError as error:
        raise UsageError(f"--template and --job are names of letters, digits and ._:@/+-: {error}") from None
    if job.threads is not None and job.url is not None:
        raise UsageError("--threads: they are those of the embedded engine; leave them out with --url")
    if job.model is not None and job.url is None:
        raise UsageError("--model: it goes with --url; without it the embedded model is measured")
    if job.download_url is not None and not job.download_url.startswith(("http://", "https://")):
        raise UsageError("--download-url: it begins with http:// or https://")
    if job.seed is not None and len(job.seed) > 64:
        raise UsageError("--seed: it has 64 characters at most")
    if job.url is not None:
        parse_url(job.url)
    check_plan(job.plan())


def _worked(job: NodeJob, folder: Path, *, start_s: float) -> NodeResult:
    """What the work left behind when it ended, or was ended."""
    asked, kept = folder / "job.json", folder / "result.json"
    asked.write_bytes(msgspec.json.encode(job))
    first = first_result(job)
    reserve_s = min(RESERVE_S, job.time_limit_s / 5)
    words = (sys.executable, "-P", "-m", "breakeven.session.node", str(asked), str(kept), str(folder / "runs"))
    env = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    with _signals() as caught:
        work = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=sys.stderr.fileno(), env=env, start_new_session=True
        )
        why = None
        while work.poll() is None and why is None:
            time.sleep(_POLL_S)
            if caught:
                why = f"ended by {signal.Signals(caught[0]).name}"
            elif now_s() - start_s > job.time_limit_s - reserve_s:
                why = f"the time limit of {job.time_limit_s:g} s came first"
        _end(work, grace_s=0.6 * reserve_s)
    if why is None and work.returncode:
        code = work.returncode
        why = f"the work ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
    with contextlib.suppress(OSError, msgspec.DecodeError):
        first = replace(msgspec.json.decode(kept.read_bytes(), type=NodeResult), started=first.started)
    if why is None:
        return first
    known = (first.reason,) if first.reason not in (None, "levels are missing", "nothing was measured yet") else ()
    reason = one_line("; ".join((why, *known)), limit=200)
    return replace(first, outcome=outcome_of(job, first.levels), reason=reason)


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals to end that came."""
    caught: list[int] = []

    def catch(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, catch) for number in _ENDING}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(work: "subprocess.Popen[bytes]", *, grace_s: float) -> None:
    """TERM to the work's group so that it keeps what it has, KILL after `grace_s`; an engine's guard sees its end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(work.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            work.wait(grace_s)
    if work.stdin is not None:
        work.stdin.close()


def fitting_line(result: NodeResult, *, key: str | None) -> str:
    """The line of a result, without cautions where it would be too long with them."""
    try:
        return result_line(result, key=key)
    except ValueError:
        bare = replace(result, levels=tuple(replace(level, cautions=()) for level in result.levels))
        return result_line(bare, key=key)


def flat_lines(result: NodeResult) -> Iterator[str]:
    """The keys that Nosana's aggregates are named by, a line each; a figure that is not known has none."""
    for level in result.levels:
        for name, value in (
            ("tokens_per_second_mean", level.output_tok_per_s),
            ("gpu_wattage_avg", level.power_mean_w),
            ("gpu_temperature_avg", level.temperature_mean_c),
        ):
            if value is not None:
                yield f'"{result.template}.users_{level.users}_{name}":{value:.4f}'
    if result.bench is not None and result.bench.download_bit_per_s is not None:
        yield f'"{result.template}.download_speed_mbps":{result.bench.download_bit_per_s / 1e6:.4f}'
