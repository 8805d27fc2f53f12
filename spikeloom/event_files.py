"""Events from file to file, chunk by chunk: what `spikeloom events convert` and `events denoise` do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import eventio
from eventio import denoising
from eventio.companions import Companions, moved
from eventio.recording import EventArray
from eventio.spooling import Spool
from eventio.writing import choose_format
from spikeloom.errors import UserError
from spikeloom.storage import require_writable

Advance = Callable[[int, int | None, str], None]

CHUNK_EVENTS = 1 << 18
FAR_US = 1 << 62


@dataclass(frozen=True)
class Passage:
    """From where to where, and what on the way.

    Attributes
    ----------
    source, target : Path
        The recording that is read, and the file that is written.
    format, to_format : str, optional
        Their formats, where content and ending do not tell.
    size : tuple of (int or None, int or None)
        Width and height of the sensor, where the file does not tell.
    start_us, stop_us : int
        Events and companions with start_us <= t < stop_us pass.
    filters : tuple of eventio.denoising.Filter
        What the events pass through, one after the other.
    is_from_zero : bool
        Whether all times, those of companions too, are moved so that the first event passes at 0.

    Raises
    ------
    UserError
        The part ends before it starts.
    """

    source: Path
    target: Path
    format: str | None = None
    to_format: str | None = None
    size: tuple[int | None, int | None] = (None, None)
    start_us: int = -FAR_US
    stop_us: int = FAR_US
    filters: tuple[denoising.Filter, ...] = ()
    is_from_zero: bool = False

    def __post_init__(self) -> None:
        if self.stop_us <= self.start_us:
            raise UserError(
                f"the part to keep is from {self.start_us:,} to {self.stop_us:,} us; give a stop after the start"
            )


@dataclass(frozen=True)
class Passed:
    """What came of it.

    Attributes
    ----------
    n_read, n_written : int
        Events.
    n_removed : tuple of int
        Events that each filter took away.
    size : tuple of (int, int)
        Width and height of the sensor.
    metadata : eventio.Metadata
        Of the recording that was read.
    carried, left_behind : dict of str to int
        What the file holds besides events and what of it was written, by kind.
    """

    n_read: int
    n_written: int
    n_removed: tuple[int, ...]
    size: tuple[int, int]
    metadata: eventio.Metadata
    carried: dict[str, int] = field(default_factory=dict)
    left_behind: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the figures as plain values."""
        return {
            "read": self.n_read,
            "written": self.n_written,
            "from": self.metadata.format,
            "carried": self.carried,
            "left_behind": self.left_behind,
            "conversions": list(self.metadata.conversions),
            "warnings": list(self.metadata.warnings),
        }

    def rows(self) -> list[tuple[str, str]]:
        """Give the figures as names and values for a table."""
        rows = [("read", f"{self.n_read:,}"), ("written", f"{self.n_written:,}")]
        for name, counts in (("carried along", self.carried), ("left behind", self.left_behind)):
            rows.append((name, ", ".join(f"{kind}: {n:,}" for kind, n in counts.items()) or "nothing"))
        return rows


def pass_on(passage: Passage, *, on_progress: Advance | None = None) -> Passed:
    """Read a recording chunk by chunk and write what is left of it.

    Memory does not grow with the number of events, which wait in a nameless file beside the target (13 bytes each);
    companions that the target can hold do lie in memory, and so does all of an HDF5 or MATLAB file that is written.
    The target appears whole or not at all.

    Parameters
    ----------
    passage : Passage
        From where to where, and what on the way.
    on_progress : callable, optional
        Called with (events so far, None, what is being done).

    Returns
    -------
    Passed
        What came of it.

    Raises
    ------
    UserError
        The part to keep holds nothing, the filters leave nothing, or the target cannot be written.
    eventio.EventioError
        The recording cannot be read, holds no such event, or the target's format cannot hold it.
    """
    row = choose_format(passage.target, passage.to_format)  # before anything is read
    require_writable(passage.target)
    follow = on_progress or (lambda n_done, n_all, now: None)
    with (
        eventio.open(
            passage.source, format=passage.format, width=passage.size[0], height=passage.size[1]
        ) as reader,
        Spool(passage.target.parent) as spool,
    ):
        chain = Chain(passage, reader, follow)
        first_us = None
        for events in chain.run(chain.filters, "reading"):
            if passage.is_from_zero and len(events):
                first_us = int(events["t"][0]) if first_us is None else first_us
                spool.append(moved(events, -first_us))
            else:
                spool.append(events)
        metadata = reader.metadata
        companions = reader.read_companions() if row.carries else Companions()
        is_told = bool(companions)
        companions = companions.between(passage.start_us, passage.stop_us)
        if not chain.n_in_part and not companions:
            raise UserError(
                f"{passage.source}: none of its {chain.n_read:,} events lies in the part to keep, "
                f"{_part(passage)}; they are from {chain.first_us:,} to {chain.last_us:,} us"
            )
        if passage.filters and not spool.n_events:
            raise UserError(
                f"the filters leave none of the {chain.n_read:,} events; use a longer window or fewer neighbours"
            )
        companions = companions.moved(-first_us) if first_us else companions
        follow(spool.n_events, None, "writing")
        recording = eventio.Recording(
            spool.finish(), reader.width, reader.height, metadata=metadata, companions=companions
        )
        try:
            eventio.write(passage.target, recording, format=passage.to_format)
        except eventio.FormatError as error:
            raise UserError(f"{error}{_remedy(passage, recording, str(error))}") from error
    carried = {kind: n for kind, n in companions.counts.items() if kind in row.carries}
    others = companions.counts if is_told else dict(metadata.skipped)
    left = {kind: n for kind, n in others.items() if n and kind not in carried}
    size = reader.width, reader.height
    return Passed(chain.n_read, spool.n_events, tuple(chain.n_removed), size, metadata, carried, left)


class Chain:
    """The way of the events of one reader through the filters.

    Parameters
    ----------
    passage : Passage
        Which events pass, and the filters.
    reader : eventio.Reader
        Where they come from.
    follow : callable
        Told of the progress.
    """

    def __init__(self, passage: Passage, reader: eventio.Reader, follow: Advance) -> None:
        self._passage = passage
        self._reader = reader
        self._follow = follow
        self.n_read = self.n_in_part = 0
        self.first_us, self.last_us = FAR_US, -FAR_US
        self.n_removed: list[int] = []
        self.filters: list[denoising.Filter] = []
        for each in passage.filters:
            if isinstance(each, denoising.HotPixels) and each.is_hot is None:
                counts = np.zeros(reader.height * reader.width, np.int64)
                for events in self.run(self.filters, "measuring hot pixels"):
                    place = events["y"].astype(np.int64) * reader.width + events["x"]
                    counts += np.bincount(place, minlength=counts.size)
                self.filters.append(each.measured(counts.reshape(reader.height, reader.width)))
            else:
                self.filters.append(each)

    def run(self, filters: Sequence[denoising.Filter], what: str) -> Iterator[EventArray]:
        """Read all events once and let them pass.

        Parameters
        ----------
        filters : sequence of eventio.denoising.Filter
            Begun anew.
        what : str
            What is being done, for the progress.

        Yields
        ------
        structured array
            What is left of each chunk.
        """
        markers = [each.begin(self._reader.width, self._reader.height) for each in filters]
        self.n_read, self.n_in_part, self.n_removed = 0, 0, [0] * len(markers)
        start_us, stop_us = self._passage.start_us, self._passage.stop_us
        for chunk in self._reader.chunks(n_events=CHUNK_EVENTS):
            self.n_read += len(chunk)
            self._follow(self.n_read, None, what)
            self.first_us = min(self.first_us, int(chunk["t"].min()))
            self.last_us = max(self.last_us, int(chunk["t"].max()))
            events = chunk
            if start_us > -FAR_US or stop_us < FAR_US:
                events = events[(events["t"] >= start_us) & (events["t"] < stop_us)]
            self.n_in_part += len(events)
            for position, mark in enumerate(markers):
                stays = mark(events)
                self.n_removed[position] += len(events) - int(stays.sum())
                events = events[stays]
            yield events


def _part(passage: Passage) -> str:
    """Say which part is kept."""
    since = f"from {passage.start_us:,} us" if passage.start_us > -FAR_US else "up"
    return since + (f" to {passage.stop_us:,} us" if passage.stop_us < FAR_US else " on")


def _remedy(passage: Passage, recording: eventio.Recording, what: str) -> str:
    """Name the option that helps where it is times that do not fit and they count from another origin."""
    if " t = " not in what:
        return ""
    is_late = len(recording) and not 0 <= int(recording.t[0]) < 1 << 31
    return "; --from-zero moves the first event to 0" if is_late and not passage.is_from_zero else ""
