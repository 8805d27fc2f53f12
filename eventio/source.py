"""What every format's reader looks like to the rest of eventio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from eventio.buffer import EventBuffer
from eventio.companions import CompanionCollector
from eventio.recording import EventArray

BLOCK_EVENTS = 1 << 17
"""About how many events a source hands over at once."""
SPARE_EVENTS = 64
"""Room behind the last event that a decoder may need: it writes before it knows whether a word is an event."""


@dataclass(slots=True)
class Findings:
    """What a reader noticed besides events; complete once its blocks are exhausted."""

    truncation: str | None = None
    skipped: dict[str, int] = field(default_factory=dict)
    conversions: tuple[str, ...] = ()
    address_space: str = "pixels"
    companions: CompanionCollector = field(default_factory=CompanionCollector)

    def add_skipped(self, kind: str, n: int) -> None:
        """
        Count words that are no pixel events.

        Parameters
        ----------
        kind : str
            What they are.
        n : int
            How many more there are.
        """
        if n:
            self.skipped[kind] = self.skipped.get(kind, 0) + n

    def add_wraps(self, n: int, wrap_us: int) -> None:
        """
        Note that the file's clock overflowed and the times were continued.

        Parameters
        ----------
        n : int
            How often; 0 notes nothing.
        wrap_us : int
            What each overflow adds to the times, in microseconds.
        """
        if n:
            self.conversions += (
                f"{n} overflows of the file's clock, each adding {wrap_us} us to later times",
            )


class Source(Protocol):
    """
    One open recording: the sensor's size if the file says it, and the events block by block.

    Attributes
    ----------
    path : Path
        The file.
    width, height : int or None
        The sensor's size when the file says it.
    usual_sizes : tuple of (int, int)
        Sizes to choose from when it does not, smallest first.
    findings : Findings
        What was noticed besides events.
    """

    path: Path
    width: int | None
    height: int | None
    usual_sizes: tuple[tuple[int, int], ...]
    findings: Findings

    def blocks(self) -> Iterator[EventArray]:
        """Yield the events in file order, in arrays that are good until the next; starts anew at each call."""
        ...


@runtime_checkable
class CompanionSource(Source, Protocol):
    """
    A source of a format that can hold frames, inertial measurements, triggers or other streams.

    Attributes
    ----------
    keeps_companions : bool
        Set by who reads, before `blocks`: whether these go to `findings.companions` as they come; they are counted
        in any case.
    """

    keeps_companions: bool


@runtime_checkable
class SeekableSource(Source, Protocol):
    """A source that can go on from a place where it has been."""

    def checkpoint(self) -> Any:
        """Give the place behind the block handed over last: small, and good for this source only."""
        ...

    def blocks_from(self, checkpoint: Any) -> Iterator[EventArray]:
        """Yield the events behind a checkpoint; findings count on from there."""
        ...


@runtime_checkable
class CheckingSource(Source, Protocol):
    """
    A source that looks at its events while it decodes them, and that can write them into one buffer.

    Attributes
    ----------
    is_clean : bool
        Whether in the block handed over last no time falls, also not from the block before, and every event lies
        inside the expected sensor; False may also mean that this was not looked at.
    """

    @property
    def is_clean(self) -> bool: ...  # numpydoc ignore=GL08

    def expect_size(self, width: int, height: int) -> None:
        """Say which sensor is expected."""
        ...

    def expect_events(self) -> int:
        """Say about how many events the file holds."""
        ...

    def blocks_into(self, buffer: EventBuffer) -> Iterator[EventArray]:
        """Yield the events in file order, as consecutive parts of a buffer."""
        ...
