"""The record of a machine: what it holds, what it never holds, and how two of them differ."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from breakeven.metrics.hosts import host_differences
from breakeven.telemetry.gpus import cuda_version, gpu_facts
from breakeven.telemetry.host import cpu_quota_cores, host_record, os_name, without_secrets
from fake_nvml import CARD, FakeNvml, NVMLError


def test_the_record_of_a_gpu_says_what_it_is_and_how_it_is_set() -> None:
    library = FakeNvml({})
    facts = gpu_facts(library=library)
    assert facts["driver"] == "580.65.06"
    assert facts["cuda"] == "13.0"
    assert facts["gpus"] == [
        {
            "index": "0",
            "name": "NVIDIA L4",
            "uuid_sha256": hashlib.sha256(CARD["uuid"].encode()).hexdigest()[:12],
            "memory_bytes": 24_152_899_584,
            "power_limit_w": 60.0,
            "default_power_limit_w": 72.0,
            "sm_clock_max_mhz": 2040,
            "memory_clock_max_mhz": 6311,
            "pcie_generation_max": 4,
            "pcie_width": 16,
            "compute_capability": "8.9",
            "ecc": True,
            "mig": None,
        }
    ]
    assert library.calls[-1] == "shutdown"


def test_a_gpus_own_number_is_not_in_the_record() -> None:
    text = json.dumps(gpu_facts(library=FakeNvml({}, {"name": NVMLError(3)})))
    assert "11111111" not in text
    assert "GPU-" not in text


def test_a_machine_without_gpu_says_why() -> None:
    facts = gpu_facts(library=FakeNvml())
    assert facts["gpus"] == []
    assert facts["gpus_reason"] == "the NVIDIA driver shows no GPU"


@pytest.mark.parametrize(("number", "text"), [(12080, "12.8"), (11010, "11.1"), (13000, "13.0"), (None, None)])
def test_cuda_is_written_as_people_write_it(number: int | None, text: str | None) -> None:
    assert cuda_version(number) == text


def test_the_record_of_this_machine_is_json_and_leaves_out_the_clients_gpus_for_a_remote_engine() -> None:
    remote = host_record(engine_is_local=False)
    assert remote["gpus"] == []
    assert "another machine" in remote["gpus_reason"]
    local = host_record(engine_is_local=True)
    assert json.loads(json.dumps(local))["cpu_cores"] >= 1
    assert local["memory_bytes"] > 0
    assert {"gpus", "driver", "cuda", "os", "cpu_quota_cores", "cpu_governor"} <= set(local)


def test_quota_and_system_are_read_from_where_linux_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "free").write_text("max 100000\n")
    (tmp_path / "os-release").write_text('NAME="X"\nPRETTY_NAME="X 7 (seven)"\n')
    assert cpu_quota_cores(path=str(tmp_path / "cpu.max")) == 1.5
    assert cpu_quota_cores(path=str(tmp_path / "free")) is None
    assert cpu_quota_cores(path=str(tmp_path / "nothing")) is None
    assert os_name(path=str(tmp_path / "os-release")) == "X 7 (seven)"
    assert os_name(path=str(tmp_path / "nothing")) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("vllm serve m --api-key sk-1 --port 8", "vllm serve m --api-key (hidden) --port 8"),
        ("x --api-keys sk-1 sk-2 --tp 2", "x --api-keys (hidden) (hidden) --tp 2"),
        ("x --api-key=sk-1 m", "x --api-key=(hidden) m"),
        ("x --hf-token t", "x --hf-token (hidden)"),
        ("docker run --env HF_TOKEN=t --env HF_TOKEN img", "docker run --env HF_TOKEN=(hidden) --env HF_TOKEN img"),
        ("x --max-batched-tokens 5 --tokenizer t --ssl-keyfile k", None),
        ("x --max-tokens=5 --output-tokens 4", None),
    ],
)
def test_a_command_line_is_kept_without_its_secrets(given: str, kept: str | None) -> None:
    assert without_secrets(given.split()) == (kept or given).split()


# differences


def a_host(*gpus: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {"cpu": "EPYC", "cpu_cores": 16, "driver": "580.1", "gpus": [{"index": "0"} | gpu for gpu in gpus]} | facts


def test_a_difference_beyond_six_digits_is_told() -> None:
    a, b = a_host(memory_bytes=34359738368.0), a_host(memory_bytes=34359738369.0)
    assert host_differences(a, b) == ["memory (bytes): A 34359738368, B 34359738369"]


def test_a_machine_does_not_differ_from_itself() -> None:
    one = a_host({"name": "NVIDIA L4", "power_limit_w": 72.0})
    assert host_differences(one, dict(one)) == []


def test_differences_that_move_figures_are_named_one_a_line() -> None:
    a = a_host({"name": "NVIDIA L4", "power_limit_w": 72.0, "pcie_width": 16})
    b = a_host({"name": "NVIDIA L4", "power_limit_w": 60.5, "pcie_width": 8}, driver="590.2", cpu_quota_cores=2.0)
    assert host_differences(a, b) == [
        "GPU 0: power limit (W): A 72, B 60.5",
        "GPU 0: PCIe lanes: A 16, B 8",
        "NVIDIA driver: A 580.1, B 590.2",
        "CPU quota (cores): A not known, B 2",
    ]


def test_other_gpus_are_said_once_and_their_settings_are_not_compared() -> None:
    a = a_host({"name": "NVIDIA L4", "power_limit_w": 72.0}, {"name": "NVIDIA L4"})
    b = a_host({"name": "NVIDIA A10", "power_limit_w": 150.0})
    assert host_differences(a, b) == ["the GPUs differ: A 2 x NVIDIA L4, B 1 x NVIDIA A10"]
    assert host_differences(a_host(), b) == ["the GPUs differ: A none, B 1 x NVIDIA A10"]


def test_the_number_of_the_card_and_what_is_unknown_to_both_are_no_difference() -> None:
    a = a_host({"name": "NVIDIA L4", "uuid_sha256": "a"})
    b = a_host({"name": "NVIDIA L4", "uuid_sha256": "b"}, os=None)
    assert host_differences(a, b) == []


def test_a_stored_command_line_names_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    given = ["/home/ada/venv/bin/vllm", "serve", "/home/ada/models/x", "--template=/home/ada/t.jinja", "/home/adam/y"]
    assert without_secrets(given) == ["~/venv/bin/vllm", "serve", "~/models/x", "--template=~/t.jinja", "/home/adam/y"]
