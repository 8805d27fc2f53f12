"""What a recording holds, counted chunk by chunk."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import eventio
from eventio.statistics import Statistics, sparkline
from spikeloom.console import short_number, short_time
from spikeloom.recordings import CHUNK_EVENTS

FOREVER_AGO_US = -(1 << 62)
NO_EVENT = "there is no pixel event; what lies beside, eventio.open(path).read_companions() gives"


@dataclass(frozen=True)
class Facts:
    """What a recording holds.

    Attributes
    ----------
    format : str
        Name of the file format.
    width, height : int
        Size of the sensor in pixels.
    is_size_derived : bool
        The file does not say the size; it is the smallest usual one that holds all events.
    events, on, off : int
        Events in all, with rising and with falling brightness.
    t_first_us, t_last_us : int
        Times of the first and the last event in file order.
    warnings : tuple of str
        One sentence for each kind of damage.
    rate_hz : float
        Events per second from the first to the last.
    bin_us : int
        Length of a bin of `events_over_time` in microseconds.
    events_over_time : tuple of int
        Events in each bin from the first event on, at most 64.
    busiest_pixels : tuple of (int, int, int)
        Column, row and events of the busiest pixels, most first.
    silent_pixels : float
        Share of the pixels without an event, 0 to 1.
    duplicates : int
        Events that equal the one before them in everything.
    skipped : dict of str to int
        Words of the file that are no pixel events, by kind.
    conversions : tuple of str
        What was done to the file's numbers to fit eventio's conventions.
    oddities : tuple of str
        One sentence for each thing that is unusual though not damaged.
    """

    format: str
    width: int
    height: int
    is_size_derived: bool
    events: int
    on: int
    off: int
    t_first_us: int
    t_last_us: int
    warnings: tuple[str, ...]
    rate_hz: float
    bin_us: int
    events_over_time: tuple[int, ...]
    busiest_pixels: tuple[tuple[int, int, int], ...]
    silent_pixels: float
    duplicates: int
    skipped: dict[str, int]
    conversions: tuple[str, ...]
    oddities: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the facts as plain values under the keys of `spikeloom info --json`.

        Returns
        -------
        dict
            One key per attribute but `is_size_derived`.
        """
        facts = asdict(self)
        del facts["is_size_derived"]
        facts["busiest_pixels"] = [{"x": x, "y": y, "events": n} for x, y, n in self.busiest_pixels]
        return facts | {
            name: list(getattr(self, name))
            for name in ("warnings", "events_over_time", "conversions", "oddities")
        }

    def rows(self) -> list[tuple[str, str]]:
        """Give the facts as names and values for a table.

        Returns
        -------
        list of (str, str)
            Rows of a table.
        """
        derived = "  (derived from the events)" if self.is_size_derived else ""
        rows = [
            ("format", self.format),
            ("sensor", f"{self.width} x {self.height}{derived}"),
            ("events", f"{self.events:,}  ({self.on:,} on, {self.off:,} off)"),
        ]
        if self.events:
            rows += self._rows_of_events()
        if self.skipped:
            rows.append(("beside", ", ".join(f"{kind}: {n:,}" for kind, n in self.skipped.items())))
        if self.conversions:
            rows.append(("converted", "\n".join(self.conversions)))
        rows.append(("warnings", "\n".join((*self.warnings, *self.oddities)) or "none"))
        return rows

    def _rows_of_events(self) -> list[tuple[str, str]]:
        duration_s = (self.t_last_us - self.t_first_us) / 1e6
        pixels = ", ".join(f"({x}, {y}): {n:,}" for x, y, n in self.busiest_pixels)
        return [
            ("time", f"{self.t_first_us:,} to {self.t_last_us:,} us  ({duration_s:.6g} s)"),
            ("rate", f"{short_number(self.rate_hz)} events per second"),
            ("over time", f"[{sparkline(self.events_over_time)}]  {short_time(self.bin_us / 1e6)} each"),
            ("busiest pixels", f"{pixels}; {self.silent_pixels:.1%} of the pixels are silent"),
        ]


def inspect_recording(path: str | Path, *, format_name: str | None = None) -> Facts:
    """Count what a recording holds without holding it in memory.

    Parameters
    ----------
    path : str or Path
        The recording; when it is damaged, the part before the damage counts.
    format_name : str, optional
        Its format, where the content does not tell.

    Returns
    -------
    Facts
        What it holds and what is wrong with it.

    Raises
    ------
    eventio.EventioError
        When the file is missing, foreign, or holds nothing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        with eventio.open(path, format=format_name) as reader:
            found = Statistics(width=int(reader.width), height=int(reader.height))
            for chunk in reader.chunks(n_events=CHUNK_EVENTS, start_us=FOREVER_AGO_US):
                found.add(chunk)
            metadata = reader.metadata
            if not found.n_events and not metadata.skipped:
                next(reader.chunks())  # says why this is no recording
            bin_us, over_time = found.events_over_time
            return Facts(
                format=reader.format,
                width=found.width,
                height=found.height,
                is_size_derived=reader.is_size_derived,
                events=found.n_events,
                on=found.n_on,
                off=found.n_events - found.n_on,
                t_first_us=found.first_us,
                t_last_us=found.last_us,
                warnings=tuple(reader.warnings),
                rate_hz=found.rate_hz,
                bin_us=bin_us,
                events_over_time=tuple(int(n) for n in over_time),
                busiest_pixels=tuple(found.busiest_pixels()),
                silent_pixels=float(1 - found.counts.any(axis=0).mean()),
                duplicates=found.n_duplicates,
                skipped=dict(metadata.skipped),
                conversions=metadata.conversions,
                oddities=found.find_oddities() if found.n_events else (NO_EVENT,),
            )
