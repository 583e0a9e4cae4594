"""Other load generators at the reference server: each still takes our words, and its file still says what we read."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

pytestmark = pytest.mark.live

SCRIPT: Final = Path(__file__).resolve().parent.parent / "benchmarks" / "second_opinion.py"


def _row(tool: str, *, file: Path) -> dict[str, Any]:
    """What the comparison says of one tool at 5 users; skips with the reason where it cannot be installed."""
    words = ("--tools", tool, "--users", "5", "--waves", "4", "--json", str(file))
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)
    assert file.exists(), done.stderr
    row: dict[str, Any] = json.loads(file.read_text())["rows"][0]
    if (row["reason"] or "").startswith("not installed"):
        pytest.skip(f"{tool} is {row['reason']}")
    return row


@pytest.mark.parametrize("tool", ["vllm bench serve", "guidellm", "aiperf"])
def test_the_peer_reads_the_token_time_that_the_server_wrote(tool: str, tmp_path: Path) -> None:
    row = _row(tool, file=tmp_path / "opinion.json")
    assert row["reason"] is None
    assert row["truth"]["requests"] == row["requests"] == 20
    assert row["reading"]["tpot_mean_s"] == pytest.approx(row["truth"]["tpot_mean_s"], rel=0.2)
    assert row["reading"]["output_tok_per_s"] == pytest.approx(row["truth"]["output_tok_per_s"], rel=0.2)
    assert row["reading"]["ttft_p50_s"] >= row["truth"]["ttft_p50_s"]
