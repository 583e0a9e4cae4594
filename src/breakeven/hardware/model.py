"""The shape of a model: what one step of it reads, holds and multiplies, from its config.json or the table of common
models."""

import csv
import functools
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Struct

from breakeven.errors import LONGEST_NAME, RunFailedError, UsageError, mistyped, one_line
from breakeven.hardware.gpu import Gpu
from breakeven.hardware.precision import PRECISIONS, Precision, precision_on

BITS: Final = 8


class ModelShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transformer with grouped heads, a gated or plain MLP or experts, and full or windowed attention."""

    key: str
    name: str
    aliases: tuple[str, ...] = ()
    layers: int
    hidden: int
    ffn: int
    """Width of the MLP of a layer without experts."""
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int | None = None
    """Longest context that it was made for."""
    tied: bool = False
    """One matrix is both the embedding and the head."""
    gated: bool = True
    """An MLP of three matrices rather than two."""
    experts: int = 0
    experts_per_token: int = 0
    expert_ffn: int = 0
    shared_ffn: int = 0
    """Width of what every token passes beside its experts."""
    dense_layers: int = 0
    """Layers that have an MLP in a model of experts."""
    window: int | None = None
    """Tokens that a layer with windowed attention looks back."""
    window_layers: int = 0
    precision: str = "bf16"
    """A row of PRECISIONS."""
    kv_bits: int = 16
    source: str = ""

    @property
    def kept(self) -> Precision:
        """The row of `precision`."""
        return PRECISIONS[self.precision]

    @property
    def attention_weights(self) -> int:
        """Weights of queries, keys, values and output, all layers: hidden x head_dim x (2 heads + 2 kv_heads) each."""
        return self.layers * self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)

    @property
    def mlp_weights(self) -> int:
        """Weights that every token passes: MLPs, shared experts, routers."""
        matrices = 3 if self.gated else 2
        dense = self.dense_layers if self.experts else self.layers
        routed = self.layers - dense
        width = dense * self.ffn + routed * self.shared_ffn
        return self.hidden * (matrices * width + routed * self.experts)

    @property
    def expert_weights(self) -> int:
        """Weights of one expert in every layer that has them: a token passes `experts_per_token` such sets."""
        return (3 if self.gated else 2) * self.hidden * self.expert_ffn * (self.layers - self.dense_layers)

    @property
    def head_weights(self) -> int:
        """Weights of the head: vocab x hidden."""
        return self.vocab * self.hidden

    @property
    def weights(self) -> int:
        """All weights; norms and biases (under a thousandth) left out."""
        layers = self.attention_weights + self.mlp_weights + self.experts * self.expert_weights
        return layers + (1 if self.tied else 2) * self.head_weights

    @property
    def linear_bytes_per_weight(self) -> float:
        """Of attention and of what every token passes."""
        return (16 if self.kept.covers == "experts" else self.kept.weight_bits) / BITS

    @property
    def expert_bytes_per_weight(self) -> float:
        """Of the experts."""
        return self.kept.weight_bits / BITS

    @property
    def head_bytes_per_weight(self) -> float:
        """Of embedding and head."""
        return (self.kept.weight_bits if self.kept.covers == "all" else 16) / BITS

    @property
    def weight_bytes(self) -> float:
        """What all weights take: 16.06e9 for Llama 3.1 8B in 16 bits."""
        return (
            (self.attention_weights + self.mlp_weights) * self.linear_bytes_per_weight
            + self.experts * self.expert_weights * self.expert_bytes_per_weight
            + (1 if self.tied else 2) * self.head_weights * self.head_bytes_per_weight
        )

    @property
    def kv_bytes_per_token_layer(self) -> float:
        """Key and value of a token in one layer: 2 x kv_heads x head_dim x bytes."""
        return 2 * self.kv_heads * self.head_dim * self.kv_bits / BITS

    def kv_bytes(self, context_tokens: float) -> float:
        """What the cache of one sequence takes; a layer with a window keeps no more than that."""
        full = (self.layers - self.window_layers) * context_tokens
        windowed = self.window_layers * min(context_tokens, self.window or context_tokens)
        return (full + windowed) * self.kv_bytes_per_token_layer

    def kept_as(self, precision: str, *, kv_bits: int | None = None) -> "ModelShape":
        """The same model in another precision; UsageError for an unknown one."""
        if precision not in PRECISIONS:
            raise UsageError(mistyped("precision", one_line(precision, limit=60), PRECISIONS))
        return msgspec.structs.replace(self, precision=precision, kv_bits=kv_bits or self.kv_bits)

    def on(self, gpu: Gpu) -> "ModelShape | None":
        """As a card runs it: in fp16 where it has no bf16; None where it has no way to run its precision."""
        found = precision_on(gpu, self.precision)
        return None if found is None else self.kept_as(found)

    @property
    def measured_as(self) -> str:
        """The precision whose measurements tell of its own: 16 bits of either kind take as long."""
        return "bf16" if self.precision == "fp16" else self.precision


@functools.cache
def models() -> Mapping[str, ModelShape]:
    """The table of common models, by key, in the order of the file."""
    text = resources.files("breakeven.hardware").joinpath("models.csv").read_text(encoding="utf-8")
    rows = (_row(row) for row in csv.DictReader(text.splitlines()))
    return MappingProxyType({model.key: model for model in rows})


def find_model(name: str) -> ModelShape:
    """The model that `name` means: a key, a name on the hub, a folder with a config.json or such a file.

    UsageError lists near names and says how an unknown model is given.
    """
    if found := known_model(name):
        return found
    path = Path(name)
    if path.is_dir() or path.name == "config.json":
        return model_shape(path)
    shown = one_line(name, limit=LONGEST_NAME)
    raise UsageError(f"{mistyped('model', shown, models())}; or give a folder with the model's config.json")


def known_model(name: str) -> ModelShape | None:
    """The row of the table that a name means, in the precision that a GGUF name says; None where there is none.

    Nothing on the disk is looked at, so that the name may be anybody's.
    """
    found = _index().get(_compact(name))
    file = _GGUF.search(name)
    kept = (file[1] or "").lower() if file else ""
    return found.kept_as(kept) if found is not None and kept in PRECISIONS else found


def model_shape(path: str | Path) -> ModelShape:
    """The shape in a `config.json`, or in that of a folder. RunFailedError where it cannot be read, UsageError where a
    field is missing or the model is of a kind that is not understood."""
    file = Path(path)
    file = file / "config.json" if file.is_dir() else file
    try:
        config = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as err:
        raise RunFailedError(f"{file}: {err.strerror}") from None
    except msgspec.DecodeError as err:
        raise RunFailedError(f"{file}: no config of a model: {err}") from None
    return shape_of(config, name=file.resolve().parent.name, source=str(file))


_FIELDS: Final = {
    "layers": ("num_hidden_layers", "n_layer"),
    "hidden": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads", "num_attention_heads", "n_head"),
    "vocab": ("vocab_size",),
    "ffn": ("intermediate_size", "n_inner"),
    "context": ("max_position_embeddings", "n_positions"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "experts_per_token": ("num_experts_per_tok", "experts_per_token"),
    "expert_ffn": ("moe_intermediate_size", "intermediate_size"),
    "dense_layers": ("first_k_dense_replace",),
}
"""Our words, and the words of config.json in the order in which they are looked for."""
_NEEDED: Final = ("layers", "hidden", "heads", "kv_heads", "vocab")
_PLAIN_MLP: Final = frozenset(
    {"gpt2", "gpt_neox", "gptj", "opt", "bloom", "falcon", "phi", "starcoder2", "gpt_bigcode"}
)
"""Kinds of model whose MLP has two matrices."""
_NOT_UNDERSTOOD: Final = {
    "kv_lora_rank": "latent attention (MLA)",
    "hybrid_override_pattern": "a mix of layers with and without attention",
    "layers_block_type": "a mix of layers with and without attention",
    "ssm_cfg": "a state-space model",
    "linear_num_value_heads": "linear attention",
    "full_attention_interval": "linear attention",
    "index_topk": "sparse attention",
    "sparse_attention_config": "sparse attention",
    "compress_ratios": "compressed attention",
    "block_configs": "a model of unlike layers",
    "hybrid_layer_pattern": "a model of unlike layers",
    "interleave_moe_layer_step": "a model of unlike layers",
}
"""Fields of kinds of model whose steps are not those of a transformer with a key-value cache for each layer."""


def shape_of(config: Mapping[str, Any], *, name: str, source: str = "") -> ModelShape:
    """The shape that a config says; of a model for text and images, the text's. UsageError as `model_shape`."""
    text = config.get("text_config")
    table = {**config, **text} if isinstance(text, dict) else dict(config)
    shown = one_line(source or name, limit=LONGEST_NAME)
    for field, what in _NOT_UNDERSTOOD.items():
        if table.get(field):
            raise UsageError(f"{shown}: {what} (`{field}`) is not modelled; measure this model instead")
    found = {word: _whole(table, names, shown) for word, names in _FIELDS.items()}
    for word in _NEEDED:
        if found[word] is None:
            raise UsageError(f"{shown}: `{_FIELDS[word][0]}` is missing, and without it no time can be predicted")
    layers, hidden, heads = found["layers"] or 0, found["hidden"] or 0, found["heads"] or 0
    window, window_layers = _window(table, layers, shown)
    experts = found["experts"] or 0
    return msgspec.convert(
        {word: value for word, value in found.items() if value is not None}
        | {
            "key": name,
            "name": name,
            "source": source,
            "head_dim": _whole(table, ("head_dim",), shown) or hidden // heads,
            "ffn": found["ffn"] or 4 * hidden,
            "tied": table.get("tie_word_embeddings") is True,
            "gated": table.get("model_type") not in _PLAIN_MLP,
            "expert_ffn": (found["expert_ffn"] or 0) if experts else 0,
            "shared_ffn": _shared(table, shown) if experts else 0,
            "window": window,
            "window_layers": window_layers,
            "precision": _precision(config, shown),
        },
        ModelShape,
    )


def _whole(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> int | None:
    """The first of some fields that is given; UsageError where it is no whole number above 0."""
    for name in names:
        value = table.get(name)
        if value is None or (value == 0 and name not in _FIELDS["layers"] + _FIELDS["hidden"] + _FIELDS["heads"]):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**8:
            raise UsageError(f"{where}: `{name}` must be a whole number above 0, not {one_line(str(value), limit=40)}")
        return value
    return None


def _shared(table: Mapping[str, Any], where: str) -> int:
    width = _whole(table, ("shared_expert_intermediate_size",), where)
    count = _whole(table, ("n_shared_experts",), where)
    return width or (count or 0) * (_whole(table, ("moe_intermediate_size",), where) or 0)


def _window(table: Mapping[str, Any], layers: int, where: str) -> tuple[int | None, int]:
    """Tokens of the window, and how many layers have it: by `layer_types`, else all."""
    kinds = table.get("layer_types")
    if isinstance(kinds, list):
        if odd := [kind for kind in kinds if kind not in {"sliding_attention", "full_attention"}]:
            shown = one_line(str(odd[0]), limit=40)
            raise UsageError(f"{where}: layers of the kind '{shown}' are not modelled; measure this model instead")
        windowed = kinds.count("sliding_attention")
    else:
        windowed = layers
    window = _whole(table, ("sliding_window",), where) if table.get("use_sliding_window") is not False else None
    return (window, min(windowed, layers)) if window and windowed else (None, 0)


_METHODS: Final = {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4", "awq": "int4", "gptq": "int4", "nvfp4": "nvfp4"}


def _precision(config: Mapping[str, Any], where: str) -> str:
    """The row of PRECISIONS that a config's quantisation means; UsageError for one that is not known."""
    found = config.get("quantization_config")
    if not isinstance(found, dict):
        return "bf16"
    algorithm = found.get("quant_algo") if found.get("quant_method") == "modelopt" else None
    method = one_line(str(algorithm or found.get("quant_method", "unknown")), limit=40).lower()
    bits = found.get("bits", found.get("w_bit"))
    name = {("gptq", 8): "int8"}.get((method, bits)) if isinstance(bits, int) else None
    name = name or _METHODS.get(method)
    if name is None:
        known = ", ".join(_METHODS)
        raise UsageError(f"{where}: weights kept as '{method}' are not known ({known} are): say --precision")
    return name


@functools.cache
def _index() -> Mapping[str, ModelShape]:
    return {_compact(name): model for model in models().values() for name in (model.key, model.name, *model.aliases)}


_GGUF: Final = re.compile(r"(?:[.-]([qQ]\d\w*|[bB]?[fF]16))?\.gguf$|-GGUF$")
_SUFFIX: Final = re.compile(r"-(instruct|chat|it|hf|bf16)\b")


def _compact(name: str) -> str:
    """`meta-llama/Meta-Llama-3.1-8B-Instruct` -> `llama318b`."""
    last = _SUFFIX.sub("", _GGUF.sub("", name).lower().rsplit("/", 1)[-1])
    return re.sub(r"[^a-z0-9]", "", last.removeprefix("meta-"))


def _row(row: Mapping[str, str]) -> ModelShape:
    fields: dict[str, object] = {name: value for name, value in row.items() if value}
    fields["aliases"] = tuple(filter(None, row["aliases"].split(";")))
    return msgspec.convert(fields, ModelShape, strict=False)
