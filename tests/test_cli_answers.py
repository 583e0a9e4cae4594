"""The real command against servers that answer in their own ways: the right figures, and what was odd is said.

Every row of cases is a server that people meet (docs/METRICS.md, "Answers as they come"). The runs of this file are
started together, a few at a time, when the first test asks for one.
"""

import re
import statistics
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from commands import Done, breakeven
from fault_answers import answer, reply, spoken
from fault_server import FaultServer, Script
from fault_wire import Play, Wire
from faults import status

AT_ONCE = 3
TTFT_S, ITL_S, TOKENS = 0.05, 0.01, 8
LOADS = {
    "closed": ("--users", "3"),
    "two clients": ("--users", "4", "--clients", "2"),
    "open": ("--rate", "20", "--arrivals", "constant"),
}
RUN = ("--warmup", "0.5", "--ramp", "0.2", "--duration", "2", "--output-tokens", str(TOKENS), "--json", "-")


class Case(NamedTuple):
    """One server, and what a run must say of it."""

    play: Play
    code: int = 0
    cautions: frozenset[str] = frozenset()
    """These, and none of the others in ODD."""
    tokens: int = TOKENS
    """Of an answer, in the throughput."""
    has_tpot: bool = True
    """It has no meaning where nobody counted the tokens."""
    thoughts: int = 0
    """Chunks of reasoning before the answer's first."""
    reasoned: float | None = None
    """Share of the tokens that was reasoning."""
    tokens_from: str = "usage"


ODD: Final = frozenset(
    {"estimated_tokens", "hidden_reasoning", "no_done", "errors", "nothing_but_errors", "most_failed"}
)


def chunk(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def counted(tokens: Any, **details: Any) -> dict[str, Any]:
    return {"prompt_tokens": 5, "completion_tokens": tokens, **details}


TEXT = chunk(content=" token")
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def total(tokens: Any = TOKENS, **details: Any) -> dict[str, Any]:
    return {"choices": [], "usage": counted(tokens, **details)}


def said(*texts: Any, end: tuple[Any, ...] = (STOP, total(), b"[DONE]"), **more: Any) -> Play:
    """`texts` with TTFT and ITL as above, eight by default, then `end` at once."""
    return spoken(*(texts or [TEXT] * TOKENS), end=end, ttft_s=TTFT_S, itl_s=ITL_S, **more)


def each(count: Any) -> list[Any]:
    """Eight chunks, each with the usage that `count` says after its number."""
    return [TEXT | {"usage": counted(count(number))} for number in range(1, TOKENS + 1)]


def failing(*end: Any) -> Case:
    """Text came, then the server gave up: its tokens count, its latencies do not."""
    return Case(said(end=end), code=1, cautions=frozenset({"nothing_but_errors"}))


CHUNKS: Final[dict[str, Any]] = {
    "tokens_from": "chunks",
    "cautions": frozenset({"estimated_tokens"}),
    "has_tpot": False,
}
THOUGHT, CALL = {"reasoning_content": "hm"}, {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}
NO_DONE = frozenset({"no_done"})
CASES = {
    "good": Case(said()),
    "usage of zero until the last": Case(said(*each(lambda number: 0))),
    "usage of each chunk alone": Case(said(*each(lambda number: 1))),
    "usage of each chunk alone and no total": Case(said(*each(lambda number: 1), end=(STOP, b"[DONE]"))),
    "usage up to each chunk": Case(said(*each(lambda number: number))),
    "usage null in each chunk": Case(said(*[TEXT | {"usage": None}] * TOKENS)),
    "a final usage of zero": Case(said(end=(STOP, total(0), b"[DONE]")), **CHUNKS),
    "a final usage of null": Case(said(end=(STOP, total(None), b"[DONE]")), **CHUNKS),
    "a negative usage": Case(said(end=(STOP, total(-1), b"[DONE]")), **CHUNKS),
    "no usage": Case(said(end=(STOP, b"[DONE]")), **CHUNKS),
    "usage as a float": Case(said(end=(STOP, total(8.0), b"[DONE]"))),
    "usage as a text": Case(said(end=(STOP, total("8"), b"[DONE]"))),
    "negative details": Case(said(end=(STOP, total(prompt_tokens_details={"cached_tokens": -1}), b"[DONE]"))),
    "usage beside the finish": Case(
        said(end=({"choices": [{"delta": {}, "finish_reason": "stop", "usage": counted(TOKENS)}]}, b"[DONE]"))
    ),
    "reasoning": Case(said(*[chunk(**THOUGHT)] * 4, *[TEXT] * 4), thoughts=4, reasoned=0.5),
    "reasoning in parts": Case(
        said(*[chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}])] * 4, *[TEXT] * 4),
        thoughts=4,
        reasoned=0.5,
    ),
    "hidden reasoning": Case(
        said(end=(STOP, total(40, completion_tokens_details={"reasoning_tokens": 32}), b"[DONE]")),
        cautions=frozenset({"hidden_reasoning"}),
        tokens=40,
        reasoned=0.8,
    ),
    "content in parts": Case(said(*[chunk(content=[{"type": "text", "text": "x"}])] * TOKENS)),
    "calls of tools": Case(said(*[chunk(**CALL)] * TOKENS)),
    "a refusal": Case(said(*[chunk(refusal="no")] * TOKENS)),
    "broken characters": Case(said(*[b'{"choices":[{"delta":{"content":"\xf0\x9f"}}]}'] * TOKENS)),
    "done with a space": Case(said(end=(STOP, total(), b"[DONE] "))),
    "no done": Case(said(end=(STOP, total())), cautions=NO_DONE),
    "no done and no finish": Case(said(end=(total(),)), cautions=NO_DONE),
    "no done and hung up": Case(said(end=(STOP, total()), ends=False), cautions=NO_DONE),
    "201": Case(said(status=201)),
    "no type": Case(said(kind=None)),
    "another type": Case(said(kind="text/plain; charset=utf-8")),
    "aborted": failing({"choices": [{"delta": {}, "finish_reason": "abort"}]}, total(), b"[DONE]"),
    "given up": failing({"choices": [{"delta": {}, "finish_reason": "error"}]}, total(), b"[DONE]"),
    "an error behind the text": failing({"error": {"message": "no memory"}}),
    "an error in broken characters": failing(b'{"object":"error","message":"no \xff memory"}'),
    "an error that is no number": failing(b'{"choices":[],"object":"error","message":1e400}'),
}
MAIN = (
    *(
        "good",
        "reasoning",
        "usage of zero until the last",
        "a final usage of zero",
        "hidden reasoning",
        "calls of tools",
        "no done",
    ),
    *("an error in broken characters", "aborted"),
)
"""Cases that every load is tried with; the others meet a closed loop."""
RUNS: Final = [(name, load) for name in CASES for load in LOADS if load == "closed" or name in MAIN]


def idle(wire: Wire) -> None:
    """vLLM's gauges at zero, so that settling takes no time."""
    reply(wire, 200, "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", kind="text/plain")


class Truth(NamedTuple):
    """What the server did, by its own stamps: medians over its answers."""

    first_s: float
    behind_s: float
    """As the first chunk, of that behind the reasoning."""
    itl_s: float


def run_case(case: Case, load: str, out: Path) -> tuple[Done, Truth]:
    script: Script = {"good": [answer(), answer(), case.play], "/metrics": idle}
    with FaultServer(script) as server:
        done = breakeven("run", "--url", server.url, *LOADS[load], *RUN, "--out", out)
        whole = [one for one in server.asked[2:] if len(one.write_s) > TOKENS]  # the head, and then its chunks
    first, behind = 1, 1 + case.thoughts
    return done, Truth(
        first_s=statistics.median(one.write_s[first] - one.at_s for one in whole),
        behind_s=statistics.median(one.write_s[behind] - one.at_s for one in whole),
        itl_s=statistics.median((one.write_s[TOKENS] - one.write_s[first]) / (TOKENS - 1) for one in whole),
    )


class Runs:
    """All cases, run a few at a time."""

    def __init__(self, pool: ThreadPoolExecutor, folder: Path) -> None:
        self._runs: dict[tuple[str, str], Future[tuple[Done, Truth]]] = {
            (name, load): pool.submit(run_case, CASES[name], load, folder / f"{name}-{load}".replace(" ", "-"))
            for name, load in RUNS
        }

    def __getitem__(self, run: tuple[str, str]) -> tuple[Done, Truth]:
        return self._runs[run].result()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield Runs(pool, tmp_path_factory.mktemp("answers"))


@pytest.mark.parametrize(("name", "load"), RUNS)
def test_any_answer_is_measured_as_it_was(name: str, load: str, runs: Runs) -> None:
    case, (done, truth) = CASES[name], runs[name, load]
    assert "Traceback" not in done.err
    assert done.code == case.code, done.err
    (level,) = done.json["levels"]
    assert done.caution_ids(0) & ODD == case.cautions
    assert level["status"] == ("done" if case.code == 0 else "failed")
    assert (level["errors"] > 0) == (case.code == 1)
    speed = level["output_tok_per_s"]["value"]
    if not level["errors"]:  # a failed answer counts in no req/s, and its user pauses
        assert level["tokens_from"] == case.tokens_from
        assert speed == pytest.approx(level["req_per_s"]["value"] * case.tokens, rel=0.15)
    assert speed > 0
    assert level["extra"]["reasoning_token_share"] == pytest.approx(case.reasoned)
    assert ("first answer token" in done.err) == (case.thoughts > 0)
    for figure, true_s in (("ttft_s", truth.first_s), ("answer_ttft_s", truth.behind_s), ("tpot_s", truth.itl_s)):
        found = level["distributions"][figure]
        if case.code or (figure == "tpot_s" and not case.has_tpot):
            assert found["n"] <= level["cut"], figure  # of what was cut nobody knows how it would have ended
        else:
            assert found["p50"]["value"] == pytest.approx(true_s, rel=0.1, abs=0.004), figure


@pytest.mark.parametrize("load", LOADS)
def test_the_commonest_error_of_a_failed_level_is_told_with_an_example(load: str, runs: Runs) -> None:
    err = runs["an error in broken characters", load][0].err
    assert "100 % of the requests failed, most often" in err
    assert "x stream_error: no � memory" in err


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize(("failing", "code"), [(4, 0), (6, 1)])
def test_a_level_of_which_more_than_half_failed_is_marked_and_ends_with_1(
    failing: int, code: int, load: str, tmp_path: Path
) -> None:
    plays = [status(503, message="come back later")] * failing + [answer()] * (10 - failing)
    with FaultServer({"good": [answer(), answer(), *plays * 100], "/metrics": idle}) as server:
        done = breakeven("run", "--url", server.url, *LOADS[load], *RUN, "--out", tmp_path)
    assert done.code == code
    (level,) = done.json["levels"]
    assert level["status"] == "done"
    assert done.caution_ids(0) & ODD == {"most_failed" if code else "errors"}
    assert ("most often" in done.err) == bool(code)
    assert (re.search(r"duration( \?)? !", done.err) is not None) == bool(code)
    if code:
        assert f"{level['errors']} x http_503: come back later" in done.err
