"""Real containers: llama.cpp in an image that is built here, run by podman, which speaks docker's command line.

Skipped with its reason where containers cannot be run (tests/podman.py).
tests/test_launch_docker.py holds the exact words against a stand-in.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from breakeven.launch.models import fetch_embedded_model
from commands import breakeven, finish, heard, start
from podman import IMAGE, Containers
from waiting import comes_true

pytestmark = pytest.mark.live

PLAN: Final = """engine = "llamacpp"
model = "{model}"
users = [1, 2]
requests = 4
output_tokens = 8
warmup_s = 0.5
ramp_s = 0.1
[launch]
via = "docker"
image = "{image}"
docker_args = []
[launch.settings]
served_name = "smollm2"
context_tokens = 512
max_batch = 4
"""


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    found = Containers(tmp_path_factory.mktemp("containers"))
    yield found
    for name in found.ours():
        found.docker("rm", "--force", name)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.format(model=fetch_embedded_model(), image=IMAGE))
    return path


def the_run(out: Path) -> Path:
    (found,) = out.iterdir()
    return found


def engine_of(out: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((the_run(out) / "host.json").read_text())["engine"]
    return found


def test_an_engine_in_a_container_is_started_measured_and_removed(
    tmp_path: Path, containers: Containers, plan: Path
) -> None:
    done = breakeven("run", plan, "--out", tmp_path / "runs", "--json", "-", env=containers.environment)
    assert done.code == 0, done.err
    assert [level["errors"] for level in done.json["levels"]] == [0, 0]
    assert all(level["output_tok_per_s"]["value"] > 0 for level in done.json["levels"])
    engine = engine_of(tmp_path / "runs")
    assert (engine["via"], engine["name"], engine["image"]) == ("docker", "llamacpp", IMAGE)
    assert engine["image_pinned"].startswith(f"{IMAGE}@sha256:")
    assert engine["start_s"] > 0
    assert "serving http://0.0.0.0:" in (the_run(tmp_path / "runs") / "engine.log").read_text()
    assert containers.ours() == []


def test_no_container_is_left_after_kill_9_of_us(tmp_path: Path, containers: Containers, plan: Path) -> None:
    process = start("run", plan, "--out", tmp_path / "runs", env=containers.environment)
    heard(process, "ready in")
    assert len(containers.ours()) == 1
    process.kill()
    finish(process)
    assert comes_true(lambda: containers.ours() == [], within_s=30)


def test_an_interrupt_keeps_what_was_measured_and_removes_the_container(
    tmp_path: Path, containers: Containers, plan: Path
) -> None:
    plan.write_text(plan.read_text().replace("requests = 4", "duration_s = 60"))
    process = start("run", plan, "--out", tmp_path / "runs", env=containers.environment)
    heard(process, "measuring")
    process.send_signal(2)
    assert finish(process).code == 130
    assert containers.ours() == []


def test_a_container_of_somebody_else_under_our_old_name_is_left_alone(
    tmp_path: Path, containers: Containers, plan: Path
) -> None:
    theirs = "breakeven-llamacpp-8080"
    containers.docker("run", "--detach", "--name", theirs, "--entrypoint", "/bin/sleep", IMAGE, "300")
    try:
        done = breakeven("run", plan, "--out", tmp_path / "runs", env=containers.environment)
        assert done.code == 0, done.err
        assert containers.ours() == [theirs]
    finally:
        containers.docker("rm", "--force", "--time", "0", theirs)


def test_a_container_that_ends_is_explained_by_the_end_of_its_log(
    tmp_path: Path, containers: Containers, plan: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    plan.write_text(PLAN.format(model=broken, image=IMAGE))
    done = breakeven("run", plan, "--out", tmp_path / "runs", env=containers.environment)
    assert done.code == 1
    assert "before it was ready: the model is not found or not readable" in done.line()
    assert "broken.gguf" in done.err
    assert containers.ours() == []


def test_an_image_that_nobody_has_is_one_line(tmp_path: Path, containers: Containers, plan: Path) -> None:
    plan.write_text(PLAN.format(model=fetch_embedded_model(), image="localhost/breakeven-test-nowhere"))
    done = breakeven("run", plan, "--out", tmp_path / "runs", env=containers.environment)
    assert done.code == 1
    assert "docker cannot fetch localhost/breakeven-test-nowhere: " in done.line()


def test_the_list_of_engines_names_the_version(containers: Containers) -> None:
    done = breakeven("engines", "--json", "-", env=containers.environment)
    assert done.json["docker"]["version"], done.json["docker"]
