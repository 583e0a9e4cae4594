"""fit, predict and choose through the real command, from a plain install and without a network."""

import json
import re
import shlex
from pathlib import Path

import pytest

from breakeven.app.choose import CURVE
from breakeven.engine import ENGINES
from breakeven.metrics.summary import Estimate
from breakeven.predict.calibrations import calibrations
from breakeven.predict.told import UNLIKE_SAYS
from breakeven.predict.wanted import SHORTEST
from breakeven.reference.serving import serving_points
from breakeven.report.choice import overlap
from breakeven.say import Ends
from commands import Done, breakeven

L4 = ("predict", "--model", "llama-3.1-8b", "--gpu", "l4")
CARDS = "h100-80-sxm,a100-80-sxm,l40s,rtx4090"


def asked(*words: object) -> Done:
    return breakeven(*words)


def told(*words: object) -> dict[str, object]:
    done = asked(*words, "--json", "-")
    assert done.code == 0, done.err
    found: dict[str, object] = json.loads(done.out)
    return found


def test_what_fits_is_what_arithmetic_says() -> None:
    found = told("fit", "llama-3.1-8b", "--gpu", "rtx4090,l40s", "--context", 4096)
    rows = {row["gpu"]: row for row in found["fits"]}  # type: ignore[attr-defined]
    weights, token = 16.06e9, 2 * 32 * 8 * 128 * 2
    for key, vram in (("rtx4090", 24e9), ("l40s", 48e9)):
        left = 0.9 * vram - weights - min(3e9, 0.1 * vram)
        assert rows[key]["cards"] == 1
        assert rows[key]["users"] == pytest.approx(left / (4096 * token), abs=1)
        assert rows[key]["longest_context_tokens"] == pytest.approx(min(131072, left / token), rel=0.01)


def test_a_model_that_is_too_large_says_by_how_much_and_what_would_fit() -> None:
    done = asked("fit", "llama-3.1-70b", "--gpu", "rtx4090,h100-80-sxm")
    assert done.code == 0
    row = next(line for line in done.out.splitlines() if "RTX 4090" in line)
    assert row.split()[4] == "8"  # cards
    assert "int4 fits on 1" in next(line for line in done.out.splitlines() if "H100" in line)
    none = asked("fit", "llama-3.1-405b", "--gpu", "rtx4090")
    assert none.code == 1
    assert "does not fit: weights take 811.7 of the 192 GB of 8 cards; 64 cards would hold it" in none.out
    narrower = asked("fit", "llama-3.1-405b", "--gpu", "h100-80-sxm").out
    assert "weights take 811.7 of the 640 GB of 8 cards; 16 cards or fp8 on 8 would hold it" in narrower


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fit", "llama-9"), "no model is called 'llama-9'; .*or give a folder with the model's config.json"),
        (("fit", "llama-3.1-8b", "--gpu", "rtx9999"), "no GPU is called 'rtx9999'"),
        (("fit", "llama-3.1-8b", "--context", "200000"), "--context 200000: .* was made for 1 to 131,072 tokens"),
        (("fit", "llama-3.1-8b", "--precision", "fp9"), "no precision is called 'fp9'"),
        (("predict", "--gpu", "l40s"), "the following arguments are required: --model"),
        (("choose", "--model", "llama-3.1-8b"), "choose: say what a user must get"),
        (("choose", "--model", "llama-3.1-8b", "--floor", "25,50"), "choose: give one --floor"),
        (("choose", "--model", "llama-3.1-8b", "--floor", "25", "--slo", "x"), "--slo"),
        (("choose", "--model", "llama-3.1-8b", "--floor", "25", "--users", "0"), "--users: 0 is too few"),
        (
            ("choose", "--model", "llama-3.1-8b", "--output-tokens", "1", "--slo", "tpot_p95=1s"),
            "--slo: answers of one token have no time per token",
        ),
        ((*L4, "--users", "0"), "--users: 0 is too few"),
        (
            ("predict", "--model", "llama-3.1-8b", "--gpu", "l4", "--output-tokens", "0"),
            "--output-tokens: 0 is too few",
        ),
        (
            ("predict", "--model", "llama-3.1-8b", "--gpu", "l4", "--input-tokens", "-5"),
            "--input-tokens: -5 is too few",
        ),
        (("predict", "--model", "llama-3.1-8b", "--engine", "nope"), "no engine is called 'nope'"),
        (
            ("predict", "--model", "llama-3.1-8b", "--gpu", "l4", "--cards", "3"),
            "32 heads cannot be split over 3 cards",
        ),
        (("fit", "llama-3.1-8b", "--cards", "0"), "--cards: 0 is too few"),
        (("fit", "llama-3.1-8b", "--cards", "3"), "32 heads cannot be split over 3 cards"),
        (("fit", "llama-3.1-8b", "--kv-bits", "3"), "--kv-bits: invalid choice"),
        (("fit", "llama-3.1-8b", "--context", "0"), "--context"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], says: str) -> None:
    done = asked(*words)
    assert done.code == 2
    assert done.out == ""
    assert re.search(says, done.err)
    assert done.err.count("\n") == 1


def test_a_config_without_what_is_needed_names_the_field(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 4096}')
    done = asked("predict", "--model", tmp_path, "--gpu", "l40s")
    assert done.code == 2
    assert "`num_hidden_layers` is missing" in done.err


def test_a_predicted_curve_is_a_run_that_is_marked_wherever_it_stands(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    done = asked("predict", "--model", "llama-3.1-8b", "--gpu", "l40s,rtx4090", "--users", "1,4,16,64", "--out", runs)
    assert done.code == 0, done.err
    assert done.out.startswith("predicted, not measured: ")
    a, b = sorted(runs.iterdir())
    assert asked("runs", "--out", runs).out.count("vllm, predicted") == 2
    shown = asked("show", a).out
    assert "predicted, not measured" in shown
    assert "cautions" in shown
    assert shown.count("predicted, not measured: from") == 1
    compared = asked("compare", a, b, "--floor", "20")
    assert compared.code == 0, compared.err
    assert compared.out.count(", predicted)") == 2
    assert "as predicted, which nobody has measured" in compared.out
    page = asked("report", a, b, "--floor", "20", "--md", "-")
    assert page.code == 0, page.err
    assert page.out.startswith("**Predicted: ")
    assert page.out.splitlines()[0].lower().count("predicted") == 1
    again = re.findall(r"breakeven predict --model [^\n<`]+", page.out)
    assert len(again) == 2
    assert asked(*shlex.split(again[0])[1:]).code == 0
    rents = ("--set", "reference.rent_usd_per_h=0.6", "--set", "candidate.rent_usd_per_h=0.3")
    cost = asked("cost", "--from-runs", a, b, "--floor", "20", *rents)
    assert cost.code == 0, cost.err
    assert cost.out.splitlines()[0].count(", predicted") == 2
    rows = asked("report", a, b, "--floor", "20", "--csv", "-").out.splitlines()
    assert all("predicted" in row for row in rows if row.startswith("level,"))
    priced = asked("report", a, b, "--floor", "20", "--json", "-")
    ranking = json.loads(priced.out)["ranking"]
    assert [row["usd_per_mtok"]["value"] > 0 for row in ranking] == [True, True]
    assert all("predicted" in row["label"] for row in ranking)


def test_choose_says_what_report_says_of_the_same_curves(tmp_path: Path) -> None:
    """One door: cost and capacity of a card are those that `report` finds from the run that `predict` keeps."""
    found = told("choose", "--model", "llama-3.1-8b", "--floor", 25, "--gpus", "l40s,rtx4090")
    users = ",".join(map(str, CURVE))
    asked("predict", "--model", "llama-3.1-8b", "--gpu", "l40s,rtx4090", "--users", users, "--out", tmp_path)
    for row in found["candidates"]:  # type: ignore[attr-defined]
        [folder] = [path for path in tmp_path.iterdir() if path.name.endswith(row["run_id"])]
        [ranked] = json.loads(asked("report", folder, "--floor", 25, "--json", "-").out)["ranking"]
        assert row["usd_per_mtok"] == ranked["usd_per_mtok"]
        assert row["users"] == ranked["users"]
        price = row["price"]["usd_per_h"]
        assert row["usd_per_mtok"]["value"] == pytest.approx(price / row["tok_per_s"]["value"] / 3600 * 1e6)


def test_a_choice_as_a_page_ranks_as_the_terminal_does(tmp_path: Path) -> None:
    page = tmp_path / "choice.html"
    model = ("--model", "llama-3.1-8b", "--floor", 25, "--gpus", "l40s,rtx4090")
    found = json.loads(asked("choose", *model, "--html", page, "--json", "-").out)
    told = re.findall(r'class="n figure"[^>]*><span>([^<]*)<', page.read_text(encoding="utf-8"))
    assert told == [f"{one['usd_per_mtok']['value']:.4g}" for one in found["candidates"]]
    assert {(one["label"], one["kind"]) for one in found["candidates"]} == {
        (f"{card} · vLLM", "predicted") for card in ("L40S", "RTX 4090")
    }
    assert asked("choose", *model, "--html", tmp_path / "none" / "x.html").code == 2
    to_stdout = asked("choose", *model, "--html", "-")
    assert to_stdout.out.startswith("<!doctype html>")
    assert "is the cheapest for" in to_stdout.err
    assert "only one form can go to stdout" in asked("choose", *model, "--html", "-", "--json", "-").err


def test_the_ranking_goes_by_cost_and_by_month_where_users_are_said() -> None:
    found = told("choose", "--model", "llama-3.1-8b", "--floor", 25, "--gpus", CARDS, "--users", 1000)
    rows = found["candidates"]
    costs = [row["usd_per_month"]["value"] for row in rows]  # type: ignore[attr-defined]
    assert costs == sorted(costs)
    for row in rows:  # type: ignore[attr-defined]
        nodes = -(-1000 // int(row["users"]["value"] + 1e-9))
        assert row["nodes"]["value"] == nodes
        assert row["usd_per_month"]["value"] == pytest.approx(nodes * row["price"]["usd_per_h"] * row["cards"] * 730.5)
    assert {row["kind"] for row in rows} == {"predicted"}  # type: ignore[attr-defined]


def test_the_run_to_measure_next_is_a_command_that_is_understood(tmp_path: Path) -> None:
    done = asked("choose", "--model", "llama-3.1-8b", "--floor", 25, "--gpus", CARDS)
    assert done.code == 0, done.err
    assert "measure next: " in done.out
    [command] = [line for line in done.out.splitlines() if line.startswith("  breakeven run ")]
    assert asked(*shlex.split(command)[1:], "--dry-run").code == 0


def test_a_card_that_misses_or_does_not_fit_or_has_no_price_says_so() -> None:
    done = asked("choose", "--model", "llama-3.1-70b", "--floor", 25, "--gpus", "rtx3060,h100-80-sxm,rtx4090")
    assert done.code == 0, done.err
    assert re.search(
        r"RTX 3060 +does not fit: weights take 141.1 of the 96 GB of 8 cards; 16 cards or int8 on 8 would hold it",
        done.out,
    )


def test_a_card_without_bf16_is_predicted_in_fp16_and_says_so_wherever_it_stands(tmp_path: Path) -> None:
    """It was first among those to rent, in a precision that it does not have."""
    model = ("--model", "llama-3.1-8b", "--gpus", "v100-sxm-16,l40s")
    chosen = asked("choose", *model, "--floor", 25, "--users", 500)
    assert chosen.code == 0, chosen.err
    [row] = [line for line in chosen.out.splitlines() if re.search("V100 16GB.*predicted +[0-9]", line)]
    assert "vLLM in fp16" in row
    assert "in fp16, having no bf16" in " ".join(chosen.out.split())
    words = ("predict", "--model", "llama-3.1-8b", "--gpu", "v100-sxm-32,t4,l40s", "--users", "1,8", "--out", tmp_path)
    runs = told(*words)["runs"]
    kept = [one["run"]["settings"]["predicted"] for one in runs]  # type: ignore[attr-defined]
    assert {(one["precision"], one["products"], one.get("asked_precision")) for one in kept} == {
        ("fp16", "fp16", "bf16"),
        ("bf16", "bf16", None),
    }
    [folder] = [path for path in tmp_path.iterdir() if "v100" in path.name]
    assert "fp16" in asked("show", folder).out
    assert "fp16" in asked("report", folder, "--floor", 25, "--md", "-").out.splitlines()[0]


@pytest.mark.parametrize(
    ("card", "precision", "says"),
    [
        ("v100-sxm-32", "fp8", "does not fit: it has no fp8, nor is that widened for it; fp16 on 1 would hold it"),
        ("v100-sxm-16", "int8", "does not fit: it has no int8, nor is that widened for it; int4 on 1 would hold it"),
        ("a100-80-sxm", "fp8", "A100 80GB SXM4 .*in fp8, multiplied in bf16"),
        ("t4", "fp8", "T4 .*in fp8, multiplied in fp16"),
        ("t4", "bf16", "T4 .*in fp16, having no bf16; int8 fits on 1"),
        ("h100-sxm", "fp8", "H100 80GB SXM5 [^a-z]*$"),
    ],
)
def test_a_precision_that_a_card_lacks_is_said_in_its_row(card: str, precision: str, says: str) -> None:
    done = asked("fit", "llama-3.1-8b", "--gpu", card, "--precision", precision)
    assert done.code == (1 if "does not fit" in says else 0)
    assert re.search(says, done.out, re.MULTILINE), done.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("llama-3.1-405b", "--slo", "ttft_p95=1s", "--gpus", "rtx4090"),
            "GeForce RTX 4090 does not fit: weights take 811.7 of the 192 GB of 8 cards; 64 cards would hold it;",
        ),
        (
            ("llama-3.1-405b", "--floor", "25", "--gpus", "rtx4090,l4,l40s,a10"),
            "; other cards left out: 1; `breakeven fit MODEL`",
        ),
        (("llama-3.1-8b", "--floor", "25", "--gpus", "gb300"), "GB300 .* no price: say what it costs by --prices"),
    ],
)
def test_a_model_that_no_card_can_serve_is_one_line(words: tuple[str, ...], says: str) -> None:
    """It said that no run has a ttft_p95."""
    done = asked("choose", "--model", *words)
    assert done.code == 1
    assert done.out == ""
    assert re.search(says, done.err)
    assert done.err.count("\n") == 1


def test_a_level_that_nothing_meets_is_exit_3_with_what_would() -> None:
    done = asked("choose", "--model", "llama-3.1-70b", "--floor", 2000, "--gpus", "h100-80-sxm,l40s")
    assert done.code == 3
    assert re.search(
        r"nothing meets at least 2000 tok/s a user on average: .* comes nearest with [\d.]+ tok/s", done.err
    )


def test_cost_from_runs_without_a_price_takes_the_quotes_that_report_takes(tmp_path: Path) -> None:
    """It said that nothing can be concluded from what is given."""
    asked("predict", "--model", "llama-3.1-8b", "--gpu", "l40s,rtx4090", "--users", "1,4,16,64,128", "--out", tmp_path)
    a, b = sorted(tmp_path.iterdir())
    report = json.loads(asked("report", a, b, "--floor", 25, "--json", "-").out)
    cost = told("cost", "--from-runs", a, b, "--floor", 25)
    ranked = {row["label"].partition(" ·")[0]: row["usd_per_mtok"]["value"] for row in report["ranking"]}
    sides = {name: cost[name]["usd_per_mtok_output"] for name in ("reference", "candidate")}  # type: ignore[index]
    assert sides["reference"] == pytest.approx(ranked["L40S"])
    assert sides["candidate"] == pytest.approx(ranked["RTX 4090"])


def test_a_run_of_a_machine_that_no_table_knows_predicts_its_other_loads(tmp_path: Path) -> None:
    """And what is predicted is near what was measured there."""
    run = Path(__file__).parent.parent / "examples" / "cpu-llamacpp-vs-vllm" / "smollm2-135m-vllm-chat"
    done = asked("predict", "--model", "smollm2-135m", "--from", run, "--users", "5,25,100", "--out", tmp_path)
    assert done.code == 0, done.err
    assert "AMD EPYC (2 cores) with vLLM 0.32.0" in done.out
    assert "held back by" in done.out
    [folder] = tmp_path.iterdir()
    levels = {one["users"]: one for one in json.loads((folder / "summary.json").read_text())["levels"]}
    measured = json.loads(asked("show", run, "--json", "-").out)["levels"]
    for level in measured:
        if level["users"] in levels:
            low, high = levels[level["users"]]["output_tok_per_s"]["ci95"]
            assert low <= level["output_tok_per_s"]["value"] <= high


def test_a_run_of_one_load_or_of_another_model_says_so(tmp_path: Path) -> None:
    examples = Path(__file__).parent.parent / "examples" / "cpu-llamacpp-vs-vllm"
    other = asked("predict", "--model", "llama-3.1-8b", "--from", examples / "smollm2-135m-vllm-chat")
    assert other.code == 2
    assert re.search("smollm2-135m-vllm-chat measured .*SmolLM2.*, and .*Llama.* is asked for", other.err)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_an_engine_is_predicted_from_its_own_measurements(engine: str) -> None:
    """TensorRT-LLM had another name among the measurements than among the engines, so that all engines stood for it."""
    found = told("predict", "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--engine", engine)
    assert found["runs"][0]["run"]["settings"]["predicted"]["engine"] == engine  # type: ignore[index]


def test_an_engine_and_a_card_without_any_point_say_so_in_the_terminal_the_json_and_on_a_page(tmp_path: Path) -> None:
    words = ("--model", "llama-3.1-8b", "--engine", "llamacpp")
    engine, card = (re.escape(UNLIKE_SAYS[one]) for one in ("engine", "architecture"))
    one_line = f"{engine}; {card}"
    done = asked("predict", *words, "--gpu", "l40s", "--users", 1, "--out", tmp_path)
    assert re.search(one_line, " ".join(done.out.split()))
    [folder] = tmp_path.iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["run"]["settings"]["predicted"]["unlike"] == ["engine", "architecture"]
    assert re.search(one_line, " ".join(asked("show", folder).out.split()))
    assert re.search(engine, " ".join(asked("report", folder, "--floor", 1, "--md", "-").out.split()))
    chosen = asked("choose", *words, "--gpus", "l40s,h100-sxm", "--floor", 25, "--html", tmp_path / "page.html")
    told_all = " ".join(chosen.out.split())
    assert re.search(f"(H100 80GB SXM5, L40S|L40S, H100 80GB SXM5): {engine}", told_all)
    assert re.search(f" L40S: {card}", told_all)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert UNLIKE_SAYS["engine"] in page
    assert UNLIKE_SAYS["architecture"] in page
    seen = asked("predict", "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--users", 1).out
    assert not any(says in " ".join(seen.split()) for says in UNLIKE_SAYS.values())


def test_answers_shorter_than_any_that_was_measured_say_so_and_are_less_sure() -> None:
    assert min(point.output_tokens for point in serving_points()) == SHORTEST
    h100 = ("predict", "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--users", 10)
    short, long = (told(*h100, "--output-tokens", tokens)["runs"][0] for tokens in (SHORTEST - 1, SHORTEST))  # type: ignore[index]
    assert short["run"]["settings"]["predicted"]["unlike"] == ["answers"]
    assert "unlike" not in long["run"]["settings"]["predicted"]
    ends = [one["levels"][0]["output_tok_per_s"]["ci95"] for one in (short, long)]
    assert ends[0][1] / ends[0][0] > 1.1 * ends[1][1] / ends[1][0]


def test_every_engine_of_the_measurements_is_one_that_is_asked() -> None:
    assert {row.engine for row in calibrations()} <= {"", *ENGINES}


@pytest.mark.parametrize(
    ("first", "other", "meet"),
    [
        ((None, 2.0), (3.0, 4.0), False),
        ((None, 2.0), (1.5, None), True),
        ((1.0, None), (3.0, 4.0), True),
        ((None, 2.0), (None, None), True),
        ((3.0, 4.0), (None, 2.0), False),
    ],
)
def test_an_open_end_hides_no_winner_whose_other_end_decides(first: Ends, other: Ends, meet: bool) -> None:
    assert overlap(Estimate(value=1.0, ci95=first), Estimate(value=5.0, ci95=other)) is meet


def test_a_cost_that_is_bounded_on_one_side_says_so() -> None:
    done = asked(
        *("choose", "--model", "smollm2-135m", "--gpus", "rtx4090", "--floor", "10"),
        *("--input-tokens", "49", "--output-tokens", "64"),
    )
    assert re.search(r"0\.00371 +no bound below, 0\.0168", done.out), done.out
