"""What stands in the packets of AEDAT 4: events, frames, inertial measurements, triggers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eventio.companions import IMU_DTYPE, TRIGGER_DTYPE, CompanionCollector, Frame
from eventio.formats.aedat4.flatbuffers import LayoutError, read_root

EVENT_BYTES = 16
GREY, BGR, BGRA = 0, 16, 24
N_CHANNELS = {GREY: 1, BGR: 3, BGRA: 4}


def read_events(data: bytes) -> npt.NDArray[np.uint64]:
    """
    Find the events of a packet.

    Parameters
    ----------
    data : bytes
        The packet.

    Returns
    -------
    ndarray
        uint64, shape (n, 2): time; x, y and polarity.

    Raises
    ------
    LayoutError
        It is damaged.
    """
    start, n = read_root(data, b"EVTS").vector(0, EVENT_BYTES)
    part = np.frombuffer(data, np.uint8, n * EVENT_BYTES, start) if n else np.empty(0, np.uint8)
    if part.ctypes.data % 8:
        part = part.copy()
    return part.view("<u8").reshape(-1, 2)


def read_companions(kind: str, data: bytes, companions: CompanionCollector) -> None:
    """
    Keep what a packet of another kind holds.

    Parameters
    ----------
    kind : str
        Four letters; unknown ones keep nothing.
    data : bytes
        The packet.
    companions : CompanionCollector
        Where it goes.

    Raises
    ------
    LayoutError
        The packet is damaged.
    """
    if kind == "FRME":
        companions.add_frame(read_frame(data))
    elif kind == "IMUS":
        tables = read_root(data, b"IMUS").tables(0)
        measurements = np.empty(len(tables), IMU_DTYPE)
        for i, table in enumerate(tables):
            numbers = [table.number(field, "<f") for field in range(1, 11)]
            measurements[i] = (
                table.number(0, "<q"), numbers[1:4], numbers[4:7], numbers[7:10], numbers[0],
            )  # fmt: skip
        companions.add_imu(measurements)
    elif kind == "TRIG":
        rows = [
            (t.number(0, "<q"), 0, int(t.number(1, "<b")) & 0xFF) for t in read_root(data, b"TRIG").tables(0)
        ]
        companions.add_triggers(np.array(rows, TRIGGER_DTYPE))


def read_frame(data: bytes) -> Frame:
    """
    Read a frame.

    Parameters
    ----------
    data : bytes
        The packet.

    Returns
    -------
    Frame
        With its image.

    Raises
    ------
    LayoutError
        It is damaged: the pixels are not as many as the sides say.
    """
    table = read_root(data, b"FRME")
    width, height = int(table.number(6, "<h")), int(table.number(7, "<h"))
    n_channels = N_CHANNELS.get(int(table.number(5, "<b")))
    start, n = table.vector(10, 1)
    if n_channels is None or min(width, height) < 0 or n != width * height * n_channels:
        raise LayoutError(f"a frame of {width}x{height} pixels of {n_channels} bytes has {n}")
    shape = (height, width) if n_channels == 1 else (height, width, n_channels)
    image = np.frombuffer(data, np.uint8, n, start).reshape(shape).copy()
    begin, end = int(table.number(3, "<q")), int(table.number(4, "<q"))
    origin = int(table.number(8, "<h")), int(table.number(9, "<h"))
    return Frame(int(table.number(0, "<q")), image, (begin, end) if begin or end else None, origin)


def count_items(kind: str, data: bytes) -> int:
    """
    Count what a packet holds, looking no further.

    Parameters
    ----------
    kind : str
        Four letters.
    data : bytes
        The packet.

    Returns
    -------
    int
        Events, measurements or triggers; 1 for a frame or anything unknown.

    Raises
    ------
    LayoutError
        The packet is damaged.
    """
    if kind not in ("EVTS", "IMUS", "TRIG"):
        return 1
    item_bytes = EVENT_BYTES if kind == "EVTS" else 4
    _, n = read_root(data, kind.encode()).vector(0, item_bytes)
    return n
