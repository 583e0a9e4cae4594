"""Several engines side by side: which gets a request, which GPUs each has, what is kept, and what is counted."""

import json
import os
import signal
import sys
import time
import tomllib
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from asking import run as on_the_loop
from breakeven.cli import main
from breakeven.client.answer import Meter
from breakeven.client.ask import Route
from breakeven.client.routing import Routes
from breakeven.client.target import Access, resolve
from breakeven.engine.base import EngineSettings
from breakeven.engine.detect import adapter
from breakeven.errors import RunFailedError, UsageError
from breakeven.findings.names import labels
from breakeven.launch.cards import check_gpus
from breakeven.launch.start import start_lines
from breakeven.metrics.summary import RunFacts
from breakeven.predict.scheduler import ROUTERS
from breakeven.serving import Launch, Routing, launch_problem
from breakeven.session.summary import summarise
from breakeven.store.folder import RunFolder
from breakeven.store.samples import read_samples
from breakeven.store.table import read_level
from breakeven.study.cells import cells
from breakeven.study.types import Study
from breakeven.telemetry.scrape import Engine
from commands import finish, run_folder, start
from fake_nvml import FakeNvml
from page_server import serving

psutil = pytest.importorskip("psutil")

SERVER = f"{sys.executable} {Path(__file__).with_name('tunable_engine.py')}"
ENGINE = ("--engine", "openai", "--model", "truth", "--engine-command", SERVER, "--set", "itl=0.01")
SHORT = ("--output-tokens", "8", "--warmup", "0", "--ramp", "0")


SGLANG = " --tp-size 2 --enable-metrics"


def two(*, of: int = 1, **more: Any) -> Launch:
    return Launch(settings=EngineSettings(replicas=2, tensor_parallel=of), **more)


# which of them gets a request


async def _routes(count: int, routing: Routing, *, first: int = 0) -> Routes:
    target = await resolve(Access(url="http://127.0.0.1:9"))
    each = [Route(target, "/chat/completions", meter=Meter()) for _ in range(count)]
    return Routes(each, routing=routing, first=first)


def routes(count: int, routing: Routing, *, first: int = 0) -> Routes:
    return on_the_loop(lambda: _routes(count, routing, first=first))


def test_requests_go_round_and_each_client_begins_at_another_engine() -> None:
    assert [routes(3, "round-robin").take() for _ in range(2)] == [0, 0]
    chosen = routes(3, "round-robin")
    assert [chosen.take() for _ in range(5)] == [0, 1, 2, 0, 1]
    assert routes(3, "round-robin", first=4).take() == 1


def test_the_least_loaded_engine_is_the_one_with_the_fewest_requests_in_flight() -> None:
    chosen = routes(3, "least-loaded")
    assert [chosen.take() for _ in range(3)] == [0, 1, 2]
    chosen.give_back(1)
    assert chosen.take() == 1
    chosen.give_back(0)
    chosen.give_back(2)
    assert sorted(chosen.take() for _ in range(2)) == [0, 2]


def test_the_policies_are_those_that_a_prediction_knows() -> None:
    assert set(get_args(Routing)) == set(ROUTERS)


# which GPUs each has


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vllm", "vllm serve org/m --host 127.0.0.1 --port {} --tensor-parallel-size 2"),
        (
            "sglang",
            ("python3 -m sglang.launch_server --model-path org/m --host 127.0.0.1 --port {}" + SGLANG),
        ),
        ("lmdeploy", "lmdeploy serve api_server org/m --server-name 127.0.0.1 --server-port {} --tp 2"),
    ],
)
def test_each_engine_has_a_port_and_gpus_of_its_own(name: str, words: str) -> None:
    first = adapter(name).default_port
    found = start_lines(name, "org/m", launch=two(of=2), environment={})
    assert [" ".join(line.words) for line in found] == [words.format(first), words.format(first + 1)]
    assert [line.env for line in found] == [{"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,3"}]


def test_the_gpus_that_are_shown_are_shared_out_in_their_order() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "5,GPU-ab"}
    found = start_lines("vllm", "m", launch=two(env={"A": "b"}), environment=environment)
    assert [line.env for line in found] == [
        {"A": "b", "CUDA_VISIBLE_DEVICES": "5"},
        {"A": "b", "CUDA_VISIBLE_DEVICES": "GPU-ab"},
    ]
    own = two(env={"CUDA_VISIBLE_DEVICES": "7,6"})
    assert start_lines("vllm", "m", launch=own, environment=environment)[1].env == {"CUDA_VISIBLE_DEVICES": "6"}
    amd = start_lines("vllm", "m", launch=two(), environment={"HIP_VISIBLE_DEVICES": "2,3"})
    assert [line.env for line in amd] == [{"HIP_VISIBLE_DEVICES": "2"}, {"HIP_VISIBLE_DEVICES": "3"}]
    # hidden from everybody, as on a machine where the CPU is measured
    assert [line.env for line in start_lines("vllm", "m", launch=two(), environment={"CUDA_VISIBLE_DEVICES": ""})] == [
        {},
        {},
    ]


@pytest.mark.parametrize(("name", "words"), [("vllm", ["--ipc=host"]), ("sglang", ["--ipc=host"]), ("tgi", [])])
def test_a_container_gets_its_own_gpus(name: str, words: list[str]) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "4,5,6,7"}
    launch = two(of=2, via="docker", env={"CUDA_VISIBLE_DEVICES": "4,5,6,7", "A": "b"})
    found = [line.words for line in start_lines(name, "org/m", launch=launch, environment=environment)]
    given = [line[line.index("--gpus") + 1 :] for line in found]
    assert [one[0] for one in given] == ['"device=4,5"', '"device=6,7"']
    assert all(one[1 : 1 + len(words)] == words for one in given)
    assert all("A=b" in line and not any("VISIBLE" in word for word in line) for line in found)
    single = start_lines(name, "org/m", launch=two(via="docker"), environment={})
    assert [line.words[line.words.index("--gpus") + 1] for line in single] == ["device=0", "device=1"]


def test_one_engine_is_started_as_before() -> None:
    launch = Launch(settings=EngineSettings(tensor_parallel=2))
    (line,) = start_lines("vllm", "m", launch=launch, environment={})
    assert line.env == {}
    docker = Launch(via="docker", settings=EngineSettings(tensor_parallel=2))
    (words, _) = start_lines("vllm", "m", launch=docker, environment={})[0]
    assert words[words.index("--gpus") + 1] == "all"


def test_stages_and_ranks_of_an_engines_own_count_as_gpus_too() -> None:
    told = EngineSettings(tensor_parallel=2, replicas=2, options={"pipeline_parallel_size": 2})
    assert adapter("vllm").gpus_in_all(told) == 8
    assert adapter("sglang").gpus_in_all(EngineSettings(options={"pp_size": 2})) == 2


def test_more_gpus_than_there_are_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"2 engines of 2 each .* take 4 GPUs, and CUDA_VISIBLE_DEVICES names 3"):
        start_lines("vllm", "m", launch=two(of=2), environment={"CUDA_VISIBLE_DEVICES": "0,1,2"})
    cards = FakeNvml({}, {}, {})
    with pytest.raises(RunFailedError, match=r"take 4 GPUs, and the NVIDIA driver shows 3; give fewer"):
        check_gpus(adapter("vllm"), two(of=2), environment={}, library=cards)
    check_gpus(adapter("vllm"), two(), environment={}, library=cards)
    check_gpus(adapter("vllm"), Launch(), environment={}, library=cards)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (EngineSettings(replicas=0), "replicas: 0 cannot be; give 1 to 64"),
        (EngineSettings(replicas=65), "replicas: 65 cannot be"),
        (EngineSettings(routing="least-loaded"), "routing: it says to which of several engines"),
        (EngineSettings(replicas=1, routing="round-robin"), "give replicas=2 or more too"),
    ],
)
def test_what_cannot_be_is_said_beforehand(settings: EngineSettings, said: str) -> None:
    assert said in (launch_problem(Launch(settings=settings)) or "")


# what is kept


def records(folder: Path) -> list[Any]:
    return [record for path in (folder / "records").glob("*.parquet") for record in read_level(path)[1]]


@pytest.mark.parametrize("more", [(), ("--clients", "2"), ("--set", "routing=least-loaded"), ("--rate", "40")])
def test_two_engines_share_the_requests_and_the_run_says_how(tmp_path: Path, more: tuple[str, ...]) -> None:
    load = () if "--rate" in more else ("--users", "4")
    assert (
        main(["run", *ENGINE, *SHORT, *load, *more, "--set", "replicas=2", "--duration", "1", "--out", str(tmp_path)])
        == 0
    )
    folder = run_folder(tmp_path)
    engine = json.loads((folder / "host.json").read_text())["engine"]
    routing = "least-loaded" if "routing=least-loaded" in more else "round-robin"
    assert (engine["settings"]["replicas"], engine["settings"]["routing"]) == (2, routing)
    assert [one["log"] for one in engine["replicas"]] == ["engine.log", "engine-replica2.log"]
    assert len({one["url"] for one in engine["replicas"]}) == 2
    assert all((folder / one["log"]).stat().st_size for one in engine["replicas"])
    went = Counter(record.replica for record in records(folder) if record.sent_s is not None)
    assert went.keys() == {1, 2}
    assert abs(went[1] - went[2]) <= 4


def test_one_engine_has_no_number(tmp_path: Path) -> None:
    assert main(["run", *ENGINE, *SHORT, "--users", "1", "--duration", "0.4", "--out", str(tmp_path)]) == 0
    folder = run_folder(tmp_path)
    assert {record.replica for record in records(folder)} == {None}
    assert "replicas" not in json.loads((folder / "host.json").read_text())["engine"]


def test_an_engine_that_dies_ends_the_level_and_is_told_by_its_number(tmp_path: Path) -> None:
    words = (*ENGINE, *SHORT, "--users", "4", "--set", "replicas=2", "--duration", "30", "--out", tmp_path)
    child = start("run", *words)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(tmp_path.glob("*/records/*")):
        time.sleep(0.05)
    folder = run_folder(tmp_path)
    port = json.loads((folder / "host.json").read_text())["engine"]["replicas"][1]["url"].rpartition(":")[2]
    mine = psutil.Process(child.pid).children(recursive=True)
    (second,) = [one for one in mine if port in one.cmdline() and "breakeven.client.reference" in one.cmdline()]
    os.kill(second.pid, signal.SIGKILL)
    done = finish(child)
    assert done.code == 1
    assert "replica 2 of 2 of the engine ended by itself (exit code 137)" in done.err
    assert "engine-replica2.log" in done.err
    engine = json.loads((folder / "host.json").read_text())["engine"]
    assert (engine["exit_code"], engine["ended_replica"]) == (137, 2)
    assert not any(one.is_running() for one in mine)


def test_one_that_does_not_start_ends_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", *ENGINE, "--set", "fails=true", "--set", "replicas=3", "--users", "1", "--out", str(tmp_path)]
    assert main(words) == 1
    assert "of 3 of openai ended with code 1 before it was ready: out of memory" in capsys.readouterr().err
    assert not [one for one in psutil.Process().children(recursive=True) if "reference" in " ".join(one.cmdline())]


class Gauges(BaseHTTPRequestHandler):
    """An engine with three requests at work and half of its cache in use."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"vllm:num_requests_running 3\nvllm:kv_cache_usage_perc 0.5\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


NAMES = {"running_requests": ["vllm:num_requests_running"], "kv_use_share": ["vllm:kv_cache_usage_perc"]}


def test_metrics_of_all_engines_are_added_up_and_each_is_kept() -> None:
    with serving(Gauges) as one, serving(Gauges) as other:
        whole, *each = Engine(urls=[one, other], names=NAMES).rows()
    assert [row.device for row in (whole, *each)] == [None, "1", "2"]
    assert [row.values["running_requests"] for row in (whole, *each)] == [6.0, 3.0, 3.0]
    assert whole.values["kv_use_share"] == 0.5
    assert whole.values["scrape_s"] >= max(row.values["scrape_s"] for row in each)


def test_where_one_engine_does_not_answer_there_is_no_sum() -> None:
    with serving(Gauges) as one:
        engine = Engine(urls=[one, "http://127.0.0.1:9/metrics"], names=NAMES)
        assert [row.device for row in engine.rows()] == ["1"]
    assert "metrics" in engine.missing


@pytest.mark.engine
def test_two_embedded_engines_serve_side_by_side(tmp_path: Path) -> None:
    words = ["run", "--set", "replicas=2", "--set", "threads=1", "--users", "4", "--duration", "3", "--warmup", "0.5"]
    assert main([*words, "--output-tokens", "16", "--out", str(tmp_path)]) == 0
    folder = RunFolder.open(run_folder(tmp_path))
    (level,) = summarise(folder).levels
    assert level.errors == 0
    assert (level.output_tok_per_s.value or 0.0) > 0
    engine = folder.host()["engine"]
    assert {name: engine["settings"][name] for name in ("replicas", "routing", "threads")} == {
        "replicas": 2,
        "routing": "round-robin",
        "threads": 1,
    }
    samples = read_samples(folder.path)
    assert samples.devices("engine") == ["1", "2"]
    # what both engines counted together is what we counted
    assert level.extra["engine_tokens_difference"] == pytest.approx(0.0, abs=0.1)
    assert set(Counter(record.replica for record in records(folder.path))) == {1, 2}


# what it costs


def rents(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, float | None]:
    assert main(["tune", *words, "--rent", "0.5", "--for", "usd_per_mtok", "--dry-run"]) == 0
    found = cells(msgspec.toml.decode(capsys.readouterr().out, type=Study))
    return {cell.names["settings"]: cell.rent_usd_per_h for cell in found}


def test_a_setting_pays_for_the_cards_of_all_its_engines(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--engine", "vllm", "--model", "org/m", "--vary", "replicas=1,2", "--vary", "tensor_parallel=1,2"]
    assert rents(words, capsys) == {
        "replicas1-tensor_parallel1": 0.5,
        "replicas1-tensor_parallel2": 1.0,
        "replicas2-tensor_parallel1": 1.0,
        "replicas2-tensor_parallel2": 2.0,
    }


def test_two_embedded_engines_share_one_machine_and_its_rent(capsys: pytest.CaptureFixture[str]) -> None:
    assert rents(["--vary", "replicas=1,2"], capsys) == {"replicas1": 0.5, "replicas2": 0.5}


PLAN = """
[[hardware]]
name = "box"
gpu = "L40S"
{hardware}
[[models]]
name = "m"
model = "org/m"
[[engines]]
name = "vllm"
[[settings]]
name = "one"
[[settings]]
name = "two"
replicas = 2
"""


def test_a_card_that_is_declared_once_is_not_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.format(hardware="rent_usd_per_h = 1.0"))
    assert main(["plan", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert "hardware 'box' is 1 x L40S, and this cell's settings (replicas x tensor_parallel) take 2" in said
    assert "per_card = true" in said
    path.write_text(PLAN.format(hardware="rent_usd_per_h = 1.0\nper_card = true"))
    found = cells(msgspec.convert(tomllib.loads(path.read_text()), Study))
    assert [(cell.plan.hardware.count, cell.rent_usd_per_h) for cell in found if cell.plan.hardware] == [
        (1, 1.0),
        (2, 2.0),
    ]


def facts(name: str, settings: dict[str, int]) -> RunFacts:
    return RunFacts(id=name, host={"gpu": "L40S", "gpu_count": 2}, engine={"name": "vllm", "settings": settings})


def test_runs_are_named_by_how_they_lie_on_their_cards() -> None:
    runs = [facts("a", {"replicas": 2, "tensor_parallel": 1}), facts("b", {"tensor_parallel": 2})]
    assert labels(runs) == ["2 × L40S · vLLM · 2 × TP1", "2 × L40S · vLLM · TP2"]
    assert labels([facts("a", {"replicas": 2}), facts("b", {})]) == ["2 × L40S · vLLM · 2 replicas", "2 × L40S · vLLM"]


def test_two_by_one_against_one_by_two_from_one_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four settings that say how many cards they take, on servers of one speed each: only the replicas give more."""
    words = ["tune", *ENGINE, *SHORT, "--users", "4", "--duration", "0.5", "--repeats", "1", "--gpu", "mi300x"]
    words += ["--set", "max_num_seqs=2", "--vary", "replicas=1,2", "--rent", "1", "--for", "usd_per_mtok"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "replicas" in said
    (study,) = tmp_path.iterdir()
    assert main(["show", str(study), "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    cost = {cell["factors"]["replicas"]: cell["figure"]["value"] for cell in told["cells"]}
    speed = {cell["factors"]["replicas"]: cell["tok_per_s"]["value"] for cell in told["cells"]}
    # two places each: two engines do twice the work of one, at twice the rent
    assert speed["2"] / speed["1"] == pytest.approx(2.0, rel=0.25)
    assert cost["2"] / cost["1"] == pytest.approx(1.0, rel=0.25)
    cells_of = sorted(path for path in study.iterdir() if path.is_dir())
    assert main(["compare", *map(str, cells_of)]) == 0
    assert "ran on 2 GPUs" in capsys.readouterr().out
