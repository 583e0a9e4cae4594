"""Predicted open loops, replicas and drawn lengths, through the real command and by hand."""

import json
import re
import shlex
from pathlib import Path

import pytest

from breakeven.app.runs import read_run
from breakeven.cli.predict import COMMANDS
from breakeven.predict.requests import of_lengths
from breakeven.predict.scheduler import ROUTERS
from breakeven.workload.lengths import parse_both
from commands import Done, breakeven

L40S = ("predict", "--model", "llama-3.1-8b", "--gpu", "l40s")


def asked(*words: object) -> Done:
    done = breakeven(*words)
    assert done.code == 0, done.err
    return done


def levels(*words: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(asked(*L40S, *words, "--json", "-").out)["runs"][0]["levels"]
    return found


def middle(level: dict[str, object], metric: str) -> float:
    value: float = level["distributions"][metric]["p50"]["value"]  # type: ignore[index]
    return value


def speed(level: dict[str, object]) -> float:
    value: float = level["output_tok_per_s"]["value"]  # type: ignore[index]
    return value


def test_answers_leave_as_requests_come_and_wait_longer_the_more_come() -> None:
    found = levels("--rate", "0.1,1,4,8")
    for level, rate in zip(found, (0.1, 1, 4, 8), strict=True):
        assert level["users"] is None
        assert level["req_per_s_offered"] == rate
        assert speed(level) == pytest.approx(rate * 256)
    for metric in ("ttft_s", "tpot_s", "e2e_s"):
        times = [middle(level, metric) for level in found]
        assert times == sorted(times)
    [alone] = levels("--users", "1")
    assert middle(found[0], "tpot_s") == pytest.approx(middle(alone, "tpot_s"), rel=0.02)
    assert 0.7 < middle(found[0], "ttft_s") / middle(alone, "ttft_s") < 1.5


def test_more_requests_than_can_be_served_are_a_growing_queue_and_no_latency() -> None:
    [over] = levels("--rate", "100")
    [full] = levels("--users", "1000")
    assert over["distributions"] == {}
    assert over["steady"] is False
    assert speed(over) == pytest.approx(speed(full), rel=0.05)
    out = asked(*L40S, "--rate", "100").out
    assert re.search(r"100 requests a second come and [\d.]+ can be served at most: the queue grows", out)


def test_where_the_engine_may_be_too_slow_the_worse_end_is_open() -> None:
    [level] = levels("--rate", "8")
    low, high = level["distributions"]["ttft_s"]["p50"]["ci95"]  # type: ignore[index]
    assert 0 < low < middle(level, "ttft_s")
    assert high is None
    assert level["output_tok_per_s"]["ci95"][0] < 0.9 * speed(level)  # type: ignore[index]


EXAMPLE = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm" / "smollm2-135m-llamacpp-chat"
CPU = ("--model", "smollm2-135m", "--from", EXAMPLE)


def test_the_machine_of_a_run_is_foretold_at_rates_too() -> None:
    """A machine that no table knows: it said that --rate takes a card."""
    found = json.loads(asked("predict", *CPU, "--rate", "0.2,1,1.6,9", "--json", "-").out)["runs"][0]
    assert found["run"]["settings"]["rate"] == [0.2, 1, 1.6, 9]
    *steady, over = found["levels"]
    assert [speed(level) for level in steady] == pytest.approx([64 * rate for rate in (0.2, 1, 1.6)], rel=0.01)
    assert [middle(level, "ttft_s") for level in steady] == sorted(middle(level, "ttft_s") for level in steady)
    assert over["distributions"] == {}
    [full] = json.loads(asked("predict", *CPU, "--users", "100", "--json", "-").out)["runs"][0]["levels"]
    assert speed(over) == pytest.approx(speed(full), rel=0.05)
    assert "prompts in line" in asked("predict", *CPU, "--rate", "9").out


def test_two_replicas_do_for_twice_the_users_what_one_does() -> None:
    [one] = levels("--users", "16")
    [two] = levels("--users", "32", "--replicas", "2", "--routing", "least-loaded")
    assert speed(two) == pytest.approx(2 * speed(one), rel=1e-6)
    assert middle(two, "tpot_s") == pytest.approx(middle(one, "tpot_s"), rel=1e-6)
    [single] = levels("--users", "1", "--replicas", "4")
    assert speed(single) == pytest.approx(speed(levels("--users", "1")[0]), rel=0.01)


def test_the_router_that_looks_sends_no_request_into_a_line_that_the_other_has() -> None:
    drawn = ("--rate", "14", "--replicas", "2", "--arrivals", "gamma:3", "--output-tokens", "lognormal:200,0.8")
    blind, looks = (levels(*drawn, "--routing", routing)[0] for routing in ("round-robin", "least-loaded"))
    tails = [one["distributions"]["ttft_s"]["p99"]["value"] for one in (blind, looks)]  # type: ignore[index]
    assert tails[1] < tails[0]


def test_replicas_are_kept_marked_and_cost_counts_all_their_cards(tmp_path: Path) -> None:
    asked(*L40S, "--users", "1,8,32,128", "--out", tmp_path)
    asked(*L40S, "--users", "2,16,64,256", "--replicas", "2", "--routing", "least-loaded", "--out", tmp_path)
    one, two = sorted(tmp_path.iterdir())
    rows = json.loads(asked("report", one, two, "--floor", 20, "--json", "-").out)["ranking"]
    costs = [row["usd_per_mtok"]["value"] for row in rows]
    assert costs[0] == pytest.approx(costs[1], rel=0.02)
    assert all("predicted" in row["label"] for row in rows)
    assert "2 × L40S" in {row["label"].partition(" ·")[0] for row in rows}
    assert "One A does the work of 0.50 B" in asked("compare", one, two, "--floor", 20).out
    [again] = re.findall(r"breakeven predict --model [^\n<`]+", asked("report", two, "--floor", 20, "--md", "-").out)
    assert "--cards 1" in again
    assert asked(*shlex.split(again)[1:], "--out", tmp_path / "again").code == 0
    assert read_run(next((tmp_path / "again").iterdir())).levels == read_run(two).levels


def test_an_open_loop_is_a_run_that_is_shown_and_repeated(tmp_path: Path) -> None:
    asked(*L40S, "--rate", "1,50", "--arrivals", "constant", "--out", tmp_path)
    [run] = tmp_path.iterdir()
    shown = asked("show", run).out
    assert "predicted, not measured" in shown
    assert "the queue grows as long as they come" in " ".join(shown.split())
    assert "--rate 1" in shown or "--rate 50" in shown
    [again] = re.findall(r"breakeven predict --model [^\n<`]+", asked("report", run, "--md", "-").out)
    assert "--rate 1,50 --arrivals constant" in again


def test_lengths_are_told_as_run_tells_them_and_drawn_like_its_workload() -> None:
    found = levels("--users", "10", "--input-tokens", "uniform:100,900", "--output-tokens", "uniform:100,412")
    alike = levels("--users", "10", "--input-tokens", "500", "--output-tokens", "256")
    assert speed(found[0]) == pytest.approx(speed(alike[0]), rel=0.02)
    stray = [one[0]["distributions"]["e2e_s"] for one in (found, alike)]  # type: ignore[index]
    wide, narrow = (one["p95"]["value"] / one["p50"]["value"] for one in stray)
    assert wide > 1.4 > narrow
    run = json.loads(asked(*L40S, "--input-tokens", "uniform:100,900", "--json", "-").out)["runs"][0]["run"]
    assert run["workload"] == {"name": "lengths", "input_tokens": "uniform:100,900", "output_tokens": 256}


def test_means_of_drawn_lengths_are_those_of_their_distributions() -> None:
    told = ("uniform:100,300", "lognormal:100,0.5")
    found = of_lengths(told, parse_both(*told))
    assert found.input_tokens == pytest.approx(200, rel=0.01)
    assert found.output_tokens == pytest.approx(100 * 2.718281828 ** (0.5**2 / 2), rel=0.01)
    assert found.context_tokens > 200 + found.output_tokens / 2  # long answers are there for longer


def test_a_file_of_pairs_gives_both_lengths(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("input,output\n100,50\n900,450\n")
    run = json.loads(asked(*L40S, "--input-tokens", f"file:{tmp_path}/pairs.csv", "--json", "-").out)["runs"][0]
    assert run["run"]["workload"]["name"] == "lengths"
    assert run["levels"][0]["output_tok_per_s"]["value"] > 0


def test_one_token_has_no_time_per_token_in_any_load() -> None:
    for load in (("--users", "1,8"), ("--rate", "1,1000"), ("--users", "8", "--replicas", "2")):
        for level in levels(*load, "--output-tokens", "1"):
            assert speed(level) > 0
            assert "tpot_s" not in level["distributions"]  # type: ignore[operator]
            assert "tok_per_s_per_user" not in level["distributions"]  # type: ignore[operator]


def test_users_of_one_token_answers_wait_for_each_others_prompts() -> None:
    """Little: users = answers a second x TTFT. It said 37.3 answers a second and 0.28 s of 100 users."""
    [level] = levels("--users", "100", "--output-tokens", "1")
    mean: float = level["distributions"]["ttft_s"]["mean"]  # type: ignore[index]
    assert speed(level) * mean == pytest.approx(100, rel=0.01)


def test_the_routers_of_the_command_are_those_of_the_scheduler() -> None:
    [predict] = [one for one in COMMANDS if one.name == "predict"]
    [routing] = [option for option in predict.options if option.name == "--routing"]
    assert set(routing.choices) == set(ROUTERS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rate", "1", "--users", "1"), "--users and --rate: a load is either"),
        (("--arrivals", "constant"), "--arrivals: .* give --rate for an open loop"),
        (("--rate", "0"), "--rate: 0"),
        (("--rate", "1", "--arrivals", "now"), "--arrivals 'now' is unknown"),
        (("--replicas", "0"), "--replicas: 0 is too few"),
        (("--routing", "random"), "--routing: invalid choice"),
        (("--input-tokens", "0"), "--input-tokens: 0 is too few"),
        (("--input-tokens", "uniform:9"), "input-tokens: 'uniform:9' is no distribution"),
        (("--input-tokens", "file:nowhere.csv"), "nowhere.csv"),
        (("--input-tokens", "file:x.csv", "--output-tokens", "9"), "the file of input-tokens gives both lengths"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], says: str) -> None:
    done = breakeven(*L40S, *words)
    assert done.code == 2
    assert done.out == ""
    assert re.search(says, done.err), done.err
    assert done.err.count("\n") == 1
