"""
How events lie in datagrams.

- "t64_x16_y16_on8": 13 bytes, lowest first: 64 bits of microseconds, 16 of x, 16 of y, 8 of polarity.
- "t32_x16_y15_on1": 8 bytes: 32 bits of microseconds, 16 of x, then y above one bit of polarity.
- "spif": 4-byte words of SpiNNaker's interface board: bit 31 says that no time follows, then 15 bits of x, polarity, 15
  of y. A word with bit 31 at 0 is followed by one of 32 bits of microseconds. Events without a time get that of their
  arrival.
- "spif_timed": the same, sent with times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from eventio.errors import ArgumentError, FormatError
from eventio.recording import EVENT_DTYPE, EventArray

SHORT_DTYPE = np.dtype([("t", "<u4"), ("x", "<u2"), ("y_on", "<u2")])
HALF_RANGE, RANGE, UNTIMED = 1 << 31, 1 << 32, np.uint32(1 << 31)
MOST_PORTS = 65535


class WireDecoder(Protocol):
    """What turns the datagrams of one sender into events."""

    def decode(self, data: bytes, arrival_us: int) -> tuple[EventArray, int]:
        """Give the events of a datagram and the number of bytes that are no event."""
        ...


@dataclass(frozen=True, slots=True)
class WireFormat:
    """
    One way events lie in datagrams.

    Attributes
    ----------
    name : str
        What `wire=` takes.
    event_bytes : int
        What an event takes.
    encode : callable
        Takes events, gives bytes.
    make_decoder : callable
        Gives a WireDecoder.
    most_x, most_y : int
        The largest coordinates that fit.
    """

    name: str
    event_bytes: int
    encode: Callable[[EventArray], bytes]
    make_decoder: Callable[[], WireDecoder]
    most_x: int
    most_y: int

    def check_size(self, width: int, height: int) -> None:
        """
        Refuse a sensor whose coordinates do not fit.

        Parameters
        ----------
        width, height : int
            Size of the sensor in pixels.

        Raises
        ------
        FormatError
            They do not fit.
        """
        if width > self.most_x + 1 or height > self.most_y + 1:
            raise FormatError(
                f"a {width}x{height} sensor does not fit the wire format {self.name!r} (at most {self.most_x + 1}x"
                f"{self.most_y + 1}); use t64_x16_y16_on8"
            )


class Clock32:
    """Continues times of 32 bits beyond their overflow."""

    def __init__(self) -> None:
        self._offset = 0
        self._last: int | None = None

    def extend(self, t: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """
        Continue times.

        Parameters
        ----------
        t : ndarray
            int64, shape (n_events,): times of 32 bits; a fall by more than half their range is an overflow.

        Returns
        -------
        ndarray
            int64, shape (n_events,).
        """
        if not len(t):
            return t
        previous = np.concatenate(([t[0] if self._last is None else self._last], t[:-1]))
        steps = t - previous
        turns = np.cumsum((steps < -HALF_RANGE).astype(np.int64) - (steps > HALF_RANGE).astype(np.int64))
        extended: npt.NDArray[np.int64] = t + (self._offset + turns * RANGE)
        self._offset += int(turns[-1]) * RANGE
        self._last = int(t[-1])
        return extended


class LongDecoder:
    """Decoder of "t64_x16_y16_on8"."""

    def decode(self, data: bytes, arrival_us: int) -> tuple[EventArray, int]:
        """
        Give the events of a datagram.

        Parameters
        ----------
        data : bytes
            The datagram.
        arrival_us : int
            Not used.

        Returns
        -------
        tuple of (ndarray, int)
            Of EVENT_DTYPE; how many bytes are no event.
        """
        del arrival_us
        size = EVENT_DTYPE.itemsize
        n_whole = len(data) // size
        raw = np.frombuffer(data, np.uint8, n_whole * size).reshape(n_whole, size)
        is_good = (raw[:, -1] <= 1) & (raw[:, 7] < 64)  # polarity 0 or 1, times within 62 bits
        good = raw if is_good.all() else raw[is_good]
        events = np.ascontiguousarray(good).reshape(-1).view(EVENT_DTYPE)
        return events, len(data) - len(events) * size


class ShortDecoder:
    """Decoder of "t32_x16_y15_on1"."""

    def __init__(self) -> None:
        self._clock = Clock32()

    def decode(self, data: bytes, arrival_us: int) -> tuple[EventArray, int]:
        """
        Give the events of a datagram.

        Parameters
        ----------
        data : bytes
            The datagram.
        arrival_us : int
            Not used.

        Returns
        -------
        tuple of (ndarray, int)
            Of EVENT_DTYPE; how many bytes are no event.
        """
        del arrival_us
        words = np.frombuffer(data, SHORT_DTYPE, len(data) // SHORT_DTYPE.itemsize)
        events = np.empty(len(words), EVENT_DTYPE)
        events["t"] = self._clock.extend(words["t"].astype(np.int64))
        events["x"], events["y"], events["p"] = words["x"], words["y_on"] >> 1, words["y_on"] & 1
        return events, len(data) - words.nbytes


class SpifDecoder:
    """Decoder of "spif", with and without times."""

    def __init__(self) -> None:
        self._clock = Clock32()

    def decode(self, data: bytes, arrival_us: int) -> tuple[EventArray, int]:
        """
        Give the events of a datagram.

        Parameters
        ----------
        data : bytes
            The datagram: all its events have a time, or none.
        arrival_us : int
            The time of events without one.

        Returns
        -------
        tuple of (ndarray, int)
            Of EVENT_DTYPE; how many bytes are no event.
        """
        words = np.frombuffer(data, "<u4", len(data) // 4)
        is_timed = len(words) > 0 and not words[0] & UNTIMED
        pixels = words[: len(words) // 2 * 2 : 2] if is_timed else words
        is_good = ((pixels & UNTIMED) == 0) == is_timed
        events = np.empty(int(is_good.sum()), EVENT_DTYPE)
        good = pixels[is_good]
        if is_timed:
            events["t"] = self._clock.extend(words[1::2][is_good].astype(np.int64))
        else:
            events["t"] = arrival_us
        events["x"], events["y"] = (good >> 16) & 0x7FFF, good & 0x7FFF
        events["p"] = (good >> 15) & 1
        return events, len(data) - len(events) * (8 if is_timed else 4)


def encode_long(events: EventArray) -> bytes:
    """
    Write events as "t64_x16_y16_on8".

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE.

    Returns
    -------
    bytes
        13 for each event.
    """
    return bytes(events.tobytes())


def encode_short(events: EventArray) -> bytes:
    """
    Write events as "t32_x16_y15_on1".

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE; of a time the lowest 32 bits are sent.

    Returns
    -------
    bytes
        8 for each event.
    """
    words = np.empty(len(events), SHORT_DTYPE)
    words["t"], words["x"] = events["t"] & (RANGE - 1), events["x"]
    words["y_on"] = (events["y"] << 1) | events["p"]
    return bytes(words.tobytes())


def encode_spif(events: EventArray) -> bytes:
    """
    Write events as "spif", without times.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE.

    Returns
    -------
    bytes
        4 for each event.
    """
    return bytes((pack_spif(events) | UNTIMED).astype("<u4").tobytes())


def encode_spif_timed(events: EventArray) -> bytes:
    """
    Write events as "spif_timed".

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE; of a time the lowest 32 bits are sent.

    Returns
    -------
    bytes
        8 for each event.
    """
    words = np.empty((len(events), 2), "<u4")
    words[:, 0], words[:, 1] = pack_spif(events), events["t"] & (RANGE - 1)
    return words.tobytes()


def pack_spif(events: EventArray) -> npt.NDArray[Any]:
    """
    Put x, polarity and y into words.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE.

    Returns
    -------
    ndarray
        uint32, shape (n_events,).
    """
    x, p = events["x"].astype(np.uint32), events["p"].astype(np.uint32)
    return (x & 0x7FFF) << 16 | p << 15 | events["y"] & 0x7FFF


LONG = "t64_x16_y16_on8"
WIRE_FORMATS: dict[str, WireFormat] = {
    each.name: each
    for each in (
        WireFormat(LONG, 13, encode_long, LongDecoder, 65535, 65535),
        WireFormat("t32_x16_y15_on1", 8, encode_short, ShortDecoder, 65535, 32767),
        WireFormat("spif", 4, encode_spif, SpifDecoder, 32767, 32767),
        WireFormat("spif_timed", 8, encode_spif_timed, SpifDecoder, 32767, 32767),
    )
}
"""The known ways events lie in datagrams, by name."""


def find_wire(name: str) -> WireFormat:
    """
    Look a wire format up by its name.

    Parameters
    ----------
    name : str
        Such as "spif".

    Returns
    -------
    WireFormat
        Its row.

    Raises
    ------
    ArgumentError
        There is no such format.
    """
    if name not in WIRE_FORMATS:
        raise ArgumentError(f"there is no wire format {name!r}; known are {', '.join(WIRE_FORMATS)}")
    return WIRE_FORMATS[name]


def fitting_wires(datagram: bytes, *, width: int, height: int) -> tuple[str, ...]:
    """
    Find the wire formats that a datagram may be of.

    Parameters
    ----------
    datagram : bytes
        What came.
    width, height : int
        Size of the sensor in pixels.

    Returns
    -------
    tuple of str
        Their names: read so, all its bytes are events on the sensor whose times do not fall.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[10, 25], x=[0, 3], y=[2, 2], p=[True, False])
    >>> fitting_wires(find_wire("t32_x16_y15_on1").encode(events), width=34, height=34)
    ('t32_x16_y15_on1',)
    """
    found = []
    for name, wire in WIRE_FORMATS.items():
        events, n_malformed = wire.make_decoder().decode(datagram, 0)
        is_inside = (events["x"] < width) & (events["y"] < height)
        if len(events) and not n_malformed and is_inside.all() and (np.diff(events["t"]) >= 0).all():
            found.append(name)
    return tuple(found)


def parse_address(text: str) -> tuple[str, int]:
    """
    Read an address such as "udp://127.0.0.1:7777".

    Parameters
    ----------
    text : str
        HOST:PORT, with or without udp:// before; an IPv6 address stands in brackets.

    Returns
    -------
    tuple of (str, int)
        Host and port.

    Raises
    ------
    ArgumentError
        It is none.

    Examples
    --------
    >>> parse_address("udp://127.0.0.1:7777"), parse_address("[::1]:80")
    (('127.0.0.1', 7777), ('::1', 80))
    """
    host, mark, port = text.removeprefix("udp://").rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not mark or not bare or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= MOST_PORTS:
        raise ArgumentError(f"{text!r} must be udp://HOST:PORT with a port in 0..{MOST_PORTS}")
    return bare, int(port)
