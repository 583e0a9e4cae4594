"""Engines by their own command lines: found on PATH, told what to do, asked for health and version."""

import sys
from pathlib import Path

import pytest

from breakeven.engine.base import EngineSettings
from breakeven.engine.llamacpp import Llamacpp
from breakeven.errors import RunFailedError, UsageError
from breakeven.launch.embedded import Launched
from breakeven.launch.engines import ask_version, free_port, start_engine

STAND_IN = f"""#!{sys.executable}
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

print("told", sys.argv[1:], flush=True)
started = time.monotonic()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        loading = self.path == "/health" and time.monotonic() < started + 0.4
        self.send_response(503 if loading else 200)
        self.end_headers()
        self.wfile.write(json.dumps({{"version": "0.32.0"}}).encode())

HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def vllm_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command `vllm` that takes vLLM's words, is unwell for 0.4 s and then says vLLM's version."""
    command = tmp_path / "bin/vllm"
    command.parent.mkdir()
    command.write_text(STAND_IN)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("vllm_on_path")
def test_an_installed_engine_is_started_and_asked_who_it_is(tmp_path: Path) -> None:
    settings = EngineSettings(served_name="m", prefix_caching=False)
    with start_engine("vllm", "org/model", settings=settings, log_path=tmp_path / "log", timeout_s=30) as engine:
        assert engine.start_s >= 0.4
        assert engine.version == "0.32.0"
        assert engine.model == "m"
        assert engine.engine == "vllm"
        assert engine.settings == {"served_name": "m", "prefix_caching": False}
        assert f"told {list(engine.argv[1:])}" in (tmp_path / "log").read_text()
    assert engine.process.exit_code() is not None


@pytest.mark.usefixtures("vllm_on_path")
def test_an_engine_that_does_not_come_up_is_explained(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match=r"vllm was not ready after 0\.2 s"):
        start_engine("vllm", "org/model", log_path=tmp_path / "log", timeout_s=0.2)


def test_an_engine_that_is_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunFailedError, match="lmdeploy: No such file or directory: the command is not found"):
        start_engine("lmdeploy", "org/model", log_path=tmp_path / "log")


def test_an_unknown_engine_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no engine is called 'vlm'; did you mean 'vllm'"):
        start_engine("vlm", "m", log_path=tmp_path / "log")


@pytest.mark.engine
def test_the_real_engine_says_a_version(embedded_engine: Launched) -> None:
    assert ask_version(Llamacpp, embedded_engine.url)
    assert ask_version(Llamacpp, f"http://127.0.0.1:{free_port()}") is None
