"""Step times that aiconfigurator-core adds up from kernels that it measured; an optional package, imported when it is
first needed."""

import functools
import importlib.util
import json
import logging
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from breakeven.hardware.gpu import Gpu
from breakeven.hardware.model import ModelShape

PACKAGE: Final = "aiconfigurator-core"
LICENCE: Final = "Apache-2.0"
SYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "a100-80-sxm": "a100_sxm",
        "l40s": "l40s",
        "h100-sxm": "h100_sxm",
        "h200-sxm": "h200_sxm",
        "b200-sxm": "b200_sxm",
        "gb200": "gb200",
        "b300-sxm": "b300_sxm",
        "gb300": "gb300",
        "rtxpro6000-server": "rtx_pro_6000_server",
    }
)
"""Cards that it measured kernels on, by its names."""
CARRIED: Final[Mapping[str, str]] = MappingProxyType(dict.fromkeys(("rtx4090", "rtx4080", "l4", "rtx6000ada"), "l40s"))
"""Cards of the same generation as one of them, whose shares of bandwidth and rate are taken for theirs."""
VERSIONS: Final[Mapping[str, str]] = MappingProxyType({"vllm": "0.24.0", "sglang": "0.5.14", "trtllm": "1.3.0rc20"})
"""Of the engines that its newest kernels are of."""
OLDER: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("vllm", "a100-80-sxm"): "0.14.0",
        ("sglang", "a100-80-sxm"): "0.5.10",
        ("trtllm", "a100-80-sxm"): "1.0.0",
    }
)
CARDS: Final = (1, 2, 4, 8)
USERS: Final = (1, 4, 16, 64, 128)
CONTEXTS: Final = (256, 1024, 4096)
PROMPTS: Final = (128, 512, 2048, 8192)
_QUANTS: Final[Mapping[str, str]] = MappingProxyType({"bf16": "bfloat16", "fp8": "fp8"})
_KV_QUANTS: Final[Mapping[int, str]] = MappingProxyType({16: "bfloat16", 8: "fp8"})


Lacking = Literal["card", "engine", "experts", "attention", "precision", "cards"]


class Step(NamedTuple):
    """One step: `users` are given a token each, with `tokens` in the cache of each; without users a prompt of `tokens`
    is read."""

    users: int
    tokens: int
    seconds: float


class Kernels(NamedTuple):
    """Step times of a model under an engine, spread over some cards."""

    gpu: str
    """Key of the card that the kernels ran on."""
    version: str
    """Of the engine."""
    steps: tuple[Step, ...]
    source: str


def is_installed() -> bool:
    """breakeven[silicon] is there."""
    return importlib.util.find_spec("aiconfigurator_core") is not None


def kernels(model: ModelShape, gpu: Gpu, engine: str, *, cards: int) -> Kernels | None:
    """Its step times at 15 loads of decoding and 4 prompts, of the card or of the one that stands for it (`CARRIED`).

    None where the package is not installed, and for what it has no plain kernels of (`lacking`).
    """
    if lacking(model, gpu, engine, cards=cards) is not None:
        return None
    return _asked(model, CARRIED.get(gpu.key, gpu.key), engine, cards)


def lacking(model: ModelShape, gpu: Gpu, engine: str, *, cards: int) -> Lacking | None:
    """Why it has no plain kernels of it; None where it should have."""
    reasons: Mapping[Lacking, bool] = {
        "card": CARRIED.get(gpu.key, gpu.key) not in SYSTEMS,
        "engine": engine not in VERSIONS,
        "experts": bool(model.experts),
        "attention": bool(model.window_layers) or not model.gated,
        "precision": model.measured_as not in _QUANTS or model.kv_bits not in _KV_QUANTS,
        "cards": cards not in CARDS,
    }
    return next((reason for reason, is_so in reasons.items() if is_so), None)


@functools.cache
def _asked(model: ModelShape, gpu: str, engine: str, cards: int) -> Kernels | None:
    try:
        from aiconfigurator_core.sdk.engine import EngineHandle
    except ImportError:
        return None
    logging.getLogger("aiconfigurator_core").setLevel(logging.CRITICAL)
    version = OLDER.get((engine, gpu), VERSIONS[engine])
    quant = _QUANTS[model.measured_as]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(_config(model)), encoding="utf-8")
        try:
            handle = EngineHandle.compile(
                folder,
                SYSTEMS[gpu],
                engine,
                backend_version=version,
                tp_size=cards,
                gemm_quant_mode=quant,
                kvcache_quant_mode=_KV_QUANTS[model.kv_bits],
            )
            answered = [(n, c, handle.predict_decode_latency(n, c, 2)) for n in USERS for c in CONTEXTS]
            read = [(0, tokens, handle.predict_prefill_latency(1, tokens)) for tokens in PROMPTS]
        except (ValueError, RuntimeError, LookupError):
            return None
    steps = tuple(Step(users, tokens, ms / 1e3) for users, tokens, ms in (*answered, *read))
    return Kernels(gpu, version, steps, f"{PACKAGE} {metadata.version(PACKAGE)}, kernels of {engine} {version}")


def _config(model: ModelShape) -> Mapping[str, object]:
    """A config.json of the model's shape; Qwen3's norms of queries and keys are kernels of their own."""
    return {
        "architectures": ["Qwen3ForCausalLM" if model.key.startswith("qwen3") else "LlamaForCausalLM"],
        "num_hidden_layers": model.layers,
        "hidden_size": model.hidden,
        "intermediate_size": model.ffn,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "vocab_size": model.vocab,
        "max_position_embeddings": model.context or 131072,
    }
