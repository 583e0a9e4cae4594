"""What `fleet render` writes is run in real containers: the pod of Kubernetes, and Nosana's operations one by one.

The benchmark's image is the committed Dockerfile's; the engine's is llama.cpp, since no registry is asked here. podman
knows neither Jobs nor sidecars: it plays the Job's pod, with the engine as a container beside the benchmark.
"""

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from breakeven.fleet.jobs.parcel import unpack
from breakeven.fleet.proof import verify
from breakeven.fleet.result import NodeResult, find_result, read_result
from breakeven.launch.models import fetch_embedded_model
from breakeven.store.folder import RunFolder
from commands import breakeven
from podman import BASE, Containers

pytestmark = pytest.mark.live

ROOT: Final = Path(__file__).resolve().parent.parent
NODE: Final = "localhost/breakeven-test-node"
SERVED: Final = "localhost/breakeven-test-served"
KEY: Final = "a-key-of-the-test"
MARKET: Final = "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
FLEET: Final = f"""
[fleet]
name = "real"
[job]
image = "{NODE}"
template = "smollm2"
users = [1, 2]
duration_s = 6
time_limit_s = 300
arguments = ["--output-tokens", "4", "--proof-memory", "1000000"]
[engine]
engine = "llamacpp"
model = "/model.gguf"
image = "{SERVED}"
settings = {{ context_tokens = 512, max_batch = 4, served_name = "smollm2" }}
env = {{ GOMP_SPINCOUNT = "1000" }}
[[nodes]]
market = "{MARKET}"
"""
STUDY: Final = f"""
[study]
name = "real"
[[models]]
name = "smollm2"
model = "/model.gguf"
[[engines]]
name = "llamacpp"
engine = "llamacpp"
via = "docker"
image = "{SERVED}"
env = {{ GOMP_SPINCOUNT = "1000" }}
[engines.settings]
context_tokens = 512
max_batch = 4
[[hardware]]
name = "rtx4090"
gpu = "rtx4090"
[[workloads]]
name = "short"
output_tokens = 4
[levels]
users = [1]
duration_s = 6
"""


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Containers:
    """With the benchmark's image by its own Dockerfile, and an engine's image that holds its model."""
    folder = tmp_path_factory.mktemp("containers")
    found = Containers(folder)
    settings = [word for path in ("/etc/pip.conf", "/etc/ssl/certs") for word in ("--volume", f"{path}:{path}:ro")]
    words = [*settings, "--build-arg", f"BASE={BASE}", "-f", str(ROOT / "examples/grid/Dockerfile"), "-t", NODE]
    found.build(*(words if Path("/etc/pip.conf").exists() else words[4:]), str(ROOT))
    context = folder / "served"
    shutil.copytree(ROOT / "tests/containers", context)
    shutil.copy(fetch_embedded_model(), context / "model.gguf")
    wheels(context / "wheels")
    found.build("-f", str(context / "Dockerfile.served"), "-t", SERVED, str(context))
    return found


def wheels(folder: Path) -> None:
    """An index with breakeven, all that it needs, and uv."""
    pip = [sys.executable, "-m", "pip"]
    locked = ["--only-binary", ":all:", "--require-hashes", "-r", str(ROOT / "requirements.lock")]
    for words in (
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)],
        [*pip, "download", *locked, "-d", str(folder)],
        [*pip, "download", "uv", "-d", str(folder)],
    ):
        done = subprocess.run([*words, "--quiet"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def rendered(to: str, plan: str, folder: Path) -> dict[str, Any]:
    """The one file of a plan."""
    path = folder / "plan.toml"
    path.write_text(plan)
    done = breakeven("fleet", "render", "--to", to, path, "--out", folder / "grid")
    assert done.code == 0, done.err
    (file,) = (folder / "grid" / "files").iterdir()
    told: dict[str, Any] = yaml.safe_load(file.read_text())
    return told


def whole(output: str, *, key: str | None) -> NodeResult:
    """The result that the operator reads out of a job's output."""
    line = find_result(output)
    assert line is not None, output
    found = read_result(line, key=key)
    assert (found.outcome, [level.users for level in found.levels]) == ("done", [1, 2]), found.reason
    assert found.engine == "llamacpp"
    assert found.proof is not None
    assert verify(found.proof, found.proof.seed) is None
    return found


class Pod:
    """A Job's pod under podman."""

    def __init__(self, containers: Containers, job: dict[str, Any], folder: Path) -> None:
        self._containers, self._path = containers, folder / "pod.yaml"
        self.name = job["metadata"]["name"]
        spec = job["spec"]["template"]["spec"]
        sidecars = spec.pop("initContainers", [])
        for one in sidecars:
            assert one.pop("restartPolicy") == "Always"
            one.pop("ports")  # podman takes them from the machine
        spec["containers"] = [*sidecars, *spec["containers"]]
        told = {"apiVersion": "v1", "kind": "Pod", "metadata": job["metadata"], "spec": spec}
        self._path.write_text(yaml.safe_dump(told))

    def runs(self) -> tuple[int, str]:
        """Exit code and standard output of the benchmark."""
        self._containers.docker("kube", "play", str(self._path))
        code = int(self._containers.docker("wait", f"{self.name}-benchmark"))
        said = self._containers.does("logs", f"{self.name}-benchmark")
        print(said.stderr)
        return code, said.stdout

    def removed(self) -> None:
        self._containers.does("pod", "rm", "--force", "--time", "1", self.name)


@pytest.fixture
def keys(containers: Containers, tmp_path: Path) -> Iterator[None]:
    """The Secret that a pod's keys come from."""
    data = {"BREAKEVEN_RESULT_KEY": base64.b64encode(KEY.encode()).decode()}
    (tmp_path / "secret.json").write_text(json.dumps(data))  # as podman keeps one
    containers.does("secret", "rm", "breakeven")
    containers.docker("secret", "create", "breakeven", str(tmp_path / "secret.json"))
    yield
    containers.docker("secret", "rm", "breakeven")


@pytest.mark.usefixtures("keys")
def test_a_pod_measures_the_engine_beside_it_and_signs_with_the_key_of_its_secret(
    tmp_path: Path, containers: Containers
) -> None:
    pod = Pod(containers, rendered("kubernetes", FLEET, tmp_path), tmp_path)
    try:
        code, output = pod.runs()
    finally:
        pod.removed()
    found = whole(output, key=KEY)
    assert (code, found.job) == (0, pod.name)


class Operations:
    """Nosana's operations under podman, as a node of it runs them: a network of the group, and names in it."""

    def __init__(self, containers: Containers, network: str) -> None:
        self._containers, self._network = containers, network
        containers.docker("network", "create", network)

    def run(self, operation: dict[str, Any], *flags: str, fill: Callable[[str], str] = str) -> tuple[int, str]:
        args = operation["args"]
        assert operation["type"] == "container/run"
        words = ["run", *flags, "--network", self._network, "--name", self.named(operation["id"])]
        words += [word for name, value in args["env"].items() for word in ("--env", f"{name}={value}")]
        words += ["--entrypoint", json.dumps(args["entrypoint"])] if "entrypoint" in args else []
        done = self._containers.does(*words, args["image"], *map(fill, args["cmd"]))
        print(done.stderr)
        return done.returncode, done.stdout

    def named(self, operation: str) -> str:
        return f"{self._network}-{operation}"

    def host(self, operation: str) -> str:
        asked = f"{{{{.NetworkSettings.Networks.{self._network}.IPAddress}}}}"
        return self._containers.docker("inspect", "--format", asked, self.named(operation))

    def removed(self) -> None:
        self._containers.does("network", "rm", "--force", "--time", "1", self._network)


@pytest.fixture
def operations(containers: Containers) -> Iterator[Operations]:
    containers.does("network", "rm", "--force", "breakevengrid")
    found = Operations(containers, "breakevengrid")
    yield found
    found.removed()


def test_nosanas_operations_measure_the_engine_and_its_results_are_found_by_their_patterns(
    tmp_path: Path, operations: Operations
) -> None:
    engine, benchmark = rendered("nosana", FLEET, tmp_path)["job_definition"]["ops"]
    assert operations.run(engine, "--detach")[0] == 0
    place = "%%ops.engine.host%%"
    code, output = operations.run(benchmark, fill=lambda word: word.replace(place, operations.host("engine")))
    found = whole(output, key=None)
    assert code == 0
    results = {name: pattern for name, pattern in benchmark["results"].items() if name != "result"}
    (rate,) = re.findall(results["users_1_tokens_per_second_mean"], output)
    assert float(rate) == pytest.approx(found.levels[0].output_tok_per_s, abs=1e-4)
    (line,) = re.findall(benchmark["results"]["result"]["regex"], output)
    assert json.loads(line)["job"] == found.job


def test_a_cell_of_a_study_installs_breakeven_in_the_engines_image_and_its_run_folder_comes_home(
    tmp_path: Path, containers: Containers
) -> None:
    pod = Pod(containers, rendered("kubernetes", STUDY, tmp_path), tmp_path)
    try:
        code, output = pod.runs()
    finally:
        pod.removed()
    assert code == 0
    home = unpack(output, tmp_path / "home")
    assert home is not None
    (level,) = RunFolder.open(home).finished()
    assert level.users == 1
    assert json.loads((home / "host.json").read_text())["engine"]["name"] == "llamacpp"


def test_a_cell_as_an_operation_of_nosana_is_the_same(tmp_path: Path, operations: Operations) -> None:
    (cell,) = rendered("nosana", STUDY, tmp_path)["job_definition"]["ops"]
    code, output = operations.run(cell)
    assert code == 0
    assert unpack(output, tmp_path / "home") is not None
