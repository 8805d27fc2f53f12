"""
AEDAT 4 files of iniVation cameras.

The events of the first event stream are read; frames, inertial measurements and triggers are kept as companions, and
further event streams are counted and skipped.

Source: iniVation's description of AEDAT 4.0 and its FlatBuffers definitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eventio.errors import FormatError
from eventio.formats.aedat4 import _kernels as kernels
from eventio.formats.aedat4.container import KINDS, MAGIC, MAX_PACKET_BYTES, decompress, read_header
from eventio.formats.aedat4.flatbuffers import LayoutError
from eventio.formats.aedat4.packets import count_items, read_companions, read_events
from eventio.recording import EVENT_DTYPE, MAX_SENSOR_SIDE, PLACED_DTYPE, EventArray
from eventio.source import Findings

NAME = "aedat4"
TITLE = "iniVation AEDAT 4 (.aedat4)"
SUFFIXES = (".aedat4",)
USUAL_SIZES: tuple[tuple[int, int], ...] = ((240, 180), (346, 260), (640, 480), (1280, 720))
PACKET_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class PacketPlace:
    """A place between two packets: a byte, the number of packets before it, and what was counted there."""

    byte: int
    n_packets: int
    skipped: dict[str, int]


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
        The header is damaged, or there is no stream of events, frames, measurements or triggers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.usual_sizes = USUAL_SIZES
        self.findings = Findings()
        self.keeps_companions = False
        self.width: int | None = None
        self.height: int | None = None
        self.header = read_header(path)
        self.n_bytes = path.stat().st_size
        self._place = PacketPlace(self.header.start, 0, {})
        streams = self.header.streams
        if not any(stream.kind in KINDS for stream in streams.values()):
            kinds = ", ".join(sorted({repr(stream.kind) for stream in streams.values()})) or "nothing"
            raise FormatError(
                f"{path}: holds no stream of a known kind, only {kinds}; choose another recording"
            )
        self._wanted = min((k for k, stream in streams.items() if stream.kind == "EVTS"), default=-1)
        sizes = [streams[self._wanted]] if self._wanted >= 0 else list(streams.values())
        for stream in sizes:
            if 0 < stream.width <= MAX_SENSOR_SIDE and 0 < stream.height <= MAX_SENSOR_SIDE:
                self.width, self.height = stream.width, stream.height
                break

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), good until the next.
        """
        return self.blocks_from(PacketPlace(self.header.start, 0, {}))

    def checkpoint(self) -> PacketPlace:
        """
        Give the place behind the block handed over last.

        Returns
        -------
        PacketPlace
            For `blocks_from`.
        """
        return PacketPlace(self._place.byte, self._place.n_packets, dict(self.findings.skipped))

    def blocks_from(self, checkpoint: PacketPlace) -> Iterator[EventArray]:
        """
        Yield the events behind a place.

        Parameters
        ----------
        checkpoint : PacketPlace
            The place.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,), good until the next.
        """
        self.findings = Findings(skipped=dict(checkpoint.skipped))
        room = np.empty(0, EVENT_DTYPE)
        for number, data in self._packets(checkpoint):
            try:
                packet = decompress(data, self.header.compression)
                if number != self._wanted:
                    self._note(number, packet)
                    continue
                words = read_events(packet)
            except LayoutError as error:
                self.findings.truncation = f"packet {self._place.n_packets - 1} cannot be read ({error})"
                return
            if len(words) > len(room):
                room = np.empty(len(words), EVENT_DTYPE)
            kernels.decode(words, room[: len(words)].view(PLACED_DTYPE))
            if len(words):
                yield room[: len(words)]

    def _note(self, number: int, packet: bytes) -> None:
        """Count what is no event of the first stream, and keep it where it is asked for."""
        kind = self.header.streams[number].kind
        n = count_items(kind, packet)
        name = "events of further streams" if kind == "EVTS" else KINDS.get(kind, "unknown packets")
        if self.keeps_companions and kind != "EVTS":
            read_companions(kind, packet, self.findings.companions)
        self.findings.add_skipped(name, n)

    def _packets(self, place: PacketPlace) -> Iterator[tuple[int, bytes]]:
        """Yield the number of the stream and the data of each packet, and note where the file breaks off."""
        table = self.header.table_position
        stop = table if self.header.start <= table <= self.n_bytes else self.n_bytes
        position, n_packets = place.byte, place.n_packets
        with self.path.open("rb") as file:
            file.seek(position)
            while position < stop:
                head = file.read(PACKET_HEADER_BYTES)
                number, size = (int.from_bytes(part, "little", signed=True) for part in (head[:4], head[4:]))
                if len(head) < PACKET_HEADER_BYTES or size > stop - position - PACKET_HEADER_BYTES:
                    self.findings.truncation = f"the file ends within packet {n_packets}, at byte {position}"
                    return
                if size < 0 or size > MAX_PACKET_BYTES or number not in self.header.streams:
                    self.findings.truncation = (
                        f"packet {n_packets} at byte {position} says to be of stream {number} and "
                        f"{size} bytes long"
                    )
                    return
                data = file.read(size)
                position, n_packets = position + PACKET_HEADER_BYTES + size, n_packets + 1
                self._place = PacketPlace(position, n_packets, {})
                yield number, data
        if table > self.n_bytes:
            self.findings.truncation = (
                f"the file ends at byte {self.n_bytes}, before its table at byte {table}"
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
        The file starts with the name and version of AEDAT 4.
    """
    return head.startswith(MAGIC.rstrip())
