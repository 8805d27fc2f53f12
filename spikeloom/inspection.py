"""What a recording holds, counted chunk by chunk."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import eventio
from spikeloom.recordings import CHUNK_EVENTS


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

    def to_json(self) -> dict[str, Any]:
        """Give the facts as plain values under the keys of `spikeloom info --json`.

        Returns
        -------
        dict
            One key per attribute but `is_size_derived`.
        """
        facts = asdict(self) | {"warnings": list(self.warnings)}
        del facts["is_size_derived"]
        return facts

    def rows(self) -> list[tuple[str, str]]:
        """Give the facts as names and values for a table.

        Returns
        -------
        list of (str, str)
            Rows of a table.
        """
        derived = "  (derived from the events)" if self.is_size_derived else ""
        duration_s = (self.t_last_us - self.t_first_us) / 1e6
        return [
            ("format", self.format),
            ("sensor", f"{self.width} x {self.height}{derived}"),
            ("events", f"{self.events:,}  ({self.on:,} on, {self.off:,} off)"),
            ("time", f"{self.t_first_us:,} to {self.t_last_us:,} us  ({duration_s:.6g} s)"),
            ("warnings", "\n".join(self.warnings) or "none"),
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
        When the file is missing, foreign, or holds no event.
    """
    n_events = n_on = first_us = last_us = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
        with eventio.open(path, format=format_name) as reader:
            for chunk in reader.chunks(n_events=CHUNK_EVENTS):
                first_us = first_us if n_events else int(chunk["t"][0])
                last_us = int(chunk["t"][-1])
                n_events += len(chunk)
                n_on += int(np.count_nonzero(chunk["p"]))
            return Facts(
                format=reader.format,
                width=int(reader.width),
                height=int(reader.height),
                is_size_derived=reader.is_size_derived,
                events=n_events,
                on=n_on,
                off=n_events - n_on,
                t_first_us=first_us,
                t_last_us=last_us,
                warnings=tuple(reader.warnings),
            )
