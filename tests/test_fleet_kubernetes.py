"""A fleet on Kubernetes: each job is one Job, whatever is lost or killed; its result comes home by the pod's log."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client

from breakeven.fleet.jobs.kubernetes import Kubernetes
from breakeven.fleet.jobs.plan import read_fleet_plan
from breakeven.fleet.jobs.task import fleet_task, new_jobs
from commands import breakeven, finish
from grid_server import serving, until
from handed import HandedOut
from kubernetes_server import JOBS, PODS, KubernetesServer

GRID = Path(__file__).parent.parent / "examples/grid/fleet.toml"


class Handed(HandedOut):
    """With the server of the test."""

    def __init__(self, server: KubernetesServer, folder: Path) -> None:
        config = folder / "kubeconfig"
        config.write_text(server.kubeconfig())
        super().__init__(folder, to="kubernetes", env={"KUBECONFIG": str(config)})
        self.server = server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KubernetesServer]:
    starts = tmp_path / "starts"
    starts.mkdir()
    grid = KubernetesServer(starts)
    with serving(grid):
        yield grid


@pytest.fixture
def handed(server: KubernetesServer, tmp_path: Path) -> Handed:
    return Handed(server, tmp_path)


def each_once(handed: Handed) -> None:
    """Every job is one Job, and ran once."""
    assert sorted(handed.server.jobs) == [job.id for job in handed.jobs()]
    for job in handed.jobs():
        assert len(list(handed.server.starts.glob(f"{job.id}.*"))) == 1


def test_jobs_become_jobs_of_the_namespace_and_their_results_come_home(handed: Handed, tmp_path: Path) -> None:
    handed.render(count=3, head="parallel = 2")
    done = handed.submit()
    assert (done.code, done.out) == (0, "0\n"), done.err
    assert handed.outcomes() == ["done"] * 3
    each_once(handed)
    assert all((job.node or "").startswith("gpu-node-") for job in handed.jobs())
    taken = breakeven("fleet", "import", handed.path, "--to", tmp_path / "set")
    assert "3 new" in taken.out, taken.out + taken.err


@pytest.mark.parametrize("does", ["lost", "never", 429, 500])
def test_a_create_that_is_not_answered_well_makes_one_job(handed: Handed, does: int | str) -> None:
    handed.server.fault("POST", JOBS, does, does)
    handed.server.fault("GET", PODS, does)
    handed.server.fault("GET", f"{PODS}/.*/log", does)
    handed.render(count=2)
    done = handed.submit()
    assert done.code == 0, done.err
    assert handed.outcomes() == ["done"] * 2
    each_once(handed)


@pytest.mark.parametrize("after", [1, 3])
def test_a_submitter_that_is_killed_goes_on_and_pays_nothing_twice(handed: Handed, after: int) -> None:
    handed.server.does = {"sleep_s": 0.3}
    handed.render(count=4, head="parallel = 2")
    process = handed.start()
    until(lambda: sum(asked == ("POST", JOBS) for asked in handed.server.asked) >= after)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"] * 4
    each_once(handed)


@pytest.mark.parametrize(
    ("how", "outcome", "why"),
    [
        ("image failed", "image_failed", "benchmark: ImagePullBackOff: Back-off pulling image"),
        ("expired", "timed_out", "time limit"),
        ("evicted", "lost", "Evicted: The node was low on resource"),
        ("out of memory", "failed", "exit code 137 (OOMKilled)"),
        ("pod gone", "lost", "its pod is gone"),
        ("never", "no_node", "within 0.5 s: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
    ],
)
def test_every_outcome_is_told_with_its_reason(handed: Handed, how: str, outcome: str, why: str) -> None:
    handed.server.how = how
    handed.render(count=1, wait=0.5)
    assert handed.submit().code == 0
    (job,) = handed.jobs()
    assert (job.outcome, why in (job.reason or "")) == (outcome, True), job
    if outcome in ("image_failed", "no_node"):
        assert handed.server.deleted == [job.id]


def test_what_no_node_took_is_given_out_again_under_a_name_of_its_own(handed: Handed) -> None:
    handed.render(count=1, head="tries = 2", wait=0.3)
    (job,) = handed.jobs()
    handed.server.by_name = {job.id: "never"}
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]
    assert list(handed.server.jobs) == [f"{job.id}-2"]


def test_stop_deletes_the_jobs_and_says_that_they_were_stopped(handed: Handed) -> None:
    handed.server.how = "hangs"
    handed.render(count=2, head="parallel = 1")
    process = handed.start()
    until(lambda: "running" in handed.outcomes())
    process.kill()
    finish(process)
    stopped = handed.says("stop")
    assert stopped.code == 0, stopped.err
    assert [(job.outcome, job.reason) for job in handed.jobs()] == [("failed", "stopped"), ("waiting", None)]
    assert not handed.server.jobs


def test_a_cluster_that_is_not_set_up_or_refuses_is_one_line(handed: Handed, tmp_path: Path) -> None:
    handed.render(count=1)
    none = handed.says("submit", KUBECONFIG=str(tmp_path / "none"))
    assert (none.code, none.out, "no cluster is set up" in none.line()) == (2, "", True)
    home = handed.says("submit", KUBECONFIG="", HOME=str(tmp_path))
    assert (home.code, home.out, "no cluster is set up" in home.line()) == (2, "", True)
    handed.server.token = "another"
    refused = handed.says("submit")
    assert (refused.code, "HTTP 401" in refused.line()) == (1, True)


def test_a_kubeconfig_may_be_several_files(handed: Handed, tmp_path: Path) -> None:
    (tmp_path / "two").write_text("apiVersion: v1\nkind: Config\n")
    handed.env["KUBECONFIG"] += f":{tmp_path / 'two'}"
    handed.render(count=1)
    assert handed.submit().code == 0
    assert handed.outcomes() == ["done"]


@pytest.mark.parametrize("cron", [None, "0 3 * * 0"])
def test_kubernetes_own_schema_takes_the_documents(cron: str | None) -> None:
    text = GRID.read_text() if cron is None else GRID.read_text().replace("# cron", "cron")
    plan = read_fleet_plan(text, where="plan.toml")
    job = new_jobs("grid", "t", plan.nodes, place="kubernetes")[0]
    told = Kubernetes.document(fleet_task(plan, job, plan.nodes[0]))
    kind = {"Job": client.V1Job, "CronJob": client.V1CronJob}[told["kind"]]
    kind.model_validate(told, strict=True)
    template = told["spec"] if cron is None else told["spec"]["jobTemplate"]["spec"]
    template["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Never"
    with pytest.raises(ValueError, match="imagePullPolicies"):
        kind.model_validate(told, strict=True)
