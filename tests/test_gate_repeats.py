"""Gates on runs with repeats, through the real commands: what is judged is the repeats together."""

from pathlib import Path

import pytest

from breakeven.client.reference import ReferenceServer, Settings
from commands import LEVELS, finish, start

ASKS = ("--engine", "openai", "--users", "2", "--requests", "12", *LEVELS)


def served(itl_s: float) -> Settings:
    return Settings(ttft_s=0.01, ttft_sigma=0.2, itl_s=itl_s, noise=0.05, lengths="uniform:4,8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three repeats, two and one of a server, and three of one that is half as fast."""
    folder = tmp_path_factory.mktemp("runs")
    with ReferenceServer(served(0.01)) as fast, ReferenceServer(served(0.02)) as slow:
        begun = {
            name: start("run", "--url", url, *ASKS, "--repeats", repeats, "--out", folder / name)
            for name, url, repeats in (
                ("three", fast.url, 3),
                ("two", fast.url, 2),
                ("one", fast.url, 1),
                ("slow", slow.url, 3),
            )
        }
        for name, process in begun.items():
            done = finish(process)
            assert done.code == 0, (name, done.err)
    return {name: next((folder / name).iterdir()) for name in begun}


@pytest.mark.parametrize(
    ("reference", "candidate", "condition", "code", "strict_code", "says"),
    [
        ("three", "three", "tpot_p50 <= 3 * reference", 0, 0, ", 3 repeats: passed"),
        ("three", "three", "tpot_p50 <= 1 * reference", 0, 3, ", 3 repeats: undecided"),
        ("three", "slow", "tpot_p50 <= 1.2 * reference", 3, 3, ", 3 repeats: failed"),
        ("one", "slow", "tpot_p50 <= 1.2 * reference", 3, 3, ", 3 repeats against 1: failed"),
        ("one", "three", "tpot_p50 <= 1s", 0, 0, ", 3 repeats: passed"),
        ("three", "one", "tpot_p50 <= 1s", 0, 0, " ms): passed"),
        ("two", "two", "tpot_p50 <= 1 * reference", 0, 3, "2 repeats: undecided; two repeats tell little"),
    ],
)
def test_a_gate_judges_the_repeats_together(
    runs: dict[str, Path],
    reference: str,
    candidate: str,
    condition: str,
    code: int,
    strict_code: int,
    says: str,
) -> None:
    words = ("compare", runs[reference], runs[candidate], "--gate", condition)
    done, strict = finish(start(*words)), finish(start(*words, "--gate-strict"))
    assert (done.code, strict.code) == (code, strict_code), done.out + done.err
    assert says in done.out
    assert done.out == strict.out
