"""A network as the kernels take it: blocks of neurons, and the tables of their registers and synapses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw import _kernels_network as kernels
from hw import _kernels_synapses as parts_of
from hw._kernels_network import N_BLOCK
from hw._kernels_neurons import N_REGISTERS
from hw._kernels_synapses import LANES, LIMIT, MOST, N_COLUMNS, TILE, Wiring
from hw.errors import QuantizationError
from hw.fixed import GRADED_KINDS, FixedGraph, Population
from hw.synapses import Synapses, channel_last

__all__ = ["Block", "Tables", "tables_of"]

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
_SILENT = np.iinfo(np.int32).max  # threshold of what only fills a tile


@dataclass(frozen=True, eq=False)
class Block:
    """Neurons that are computed together: a population, or the part of one that lies on a core.

    Attributes
    ----------
    population : str
        Whose neurons they are.
    numbers : int32 array, shape (n,)
        Their places in the population, channel-last.
    synapses : sequence of Synapses
        What leads to them, with targets numbered as in `numbers`.
    registers : int32 array, shape (6, n)
        What is kept of u and of v in 4096ths, bias, threshold of v, steps held, what a spike subtracts.
    """

    population: str
    numbers: Int32s
    synapses: Sequence[Synapses]
    registers: Int32s


@dataclass(frozen=True, eq=False)
class Tables:
    """Blocks as the kernels read them.

    Attributes
    ----------
    blocks : int64 array
        A row for each block.
    rows : mapping of str to slice
        Those of each population.
    wiring : Wiring
        All synapses.
    registers, numbers : int32 array
        Of all blocks, registers by tile.
    n_tiles, most_neurons : int
        Tiles of all blocks, neurons of the largest (whole tiles).
    """

    blocks: Int64s
    rows: Mapping[str, slice]
    wiring: Wiring
    registers: Int32s
    numbers: Int32s
    n_tiles: int
    most_neurons: int


def registers_of(population: Population) -> Int32s:
    """Return the registers of all neurons, channel-last, shape (6, n)."""
    order = np.argsort(channel_last(population.shape))
    found = np.stack(
        [
            4096 - population.register("current_decay"), 4096 - population.register("membrane_decay"),
            population.bias, population.register("threshold") << 6, population.register("refractory_steps"),
            population.register("subtraction") << 6,
        ]
    )  # fmt: skip
    return np.ascontiguousarray(found[:, order].astype(np.int32))


def tables_of(fixed: FixedGraph, profile: str, blocks: Sequence[Block]) -> Tables:
    """Lay blocks end to end; those of a population must follow each other.

    Parameters
    ----------
    fixed : FixedGraph
        The network.
    profile : {'lava', 'loihi1'}
        Rules of arithmetic.
    blocks : sequence of Block
        Its neurons.

    Returns
    -------
    Tables
        For the kernels.

    Raises
    ------
    QuantizationError
        If more can arrive at a neuron in one step than its registers take.
    """
    names = list(fixed.populations)
    table = np.zeros((len(blocks), N_BLOCK), np.int64)
    registers: list[Int32s] = []
    rows: dict[str, slice] = {}
    n_parts = n_numbers = n_tiles = n_values = 0
    for k, block in enumerate(blocks):
        _check_sum(block)
        tiles, stride = _by_tile(block.registers)
        population, n_block_tiles = fixed.populations[block.population], -(-block.numbers.size // TILE)
        is_first = block.population not in rows
        rows[block.population] = slice(k if is_first else rows[block.population].start, k + 1)
        row: dict[int, int] = {
            kernels.POPULATION: names.index(block.population), kernels.PLACE: n_numbers,
            kernels.SIZE: block.numbers.size, kernels.TILE_FIRST: n_tiles, kernels.PAR: n_values,
            kernels.PAR_STEP: stride,
            kernels.PAR_LAST: n_values + tiles.size - N_REGISTERS * TILE, kernels.PART_FIRST: n_parts,
            kernels.PART_LAST: n_parts + len(block.synapses), kernels.RESET_STEP: population.reset_step,
            kernels.RESET_INTERVAL: population.reset_interval, kernels.IS_FIRST: is_first,
            kernels.SUBTRACTS: bool(np.any(population.subtraction)),
            kernels.RULES: _rules(population, profile), kernels.RECORD: -1,
        }  # fmt: skip
        table[k, list(row)] = list(row.values())
        table[k, kernels.MODE :] = _mode(population)
        registers.append(tiles)
        n_values += tiles.size
        n_tiles += n_block_tiles
        n_numbers += block.numbers.size
        n_parts += len(block.synapses)
    return Tables(
        table, rows, _wiring(names, [part for block in blocks for part in block.synapses]),
        np.concatenate([np.zeros(0, np.int32), *registers]),
        np.concatenate([np.zeros(0, np.int32), *(block.numbers for block in blocks)]), n_tiles,
        max((-(-block.numbers.size // TILE) * TILE for block in blocks), default=0),
    )  # fmt: skip


def _check_sum(block: Block) -> None:
    room = 2 * MOST - LIMIT // 64  # shifted by 6 bits and added to a register it fits into int32
    total = sum(min(part.bound >> part.down, LIMIT if part.wraps else MOST) for part in block.synapses)
    if total > room and not any(part.is_graded for part in block.synapses):
        raise QuantizationError(
            f"Population {block.population!r}: all weights of one neuron add up to as much as {total}, at most {room} "
            "can arrive in one step; lower the exponents or the number of inputs"
        )


def _by_tile(registers: Int32s) -> tuple[Int32s, int]:
    """Return registers tile by tile, and the distance of two tiles: 0 if all but the last are one."""
    n = registers.shape[1]
    padded = np.zeros((N_REGISTERS, -(-n // TILE) * TILE), np.int32)
    padded[3, n:] = _SILENT
    padded[:, :n] = registers
    tiles = padded.reshape(N_REGISTERS, -1, TILE).transpose(1, 0, 2)
    if (registers == registers[:, :1]).all():
        return np.ascontiguousarray(tiles[[0, -1]]).reshape(-1), 0
    return np.ascontiguousarray(tiles).reshape(-1), N_REGISTERS * TILE


def _rules(population: Population, profile: str) -> int:
    if population.kind in GRADED_KINDS:
        kinds = {"graded": kernels.GRADED_BOTH, "graded_relu": kernels.GRADED_UP}
        return kinds.get(population.kind, kernels.DIFFERENCES)
    if profile != "lava":
        return kernels.UNBOUNDED
    return kernels.LAVA_HELD if np.any(population.refractory_steps) else kernels.LAVA


def _mode(population: Population) -> list[int]:
    sums, sends = population.kind.startswith("sigma"), population.kind.endswith("delta")
    up = population.spike_exponent + population.state_exponent if not sums else 0
    return [sums, sends, up, population.state_exponent if sends else 0, population.is_cumulative]


def _wiring(names: list[str], parts: Sequence[Synapses]) -> Wiring:
    table = np.zeros((len(parts), N_COLUMNS), np.int64)
    n_weights = n_starts = n_rows = 0
    for k, part in enumerate(parts):
        row = {
            parts_of.SOURCE: names.index(part.source), parts_of.LAG: part.lag, parts_of.KIND: part.kind,
            parts_of.WEIGHTS: n_weights, parts_of.STARTS: n_starts, parts_of.ROWS: n_rows,
            parts_of.PITCH: part.pitch, parts_of.N_OUT: part.n_out, parts_of.DOWN: part.down,
            parts_of.WRAPS: part.wraps, parts_of.GRADED: part.is_graded, parts_of.BOUND: part.bound,
            parts_of.CHANNELS: part.map_size[0], parts_of.COLUMNS: part.map_size[1],
        }  # fmt: skip
        table[k, list(row)] = list(row.values())
        n_weights, n_starts, n_rows = (
            n_weights + part.weights.size, n_starts + part.starts.size, n_rows + part.rows.size,
        )  # fmt: skip
    spare = np.zeros(LANES, np.int16)
    return Wiring(
        table,
        np.concatenate([*(part.weights for part in parts), spare]),
        np.concatenate([np.zeros(0, np.int64), *(part.starts for part in parts)]),
        np.concatenate([np.zeros(0, np.int32), *(part.rows for part in parts)]),
    )
