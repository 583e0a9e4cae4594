"""`--find-max` closes in on the highest load that meets the SLO, from stored levels alone, in few levels."""

import asyncio
import csv
import html
import json
import math
import random
import re
import shlex
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from breakeven.cli import main
from breakeven.load.level import LevelPlan
from breakeven.metrics.bracket import CLOSE_ENOUGH, Outcome, bracket, next_load, outcomes
from breakeven.metrics.goodput import judged
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.summary import Distribution, LevelSummary, Quantile
from breakeven.plan import Plan
from breakeven.session.search import search_levels
from commands import Done, breakeven, finish, heard, run_folder, start
from fault_answers import answer
from fault_server import FaultServer
from fault_wire import Play, Wire
from test_clients import children
from waiting import comes_true

SLO = parse_slo("ttft_p99=1s")


def level(load: float, ttft_s: float | None, *, whole: bool = True, **fields: object) -> LevelSummary:
    """A level whose TTFT at p99 was this; None: too few answers to tell."""
    where = {"users": int(load)} if whole else {"users": None, "req_per_s_offered": load}
    ttft = Distribution(n=200, p99=Quantile(value=ttft_s, ci95=(None, None)))
    return LevelSummary(**{**where, "status": "done", "distributions": {"ttft_s": ttft}, **fields})  # type: ignore[arg-type]


def searched(
    curve: Callable[[float], float | None],
    *,
    first: float = 1,
    whole: bool = True,
    known: tuple[LevelSummary, ...] = (),
    repeats: int = 1,
    requests: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[LevelSummary]:
    """The levels of a search on a server whose TTFT at p99 follows the curve."""
    measured: list[LevelSummary] = []

    async def measure(plan: LevelPlan) -> LevelSummary | None:
        load = float(plan.users if plan.users is not None else plan.req_per_s or 0.0)
        measured.append(level(load, curve(load), whole=whole, repeat=plan.repeat))
        return measured[-1]

    loads = (max(1, int(first)),), None if whole else (first,)
    plan = Plan(slo="ttft_p99=1s", find_max=True, users=loads[0], rate=loads[1], repeats=repeats, requests=requests)
    asyncio.run(search_levels(plan, slo=SLO, measure=measure, salt=0, say=say, known=known))
    return measured


CURVES: dict[str, Callable[[float, float], float]] = {
    "grows in proportion": lambda load, most: 0.05 + 0.95 * load / most,
    "grows by the square": lambda load, most: 0.05 + 0.95 * (load / most) ** 2,
    "a queue": lambda load, most: 0.3 / (1 - 0.7 * load / most) if load < 1.4 * most else 1000.0,
    "a cliff": lambda load, most: 0.2 if load <= most else 50.0,
}


def curve(name: str, most: float) -> Callable[[float], float]:
    return lambda load: CURVES[name](load, most)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("most", [1, 3, 17, 64, 700])
def test_the_search_ends_beside_the_highest_load_that_meets_the_slo(name: str, most: int) -> None:
    measured = searched(curve(name, most + 1e-9))
    found = bracket(measured, slo=SLO)
    assert found.met is not None
    assert found.missed is not None
    assert found.is_closed
    assert found.met <= most < found.missed
    assert found.missed - found.met <= max(1, CLOSE_ENOUGH * found.met)
    assert len({one.users for one in measured}) == len(measured) <= 2 * math.log2(most + 1) + 5


def test_rates_are_closed_in_on_in_per_cent_however_small() -> None:
    measured = searched(lambda load: 0.1 + 0.9 * load / 0.37, first=2.0, whole=False)
    found = bracket(measured, slo=SLO)
    assert found.unit == "req/s"
    assert found.met is not None
    assert found.missed is not None
    assert found.met <= 0.37 <= found.missed <= found.met * 1.051
    assert len(measured) <= 8


RATES_ACROSS = [0.0005 * 1.07**i for i in range(310)]
"""From under the lowest rate that can be offered to 630,000 req/s."""


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("first", [0.001, 0.02, 1.0, 7.123, 5000.0])
def test_every_search_for_a_rate_ends_after_few_levels_each_of_another_rate(name: str, first: float) -> None:
    for most in RATES_ACROSS:
        measured = searched(curve(name, most * (1 + 1e-9)), first=first, whole=False)
        rates = [one.req_per_s_offered or 0.0 for one in measured]
        assert len(set(rates)) == len(rates) <= 8 + abs(math.log2(most / first)), (most, rates)
        assert all(round(rate, 3) == rate for rate in rates)
        found = bracket(measured, slo=SLO)
        if most < 0.001:
            assert (found.met, found.missed) == (None, 0.001)
            continue
        assert found.met is not None
        assert found.missed is not None
        assert found.met <= most < found.missed
        assert found.is_closed
        assert found.missed - found.met <= max(0.001, CLOSE_ENOUGH * found.met) * (1 + 1e-9)


def test_a_low_rate_is_known_to_a_thousandth_where_five_per_cent_would_be_less() -> None:
    measured = searched(lambda load: 0.9 if load <= 0.0203 else 1.1, first=0.02, whole=False)
    found = bracket(measured, slo=SLO)
    assert (found.met, found.missed, found.is_closed) == (0.02, 0.021, True)
    assert len(measured) <= 6


def test_a_line_between_two_loads_saves_levels_against_halving() -> None:
    def count(*, worst: bool, most: float) -> int:
        measured: list[Outcome] = []
        while (load := next_load(sorted(measured, key=lambda one: one.load), first=1, whole=True)) is not None:
            value = 0.05 + 0.95 * (load / most) ** 2
            verdict = "met" if value <= 1 else "missed"
            measured.append(Outcome(load=load, verdict=verdict, worst=value if worst else None))  # type: ignore[arg-type]
        return len(measured)

    loads = [3 * 1.2**i for i in range(36)]
    with_line, halving = (sum(count(worst=worst, most=most) for most in loads) for worst in (True, False))
    assert with_line < 0.7 * halving


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("whole", "first", "most"), [(True, 1, 50), (False, 1, 50), (False, 0.02, 0.0203)])
def test_noise_never_keeps_a_search_from_ending(seed: int, whole: bool, first: float, most: float) -> None:
    chance = random.Random(seed)
    measured = searched(
        lambda load: (0.05 + 0.95 * load / most) * math.exp(0.2 * chance.gauss(0, 1)), first=first, whole=whole
    )
    assert len(measured) < 20
    assert bracket(measured, slo=SLO).missed is not None


def test_where_one_user_is_too_many_nothing_meets_it() -> None:
    measured = searched(lambda _: 5.0, first=8)
    assert [one.users for one in measured] == [8, 4, 2, 1]
    found = bracket(measured, slo=SLO)
    assert (found.met, found.missed) == (None, 1)
    assert found.text == "no load that was measured is known to meet ttft_p99 <= 1.00 s, not even 1 user"


def test_a_load_too_small_to_tell_is_passed_upwards_and_said() -> None:
    measured = searched(lambda load: None if load < 8 else load / 20)
    found = bracket(measured, slo=SLO)
    assert (found.met, found.missed) == (20, 21)
    given = bracket([level(2, None, stopped="duration")], slo=SLO)
    assert given.text.endswith("at 2 users: measure for longer with --duration); no higher load was measured")
    some = bracket([level(2, None), level(4, 9.0)], slo=SLO)
    assert (some.met, some.missed) == (None, 4)
    assert "too few answers to tell at 2 users: measure for longer with --max-duration" in some.text


@pytest.mark.parametrize(("requests", "loads"), [(100, [1, 4, 16, 50]), (9, [1, 4]), (2, [1])])
def test_a_count_of_requests_ends_the_search_where_it_holds_two_for_each_user(requests: int, loads: list[int]) -> None:
    said: list[str] = []
    measured = searched(lambda _: 0.1, requests=requests, say=said.append)
    assert [one.users for one in measured] == loads
    most = f"the search ends at {loads[-1]} user"
    assert said[0].startswith(most)
    assert f"since {requests} requests must hold two for each" in said[0]
    assert most in said[-1]


def test_levels_that_were_measured_before_are_not_measured_again() -> None:
    first = searched(lambda load: load / 40)
    known = tuple(first[:5])
    again = searched(lambda load: load / 40, known=known)
    assert [one.users for one in again] == [one.users for one in first[5:]]


def test_a_load_that_met_above_one_that_missed_is_luck() -> None:
    found = bracket([level(8, 0.5), level(10, 1.2), level(12, 0.9)], slo=SLO)
    assert (found.met, found.missed) == (8, 10)


def test_what_is_not_closed_says_at_least() -> None:
    assert bracket([level(4, 0.5), level(11, 2)], slo=SLO).text == "at least 4 users meet ttft_p99 <= 1.00 s; 11 do not"
    assert bracket([level(4, 0.5), level(5, 2)], slo=SLO).text == "at most 4 users meet ttft_p99 <= 1.00 s; 5 do not"


def test_one_user_is_not_called_users() -> None:
    texts = [bracket(levels, slo=SLO).text for levels in ([level(1, 0.5)], [level(1, 0.5), level(2, 2)], [level(1, 2)])]
    assert texts == [
        "1 user still meets ttft_p99 <= 1.00 s; no higher load was measured",
        "at most 1 user meets ttft_p99 <= 1.00 s; 2 do not",
        "no load that was measured is known to meet ttft_p99 <= 1.00 s, not even 1 user",
    ]
    assert "too few answers to tell at 1 user: " in bracket([level(1, None)], slo=SLO).text
    assert "too few answers to tell at 1, 2 users: " in bracket([level(1, None), level(2, None)], slo=SLO).text


def test_all_repeats_of_a_load_must_meet_it() -> None:
    (found,) = outcomes([level(8, 0.5), level(8, 1.5, repeat=1)], SLO)
    assert found.verdict == "missed"


def test_each_load_is_measured_as_often_as_asked_until_a_repeat_misses() -> None:
    measured = searched(lambda load: load / 4.5, first=4, repeats=3)
    assert [(one.users, one.repeat) for one in measured] == [(4, 0), (4, 1), (4, 2), (8, 0), (5, 0)]


def test_a_repeat_that_misses_moves_the_search_down() -> None:
    seen: list[float] = []

    def second_time_worse(load: float) -> float:
        seen.append(load)
        return 2.0 if load == 8 and seen.count(8) == 2 else 0.9 if load <= 8 else 2.0

    measured = searched(second_time_worse, first=8, repeats=2)
    assert [(one.users, one.repeat) for one in measured][:4] == [(8, 0), (8, 1), (4, 0), (4, 1)]
    assert bracket(measured, slo=SLO).missed == 8


def test_repeats_that_an_interrupted_search_still_owes_are_measured_first() -> None:
    known = (level(4, 0.5), level(4, 0.5, repeat=1), level(8, 0.7))
    measured = searched(lambda load: load / 12.5, known=known, repeats=2)
    assert (measured[0].users, measured[0].repeat) == (8, 1)


def test_a_backlog_that_grows_and_a_level_that_failed_meet_nothing() -> None:
    assert outcomes([level(8, 0.5, whole=False)], SLO)[0].verdict == "met"
    for other in (
        level(8, 0.5, whole=False, extra={"saturated": True}),
        level(8, 0.5, status="failed"),
        level(8, None),
    ):
        assert judged(other, SLO)[0] != "met"
    assert outcomes([level(8, 0.5, status="interrupted")], SLO) == []


def test_a_load_that_lost_a_client_is_not_met_and_says_why() -> None:
    lost = level(8, 0.5, extra={"clients_lost": 1})
    assert judged(lost, SLO) == ("unknown", ("a client was lost, so this load was not held",))
    assert judged(level(8, 2.0, extra={"clients_lost": 2}), SLO)[0] == "missed"
    found = bracket([level(4, 0.5), lost, level(9, 2.0)], slo=SLO)
    assert (found.met, found.missed) == (4, 9)
    assert found.text.endswith("(clients were lost at 8 users: measure again with --resume)")


@pytest.mark.parametrize(("times", "loads"), [(1, [4, 8, 8, 16]), (2, [4, 8, 8, 8, 16]), (9, [4, 8, 8, 8])])
def test_a_load_that_lost_a_client_is_measured_again_in_its_place_twice_at_most(times: int, loads: list[int]) -> None:
    measured: list[LevelSummary] = []
    said: list[str] = []

    async def measure(plan: LevelPlan) -> LevelSummary | None:
        lost = plan.users == 8 and sum(one.users == 8 for one in measured) < times
        found = level(plan.users or 0, 2.0 if plan.users == 16 else 0.9, extra={"clients_lost": 1} if lost else {})
        measured.append(replace(found, repeat=plan.repeat))
        return measured[-1] if len(measured) < 6 else None

    plan = Plan(slo="ttft_p99=1s", find_max=True, users=(4,))
    asyncio.run(search_levels(plan, slo=SLO, measure=measure, salt=0, say=said.append))
    assert [one.users for one in measured][: len(loads)] == loads
    assert {one.repeat for one in measured} == {0}
    assert ("clients were lost at 8 users" in said[0]) == (times == 9)
    assert times < 9 or len(measured) == 4


def test_nothing_measured_is_no_bracket() -> None:
    found = bracket([], slo=SLO)
    assert (found.met, found.missed, found.is_closed) == (None, None, False)


@pytest.mark.parametrize(
    ("whole", "first", "last", "end"), [(True, 1, 10_000, "10000 users"), (False, 0.5, 1e6, "1000000 req/s")]
)
def test_a_search_that_nothing_stops_tries_the_last_load_and_says_that_it_ends_there(
    whole: bool, first: float, last: float, end: str
) -> None:
    said: list[str] = []
    measured = searched(lambda _: 0.1, first=first, whole=whole, say=said.append)
    assert (measured[-1].users if whole else measured[-1].req_per_s_offered) == last
    assert len(measured) <= 12
    assert said == [f"{end} still meet ttft_p99 <= 1.00 s; the search ends at {end}"]


# the command


@pytest.mark.parametrize(
    ("words", "slots"), [(("--users", "2"), 100), (("--users", "128"), 128), (("--rate", "2"), 100)]
)
def test_a_search_on_the_embedded_engine_is_not_ended_by_the_slots_of_its_first_load(
    words: tuple[str, ...], slots: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("run", "--find-max", "--slo", "ttft_p50=2s", "--dry-run", *words)) == 0
    assert f", {slots} slots of " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "one search; how many levels it takes is not known beforehand (7 to 11 are usual)"),
        (("--repeats", "3"), "(7 to 11 loads, each up to 3 times, are usual)"),
        (("--rate", "2"), "at 2 req/s, then where ttft_p50=2s leads"),
        (("--requests", "50"), "total   no estimate: a search takes as many levels as it needs"),
    ],
)
def test_a_dry_run_of_a_search_does_not_pretend_to_know_its_levels(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("run", "--url", "http://h", "--find-max", "--slo", "ttft_p50=2s", "--dry-run", *words)) == 0
    assert says in capsys.readouterr().out


def places(count: int, then: Play) -> Play:
    """A server that works at so many requests at once; others wait in a line, and who came first is served first."""
    lock, free, line = threading.Lock(), [count], deque[threading.Event]()

    def take() -> None:
        turn = threading.Event()
        with lock:
            if free[0] > 0:
                free[0] -= 1
                return
            line.append(turn)
        turn.wait()

    def give() -> None:
        with lock:
            if line:
                line.popleft().set()
            else:
                free[0] += 1

    def play(wire: Wire) -> None:
        take()
        try:
            then(wire)
        finally:
            give()

    return play


def find_places(out: Path) -> Done:
    """Three places of 100 ms: with four users each waits for a place for 33 ms."""
    flags = ("--find-max", "--slo", "ttft_p50=117ms", "--users", "1", "--duration", "1.2", "--warmup", "0.3")
    with FaultServer({"*": places(3, answer(ttft_s=0.1, itl_s=0.0))}) as server:
        done = breakeven("run", "--url", server.url, *flags, "--output-tokens", 2, "--out", out, "--json", "-")
    assert done.code == 0, done.err
    return done


def test_the_command_finds_the_places_of_a_server_and_show_says_it_again(tmp_path: Path) -> None:
    out = tmp_path / "first"
    done = find_places(out)
    if done.json["run"]["settings"]["found"]["met"] != 3:  # once more: the machine may have been busy
        out = tmp_path / "second"
        done = find_places(out)
    found = done.json["run"]["settings"]["found"]
    assert (found["met"], found["missed"], found["is_closed"]) == (3, 4, True)
    assert found["text"] == "at most 3 users meet ttft_p50 <= 117 ms; 4 do not"
    assert len(done.json["levels"]) <= 5
    shown = breakeven("show", run_folder(out))
    assert found["text"] in shown.out


def test_the_command_measures_a_load_again_that_lost_a_client(tmp_path: Path) -> None:
    flags = ("--find-max", "--slo", "ttft_p50=117ms", "--users", "3", "--duration", "1.2", "--warmup", "1.5")
    with FaultServer({"*": places(3, answer(ttft_s=0.1, itl_s=0.0))}) as server:
        words = ("run", "--url", server.url, *flags, "--clients", "2", "--output-tokens", 2, "--out", tmp_path)
        process = start(*words, "--json", "-")
        assert comes_true(lambda: len(children(process.pid)) == 2)
        time.sleep(1.0)
        children(process.pid)[0].kill()
        done = finish(process)
    assert done.err.count("3 users: measuring") == 2
    assert not any("client_died" in done.caution_ids(index) for index in range(len(done.json["levels"])))
    assert len({(one["users"], one["repeat"]) for one in done.json["levels"]}) == len(done.json["levels"])


def test_a_search_that_no_load_can_pass_exits_3(tmp_path: Path) -> None:
    flags = ("--find-max", "--slo", "ttft_p50=1ms", "--users", "2", "--duration", "0.5", "--warmup", "0.2")
    with FaultServer() as server:
        done = breakeven("run", "--url", server.url, *flags, "--output-tokens", 4, "--out", tmp_path, "--json", "-")
    assert done.code == 3
    assert [one["users"] for one in done.json["levels"]] == [1, 2]  # by load, though 2 was measured first
    assert json.loads((run_folder(tmp_path) / "summary.json").read_text())["run"]["settings"]["found"]["met"] is None


def test_a_load_that_no_answer_met_is_missed_at_once_and_the_command_to_repeat_it_runs(tmp_path: Path) -> None:
    flags = ("--find-max", "--slo", "ttft_p95=20ms", "--duration", "0.5", "--warmup", "0.2", "--output-tokens", "2")
    with FaultServer(answer(ttft_s=0.1)) as server:
        done = breakeven("run", "--url", server.url, *flags, "--out", tmp_path / "first", "--json", "-")
        (level,) = done.json["levels"]
        assert (level["users"], level["extra"]["verdict"]) == (1, "missed")
        (told,) = level["extra"]["missed"]
        assert re.fullmatch(r"ttft_p95: 0 of \d were within 20.0 ms", told)
        page, text, table = (tmp_path / name for name in ("page.html", "text.md", "table.csv"))
        folder = run_folder(tmp_path / "first")
        report = breakeven("report", folder, "--html", page, "--md", text, "--csv", table, "--json", "-")
        (command,) = report.json["subjects"][0]["commands"]
        again = breakeven(*shlex.split(command)[1:], "--out", tmp_path / "again", "--json", "-")
    assert again.code == done.code == 3, again.err
    assert [one["users"] for one in again.json["levels"]] == [1]
    found = done.json["run"]["settings"]["found"]["text"]
    assert found == "no load that was measured is known to meet ttft_p95 <= 20.0 ms, not even 1 user"
    for form in (page, text):
        said = html.unescape(form.read_text()).replace("\\", "")
        assert f"Limits: ttft_p95 <= 20.0 ms. Found: {found}." in said
        assert "goodput, req/s" in said
        assert told in said
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {(one["figure"], one["value"]) for one in rows if one["part"] == "search"} == {
        ("highest_met", ""),
        ("lowest_missed", "1.0"),
    }
    assert [one["value"] for one in rows if one["figure"] == "limits_met"] == ["0.0"]
    assert report.json["subjects"][0]["limits"] == "ttft_p95 <= 20.0 ms"
    assert report.json["service_level"]["slo"]["limits"] == [{"metric": "ttft_p95", "limit_s": 0.02}]


def test_a_level_of_a_search_ends_once_its_limit_is_missed_whatever_comes(tmp_path: Path) -> None:
    """Windows of 20 s; answers that wait 100 ms for 50 ms decide a p95 once a tenth of one is over."""
    flags = ("--find-max", "--slo", "ttft_p95=50ms", "--duration", "20", "--warmup", "0.2", "--output-tokens", "2")
    with FaultServer(answer(ttft_s=0.1)) as server:
        done = breakeven("run", "--url", server.url, *flags, "--users", "1", "--out", tmp_path, "--json", "-")
    assert done.code == 3, done.err
    (level,) = done.json["levels"]
    assert (level["stopped"], level["status"], level["extra"]["verdict"]) == ("slo", "done", "missed")
    assert level["window_s"] < 8
    told = r"1 user: ttft_p95 <= 50.0 ms is missed whatever comes \((\d+) of \1 are beyond it\); ended after \d.\d+ s"
    assert re.search(told, done.err)
    assert "slo" in breakeven("show", run_folder(tmp_path)).out


def test_without_a_search_a_level_lasts_as_long_as_asked(tmp_path: Path) -> None:
    flags = ("--slo", "ttft_p95=50ms", "--duration", "1.5", "--warmup", "0.2", "--output-tokens", "2", "--users", "1")
    with FaultServer(answer(ttft_s=0.1)) as server:
        done = breakeven("run", "--url", server.url, *flags, "--out", tmp_path, "--json", "-")
    assert [one["stopped"] for one in done.json["levels"]] == ["duration"]


def test_a_search_by_a_count_of_requests_begins_where_the_count_is_enough_and_ends_there(tmp_path: Path) -> None:
    flags = ("--find-max", "--slo", "ttft_p50=5s", "--requests", "8", "--output-tokens", "2", "--out", tmp_path)
    with FaultServer() as server:
        done = breakeven("run", "--url", server.url, *flags, "--json", "-")
    assert done.code == 0, done.err
    assert [one["users"] for one in done.json["levels"]] == [1, 4]
    assert "the search ends at 4 users, since 8 requests must hold two for each" in done.err
    assert done.json["run"]["settings"]["found"]["text"].endswith(
        "still meet ttft_p50 <= 5.00 s; the search ends at 4 users"
    )


def test_a_level_that_was_interrupted_is_measured_again_by_a_resumed_search(tmp_path: Path) -> None:
    flags = ("--find-max", "--slo", "ttft_p50=5s", "--users", "2", "--requests", "4", "--repeats", "2")
    with FaultServer(answer(ttft_s=0.4)) as server:
        process = start("run", "--url", server.url, *flags, "--output-tokens", "2", "--out", tmp_path)
        for _ in range(2):
            heard(process, "2 users: measuring")
        process.send_signal(signal.SIGINT)
        assert finish(process).code == 130
        stored = breakeven("show", run_folder(tmp_path), "--json", "-").json["levels"]
        done = breakeven("run", "--resume", run_folder(tmp_path), "--json", "-")
    assert [(one["repeat"], one["status"]) for one in stored] == [(0, "done"), (1, "interrupted")]
    assert done.code == 0, done.err
    assert [(one["repeat"], one["status"]) for one in done.json["levels"]] == [(0, "done"), (1, "done")]
