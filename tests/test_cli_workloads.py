"""Workloads through the real command: what a user writes, and what the server is asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.cli import main
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.record import Record
from breakeven.store.folder import RunFolder
from commands import breakeven, run_folder
from fault_answers import answer, reply
from fault_server import FaultServer
from fault_wire import Wire

SHORT = ("--users", "2", "--warmup", "0.3", "--ramp", "0.1", "--duration", "0.7")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ReferenceServer(Settings(ttft_s=0.01, itl_s=0.002)) as server:
        yield server.url


def idle(wire: Wire) -> None:
    """vLLM's gauges at zero, so that settling takes no time."""
    reply(wire, 200, "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", kind="text/plain")


def records(out: Path) -> list[Record]:
    return [record for _, found in RunFolder.open(run_folder(out)).levels() for record in found]


def test_pairs_of_lengths_are_drawn_from_a_file(url: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("input,output\n40,5\n60,9\n")
    words = ("run", "--url", url, "--workload", "lengths", "--input-tokens", f"file:{pairs}", *SHORT)
    done = breakeven(*words, "--out", tmp_path / "runs", "--json", "-")
    assert done.code == 0, done.err
    assert done.json["run"]["settings"]["output_tokens"] is None
    asked = {
        (record.asked_input_tokens, record.asked_output_tokens) for record in records(tmp_path / "runs") if record.k
    }
    assert asked == {(40, 5), (60, 9)}


def test_what_of_a_file_is_not_asked_is_printed(url: str, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "why?"}\n{"prompt": null}\n{"prompt": "how?"}\n{"prompt": ""}\n')
    words = ("run", "--url", url, "--workload", "dataset", "--file", prompts, "--output-tokens", "5", *SHORT)
    done = breakeven(*words, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    assert "2 of 4 rows of the file are not asked" in " ".join(done.out.split())


@pytest.mark.parametrize(("salt", "same"), [(("--option", "salt=5"), True), ((), False)])
def test_a_given_salt_pins_every_text_and_levels_still_differ(
    salt: tuple[str, ...], same: bool, tmp_path: Path
) -> None:
    words = (
        "--workload",
        "conversation",
        "--input-tokens",
        "8",
        "--output-tokens",
        "3",
        "--option",
        "prefix-tokens=12",
    )
    load = ("--users", "1,2", "--requests", "4", "--ramp", "0")
    runs: list[set[tuple[str, str]]] = []
    for run in ("one", "two"):
        with FaultServer({"good": answer(ttft_s=0.01, tokens=3), "/metrics": idle}) as server:
            done = breakeven("run", "--url", server.url, *words, *load, *salt, "--out", tmp_path / run)
        assert done.code == 0, done.err
        said = [request.json["messages"] for request in server.asked if request.json.get("stream")]
        runs.append({(one[0]["content"], one[1]["content"]) for one in said if len(one) == 2})
    prefixes = [{prefix for prefix, _ in run} for run in runs]
    assert [len(found) for found in prefixes] == [2, 2], "one for each level"
    assert (prefixes[0] == prefixes[1], bool(runs[0] & runs[1])) == (same, same)


# what is wrong with a workload is found before anything is started

WRONG = {
    "no file": (("--workload", "dataset", "--file", "nowhere.jsonl"), "nowhere.jsonl: No such file or directory"),
    "no trace": (("--workload", "trace", "--file", "nowhere.csv"), "nowhere.csv: No such file or directory"),
    "no pairs": (("--workload", "lengths", "--input-tokens", "file:no.csv"), "no.csv: No such file or directory"),
    "no lengths": (("--workload", "lengths"), "workload 'lengths' needs --input-tokens"),
    "no spread": (("--workload", "lengths", "--input-tokens", "normal:1"), "'normal:1' is no distribution"),
    "file not given": (("--workload", "dataset"), "workload 'dataset' needs --file"),
    "file not wanted": (("--file", "x"), "workload 'chat' takes no --file; it takes: --output-tokens, --seed"),
    "no option": (("--option", "turns=5"), "workload 'chat' takes no --option turns=…"),
    "no number": (
        ("--workload", "conversation", "--option", "prefix-tokens=x"),
        "--option prefix-tokens 'x': Expected `int`",
    ),
}


@pytest.mark.parametrize("where", [("--url", "http://127.0.0.1:1"), (), ("--dry-run",)], ids=["url", "engine", "dry"])
@pytest.mark.parametrize("name", WRONG)
def test_a_workload_that_cannot_be_asked_is_one_line_and_leaves_nothing_behind(
    name: str,
    where: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words, says = WRONG[name]
    assert main(["run", *where, *words]) == 2
    seen = capsys.readouterr()
    assert says in seen.err
    assert (seen.err.count("\n"), seen.out) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_checked_with_the_files_of_its_workloads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[engines]]\nname = "openai"\nurl = "http://127.0.0.1:1"\n'
        '[[workloads]]\nname = "mine"\nworkload = "dataset"\nfile = "nowhere.jsonl"\noutput_tokens = 9\n'
    )
    for words in (["plan", "check", str(plan)], ["run", str(plan), "--out", str(tmp_path / "runs")]):
        assert main(words) == 2
        assert "plan.toml: cell openai-mine: nowhere.jsonl: No such file or directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["plan.toml"]


# traces

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.000,40,4
2023-11-16 18:15:46.200,50,5
2023-11-16 18:15:46.800,60,6
"""


@pytest.fixture
def trace(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "azure.csv").write_text(AZURE)
    return ("--workload", "trace", "--file", str(tmp_path / "azure.csv"))


def test_a_trace_is_one_level_in_the_run_its_settings_and_its_dry_run(
    url: str, trace: tuple[str, ...], tmp_path: Path
) -> None:
    done = breakeven("run", "--url", url, *trace, "--out", tmp_path / "runs", "--json", "-")
    assert done.code == 0, done.err
    assert "trace, 2.5 req/s: measuring" in done.err
    (level,) = done.json["levels"]
    settings = done.json["run"]["settings"]
    assert (level["users"], level["req_per_s_offered"]) == (None, pytest.approx(2.5))
    assert settings["users"] is None
    assert [(one["users"], one["req_per_s"], one["arrivals"]) for one in settings["levels"]] == [
        (None, pytest.approx(2.5), "trace")
    ]
    dry = breakeven("run", "--url", url, *trace, "--dry-run").out
    assert "one run, 1 level\n" in dry
    assert "replayed by its arrival times: 3 requests in 800 ms" in dry
    assert "no estimate" in dry


@pytest.mark.parametrize("rows", [1, 3])
def test_a_trace_in_which_no_time_passes_has_no_rate(rows: int, url: str, tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "5,40,3\n" * rows)
    done = breakeven("run", "--url", url, "--workload", "trace", "--file", path, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    assert "trace, no rate: measuring" in done.err
    assert "req/s: " not in done.out + done.err
    assert len(records(tmp_path / "runs")) == rows
    shown = breakeven("show", run_folder(tmp_path / "runs"), "--json", "-").json["levels"][0]
    assert (shown["users"], shown["req_per_s_offered"]) == (None, None)


def test_with_users_only_the_lengths_of_a_trace_count(url: str, trace: tuple[str, ...], tmp_path: Path) -> None:
    done = breakeven("run", "--url", url, *trace, *SHORT, "--users", "1,2", "--out", tmp_path / "runs", "--json", "-")
    assert done.code == 0, done.err
    assert [level["users"] for level in done.json["levels"]] == [1, 2]
    asked = [(record.asked_input_tokens, record.asked_output_tokens) for record in records(tmp_path / "runs")]
    assert len(asked) > 20
    assert set(asked) >= {(40, 4), (50, 5), (60, 6)}
    dry = breakeven("run", "--url", url, *trace, "--users", "1,2", "--dry-run").out
    assert "at users 1, 2" in dry
    assert "no estimate" not in dry


@pytest.mark.parametrize(
    ("words", "does"),
    [
        (("--rate", "5"), "--option speed=2"),
        (("--arrivals", "poisson"), "leave --arrivals out"),
        (("--think", "1"), "or give --users"),
        (("--requests", "10"), "--option max-requests=N"),
        (("--find-max", "--slo", "ttft_p99=1s"), "give --users 1 to search from"),
        (("--users", "auto"), "give --users LIST instead of auto"),
        (("--ramp", "3"), "leave --ramp out"),
        (("--users", "2", "--option", "speed=2"), "leave one out"),
    ],
)
def test_what_a_replayed_trace_has_no_room_for_is_refused_with_what_to_do(
    words: tuple[str, ...], does: str, trace: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--url", "http://127.0.0.1:1", *trace, *words, "--out", str(tmp_path / "runs")]) == 2
    seen = capsys.readouterr()
    assert does in seen.err
    assert seen.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_trace_takes_its_place_in_a_study_with_a_budget(url: str, trace: tuple[str, ...], tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        "[study]\nmax_hours = 0.01\n"
        f'[[engines]]\nname = "openai"\nurl = "{url}"\n'
        f'[[workloads]]\nname = "replay"\nworkload = "trace"\nfile = "{trace[-1]}"\n'
    )
    assert "1 cell, 1 level in 1 round" in breakeven("plan", "check", plan).out
    done = breakeven("run", plan, "--out", tmp_path / "runs")
    assert (done.code, "complete" in done.out) == (0, True), done.err
