"""One run of a chain: the arrays that it writes, and the calls that it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from neuro.graph import MovingAttention
from neuro.kernels import chains as places
from neuro.kernels.arrays import N_TALLIES, Bytes, Floats, Int64s, Membranes
from neuro.kernels.chain_rows import WINDOW
from neuro.kernels.chains import run_chain
from neuro.lowering.chains import Chain, Tape
from neuro.lowering.execution import Counted
from neuro.lowering.operations import Operation
from neuro.lowering.run import Path
from neuro.lowering.scoring import Temporal, move
from neuro.lowering.signals import Signal
from neuro.lowering.stopping import Verdict
from neuro.results import State
from neuro.spikes import Spikes

__all__ = ["ChainRun", "OnBlock", "OneCall"]

OnBlock = Callable[[dict[str, Signal], int, Bytes], None]  # signals by node, first step, which steps are kept
_NONE_HELD = np.zeros(0, np.int32)
_NONE_HELD.setflags(write=False)
_NO_LINES: Mapping[str, Signal] = MappingProxyType({})
_NO_SCORES = np.zeros((2, 0), np.float32)


class OneCall(ABC):
    """What a run of a whole recording in one call begins with and leaves behind.

    Attributes
    ----------
    numbers, reals : int64 and float64 arrays
        See `neuro.kernels.chains`.
    sums : float64, shape (n_steps,)
        Of the values of every frame.
    kept : uint8, shape (n_steps,)
        Which frames are computed, if no exit comes before.
    scores : float32, shape (2, n)
        Means and scores of the frames, those of earlier ones first; empty where nothing drops frames.
    totals : int64, shape (n_rows, N_TALLIES + 1)
        Tallies of every row, and its input entries.
    places : mapping of str to (int, Operation)
        Row and operation of what is counted, by name.
    lines : mapping of str to Signal
        What is on its way in delays.
    """

    def __init__(
        self,
        places: Mapping[str, tuple[int, Operation]],
        n_rows: int,
        numbers: Int64s,
        reals: NDArray[np.float64],
        n_steps: int,
    ) -> None:
        self.numbers, self.reals = numbers.copy(), reals.copy()
        self.sums, self.kept = np.empty(n_steps), np.empty(n_steps, np.uint8)
        self.totals = np.zeros((1 + n_rows, N_TALLIES + 1), np.int64)
        self.scores = _NO_SCORES
        self.places = places
        self.lines: Mapping[str, Signal] = _NO_LINES

    @abstractmethod
    def take(self, state: State) -> None:
        """Begin where another run ended."""

    @abstractmethod
    def go(self, spikes: Spikes, output: Floats, on_block: OnBlock | None = None) -> bool:
        """Run to the end; return False, with nothing done, where the Input does not allow an entry."""

    @abstractmethod
    def membranes(self) -> Mapping[str, Membranes]:
        """Return the state by node; it must not be written."""

    @property
    def n_run(self) -> int:
        """Steps that were run."""
        return int(self.numbers[places.AT])

    @property
    def verdict(self) -> Verdict:
        """What the exit rule said."""
        exit_step = self.n_run if self.n_run < self.sums.size else None
        return Verdict(exit_step, float(self.reals[places.CERTAINTY]), int(self.numbers[places.N_NEAR]))

    def counted(self) -> Counted:
        """Return what was counted."""
        kept = self.kept[: self.n_run]
        tallies = self.totals.tolist()
        return Counted(
            n_steps=self.n_run,
            n_kept=int(np.count_nonzero(kept)),
            n_events=int(self.numbers[places.N_EVENTS]),
            counts=float(self.sums[: self.n_run][kept != 0].sum()),
            tallies={name: tallies[k][:N_TALLIES] for name, (k, _) in self.places.items()},
            entries={name: tallies[k][N_TALLIES] for name, (k, _) in self.places.items()},
        )


class ChainRun(OneCall):
    """A run of a chain.

    Attributes
    ----------
    state : float32, shape (state_size,)
        Membranes and synaptic currents: see `Chain.states`.
    """

    def __init__(
        self, chain: Chain, path: Path | None, numbers: Int64s, reals: NDArray[np.float64], n_steps: int
    ) -> None:
        super().__init__(chain.places, len(chain.rows), numbers, reals, n_steps)
        self._chain, self._path = chain, path
        self.state = np.empty(chain.state_size, np.float32)

    def score(self, node: Temporal, history: Floats) -> None:
        """Have the frames scored; `history` is what the attention knows of earlier ones."""
        if isinstance(node, MovingAttention):
            self.scores = np.empty((2, self.sums.size), np.float32)
            self._tape().array(0, WINDOW)[:] = history
            return
        self.scores = np.empty((2, history.size + self.sums.size), np.float32)
        self.scores[0, : history.size] = history

    def take(self, state: State) -> None:
        """Begin where another run ended."""
        self.numbers[places.HAS_STATE] = 1
        for name, at, n, n_currents in self._chain.states:
            if name in state.membranes:  # a run of no steps leaves none
                voltage, current, _ = state.membranes[name]
                self.state[at : at + n], self.state[at + n : at + n + n_currents] = voltage, current

    def _tape(self) -> Tape:
        return self._chain.tape(self._path)

    def go(self, spikes: Spikes, output: Floats, on_block: OnBlock | None = None) -> bool:
        """Run to the end; return False, with nothing done, where the Input does not allow an entry."""
        tape = self._tape()
        tape.reserve(self.sums.size)
        numbers, total = self.numbers, np.zeros(output.shape[1])
        numbers[places.IS_WATCHED] = on_block is not None
        first = 0
        while True:
            status = run_chain(
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
                self.state,
            )
            if status == places.NEEDS_ROOM:
                tape.make_room(int(numbers[places.ROW]), int(numbers[places.ROOM]))
            elif status == places.BLOCK_DONE and on_block is not None:
                on_block(tape.signals(self.n_run - first), first, self.kept[first : self.n_run])
                first = self.n_run
            else:
                return bool(status == places.FINISHED)

    def membranes(self) -> Mapping[str, Membranes]:
        """Return the state by node; it must not be written."""
        values, found = self.state, {}
        values.setflags(write=False)
        for name, at, n, n_currents in self._chain.states:
            found[name] = Membranes(values[at : at + n], values[at + n : at + n + n_currents], _NONE_HELD)
        return found

    def history(self, node: Temporal, before: Floats) -> Floats:
        """Return what the attention knows after the steps that were run, and `before` of those before."""
        n_before = self.scores.shape[1] - self.sums.size
        if isinstance(node, MovingAttention):
            return move(node, self.scores[0, : self.n_run], before)[1]
        return self.scores[0, : n_before + self.n_run].copy()
