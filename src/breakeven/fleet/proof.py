"""The timed proof of work of a node: a matrix product that nobody can know before its seed is told.

A and B are n x n matrices of whole numbers from -7 to 7, drawn by splitmix64 from the seed, so that every device makes
the same ones; C = A B is exact in fp32, as no sum exceeds 49 n < 2^24. `answer` is the root of a Merkle tree (CRYPTO
'87) over the SHA-256 of each row of C (int32, little endian); a neighbour that is missing is 32 zero bytes. The
root and the seed choose SAMPLES rows, whose ways to the root the proof holds. Who checks it computes these rows alone:
2 SAMPLES n^2 operations for 2 n^3.

A node that computed a share f of the rows passes with f^SAMPLES. It may try again by changing a row that it left out,
so that the choice of rows is slow on purpose (PBKDF2, ROUNDS): f = 0.5 takes 65,536 tries. The time is the node's word;
only the operator's own clock bounds it.
"""

import hashlib
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from breakeven.clock import now_s
from breakeven.errors import UsageError
from breakeven.fleet.result import Proof

SAMPLES: Final = 16
ROUNDS: Final = 300_000
LARGEST_SIZE: Final = 2**17
"""Rows and columns that are computed and checked at most: 206 GB, and minutes to check."""
BYTES_A_PLACE: Final = 12
"""Three matrices of fp32."""
_BLOCK: Final = 2**22
_NONE: Final = bytes(32)
_GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB

Whole = npt.NDArray[np.int32]
Real = npt.NDArray[np.float32]


class Device(Protocol):
    """Where the product is computed."""

    name: str

    def product(self, seed: str, size: int) -> float:
        """Make A and B and keep A B; the seconds of the product alone."""

    def rows(self, first: int, last: int) -> Whole:
        """Rows of the product."""


class Numpy:
    """The processor, by NumPy."""

    def __init__(self, processor: str = "") -> None:
        self.name = f"cpu {processor}".strip()
        self._product: Real = np.empty((0, 0), dtype=np.float32)

    def product(self, seed: str, size: int) -> float:
        """Make A and B and keep A B; the seconds of the product alone."""
        a, b = (np.concatenate(list(_blocks(seed, matrix, size))) for matrix in "AB")
        _ = a[:64] @ b[:, :64]
        start_s = now_s()
        self._product = a @ b
        return now_s() - start_s

    def rows(self, first: int, last: int) -> Whole:
        """Rows of the product."""
        return self._product[first:last].astype(np.int32)


class Torch:
    """A device of PyTorch, `cuda:0` or `cpu`."""

    def __init__(self, device: str) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._device = device
        self.name = f"{device} {self._torch.cuda.get_device_name(device)}" if device != "cpu" else "cpu torch"

    def product(self, seed: str, size: int) -> float:
        """Make A and B and keep A B; the seconds of the product alone."""
        a, b = (self._matrix(seed, matrix, size) for matrix in "AB")
        self._product = self._torch.empty_like(a)
        _ = a[:64] @ b[:, :64]
        self._wait()
        start_s = now_s()
        self._torch.matmul(a, b, out=self._product)
        self._wait()
        return now_s() - start_s

    def rows(self, first: int, last: int) -> Whole:
        """Rows of the product."""
        found: Whole = self._product[first:last].to(self._torch.int32).cpu().numpy()
        return found

    def free_bytes(self) -> float:
        """What is free of the card's memory."""
        return float(self._torch.cuda.mem_get_info(self._device)[0])

    def _wait(self) -> None:
        if self._device != "cpu":
            self._torch.cuda.synchronize(self._device)

    def _matrix(self, seed: str, matrix: str, size: int) -> Any:
        """What `_blocks` draws; PyTorch has whole numbers with a sign, so that shifts are cut to their width."""
        torch, key = self._torch, _signed(_key(seed, matrix))
        made = torch.empty((size, size), dtype=torch.float32, device=self._device)
        for first, last in _spans(size):
            z = torch.arange(first * size + 1, last * size + 1, dtype=torch.int64, device=self._device)
            z = z * _signed(_GOLDEN) + key
            z = (z ^ ((z >> 30) & (2**34 - 1))) * _signed(_FIRST)
            z = (z ^ ((z >> 27) & (2**37 - 1))) * _signed(_SECOND)
            z = (z ^ ((z >> 31) & (2**33 - 1))) >> 33 & (2**31 - 1)
            made[first:last] = (z % 15 - 7).to(torch.float32).view(last - first, size)
        return made


def torch_device() -> str | None:
    """`cuda:0` where PyTorch and a card are there."""
    if importlib.util.find_spec("torch") is None:
        return None
    torch: Any = importlib.import_module("torch")
    return "cuda:0" if torch.cuda.is_available() else None


def size_for(memory_bytes: float) -> int:
    """Rows of the largest matrices of which three are held in so much memory."""
    size = min(int((memory_bytes / BYTES_A_PLACE) ** 0.5), LARGEST_SIZE)
    if size < 1:
        raise UsageError(f"{memory_bytes:g} bytes hold no three matrices; give at least {BYTES_A_PLACE}")
    return size


def prove(seed: str, memory_bytes: float, device: Device) -> Proof:
    """Compute the product of this seed in so many bytes. UsageError where they hold none."""
    size = size_for(memory_bytes)
    time_s = device.product(seed, size)
    leaves = [hashlib.sha256(row).digest() for first, last in _spans(size) for row in device.rows(first, last)]
    tree = _tree(leaves)
    root = tree[-1][0].hex()
    return Proof(
        seed=seed,
        answer=root,
        size=size,
        time_s=time_s,
        device=device.name,
        paths=tuple(_path(tree, row) for row in _sampled(root, seed, size)),
    )


def verify(proof: Proof, seed: str) -> str | None:
    """Why a proof is none of this seed; None where it is right. Takes 2 SAMPLES n^2 operations and draws B once."""
    size = proof.size
    depth = (size - 1).bit_length()
    if proof.seed != seed:
        return "it is of another seed"
    if size > LARGEST_SIZE:
        return f"it has {size} rows, where {LARGEST_SIZE} are checked at most"
    if len(proof.paths) != SAMPLES or any(len(path) != depth for path in proof.paths):
        return f"it needs {SAMPLES} ways of {depth} hashes"
    rows = _sampled(proof.answer, seed, size)
    for row, path, right in zip(rows, proof.paths, _products(seed, rows, size), strict=True):
        if _root(hashlib.sha256(right).digest(), row, path) != proof.answer:
            return f"row {row} of the product is wrong"
    return None


def _key(seed: str, matrix: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{matrix} {seed}".encode()).digest()[:8], "little")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _spans(size: int) -> Iterator[tuple[int, int]]:
    """First and last row of each block."""
    rows = max(1, _BLOCK // size)
    return ((first, min(first + rows, size)) for first in range(0, size, rows))


def _blocks(seed: str, matrix: str, size: int) -> Iterator[Real]:
    """A matrix block by block of rows."""
    return (_drawn(seed, matrix, size, first, last) for first, last in _spans(size))


def _drawn(seed: str, matrix: str, size: int, first: int, last: int) -> Real:
    """Rows of a matrix: splitmix64 (Steele, Lea, Flood 2014) of the place's number; its upper 31 bits mod 15, - 7."""
    z = np.arange(first * size + 1, last * size + 1, dtype=np.uint64)
    z *= np.uint64(_GOLDEN)
    z += np.uint64(_key(seed, matrix))
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    drawn: Real = ((z >> np.uint64(33)) % np.uint64(15)).astype(np.float32).reshape(last - first, size)
    drawn -= 7
    return drawn


def _products(seed: str, rows: Sequence[int], size: int) -> Whole:
    """These rows of A B, B drawn a block at a time."""
    a = np.concatenate([_drawn(seed, "A", size, row, row + 1) for row in rows])
    found = np.zeros((len(rows), size), dtype=np.float32)
    for (first, last), block in zip(_spans(size), _blocks(seed, "B", size), strict=True):
        found += a[:, first:last] @ block
    return found.astype(np.int32)


def _tree(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """The levels of the tree from the leaves to the root."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1] + [_NONE] * (len(levels[-1]) % 2)
        levels.append([hashlib.sha256(a + b).digest() for a, b in zip(below[::2], below[1::2], strict=True)])
    return levels


def _path(tree: Sequence[Sequence[bytes]], row: int) -> tuple[str, ...]:
    beside = [(level, (row >> height) ^ 1) for height, level in enumerate(tree[:-1])]
    return tuple((level[at] if at < len(level) else _NONE).hex() for level, at in beside)


def _root(leaf: bytes, row: int, path: Sequence[str]) -> str:
    for height, beside in enumerate(map(bytes.fromhex, path)):
        leaf = hashlib.sha256(beside + leaf if row >> height & 1 else leaf + beside).digest()
    return leaf.hex()


def _sampled(root: str, seed: str, size: int) -> list[int]:
    """The rows that are looked at, by PBKDF2-HMAC-SHA256 (RFC 8018) of root and seed."""
    drawn = hashlib.pbkdf2_hmac("sha256", root.encode(), seed.encode(), ROUNDS, dklen=32)
    more = hashlib.sha512(drawn).digest() + hashlib.sha512(drawn + b"2").digest()
    return [int.from_bytes(more[8 * at : 8 * at + 8], "little") % size for at in range(SAMPLES)]
