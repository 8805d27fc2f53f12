"""Memory for events: that of recordings that are gone serves the next ones.

A system hands out memory in pages that it first fills with zeros, which takes as long as decoding an event file into
them. So what a dropped recording held is kept for a while, up to `MOST_KEPT_BYTES`, as other allocators do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.recording import EVENT_DTYPE, EventArray

Block = npt.NDArray[np.uint8]

LEAST_KEPT_BYTES = 1 << 22
"""Smaller arrays are left to NumPy: their memory returns to the process, not to the system."""
MOST_KEPT_BYTES = 1 << 28
"""How much memory is kept at most that no recording uses."""
HUGE_PAGE_BYTES = 1 << 21
"""Of the large pages that a system may give to large arrays; an array gets them from the first full one on."""


class _Lent:
    """What an array in kept memory stands on; with the last view of it the memory comes back."""

    def __init__(self, keeper: MemoryKeeper, block: Block, *, is_used: bool) -> None:
        self._keeper, self._block = keeper, block
        self.is_used = is_used
        self.__array_interface__: dict[str, Any] = block.__array_interface__

    def __del__(self) -> None:
        self._keeper.take_back(self._block)


class MemoryKeeper:
    """
    Gives memory, and keeps what comes back.

    Parameters
    ----------
    most_bytes : int
        How much is kept at most; the oldest is let go first.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._blocks: dict[int, Block] = {}  # changed by single operations: safe in threads and finalizers

    def give(self, n_bytes: int) -> Block:
        """
        Give memory: the smallest kept that is large enough and at most half too large, or fresh.

        Parameters
        ----------
        n_bytes : int
            How much.

        Returns
        -------
        ndarray
            uint8, shape (n_bytes,), with any content. It returns here when no array looks at it any more.
        """
        for key, block in sorted(self._blocks.copy().items(), key=lambda item: item[1].size):
            if n_bytes <= block.size <= n_bytes + n_bytes // 2 and self._blocks.pop(key, None) is not None:
                return np.asarray(_Lent(self, block, is_used=True))[:n_bytes]
        room = np.empty(n_bytes + 2 * HUGE_PAGE_BYTES, np.uint8)  # what is never written to takes no memory
        begin = -room.ctypes.data % HUGE_PAGE_BYTES
        return np.asarray(_Lent(self, room[begin : begin + n_bytes], is_used=False))

    def take_back(self, block: Block) -> None:
        """
        Keep memory that nothing looks at.

        Parameters
        ----------
        block : ndarray
            As fresh memory was made.
        """
        if block.size <= self._most_bytes:
            self._blocks[id(block)] = block
        while self.kept_bytes() > self._most_bytes:
            self._blocks.pop(next(iter(self._blocks.copy()), 0), None)

    def kept_bytes(self) -> int:
        """
        Say how much is kept.

        Returns
        -------
        int
            Bytes.
        """
        return sum(block.size for block in self._blocks.copy().values())

    def release(self) -> int:
        """
        Let go of everything.

        Returns
        -------
        int
            How many bytes were kept.
        """
        n_bytes, self._blocks = self.kept_bytes(), {}
        return n_bytes


_KEEPER = MemoryKeeper(MOST_KEPT_BYTES)


def make_room(n_events: int) -> EventArray:
    """
    Give memory for events.

    Parameters
    ----------
    n_events : int
        How many.

    Returns
    -------
    ndarray
        Of EVENT_DTYPE, shape (n_events,), with any content.
    """
    n_bytes = n_events * EVENT_DTYPE.itemsize
    if n_bytes < LEAST_KEPT_BYTES:
        return np.empty(n_events, EVENT_DTYPE)
    events: EventArray = _KEEPER.give(n_bytes).view(EVENT_DTYPE)
    return events


def was_used(events: EventArray) -> bool:
    """
    Say whether memory that `make_room` gave held something before.

    Parameters
    ----------
    events : ndarray
        Of it, or a view.

    Returns
    -------
    bool
        True if it was kept, False if it is fresh.
    """
    owner: Any = events
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, _Lent) and owner.is_used


def release_memory() -> int:
    """
    Give back to the system what is kept for the next recordings, at most 256 MiB.

    Returns
    -------
    int
        How many bytes were kept.
    """
    return _KEEPER.release()
