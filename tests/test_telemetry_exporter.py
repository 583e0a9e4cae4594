"""GPUs of another machine: their exporter's page is read, its energy counter held against known watts."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.errors import RunFailedError
from breakeven.metrics.gpu import gpu_figures
from breakeven.metrics.series import Samples, Series, Span
from breakeven.metrics.telemetry import telemetry_cautions
from breakeven.telemetry.exporter import exporter_facts, gpus_on
from commands import LEVELS, finish, start
from page_server import TwoGpus, serving

DCGM = """# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-a",modelName="NVIDIA L40S",Hostname="n1",pod="vllm-0"} 301.5
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-b",modelName="NVIDIA L40S",Hostname="n1",pod="other-0"} 35
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",GPU_I_ID="3",Hostname="n1",pod="vllm-0"} 5000
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",GPU_I_ID="5",Hostname="n1",pod="vllm-0"} 5000
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",Hostname="n1",pod="vllm-0"} 2
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-a",Hostname="n1",pod="vllm-0"} 97
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-a",Hostname="n1",pod="vllm-0"} 2147483632
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a",Hostname="n1",pod="vllm-0"} NaN
"""
AMD = """gpu_energy_consumed{card_model="MI300X",gpu_id="0",hostname="h",serial_number="s"} 7000000
gpu_power_usage{card_model="MI300X",gpu_id="0",hostname="h",serial_number="s"} 9
gpu_package_power{card_model="MI300X",gpu_id="0",hostname="h",serial_number="s"} 700
gpu_clock{clock_type="system",clock_index="2",gpu_id="0",hostname="h",serial_number="s"} 1320
gpu_clock{clock_type="memory",clock_index="8",gpu_id="0",hostname="h",serial_number="s"} 900
gpu_clock{clock_type="soc",clock_index="9",gpu_id="0",hostname="h",serial_number="s"} 29
gpu_gfx_activity{gpu_id="0",hostname="h",serial_number="s"} 50
"""


def test_a_dcgm_page_tells_each_gpu_once_slices_and_blanks_left_out() -> None:
    gpus = gpus_on(DCGM, labels={})
    assert list(gpus) == ["0", "1"]
    assert gpus["0"].values == {
        "power_w": 301.5,
        "energy_j": 5.0,
        "memory_used_bytes": 2 * 2**20,
        "utilisation_share": 0.97,
    }
    assert gpus["1"].values == {"power_w": 35}


def test_an_amd_page_tells_the_clock_by_its_type_and_the_socket_before_the_rest() -> None:
    assert gpus_on(AMD, labels={})["0"].values == {
        "energy_j": 7.0,
        "power_w": 700,
        "sm_clock_mhz": 1320,
        "memory_clock_mhz": 900,
        "utilisation_share": 0.5,
    }


def test_labels_choose_the_gpus_and_hosts_tell_those_of_one_index_apart() -> None:
    assert list(gpus_on(DCGM, labels={"pod": "vllm-0"})) == ["0"]
    assert list(gpus_on(DCGM + DCGM.replace('"n1"', '"n2"'), labels={"gpu": "0"})) == ["n1/0", "n2/0"]


def counted(energy_j: list[float], *, utilisation: float = 0.9) -> Samples:
    """One GPU whose counter was read once a second, from 0 s on."""
    at_s = np.arange(len(energy_j), dtype=float)
    return Samples(
        series={
            ("exporter", "0", "energy_j"): Series(at_s, np.array(energy_j)),
            ("exporter", "0", "utilisation_share"): Series(at_s, np.full(len(energy_j), utilisation)),
        },
        missing={"nvml": "the GPUs are read from their exporter"},
    )


def test_a_counter_that_is_renewed_every_ten_seconds_gives_the_watts_between_its_renewals() -> None:
    samples = counted([150.0 * 10 * (second // 10) for second in range(100)])
    found = gpu_figures(samples, Span(15.0, 75.0), output_tokens=900)
    # renewed at 20, 30 … 70 s: 150 W over 50 of the 60 s, which stand for all of them
    assert found["gpu_board_energy_j"] == pytest.approx(150.0 * 60)
    assert found["gpu_board_tok_per_j"] == pytest.approx(0.1)
    assert found["gpu_board_energy_from"] == "counter of the exporter"
    assert found["gpus"][0]["energy_covered_share"] == pytest.approx(50 / 60)
    assert telemetry_cautions(found) == ()
    short = gpu_figures(samples, Span(15.0, 41.0), output_tokens=900)  # 20 of 26 s
    assert [caution.id for caution in telemetry_cautions(short)] == ["energy_gaps"]


@pytest.mark.parametrize(
    ("energy_j", "why"),
    [
        ([5.0] * 40, "was not renewed inside the window; measure longer"),
        ([5.0] * 15 + [9.0] * 25, "was renewed once inside the window; measure longer"),
        ([float(second) for second in range(20)] + [float(second) for second in range(20)], "went back"),
    ],
)
def test_a_counter_that_cannot_tell_says_why(energy_j: list[float], why: str) -> None:
    found = gpu_figures(counted(energy_j), Span(5.0, 35.0), output_tokens=1)
    assert found["gpu_board_energy_j"] is None
    assert why in found["gpu_board_energy_j_reason"]


def test_gpus_that_did_nothing_are_hardly_the_engines() -> None:
    samples = counted([float(second) for second in range(40)], utilisation=0.0)
    found = gpu_figures(samples, Span(5.0, 35.0), output_tokens=1)
    assert [caution.id for caution in telemetry_cautions(found)] == ["gpus_idle"]


def test_an_exporter_without_a_counter_gives_its_mean_power_with_a_caution() -> None:
    at_s = np.arange(40.0)
    samples = Samples(series={("exporter", "0", "power_w"): Series(at_s, np.full(40, 200.0))}, missing={})
    found = gpu_figures(samples, Span(5.0, 35.0), output_tokens=1)
    assert found["gpu_board_energy_j"] == pytest.approx(200.0 * 30)
    assert [caution.id for caution in telemetry_cautions(found)] == ["energy_by_exported_power"]


@pytest.fixture(scope="module")
def exporter() -> Iterator[str]:
    with serving(TwoGpus) as url:
        yield url


def test_a_run_tells_the_energy_of_the_gpus_that_its_exporter_shows(exporter: str, tmp_path: Path) -> None:
    asks = ("--engine", "openai", "--users", "2", "--duration", "6", *LEVELS, "--out", tmp_path / "runs")
    with ReferenceServer(Settings(ttft_s=0.01, itl_s=0.01, lengths="uniform:4,8")) as server:
        done = finish(
            start("run", "--url", server.url, *asks, "--gpu-metrics", f"{exporter}/metrics", "--gpu-label", "pod=p0")
        )
    assert done.code == 0, done.err
    summary = json.loads(next((tmp_path / "runs").glob("*/summary.json")).read_text())
    level = summary["levels"][0]
    assert level["extra"]["gpu_board_power_mean_w"] == pytest.approx(120.0, rel=0.25)
    assert [gpu["index"] for gpu in level["extra"]["gpus"]] == ["0"]
    assert summary["run"]["host"]["gpu"] == "NVIDIA L40S"
    assert summary["run"]["host"]["gpu_count"] == 1


@pytest.mark.parametrize(
    ("address", "labels", "why"),
    [
        ("/metrics", {"pod": "p7"}, "no GPU has pod=p7; it has p0, p1"),
        ("/metrics", {"node": "x"}, "no GPU has node=x; it has no label node"),
        ("/nothing", {}, "it answers 404"),
    ],
)
def test_an_exporter_that_tells_of_no_gpu_stops_the_run_with_the_reason(
    exporter: str, address: str, labels: dict[str, str], why: str
) -> None:
    with pytest.raises(RunFailedError, match=why):
        exporter_facts(exporter + address, labels=labels)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--gpu-metrics", "node:9400"), "is no address such as"),
        (("--gpu-label", "pod=x"), "name it by --gpu-metrics"),
        (("--engine-metrics", "/metrics"), "is no address such as"),
    ],
)
def test_addresses_that_are_none_are_refused_before_anything_is_asked(words: tuple[str, ...], why: str) -> None:
    done = finish(start("run", "--url", "http://127.0.0.1:9", *words))
    assert done.code == 2
    assert why in done.err
