"""Spikes: sorted, in range, finite, not zero; dense and back."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

from neuro.errors import InputError, NeuroError
from neuro.spikes import Spikes


def test_dense_and_back() -> None:
    dense = np.zeros((3, 2, 2, 2), dtype=np.float32)
    dense[0, 1, 0, 1] = 2
    dense[2, 0, 0, 0] = -0.5
    spikes = Spikes.from_dense(dense)
    assert spikes.step.tolist() == [0, 2]
    assert spikes.index.tolist() == [5, 0]
    assert spikes.step.dtype == spikes.index.dtype == np.int32
    assert spikes.value.dtype == np.float32
    assert spikes.shape == (2, 2, 2)
    assert (spikes.to_dense() == dense).all()
    assert repr(spikes) == "Spikes(2 entries, n_steps=3, shape=(2, 2, 2))"
    assert (pickle.loads(pickle.dumps(spikes)).to_dense() == dense).all()


def test_empty() -> None:
    spikes = Spikes([], [], [], n_steps=0, shape=(3,))
    assert len(spikes) == 0
    assert spikes.to_dense().shape == (0, 3)
    assert len(Spikes.from_dense(np.zeros((4, 3)))) == 0


def test_arrays_are_read_only_copies() -> None:
    step = np.array([0, 1], dtype=np.int32)
    spikes = Spikes(step, [0, 0], [1, 1], n_steps=2, shape=(1,))
    step[0] = 1
    assert spikes.step.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        spikes.value[0] = 3


REFUSED = [
    (([0, 0], [1], [1.0], 1, (4,)), "step, index and value must have one length, got (2, 1, 1)"),
    (([0, 1], [1, 4], [1, 1], 2, (4,)), "index[1] = 4 must be >= 0 and inside the 4 entries of (4,)"),
    (([0, -1], [1, 1], [1, 1], 2, (4,)), "step[1] = -1 must be >= 0 and inside n_steps = 2"),
    (([0, 2**40], [1, 1], [1, 1], 2, (4,)), "step[1] = 1099511627776 must be >= 0 and inside n_steps = 2"),
    (([1, 0], [1, 1], [1, 1], 2, (4,)), "entry 1 is (0, 1) after (1, 1)"),
    (([0, 0], [2, 1], [1, 1], 2, (4,)), "entry 1 is (0, 1) after (0, 2)"),
    (([0, 0], [1, 1], [1, 1], 2, (4,)), "without repeats: entry 1 is (0, 1) after (0, 1)"),
    (([0, 1], [1, 1], [1, 0], 2, (4,)), "value[1] must not be 0 in float32, got 0; leave the entry out"),
    (([0, 1], [1, 1], [1, 1e-60], 2, (4,)), "value[1] must not be 0 in float32, got 1e-60"),
    (([0, 1], [1, 1], [1, np.nan], 2, (4,)), "value must be finite in float32, got nan at [1]"),
    (([0.5], [1], [1], 2, (4,)), "step must hold integers, got float64"),
    (([0], [1], ["a"], 2, (4,)), "value must hold real numbers, got <U1"),
    (([[0]], [1], [1], 2, (4,)), "step must have one axis, got shape (1, 1)"),
    (([0], [1], [[1]], 2, (4,)), "value must have one axis, got shape (1, 1)"),
    (([], [], [], -1, (4,)), "n_steps must be a whole number >= 0, got -1"),
    (([], [], [], 1, (0,)), "shape must be a whole number >= 1, got 0"),
    (([], [], [], 1, 4), "shape must be a tuple of whole numbers, got 4"),
    (([[0], [1, 2]], [], [], 1, (4,)), "step must be an array (setting an array element with a sequence"),
    (
        ([0], [0], [2**60 + 1], 1, (4,)),
        "value holds the whole number 1152921504606846977 at [0], which float32",
    ),
    (([], [], [], 1, (2**20, 2**20)), "the limit is 2147483647"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_wrong_entries_are_named(arguments, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        Spikes(*arguments)
    assert isinstance(caught.value, NeuroError)


def test_dense_needs_frames() -> None:
    with pytest.raises(InputError, match=re.escape("needs shape (n_steps, ...), got (3,)")):
        Spikes.from_dense(np.ones(3))
    with pytest.raises(InputError, match=re.escape("got inf at [1, 0]")):
        Spikes.from_dense([[1.0], [np.inf]])
