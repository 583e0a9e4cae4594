"""A whole run reads what the server's own stamps say: throughput, TTFT and TPOT, over a real socket."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.reference.truth import Stamps
from breakeven.store.folder import RunFolder
from commands import breakeven, run_folder

USERS, TOKENS = 20, 64
TTFT_S, ITL_S = 0.05, 0.01


class Truth(NamedTuple):
    """What the server's stamps say of the window."""

    tok_per_s: float
    ttft_s: float
    tpot_s: float


class Case(NamedTuple):
    """One run, and what was true of it."""

    level: dict[str, Any]
    truth: Truth

    def wrong(self) -> list[str]:
        """What the run reads wrong; empty where all is well."""
        level, truth = self.level, self.truth
        tok_per_s = level["output_tok_per_s"]["value"]
        ttft_s, tpot_s = (
            level["distributions"]["ttft_s"]["p50"]["value"],
            level["distributions"]["tpot_s"]["p50"]["value"],
        )
        found = []
        if abs(tok_per_s / truth.tok_per_s - 1) > 0.01:
            found.append(f"throughput {tok_per_s} instead of {truth.tok_per_s} tok/s")
        if not -1e-4 < ttft_s - truth.ttft_s < 0.002:
            found.append(f"TTFT {ttft_s} instead of {truth.ttft_s} s")
        if abs(tpot_s / truth.tpot_s - 1) > 0.005:
            found.append(f"TPOT {tpot_s} instead of {truth.tpot_s} s")
        return found


def truth_of(stamps: Stamps, *, open_s: float, close_s: float, tokens: int) -> Truth:
    """Throughput by write inside the window; medians over the whole answers that lie in it."""
    inside = (stamps.write_s >= open_s) & (stamps.write_s < close_s)
    writes = [stamps.writes_of(index) for index in range(len(stamps.arrival_s))]
    whole = [
        (arrival_s, own)
        for arrival_s, own in zip(stamps.arrival_s, writes, strict=True)
        if len(own) == tokens and open_s <= arrival_s and own[-1] <= close_s
    ]
    return Truth(
        tok_per_s=float(inside.sum()) / (close_s - open_s),
        ttft_s=float(np.median([own[0] - arrival_s for arrival_s, own in whole])),
        tpot_s=float(np.median([(own[-1] - own[0]) / (tokens - 1) for _, own in whole])),
    )


def measure(folder: Path, *, users: int = USERS, duration_s: float = 3, tokens: int = TOKENS) -> Case:
    """Measure the reference server with the real command."""
    with ReferenceServer(Settings(ttft_s=TTFT_S, itl_s=ITL_S)) as server:
        done = breakeven(
            *("run", "--url", server.url, "--model", "truth", "--users", users, "--duration", duration_s),
            *("--workload", "fixed", "--input-tokens", 64, "--output-tokens", tokens),
            *("--ramp", 0.5, "--warmup", 1.5, "--out", folder, "--json", "-"),
        )
        stamps = server.stamps()
    assert done.code == 0, done.err
    run = RunFolder.open(run_folder(folder))
    zero_s = run.host()["run"]["clock"]["zero_monotonic_s"]
    ((facts, _),) = run.levels()
    assert facts.open_s is not None
    assert facts.close_s is not None
    truth = truth_of(stamps, open_s=zero_s + facts.open_s, close_s=zero_s + facts.close_s, tokens=tokens)
    return Case(done.json["levels"][0], truth)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A run; a machine that stood still for a moment gets a second chance."""
    first = measure(tmp_path_factory.mktemp("first"))
    return measure(tmp_path_factory.mktemp("second")) if first.wrong() else first


def test_a_run_reads_what_the_servers_stamps_say(case: Case) -> None:
    assert case.wrong() == []


def test_the_configured_timings_give_the_expected_throughput(case: Case) -> None:
    expected = USERS * TOKENS / (TTFT_S + (TOKENS - 1) * ITL_S)
    assert case.level["output_tok_per_s"]["value"] == pytest.approx(expected, rel=0.03)
    assert (case.level["errors"], case.level["tokens_from"]) == (0, "usage")
