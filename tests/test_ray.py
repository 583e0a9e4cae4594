"""`--clients ray:N` on a real local Ray cluster of two nodes."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from breakeven.calibrate.cell import Nonces
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access
from breakeven.errors import RunFailedError
from breakeven.load.level import LevelPlan, Progress
from breakeven.load.open_loop import Asking
from breakeven.load.remote import RemoteCrew
from breakeven.metrics.checks import check_level
from breakeven.metrics.definitions import ttft_s
from breakeven.metrics.level import summarise_level
from commands import breakeven, finish, start
from levels import Run, a_level, a_plan
from test_clients import is_over
from waiting import comes_true

if sys.platform != "linux":
    pytest.skip("Ray is a test tool on Linux alone", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ray

pytestmark = [pytest.mark.filterwarnings("ignore")]  # Ray's own

STEADY = Settings(ttft_s=0.02, itl_s=0.004)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two nodes; the address that drivers use."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    tests = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made.address
    ray.shutdown()
    made.shutdown()


async def on_ray(
    url: str,
    *plans: LevelPlan,
    clients: int = 2,
    is_open: bool = False,
    watch: Any = None,
    workload: Any = None,
    between: Callable[[], None] = lambda: None,
) -> list[Run]:
    from breakeven.load.ray_link import RayLink

    asking = Asking(
        is_open=is_open,
        access=Access(url=url, timeout_s=20.0),
        maker=RequestMaker(api="chat", model="truth", exact_length_body={}),
        workload=workload or Nonces(20),
    )
    crew = RemoteCrew([RayLink(number) for number in range(clients)], asking)
    try:
        await crew.make_ready()
        runs = []
        for plan in plans:
            runs.append(await a_level(crew, plan, watch=None if watch is None else watch(crew)))
            between()
        return runs
    finally:
        await crew.close()


def test_clients_on_two_nodes_measure_as_one_would(cluster: str) -> None:
    plan = a_plan(users=6, warmup_s=0.8, duration_s=1.5)
    with ReferenceServer(STEADY) as server:
        (run,) = asyncio.run(on_ray(server.url, plan))
        stamps = server.stamps()
    assert run.facts.open_s is not None
    assert run.facts.close_s is not None
    checks = check_level(run.facts, run.records)
    assert checks is not None
    assert checks.in_flight == pytest.approx(6, rel=0.02)
    open_s, close_s = run.facts.open_s + run.zero_s, run.facts.close_s + run.zero_s
    written = ((stamps.write_s > open_s) & (stamps.write_s <= close_s)).sum() / (close_s - open_s)
    assert summarise_level(run.facts, run.records).output_tok_per_s.value == pytest.approx(written, rel=0.03)
    assert {record.client for record in run.records} == {0, 1}
    assert sorted(str(tag) for tag in stamps.tag) == sorted(str(record.prompt) for record in run.records)


def test_the_offset_of_the_clocks_is_measured_and_stated(cluster: str) -> None:
    with ReferenceServer(STEADY) as server:
        (run,) = asyncio.run(on_ray(server.url, a_plan()))
        stamps = server.stamps()
    assert run.facts.notes == ()
    assert len({client.node for client in run.facts.clients}) == 2
    for client in run.facts.clients:
        assert client.clock_doubt_s is not None
        assert abs(client.clock_offset_s or 9.0) <= client.clock_doubt_s < 0.05
        assert abs(client.clock_drift_s or 0.0) < 0.05
    extra = summarise_level(run.facts, run.records).extra
    assert (extra["client_nodes"], extra["clock_doubt_s"] > 0) == (2, True)
    at_s = dict(zip(stamps.tag.tolist(), stamps.arrival_s.tolist(), strict=True))
    early_s = np.array([at_s[r.prompt] - (r.sent_s or 0.0) - run.zero_s for r in run.records if r.prompt in at_s])
    assert np.quantile(early_s, 0.05) > -0.005  # one machine, one clock: what was sent has not arrived before


@contextlib.contextmanager
def another_node(
    cluster: str, *before: str, address: str | None = None, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A third node of the cluster, started by this command and in this environment."""
    words = ["-m", "ray.scripts.scripts", "start", f"--address={cluster}", "--num-cpus=1", "--block"]
    words += [] if address is None else [f"--node-ip-address={address}"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    node = subprocess.Popen([*before, sys.executable, *words], env=os.environ | environment, **quiet)
    try:
        assert comes_true(lambda: nodes_alive() == 3, within_s=30)
        yield node
    finally:
        end(node)
    assert comes_true(lambda: nodes_alive() == 2, within_s=60)


def end(node: "subprocess.Popen[bytes]") -> None:
    """End a node with all its processes; `ray start` does not always end when it is told to."""
    if node.poll() is not None:
        return
    started = psutil.Process(node.pid).children(recursive=True)
    os.killpg(node.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        node.wait(5)
    for process in [node, *started]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    node.wait()


def nodes_alive() -> int:
    return sum(node["Alive"] for node in ray.nodes())


@pytest.fixture
def far_node(cluster: str) -> Iterator[None]:
    """A third node, whose monotonic clock is 100,000 s ahead of ours."""
    ahead = ("unshare", "--time", "--monotonic", "100000", "--boottime", "100000", "--fork", "--kill-child")
    if not shutil.which("unshare") or subprocess.run([*ahead, "true"], capture_output=True).returncode:
        pytest.skip("needs a time namespace, which only root may make, and Linux")
    with another_node(cluster, *ahead):
        yield


def test_a_level_bounded_by_requests_has_its_window_on_our_clock_whatever_the_hosts_say(
    cluster: str, far_node: None
) -> None:
    plan = a_plan(users=6, requests=40, duration_s=None, warmup_s=0.0)
    with ReferenceServer(STEADY) as server:
        (run,) = asyncio.run(on_ray(server.url, plan, clients=3))
    measured = [record for record in run.records if record.measured]
    assert len(measured) == 40
    assert {record.client for record in measured} == {0, 1, 2}
    assert run.facts.open_s == pytest.approx(min(record.due_s for record in measured), abs=0.005)
    assert run.facts.close_s == pytest.approx(max(record.due_s for record in measured), abs=0.005)
    assert run.facts.end_s is not None
    assert max(client.clock_offset_s or 0.0 for client in run.facts.clients) == pytest.approx(100_000, abs=1)
    assert 0.0 < run.facts.start_s < min(record.due_s for record in run.records) + 0.005
    assert max(record.end_s for record in run.records) < run.facts.end_s + 0.1


def test_an_open_loop_on_ray_is_the_schedule_of_one(cluster: str) -> None:
    from test_open_loop import times

    plan = a_plan(users=None, req_per_s=40.0, ramp_s=0.0, warmup_s=0.5)
    with ReferenceServer(STEADY) as server:
        (run,) = asyncio.run(on_ray(server.url, plan, clients=3, is_open=True))
    due_s = sorted(record.due_s - run.facts.start_s for record in run.records)
    np.testing.assert_allclose(due_s, times(len(due_s), req_per_s=40.0, arrivals="poisson", seed="0/40.0/0"), atol=0.01)
    assert {record.client for record in run.records} == {0, 1, 2}
    assert all((ttft_s(record) or 1.0) >= 0.019 for record in run.records)


def test_the_users_of_a_dead_actor_are_not_replaced_and_the_next_level_has_all_again(cluster: str) -> None:
    killed: list[Any] = []

    def watch(crew: Any) -> Any:
        def seen(progress: Progress) -> None:
            if progress.phase == "measuring" and progress.phase_s > 0.3 and not killed:
                killed.append(crew._clients[1].link.actor)
                ray.kill(killed[0])

        return seen

    with ReferenceServer(STEADY) as server:
        first, second = asyncio.run(on_ray(server.url, a_plan(), a_plan(), watch=watch))
    assert first.facts.status == "done"
    assert first.facts.notes[0].text.startswith("Ray client 2 of 2 on ")
    assert any(record.client == 1 for record in first.records)
    assert second.facts.notes == ()
    assert {record.user for record in second.records} == {0, 1, 2, 3}


def test_an_actor_that_hangs_is_given_up_and_ended_and_the_level_says_so(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakeven.load.remote._LOST_S", 1.0)
    stopped: list[psutil.Process] = []

    def watch(_crew: Any) -> Any:
        def seen(progress: Progress) -> None:
            if progress.phase == "measuring" and progress.phase_s > 0.3 and not stopped:
                stopped.extend(actors()[:1])
                stopped[0].suspend()

        return seen

    with ReferenceServer(STEADY) as server:
        first, second = asyncio.run(on_ray(server.url, a_plan(duration_s=3.0), a_plan(), watch=watch))
    assert first.facts.stopped == "duration"
    assert "told nothing for 1 s and was given up; its 2 users were not replaced" in first.facts.notes[0].text
    assert comes_true(lambda: is_over(stopped[0]))
    assert {record.user for record in second.records} == {0, 1, 2, 3}
    assert not second.facts.clients_lost


def actors() -> list[psutil.Process]:
    """The processes of the actors on this machine."""
    return [one for one in psutil.process_iter(["cmdline"]) if "ray::RayClient" in " ".join(one.info["cmdline"] or ())]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_an_actor_that_is_lost_between_levels_is_replaced_before_the_next(
    cluster: str, monkeypatch: pytest.MonkeyPatch, sign: signal.Signals
) -> None:
    monkeypatch.setattr("breakeven.load.ray_link._ANSWER_S", 1.0)
    lost: list[psutil.Process] = []

    def between() -> None:
        if not lost:
            lost.extend(actors()[:1])
            lost[0].send_signal(sign)

    with ReferenceServer(STEADY) as server:
        _, second = asyncio.run(on_ray(server.url, a_plan(), a_plan(), between=between))
    assert second.facts.clients_lost == 0
    assert {record.user for record in second.records} == {0, 1, 2, 3}
    assert comes_true(lambda: is_over(lost[0]))


def test_the_clients_of_a_dead_node_are_on_other_nodes_in_the_next_level(cluster: str) -> None:
    with another_node(cluster) as node, ReferenceServer(STEADY) as server:

        def watch(_crew: Any) -> Any:
            def seen(progress: Progress) -> None:
                if progress.phase == "measuring" and progress.phase_s > 0.3 and node.poll() is None:
                    for process in [*psutil.Process(node.pid).children(recursive=True), psutil.Process(node.pid)]:
                        process.kill()
                    node.wait()

            return seen

        plan = a_plan(users=6)
        first, second = asyncio.run(on_ray(server.url, plan, plan, clients=3, watch=watch))
    assert first.facts.clients_lost == 1
    assert second.facts.clients_lost == 0
    assert {record.client for record in second.records} == {0, 1, 2}
    assert {record.user for record in second.records} == set(range(6))


class Refusing(Nonces):
    """A workload of which a client cannot start."""

    def use_salt(self, salt: int) -> None:
        raise ValueError("no salt here")


def test_a_client_that_cannot_start_its_users_stops_the_run_with_its_reason(cluster: str) -> None:
    with ReferenceServer(STEADY) as server, pytest.raises(RunFailedError) as raised:
        asyncio.run(on_ray(server.url, a_plan(), workload=Refusing(20)))
    assert str(raised.value) == "Ray client 1 failed: ValueError: no salt here"


COMMAND = ("--clients", "ray:2", "--users", "4", "--warmup", "0.5", "--output-tokens", "8")


def test_another_version_on_a_node_is_refused_in_one_line(cluster: str, tmp_path: Path) -> None:
    import breakeven as ours

    there = tmp_path / "breakeven"
    shutil.copytree(Path(ours.__file__).parent, there)
    init = (there / "__init__.py").read_text()
    assert ours.__version__ in init
    (there / "__init__.py").write_text(init.replace(ours.__version__, "0.0.9"))
    with another_node(cluster, PYTHONPATH=str(tmp_path)), pytest.raises(RunFailedError) as raised:
        asyncio.run(on_ray("http://127.0.0.1:1", a_plan(), clients=3))
    said = str(raised.value)
    assert re.fullmatch(
        rf"node [0-9.]+ has breakeven 0\.0\.9, this is {re.escape(ours.__version__)}; install the same on every node",
        said,
    )


def test_a_loopback_server_is_refused_where_the_cluster_has_two_hosts(cluster: str, tmp_path: Path) -> None:
    words = ("run", "--url", "http://127.0.0.1:1", *COMMAND, "--out", tmp_path)
    with another_node(cluster, address="127.0.0.9"):
        done = breakeven(*words, env={"RAY_ADDRESS": cluster})
    assert done.code == 2, done.err
    assert "can be reached from this host only, and the cluster has 2 (127.0.0.9, " in done.line()


def test_a_node_without_breakeven_is_named(cluster: str, tmp_path: Path) -> None:
    (tmp_path / "breakeven").mkdir()
    gone = "raise ModuleNotFoundError(\"No module named 'breakeven'\", name='breakeven')"
    (tmp_path / "breakeven" / "__init__.py").write_text(gone)
    with another_node(cluster, PYTHONPATH=str(tmp_path)), pytest.raises(RunFailedError) as raised:
        asyncio.run(on_ray("http://127.0.0.1:1", a_plan(), clients=3))
    assert re.match(
        r"breakeven is not installed on node [0-9.]+: pip install 'breakeven\[ray\]' there", str(raised.value)
    )


def test_of_a_long_error_of_ray_the_last_line_is_told_without_colours() -> None:
    from breakeven.load.ray_link import last_line

    assert last_line(RuntimeError("Traceback\n\x1b[36mray::x()\x1b[39m\nValueError: why\n")) == "ValueError: why"
    assert last_line(ValueError("\x1b[31mwhy\x1b[0m")) == "ValueError: why"


def test_the_command_runs_on_the_cluster(cluster: str, tmp_path: Path) -> None:
    with ReferenceServer(STEADY) as server:
        words = ("run", "--url", server.url, *COMMAND, "--duration", "1", "--out", tmp_path, "--json", "-")
        done = breakeven(*words, env={"RAY_ADDRESS": cluster})
    assert done.code == 0, done.err
    (level,) = done.json["levels"]
    assert level["errors"] == 0
    assert level["requests"] > 20
    assert "clients on 2 nodes: clocks differ from ours by up to" in done.err
    assert level["extra"]["client_nodes"] == 2


def test_stdout_holds_the_json_alone_also_where_ray_tells_of_a_dead_worker(cluster: str, tmp_path: Path) -> None:
    with ReferenceServer(STEADY) as server:
        words = ("run", "--url", server.url, *COMMAND, "--duration", "6", "--out", tmp_path, "--json", "-")
        process = start(*words, env={"RAY_ADDRESS": cluster})
        assert comes_true(lambda: len(actors()) == 2, within_s=30)
        time.sleep(2.0)
        actors()[0].kill()
        done = finish(process)
    assert done.code == 0, done.err
    assert "client_died" in done.caution_ids(0)  # which the JSON says; Ray tells of a death mostly, not always
