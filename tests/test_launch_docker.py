"""Engines in containers: the exact words to docker, the image by digest, and no container left behind.

Docker is stood in for by tests/fake_docker.py, so that these show what this program says and what it does with the
answers; tests/test_live_containers.py runs real containers.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.cli import main
from breakeven.engine.base import IMAGE_HOME
from breakeven.errors import RunFailedError, UsageError
from breakeven.launch.start import filled, start
from breakeven.serving import EngineSettings, Launch, launch_problem
from fake_docker import DIGEST, FakeDocker, fake_docker
from waiting import comes_true

PARENT = """
import sys, time
from pathlib import Path
import os
from breakeven.launch.start import start
from breakeven.serving import Launch
start("vllm", "org/m", launch=Launch(via="docker"), log_path=Path(sys.argv[1]), environment=os.environ)
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDocker]:
    for one in fake_docker(tmp_path):
        monkeypatch.setenv("PATH", f"{one.path}:{os.environ['PATH']}")
        yield one


def test_an_engine_is_started_in_a_container_by_its_digest_and_removed(
    tmp_path: Path, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("HF_TOKEN", "secret-value")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    settings = EngineSettings(served_name="m", context_tokens=4096)
    launch = Launch(via="docker", settings=settings, env={"A": "b"}, pass_env=("HTTPS_PROXY",), mounts=("/x:/y",))
    with start("vllm", "org/m", launch=launch, log_path=tmp_path / "log", environment=os.environ) as engine:
        (name,) = docker.containers()
        port = engine.url.rpartition(":")[2]
        assert re.fullmatch(rf"breakeven-vllm-{port}-[0-9a-f]{{8}}", name)
        assert engine.model == "m"
        assert engine.start_s > 0
    assert docker.containers() == []
    inspect = ["image", "inspect"]
    assert docker.calls() == [
        [*inspect, "vllm/vllm-openai:latest"],
        ["pull", "vllm/vllm-openai:latest"],
        [*inspect, "vllm/vllm-openai:latest"],
        [
            *("run", "--rm", "--name", name, "--gpus", "all", "--ipc=host"),
            *("--publish", f"127.0.0.1:{port}:{port}"),
            *("--volume", f"/home/someone/.cache/huggingface:{IMAGE_HOME}/.cache/huggingface", "--volume", "/x:/y"),
            *("--env", "HF_TOKEN", "--env", "A=b", "--env", "HTTPS_PROXY"),
            *("--entrypoint", "vllm", f"vllm/vllm-openai@{DIGEST}", "serve", "org/m"),
            *("--host", "0.0.0.0", "--port", str(port), "--served-model-name", "m", "--max-model-len", "4096"),
        ],
        ["rm", "--force", name],
    ]
    assert engine.facts["image_pinned"] == f"vllm/vllm-openai@{DIGEST}"
    assert engine.facts["image_pull_s"] > 0
    assert "secret-value" not in json.dumps([engine.argv, engine.settings, dict(engine.facts)])


def test_a_model_that_lies_here_goes_in_as_a_folder_that_cannot_be_written(tmp_path: Path, docker: FakeDocker) -> None:
    (tmp_path / "weights").mkdir()
    launch = Launch(via="docker", docker_args=("--ipc=host",), image="own/image:1")
    with start("vllm", str(tmp_path / "weights"), launch=launch, log_path=tmp_path / "log", environment=os.environ):
        run = next(words for words in docker.calls() if words[0] == "run")
    assert run[run.index("--volume") + 1] == f"{tmp_path / 'weights'}:/model:ro"
    assert run[run.index("serve") - 1 : run.index("serve") + 2] == [f"own/image@{DIGEST}", "serve", "/model"]
    assert "--gpus" not in run


def test_a_container_of_somebody_else_is_left_alone(tmp_path: Path, docker: FakeDocker) -> None:
    """`docker rm --force breakeven-vllm-8000` was called after a conflict with a name that was somebody else's."""
    theirs = "breakeven-vllm-8000"
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (docker.state / f"{theirs}.pid").write_text(str(sleeper.pid))
    with start("vllm", "org/m", launch=Launch(via="docker"), log_path=tmp_path / "log", environment=os.environ):
        assert len(docker.containers()) == 2
    assert docker.containers() == [theirs]
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


@pytest.mark.parametrize("word", ["--name", "--name=x", "--rm"])
def test_the_containers_name_and_its_end_are_ours(word: str) -> None:
    problem = launch_problem(Launch(via="docker", docker_args=(word, "x")))
    assert problem == "docker_args: --name and --rm are ours, so that no other container is removed"


def test_no_container_is_left_after_kill_9_of_the_client(tmp_path: Path) -> None:
    with FakeDocker(tmp_path, is_deaf=True) as docker:
        environment = {**os.environ, "PATH": f"{docker.path}:{os.environ['PATH']}"}
        argv = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
        with subprocess.Popen(argv, env=environment) as parent:
            assert comes_true((docker.state / "deaf").exists, within_s=20)
            assert len(docker.containers()) == 1
            parent.kill()
        # it does not listen to TERM, so docker's client is killed after 5 s and could not end it
        assert comes_true(lambda: docker.containers() == [], within_s=20)
        assert docker.calls()[-1][:2] == ["rm", "--force"]


def test_no_container_is_left_when_the_guard_is_killed(tmp_path: Path, docker: FakeDocker) -> None:
    psutil = pytest.importorskip("psutil")
    launch = Launch(via="docker")
    with start("vllm", "org/m", launch=launch, log_path=tmp_path / "log", environment=os.environ) as engine:
        psutil.Process(engine.pid).parent().kill()
        assert len(docker.containers()) == 1
    assert docker.containers() == []


def test_a_container_that_ends_is_explained_by_its_log(tmp_path: Path, docker: FakeDocker) -> None:
    with pytest.raises(RunFailedError) as caught:
        start(
            "vllm",
            "m",
            launch=Launch(via="docker", image="bad/oom:1"),
            log_path=tmp_path / "log",
            environment=os.environ,
        )
    assert str(caught.value).startswith("vllm ended with code 1 before it was ready: out of memory: ")
    assert "  torch.OutOfMemoryError: CUDA out of memory." in str(caught.value).splitlines()


def test_an_image_that_cannot_be_had_is_explained(tmp_path: Path, docker: FakeDocker) -> None:
    with pytest.raises(RunFailedError, match=r"cannot fetch no/image: .* pull access denied .*not yours to pull"):
        start(
            "vllm",
            "m",
            launch=Launch(via="docker", image="no/image"),
            log_path=tmp_path / "log",
            environment=os.environ,
        )


def test_without_docker_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunFailedError, match=r"docker is not found on PATH: install it, or .* --via process"):
        start("vllm", "m", launch=Launch(via="docker"), log_path=tmp_path / "log", environment=os.environ)


def test_a_variable_to_pass_on_must_be_set(tmp_path: Path) -> None:
    launch = Launch(via="docker", pass_env=("HF_TOKEN",))
    with pytest.raises(UsageError, match="pass_env: HF_TOKEN is not set"):
        start("vllm", "m", launch=launch, log_path=tmp_path / "log", environment={})


def test_variables_are_filled_in_but_no_secrets() -> None:
    assert filled("$A/${B}$$", {"A": "x", "B": "y"}) == "x/y$"
    with pytest.raises(UsageError, match=r"\$C: no such environment variable is set"):
        filled("$C", {})
    with pytest.raises(UsageError, match=r"\$HF_TOKEN would be stored"):
        filled("$HF_TOKEN", {"HF_TOKEN": "x"})
    with pytest.raises(UsageError, match=r"a \$ stands alone"):
        filled("5$", {})


def test_a_run_in_a_container_keeps_the_digest(
    tmp_path: Path, docker: FakeDocker, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--engine", "vllm", "--model", "m", "--via", "docker", "--users", "1", "--duration", "0.5"]
    words += ["--warmup", "0", "--ramp", "0", "--output-tokens", "8", "--out", str(tmp_path / "runs")]
    assert main(words) == 0
    (host,) = (tmp_path / "runs").glob("*-vllm-m/host.json")
    engine = json.loads(host.read_text())["engine"]
    assert (engine["via"], engine["image_pinned"]) == ("docker", f"vllm/vllm-openai@{DIGEST}")
    assert engine["start_s"] > 0
    assert docker.containers() == []


def test_the_engines_that_are_here_are_listed(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    python = docker.path / "python"
    python.symlink_to(sys.executable)
    for name, first in (("vllm", f"#!{sys.executable}"), ("llama-server", "#!/bin/sh\necho version: 4242; exit")):
        (docker.path / name).write_text(first + "\n")
        (docker.path / name).chmod(0o755)
    assert main(["engines", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    engines = {one["name"]: one for one in told["engines"]}
    assert told["docker"] == {"version": "99.1", "why_not": None}
    assert engines["llamacpp (embedded)"]["version"].startswith("xllamacpp ")
    assert engines["llamacpp"]["version"] == "version: 4242"
    assert (engines["vllm"]["command"], engines["vllm"]["version"]) == (str(docker.path / "vllm"), None)
    assert engines["lmdeploy"]["command"] is None
    assert engines["lmdeploy"]["why_not"] == "lmdeploy is not found on PATH"
    assert engines["sglang"]["image"] == "lmsysorg/sglang:latest"
    assert main(["engines"]) == 0
    assert "--via docker: docker 99.1" in capsys.readouterr().out


def test_a_python_package_is_asked_for_its_version_where_its_command_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "site/vllm-1.2.3.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 1.2.3\n")
    command = tmp_path / "vllm"
    command.write_text(f"#!{sys.executable}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["engines", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["version"] for one in told["engines"] if one["name"] == "vllm"] == ["1.2.3"]
    assert told["docker"]["why_not"] == "docker is not found on PATH"
