"""What findings say: the sentence, the ranking, the front, the series over time, and what must not be in them."""

import io
import math
import re
import shlex
from pathlib import Path

import msgspec
import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from rich.console import Console

from breakeven.app.report import Asked, find, findings_of, load_run
from breakeven.caution import Caution
from breakeven.cli import parser
from breakeven.compare.capacity import operating_point
from breakeven.errors import UsageError
from breakeven.findings import Findings, Prices, findings, throughput_series
from breakeven.findings.pooled import one_a_load
from breakeven.findings.repeat import run_command
from breakeven.findings.scrub import clean, scrubbed
from breakeven.hidden import HIDDEN
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.statistics import inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts
from breakeven.options import plan_fields
from breakeven.plan import Plan
from breakeven.record import LevelFacts, Record
from breakeven.reference import find_run
from breakeven.report import words
from breakeven.report.sentence import answer_text, sure_text
from breakeven.report.shortnames import marked_names
from breakeven.report.terminal import print_run
from compare_fixture import a_run
from report_findings import ANY_CARDS, PRICES, pair, scenario, single
from report_runs import make_run


def record(*, user: int, sent_s: float, tokens: int, every_s: float) -> Record:
    step = int(every_s * 1e6).to_bytes(4, "little")
    return Record(
        user=user,
        k=0,
        due_s=sent_s,
        sent_s=sent_s,
        chunk_us=step * tokens,
        end_s=sent_s + tokens * every_s,
        status="done",
        output_tokens=tokens,
    )


def test_a_steady_stream_is_a_flat_line_and_warm_up_lies_below_zero() -> None:
    """100 tokens, one every 0.1 s from t = 10 s: 10 tok/s in every bin, the window opens 4 s in."""
    facts = LevelFacts(users=1, start_s=10.0, open_s=14.0, close_s=20.0, end_s=20.0)
    series = throughput_series(facts, [record(user=0, sent_s=10.05, tokens=99, every_s=0.1)], points=10)
    assert series is not None
    assert (series.start_s, series.open_s, series.close_s, series.end_s) == (-4.0, 0.0, 6.0, 6.0)
    assert series.bin_s == pytest.approx(1.0)
    assert series.output_tok_per_s == pytest.approx([9, *[10] * 9])
    assert not series.is_running


def test_the_tokens_of_a_series_are_the_tokens_that_arrived() -> None:
    records = [record(user=user, sent_s=1.0 + 0.3 * user, tokens=40, every_s=0.05) for user in range(7)]
    series = throughput_series(LevelFacts(users=7, start_s=1.0, end_s=6.0), records)
    assert series is not None
    assert len(series.output_tok_per_s) == 33, "three gaps of 50 ms in 5 s"
    assert sum(series.output_tok_per_s) * series.bin_s == pytest.approx(280, rel=1e-3)


def test_a_level_without_a_token_has_no_series() -> None:
    assert throughput_series(LevelFacts(users=1, start_s=0.0), []) is None


def test_the_sentence_names_cards_service_level_cost_and_interval() -> None:
    found = pair()
    k = found.comparisons[0].k_at_slo[0]
    assert k.value is not None
    ratio = k.value * hour_usd_per_card(found, 1) / hour_usd_per_card(found, 0)
    verb = "does" if f"{k.value:.2f}" == "1.00" else "do"
    assert answer_text(found) == (
        f"{k.value:.2f} × RTX 4090 {verb} the work of one A100 80GB PCIe (40 words/s a user on average) "
        f"at {ratio:.2f} of its cost per word."
    )
    assert sure_text(found).startswith("95 %: ")
    assert found.money[0].cost_ratio.value == pytest.approx(ratio)


def hour_usd_per_card(found: Findings, run: int) -> float:
    """Serving hour of a card, worked out here: the A100 pays rent; the 4090 is bought (annuity of 48 months)."""
    if run == 0:
        return 1.65
    purchase, resale = 1750, 0.1
    hours = sum(730.5 * math.pow(1.1, -month / 12) for month in range(1, 49))
    capital = purchase * (1 - resale * math.pow(1.1, -4)) / hours
    watts = found.money[0].inputs["candidate.power_load_w"]
    return capital + 0.16 * watts / 1000


def test_the_interval_of_the_cost_is_that_of_k_at_these_prices() -> None:
    money = pair().money[0]
    value, (low, high) = money.cost_ratio.value, money.cost_ratio.ci95
    k, ends = money.report.comparison["k"].value, money.k_ci95
    assert value is not None
    assert k is not None
    assert low is not None
    assert high is not None
    assert ends[0] is not None
    assert ends[1] is not None
    assert low / value == pytest.approx(ends[0] / k)
    assert high / value == pytest.approx(ends[1] / k)


def test_the_ranking_is_by_cost_and_its_margins_are_against_the_first() -> None:
    found = pair()
    first, second = found.ranking
    assert [row.rank for row in found.ranking] == [1, 2]
    assert first.usd_per_mtok.value is not None
    assert second.usd_per_mtok.value is not None
    assert second.more_than_best == pytest.approx(second.usd_per_mtok.value / first.usd_per_mtok.value - 1)
    for row in found.ranking:
        run = found.subjects[row.run if row.run is not None else 0]
        point = operating_point(
            find_run("a100-80" if run.letter == "A" else "rtx-4090", data="nosana-2024"),
            ServiceLevel(floor_tok_per_s_per_user=40.0),
        )
        tput = point.output_tok_per_s.value
        assert tput is not None
        cost = hour_usd_per_card(found, row.run or 0) * 1e6 / (3600 * tput)
        assert row.usd_per_mtok.value == pytest.approx(cost, rel=1e-9)


def test_without_prices_the_ranking_is_by_throughput_and_there_is_no_money() -> None:
    found = pair(text=None)
    assert found.money == ()
    values = [row.capacity_tok_per_s.value for row in found.ranking]
    assert values == sorted(values, key=lambda value: -(value or 0))
    assert all(row.usd_per_mtok.value is None for row in found.ranking)


def test_a_run_that_misses_the_service_level_comes_last_with_its_reason() -> None:
    found = pair(floor=130.0)
    assert [row.rank for row in found.ranking] == [1, None]
    assert "misses it with" in (words.reason(found.ranking[-1]) or "")
    assert "cannot be held against each other" in answer_text(found)


def test_one_run_alone_is_told_by_its_capacity() -> None:
    found = single()
    assert answer_text(found).startswith("RTX 4090 serves")
    assert "40 words/s a user on average" in answer_text(found)
    assert single(text=PRICES).money[0].report.candidate.figures["usd_per_mtok_output"].value is not None


def test_one_run_alone_names_the_levels_that_would_narrow_its_capacity() -> None:
    run = a_run({1: 100.0, 10: 800.0, 100: 3000.0}, share=0.001)
    found = findings([run], service_level=ServiceLevel(floor_tok_per_s_per_user=40.0))
    assert re.search(r"\. To narrow it, measure \d\d users( and \d\d users)?: the interval would be", sure_text(found))
    assert found.answer.measure_next
    top = findings([run], service_level=ServiceLevel(floor_tok_per_s_per_user=20.0))
    said = "To narrow it, measure 200 users: the run still meets it at its top level, 100 users."
    assert sure_text(top).endswith(said)
    assert not findings([run]).answer.measure_next


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"floors": [40.0]}, r"to narrow the capacity with at least 40 tok/s a user on average, measure \d\d users"),
        ({"slo": "ttft_p99=2s"}, ""),
        ({}, ""),
        ({"slo": "from a later version"}, ""),
    ],
)
def test_a_run_in_the_terminal_names_the_levels_for_what_it_was_measured_for(
    settings: dict[str, object], said: str
) -> None:
    run = a_run({1: 100.0, 10: 800.0, 100: 3000.0}, share=0.001, settings=settings)
    shown = Console(file=io.StringIO(), width=200)
    print_run(shown, run)
    assert isinstance(shown.file, io.StringIO)
    assert re.search(said, shown.file.getvalue())
    assert ("to narrow" in shown.file.getvalue()) == ("floors" in settings)


def test_nothing_on_the_front_is_beaten_in_both() -> None:
    levels = [level for subject in pair().subjects for level in subject.levels]
    points = [(one.tok_per_s_per_gpu.value or 0, one.tok_per_s_per_user or 0, one.on_front) for one in levels]
    for per_gpu, per_user, on_front in points:
        beaten = any(a >= per_gpu and b >= per_user and (a, b) != (per_gpu, per_user) for a, b, _ in points)
        assert on_front is not beaten


def test_k_counts_machines_and_the_economics_count_cards(tmp_path: Path) -> None:
    """The same server called two cards: half as much each, so twice as many cards do the work of one."""
    one = make_run(tmp_path, gpu="A", users=(1, 10, 30), window_s=4.0, name="one")
    two = make_run(tmp_path, gpu="B", users=(1, 10, 30), window_s=4.0, gpu_count=2, name="two")
    loaded = [load_run(str(folder.path)) for folder in (one, two)]
    found = findings_of(loaded, prices=Prices(scenarios=(scenario(ANY_CARDS),)))
    assert answer_text(found).startswith("1.00 × 2 × B with vLLM does the work of one A with vLLM")
    assert found.money[0].report.comparison["k"].value == pytest.approx(2.0)


def test_a_scenario_that_prices_one_of_two_cards_is_refused() -> None:
    with pytest.raises(UsageError, match=r"prices RTX 4090, and the run .* is of A100 80GB PCIe"):
        pair(text='name = "half"\n[candidate]\ngpu = "RTX 4090"\nrent_usd_per_h = 0.3\n')


def test_a_stored_run_says_how_to_repeat_it(tmp_path: Path) -> None:
    folder = make_run(tmp_path, users=(1, 4), window_s=3.0)
    found = find(Asked(runs=(str(folder.path),)))
    assert found.subjects[0].commands == (
        "breakeven run --url http://gpu-box:8000 --workload fixed --input-tokens 200 --output-tokens 64 --users 1,4",
    )
    assert found.commands == (f"breakeven report runs/{folder.id} --html report.html",)


def test_the_command_of_a_run_hides_the_password_of_its_address() -> None:
    settings = {"url": "http://me:secret@box:8000/?key=abc", "users": [1], "options": {"a": "$(rm -rf /)"}}
    command = run_command(RunFacts(id="x", settings=settings))
    assert command == "breakeven run --url http://box:8000/ --option 'a=$(rm -rf /)' --users 1"


def test_a_run_whose_engine_we_started_is_repeated_by_its_own_plan() -> None:
    settings = {"engine": "vllm", "model": "$WEIGHTS", "users": [1, 5], "precision": 0.05, "url": None}
    assert run_command(RunFacts(id="cpu-vllm", settings=settings)) == "breakeven run cpu-vllm/plan.toml"


@pytest.mark.parametrize(
    "plan",
    [
        Plan(url="http://box:8000", find_max=True, slo="ttft_p99=2s,tpot_p99=100ms"),
        Plan(url="http://box:8000", find_max=True, slo="mlperf-server", rate=(0.5,), arrivals="gamma:2.5", repeats=3),
        Plan(url="http://box:8000", auto=True, duration_s=30.0, warmup_s=0.0, seed=3),
        Plan(url="http://box:8000", users=(1, 5), headers={"X-Team": "a b"}, headers_env={"X-Who": "ME"}),
        Plan(url="http://box:8000", users=(1,), body={"temperature": 0, "stop": ["a", "b"], "user": "x", "k": "1"}),
    ],
)
def test_the_command_makes_the_same_plan_again(plan: Plan) -> None:
    settings = to_builtins(replace(plan, users=None if plan.rate else plan.user_levels))
    command = run_command(RunFacts(id="x", settings=settings))
    assert command is not None
    given = vars(parser().parse_args(shlex.split(command)[1:]))
    again = Plan(**plan_fields({key: value for key, value in given.items() if value is not None}))
    assert replace(again, users=again.user_levels) == replace(plan, users=plan.user_levels)


def test_a_prediction_is_repeated_at_the_very_rates_that_it_was_asked_at() -> None:
    run = RunFacts(
        id="x",
        model="m",
        host={"gpu": "l40s"},
        engine={"name": "vllm"},
        workload={"input_tokens": 100, "output_tokens": 50},
        settings={"predicted": {"precision": "bf16"}, "rate": [1234.567, 20.0], "arrivals": "constant"},
    )
    assert "--rate 1234.567,20 --arrivals constant" in (run_command(run) or "")


def test_settings_that_are_defaults_are_not_repeated() -> None:
    settings = {"engine": "llamacpp", "users": [1, 5], "precision": 0.05, "think_s": 0.0, "timeout_s": 600.0}
    assert run_command(RunFacts(id="x", settings=settings)) == "breakeven run --engine llamacpp --users 1,5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann/models/llama.gguf", "…/llama.gguf"),
        ("cannot read /srv/cache/x/y.bin: no", "cannot read …/y.bin: no"),
        (r"C:\Users\ann\model.gguf", "…/model.gguf"),
        ("~/runs/one", "…/one"),
        ("12 tok/s at 3 req/s, and/or", "12 tok/s at 3 req/s, and/or"),
        ("http://u:p@host:80/v1/models?api_key=k", "http://host:80/v1/models"),
        ("error:/srv/data/x.bin", "error:…/x.bin"),
        ("POST /v1/chat/completions", "POST /v1/chat/completions"),
        ("Authorization: Bearer abcdefgh12345678", f"Authorization: {HIDDEN}"),
        ("used hf_abcdefghijklmnop here", f"used {HIDDEN} here"),
        ("api_key=hunter2 rest", f"api_key={HIDDEN} rest"),
        ("line\none\x1b[31m", "line one [31m"),
    ],
)
def test_texts_lose_paths_keys_and_control_characters(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_a_secret_is_hidden_wherever_it_stands_in_a_record() -> None:
    run = RunFacts(
        id="x",
        engine={
            "argv": ["vllm", "--api-key", "hunter2", "--hf-token=hunter2", "/opt/models/m"],
            "settings": {"token": "hunter2"},
        },
        host={"api_key": "hunter2", "memory_bytes": 5},
        settings={"output_tokens": 64, "api_key_env": "KEY"},
    )
    cleaned = scrubbed(run)
    assert "hunter2" not in msgspec.json.encode(cleaned).decode()
    assert cleaned.engine["argv"][-1] == "…/m"
    assert cleaned.settings == {"output_tokens": 64, "api_key_env": "KEY"}
    assert cleaned.host["memory_bytes"] == 5


def test_cautions_are_said_once_with_all_their_levels() -> None:
    subject = pair().subjects[1]
    texts = [place.caution.text for place in subject.cautions]
    assert len(texts) == len(set(texts))
    assert "all levels" in {place.levels for place in subject.cautions}


def test_a_bin_holds_three_chunks_of_an_answer_where_chunks_are_rare() -> None:
    facts = LevelFacts(users=1, start_s=0.0, open_s=10.0, close_s=50.0, end_s=50.0)
    series = throughput_series(facts, [record(user=0, sent_s=0.0, tokens=40, every_s=1.0)])
    assert series is not None
    assert len(series.output_tok_per_s) == 16
    assert series.bin_s == pytest.approx(50 / 16)


def test_the_repeats_of_a_load_are_one_level_of_the_page(tmp_path: Path) -> None:
    tpot = Distribution(n=10, p50=Quantile(value=0.02, ci95=(0.019, 0.021)))
    slow = LevelSummary(
        users=4,
        status="done",
        output_tok_per_s=Estimate(value=100.0, ci95=(99.0, 101.0)),
        distributions={"tpot_s": tpot, "tok_per_s_per_user": inverted(tpot)},
        window_s=30.0,
        output_tokens=3000,
        requests=10,
        errors=1,
        errors_by_kind={"timeout": 1},
        cautions=(Caution(id="trend", seen="halves differ", advice="wait"),),
    )
    fast = replace(
        slow,
        repeat=1,
        output_tok_per_s=Estimate(value=121.0, ci95=(120.0, 122.0)),
        errors_by_kind={"reset": 1},
        cautions=(),
    )
    other = replace(slow, users=8, cautions=())
    broken = replace(slow, repeat=2, status="interrupted")
    one, two = one_a_load([slow, other, fast, broken])
    assert (one.users, two) == (4, other)
    assert one.output_tok_per_s.value == pytest.approx(110.0)  # the root of 100 x 121
    half = 12.7062 * math.log(1.21) / 2  # t(1) x sd of the logs / root 2, sd = difference / root 2
    assert one.output_tok_per_s.ci95 == pytest.approx((110 * math.exp(-half), 110 * math.exp(half)))
    assert one.of("tok_per_s_per_user").p50.value == pytest.approx(50.0)
    assert (one.requests, one.errors, one.errors_by_kind) == (20, 2, {"timeout": 1, "reset": 1})
    assert [caution.id for caution in one.cautions] == ["trend"]
    assert (one.window_s, one.output_tokens, one.input_tokens) == (60.0, 6000, None)
    assert one.extra["repeats"] == 2


def test_levels_of_an_unknown_load_are_no_repeats_of_one_another() -> None:
    levels = [LevelSummary(users=None, status="done", requests=count) for count in (3, 5)]
    assert one_a_load(levels) == tuple(levels)


def test_a_load_that_no_repeat_finished_is_shown_once() -> None:
    level = LevelSummary(users=4, status="interrupted")
    assert one_a_load([level, replace(level, repeat=1)]) == (level,)


def test_a_legend_says_once_that_a_run_is_predicted() -> None:
    found = pair()
    a, b = found.subjects
    for marks, told in {
        ("", ""): ["A100 80GB PCIe", "RTX 4090"],
        ("", "predicted"): ["A100 80GB PCIe", "RTX 4090 · predicted"],
        ("predicted", "predicted"): ["A100 80GB PCIe (predicted)", "RTX 4090 (predicted)"],
    }.items():
        subjects = tuple(replace(one, mark=mark) for one, mark in zip((a, b), marks, strict=True))
        assert marked_names(replace(found, subjects=subjects)) == told
