"""A study against a baseline: each cell by the gate's rule, with one false-alarm rate for the whole family."""

import json
import math
import os
import random
import shlex
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
import yaml

from breakeven.cli import main, parser
from breakeven.compare.family import DEFAULT_GATE, Pair, gate_family
from breakeven.metrics.statistics import t_quantile
from breakeven.metrics.summary import RunFacts, RunSummary
from breakeven.report.familytext import family_junit, family_markdown
from compare_fixture import a_level, a_run

EXAMPLE = Path(__file__).parents[1] / "examples" / "github-actions"
PLAN = '[[engines]]\nname = "llamacpp"\n[[workloads]]\nname = "w"\n[levels]\nusers = [4]\n'


def repeated(name: str, speed: float, rng: random.Random, *, between: float = 0.02, within: float = 0.01) -> RunSummary:
    """Three starts that lie apart by more than their own intervals say."""
    levels = tuple(
        a_level(4, speed * (1 + rng.gauss(0, between)), share=1.96 * within, repeat=repeat) for repeat in range(3)
    )
    return RunSummary(run=RunFacts(id=name), levels=levels)


def test_of_families_of_50_cells_in_which_nothing_changed_at_most_one_in_twenty_raises_an_alarm() -> None:
    rng, alarms, families = random.Random(19), 0, 60
    for _ in range(families):
        pairs = [Pair(f"c{i}", repeated("a", 100, rng), repeated("b", 100, rng)) for i in range(50)]
        alarms += gate_family(pairs, ["output_tok_per_s >= 1.0 * reference"]).verdict == "failed"
    assert alarms <= 0.05 * families


def test_three_starts_among_fifty_cells_are_enough_to_find_a_tenth_less() -> None:
    rng, found = random.Random(20), 0
    for _ in range(8):
        speeds = [90.0] + [100.0] * 49
        pairs = [Pair(f"c{i}", repeated("a", 100, rng), repeated("b", speed, rng)) for i, speed in enumerate(speeds)]
        found += gate_family(pairs, ["output_tok_per_s >= 1.0 * reference"]).cells[0].verdict == "failed"
    assert found >= 6  # each start's own spread alone would find less than one


def test_the_interval_of_a_cell_is_by_its_own_spread_and_that_of_all_cells_together() -> None:
    """By hand, of a family of one cell: both spreads are the same, with four degrees of freedom each."""
    a, b = (
        RunSummary(run=RunFacts(id="x"), levels=tuple(a_level(4, v, share=0.001, repeat=i) for i, v in enumerate(each)))
        for each in ((99.0, 100.0, 101.0), (89.0, 90.0, 91.0))
    )
    (cell,) = gate_family([Pair("c", a, b)], ["output_tok_per_s >= 1.0 * reference"]).cells
    low, high = cell.gates[0].levels[0].measured.ci95
    logs = [[math.log(v) for v in each] for each in ((99.0, 100.0, 101.0), (89.0, 90.0, 91.0))]
    variance = sum((x - sum(each) / 3) ** 2 for each in logs for x in each) / 4
    assert math.log((high or 0) / (low or 1)) / 2 == pytest.approx(t_quantile(4 + 4) * math.sqrt(variance * 2 / 3))


def test_a_cell_alone_would_raise_false_alarms_in_a_family_that_the_family_does_not() -> None:
    a, b = a_run({4: 100}, share=0.02), a_run({4: 96}, share=0.02)
    alone = gate_family([Pair("c", a, b)], ["output_tok_per_s >= 1.0 * reference"])
    assert (alone.verdict, alone.tests) == ("failed", 1)
    many = gate_family(
        [Pair(f"c{i}", a, b if i == 0 else a) for i in range(50)], ["output_tok_per_s >= 1.0 * reference"]
    )
    assert (many.cells[0].verdict, many.tests) == ("undecided", 50)


def test_a_cell_that_is_surely_slower_fails_and_the_others_stand() -> None:
    pairs = [
        Pair("slow", a_run({4: 100}), a_run({4: 50})),
        Pair("same", a_run({4: 100}, share=0.005), a_run({4: 100}, share=0.005)),
        Pair("died", a_run({4: 100}), None, "the engine ended by itself: out of memory"),
        Pair("new", None, a_run({4: 100})),
        Pair("left", a_run({4: 100}), None),
        Pair("other", a_run({8: 100}), a_run({4: 100})),
    ]
    found = gate_family(pairs, [DEFAULT_GATE])
    verdicts = {cell.cell: cell.verdict for cell in found.cells}
    assert verdicts == {
        "slow": "failed",
        "same": "passed",
        "died": "failed",
        "new": "undecided",
        "left": "undecided",
        "other": "undecided",
    }
    assert found.verdict == "failed"
    text = family_markdown(found)
    assert text.startswith("**❌ gates: failed; of 6 cells 1 passed, 2 failed, 3 undecided (2 tests")
    assert "- ❌ died: the engine ended by itself: out of memory" in text
    suite = ET.fromstring(family_junit(found, name="s"))[0]
    assert suite.attrib == {"name": "s", "tests": "6", "failures": "2", "skipped": "3", "errors": "0"}
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert (cases["slow"], cases["same"], cases["new"]) == (["failure"], [], ["skipped"])


def test_what_an_engine_wrote_cannot_break_the_xml() -> None:
    found = gate_family([Pair("c", None, None, "bad \x00\x1b[31m <&> ]]> \ud800")], [DEFAULT_GATE])
    assert ET.fromstring(family_junit(found, name="a<b"))[0][0][0].tag == "failure"


def a_study(folder: Path, name: str, speeds: dict[str, float]) -> Path:
    """A study whose cells have summaries; the settings are their names."""
    path = folder / name
    path.mkdir()
    rows = "".join(f'[[settings]]\nname = "{one}"\noptions = {{ threads = {i} }}\n' for i, one in enumerate(speeds, 1))
    (path / "study.toml").write_text(PLAN + rows)
    for one, speed in speeds.items():
        cell = path / f"llamacpp-{one}-w"
        (cell / "records").mkdir(parents=True)
        (cell / "plan.toml").write_text("users = [4]\n")
        run = a_run({4: speed}, run_id=cell.name, share=0.005)
        (cell / "summary.json").write_bytes(msgspec.json.encode(run))
    return path


def test_the_command_writes_every_form_and_its_exit_code_says_whether_a_cell_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = a_study(tmp_path, "before", {"one": 100, "two": 200})
    after = a_study(tmp_path, "after", {"one": 100, "two": 150})
    words = ["compare", str(after), "--baseline", str(before)]
    assert main([*words, "--junit", str(tmp_path / "j.xml"), "--md", "-", "--json", str(tmp_path / "f.json")]) == 3
    said = capsys.readouterr()
    assert "llamacpp-two-w: failed" in said.err
    assert "❌ llamacpp-two-w: " in said.out
    assert "0.75 x reference" in said.out.replace("\\", "")
    assert ET.parse(tmp_path / "j.xml").getroot()[0].get("failures") == "1"
    assert json.loads((tmp_path / "f.json").read_text())["verdict"] == "failed"
    assert main([*words, "--gate", "output_tok_per_s >= 0.7 * reference"]) == 0


def test_strict_fails_what_cannot_be_told_and_a_run_can_be_the_baseline_of_every_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = a_study(tmp_path, "after", {"one": 100, "two": 150})
    run = tmp_path / "run.json"
    run.write_bytes(msgspec.json.encode(a_run({4: 100}, share=0.1)))
    words = ["compare", str(study), "--baseline", str(run)]
    assert main(words) == 0
    assert "llamacpp-one-w: undecided" in capsys.readouterr().out
    assert main([*words, "--gate-strict"]) == 3
    assert main(["compare", str(run), str(run), "--baseline", str(run)]) == 2
    assert "--baseline, --junit and --md go with one study" in capsys.readouterr().err
    assert main([*words, "--gate", "nonsense"]) == 2


def test_what_would_not_be_looked_at_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = str(a_study(tmp_path, "after", {"one": 100, "two": 150}))
    for words, said in (
        (["--md", "-"], "--junit and --md of a study need --baseline"),
        (["--junit", str(tmp_path / "gates.xml")], "--junit and --md of a study need --baseline"),
        (["--baseline", study, "--floor", "25"], "leave --floor, --slo and --at-users out"),
        (["--gate-strict"], "--gate of a study needs --baseline"),
    ):
        assert main(["compare", study, *words]) == 2
        assert said in capsys.readouterr().err


def test_the_workflow_is_one_and_its_commands_and_plan_are_understood() -> None:
    told = yaml.safe_load((EXAMPLE / "breakeven.yml").read_text())
    steps = [step["run"] for step in told["jobs"]["measure"]["steps"] if "run" in step]
    lines = [line.strip() for step in steps for line in step.splitlines()]
    commands = [shlex.split(line.partition(">>")[0]) for line in lines if line.startswith("breakeven")]
    assert [words[1] for words in commands] == ["run", "run", "compare", "report"]
    for words in commands:
        parser().parse_args([word.replace("$GITHUB_STEP_SUMMARY", "-") for word in words[1:]])


@pytest.mark.parametrize("has_plan", [True, False])
def test_the_example_goes_on_where_the_base_has_no_plan(tmp_path: Path, *, has_plan: bool) -> None:
    told = yaml.safe_load((EXAMPLE / "breakeven.yml").read_text())
    steps = {one.get("name"): one for one in told["jobs"]["measure"]["steps"]}
    stub = tmp_path / "bin" / "breakeven"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\n[ -f "$2" ] || exit 2\nmkdir -p base/study && touch base/study/study.toml\n')
    stub.chmod(0o755)
    if has_plan:
        (tmp_path / "plan.toml").write_text(PLAN)
    words = ["bash", "-e", "-c", steps["Measure the base"]["run"]]
    env = {"PATH": f"{stub.parent}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("the base has no plan.toml" in done.stdout) is not has_plan
    assert steps["Compare"]["if"] == "hashFiles('base/*/study.toml') != ''"
    assert bool(list(tmp_path.glob("base/*/study.toml"))) is has_plan
