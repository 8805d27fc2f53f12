"""
AEDAT 4 files of iniVation cameras, decoded by the `aedat` package in a process of its own (see `_child`).

Source: iniVation's description of AEDAT 4.0. The events of the first event stream are read; images, inertial
measurements, triggers and further event streams are counted and skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from eventio.errors import EventioError, FormatError, MissingPackageError
from eventio.formats.aedat4 import _child as child
from eventio.recording import EVENT_DTYPE, MAX_SENSOR_SIDE, EventArray
from eventio.source import Findings

NAME = "aedat4"
TITLE = "iniVation AEDAT 4 (.aedat4)"
SUFFIXES = (".aedat4",)
MAGIC = b"#!AER-DAT4.0"
USUAL_SIZES: tuple[tuple[int, int], ...] = ((240, 180), (346, 260), (640, 480), (1280, 720))
MAX_PACKET_EVENTS = 1 << 28
MAX_LINE_BYTES = 1 << 20


class Decoder:
    """
    A running decoder of one file.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-P", child.__file__, str(path)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.output: IO[bytes] = self._process.stdout

    def read_line(self) -> dict[str, Any] | None:
        """Read one line of JSON; None when the decoder broke down before."""
        line = self.output.readline(MAX_LINE_BYTES)
        if not line.endswith(b"\n"):
            return None
        content: dict[str, Any] = json.loads(line)
        return content

    def read_packet(self) -> bytearray | None:
        """Read the events of one packet; None at the end or when the decoder broke down."""
        n_events = int.from_bytes(self.output.read(8).ljust(8, b"\xff"), "little")
        if n_events > MAX_PACKET_EVENTS:
            return None
        data = bytearray(n_events * EVENT_DTYPE.itemsize)
        n_read = self.output.readinto(data)  # type: ignore[attr-defined]
        return data if n_read == len(data) else None

    def close(self) -> None:
        """End the decoder."""
        self.output.close()
        self._process.kill()
        self._process.wait()


class Aedat4Source:
    """
    Reader of one AEDAT 4 file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FormatError
        The header is damaged, or there is no stream of events.
    MissingPackageError
        The `aedat` package is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.usual_sizes = USUAL_SIZES
        self.findings = Findings()
        self.width: int | None = None
        self.height: int | None = None
        decoder = Decoder(path)
        weakref.finalize(self, decoder.close)
        try:
            stream = self._read_stream(decoder)
        except EventioError:
            decoder.close()
            raise
        self._ready: Decoder | None = decoder
        width, height = stream.get("width") or 0, stream.get("height") or 0
        if 0 < width <= MAX_SENSOR_SIDE and 0 < height <= MAX_SENSOR_SIDE:
            self.width, self.height = width, height

    def _read_stream(self, decoder: Decoder) -> dict[str, Any]:
        first = decoder.read_line()
        if first is not None and "missing" in first:
            raise MissingPackageError("reading AEDAT 4 needs the aedat package: pip install aedat")
        if first is None or "error" in first:
            why = "" if first is None else f" ({first['error']})"
            raise FormatError(
                f"{self.path}: the AEDAT 4 header cannot be read{why}; the file is damaged near its start, "
                "copy or export it again"
            )
        streams: dict[str, dict[str, Any]] = first["streams"]
        of_events = [int(key) for key, value in streams.items() if value["type"] == "events"]
        if not of_events:
            kinds = ", ".join(sorted({str(value["type"]) for value in streams.values()})) or "nothing"
            raise FormatError(
                f"{self.path}: holds no stream of events, only {kinds}; choose another recording"
            )
        return streams[str(min(of_events))]

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).
        """
        self.findings = Findings()
        decoder, self._ready = self._ready, None
        n_packets = 0
        try:
            if decoder is None:
                decoder = Decoder(self.path)
                self._read_stream(decoder)
            while (data := decoder.read_packet()) is not None:
                n_packets += 1
                if data:
                    yield np.frombuffer(data, EVENT_DTYPE)
            last = decoder.read_line()
        finally:
            if decoder is not None:
                decoder.close()
        self._conclude(last, n_packets)

    def _conclude(self, last: dict[str, Any] | None, n_packets: int) -> None:
        if last is None:
            self.findings.truncation = f"the decoder breaks down after {n_packets} packets of events"
            return
        if last["error"] is not None:
            self.findings.truncation = f"packet {last['n_packets']} cannot be read ({last['error']})"
        for kind, n in last["skipped"].items():
            self.findings.add_skipped(kind, n)


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
        The file starts with the name and version of AEDAT 4.
    """
    return head.startswith(MAGIC)
