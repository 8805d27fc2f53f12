"""Writing AEDAT 4: events, and frames, inertial measurements and triggers where a recording has them."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventio.companions import Frame, StructuredArray
from eventio.errors import FormatError, MissingPackageError
from eventio.formats.aedat4 import _kernels as kernels
from eventio.formats.aedat4.container import LZ4, MAGIC, NONE, ZSTD
from eventio.formats.aedat4.flatbuffers import pack_root, pack_tables
from eventio.formats.aedat4.packets import BGR, BGRA, EVENT_BYTES, GREY
from eventio.recording import PLACED_DTYPE, EventArray, Recording

COMPRESSIONS = {"none": NONE, "lz4": LZ4, "zstd": ZSTD}
MAX_SIDE = 32767
PACKET_EVENTS = 1 << 15
PACKET_ITEMS = 256
EVENTS_HEAD = struct.Struct("<II4s2x3HiII")
"""Size, place of the root, mark, list of fields, and table of a packet of events, up to the number of its structs."""
STREAMS = (
    ("EVTS", "events", "Array of events (polarity ON/OFF)."),
    ("FRME", "frames", "Standard frame (8-bit image)."),
    ("IMUS", "imu", "Inertial Measurement Unit data samples."),
    ("TRIG", "triggers", "External triggers and special signals."),
)


@dataclass(frozen=True, slots=True)
class Packet:
    """
    One packet to be written.

    Attributes
    ----------
    stream : int
        Its stream.
    n_items : int
        How many events, measurements or triggers, or 1 frame, it holds.
    start_us, stop_us : int
        Times of the first and the last.
    n_bytes : int
        Its size.
    make : callable
        Gives its bytes.
    """

    stream: int
    n_items: int
    start_us: int
    stop_us: int
    n_bytes: int
    make: Callable[[], bytes]


def encode(recording: Recording, *, compression: str = "lz4") -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        With its frames (uint8), inertial measurements and triggers; a sensor of at most 32767 by 32767 pixels.
    compression : str
        "none", "lz4" or "zstd".

    Yields
    ------
    bytes
        The file, piece by piece.

    Raises
    ------
    FormatError
        The sensor or a frame does not fit.
    MissingPackageError
        The package for this compression is not installed.
    """
    if max(recording.width, recording.height) > MAX_SIDE:
        raise FormatError(
            f"a {recording.width}x{recording.height} sensor does not fit AEDAT 4 ({MAX_SIDE}x{MAX_SIDE} at most)"
        )
    compress = find_compressor(compression)
    packets = [*event_packets(recording.events), *companion_packets(recording)]
    packets.sort(key=lambda packet: packet.start_us)
    if compress is not None:
        packets = [compressed(packet, compress) for packet in packets]
    text = describe_streams(recording, compression)
    header = make_header(COMPRESSIONS[compression], 0, text)
    start = len(MAGIC) + len(header)
    table_position = start + sum(8 + packet.n_bytes for packet in packets)
    yield MAGIC + make_header(COMPRESSIONS[compression], table_position, text)
    for packet in packets:
        yield struct.pack("<ii", packet.stream, packet.n_bytes)
        yield packet.make()
    table = make_table(packets, start)
    yield table if compress is None else compress(table)


def find_compressor(compression: str) -> Callable[[bytes], bytes] | None:
    """
    Find the function that compresses.

    Parameters
    ----------
    compression : str
        "none", "lz4" or "zstd".

    Returns
    -------
    callable or None
        From bytes to bytes.

    Raises
    ------
    MissingPackageError
        The package is not installed.
    """
    if compression == "none":
        return None
    try:
        if compression == "lz4":
            from lz4.frame import compress
        elif sys.version_info >= (3, 14):
            from compression.zstd import compress
        else:
            from backports.zstd import compress
    except ImportError as error:
        raise MissingPackageError(
            "writing compressed AEDAT 4 needs two packages: pip install lz4 backports.zstd; or say "
            "format='aedat4-none'"
        ) from error
    return compress  # type: ignore[no-any-return]


def compressed(packet: Packet, compress: Callable[[bytes], bytes]) -> Packet:
    """
    Compress a packet.

    Parameters
    ----------
    packet : Packet
        As it is.
    compress : callable
        From bytes to bytes.

    Returns
    -------
    Packet
        The same, holding its bytes.
    """
    data = compress(packet.make())
    return Packet(packet.stream, packet.n_items, packet.start_us, packet.stop_us, len(data), lambda: data)


def event_packets(events: EventArray) -> Iterator[Packet]:
    """
    Cut events into packets.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,).

    Yields
    ------
    Packet
        Whose bytes are made when asked for.
    """
    for start in range(0, len(events), PACKET_EVENTS):
        block = events[start : start + PACKET_EVENTS]
        first, last = int(block["t"][0]), int(block["t"][-1])
        n_bytes = EVENTS_HEAD.size + EVENT_BYTES * len(block)
        yield Packet(0, len(block), first, last, n_bytes, lambda block=block: pack_events(block))  # type: ignore[misc]


def pack_events(events: EventArray) -> bytes:
    """
    Make a packet of events.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n,).

    Returns
    -------
    bytes
        The packet.
    """
    n = len(events)
    data = np.empty(EVENTS_HEAD.size + EVENT_BYTES * n, np.uint8)
    head = EVENTS_HEAD.pack(len(data) - 4, 16, b"EVTS", 6, 8, 4, 6, 4, n)
    data[: EVENTS_HEAD.size] = np.frombuffer(head, np.uint8)
    kernels.encode(events.view(PLACED_DTYPE), data[EVENTS_HEAD.size :].view("<u8").reshape(-1, 2))
    return data.data  # type: ignore[return-value]


def companion_packets(recording: Recording) -> Iterator[Packet]:
    """
    Make packets of all companions.

    Parameters
    ----------
    recording : Recording
        With companions or without.

    Yields
    ------
    Packet
        Holding its bytes.
    """
    for i, frame in enumerate(recording.frames):
        data = pack_frame(frame, i)
        yield Packet(1, 1, frame.t_us, frame.t_us, len(data), lambda data=data: data)  # type: ignore[misc]
    for stream, items, pack in (
        (2, recording.imu, pack_measurements),
        (3, recording.triggers, pack_triggers),
    ):
        for start in range(0, len(items), PACKET_ITEMS):
            part = items[start : start + PACKET_ITEMS]
            data = pack(part)
            first, last = int(part["t"][0]), int(part["t"][-1])
            yield Packet(stream, len(part), first, last, len(data), lambda data=data: data)  # type: ignore[misc]


def pack_frame(frame: Frame, number: int) -> bytes:
    """
    Make a packet of a frame.

    Parameters
    ----------
    frame : Frame
        Of uint8.
    number : int
        Its number, for messages.

    Returns
    -------
    bytes
        The packet.

    Raises
    ------
    FormatError
        The image is no uint8 of 1, 3 or 4 channels.
    """
    image = frame.image
    shape = image.shape if image.ndim == 3 else (*image.shape, 1)
    kind = {1: GREY, 3: BGR, 4: BGRA}.get(shape[-1]) if len(shape) == 3 else None
    if kind is None or image.dtype != np.uint8 or max(shape) > MAX_SIDE:
        raise FormatError(
            f"frame {number} is of {image.dtype}, shape {image.shape}; AEDAT 4 holds uint8 of shape (height, width), "
            "or with 3 or 4 channels: convert the images (those of AEDAT 2 have 10 bits)"
        )
    start, stop = frame.exposure_us or (frame.t_us, frame.t_us)
    times = [("q", t) for t in (frame.t_us, start, stop, start, stop)]
    sides = [("h", side) for side in (shape[1], shape[0], *frame.origin)]
    pixels = struct.pack("<I", image.size) + image.tobytes()
    return pack_root(b"FRME", [*times, ("b", kind), *sides, ("I", 0)], [pixels])


def pack_measurements(measurements: StructuredArray) -> bytes:
    """
    Make a packet of inertial measurements.

    Parameters
    ----------
    measurements : ndarray
        Of IMU_DTYPE.

    Returns
    -------
    bytes
        The packet.
    """
    tables = []
    for row in measurements:
        numbers = [row["temperature_c"], *row["acceleration_g"], *row["rotation_deg_s"], *row["magnetic_ut"]]
        tables.append([("q", int(row["t"])), *(("f", float(number)) for number in numbers)])
    return pack_root(b"IMUS", [("I", 0)], [pack_tables(tables)])


def pack_triggers(triggers: StructuredArray) -> bytes:
    """
    Make a packet of triggers; their channels are not told.

    Parameters
    ----------
    triggers : ndarray
        Of TRIGGER_DTYPE.

    Returns
    -------
    bytes
        The packet.
    """
    tables = [[("q", int(row["t"])), ("b", int(row["kind"]))] for row in triggers]
    return pack_root(b"TRIG", [("I", 0)], [pack_tables(tables)])


def make_header(compression: int, table_position: int, text: bytes) -> bytes:
    """
    Make what follows the first line of a file.

    Parameters
    ----------
    compression : int
        Of the packets.
    table_position : int
        Byte of the table behind them.
    text : bytes
        The description of the streams.

    Returns
    -------
    bytes
        The header; its size does not depend on the numbers.
    """
    string = struct.pack("<I", len(text)) + text + b"\0"
    return pack_root(b"IOHE", [("i", compression), ("q", table_position), ("I", 0)], [string])


def make_table(packets: list[Packet], start: int) -> bytes:
    """
    Make the table behind the packets.

    Parameters
    ----------
    packets : list of Packet
        In file order.
    start : int
        Byte of the first.

    Returns
    -------
    bytes
        Place, stream, size, number of items and times of each.
    """
    rows: list[list[Any]] = []
    position = start
    for packet in packets:
        position += 8
        rows.append(
            [
                ("q", position),
                ("ii", (packet.stream, packet.n_bytes)),
                ("q", packet.n_items),
                ("q", packet.start_us),
                ("q", packet.stop_us),
            ]
        )
        position += packet.n_bytes
    return pack_root(b"FTAB", [("I", 0)], [pack_tables(rows)])


def describe_streams(recording: Recording, compression: str) -> bytes:
    """
    Describe the streams as iniVation's programs do.

    Parameters
    ----------
    recording : Recording
        Whose streams and sensor these are.
    compression : str
        "none", "lz4" or "zstd".

    Returns
    -------
    bytes
        XML.
    """
    n_items = (1, len(recording.frames), len(recording.imu), len(recording.triggers))
    root = "/mainloop/Recorder/outInfo/"
    lines = ['<dv version="2.0">', f'<node name="outInfo" path="{root}">']
    for number, ((kind, name, what), n) in enumerate(zip(STREAMS, n_items, strict=True)):
        if not n:
            continue
        attributes = {
            "compression": compression.upper(),
            "originalModuleName": "spikeloom",
            "originalOutputName": name,
            "typeDescription": what,
            "typeIdentifier": kind,
        }
        lines.append(f'<node name="{number}" path="{root}{number}/">')
        lines += [f'<attr key="{key}" type="string">{value}</attr>' for key, value in attributes.items()]
        lines.append(f'<node name="info" path="{root}{number}/info/">')
        if kind in ("EVTS", "FRME"):
            lines.append(f'<attr key="sizeX" type="int">{recording.width}</attr>')
            lines.append(f'<attr key="sizeY" type="int">{recording.height}</attr>')
        lines += ['<attr key="source" type="string">spikeloom</attr>', "</node>", "</node>"]
    return "\n".join([*lines, "</node>", "</dv>", ""]).encode()
