"""Engines by their own command lines: found on PATH, told what to do, asked for health and version."""

import socket
import sys
from pathlib import Path

import pytest

from breakeven.engine.base import EngineSettings
from breakeven.engine.llamacpp import Llamacpp
from breakeven.errors import RunFailedError, UsageError
from breakeven.launch.engines import ask_version, free_port, free_ports
from breakeven.launch.launched import Launched
from breakeven.launch.start import start
from breakeven.serving import Launch

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
    launch = Launch(settings=EngineSettings(served_name="m", prefix_caching=False), start_timeout_s=30)
    with start("vllm", "org/model", launch=launch, log_path=tmp_path / "log", environment={}) as engine:
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
        start("vllm", "org/model", launch=Launch(start_timeout_s=0.2), log_path=tmp_path / "log", environment={})


def test_an_engine_that_is_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunFailedError, match="lmdeploy: No such file or directory: the command is not found"):
        start("lmdeploy", "org/model", launch=Launch(), log_path=tmp_path / "log", environment={})


def test_an_unknown_engine_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no engine is called 'vlm'; did you mean 'vllm'"):
        start("vlm", "m", launch=Launch(), log_path=tmp_path / "log", environment={})


def test_ports_of_several_engines_are_all_different_and_none_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = free_ports(4, first=port - 1)
    assert len(set(found)) == 4
    assert port not in found


@pytest.mark.engine
def test_the_real_engine_says_a_version(embedded_engine: Launched) -> None:
    assert ask_version(Llamacpp, embedded_engine.url)
    assert ask_version(Llamacpp, f"http://127.0.0.1:{free_port()}") is None
