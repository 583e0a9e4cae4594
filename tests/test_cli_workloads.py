"""Workloads through the real command: what a user writes, and what the server is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.record import Record
from breakeven.store.folder import RunFolder
from commands import breakeven, run_folder

SHORT = ("--users", "2", "--warmup", "0.3", "--ramp", "0.1", "--duration", "0.7")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ReferenceServer(Settings(ttft_s=0.01, itl_s=0.002)) as server:
        yield server.url


def records(out: Path) -> list[Record]:
    return [record for _, found in RunFolder.open(run_folder(out)).levels() for record in found]


def test_pairs_of_lengths_are_drawn_from_a_file(url: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("input,output\n40,5\n60,9\n")
    words = ("run", "--url", url, "--workload", "lengths", "--input-tokens", f"file:{pairs}", *SHORT)
    done = breakeven(*words, "--out", tmp_path / "runs", "--json", "-")
    assert done.code == 0, done.err
    assert done.json["run"]["settings"]["output_tokens"] is None
    asked = {
        (record.asked_input_tokens, record.asked_output_tokens) for record in records(tmp_path / "runs") if record.k
    }
    assert asked == {(40, 5), (60, 9)}
