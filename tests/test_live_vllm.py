"""Real vLLM on this machine's CPU, with real weights; it sets itself up, or is skipped with its reason."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from breakeven.engine.base import EngineSettings
from breakeven.engine.detect import engine_of
from breakeven.engine.idle import busy_requests, samples
from breakeven.engine.vllm import Vllm
from breakeven.launch.engines import ask_version, free_port
from breakeven.launch.health import health_probe, local_get
from breakeven.launch.process import start_process
from breakeven.record import Record
from breakeven.store.folder import RunFolder
from live import BENCHMARKS, Run, made

pytestmark = pytest.mark.live

MODEL: Final = "SmolLM2-135M-Instruct"
INPUT_TOKENS: Final = 64
OUTPUT_TOKENS: Final = 32
USERS: Final = (1, 4)
REQUESTS: Final = 8
SETTINGS: Final = EngineSettings(
    served_name=MODEL,
    context_tokens=2048,
    max_batch=32,
    dtype="bfloat16",
    prefix_caching=False,
    extra=("--enforce-eager",),
)


@pytest.fixture(scope="module")
def vllm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM serving the embedded engine's model, until the end of this file."""
    python, weights = made("vllm"), made("weights")
    port = free_port()
    words = Vllm.argv(str(weights), port=port, settings=SETTINGS)[len(Vllm.command) :]
    argv = [str(python), str(BENCHMARKS / "vllm_cpu.py"), "serve", *words]
    with start_process(argv, log_path=tmp_path_factory.mktemp("vllm") / "vllm.log", name="vLLM") as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_ready(health_probe(url, health_path=Vllm.health_path), timeout_s=300.0)
        yield url


@pytest.fixture(scope="module", params=["chat", "completions"])
def run(request: pytest.FixtureRequest, vllm_url: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A measurement of a few whole answers by the command that a user types, by both APIs."""
    return _measured(vllm_url, "--api", request.param, "--requests", str(REQUESTS), out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def cut_run(vllm_url: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A measurement whose levels end in the middle of answers."""
    return _measured(vllm_url, "--duration", "5s", out=tmp_path_factory.mktemp("runs"))


def _measured(url: str, *options: str, out: Path) -> Run:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "breakeven", "run", "--url", url, "--engine", "vllm", *options),
            *("--workload", "fixed", "--input-tokens", str(INPUT_TOKENS), "--output-tokens", str(OUTPUT_TOKENS)),
            *("--users", ",".join(map(str, USERS)), "--out", str(out), "--json", "-"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Run(json.loads(done.stdout), RunFolder.open(next(out.iterdir())))


def _answers(run: Run) -> list[Record]:
    """Every complete answer after each user's first, whose length is drawn."""
    records = [record for _, level in run.folder.levels() for record in level]
    return [record for record in records if record.status == "done" and record.k > 0]


def test_every_level_is_measured_without_an_error(run: Run) -> None:
    levels = run.summary["levels"]
    assert [level["users"] for level in levels] == list(USERS)
    assert [level["status"] for level in levels] == ["done", "done"]
    assert [level["errors"] for level in levels] == [0, 0]
    assert all(level["output_tok_per_s"]["value"] > 0 for level in levels)


def test_every_answer_has_exactly_the_length_that_was_asked_for(run: Run) -> None:
    answers = _answers(run)
    assert len(answers) >= REQUESTS * len(USERS)
    assert {record.output_tokens for record in answers} == {OUTPUT_TOKENS}
    assert {record.finish_reason for record in answers} == {"length"}


def test_every_prompt_has_the_length_that_was_asked_for_within_a_token(run: Run) -> None:
    lengths = {record.input_tokens for record in _answers(run)}
    assert None not in lengths
    assert all(abs(length - INPUT_TOKENS) <= 1 for length in lengths if length is not None)


def test_tokens_are_counted_by_the_servers_usage_however_many_chunks_there_are(run: Run) -> None:
    assert {level["tokens_from"] for level in run.summary["levels"]} <= {"usage", "mixed"}
    assert all(1 <= len(record.chunk_us) // 4 <= OUTPUT_TOKENS for record in _answers(run))


def test_more_users_get_more_tokens_in_sum(run: Run) -> None:
    one, four = (level["output_tok_per_s"]["value"] for level in run.summary["levels"])
    assert four > one


def test_no_caution_doubts_lengths_or_fields_or_caching_or_settling(run: Run) -> None:
    ids = {caution["id"] for level in run.summary["levels"] for caution in level["cautions"]}
    doubts = {"input_length", "output_length", "field_dropped", "cached_prompts", "carry_over", "first_request"}
    assert not ids & doubts
    assert not ids & {"errors", "nothing_but_errors", "not_streamed", "no_window"}


def test_chunks_that_are_not_tokens_are_said(run: Run) -> None:
    for facts, records in run.folder.levels():
        chunks = [len(record.chunk_us) // 4 for record in records if record.status == "done" and record.k > 0]
        said = {level["users"]: level["cautions"] for level in run.summary["levels"]}[facts.users]
        share = sum(chunks) / (len(chunks) * OUTPUT_TOKENS)
        assert ("inter_chunk" in {caution["id"] for caution in said}) or share > 0.95


def test_what_a_level_cut_is_gone_from_the_engine_before_the_next_level(cut_run: Run) -> None:
    assert [level["errors"] for level in cut_run.summary["levels"]] == [0, 0]
    for facts, records in cut_run.folder.levels():
        assert any(record.status == "cut" for record in records)
        assert facts.settled
        assert facts.settle_s is not None


def test_the_engines_own_metrics_say_when_it_is_idle(cut_run: Run, vllm_url: str) -> None:
    text = (local_get(vllm_url + "/metrics") or b"").decode()
    assert set(Vllm.running_metrics) <= {name for name, _ in samples(text)}
    assert busy_requests(text, Vllm.running_metrics) == 0


def test_its_version_is_the_one_that_is_installed(vllm_url: str) -> None:
    version = ask_version(Vllm, vllm_url)
    assert version is not None
    assert version.startswith("0.32.0")


def test_the_adapter_is_found_by_what_the_server_says(vllm_url: str) -> None:
    assert engine_of(json.loads(local_get(vllm_url + "/v1/models") or b"{}")) == "vllm"
