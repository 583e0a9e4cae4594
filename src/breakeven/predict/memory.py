"""What fits on a card: weights, and how many tokens of users' contexts beside them."""

from typing import Final

from msgspec import Struct

from breakeven.errors import UsageError
from breakeven.hardware import Gpu, ModelShape

USABLE: Final = 0.9
"""Part of the memory that vLLM and SGLang take by default (`--gpu-memory-utilization 0.9`)."""
WORKSPACE_BYTES: Final = 3e9
"""What an engine keeps on each card beside weights and cache: activations of a full step, graphs, libraries."""
GB: Final = 1e9


class Memory(Struct, frozen=True, kw_only=True):
    """A model on `tp` cards; bytes of all of them together."""

    total_bytes: float
    weight_bytes: float
    kv_bytes: float
    """What is left for the key-value cache; below 0 where the weights alone do not fit."""
    kv_bytes_per_token: float
    """Of a first token, which every layer keeps."""

    @property
    def fits(self) -> bool:
        """There is room for the weights and at least one token."""
        return self.kv_bytes >= self.kv_bytes_per_token


def memory(model: ModelShape, gpu: Gpu, *, tp: int = 1, usable: float = USABLE) -> Memory:
    """kv = VRAM x tp x usable - weights - workspace. Keys and values are repeated where there are more cards than
    heads for
    them, which is put down as more bytes a token."""
    total = gpu.vram_gb * GB * tp
    workspace = min(WORKSPACE_BYTES, 0.1 * gpu.vram_gb * GB) * tp
    repeated = max(1.0, tp / model.kv_heads)
    return Memory(
        total_bytes=total,
        weight_bytes=model.weight_bytes,
        kv_bytes=total * usable - model.weight_bytes - workspace,
        kv_bytes_per_token=model.kv_bytes(1) * repeated,
    )


def check_split(model: ModelShape, tp: int) -> None:
    """UsageError where a model cannot be spread over so many cards: each takes as many heads as the others."""
    if tp < 1 or model.heads % tp:
        raise UsageError(f"{model.name}: its {model.heads} heads cannot be split over {tp} cards")


def sequences(model: ModelShape, held: Memory, *, context_tokens: float) -> int:
    """How many contexts of that length the cache holds at once; 0 where not even one."""
    one = model.kv_bytes(context_tokens) * held.kv_bytes_per_token / model.kv_bytes(1)
    return max(0, int(held.kv_bytes / one))


def kv_tokens(model: ModelShape, held: Memory, *, context_tokens: float) -> int:
    """Tokens that the cache holds where each context is that long: layers with a window keep less of long ones."""
    one = model.kv_bytes(context_tokens) / context_tokens * held.kv_bytes_per_token / model.kv_bytes(1)
    return max(0, int(held.kv_bytes / one))
