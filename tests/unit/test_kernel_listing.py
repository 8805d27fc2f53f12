"""Lists of bits: all of them, ascending, nothing written too far, whatever the processor can do at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuro.kernels import listing
from neuro.kernels.arrays import SPARE
from neuro.kernels.listing import PLACES, list_16, list_64
from neuro.kernels.options import UNCOUNTED, njit
from tests.generic_processor import check_on_generic_processor

FIRST, N = 70_000, 3  # the number of the lowest bit, and the length of the list before


@njit(cache=False, **UNCOUNTED)
def list_one(index: Any, bits: Any, n_bits: Any) -> Any:
    if n_bits == 16:
        return list_16(index, np.uint64(N), np.uint64(FIRST), np.uint32(bits), PLACES)
    return list_64(index, np.uint64(N), np.uint64(FIRST), bits, PLACES)


def check(n_bits: int, is_set: Any) -> None:
    """List the bits of a mask; entries before the list and past its room keep what they hold."""
    bits = np.uint64(int("".join("01"[int(one)] for one in is_set[::-1]), 2))
    index = np.full(N + n_bits + SPARE + 8, -7, np.int32)
    n = list_one(index, bits, n_bits)
    expected = FIRST + np.flatnonzero(is_set)
    assert n == N + len(expected)
    np.testing.assert_array_equal(index[N:n], expected)
    room = n + SPARE if n_bits == 16 else N + 64 + SPARE
    assert (index[:N] == -7).all()
    assert (index[room:] == -7).all()


@pytest.mark.parametrize("n_bits", [16, 64])
def test_every_bit_that_is_set_is_listed_once(n_bits: int) -> None:
    rng = np.random.default_rng(n_bits)
    for density in (0.0, 0.02, 0.05, 0.2, 0.25, 0.3, 0.5, 0.75, 0.9, 1.0):
        for _ in range(20):
            check(n_bits, rng.random(n_bits) < density)
    for lowest in range(n_bits):
        for count in (1, 15, 16, 17, 31, 32, 33, 48, 49):
            is_set = np.zeros(n_bits, bool)
            is_set[lowest : lowest + count] = True
            check(n_bits, is_set)


def test_processors_without_the_newest_instructions_list_the_same(tmp_path: Path) -> None:
    script = (
        "from neuro.kernels import listing; from tests.unit import test_kernel_listing as tests; "
        "assert not listing.CLOSES_16 and not listing.CLOSES_64; "
        "[tests.test_every_bit_that_is_set_is_listed_once(n) for n in (16, 64)]"
    )
    check_on_generic_processor(script, tmp_path)


def test_vectors_of_16_and_64_close_their_gaps_where_the_processor_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without 64 at a time, four times 16 give the same (this process compiles both)."""
    if not listing.CLOSES_64:
        pytest.skip("this processor does not close the gaps of 64 bits at once")
    monkeypatch.setattr(listing, "CLOSES_64", False)
    fresh = njit(cache=False, **UNCOUNTED)(list_one.py_func)
    index = np.full(N + 64 + SPARE, -7, np.int32)
    bits = np.uint64(0xF00F_0000_8001_7FFE)
    n = fresh(index, bits, 64)
    expected = [FIRST + k for k in range(64) if int(bits) >> k & 1]
    assert index[N:n].tolist() == expected
