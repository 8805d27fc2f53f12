"""What the readers of files of binary words share: pieces of the file, a state that a decoder carries, and places."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels as common
from eventio.companions import TRIGGER_DTYPE, StructuredArray
from eventio.recording import EVENT_DTYPE, PLACED_DTYPE, EventArray
from eventio.source import BLOCK_EVENTS, SPARE_EVENTS, Findings

State = npt.NDArray[np.int64]
PIECE_BYTES = 1 << 18
"""How much of a file is read at once: it is still in the processor's cache when it is decoded."""
TRIGGER_ROOM = 4096


@dataclass(frozen=True, slots=True)
class Layout:
    """
    How a file is made of words.

    Attributes
    ----------
    start : int
        Byte at which the words begin.
    dtype : str
        NumPy's name of a number of the file.
    n_numbers : int
        Numbers in a word.
    unit : str
        What to call what the file may break off in, with its article.
    unit_bytes : int
        Its size.
    """

    start: int
    dtype: str
    n_numbers: int = 1
    unit: str = "a word"
    unit_bytes: int = 0

    @property
    def word_bytes(self) -> int:
        """Size of a word."""
        return np.dtype(self.dtype).itemsize * self.n_numbers


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
    def decode(self, words: npt.NDArray[Any], state: State, room: EventArray) -> tuple[int, int]:
        """Write the events of words to room (PLACED_DTYPE) while it lasts; return words used and events written."""

    @abstractmethod
    def conclude(self, state: State) -> None:
        """Add to the findings what the state tells at the end of the file."""

    def count_at_most(self) -> int:
        """
        Say how many events the file can hold at most.

        Returns
        -------
        int
            One per word, where a format does not know better.
        """
        return max(0, self.n_bytes - self.layout.start) // self.layout.word_bytes

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

    def blocks_into(self, room: EventArray) -> Iterator[EventArray]:
        """
        Yield the events in file order, as consecutive parts of an array.

        Parameters
        ----------
        room : ndarray
            Of EVENT_DTYPE, of at least `count_at_most` and SPARE_EVENTS more.

        Yields
        ------
        ndarray
            A part of room.
        """
        return self._walk(self._begin(), room)

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

    def _walk(self, place: WordPlace, given: EventArray | None) -> Iterator[EventArray]:
        self.findings = Findings(conversions=self.conversions, address_space=self.address_space)
        state = self._state = place.state.copy()
        state[common.LIMIT] = self._limit
        events = np.empty(BLOCK_EVENTS + SPARE_EVENTS, EVENT_DTYPE) if given is None else given
        room, n_given = events.view(PLACED_DTYPE), 0
        for position, words in self._pieces(place.byte):
            n_used = 0
            while n_used < len(words):
                state[common.LATE], state[common.INSIDE] = 0, -1
                n_more, n_events = self.decode(words[n_used:], state, room[n_given:])
                n_used += n_more
                self._position = position + n_used * self.layout.word_bytes
                if n_events:
                    yield events[n_given : n_given + n_events]
                n_given += n_events if given is not None else 0
                if not n_more:
                    break
        n_left = self.n_bytes - self._position
        if n_left > 0:
            n_unit = self.layout.unit_bytes or self.layout.word_bytes
            of_it = f"{n_left} of its {n_unit} bytes" if n_left < n_unit else f"{n_left} bytes of it"
            self.findings.truncation = (
                f"the file ends within {self.layout.unit}, with {of_it}, at byte {self._position}"
            )
        self.conclude(state)

    def _pieces(self, start: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield whole words and the byte where they begin; what `_position` leaves of them comes again."""
        layout = self.layout
        buffer = np.empty(PIECE_BYTES // layout.word_bytes * layout.word_bytes, np.uint8)
        memory = memoryview(buffer.data)
        numbers = buffer.view(layout.dtype)
        words = numbers if layout.n_numbers == 1 else numbers.reshape(-1, layout.n_numbers)
        self._position = position = start
        n_left = 0
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            while True:
                n_wanted = min(len(buffer), self.n_bytes - position) - n_left
                n_read = file.readinto(memory[n_left : n_left + n_wanted]) if n_wanted > 0 else 0
                if not n_read:
                    return
                n_filled = n_left + n_read
                yield position, words[: n_filled // layout.word_bytes]
                n_done = self._position - position
                n_left = n_filled - n_done
                buffer[:n_left] = buffer[n_done:n_filled].copy()
                position = self._position

    def whole_words(self) -> Iterator[npt.NDArray[Any]]:
        """
        Yield the words of the file piece by piece.

        Yields
        ------
        ndarray
            Numbers as the layout says, good until the next.
        """
        for position, words in self._pieces(self.layout.start):
            self._position = position + len(words) * self.layout.word_bytes
            yield words


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
