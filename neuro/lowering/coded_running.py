"""One run of a coded graph in one call: the arrays that it writes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neuro.kernels import chains as places
from neuro.kernels.arrays import Floats, Int64s, Membranes
from neuro.kernels.coded_run import BEHIND, run_coded
from neuro.lowering.chain_running import OnBlock, OneCall
from neuro.lowering.coded_tables import CodedTable
from neuro.lowering.run import Path
from neuro.results import State
from neuro.spikes import Spikes

__all__ = ["CodedRun"]


class CodedRun(OneCall):
    """What a run of a coded graph begins with and leaves behind.

    Attributes
    ----------
    state, counts : float32 and int32 arrays
        The state: see `CodedTable.states`.
    """

    def __init__(
        self, table: CodedTable, path: Path | None, numbers: Int64s, reals: NDArray[np.float64], n_steps: int
    ) -> None:
        super().__init__(table.places, len(table.rows), numbers, reals, n_steps)
        self._table, self._path = table, path
        self.state, self.counts = table.rest

    def take(self, state: State) -> None:
        """Begin where another run ended."""
        self.state, self.counts = self.state.copy(), self.counts.copy()
        for name, reals, currents, counts in self._table.states:
            if name in state.membranes:  # a run of no steps leaves none
                voltage, current, held = state.membranes[name]
                self.state[reals], self.state[currents], self.counts[counts] = voltage, current, held
        self.lines = state.lines
        self.numbers[BEHIND] = state.n_steps

    def go(self, spikes: Spikes, output: Floats, on_block: OnBlock | None = None) -> bool:
        """Run to the end; return False, with nothing done, where the Input does not allow an entry."""
        tape = self._table.tape(self._path)
        tape.reserve(self.sums.size)
        tape.rewind(self.state, self.counts, self.lines)
        total, numbers = np.zeros(output.shape[1]), self.numbers
        numbers[places.IS_WATCHED] = on_block is not None
        first, status = 0, places.BLOCK_DONE
        while status == places.BLOCK_DONE:
            status = run_coded(
                spikes.step,
                spikes.index,
                spikes.value,
                tape.table,
                numbers,
                self.reals,
                output,
                self.sums,
                total,
                self.scores,
                self.kept,
                self.totals,
            )
            if status == places.BLOCK_DONE and on_block is not None:
                on_block(tape.signals(self.n_run - first), first, self.kept[first : self.n_run])
                first = self.n_run
        self.state, self.counts, self.lines = tape.left()
        return bool(status == places.FINISHED)

    def membranes(self) -> Mapping[str, Membranes]:
        """Return the state by node, with the steps behind it; it must not be written."""
        found, counts = {}, self.counts.copy()
        for name, reals, currents, places_of in self._table.states:
            if places_of.stop > places_of.start:
                counts[places_of.stop - 1] += self.n_run
            found[name] = Membranes(self.state[reals], self.state[currents], counts[places_of])
        for array in (array for state in found.values() for array in state):
            array.setflags(write=False)
        return found
