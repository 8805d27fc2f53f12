"""
AEDAT 3.1 in .aedat files: lines of text, then packets of events of one kind each, lowest byte first.

A packet says the kind and size of its events, how often the 31 bits of its clock overflowed, and how many events
follow. Pixels are counted from the top-left one.

Source: the public descriptions of AEDAT 3.1 and of libcaer's events.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from eventio.errors import FormatError
from eventio.formats.aedat3 import _kernels as kernels
from eventio.formats.aedat3.companions import FRAME, FRAME_HEAD_BYTES, KINDS, POLARITY, SIZES, keep
from eventio.recording import EVENT_DTYPE, PLACED_DTYPE, EventArray, Recording
from eventio.source import Findings
from eventio.word_writing import Limits, check_size, check_times

NAME = "aedat3"
TITLE = "AEDAT 3.1 (.aedat)"
SUFFIXES = (".aedat",)
START = b"#!AER-DAT3"
END_OF_HEADER = b"#!END-HEADER"
MAX_HEADER_BYTES, MAX_LINE_BYTES = 1 << 20, 1 << 16
PACKET_HEAD = struct.Struct("<hhiiiiii")
MAX_PACKET_BYTES = 1 << 28
PACKET_EVENTS = 1 << 13
OVERFLOW_US = 1 << 31
MAX_TIME_US = (1 << 62) - 1
USUAL_SIZES: tuple[tuple[int, int], ...] = ((128, 128), (240, 180), (346, 260), (640, 480), (1280, 720))
SOURCES = (("dvs128", 0), ("davis128", 0), ("davis208", 1), ("davis240", 1), ("davis346", 2), ("davis640", 3))
LIMITS = Limits("AEDAT 3.1", 1 << 15, MAX_TIME_US, "times from 0 on; shift the times")


class Aedat3Source:
    """
    Reader of one AEDAT 3.1 file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FormatError
        It is of another version, or compressed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings = Findings()
        self.keeps_companions = False
        self.usual_sizes = USUAL_SIZES
        self.width: int | None = None
        self.height: int | None = None
        self.n_bytes = path.stat().st_size
        self.start, lines = read_header(path)
        if not lines[0].startswith("!AER-DAT3.1"):
            raise FormatError(f"{path}: says {lines[0][:20]!r}, and of AEDAT 3 only 3.1 is read")
        for line in lines:
            key, _, value = line.partition(":")
            value = value.strip().lower()
            if key.strip().lower() == "format" and value != "raw":
                raise FormatError(f"{path}: its packets are of format {value[:20]!r}, and only 'RAW' is read")
            if key.strip().lower().startswith("source"):
                for name, number in SOURCES:
                    if name in value.split(",")[0]:
                        self.width, self.height = USUAL_SIZES[number]

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), good until the next.
        """
        self.findings = Findings()
        room = np.empty(PACKET_EVENTS, EVENT_DTYPE)
        with self.path.open("rb") as file:
            file.seek(self.start)
            position = self.start
            while (packet := self._read_packet(file, position)) is not None:
                kind, event_bytes, base_us, data = packet
                position += PACKET_HEAD.size + len(data)
                if not (n := len(data) // event_bytes):
                    continue
                if kind != POLARITY:
                    self.findings.add_skipped(KINDS.get(kind, "unknown events"), n)
                    if self.keeps_companions and kind in KINDS:
                        keep(kind, data, event_bytes, base_us, self.findings.companions)
                    continue
                if n >= len(room):
                    room = np.empty(n + 1, EVENT_DTYPE)
                numbers = np.frombuffer(data, "<u4").reshape(n, -1)[:, :2]
                n_valid = int(kernels.decode(np.ascontiguousarray(numbers), base_us, room.view(PLACED_DTYPE)))
                self.findings.add_skipped(KINDS[POLARITY], n - n_valid)
                if n_valid:
                    yield room[:n_valid]

    def _read_packet(self, file: BinaryIO, position: int) -> tuple[int, int, int, bytes] | None:
        """Give kind and size of events, what is added to times, and the events; None at the end, noting damage."""
        head = file.read(PACKET_HEAD.size)
        if not head:
            return None
        if len(head) == PACKET_HEAD.size:
            kind, _, event_bytes, _, overflows, _, n, _ = PACKET_HEAD.unpack(head)
            least = FRAME_HEAD_BYTES if kind == FRAME else SIZES.get(kind, 1)
            if event_bytes < least or event_bytes % 4 or n < 0 or not 0 <= overflows < OVERFLOW_US // 2:
                self.findings.truncation = (
                    f"the packet at byte {position} says to have {n} events of kind {kind} and {event_bytes} bytes, "
                    f"after {overflows} overflows"
                )
                return None
            left = self.n_bytes - position - PACKET_HEAD.size
            if event_bytes * n <= min(left, MAX_PACKET_BYTES):
                return kind, event_bytes, overflows * OVERFLOW_US, file.read(event_bytes * n)
        self.findings.truncation = f"the file ends within the packet at byte {position}"
        return None


def read_header(path: Path) -> tuple[int, list[str]]:
    """
    Read the lines before the packets.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tuple of (int, list of str)
        The byte at which the packets begin, and the lines without "#".

    Raises
    ------
    FormatError
        They do not end.
    """
    lines: list[str] = []
    n_bytes = 0
    with path.open("rb") as file:
        while n_bytes < MAX_HEADER_BYTES:
            line = file.readline(MAX_LINE_BYTES)
            n_bytes += len(line)
            if not line.startswith(b"#") or not line.endswith(b"\n"):
                break
            lines.append(line[1:].decode("latin-1").strip())
            if line.startswith(END_OF_HEADER):
                return n_bytes, lines
    raise FormatError(
        f"{path}: the header (AEDAT 3) does not end with {END_OF_HEADER.decode()!r}; copy the file again"
    )


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
        The first line names AEDAT 3.
    """
    return head.startswith(START)


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file; companions are not written.

    Parameters
    ----------
    recording : Recording
        Times from 0 on, a sensor of at most 32768 by 32768 pixels.

    Yields
    ------
    bytes
        The file, piece by piece.

    Raises
    ------
    FormatError
        An event does not fit.
    """
    check_size(recording, LIMITS)
    size = recording.width, recording.height
    names = {USUAL_SIZES[number]: name for name, number in reversed(SOURCES)}
    lines = ("#!AER-DAT3.1", "#Format: RAW", f"#Source 0: {names.get(size, 'dvs').upper()}", "#!END-HEADER")
    yield "".join(f"{line}\r\n" for line in lines).encode()
    placed = recording.events.view(PLACED_DTYPE)
    for start in range(0, len(placed), PACKET_EVENTS):
        block = placed[start : start + PACKET_EVENTS]
        check_times(block, LIMITS, start)
        overflows = block["t"] >> 31
        edges = np.flatnonzero(np.diff(overflows)) + 1
        for part in np.split(block, edges) if len(edges) else [block]:
            words = np.empty((len(part), 2), np.dtype("<u4"))
            kernels.encode(part, words)
            n = len(part)
            yield PACKET_HEAD.pack(POLARITY, 0, 8, 4, int(part["t"][0]) >> 31, n, n, n) + words.tobytes()
