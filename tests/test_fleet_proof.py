"""A proof of work is right on every device, and anything changed in it is seen."""

import importlib.util

import numpy as np
import pytest
from msgspec.structs import replace

from breakeven.errors import UsageError
from breakeven.fleet.proof import BYTES_A_PLACE, LARGEST_SIZE, SAMPLES, Numpy, Torch, prove, size_for, verify
from breakeven.fleet.result import Proof

SIZE = 300
MEMORY = float(BYTES_A_PLACE * SIZE**2)


class Lazy(Numpy):
    """Leaves out a share of the rows."""

    def __init__(self, left_out: int) -> None:
        super().__init__()
        self.left_out = left_out

    def product(self, seed: str, size: int) -> float:
        time_s = super().product(seed, size)
        self._product[: self.left_out] = 0
        return time_s


@pytest.fixture(scope="module")
def proof() -> Proof:
    return prove("s1", MEMORY, Numpy("a processor"))


def test_a_right_proof_is_believed(proof: Proof) -> None:
    assert verify(proof, "s1") is None
    assert (proof.size, len(proof.paths)) == (SIZE, SAMPLES)
    assert proof.time_s > 0
    assert proof.device == "cpu a processor"


def test_the_product_is_that_of_whole_numbers_and_of_no_other_seed() -> None:
    device = Numpy()
    device.product("s1", 50)
    first = device.rows(0, 50)
    device.product("s2", 50)
    assert not np.array_equal(first, device.rows(0, 50))
    assert np.abs(first).max() <= 49 * 50
    assert np.abs(first.mean()) < 10


@pytest.mark.parametrize("size", [1, 2, 3, 64, 65])
def test_every_size_has_its_tree(size: int) -> None:
    assert verify(prove("s1", float(BYTES_A_PLACE * size**2), Numpy()), "s1") is None


def test_another_seed_is_refused_however_it_is_told(proof: Proof) -> None:
    assert verify(proof, "s2") == "it is of another seed"
    assert "wrong" in str(verify(replace(proof, seed="s2"), "s2"))


def test_a_changed_hash_or_answer_is_seen(proof: Proof) -> None:
    path = ("0" * 64, *proof.paths[3][1:])
    assert "wrong" in str(verify(replace(proof, paths=(*proof.paths[:3], path, *proof.paths[4:])), "s1"))
    assert "wrong" in str(verify(replace(proof, answer="a" * 64), "s1"))


def test_rows_that_were_left_out_are_seen() -> None:
    assert "wrong" in str(verify(prove("s1", MEMORY, Lazy(SIZE * 2 // 3)), "s1"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"size": SIZE + 1}, "wrong"),
        ({"size": 4 * SIZE}, "ways"),
        ({"size": LARGEST_SIZE + 1}, "at most"),
        ({"paths": ()}, "ways"),
    ],
)
def test_figures_that_do_not_belong_to_the_product_are_refused(
    proof: Proof, changes: dict[str, object], why: str
) -> None:
    assert why in str(verify(replace(proof, **changes), "s1"))


def test_memory_says_the_size() -> None:
    assert size_for(12 * 1000**2) == 1000
    assert size_for(1e15) == LARGEST_SIZE
    with pytest.raises(UsageError, match="at least 12"):
        size_for(11)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch, too large a dependency")
def test_pytorch_answers_as_numpy_to_the_bit(proof: Proof) -> None:
    assert prove("s1", MEMORY, Torch("cpu")).answer == proof.answer
