"""What the readers of files of binary words share: pieces of the file, a state that a decoder carries, and places."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels as common
from eventio.buffer import EventBuffer
from eventio.companions import TRIGGER_DTYPE, StructuredArray
from eventio.recording import EVENT_DTYPE, PLACED_DTYPE, EventArray
from eventio.source import BLOCK_EVENTS, SPARE_EVENTS, Findings
from eventio.word_pieces import FilePieces, Layout

State = npt.NDArray[np.int64]
N_PLACES, PLACE_BYTES = 16, 1 << 14
"""In how many places of a file of words that hold many events these are counted, and how much at least in each."""
TRIGGER_ROOM = 4096


@dataclass(frozen=True, slots=True)
class WordPlace:
    """A place in a file of words: a byte, and what the decoder knew there."""

    byte: int
    state: State


class WordSource(ABC):
    """
    Reader of one file of binary words.

    Parameters
    ----------
    path : Path
        The file; what is appended to it later is not read.
    layout : Layout
        Of its words.
    usual_sizes : tuple of (int, int)
        Sizes of sensors to choose from when the file says none.
    """

    def __init__(self, path: Path, layout: Layout, usual_sizes: tuple[tuple[int, int], ...]) -> None:
        self.path = path
        self.layout = layout
        self.usual_sizes = usual_sizes
        self.width: int | None = None
        self.height: int | None = None
        self.keeps_companions = False
        self.findings = Findings()
        self.n_bytes = path.stat().st_size
        self.conversions: tuple[str, ...] = ()
        self.address_space = "pixels"
        self._limit = 0
        self._state: State = np.zeros(common.N_COMMON, np.int64)
        self._position = layout.start

    @abstractmethod
    def first_state(self) -> State:
        """Give the state a decoder begins with; its first N_COMMON places are set by the caller."""

    @abstractmethod
    def decode(self, pieces: FilePieces, state: State, room: EventArray) -> int:
        """Write the events of the next words to room (PLACED_DTYPE) while it lasts; return how many."""

    @abstractmethod
    def conclude(self, state: State) -> None:
        """Add to the findings what the state tells at the end of the file."""

    @property
    def n_words(self) -> int:
        """Whole words of the file."""
        return max(0, self.n_bytes - self.layout.start) // self.layout.word_bytes

    def expect_events(self) -> int:
        """
        Say about how many events the file holds; what is too much costs no memory, since nothing is written to it.

        Returns
        -------
        int
            One per word, where a format does not know better.
        """
        return self.n_words

    def extrapolate(self, count: Callable[[npt.NDArray[Any]], int]) -> int:
        """
        Guess from a few places how many events the file holds.

        Parameters
        ----------
        count : callable
            Takes words and gives the number of their events.

        Returns
        -------
        int
            A quarter more than that, and no more than the file has bytes.
        """
        n_place = max(PLACE_BYTES // self.layout.word_bytes, self.n_words // N_PLACES // 64)
        n_looked, n_events = 0, 0
        with self.path.open("rb", buffering=0) as file:
            for first in range(0, self.n_words, max(n_place, self.n_words // N_PLACES)):
                file.seek(self.layout.start + first * self.layout.word_bytes)
                data = file.read(min(n_place, self.n_words - first) * self.layout.word_bytes)
                words = np.frombuffer(
                    data[: len(data) - len(data) % self.layout.word_bytes], self.layout.dtype
                )
                words = words.reshape(-1, self.layout.n_numbers) if self.layout.n_numbers > 1 else words
                n_looked, n_events = n_looked + len(words), n_events + count(words)
        return min(n_events * self.n_words * 5 // max(4 * n_looked, 1), self.n_bytes)

    def expect_size(self, width: int, height: int) -> None:
        """
        Say inside which sensor events have to lie for `is_clean`.

        Parameters
        ----------
        width, height : int
            Its size in pixels.
        """
        self._limit = common.find_limit(width, height)

    @property
    def is_clean(self) -> bool:
        """Whether in the last block all is well: no time fell, and every event lies inside the expected sensor."""
        inside = int(self._state[common.INSIDE]) & common.HIGH_BITS
        return self._limit != 0 and int(self._state[common.LATE]) >= 0 and inside == common.HIGH_BITS

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), good until the next.
        """
        return self._walk(self._begin(), None)

    def blocks_into(self, buffer: EventBuffer) -> Iterator[EventArray]:
        """
        Yield the events in file order, decoded straight into a buffer.

        Parameters
        ----------
        buffer : EventBuffer
            Where they come to stand; it grows where it has to.

        Yields
        ------
        ndarray
            A part of it.
        """
        return self._walk(self._begin(), buffer)

    def checkpoint(self) -> WordPlace:
        """
        Give the place behind the block handed over last.

        Returns
        -------
        WordPlace
            For `blocks_from`.
        """
        return WordPlace(self._position, self._state.copy())

    def blocks_from(self, checkpoint: WordPlace) -> Iterator[EventArray]:
        """
        Yield the events behind a place.

        Parameters
        ----------
        checkpoint : WordPlace
            The place.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), good until the next.
        """
        return self._walk(checkpoint, None)

    def _begin(self) -> WordPlace:
        state = self.first_state()
        state[common.PREVIOUS_T] = common.NEVER
        return WordPlace(self.layout.start, state)

    def _walk(self, place: WordPlace, buffer: EventBuffer | None) -> Iterator[EventArray]:
        self.findings = Findings(conversions=self.conversions, address_space=self.address_space)
        state = self._state = place.state.copy()
        state[common.LIMIT] = self._limit
        self._position = place.byte
        block = np.empty(BLOCK_EVENTS + SPARE_EVENTS if buffer is None else 0, EVENT_DTYPE)
        with self.path.open("rb", buffering=0) as file:
            pieces = FilePieces(file, self.layout, place.byte, self.n_bytes)
            while pieces.fill():
                state[common.LATE], state[common.INSIDE] = 0, -1
                room = block if buffer is None else buffer.room(SPARE_EVENTS)
                state[common.IS_USED] = buffer is not None and buffer.is_used
                n_events = self.decode(pieces, state, room.view(PLACED_DTYPE))
                self._position = pieces.position
                if n_events:
                    yield block[:n_events] if buffer is None else buffer.take(n_events)
        n_left = self.n_bytes - self._position
        if n_left > 0:
            n_unit = self.layout.unit_bytes or self.layout.word_bytes
            of_it = f"{n_left} of its {n_unit} bytes" if n_left < n_unit else f"{n_left} bytes of it"
            self.findings.truncation = (
                f"the file ends within {self.layout.unit}, with {of_it}, at byte {self._position}"
            )
        self.conclude(state)


class TriggerRoom:
    """Triggers that a decoder comes upon, on their way to the findings."""

    def __init__(self) -> None:
        self.events: StructuredArray = np.empty(TRIGGER_ROOM, TRIGGER_DTYPE)

    def keep(self, n: int, source: WordSource) -> None:
        """
        Hand over the first triggers in the room where the source keeps companions.

        Parameters
        ----------
        n : int
            How many.
        source : WordSource
            Whose findings take them.
        """
        if n and source.keeps_companions:
            source.findings.companions.add_triggers(self.events[:n].copy())
