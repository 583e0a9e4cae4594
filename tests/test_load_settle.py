"""After a cut the next level waits until the engine is idle, by its gauges or by a probe, and never for long."""

from typing import Any

import pytest

from asking import run
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from breakeven.engine.base import OpenAI
from breakeven.engine.lmdeploy import Lmdeploy
from breakeven.load import settle as settle_module
from breakeven.load.settle import settle
from breakeven.session.server import Server
from fault_answers import answer, reply
from fault_server import FaultServer, closed_port
from fault_wire import Play
from faults import PLAYS, hang_up, stall, status


def gauges(running: float, waiting: float = 0.0) -> Play:
    """vLLM's gauges."""
    text = f'vllm:num_requests_running{{m="x"}} {running}\nvllm:num_requests_waiting{{m="x"}} {waiting}\n'
    return lambda wire: reply(wire, 200, text, kind="text/plain")


def settled(url: str, *, idle_probe_s: float | None = 0.05, timeout_s: float = 600.0) -> tuple[float, bool]:
    """Settle as a run does."""

    async def wait() -> tuple[float, bool]:
        maker = RequestMaker(api="chat", model="good", exact_length_body={})
        server = Server(await resolve(Access(url=url, timeout_s=timeout_s)), engine=OpenAI(), maker=maker)
        return await settle(busy_requests=server.busy_requests, probe_s=server.probe_s, idle_probe_s=idle_probe_s)

    return run(wait)


def test_an_engine_with_gauges_is_idle_when_they_are_zero() -> None:
    busy = [gauges(3, 2), gauges(1), gauges(0, 1), gauges(0)]
    with FaultServer({"/metrics": busy}) as server:
        took_s, idle = settled(server.url)
        assert len(server.requests) == 4
        assert not server.asked
    assert idle
    assert took_s == pytest.approx(0.3, abs=0.1)


def test_gauges_of_before_the_cut_say_nothing_of_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lmdeploy, "gauges_age_s", 0.35)
    zero = "lmdeploy:num_requests_running 0\nlmdeploy:num_requests_waiting 0\n"
    with FaultServer({"/metrics": lambda wire: reply(wire, 200, zero, kind="text/plain")}) as server:
        took_s, idle = settled(server.url)
        assert len(server.requests) > 1
    assert idle
    assert took_s >= 0.35


def test_an_engine_without_gauges_is_idle_when_a_probe_is_fast_again() -> None:
    slow = answer(ttft_s=0.3)
    with FaultServer({"good": [slow, slow, answer(ttft_s=0.02)], "/metrics": status(404)}) as server:
        took_s, idle = settled(server.url, idle_probe_s=0.05)
        assert len(server.asked) == 3
        assert {one.json["max_tokens"] for one in server.asked} == {1}
    assert idle
    assert took_s == pytest.approx(0.3 + 0.1 + 0.3 + 0.1 + 0.02, abs=0.15)


@pytest.mark.parametrize("text", ["", "# nothing\nother_gauge 3\n", "vllm:num_requests_running NaN\n", "<html>"])
def test_metrics_without_the_gauges_leave_it_to_the_probe(text: str) -> None:
    with FaultServer({"good": answer(), "/metrics": lambda wire: reply(wire, 200, text)}) as server:
        assert settled(server.url)[1]
        assert len(server.asked) == 1


def test_a_probe_that_fails_is_no_sign_of_rest() -> None:
    plays: list[Any] = [status(503), PLAYS["reset"], answer()]
    with FaultServer({"good": plays}) as server:
        assert settled(server.url)[1]
        assert len(server.asked) == 3


def test_a_server_that_refuses_connections_carries_no_load() -> None:
    with closed_port() as url:
        took_s, idle = settled(url)
    assert idle
    assert took_s < 0.1


def test_without_a_first_probe_to_compare_with_nothing_is_waited_for() -> None:
    with FaultServer({"good": stall()}) as server:
        took_s, idle = settled(server.url, idle_probe_s=None)
    assert idle
    assert took_s < 0.5


@pytest.mark.parametrize(
    "script",
    [
        {"good": stall()},
        {"/metrics": stall()},
        {"/metrics": gauges(1)},
        {"good": hang_up(), "/metrics": hang_up()},
        {"good": answer(ttft_s=5.0)},
    ],
)
def test_an_engine_that_stays_busy_or_hangs_is_given_up(
    script: dict[str, Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_module, "LONGEST_S", 0.5)
    began_s = now_s()
    with FaultServer(script) as server:
        took_s, idle = settled(server.url)
        assert now_s() - began_s < 1.5
    assert not idle
    assert took_s == pytest.approx(0.5, abs=0.2)
