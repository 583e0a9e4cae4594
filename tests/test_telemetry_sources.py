"""Each source of telemetry: what it reads, and what it says where there is nothing to read."""

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from breakeven.clock import now_s
from breakeven.engine import ENGINES
from breakeven.engine.base import ROLES, OpenAI
from breakeven.engine.detect import adapter
from breakeven.metrics.gpu import THROTTLE
from breakeven.registry import load
from breakeven.telemetry import SOURCES
from breakeven.telemetry.nvml import FAST, SLOW, SLOW_EVERY, Nvml, open_library
from breakeven.telemetry.procfs import Host
from breakeven.telemetry.rapl import Rapl
from breakeven.telemetry.scrape import figures, metric_names
from breakeven.telemetry.source import AbsentError, Row, Source
from fake_nvml import CARD, FakeNvml, NVMLError


def only(source: Source) -> Row:
    (row,) = source.rows()
    return row


# the table


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_says_how_often_it_is_asked_and_whether_it_may_wait(name: str) -> None:
    source: Any = load("telemetry source", SOURCES, name)
    assert 0.1 <= source.every_s <= 1.0
    assert source.may_wait in (True, False)


# RAPL


def zone(root: Path, folder: str, *, name: str, uj: int, most_uj: int = 262_143_328_850) -> Path:
    """A zone as the kernel lays it out (a link in the real tree, a folder here)."""
    path = root / folder
    path.mkdir()
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{uj}\n")
    (path / "max_energy_range_uj").write_text(f"{most_uj}\n")
    return path


def test_rapl_reads_joules_since_the_first_reading_of_each_package_and_of_nothing_else(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", name="package-0", uj=7_000_000)
    second = zone(tmp_path, "intel-rapl:1", name="package-1", uj=100)
    zone(tmp_path, "intel-rapl:0:0", name="core", uj=1)
    zone(tmp_path, "intel-rapl:2", name="psys", uj=1)
    zone(tmp_path, "intel-rapl-mmio:0", name="package-0", uj=1)
    rapl = Rapl(root=str(tmp_path))
    (first / "energy_uj").write_text("9500000\n")
    (second / "energy_uj").write_text("1000100\n")
    assert [(row.device, row.values) for row in rapl.rows()] == [
        ("package-0", {"energy_j": 2.5}),
        ("package-1", {"energy_j": 1.0}),
    ]
    assert rapl.missing == {}


def test_rapl_goes_on_over_the_wrap_around_of_the_counter(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", name="package-0", uj=9_000_000, most_uj=10_000_000)
    rapl = Rapl(root=str(tmp_path))
    (package / "energy_uj").write_text("500000\n")  # 1 J to the top, 0.5 J after it
    assert only(rapl).values == {"energy_j": 1.5}
    (package / "energy_uj").write_text("700000\n")
    assert only(rapl).values == {"energy_j": 1.7}


def test_a_machine_without_rapl_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="no CPU package"):
        Rapl(root=str(tmp_path / "powercap"))


@pytest.fixture
def readable_by_root_only() -> Iterator[Path]:
    """A package whose counter only root may read, as kernels have had it since 2020, read by somebody else."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (zone(root, "intel-rapl:0", name="package-0", uj=5) / "energy_uj").chmod(0o400 if os.geteuid() == 0 else 0)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield root
        finally:
            os.seteuid(before)


def test_a_counter_that_only_root_may_read_is_a_reason_and_no_crash(readable_by_root_only: Path) -> None:
    with pytest.raises(AbsentError, match="energy_uj may be read by root only"):
        Rapl(root=str(readable_by_root_only))


def test_a_package_that_cannot_be_read_is_missing_and_the_other_one_is_not(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", name="package-0", uj=1)
    (zone(tmp_path, "intel-rapl:1", name="package-1", uj=1) / "energy_uj").write_text("off\n")
    rapl = Rapl(root=str(tmp_path))
    assert [row.device for row in rapl.rows()] == ["package-0"]
    assert list(rapl.missing) == ["package-1.energy_j"]
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert list(rapl.rows()) == []
    assert "No such file" in rapl.missing["package-0.energy_j"]


# the host


def proc(root: Path, *, cpu: str, meminfo: str = "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n") -> str:
    (root / "stat").write_text(f"cpu  {cpu}\ncpu0 1 1 1 1\n")
    (root / "meminfo").write_text(meminfo)
    return str(root)


def test_the_host_is_busy_in_all_but_idle_disk_wait_and_stolen_time(tmp_path: Path) -> None:
    # user nice system idle iowait irq softirq steal guest guest_nice, in ticks of a hundredth of a second
    root = proc(tmp_path, cpu="1000 200 300 9000 500 10 20 400 800 7")
    values = only(Host(root=root, ticks_per_s=100)).values
    assert values["cpu_busy_s"] == pytest.approx(15.3)
    assert values["cpu_steal_s"] == pytest.approx(4.0)
    assert values["cpu_total_s"] == pytest.approx(114.3)
    assert values["memory_used_bytes"] == 400 * 1024


def test_what_the_host_does_not_say_is_missing_with_the_reason(tmp_path: Path) -> None:
    source = Host(root=proc(tmp_path, cpu="1 2", meminfo="MemTotal: 5 kB\n"))
    assert list(only(source).values) == ["sampler_cpu_s"]
    assert source.missing == {"cpu": "IndexError: list index out of range", "memory": "KeyError: 'MemAvailable'"}
    with pytest.raises(AbsentError, match="Linux only"):
        Host(root=str(tmp_path / "nothing"))


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc")
def test_this_machine_tells_its_own_load() -> None:
    before_s = now_s()
    row = only(Host())
    assert before_s <= row.at_s <= now_s()
    assert 0 < row.values["cpu_busy_s"] < row.values["cpu_total_s"]
    assert row.values["memory_used_bytes"] > 1_000_000


# NVML


def test_every_name_that_is_used_of_nvml_exists_in_the_real_library() -> None:
    try:
        real = importlib.import_module("pynvml")
    except ImportError:
        pytest.skip("nvidia-ml-py is not installed")
    names = [name for name in vars(FakeNvml) if name.lower().startswith("nvml")]
    assert len(names) > 25
    for name in names:
        ours, theirs = getattr(FakeNvml, name), getattr(real, name)
        assert callable(ours) == callable(theirs)
        if isinstance(ours, int):
            assert ours == theirs, name
    told = {
        "sw_power_cap": real.nvmlClocksEventReasonSwPowerCap,
        "hw_slowdown": real.nvmlClocksThrottleReasonHwSlowdown,
        "sync_boost": real.nvmlClocksEventReasonSyncBoost,
        "sw_thermal": real.nvmlClocksEventReasonSwThermalSlowdown,
        "hw_thermal": real.nvmlClocksThrottleReasonHwThermalSlowdown,
        "hw_power_brake": real.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
    }
    assert told == THROTTLE
    assert real.NVMLError(real.NVML_ERROR_NOT_SUPPORTED).value == 3
    assert [field for field, _ in real.c_nvmlMemory_t._fields_] == ["total", "free", "used"]
    assert [field for field, _ in real.c_nvmlUtilization_t._fields_] == ["gpu", "memory"]


def test_nvml_gives_every_value_of_every_gpu_in_our_units() -> None:
    source = Nvml(library=FakeNvml({}, {"power_mw": 30_000}))
    rows = list(source.rows())
    assert [row.device for row in rows] == ["0", "1"]
    assert rows[0].values == {
        "energy_j": 5000.0,
        "power_w": 71.5,
        "sm_clock_mhz": 1980.0,
        "memory_clock_mhz": 6251.0,
        "temperature_c": 61.0,
        "throttle_bits": 0x24,
        "memory_used_bytes": 2e10,
        "utilisation_share": 0.98,
        "power_limit_w": 60.0,
        "default_power_limit_w": 72.0,
        "compute_processes": 2.0,
    }
    assert rows[1].values["power_w"] == 30.0
    assert source.missing == {}


def test_limits_and_processes_are_asked_once_in_ten() -> None:
    source = Nvml(library=FakeNvml({}))
    names = [set(only(source).values) for _ in range(SLOW_EVERY + 1)]
    assert names[0] == names[SLOW_EVERY] == {*FAST, *SLOW}
    assert all(found == set(FAST) for found in names[1:SLOW_EVERY])


def test_a_value_that_a_card_does_not_support_is_missing_and_asked_only_once() -> None:
    library = FakeNvml({"energy_mj": NVMLError(3)})
    source = Nvml(library=library)
    for _ in range(3):
        assert "energy_j" not in only(source).values
    assert source.missing == {"0.energy_j": "NVML: Not Supported"}
    assert library.calls.count("energy_mj") == 1


def test_a_value_that_fails_once_is_asked_again() -> None:
    library = FakeNvml({"power_mw": NVMLError(15)})
    source = Nvml(library=library)
    assert "power_w" not in only(source).values
    library.cards[0]["power_mw"] = 50_000
    assert only(source).values["power_w"] == 50.0


def test_a_library_that_lacks_a_function_leaves_only_that_value_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(FakeNvml, "nvmlDeviceGetComputeRunningProcesses")
    source = Nvml(library=FakeNvml({}))
    assert set(only(source).values) == {*FAST, *SLOW} - {"compute_processes"}
    assert "too old" in source.missing["0.compute_processes"]


@pytest.mark.parametrize(
    ("visible", "indices"),
    [("1", ["1"]), ("2,0", ["0", "2"]), ("GPU-aaaa", ["1"]), (" 0 , GPU-bbb", ["0", "2"])],
)
def test_only_gpus_that_cuda_may_see_are_sampled(visible: str, indices: list[str]) -> None:
    library = FakeNvml({}, {"uuid": "GPU-aaaa1111"}, {"uuid": "GPU-bbbb2222"})
    assert [row.device for row in Nvml(library=library, visible=visible).rows()] == indices


def test_no_gpu_left_is_said_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(AbsentError, match="no GPU of CUDA_VISIBLE_DEVICES=7"):
        Nvml(library=FakeNvml({}))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with pytest.raises(AbsentError, match=r"shows no GPU$"):
        Nvml(library=FakeNvml())
    with pytest.raises(AbsentError, match="NVML: GPU is lost"):
        Nvml(library=FakeNvml({"uuid": NVMLError(15)}), visible="GPU-1")


def test_a_missing_library_is_told_apart_from_a_missing_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(AbsentError, match=r"breakeven\[gpu\]"):
        open_library(driver=str(tmp_path))
    with pytest.raises(AbsentError, match="no NVIDIA driver"):
        open_library(driver=str(tmp_path / "nvidia"))


def test_a_library_without_a_driver_is_said_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = FakeNvml(CARD)

    def no_driver() -> None:
        raise NVMLError(9)

    library.nvmlInit = no_driver
    monkeypatch.setitem(sys.modules, "pynvml", library)
    with pytest.raises(AbsentError, match="Driver Not Loaded"):
        open_library()


# the engine's own metrics


@pytest.mark.parametrize("name", [name for name in ENGINES if adapter(name).metrics_path is not None])
def test_every_engine_with_metrics_is_read_by_its_own_names(name: str) -> None:
    names = metric_names(adapter(name))
    text = "".join(f'{those[0]}{{engine="0"}} {number}\n' for number, those in enumerate(names.values(), 1) if those)
    assert figures(text, names=names) == {
        role: float(number) for number, (role, those) in enumerate(names.items(), 1) if those
    }
    assert names["running_requests"] == [adapter(name).metrics["running_requests"]]


def test_a_plain_server_is_read_by_whatever_engines_names_it_uses() -> None:
    names = metric_names(OpenAI)
    assert set(names) == set(ROLES)
    assert figures("sglang:num_running_reqs 4\nsglang:token_usage 0.5\n", names=names) == {
        "running_requests": 4.0,
        "kv_use_share": 0.5,
    }


def test_requests_of_several_engines_add_up_and_of_their_caches_the_fullest_counts() -> None:
    text = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0"} 3.0
vllm:num_requests_running{engine="1"} 2.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75
vllm:kv_cache_usage_perc{engine="2"} NaN
vllm:num_requests_running_other 99
vllm:generation_tokens_total{engine="0"} +Inf
"""
    found = figures(text, names=metric_names(adapter("vllm")))
    assert found == {"running_requests": 5.0, "kv_use_share": 0.75}
