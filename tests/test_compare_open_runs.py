"""What a user sees of open loops: imported, measured and predicted runs through compare, cost and report."""

import json
from pathlib import Path
from typing import Any

import pytest

from breakeven.client.reference import ReferenceServer, Settings
from commands import breakeven

SLO = ("--slo", "ttft_p99=1s")
RENTS = ("--set", "reference.rent_usd_per_h=2", "--set", "candidate.rent_usd_per_h=1")
A = {1: (100, 0.2), 4: (400, 0.8), 8: (500, 3.0)}
"""Output tok/s and TTFT p99 in seconds by offered rate: 4 req/s meet a limit of 1 s, 8 miss it."""
B = {1: (100, 0.3), 2: (200, 0.5), 3: (250, 2.0)}


def bench_serve(path: Path, levels: dict[int, tuple[int, float]]) -> Path:
    """A file of vLLM's `bench serve --append-result`, a line a rate."""
    path.write_text("\n".join(json.dumps(_line(rate, *told)) for rate, told in levels.items()))
    return path


def _line(rate: int, tok_per_s: int, ttft_p99_s: float) -> dict[str, Any]:
    return {
        "backend": "vllm",
        "model_id": "m",
        "num_prompts": 200,
        "completed": 200,
        "failed": 0,
        "request_rate": rate,
        "max_concurrency": None,
        "duration": 200 / rate,
        "request_throughput": rate,
        "total_input_tokens": 20_000,
        "total_output_tokens": 200 * tok_per_s // rate,
        "output_throughput": tok_per_s,
        "p99_ttft_ms": 1000 * ttft_p99_s,
    }


def imported(folder: Path) -> list[Path]:
    return [bench_serve(folder / "a.jsonl", A), bench_serve(folder / "b.jsonl", B)]


def k_of(*runs: object, slo: tuple[str, str] = SLO) -> Any:
    found = breakeven("compare", *runs, *slo, "--json", "-")
    assert found.code == 0, found.err
    return found.json["comparisons"][0]["k_at_slo"][0]


def test_imported_paced_loads_have_one_capacity_in_compare_cost_and_report(tmp_path: Path) -> None:
    """A gives 400 tok/s at 4 req/s, B 200 at 2: two B for one A. 2 USD/h / (400 x 3600 tok) = 1.389 USD/Mtok, both."""
    runs = imported(tmp_path)
    k = k_of(*runs)
    assert (k["value"], k["ci95"]) == (2.0, [pytest.approx(4 / 3), pytest.approx(4.0)])
    assert k["reference_at"]["req_per_s"] == {"value": 4.0, "ci95": [4.0, 8.0]}
    cost = breakeven("cost", "--from-runs", *runs, *SLO, *RENTS, "--json", "-")
    assert cost.code == 0, cost.err
    usd = {one["side"]: one["usd_per_mtok"] for one in cost.json["answer"]["options"]}
    assert usd == {"reference": pytest.approx(2e6 / 400 / 3600), "candidate": pytest.approx(2e6 / 400 / 3600)}
    report = breakeven("report", *runs, *SLO, "--json", "-")
    rows = report.json["ranking"]
    assert [(one["capacity_tok_per_s"]["value"], one["req_per_s"]["value"]) for one in rows] == [(400, 4), (200, 2)]
    assert [one["users"]["value"] for one in rows] == [None, None]
    assert report.json["answer"]["k"] == {"value": k["value"], "ci95": k["ci95"]}


def test_one_imported_run_is_reported_at_its_rate(tmp_path: Path) -> None:
    run, _ = imported(tmp_path)
    text = breakeven("report", run, *SLO, "--md", "-").out
    assert "up to 400 tok/s at ttft\\_p99 &lt;= 1.00 s, 4 req/s offered" in text
    assert "| 400 (400–800) | 4 req/s |" in text


@pytest.mark.parametrize("command", [("compare",), ("cost", "--from-runs")])
def test_without_limits_one_line_says_that_they_are_needed(command: tuple[str, ...], tmp_path: Path) -> None:
    for asked in ((), ("--floor", "20")):
        found = breakeven(*command, *imported(tmp_path), *asked)
        assert found.code != 0
        assert "import-vllm-a: an open loop has no number of users" in found.line()
        assert "such as --slo ttft_p99=2s,tpot_p99=100ms" in found.line()


@pytest.mark.parametrize("command", [("compare",), ("cost", "--from-runs")])
def test_an_open_loop_against_a_closed_one_is_refused_with_why_and_what_to_do(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    opened, _ = imported(tmp_path)
    closed = tmp_path / "closed.jsonl"
    lines = [_line(users, 100 * users, 0.2) | {"request_rate": "inf", "max_concurrency": users} for users in (1, 4)]
    closed.write_text("\n".join(map(json.dumps, lines)))
    found = breakeven(*command, opened, closed, *SLO)
    assert found.code != 0
    assert "import-vllm-a was measured at rates (open loop) and import-vllm-closed with users" in found.line()
    assert "from when a request was due" in found.line()
    assert "measure both with --rate, or both with --users" in found.line()
    report = breakeven("report", opened, closed, *SLO, "--json", "-").json
    assert {one["label"].rpartition(" ")[2]: one["rank"] for one in report["ranking"]} == {
        "import-vllm-closed": 1,
        "import-vllm-a": None,
    }


def test_loads_of_users_are_not_asked_of_rates(tmp_path: Path) -> None:
    runs = imported(tmp_path)
    assert "--at-users: import-vllm-a is an open loop" in breakeven("compare", *runs, *SLO, "--at-users", "5").line()
    gated = breakeven("compare", *runs, *SLO, "--gate", "output_tok_per_s >= reference")
    assert "an open loop has no number of users, which a gate is tested at" in gated.line()


def test_a_mix_of_rates_carries_requests_a_second_and_no_users(tmp_path: Path) -> None:
    """A carries 400 / 100 = 4 req/s of 100 tokens, which B's 2 do not beat at one price: 10 req/s take three of A."""
    load = tmp_path / "load.toml"
    load.write_text('[[classes]]\nname = "all"\nreq_per_s = 10\noutput_tokens = 100\n')
    runs = imported(tmp_path)
    asked = ("mix", *runs, *SLO, "--price", "machine=1")
    found = breakeven(*asked, "--load", load)
    assert found.code == 0, found.err
    assert "3 × machine for 3.00 USD/h" in found.out
    assert found.out.split()[found.out.split().index("4–8") - 1] == "4"
    users = breakeven(*asked, "--users", "10")
    assert "an open loop has no number of users, which the load counts; give it in requests a second" in users.line()


def test_a_measured_server_has_its_capacity_at_the_highest_rate_that_it_keeps_up_with(tmp_path: Path) -> None:
    """An answer of 16 tokens takes 20 + 15 x 2 = 50 ms: four places serve 80 req/s, one serves 20.

    So of 10, 40 and 160 req/s the first server keeps up with 40 (640 tok/s), the second with 10 (160): k is 4.
    """
    for name, slots in (("four", 4), ("one", 1)):
        with ReferenceServer(Settings(ttft_s=0.02, itl_s=0.002, slots=slots)) as server:
            words = ("--url", server.url, "--rate", "10,40,160", "--arrivals", "constant", "--name", name)
            limits = ("--slo", "ttft_p90=500ms", "--duration", "4", "--warmup", "0.5", "--output-tokens", "16")
            breakeven("run", *words, *limits, "--out", tmp_path)
    one, four = sorted(tmp_path.iterdir(), key=lambda path: path.name.endswith("four"))
    k = k_of(four, one, slo=("--slo", "ttft_p90=500ms"))
    assert (k["reference_at"]["req_per_s"]["value"], k["candidate_at"]["req_per_s"]["value"]) == (40.0, 10.0)
    assert k["reference_at"]["output_tok_per_s"]["value"] == pytest.approx(640, rel=0.1)
    assert k["value"] == pytest.approx(4.0, rel=0.15)
    low, high = k["ci95"]
    assert low is None or low <= 1.1
    assert high is None or high >= 14
    report = breakeven("report", four, one, "--json", "-").json  # at the limits that both were measured against
    assert report["answer"]["k"]["value"] == pytest.approx(k["value"])


def test_predicted_rates_are_compared_and_marked(tmp_path: Path) -> None:
    asked = ("predict", "--model", "llama-3.1-8b", "--rate", "1,4,64", "--out", tmp_path, "--gpu")
    for gpu in ("l40s", "h100-sxm"):
        assert breakeven(*asked, gpu).code == 0
    h100, l40s = sorted(tmp_path.iterdir())
    k = k_of(h100, l40s, slo=("--slo", "ttft_p95=1s,tpot_p95=50ms"))
    assert k["reference_at"]["req_per_s"]["value"] == k["candidate_at"]["req_per_s"]["value"] == 4.0
    assert "predicted" in breakeven("compare", h100, l40s, "--slo", "ttft_p95=1s").out
