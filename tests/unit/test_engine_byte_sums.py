"""Sums of rows of bytes: every number of channels and rows, the largest weights, other processors."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neuro
from neuro.graph import Conv2d, Flatten, Graph, Input, Linear, clocked
from neuro.kernels import arrays
from neuro.kernels.byte_sums import AT_ONCE, sum_bytes
from neuro.kernels.options import UNCOUNTED, njit
from neuro.lowering.layout import Layout
from neuro.lowering.wiring import byte_order, wire
from neuro.running import run_recording
from tests.generic_processor import check_on_generic_processor

CHANNELS = (1, 15, 16, 17, 33, 48, 63, 64, 96, 100, 128, 129, 208, 256)
UNIT = np.float32(2.0**-7)


@njit(cache=False, **UNCOUNTED)
def add_up(current: Any, weight: Any, bias: Any, factor: Any, row: Any) -> None:
    n_rows = row.size - AT_ONCE + 1
    sum_bytes(current, np.uint64(0), weight, bias, factor, row, n_rows, np.uint64(current.size))


def draw(rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> NDArray[np.int64]:
    if kind == "extreme":
        return 127 * rng.choice([-1, 1], shape)
    return rng.integers(-127, 128, shape) if kind == "any" else np.full(shape, int(kind))


@pytest.mark.parametrize("kind", ["any", "extreme", "127", "-127", "-1"])
def test_rows_of_bytes_add_up_exactly(kind: str) -> None:
    """Sums past 256 rows leave 16 bits (up to 600 x 127); odd numbers of rows take in the row of zeros."""
    rng = np.random.default_rng(len(kind))
    for n_channels in CHANNELS:
        whole = draw(rng, kind, (n_channels, 40))
        whole[0, 0] = 127  # or the unit would be another one
        bias = rng.integers(-900, 900, n_channels)
        node = Linear(whole * UNIT, bias * UNIT)
        wiring = wire(node, Layout.of((40,)), Layout.of((n_channels,)))
        pitch, n_in = int(wiring.numbers[arrays.PITCH]), int(wiring.numbers[arrays.N_ROWS])
        assert wiring.weight_bytes.size == (n_in + 1) * pitch
        for n_rows in (0, 1, 2, 3, 39, 255, 256, 257, 258, 511, 513, 600):
            row = np.full(n_rows + AT_ONCE - 1, n_in, np.int32)
            row[:n_rows] = rng.integers(0, n_in, n_rows)
            current = np.full(pitch, np.nan, np.float32)
            add_up(current, wiring.weight_bytes, wiring.bias, wiring.byte_scale[0], row)
            expected = (bias + whole[:, row[:n_rows]].sum(axis=1)) * UNIT
            np.testing.assert_array_equal(current[:n_channels], expected)
            np.testing.assert_array_equal(current[n_channels:], 0)


@pytest.mark.parametrize("n_channels", [*range(1, 65), 70, 128, 200])
def test_bytes_of_all_channels_stand_once_in_a_row(n_channels: int) -> None:
    order = byte_order(n_channels)
    assert len(order) % 16 == 0
    np.testing.assert_array_equal(np.sort(order), np.arange(len(order)))
    assert len(order) - n_channels < 16


@pytest.mark.parametrize("n_out", [5, 24, 80, 130])
def test_layers_of_the_largest_weights_do_not_overflow(n_out: int) -> None:
    """All inputs active: 9 x 40 rows of a convolution and 700 of a matrix, all with weights of 127 units."""
    frames = np.ones((3, 40, 4, 5), np.float32)
    frames[1] = np.random.default_rng(1).random((40, 4, 5)) < 0.9
    sign = np.where(np.arange(n_out) % 3 == 0, -1, 1)
    conv = Conv2d(np.broadcast_to((127 * UNIT * sign)[:, None, None, None], (n_out, 40, 3, 3)), padding=1)
    full = Linear(np.broadcast_to((127 * UNIT * sign)[:, None], (n_out, 800)), np.full(n_out, UNIT))
    for nodes in (
        {"in": Input((40, 4, 5)), "conv": conv},
        {"in": Input((40, 4, 5)), "flat": Flatten(), "fc": full},
    ):
        graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
        whole = run_recording(graph, frames, path="integer")
        assert whole.output.tobytes() == run_recording(graph, frames, path="scatter").output.tobytes()
        assert abs(whole.output).max() >= 9 * 40 * 127 * UNIT > 32767 * UNIT
        assert neuro.verify(graph, frames)


def test_processors_without_vectors_of_512_bits_add_up_the_same(tmp_path: Path) -> None:
    script = (
        "from numba.core import config; assert config.CPU_NAME == 'generic'; "
        "from tests.unit import test_engine_byte_sums as tests; "
        "[tests.test_rows_of_bytes_add_up_exactly(kind) for kind in ('any', 'extreme')]"
    )
    check_on_generic_processor(script, tmp_path)
