"""Runs sent to a real MLflow server: its own client finds every figure there, and every request among its traces."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breakeven.app.runs import read_run
from breakeven.launch.engines import free_port
from breakeven.store.folder import RunFolder
from commands import breakeven

pytestmark = pytest.mark.live

MEASURED = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm" / "smollm2-135m-vllm-chat"
WORDS = ("-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; skips where MLflow is not installed (pip install mlflow)."""
    pytest.importorskip("mlflow.server", reason="MLflow is not installed: pip install mlflow")
    home = tmp_path_factory.mktemp("mlflow")
    url = f"http://127.0.0.1:{(port := free_port())}"
    words = (*WORDS, "--port", str(port), "--backend-store-uri", f"sqlite:///{home}/mlflow.db")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *words, "--artifacts-destination", str(home / "artifacts")], stdout=log, stderr=log
        )
        try:
            _wait(f"{url}/health", process)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(240):
        assert process.poll() is None
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("MLflow did not answer within two minutes")


def _client(url: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=url)


def test_a_run_is_one_run_with_every_figure_of_every_level(server: str) -> None:
    done = breakeven("export", MEASURED, "--as", "mlflow", "--to", server)
    assert done.code == 0, done.err
    client, run = _client(server), read_run(MEASURED)
    [found] = client.search_runs([client.get_experiment_by_name("breakeven").experiment_id])
    assert found.info.run_name == run.run.id
    assert found.info.status == "FINISHED"
    assert found.data.params["model"] == "SmolLM2-135M-Instruct"
    assert found.data.params["engine_version"] == "0.32.0"
    for name, of in (("output_tok_per_s", None), ("ttft_s_p99", "p99"), ("tpot_s_mean", "mean")):
        kept = [(one.step, one.value) for one in client.get_metric_history(found.info.run_id, name)]
        told = [
            (
                level.users,
                level.output_tok_per_s.value if of is None else level.of(name.rpartition("_")[0]).at(of).value,
            )
            for level in run.levels
        ]
        assert sorted(kept) == sorted(one for one in told if one[1] is not None)
    assert [one.path for one in client.list_artifacts(found.info.run_id)] == ["summary.json"]


def test_its_receiver_of_traces_takes_every_request(server: str) -> None:
    """It wants spans alone, and the experiment that they belong to in a header."""
    client = _client(server)
    experiment = client.create_experiment("traces")
    env = {"OTEL_EXPORTER_OTLP_HEADERS": f"x-mlflow-experiment-id={experiment}"}
    done = breakeven("export", MEASURED, "--as", "otlp", "--to", server, env=env)
    assert done.code == 0, done.err
    sent = sum(record.sent_s is not None for _, records in RunFolder(MEASURED).levels() for record in records)
    assert done.out.startswith(f"sent {sent} spans and 0 figures to {server}")
    traces = client.search_traces(locations=[experiment], max_results=500)
    assert len(traces) == min(sent, 500)
    span = traces[0].data.spans[0]
    assert span.name == "chat SmolLM2-135M-Instruct"
    assert span.attributes["breakeven.status"] in ("done", "cut")


def test_a_server_that_is_not_there_is_one_line() -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow")
    done = breakeven("export", MEASURED, "--as", "mlflow", "--to", f"http://127.0.0.1:{free_port()}")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "does not take the run" in done.err
