"""A fleet plan and a study become job files that the grids themselves accept."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from breakeven.errors import UsageError
from breakeven.fleet.job import Job
from breakeven.fleet.jobs.plan import read_fleet_plan
from breakeven.fleet.jobs.render import TARGETS, job_file, target
from breakeven.fleet.jobs.task import Task, fleet_task, new_jobs
from breakeven.fleet.jobs.yaml import to_yaml
from commands import breakeven
from live import python_with

ROOT = Path(__file__).parent.parent
GRID, ARTICLE = ROOT / "examples/grid/fleet.toml", ROOT / "examples/article/plan.toml"
GRIDS = [name for name in TARGETS if name != "local"]
"""Those that start an engine's container."""
SCHEMA = ROOT / "tests/data/nosana_job_schemas.json"


def a_task() -> Task:
    plan = read_fleet_plan(GRID.read_text(), where="plan.toml")
    job = Job(id="grid-a1b2c3-0001", template=plan.job.template, seed="5eed")
    return fleet_task(plan, job, plan.nodes[0])


def rendered(to: str, plan: Path, out: Path) -> list[Path]:
    done = breakeven("fleet", "render", "--to", to, plan, "--out", out)
    assert done.code == 0, done.err
    return sorted((out / "files").iterdir())


@pytest.mark.parametrize("name", GRIDS)
def test_every_target_says_engine_seed_limits_and_card(name: str) -> None:
    file, text = job_file(target(name), a_task())
    told = yaml.safe_load(text)
    assert file.startswith("grid-a1b2c3-0001.")
    assert told == target(name).document(a_task())
    for said in ("vllm/vllm-openai:v0.10.2", "Qwen/Qwen2.5-7B-Instruct", "8192", "5eed", "grid-a1b2c3-0001"):
        assert said in text, said
    assert any(card in text for card in ("4090", "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"))
    assert any(limit in text for limit in ("3600", '"timeout": 60'))


@pytest.mark.parametrize("name", GRIDS)
def test_no_target_writes_down_the_value_of_a_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghij0123456789")
    monkeypatch.setenv("BREAKEVEN_RESULT_KEY", "a-key-of-ours")
    _, text = job_file(target(name), a_task())
    assert "hf_abcdefghij" not in text
    assert "a-key-of-ours" not in text


def test_each_node_has_a_job_and_a_seed_of_its_own(tmp_path: Path) -> None:
    files = rendered("nosana", GRID, tmp_path / "grid")
    bodies = [json.loads(file.read_text()) for file in files]
    jobs = [json.loads(file.read_text()) for file in sorted((tmp_path / "grid" / "jobs").iterdir())]
    assert len(files) == 10
    assert len({job["seed"] for job in jobs}) == 10
    assert [body["idempotency_key"] for body in bodies] == [job["id"] for job in jobs]
    assert {body["strategy"] for body in bodies} == {"SIMPLE"}


def test_rendering_again_changes_nothing_and_another_plan_is_refused(tmp_path: Path) -> None:
    first = {file.name: file.read_bytes() for file in rendered("nosana", GRID, tmp_path / "grid")}
    assert {file.name: file.read_bytes() for file in rendered("nosana", GRID, tmp_path / "grid")} == first
    other = tmp_path / "other.toml"
    other.write_text(GRID.read_text().replace("count = 10", "count = 2"))
    done = breakeven("fleet", "render", "--to", "nosana", other, "--out", tmp_path / "grid")
    assert done.code == 2
    assert "the folder of another fleet" in done.line()


@pytest.mark.parametrize(
    ("name", "field"), [("nosana", "schedule"), ("dstack", "schedule"), ("kubernetes", "schedule"), ("skypilot", None)]
)
def test_repeats_are_scheduled_where_the_grid_can(tmp_path: Path, name: str, field: str | None) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(GRID.read_text().replace("# cron", "cron"))
    done = breakeven("fleet", "render", "--to", name, plan, "--out", tmp_path / "grid")
    if field is None:
        assert (done.code, "no schedule" in done.line()) == (2, True)
        return
    text = next((tmp_path / "grid" / "files").iterdir()).read_text()
    assert field in text
    assert "0 3 * * 0" in text


@pytest.mark.parametrize("name", ["skypilot", "dstack"])
def test_every_cell_of_the_article_is_a_task_on_its_own_card(tmp_path: Path, name: str) -> None:
    told = [yaml.safe_load(file.read_text()) for file in rendered(name, ARTICLE, tmp_path / "article")]
    assert len(told) == 4
    text = json.dumps(told)
    for said in ("RTX4090", "A100", "vllm/vllm-openai", "openmmlab/lmdeploy", "END_OF_PLAN"):
        assert said in text, said
    assert 'via = \\"docker\\"' not in text.replace("\\\\", "\\")


def test_the_plan_inside_a_cell_is_the_cell_and_starts_its_engine_by_its_command(tmp_path: Path) -> None:
    file = rendered("skypilot", ARTICLE, tmp_path / "article")[0]
    script = yaml.safe_load(file.read_text())["run"]
    body = script.split("<<'END_OF_PLAN'\n")[1].split("END_OF_PLAN")[0]
    plan = tmp_path / "cell.toml"
    plan.write_text(body)
    done = breakeven("run", plan, "--dry-run")
    assert done.code == 0, done.err
    assert "vllm serve meta-llama/Llama-3.1-8B-Instruct" in done.out


def test_a_study_on_nosana_goes_to_the_markets_of_its_cards(tmp_path: Path) -> None:
    told = [json.loads(file.read_text()) for file in rendered("nosana", ARTICLE, tmp_path / "article")]
    markets = {one["market"] for one in told}
    assert markets == {"97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf", "GLJHzqRN9fKGBsvsFzmGnaQGknUtLN1dqaFR8n3YdM22"}
    assert {op["args"]["entrypoint"][0] for one in told for op in one["job_definition"]["ops"]} == {"bash"}


def test_a_card_whose_label_nobody_knows_is_not_rendered_for_kubernetes(tmp_path: Path) -> None:
    done = breakeven("fleet", "render", "--to", "kubernetes", ARTICLE, "--out", tmp_path / "article")
    assert (done.code, "the label of a node with" in done.line()) == (2, True)
    assert not (tmp_path / "article").exists()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("count = 10", "count = 0", "count"),
        ('gpu = "RTX 4090"', 'gpo = "RTX 4090"', "gpo"),
        ("usd_per_h = 0.32", "", "max_usd: it needs the usd_per_h"),
        ("time_limit_s = 3600", "time_limit_s = 60", "time_limit_s: it is shorter"),
        ('engine = "vllm"', 'engine = "vlm"', "did you mean 'vllm'"),
        ('name = "grid"', 'name = "Grid; rm -rf"', "name"),
        ("users = [1, 5", "users = [1, 1", "stands twice"),
        ("[job]\n", '[job]\nenv = { API_KEY = "x" }\n', "would be stored"),
    ],
)
def test_a_plan_that_cannot_be_is_one_line(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in GRID.read_text()
    with pytest.raises(UsageError, match=why):
        read_fleet_plan(GRID.read_text().replace(old, new, 1), where="plan.toml")


@pytest.mark.parametrize(
    "value",
    [
        {"a": "yes", "b": "1e3", "c": "", "d": None, "e": True, "f": 0.5, "g": "2026-11-29", "h": "a: b"},
        [
            "- x",
            "# no comment",
            "\u2028",
            "tab\there",
            "it's",
            "%x",
            "end:",
            "line\n",
            "one\ntwo\n",
            " lead\n",
            "\n",
            "x\n\n",
        ],
        {"nested": [{"a": [1, [2, 3]], "b": {}}, [], "…"], "on": {"n": "0x1f", "12": "~"}},
    ],
)
def test_yaml_is_read_back_as_it_was(value: Any) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


@pytest.mark.parametrize("name", ["nosana", "kubernetes"])
def test_a_benchmark_in_a_container_of_its_own_needs_an_image(tmp_path: Path, name: str) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("".join(line for line in GRID.read_text().splitlines(True) if not line.startswith('image = "ghcr')))
    done = breakeven("fleet", "render", "--to", name, plan, "--out", tmp_path / "grid")
    assert done.code == 2
    assert "name its image in [job]" in done.line()


def test_local_is_told_the_words_and_starts_no_container(tmp_path: Path) -> None:
    files = rendered("local", ROOT / "examples/grid/local.toml", tmp_path / "here")
    told = [json.loads(file.read_text()) for file in files]
    assert [one["words"][:2] for one in told] == [["breakeven", "node"]] * 4
    assert [one["words"][-2:] == ["--threads", "1"] for one in told] == [False, False, False, True]
    done = breakeven("fleet", "render", "--to", "local", GRID, "--out", tmp_path / "grid")
    assert (done.code, "local starts no container" in done.line()) == (2, True)


def test_names_of_jobs_fit_every_grid() -> None:
    plan = read_fleet_plan(GRID.read_text().replace('"grid"', f'"{"g" * 29}"'), where="plan.toml")
    jobs = new_jobs(plan.fleet.name, plan.job.template, plan.nodes, place="dstack")
    assert max(len(job.id) for job in jobs) <= 41


def test_nosanas_own_schema_takes_the_definition(tmp_path: Path) -> None:
    import jsonschema  # type: ignore[import-untyped]

    # the published oneOf holds alternatives of which one contains the other
    schema = json.loads(SCHEMA.read_text().replace('"oneOf"', '"anyOf"'))
    checked = jsonschema.Draft202012Validator({**schema, "$ref": "#/components/schemas/JobDefinition"})
    body = target("nosana").document(a_task())
    assert list(checked.iter_errors(body["job_definition"])) == []
    broken = {**body["job_definition"], "ops": [{"type": "container/run", "id": 7, "args": {}}]}
    assert list(checked.iter_errors(broken))


SKYPILOT = "import sky, sys\nfor f in sys.argv[1:]: sky.Task.from_yaml(f)"
DSTACK = """
import sys, yaml
from dstack._internal.core.models.configurations import parse_apply_configuration
for f in sys.argv[1:]:
    parse_apply_configuration(yaml.safe_load(open(f)))
"""
CHECKS = {
    "skypilot": ("BREAKEVEN_SKYPILOT_PYTHON", "sky", SKYPILOT),
    "dstack": ("BREAKEVEN_DSTACK_PYTHON", "dstack", DSTACK),
}


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "plan"),
    [*((name, GRID) for name in CHECKS), ("skypilot", ARTICLE), ("dstack", ARTICLE)],
)
def test_the_grids_own_package_takes_the_files(tmp_path: Path, name: str, plan: Path) -> None:
    python = python_with(*CHECKS[name][:2])
    files = rendered(name, plan, tmp_path / "made")
    done = subprocess.run([python, "-c", CHECKS[name][2], *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
