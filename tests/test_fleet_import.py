"""What is taken into a set, what is refused with its reason, what is marked; every job is counted."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from breakeven.cli import main
from breakeven.errors import UsageError
from breakeven.fleet.checked import MARKS, REFUSALS, SMALL_PROOF, from_job
from breakeven.fleet.intake import Intake, take_in
from breakeven.fleet.intake_text import intake_text
from breakeven.fleet.job import Job
from breakeven.fleet.maps import SHIPPED, plan, shipped
from breakeven.fleet.proof import Numpy, prove
from breakeven.fleet.result import Bench, Card, Level, NodeResult, Proof
from breakeven.fleet.store import Added, read_set

RAW = Path(os.environ.get("BREAKEVEN_RAW_DATA", Path(__file__).parents[2] / "shared" / "data"))
NOW_S = 1_795_000_000.0
CSV = """node,market,gpu,model,usd_per_h,users1_output_tok_per_s,users5_output_tok_per_s
n1,m,NVIDIA GeForce RTX 4090,llama,0.5,57.5,250
n2,m,NVIDIA GeForce RTX 4090,llama,0,57.6,0
n3,m,Some Card,llama,,0,0
"""


@pytest.fixture
def taken(tmp_path: Path) -> Callable[..., Intake]:
    def take(text: str, *given: str) -> Intake:
        path = tmp_path / "jobs.csv"
        path.write_text(text)
        return take_in(path, into=str(tmp_path / "set"), given=given, now_s=NOW_S)

    return take


def rows(tmp_path: Path) -> Any:
    return read_set(str(tmp_path / "set"))


def test_a_csv_with_our_names_needs_no_map(taken: Callable[..., Intake], tmp_path: Path) -> None:
    found = taken(CSV)
    assert found.added == Added(new=3)
    assert (found.failed_levels, found.failed, found.refused_counts) == (1, 1, {})
    assert found.marked == {"no_price": 1}
    kept = rows(tmp_path)
    assert [kept.gpu.at(i) for i in range(3)] == ["rtx4090", "rtx4090", "Some Card"]
    assert [kept.outcome.at(i) for i in range(3)] == ["done", "partial", "failed"]
    assert np.isnan(kept.usd_per_h).tolist() == [False, True, True]
    assert kept.tried.all()
    assert np.isnan(kept.output_tok_per_s).tolist() == [[False, False], [False, True], [True, True]]


def test_a_map_of_words_says_whose_column_is_which(taken: Callable[..., Intake], tmp_path: Path) -> None:
    text = "host,speed at 1 users,speed at 8 users\nn1,57.5,400\n"
    assert taken(text, "node=host", "output_tok_per_s=speed at {n} users").added.new == 1
    assert rows(tmp_path).users == (1, 8)
    assert rows(tmp_path).node.at(0) == "n1"


def test_a_map_in_a_file_has_factors_constants_and_a_limit_of_busyness(
    taken: Callable[..., Intake], tmp_path: Path
) -> None:
    (tmp_path / "map.toml").write_text(
        'busy_share = 0.6\n[constants]\ntemplate = "t"\ncounted = "words"\n[columns]\nnode = "host"\n'
        '[levels]\noutput_tok_per_s = "r{n}"\npower_mean_w = { column = "kw{n}", times = 1000 }\n'
        'level_utilisation_share = { column = "busy{n}", times = 0.01 }\n'
    )
    taken("host,r1,kw1,busy1\na,50,0.3,90\nb,60,0.3,59\nc,70,0.3,\n", str(tmp_path / "map.toml"))
    kept = rows(tmp_path)
    assert kept.power_mean_w[0, 0] == pytest.approx(300)
    assert np.isnan(kept.power_mean_w[1:, 0]).all()
    assert {kept.counted.at(i) for i in range(3)} == {"words"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("nodes=host",), "no column of ours is called 'nodes'; did you mean 'node'"),
        (("node=hots",), "no column of the file is called 'hots'; did you mean 'host'"),
        (("node",), "no file or OURS=THEIRS|No such file"),
        (("node=host",), "no column holds the throughput"),
        (("output_tok_per_s=rate{n}",), "no column of the file is like rate"),
        (("output_tok_per_s={n}{n}",), "needs one {n}"),
    ],
)
def test_a_map_that_does_not_fit_is_told(taken: Callable[..., Intake], given: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        taken("host,users1_tps\nn1,57.5\n", *given)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ('node,users1_output_tok_per_s\n"n1,5\n', "line"),
        ("node,users1_output_tok_per_s\n\xff" + "x" * 200_000 + ",5\n", "field larger"),
    ],
)
def test_what_is_no_csv_is_one_line(taken: Callable[..., Intake], text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        taken(text)


def test_a_row_that_cannot_be_so_is_refused_with_its_line(taken: Callable[..., Intake]) -> None:
    found = taken(
        "node,users1_output_tok_per_s\na,fast\nb,-3\nc,1e12\nd,nan\ne\nf,5\n",
    )
    assert found.added == Added(new=1)
    assert found.refused_counts == {"unreadable": 2, "out_of_range": 3}
    assert found.refused["unreadable"][0].job == "line 2"
    text = intake_text(found, into="set")
    assert "5 refused" in text
    assert "'fast' is no figure" in text
    assert "line 3 (output_tok_per_s -3 at 1 users)" in text


def test_the_same_row_twice_is_one_job_and_the_same_figures_of_two_nodes_are_a_replay(
    taken: Callable[..., Intake],
) -> None:
    found = taken("node,users1_output_tok_per_s\na,57.125\na,57.125\nb,57.125\n")
    assert (found.added.new, found.twice, found.refused_counts) == (1, 1, {"replay": 1})
    assert taken("node,users1_output_tok_per_s\nc,57.125\n").refused_counts == {"replay": 1}


def test_foreign_names_are_made_safe(taken: Callable[..., Intake], tmp_path: Path) -> None:
    taken("node,users1_output_tok_per_s\n\x1b[2J../../x,5\n")
    assert rows(tmp_path).node.at(0) == "[2J../../x"


def test_numbers_of_users_without_end_are_refused(taken: Callable[..., Intake], tmp_path: Path) -> None:
    names = [f"users{n}_output_tok_per_s" for n in range(1, 70)]
    found = taken(",".join(["node", *names]) + "\n" + ",".join(["a", *["5"] * 69]) + "\n")
    assert found.refused_counts == {"too_many_users": 1}


PROOF = prove("s", 12 * 64**2, Numpy())
JOB = Job(
    id="j-1",
    template="t",
    seed="s",
    gpu="rtx4090",
    market="m",
    node="n1",
    usd_per_h=0.4,
    submitted="2026-11-18T10:00:00+00:00",
    ended="2026-11-18T10:10:00+00:00",
    outcome="done",
    result=NodeResult(
        breakeven="0.1.0",
        template="t",
        job="j-1",
        started="2026-11-18T10:01:00+00:00",
        wall_s=500,
        outcome="done",
        model="llama",
        engine="vllm",
        engine_version="0.12",
        cards=(
            Card(
                index=0, name="NVIDIA GeForce RTX 4090", uuid_sha256="0" * 12, memory_bytes=24e9, sm_clock_mean_mhz=2500
            ),
            Card(index=1, name="NVIDIA GeForce RTX 4090", uuid_sha256="1" * 12, throttle_share={"hw_thermal": 0.4}),
        ),
        levels=(
            Level(users=1, output_tok_per_s=57.25, ci95=(56, 58.5), window_s=60, output_tokens=3435, done=30),
            Level(users=5, output_tok_per_s=0, window_s=60, failed=9),
        ),
        bench=Bench(memory_bytes_per_s=9e11),
        proof=replace(PROOF, time_s=2.5),
    ),
)


def a_folder(tmp_path: Path, *jobs: Job) -> Path:
    folder = tmp_path / "fleet"
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    for job in jobs:
        (folder / "jobs" / f"{job.id}.json").write_bytes(msgspec.json.encode(job))
    return folder


def take_folder(tmp_path: Path, *jobs: Job) -> Intake:
    return take_in(a_folder(tmp_path, *jobs), into=str(tmp_path / "set"), now_s=NOW_S)


def test_a_job_of_a_fleets_folder_becomes_a_row(tmp_path: Path) -> None:
    found = take_folder(tmp_path, JOB)
    assert (found.added, found.marked, found.failed_levels) == (Added(new=1), {}, 1)
    kept = rows(tmp_path)
    assert kept.id.tolist() == [b"j-1"]
    assert (kept.node.at(0), kept.market.at(0), kept.gpu.at(0), kept.engine.at(0)) == (
        "n1",
        "m",
        "rtx4090",
        "vllm 0.12",
    )
    assert (kept.cards[0], kept.sm_clock_mean_mhz[0], kept.thermal_share[0], kept.power_cap_share[0]) == (
        2,
        2500,
        0.4,
        0,
    )
    assert (kept.proof_time_s[0], kept.bench_bytes_per_s[0], kept.ended_s[0] - kept.submitted_s[0]) == (2.5, 9e11, 600)
    assert kept.output_tok_per_s[0, 0] == np.float32(57.25)
    assert kept.ci95_high[0, 0] == 58.5
    assert kept.tried[0].tolist() == [True, True]


def with_result(of: Job = JOB, **fields: object) -> Job:
    assert of.result is not None
    return replace(of, result=replace(of.result, **fields))


LATER = "2036-11-18T10:01:00+00:00"


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (replace(JOB, outcome="running", result=None), "not_over"),
        (with_result(job="j-2"), "other_job"),
        (with_result(template="u"), "other_template"),
        (with_result(wall_s=9000), "longer_than_out"),
        (with_result(wall_s=10), "windows_too_long"),
        (with_result(levels=(Level(users=1, output_tok_per_s=1e12),)), "out_of_range"),
    ],
)
def test_a_result_that_cannot_be_so_is_refused(tmp_path: Path, job: Job, why: str) -> None:
    assert take_folder(tmp_path, job).refused_counts == {why: 1}


@pytest.mark.parametrize(
    ("job", "mark"),
    [
        (with_result(started=LATER), "started_in_future"),
        (with_result(started="2026-11-18T08:01:00+00:00"), "started_before_submission"),
        (with_result(started="yesterday"), "no_start"),
        (with_result(started="2026-11-18T10:01:00"), "no_start"),
        (
            with_result(levels=(Level(users=1, output_tok_per_s=90, window_s=60, output_tokens=60),)),
            "rate_not_of_its_tokens",
        ),
        (with_result(levels=(Level(users=1, output_tok_per_s=90, ci95=(10, 20)),)), "interval_beside_rate"),
        (replace(JOB, seed="another"), "other_seed"),
        (with_result(proof=replace(PROOF, answer="0" * 64)), "wrong_proof"),
        (with_result(proof=replace(PROOF, size=SMALL_PROOF + 1)), "unchecked_proof"),
        (replace(JOB, usd_per_h=0.0), "no_price"),
        (with_result(cards=(Card(index=0, name="x", uuid_sha256="0" * 12),) * 2), "card_twice"),
    ],
)
def test_what_is_odd_is_kept_and_marked(tmp_path: Path, job: Job, mark: str) -> None:
    found = take_folder(tmp_path, job)
    assert (found.added, found.marked) == (Added(new=1), {mark: 1})
    assert rows(tmp_path).marks.at(0) == mark


def test_a_copied_result_is_a_replay_whatever_name_and_clock_it_carries(tmp_path: Path) -> None:
    copied = with_result(replace(JOB, id="j-2", node="n2"), job="j-2", started="2026-11-18T10:02:00+00:00", cpu="other")
    found = take_folder(tmp_path, JOB, copied)
    assert (found.added.new, found.refused_counts) == (1, {"replay": 1})
    assert found.refused["replay"][0].detail == "those of j-1"


def test_a_card_of_another_node_is_marked(tmp_path: Path) -> None:
    take_folder(tmp_path, JOB)
    other = (Level(users=1, output_tok_per_s=58.0),)
    found = take_folder(tmp_path, with_result(replace(JOB, id="j-2", node="n2"), job="j-2", levels=other))
    assert found.marked == {"card_of_another_node": 1}


def test_a_job_without_a_result_is_kept_with_its_outcome(tmp_path: Path) -> None:
    lost = Job(id="j-9", template="t", seed="s", gpu="RTX 4090", outcome="lost", reason="gone")
    assert take_folder(tmp_path, lost).failed == 1
    kept = rows(tmp_path)
    assert (kept.outcome.at(0), kept.reason.at(0), kept.gpu.at(0), kept.users) == ("lost", "gone", "rtx4090", ())


def test_files_that_are_no_jobs_are_refused_and_counted(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, JOB)
    (folder / "jobs" / "a.json").write_text("{")
    (folder / "jobs" / "b.json").write_text(json.dumps({"id": "../x", "template": "t", "seed": "s"}))
    (folder / "jobs" / "c.json").write_bytes(msgspec.json.encode(replace(JOB, id="d")))
    (folder / "jobs" / "e.json").symlink_to("/etc/passwd")
    (folder / "jobs" / "f.json").write_bytes(b" " * 300_000)
    found = take_in(folder, into=str(tmp_path / "set"), now_s=NOW_S)
    assert (found.added.new, found.refused_counts) == (1, {"unreadable": 4, "other_job": 1})


def test_every_reason_and_mark_is_made_somewhere_and_has_words() -> None:
    source = "".join(path.read_text() for path in Path("src/breakeven/fleet").glob("*.py"))
    for name in [*REFUSALS, *MARKS]:
        assert source.count(f'"{name}"') > 1, name


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_map_finds_a_file_of_its_columns_and_no_other(name: str) -> None:
    one = shipped(name)
    columns = [str(told) for told in one.columns.values()]
    levels = [msgspec.to_builtins(told) for told in one.levels.values()]
    header = [*columns, *((told["column"] if isinstance(told, dict) else told).replace("{n}", "1") for told in levels)]
    assert plan(header).map.name == name
    assert plan([*header[:-1], "users1_output_tok_per_s"]).map.name != name


def test_the_command_tells_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(CSV)
    assert main(["fleet", "import", str(path), "--to", str(tmp_path / "set")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 jobs read by the map columns with our names" in said
    assert "3 new" in said
    assert main(["fleet", "import", str(tmp_path / "none.csv")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert main(["fleet", "import", str(tmp_path)]) == 2
    assert "holds no jobs" in capsys.readouterr().err


@pytest.mark.skipif(not RAW.joinpath("nosana_2024_fleet.csv").exists(), reason="the raw data of 2024 is not here")
def test_the_fleet_of_2024_is_found_by_its_columns(tmp_path: Path) -> None:
    found = take_in(RAW / "nosana_2024_fleet.csv", into=str(tmp_path / "set"), now_s=time.time())
    assert (found.map, found.read, found.added.new, found.failed_levels + found.failed) == (
        "nosana-2024",
        2613,
        2613,
        22,
    )
    kept = rows(tmp_path)
    assert kept.users == (1, 5, 10, 50, 100)
    assert len(set(kept.node.names)) == 206
    assert {kept.counted.at(i) for i in range(5)} == {"words"}
    idle = kept.level_utilisation_share < np.float32(0.6)
    assert idle.any()
    assert np.isnan(kept.power_mean_w[idle]).all()
    assert not (kept.output_tok_per_s == 0).any()


def test_a_proof_is_right_wrong_or_not_checked_and_a_large_one_is_checked_on_request(tmp_path: Path) -> None:
    def told(proof: Proof, **more: int) -> tuple[object, object]:
        found = from_job(with_result(proof=proof), now_s=NOW_S, **more)
        assert isinstance(found, dict)
        return found["proof_is_right"], found["marks"]

    assert told(PROOF) == (1.0, None)
    assert told(replace(PROOF, answer="0" * 64)) == (0.0, "wrong_proof")
    assert told(PROOF, largest_proof=63) == (None, "unchecked_proof")
    assert told(PROOF, largest_proof=64) == (1.0, None)
