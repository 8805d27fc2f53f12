"""
Event Stream 2 in .es files, of DVS and ATIS cameras.

A header of 20 bytes says the version, the kind of events and the sensor's size. Each event holds the time since
the one before it and x and y as 16 bits; longer times come as overflow bytes. y is counted from the bottom row.
Exposure measurements of an ATIS are counted and skipped; files of colour or generic events have no polarity
and are refused.

Source: the description published with the Event Stream format.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eventio.errors import FormatError
from eventio.formats.es import _kernels as kernels
from eventio.recording import EVENT_DTYPE, EventArray, Recording
from eventio.source import BLOCK_EVENTS, Findings

NAME = "es"
TITLE = "Event Stream (.es)"
SUFFIXES = (".es",)
START = b"Event Stream"
HEADER_BYTES = 20
DVS, ATIS = 1, 2
OTHER_KINDS = {0: "generic", 4: "colour"}
BLOCK_BYTES = BLOCK_EVENTS * kernels.EVENT_BYTES
MAX_OVERFLOWS = 1 << 28
MAX_SIDE = 65535


class EsSource:
    """
    Reader of one Event Stream file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FormatError
        The header breaks off, or names a version, kind or size that is not read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings = Findings()
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
        if not head.startswith(START) or len(head) < len(START) + 4:
            raise FormatError(f"{path}: breaks off at byte {len(head)} within the header of an Event Stream")
        version, self.kind = ".".join(str(number) for number in head[12:15]), head[15]
        if head[12] != 2:
            raise FormatError(f"{path}: bytes 12 to 14 say Event Stream {version}, and only 2 is read")
        if self.kind not in (DVS, ATIS):
            what = OTHER_KINDS.get(self.kind, "unknown")
            raise FormatError(
                f"{path}: byte 15 says kind {self.kind}, {what} events, which have no polarity; "
                "read are those of a DVS (1) and an ATIS (2)"
            )
        if len(head) < HEADER_BYTES:
            raise FormatError(f"{path}: breaks off at byte {len(head)} within the header of an Event Stream")
        self.sensor = int.from_bytes(head[16:18], "little"), int.from_bytes(head[18:20], "little")
        if 0 in self.sensor:
            raise FormatError(
                f"{path}: bytes 16 to 19 say a sensor of {self.sensor[0]}x{self.sensor[1]} pixels; correct the header"
            )
        self.width: int | None = self.sensor[0]
        self.height: int | None = self.sensor[1]
        self.usual_sizes: tuple[tuple[int, int], ...] = (self.sensor,)

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).
        """
        self.findings = Findings(conversions=("y counted from the top",))
        decode = kernels.decode_dvs if self.kind == DVS else kernels.decode_atis
        room = np.empty(BLOCK_EVENTS, EVENT_DTYPE)
        state = np.zeros(kernels.N_STATE, np.int64)
        rest, position = b"", HEADER_BYTES
        with self.path.open("rb") as file:
            file.seek(HEADER_BYTES)
            while piece := file.read(BLOCK_BYTES):
                position += len(piece)
                data = rest + piece
                n_used, n_events = decode(np.frombuffer(data, np.uint8), self.sensor[1], state, room)
                if n_events:
                    yield room[:n_events]
                rest = data[n_used:]
        if rest:
            self.findings.truncation = (
                f"the file ends within an event, with {len(rest)} of its {kernels.EVENT_BYTES} bytes, at byte "
                f"{position - len(rest)}"
            )
        self.findings.add_skipped("padding bytes", int(state[kernels.PADDING]))
        self.findings.add_skipped("exposure events", int(state[kernels.EXPOSURE]))


def matches(head: bytes) -> bool:
    """
    Say whether a file starts like this format.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    bool
        It does.
    """
    return head.startswith(START)


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file, with events of a DVS.

    Parameters
    ----------
    recording : Recording
        Times from 0 on that never step back, up to about 9 hours; a sensor of at most 65535 by 65535 pixels.

    Yields
    ------
    bytes
        The file, piece by piece.

    Raises
    ------
    FormatError
        An event does not fit.
    """
    events = recording.events
    width, height = recording.width, recording.height
    if max(width, height) > MAX_SIDE:
        raise FormatError(
            f"a {width}x{height} sensor does not fit Event Stream ({MAX_SIDE}x{MAX_SIDE} at most)"
        )
    t = events["t"]
    longest = MAX_OVERFLOWS * kernels.DVS_OVERFLOW_US
    is_bad = (t < 0) | (t > longest)
    is_bad[1:] |= np.diff(t) < 0
    if is_bad.any():
        first = int(np.flatnonzero(is_bad)[0])
        raise FormatError(
            f"event {first}: t = {t[first]} does not fit Event Stream (0..{longest} us, never stepping back); shift "
            "or sort the times"
        )
    yield START + bytes((2, 0, 0, DVS)) + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    previous_t = 0
    for start in range(0, len(events), BLOCK_EVENTS):
        block = events[start : start + BLOCK_EVENTS]
        last_t = int(block["t"][-1])
        n_overflows = (last_t - previous_t) // kernels.DVS_OVERFLOW_US
        data = np.empty(kernels.EVENT_BYTES * len(block) + n_overflows, np.uint8)
        n_bytes = kernels.encode(block, previous_t, height, data)
        previous_t = last_t
        yield data[:n_bytes].tobytes()
