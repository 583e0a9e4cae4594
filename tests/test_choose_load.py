"""choose for a load of several kinds of requests: the same reader and the same nodes as mix."""

import json
import math
from pathlib import Path

import pytest

from breakeven.app.choose import CURVE
from commands import breakeven as asked

CARDS = "h100-80-sxm,a100-80-sxm,l40s,rtx4090"
LOAD = """
[[classes]]
name = "chat"
input_tokens = 500
output_tokens = 200
req_per_s = 12
[[classes]]
name = "summaries"
input_tokens = 6000
output_tokens = 300
users = 40
"""


def test_choose_counts_the_nodes_of_a_load_as_mix_does(tmp_path: Path) -> None:
    """Two classes on an L40S: load / capacity of each, added up, and a whole number of nodes."""
    file = tmp_path / "load.toml"
    file.write_text(LOAD)
    card = ("--model", "llama-3.1-8b", "--gpus", "l40s")
    found = json.loads(asked("choose", *card, "--floor", 25, "--load", file, "--json", "-").out)
    [one] = found["candidates"]
    chat, summaries = (one["capacity"][name]["value"] for name in ("chat", "summaries"))
    assert summaries == int(summaries)
    assert one["nodes"]["value"] == math.ceil(12 / chat + 40 / summaries)
    month = one["nodes"]["value"] * one["price"]["usd_per_h"] * 730.5
    assert one["usd_per_month"]["value"] == pytest.approx(month)
    users = ",".join(map(str, CURVE))
    for lengths in ((500, 200), (6000, 300)):
        asked("predict", "--model", "llama-3.1-8b", "--gpu", "l40s", "--users", users, "--input-tokens", lengths[0],
              "--output-tokens", lengths[1], "--out", tmp_path / "runs")  # fmt: skip
    runs = (tmp_path / "runs").iterdir()
    mixed = json.loads(asked("mix", *runs, "--floor", 25, "--load", file, "--draws", 0, "--json", "-").out)
    assert [can["value"] for can in mixed["offers"][0]["capacity"]] == pytest.approx([chat, summaries])
    assert mixed["fleet"]["nodes"] == [one["nodes"]["value"]]


def test_a_load_of_users_alone_is_what_the_flag_says(tmp_path: Path) -> None:
    file = tmp_path / "load.toml"
    file.write_text("[[classes]]\nusers = 1000\n")
    words = ("choose", "--model", "llama-3.1-8b", "--floor", 25, "--gpus", CARDS, "--json", "-")
    flag, of_file = (asked(*words, *load) for load in (("--users", 1000), ("--load", file)))
    assert json.loads(flag.out) == json.loads(of_file.out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--users", 5), "say the load: --users N, or --load FILE"),
        (("--input-tokens", 5), "--input-tokens and every class of --load say the length"),
        (("--html", "x.html"), "give a load of one class"),
    ],
)
def test_a_load_that_is_said_twice_is_refused(words: tuple[object, ...], says: str, tmp_path: Path) -> None:
    file = tmp_path / "load.toml"
    file.write_text(LOAD)
    done = asked("choose", "--model", "llama-3.1-8b", "--floor", 25, "--load", file, *words)
    assert done.code == 2
    assert says in done.err
