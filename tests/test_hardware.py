"""The GPU table and the names by which a GPU is found."""

import re
from pathlib import Path

import pytest

from breakeven.cli import main
from breakeven.errors import UsageError
from breakeven.hardware import find_gpu, find_gpus, gpu_key, gpus, key_of, may_mean, same_gpu
from breakeven.hardware.names import compact
from breakeven.report.facttables import gpu_table
from breakeven.say import number

FACTS = Path(__file__).parents[1] / "docs" / "FACTS.md"
FLEET_NAMES = {
    "NVIDIA A100 80GB PCIe": "a100-80-pcie",
    "NVIDIA A100-PCIE-40GB": "a100-40-pcie",
    "NVIDIA A100-SXM4-80GB": "a100-80-sxm",
    "NVIDIA A40": "a40",
    "NVIDIA CMP 90HX": "cmp90hx",
    "NVIDIA GeForce RTX 3060": "rtx3060",
    "NVIDIA GeForce RTX 3060 Ti": "rtx3060ti",
    "NVIDIA GeForce RTX 3070": "rtx3070",
    "NVIDIA GeForce RTX 3080": "rtx3080",
    "NVIDIA GeForce RTX 3080 Ti": "rtx3080ti",
    "NVIDIA GeForce RTX 3090": "rtx3090",
    "NVIDIA GeForce RTX 3090 Ti": "rtx3090ti",
    "NVIDIA GeForce RTX 4060": "rtx4060",
    "NVIDIA GeForce RTX 4070": "rtx4070",
    "NVIDIA GeForce RTX 4070 SUPER": "rtx4070super",
    "NVIDIA GeForce RTX 4070 Ti": "rtx4070ti",
    "NVIDIA GeForce RTX 4070 Ti SUPER": "rtx4070tisuper",
    "NVIDIA GeForce RTX 4090": "rtx4090",
    "NVIDIA H100 80GB HBM3": "h100-sxm",
    "NVIDIA H100 PCIe": "h100-pcie",
    "NVIDIA RTX 6000 Ada Generation": "rtx6000ada",
    "NVIDIA RTX A4000": "rtxa4000",
    "NVIDIA RTX A5000": "rtxa5000",
    "NVIDIA RTX A6000": "rtxa6000",
}
"""Every name that a driver reported in the fleet data of 2024."""
DRIVER_NAMES = {
    "NVIDIA H100 NVL": "h100-nvl",
    "NVIDIA H200": "h200-sxm",
    "NVIDIA H200 NVL": "h200-nvl",
    "NVIDIA GH200 480GB": "gh200-96",
    "NVIDIA B200": "b200-sxm",
    "NVIDIA B300 SXM6 AC": "b300-sxm",
    "NVIDIA GB200": "gb200",
    "NVIDIA GB300": "gb300",
    "NVIDIA H20": "h20",
    "NVIDIA L4": "l4",
    "NVIDIA L40": "l40",
    "NVIDIA L40S": "l40s",
    "NVIDIA A30": "a30",
    "Tesla T4": "t4",
    "Tesla V100-SXM2-16GB": "v100-sxm-16",
    "Tesla V100-PCIE-32GB": "v100-pcie-32",
    "NVIDIA GeForce RTX 4080 SUPER": "rtx4080super",
    "NVIDIA GeForce RTX 5070 Ti": "rtx5070ti",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "rtxpro6000-server",
    "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": "rtxpro6000-ws",
    "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition": "rtxpro6000-maxq",
    "AMD Instinct MI325X": "mi325x",
    "AMD Instinct MI355X": "mi355x",
    "AMD Radeon RX 7900 XTX": "rx7900xtx",
}
"""Names as the drivers of cards of later years report them."""
NAMES_IN_LISTS = {
    "H100": "h100",
    "H100-80GB": "h100-80",
    "H100_SXM5": "h100-sxm",
    "A100-80G-PCIe": "a100-80-pcie",
    "A100_80G_SXM4": "a100-80-sxm",
    "A100 PCIe": "a100-pcie",
    "V100": "v100",
    "V100-32GB": "v100-32",
    "GH200": "gh200",
    "RTX 4060 Ti": "rtx4060ti",
    "RTX 4060 Ti 16GB": "rtx4060ti-16",
    "RTX_4070S_Ti": "rtx4070tisuper",
    "RTXPRO6000S": "rtxpro6000-server",
    "RTX-PRO-6000": "rtxpro6000",
    "RTX PRO 6000 96GB": "rtxpro6000",
    "NVIDIA RTX PRO 5000 Blackwell": "rtxpro5000",
    "RTX6000-Ada": "rtx6000ada",
    "A10G": "a10g",
    "RTX 4090 24GB": "rtx4090",
}
"""Names as price lists write them, with the card or the smallest group that they stand for."""


@pytest.mark.parametrize(("name", "key"), [*FLEET_NAMES.items(), *DRIVER_NAMES.items()])
def test_every_name_that_a_driver_reported_is_known(name: str, key: str) -> None:
    assert find_gpu(name).key == key


@pytest.mark.parametrize(("name", "key"), NAMES_IN_LISTS.items())
def test_a_name_of_a_price_list_stands_for_a_card_or_the_smallest_group(name: str, key: str) -> None:
    assert key_of(may_mean(name)) == key


@pytest.mark.parametrize("name", ["RTX6000", "T4G", "RTX 4090 48GB", "RTX 3080 12GB", "A100X", "RTX 4090 D", "10"])
def test_a_name_of_another_card_takes_none_that_is_like_it(name: str) -> None:
    assert may_mean(name) == ()


@pytest.mark.parametrize("name", ["RTX 4090", "rtx4090", "4090", "GeForce RTX 4090", "  Nvidia-GeForce_RTX 4090 "])
def test_a_person_may_write_the_name_as_they_like(name: str) -> None:
    assert find_gpu(name).key == "rtx4090"


@pytest.mark.parametrize("key", gpus())
def test_every_row_is_found_by_its_key_its_name_and_its_aliases(key: str) -> None:
    gpu = gpus()[key]
    for name in (gpu.key, gpu.name, *gpu.aliases):
        assert find_gpu(name) == gpu


@pytest.mark.parametrize("key", gpus())
def test_every_row_has_a_source_and_rates_that_can_be(key: str) -> None:
    gpu = gpus()[key]
    assert len(gpu.source) > 10
    assert gpu.vram_gb > 0
    assert gpu.mem_bw_gb_per_s > 0
    assert gpu.tdp_w > 0
    rates = (gpu.bf16_fp32acc_tflop_per_s, gpu.fp16_fp16acc_tflop_per_s, gpu.fp8_fp32acc_tflop_per_s)
    assert all(rate is None or rate > 0 for rate in rates)
    assert (gpu.launch_price_usd is None) == (gpu.price_kind is None)


@pytest.mark.parametrize("key", [key for key, gpu in gpus().items() if gpu.name.startswith("GeForce")])
def test_geforce_cards_sum_in_fp32_at_half_the_rate_of_fp16(key: str) -> None:
    gpu = gpus()[key]
    assert gpu.bf16_fp32acc_tflop_per_s is not None
    assert gpu.fp16_fp16acc_tflop_per_s is not None
    assert gpu.bf16_fp32acc_tflop_per_s == pytest.approx(gpu.fp16_fp16acc_tflop_per_s / 2, abs=0.06)


@pytest.mark.parametrize("key", ["a100-80-sxm", "h100-sxm", "l40s", "rtxa6000", "mi300x"])
def test_data_centre_cards_sum_in_fp32_at_the_full_rate(key: str) -> None:
    assert gpus()[key].bf16_fp32acc_tflop_per_s == gpus()[key].fp16_fp16acc_tflop_per_s


@pytest.mark.parametrize(
    ("key", "sm", "ghz"),
    [
        ("rtx3060", 28, 1.777),
        ("rtx3080", 68, 1.710),
        ("rtx4070tisuper", 66, 2.610),
        ("rtx4090", 128, 2.520),
        ("rtx5090", 170, 2.407),
        ("rtx4060ti-16", 34, 2.535),
        ("rtx4080super", 80, 2.550),
        ("rtx5070ti", 70, 2.452),
        ("t4", 40, 1.590),
        ("v100-sxm-32", 80, 1.530),
        ("rtxa5000", 64, 1.695),
        ("rtx6000ada", 142, 2.505),
    ],
)
def test_a_tensor_rate_is_1024_operations_a_clock_of_every_multiprocessor(key: str, sm: int, ghz: float) -> None:
    assert gpus()[key].fp16_fp16acc_tflop_per_s == pytest.approx(sm * 1024 * ghz / 1000, abs=0.06)


def test_the_figures_of_the_article_s_two_cards_are_those_of_their_datasheets() -> None:
    assert gpus()["rtx4090"].bf16_fp32acc_tflop_per_s == 165.2
    assert gpus()["rtx4090"].mem_bw_gb_per_s == 1008
    assert gpus()["a100-80-sxm"].bf16_fp32acc_tflop_per_s == 312
    assert gpus()["a100-80-sxm"].mem_bw_gb_per_s == 2039


def test_a_card_of_a_server_has_its_own_bandwidth_and_not_the_one_of_its_namesake() -> None:
    assert gpus()["rtxpro6000-server"].mem_bw_gb_per_s == 1597
    assert gpus()["rtxpro6000-ws"].mem_bw_gb_per_s == 1792
    assert gpus()["b200-sxm"].mem_bw_gb_per_s == pytest.approx(7680 * 3.996 * 2 / 8, abs=1)
    assert gpus()["l40"].bf16_fp32acc_tflop_per_s == 181.05
    assert gpus()["l40s"].bf16_fp32acc_tflop_per_s == 362.05


@pytest.mark.parametrize("key", [key for key, gpu in gpus().items() if gpu.launch])
def test_a_launch_is_a_month_or_a_quarter(key: str) -> None:
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2]|Q[1-4])", gpus()[key].launch or "")


def test_a_name_of_several_cards_is_an_error_that_lists_them() -> None:
    with pytest.raises(UsageError, match=r"^'h100' may mean h100-pcie, h100-nvl, h100-sxm: name one of them$"):
        find_gpu("h100")
    assert [gpu.key for gpu in find_gpus("A100 80GB")] == ["a100-80-pcie", "a100-80-sxm"]
    assert len(find_gpus("a100")) == 4


def test_an_unknown_gpu_is_an_error_that_lists_near_names() -> None:
    with pytest.raises(UsageError, match=r"no GPU is called 'RTX 4095'; near names: .*rtx4090.*`breakeven gpus`"):
        find_gpu("RTX 4095")
    with pytest.raises(UsageError, match=r"no GPU is called '\?\?'; \d+ are known"):
        find_gpu("??")


def test_the_error_for_a_hostile_name_is_one_short_line() -> None:
    with pytest.raises(UsageError) as caught:
        find_gpu("x\n\x1b[31m" * 500)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_memory_tells_two_cards_of_one_name_apart() -> None:
    assert gpu_key("A100", vram_gb=40) == "a100-40"
    assert gpu_key("A100", vram_gb=80) == "a100-80"
    assert gpu_key("A100") == "a100"
    assert gpu_key("H100", vram_gb=80) == "h100-80"
    assert gpu_key("H100", vram_gb=94) == "h100-nvl"
    assert gpu_key("H100") == "h100"
    assert gpu_key("RTX4090", vram_gb=24) == "rtx4090"
    with pytest.raises(UsageError, match="no 'RTX3060' of 8 GB is known; the table has 12 GB"):
        gpu_key("RTX3060", vram_gb=8)


def test_a_group_may_be_the_same_card_as_its_members_and_no_other() -> None:
    assert same_gpu("a100-80", "a100-80-sxm")
    assert same_gpu("a100-80-sxm", "a100")
    assert not same_gpu("a100-80", "a100-40-sxm")
    assert not same_gpu("rtx3090", "rtx3090ti")


@pytest.mark.parametrize("name", ["NVIDIA A100 80GB PCIe", "a100-80-pcie", "A100 80 gb PCIE"])
def test_vendor_words_gigabytes_and_signs_do_not_count(name: str) -> None:
    assert compact(name) == "a10080pcie"


def test_the_table_shows_every_card_in_lines_that_fit_a_terminal() -> None:
    lines = gpu_table().splitlines()
    for key in gpus():
        assert any(line.startswith(f"{key} ") for line in lines)
    assert max(len(line) for line in lines) <= 120
    assert "never used as a default" in gpu_table()


def test_the_table_of_one_card_names_its_source_and_keeps_the_two_rates_apart() -> None:
    text = gpu_table("4090")
    assert "source       NVIDIA Ada whitepaper" in text
    assert "165.2 TFLOP/s dense, summed in FP32" in text
    assert "330.3 TFLOP/s dense, summed in FP16" in text


@pytest.mark.parametrize("key", gpus())
def test_the_table_of_any_card_fits_a_terminal(key: str) -> None:
    assert max(len(line) for line in gpu_table(key).splitlines()) <= 120


def test_a_name_of_several_words_needs_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpus", "RTX", "4080", "SUPER"]) == 0
    assert capsys.readouterr().out == gpu_table("rtx4080super")


def test_what_has_no_source_is_a_dash_and_not_a_zero() -> None:
    row = next(line for line in gpu_table().splitlines() if line.startswith("cmp90hx"))
    assert row.split()[5:8] == ["-", "-", "-"]
    assert number(None) == "-"
    assert number(0.0) == "0"


def test_the_docs_show_the_table_as_it_is() -> None:
    assert gpu_table() in FACTS.read_text(encoding="utf-8")
