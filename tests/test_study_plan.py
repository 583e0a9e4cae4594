"""Plan files: which cells they mean, in which order, how long, and what is wrong in which line."""

from pathlib import Path

import pytest
import tomli_w

from breakeven.app.dry_run import dry_run_text
from breakeven.cli import main
from breakeven.errors import UsageError
from breakeven.plan import Plan, plan_table
from breakeven.serving import EngineSettings, Hardware, Launch
from breakeven.session.defaults import round_levels
from breakeven.session.launch import embedded_told
from breakeven.session.plan_file import PlanFile, understood
from breakeven.study.cells import Cell, cells, merged, only
from breakeven.study.estimate import turn_s
from breakeven.study.lines import line_of
from breakeven.study.order import turns
from breakeven.study.read import read_plan_file
from breakeven.study.types import SettingsRow, Study

EXAMPLES = Path(__file__).parents[1] / "examples"
MATRIX = """
[study]
repeats = 2
[[hardware]]
name = "a100"
gpu = "A100 80GB"
rent_usd_per_h = 3.6
[[hardware]]
name = "rtx4090"
gpu = "RTX 4090"
[[models]]
name = "llama"
model = "org/llama"
[[engines]]
name = "vllm"
[[engines]]
name = "lmdeploy"
[levels]
users = [1, 5]
duration_s = 300
"""


def study(text: str) -> Study:
    told = read_plan_file(text, where="plan.toml")
    assert isinstance(told, Study)
    return told


def names(text: str) -> list[str]:
    return [cell.name for cell in cells(study(text))]


def complaint(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        understood(text, where="plan.toml")
    return str(caught.value)


def a_cell(name: str) -> Cell:
    return Cell(name=name, names={}, plan=Plan(url="http://127.0.0.1:1"))


def test_cells_are_all_combinations_in_the_order_of_the_tables() -> None:
    assert names(MATRIX) == ["a100-llama-vllm", "a100-llama-lmdeploy", "rtx4090-llama-vllm", "rtx4090-llama-lmdeploy"]


def test_a_cell_is_a_plan_of_its_own() -> None:
    plan = cells(study(MATRIX))[0].plan
    assert (plan.engine, plan.model, plan.users, plan.duration_s, plan.repeats) == ("vllm", "org/llama", (1, 5), 300, 2)
    assert plan.hardware is not None
    assert (plan.hardware.gpu, plan.hardware.rent_usd_per_h) == ("A100 80GB", 3.6)


def test_an_exclude_takes_out_the_cells_that_have_all_its_names() -> None:
    text = MATRIX + '[[exclude]]\nhardware = "rtx4090"\nengine = "lmdeploy"\n'
    assert names(text) == ["a100-llama-vllm", "a100-llama-lmdeploy", "rtx4090-llama-vllm"]


def test_an_include_brings_back_what_an_exclude_took_and_says_more_of_it() -> None:
    text = MATRIX + '[[exclude]]\nengine = ["vllm", "lmdeploy"]\n[[include]]\nhardware = "a100"\nusers = [200]\n'
    assert [(cell.name, cell.plan.users) for cell in cells(study(text))] == [
        ("a100-llama-vllm", (200,)),
        ("a100-llama-lmdeploy", (200,)),
    ]


def test_an_include_says_where_one_cell_is_served() -> None:
    text = MATRIX + '[[include]]\nhardware = "a100"\nengine = "vllm"\nurl = "http://box:8000"\n'
    first, second, *_ = cells(study(text))
    assert (first.plan.url, first.plan.launch) == ("http://box:8000", None)
    assert second.plan.url is None


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('[[exclude]]\nengine = "vlm"', "no engine is called 'vlm'; did you mean 'vllm'?"),
        ("[[exclude]]", "it names nothing, so it would leave out every cell"),
        ('[[exclude]]\nhardware = ["a100", "rtx4090"]', "nothing is left to measure"),
        ('[[include]]\nworkload = "chat"', "no workload is called 'chat'"),
    ],
)
def test_a_rule_that_fits_nothing_is_an_error(rule: str, said: str) -> None:
    assert said in complaint(MATRIX + rule)


def test_only_keeps_the_cells_of_one_machine() -> None:
    kept = only(cells(study(MATRIX)), {"hardware": ("a100",)})
    assert [cell.name for cell in kept] == ["a100-llama-vllm", "a100-llama-lmdeploy"]
    with pytest.raises(UsageError, match="no hardware is called 'a10'; did you mean 'a100'"):
        only(kept, {"hardware": ("a10",)})


def test_settings_that_are_compared_go_before_the_engines_own() -> None:
    own = EngineSettings(dtype="bfloat16", max_batch=8, extra=("--eager",))
    row = SettingsRow(name="big", max_batch=64, extra=("--fast",))
    assert merged(own, row) == EngineSettings(dtype="bfloat16", max_batch=64, extra=("--eager", "--fast"))
    assert merged(own, None) == own


def test_rounds_go_forwards_and_backwards_so_that_linear_drift_cancels() -> None:
    found = [a_cell("a"), a_cell("b"), a_cell("c")]
    order = [turn.cell.name for turn in turns(found, repeats=2, order="interleaved", seed=0)]
    assert order == ["a", "b", "c", "c", "b", "a"]
    places = {name: [i for i, at in enumerate(order) if at == name] for name in "abc"}
    assert {sum(at) for at in places.values()} == {5}


def test_a_shuffle_has_every_cell_once_a_round_and_the_seed_gives_it_again() -> None:
    found = [a_cell(name) for name in "abcdefgh"]
    first, again, other = (turns(found, repeats=3, order="shuffled", seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    rounds = [[turn.cell.name for turn in first if turn.repeat == r] for r in range(3)]
    assert [sorted(one) for one in rounds] == [list("abcdefgh")] * 3
    assert rounds[0] != rounds[1]


def test_the_expected_time_is_start_and_ramp_and_warm_up_and_window_and_settling() -> None:
    cell = cells(study(MATRIX))[0]
    # start 120; 1 user: ramp 0.05, warm-up 2; 5 users: ramp 0.25, warm-up 4; each window 300, settling 2
    assert turn_s(cell.plan, round_levels(cell.plan, 0)) == pytest.approx(120 + 304.05 + 306.25)


def test_a_level_that_ends_by_count_has_no_expected_time() -> None:
    cell = cells(study(MATRIX.replace("duration_s = 300", "requests = 20")))[0]
    assert turn_s(cell.plan, round_levels(cell.plan, 0)) is None


def test_expected_cost_is_rent_times_time_and_unknown_without_a_rent() -> None:
    told = understood(MATRIX, where="plan.toml", wanted={"hardware": ("a100",)})
    # four turns of 730.3 s at $3.6/h
    assert "total   at most about 48m41s (0.81 h), $2.92 of rent" in dry_run_text(told)
    assert "cost not known" in dry_run_text(understood(MATRIX, where="plan.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[study]\n\n[[engines]]\nname = "vllm"\n[[workloads]]\nname = "a"\n[[workloads]]\nname = "b"\nthnk_s = 1\n',
            "plan.toml: line 9: unknown key 'thnk_s' in [[workloads]]; did you mean 'think_s'?",
        ),
        (
            '[[engines]]\nname = "vllm"\nsettings = { dtyp = "bfloat16" }\n',
            "plan.toml: line 3: unknown key 'dtyp' in settings of [[engines]]; did you mean 'dtype'?",
        ),
        (
            '[[engines]]\nname = "vllm"\n\n[engines.settings]\ncontext_tokens = "many"\n',
            "plan.toml: line 5: context_tokens: expected int | null, got str",
        ),
        ("[studdy]\n[[engines]]\n", "plan.toml: line 1: unknown key 'studdy'; did you mean 'study'?"),
        (
            '[study]\norder = "random"\n[[engines]]\nname = "x"\n',
            "plan.toml: line 2: order: invalid enum value 'random'",
        ),
        ('[levels]\nusers = [1, "x"]\n', "plan.toml: line 2: users: expected int, got str"),
        ("[[engines]]\nengine = 'vllm'\n", "plan.toml: line 1: [[engines]] lacks the key 'name'"),
        ("[study]\nrepeats = 2\n", "plan.toml: the plan lacks the key 'engines'"),
        ("users = [1]\nusrs = [2]\n", "plan.toml: line 2: unknown key 'usrs'; did you mean 'users'?"),
        ("users = [1, 1]\n", "plan.toml: line 1: users: 1 stands twice; each level is measured once"),
        ("users = [1\n[study]\n", "plan.toml: line 2: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    assert complaint(text).startswith(said)


def test_a_key_in_a_comment_or_another_table_is_not_the_line_meant() -> None:
    text = "# b = 1\n[[t]]\nb = 1\n[[t]]\n# b = 2\nx = { b = 3 }\n[u]\nb = 4\n"
    assert line_of(text, table=("t", 0), key="b") == 3
    assert line_of(text, table=("t", 1, "x"), key="b") == 6
    assert line_of(text, table=("u",), key="b") == 8
    assert line_of(text, table=("t", 1), key="absent") == 4
    assert line_of(text, table=(), key="absent") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("repeats = 2", "repeats = 0"), "repeats: 0 is too few"),
        (("repeats = 2", "max_hours = 0"), "max_hours: 0 holds nothing"),
        (("repeats = 2", "max_usd = 5"), "cell rtx4090-llama-vllm: max_usd needs the rent_usd_per_h of its hardware"),
        (('name = "lmdeploy"', 'name = "vllm"'), "[[engines]]: the name 'vllm' stands twice"),
        (('name = "lmdeploy"', 'name = "../x"'), "'../x' is no name"),
        (('name = "lmdeploy"', 'name = "lmdeplo"'), "no engine is called 'lmdeplo'; did you mean 'lmdeploy'?"),
        (('model = "org/llama"', ""), "engine 'vllm' has no model to load"),
        (('name = "lmdeploy"', 'name = "lmdeploy"\nurl = "http://x"\nvia = "docker"'), "runs at a URL already"),
        (('name = "lmdeploy"', 'name = "lmdeploy"\nenv = { HF_TOKEN = "x" }'), "HF_TOKEN would be stored"),
        (
            ('name = "lmdeploy"', 'name = "lmdeploy"\nsettings = { extra = ["--api-keys", "x"] }'),
            "--api-keys: it would",
        ),
        (('name = "lmdeploy"', 'name = "lmdeploy"\nimage = "x"'), 'image: it goes with via = "docker"'),
        (('gpu = "RTX 4090"', "power_w = 300"), "say with power_source where it is from"),
        (("users = [1, 5]", "users = [5, 5]"), "cell a100-llama-vllm: users: 5 stands twice"),
    ],
)
def test_a_study_that_cannot_be_is_found_before_anything_is_started(change: tuple[str, str], said: str) -> None:
    text = complaint(MATRIX.replace(*change))
    assert text.startswith("plan.toml: ")
    assert said in text


def test_the_embedded_engine_and_another_are_asked_for_the_same_lengths() -> None:
    text = '[[models]]\nname = "m"\nby_engine = { vllm = "x" }\n'
    text += '[[engines]]\nname = "llamacpp"\n[[engines]]\nname = "vllm"\n'
    assert "give it in [[workloads]]" in complaint(text)
    assert len(cells(study(text + '[[workloads]]\nname = "w"\noutput_tokens = 64\n'))) == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('dtype = "float16"', "no setting of the embedded engine is called 'dtype'"),
        ("options = { slot = 4 }", "did you mean 'slots'?"),
        ("options = { slots = 257 }", "slots: 257 cannot be; give the embedded engine a whole number from 1 to 256"),
        ("options = { threads = true }", "threads: True cannot be"),
        ("options = { slots = 2 }, max_batch = 2", "slots and max_batch: the two are one"),
        ('extra = ["--mlock"]', "the embedded engine has no command line"),
    ],
)
def test_what_the_embedded_engine_cannot_be_told_is_found_before_it_is_started(settings: str, said: str) -> None:
    assert said in complaint(f'[[engines]]\nname = "llamacpp"\nsettings = {{ {settings} }}\n')


def test_settings_of_the_embedded_engine_are_compared_like_any_others() -> None:
    text = '[[engines]]\nname = "llamacpp"\nsettings = { options = { threads = 2, slots = 8 } }\n'
    rows = '[[settings]]\nname = "one"\noptions = { threads = 1 }\n[[settings]]\nname = "two"\nmax_batch = 4\n'
    one = cells(study(text + rows))[0].plan
    assert one.is_embedded
    assert embedded_told(one) == {"slots": 8, "context_tokens": 512, "threads": 1}
    assert "slots and max_batch" in complaint(text + rows)


def test_the_plan_that_a_run_folder_stores_is_a_plan_file() -> None:
    plan = Plan(
        engine="vllm", model="m", users=(1, 2), launch=Launch(via="docker", env={"A": "b"}), hardware=Hardware()
    )
    single = understood(tomli_w.dumps(plan_table(plan)), where="plan.toml")
    assert single.head is None
    assert single.cells[0].plan == plan


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/plan.toml")), ids=lambda path: path.parent.name)
def test_every_example_can_be_run(path: Path) -> None:
    assert main(["plan", "check", str(path)]) == 0


def test_the_articles_matrix_says_exact_commands_and_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(EXAMPLES / "article/plan.toml"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "study article: 4 cells, 3 rounds, interleaved, 60 levels in all" in said
    for words in (
        "docker run --rm --name breakeven-vllm-8000-RUN --gpus all --ipc=host --publish 127.0.0.1:8000:8000",
        (
            "--env HF_TOKEN --entrypoint vllm vllm/vllm-openai:latest serve meta-llama/Llama-3.1-8B-Instruct "
            "--host 0.0.0.0 --port 8000 --max-model-len 8192"
        ),
        (
            "--env HF_TOKEN --entrypoint lmdeploy openmmlab/lmdeploy:latest serve api_server "
            "meta-llama/Llama-3.1-8B-Instruct --server-name 0.0.0.0 --server-port 23333 --session-len 8192"
        ),
        "chat (output_tokens 256) at users 1, 5, 10, 50, 100",
    ):
        assert said.count(words) == (4 if words.startswith("chat") else 2)


def test_plan_init_writes_a_plan_that_can_be_run_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.toml"
    assert main(["plan", "init", str(path)]) == 0
    assert main(["plan", "check", str(path)]) == 0
    assert main(["plan", "init", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_plan_file_and_options_do_not_mix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("users = [1]\n")
    assert main(["run", str(path), "--users", "2"]) == 2
    assert "leave --users out" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "none.toml")]) == 2
    assert "`breakeven plan init` writes one" in capsys.readouterr().err


def test_a_single_run_by_options_can_be_looked_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--dry-run", "--engine", "vllm", "--model", "m", "--engine-command", "/venv/bin/vllm serve"]
    assert main(words) == 0
    assert "starts  /venv/bin/vllm serve m --host 127.0.0.1 --port 8000" in capsys.readouterr().out


def test_cells_of_two_machines_are_not_measured_on_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(MATRIX)
    assert main(["run", str(path), "--out", str(tmp_path / "runs")]) == 2
    assert "--only hardware=a100" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_card_that_is_not_here_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(MATRIX)
    words = ["run", str(path), "--out", str(tmp_path / "runs"), "--only", "hardware=a100"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(words) == 2
    assert "no NVIDIA driver answers here" in capsys.readouterr().err
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho NVIDIA GeForce RTX 3090\n")
    smi.chmod(0o755)
    assert main(words) == 2
    assert "is a A100 80GB, but this machine has NVIDIA GeForce RTX 3090" in capsys.readouterr().err


def test_a_plan_file_without_a_study_has_one_turn() -> None:
    told = PlanFile("", None, (a_cell("x"),))
    assert [(turn.cell.name, turn.repeat) for turn in told.turns()] == [("x", 0)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "vllm"], "--engine vllm needs --model to be started here, or --url URL"),
        (["--model", "m"], "--model needs --engine NAME to start, or --url URL"),
        (["--via", "docker"], "--engine-command, --via or --image needs --engine NAME to start"),
        (["--engine", "openai", "--model", "m"], "engine 'openai' is a server that runs already; give its URL"),
        (["--engine", "vllm", "--model", "m", "--image", "i"], 'image: it goes with via = "docker"'),
        (["--engine", "vllm", "--url", "http://x", "--via", "docker"], "url and launch: an engine either runs"),
        (["--engine", "transformers", "--model", "m", "--via", "docker"], "has no container image; name one"),
        (["--engine", "vllm", "--model", "m", "--engine-command", "x --api-key k"], "--api-key: it would be stored"),
    ],
)
def test_an_engine_that_cannot_be_started_is_found_before(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--dry-run", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_study_in_the_docs_can_be_run() -> None:
    text = (EXAMPLES.parent / "docs/PLANS.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    found = understood(example, where="docs").cells
    assert [cell.name for cell in found] == ["a100-llama-vllm-large-batch-chat"]


def test_where_rent_is_that_of_one_card_a_cell_pays_for_as_many_as_its_model_is_split_over() -> None:
    text = '[[hardware]]\nname = "h"\nper_card = true\nrent_usd_per_h = 2.0\nprice_usd = 100.0\n'
    text += '[[models]]\nname = "m"\nmodel = "x"\n[[engines]]\nname = "vllm"\n'
    text += '[[settings]]\nname = "tp1"\n[[settings]]\nname = "tp2"\ntensor_parallel = 2\n'
    one, two = cells(study(text))
    assert one.plan.hardware == Hardware(count=1, rent_usd_per_h=2.0, price_usd=100.0)
    assert two.plan.hardware == Hardware(count=2, rent_usd_per_h=4.0, price_usd=200.0)
    assert two.rent_usd_per_h == 4.0
    assert "leave count out" in complaint(text.replace("per_card = true", "per_card = true\ncount = 2"))
