"""What a model's own files say of it, where they are on this machine: shape, precision, revision."""

import re
from pathlib import Path
from typing import Any, Final

import msgspec

_SHAPE: Final = {
    "architecture": ("architectures",),
    "layers": ("num_hidden_layers", "n_layer"),
    "hidden": ("hidden_size", "n_embd"),
    "ffn": ("intermediate_size", "n_inner"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads", "num_attention_heads", "n_head"),
    "head_dim": ("head_dim",),
    "vocab": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "experts_per_token": ("num_experts_per_tok",),
    "dtype": ("dtype", "torch_dtype"),
}
"""Our words, and the words of config.json in the order in which they are looked for."""
_REVISION: Final = re.compile(r"[0-9a-f]{40}")


def model_shape(path: str | Path) -> dict[str, Any] | None:
    """The shape in the `config.json` of a model's folder, each word None where it says nothing; None without one.

    A model without grouped heads has as many key-value heads as heads. Of a model for text and images, the text's.
    """
    config = _config(Path(path))
    if config is None:
        return None
    text = config.get("text_config")
    table = config | text if isinstance(text, dict) else config
    shape = {
        word: next((table[name] for name in names if table.get(name) is not None), None)
        for word, names in _SHAPE.items()
    }
    if isinstance(shape["architecture"], list):
        shape["architecture"] = ", ".join(map(str, shape["architecture"]))
    return shape | {"quantization": _quantization(config)}


def model_revision(path: str | Path) -> str | None:
    """The commit in a path of the hub's cache (`…/snapshots/COMMIT`); None for any other path."""
    parts = Path(path).parts
    after = parts[parts.index("snapshots") + 1 :] if "snapshots" in parts else ()
    return after[0] if after and _REVISION.fullmatch(after[0]) else None


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode((folder / "config.json").read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None


def _quantization(config: dict[str, Any]) -> str | None:
    """Method and bits, such as `awq 4 bit`; None for a model that is not quantised."""
    found = config.get("quantization_config")
    if not isinstance(found, dict):
        return None
    bits = found.get("bits")
    method = str(found.get("quant_method", "unknown method"))
    return method if bits is None else f"{method} {bits} bit"
