"""What a node reaches without an engine: copies, matrix products, a download."""

import http.client
import importlib
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from breakeven.clock import now_s
from breakeven.errors import RunFailedError
from breakeven.fleet.result import Bench

TRIES: Final = 5
_COPY_BYTES: Final = 2**28
_SIZE: Final = 2048
_CARD_COPY_BYTES: Final = 2**29
_CARD_SIZE: Final = 8192
DOWNLOAD_BYTES: Final = 2**27
DOWNLOAD_S: Final = 15.0
_CHUNK_BYTES: Final = 2**16
_ANSWER_S: Final = 10.0


def processor_bench(name: str) -> Bench:
    """Copies and fp32 products by NumPy: 2 x bytes / time and 2 n^3 / time, each of the fastest of TRIES."""
    source = np.ones(_COPY_BYTES // 8)
    target = np.empty_like(source)
    copy_s = _fastest_s(lambda: np.copyto(target, source))
    a = np.ones((_SIZE, _SIZE), dtype=np.float32)
    product_s = _fastest_s(lambda: a @ a)
    return Bench(
        memory_bytes_per_s=2 * _COPY_BYTES / copy_s,
        flop_per_s=2 * _SIZE**3 / product_s,
        precision="fp32",
        device=name,
    )


def card_bench(device: str) -> Bench:
    """The same on a card by PyTorch, products in bf16, or in fp16 where the card has none."""
    torch: Any = importlib.import_module("torch")
    is_new = torch.cuda.is_bf16_supported()
    source = torch.ones(_CARD_COPY_BYTES // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    a = torch.ones((_CARD_SIZE, _CARD_SIZE), dtype=torch.bfloat16 if is_new else torch.float16, device=device)
    c = torch.empty_like(a)

    def waited(work: Callable[[], object]) -> Callable[[], object]:
        return lambda: (work(), torch.cuda.synchronize(device))

    copy_s = _fastest_s(waited(lambda: target.copy_(source)))
    product_s = _fastest_s(waited(lambda: torch.matmul(a, a, out=c)))
    return Bench(
        memory_bytes_per_s=2 * _CARD_COPY_BYTES / copy_s,
        flop_per_s=2 * _CARD_SIZE**3 / product_s,
        precision="bf16" if is_new else "fp16",
        device=f"{device} {torch.cuda.get_device_name(device)}",
    )


def download_bit_per_s(url: str, *, most_bytes: int = DOWNLOAD_BYTES, most_s: float = DOWNLOAD_S) -> float:
    """8 x bytes / time of one connection, from the head of the answer to its end or the first limit.

    RunFailedError where nothing came.
    """
    try:
        with urllib.request.urlopen(url, timeout=min(_ANSWER_S, most_s)) as answer:
            start_s, read = now_s(), 0
            while read < most_bytes and now_s() - start_s < most_s and (chunk := answer.read1(_CHUNK_BYTES)):
                read += len(chunk)
            spent_s = now_s() - start_s
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise RunFailedError(f"{url}: {error}") from None
    if not read:
        raise RunFailedError(f"{url}: an empty answer")
    return 8 * read / spent_s


def _fastest_s(work: Callable[[], object]) -> float:
    """The first time warms up."""
    times = []
    for _ in range(TRIES + 1):
        start_s = now_s()
        work()
        times.append(now_s() - start_s)
    return min(times[1:])
