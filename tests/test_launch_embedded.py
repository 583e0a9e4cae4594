"""The real embedded engine: it serves, it is told what it should be, and it is never left behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from breakeven.errors import RunFailedError, UsageError
from breakeven.launch.embedded import MAX_SLOTS, start_embedded
from breakeven.launch.health import health_probe, local_get
from breakeven.launch.launched import Launched
from breakeven.launch.models import EMBEDDED, fetch_embedded_model, sha256_of

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.engine

PARENT = """
import sys, time
from pathlib import Path
from breakeven.launch.embedded import start_embedded
engine = start_embedded(slots=1, model_path=Path(sys.argv[1]), log_path=Path(sys.argv[2]))
print(engine.pid, flush=True)
time.sleep(60)
"""


def get_json(engine: Launched, path: str) -> Any:
    body = local_get(engine.url + path)
    assert body is not None
    return json.loads(body)


def post_json(engine: Launched, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(engine.url + path, json.dumps(body).encode())
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.loads(answer.read())


def running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def gone(pids: list[int], *, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while any(map(running, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(running, pids))


def test_the_model_is_the_pinned_one(embedded_engine: Launched) -> None:
    path = fetch_embedded_model()
    assert path.stat().st_size == EMBEDDED.size_bytes
    assert sha256_of(path) == EMBEDDED.sha256


def test_it_starts_in_seconds_and_answers_a_chat(embedded_engine: Launched) -> None:
    assert 0 < embedded_engine.start_s < 60
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8, "ignore_eos": True}
    answer = post_json(embedded_engine, "/v1/chat/completions", body)
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"]


def test_it_says_its_model_version_and_settings(embedded_engine: Launched) -> None:
    assert get_json(embedded_engine, "/v1/models")["data"][0]["id"] == embedded_engine.model
    assert embedded_engine.model == "SmolLM2-135M-Instruct.Q4_1"
    assert (embedded_engine.version or "").startswith("xllamacpp 20")
    assert embedded_engine.settings["cache_prompt"] is False
    assert embedded_engine.settings["cache_ram_mib"] == 0
    assert psutil.Process(embedded_engine.pid).environ()["GOMP_SPINCOUNT"] == "1000"


def test_slots_and_their_context_are_as_told(embedded_engine: Launched) -> None:
    assert [slot["n_ctx"] for slot in get_json(embedded_engine, "/slots")] == [512] * 4
    assert embedded_engine.settings["slots"] == 4
    assert embedded_engine.settings["context_tokens_per_slot"] == 512


def test_a_repeated_prompt_is_computed_again(embedded_engine: Launched) -> None:
    prompt = "The quick brown fox jumps over the lazy dog. " * 8
    answers = [
        post_json(embedded_engine, "/v1/completions", {"prompt": prompt, "max_tokens": 1, "id_slot": 0})
        for _ in range(3)
    ]
    for answer in answers:
        assert answer["usage"]["prompt_tokens"] > 64
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
        assert answer["timings"]["prompt_n"] == answer["usage"]["prompt_tokens"]


def test_it_is_found_healthy_whatever_proxy_is_set(embedded_engine: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert health_probe(embedded_engine.url, health_path="/health")()
    assert health_probe(embedded_engine.url, health_path=None)()
    assert not health_probe(embedded_engine.url, health_path="/no-such-page")()
    assert not health_probe("http://127.0.0.1:9", health_path="/health")()


def test_stop_ends_it_at_once_also_right_after_start(tmp_path: Path) -> None:
    model = fetch_embedded_model()
    engine = start_embedded(
        slots=1, threads=1, batch_tokens=64, micro_batch_tokens=128, model_path=model, log_path=tmp_path / "log"
    )
    found = [engine.settings[name] for name in ("threads", "batch_tokens", "micro_batch_tokens")]
    assert found == [1, 64, 64]  # a batch is never cut into parts larger than itself
    start = time.monotonic()
    engine.stop()
    assert time.monotonic() - start < 4
    assert gone([engine.pid], within_s=0)


def test_nothing_is_left_after_kill_9_of_the_client(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PARENT, str(fetch_embedded_model()), str(tmp_path / "log")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        engine = int(parent.stdout.readline())
        guard = psutil.Process(engine).ppid()
        parent.kill()
    assert gone([engine, guard], within_s=10)


def test_it_ends_when_its_guard_is_killed(tmp_path: Path) -> None:
    engine = start_embedded(slots=1, model_path=fetch_embedded_model(), log_path=tmp_path / "log")
    os.kill(psutil.Process(engine.pid).ppid(), signal.SIGKILL)
    assert gone([engine.pid], within_s=10)
    engine.stop()


def test_a_context_below_the_least_is_raised_and_slots_above_the_most_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakeven.launch.embedded.MAX_SLOTS", 2)
    path = fetch_embedded_model()
    with start_embedded(slots=3, context_per_slot=64, model_path=path, log_path=tmp_path / "log") as engine:
        assert [slot["n_ctx"] for slot in get_json(engine, "/slots")] == [512, 512]
    assert MAX_SLOTS == 256


def test_a_model_that_is_none_is_explained(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"junk")
    with pytest.raises(RunFailedError, match="the embedded engine ended with code 1 before it was ready: the model is"):
        start_embedded(slots=1, model_path=tmp_path / "broken.gguf", log_path=tmp_path / "log")


def test_no_slots_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="slots: 0 is no number of slots"):
        start_embedded(slots=0, model_path=tmp_path / "m.gguf", log_path=tmp_path / "log")
