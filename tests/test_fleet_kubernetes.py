"""What is Kubernetes' own of a fleet there; what holds of every server is in test_fleet_servers.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client

from breakeven.fleet.jobs.kubernetes import Kubernetes
from breakeven.fleet.jobs.plan import read_fleet_plan
from breakeven.fleet.jobs.task import fleet_task, new_jobs
from on_server import OnServer, on_server

GRID = Path(__file__).parent.parent / "examples/grid/fleet.toml"


@pytest.fixture
def handed(tmp_path: Path) -> Iterator[OnServer]:
    with on_server("kubernetes", tmp_path) as found:
        yield found


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
def test_every_outcome_is_told_with_its_reason(handed: OnServer, how: str, outcome: str, why: str) -> None:
    job = handed.ends_so(how, outcome, why)
    if outcome in ("image_failed", "no_node"):
        assert handed.server.deleted == [job.id]


def test_a_cluster_that_is_not_set_up_or_refuses_is_one_line(handed: OnServer, tmp_path: Path) -> None:
    handed.render(count=1)
    none = handed.says("submit", KUBECONFIG=str(tmp_path / "none"))
    assert (none.code, none.out, "no cluster is set up" in none.line()) == (2, "", True)
    home = handed.says("submit", KUBECONFIG="", HOME=str(tmp_path))
    assert (home.code, home.out, "no cluster is set up" in home.line()) == (2, "", True)
    handed.server.key = "another"
    refused = handed.says("submit")
    assert (refused.code, "HTTP 401" in refused.line()) == (1, True)


def test_a_kubeconfig_may_be_several_files(handed: OnServer, tmp_path: Path) -> None:
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
