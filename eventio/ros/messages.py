"""
Messages of ROS that carry events: how they lie in bytes, in ROS 1 and in the CDR encoding of ROS 2.

`event_camera_msgs/EventPacket` (once `event_array_msgs/EventArray`) carries a camera's own words, with the name of
their encoding; `dvs_msgs/EventArray` and `prophesee_event_msgs/EventArray` carry events one by one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eventio.errors import FormatError
from eventio.recording import EVENT_DTYPE, EventArray

PACKETS = ("event_camera_msgs/EventPacket", "event_array_msgs/EventArray")
ARRAYS = ("dvs_msgs/EventArray", "prophesee_event_msgs/EventArray")
ROS1_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")])
CDR_STRIDE = 16
CDR_EVENT = np.dtype(
    {"names": ["s", "ns", "p"], "formats": ["<i4", "<u4", "u1"], "offsets": [4, 8, 12], "itemsize": 16}
)


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message of a bag.

    Attributes
    ----------
    topic : str
        Where it was sent.
    type : str
        Of ROS, such as "dvs_msgs/EventArray".
    data : bytes
        Its content.
    is_cdr : bool
        In the encoding of ROS 2, not that of ROS 1.
    """

    topic: str
    type: str
    data: bytes
    is_cdr: bool


@dataclass(frozen=True, slots=True)
class Packet:
    """
    A message with a camera's own words.

    Attributes
    ----------
    width, height : int
        Size of the sensor in pixels.
    time_base_ns : int
        What times in the payload count from, in some encodings.
    encoding : str
        Of the payload.
    payload : bytes
        The words.
    """

    width: int
    height: int
    time_base_ns: int
    encoding: str
    payload: bytes


class Cursor:
    """
    A place in the bytes of a message.

    Parameters
    ----------
    message : Message
        What to read.

    Raises
    ------
    FormatError
        The bytes are in an encoding of CDR that is not read.
    """

    def __init__(self, message: Message) -> None:
        self._data = message.data
        self._is_cdr = message.is_cdr
        self._base = 0
        self._at = 0
        self._order = "<"
        if message.is_cdr:
            kind = message.data[:4]
            if len(kind) < 4 or kind[:2] not in (b"\0\0", b"\0\1"):
                raise FormatError(f"a message starts with bytes {kind.hex(' ')}, which are no plain CDR")
            self._order = "<" if kind[1] else ">"
            self._base = self._at = 4

    @property
    def is_little(self) -> bool:
        """Whether numbers have their lowest byte first."""
        return self._order == "<"

    def align(self, n_bytes: int) -> None:
        """
        Go on to a multiple of a number's size; only CDR asks for that.

        Parameters
        ----------
        n_bytes : int
            The size.
        """
        if self._is_cdr:
            self._at += -(self._at - self._base) % n_bytes

    def number(self, kind: str) -> int:
        """
        Read a number.

        Parameters
        ----------
        kind : str
            A letter of the struct module.

        Returns
        -------
        int
            The number.
        """
        n_bytes = struct.calcsize(f"={kind}")
        self.align(n_bytes)
        (value,) = struct.unpack_from(self._order + kind, self._data, self._at)
        self._at += n_bytes
        return int(value)

    def rest(self, n_bytes: int) -> bytes:
        """
        Read bytes.

        Parameters
        ----------
        n_bytes : int
            How many.

        Returns
        -------
        bytes
            The bytes.

        Raises
        ------
        FormatError
            There are fewer.
        """
        data = self._data[self._at : self._at + n_bytes]
        if len(data) < n_bytes:
            raise FormatError(f"a message promises {n_bytes} bytes where {len(data)} are left")
        self._at += n_bytes
        return data

    def text(self) -> str:
        """
        Read a text.

        Returns
        -------
        str
            Without the zero that ends it in CDR.
        """
        return self.rest(self.number("I")).rstrip(b"\0").decode("utf-8", "replace")

    def skip_header(self) -> None:
        """Pass a std_msgs/Header: in ROS 1 with a number before the time."""
        for _ in range(2 if self._is_cdr else 3):
            self.number("I")
        self.text()


def plain_type(name: str) -> str:
    """
    Give a type's name as in ROS 1.

    Parameters
    ----------
    name : str
        Such as "dvs_msgs/msg/EventArray".

    Returns
    -------
    str
        Such as "dvs_msgs/EventArray".
    """
    return name.replace("/msg/", "/")


def read_packet(message: Message) -> Packet:
    """
    Read a message with a camera's own words.

    Parameters
    ----------
    message : Message
        Of one of the types PACKETS.

    Returns
    -------
    Packet
        Its content.

    Raises
    ------
    FormatError
        It is cut short or otherwise damaged.
    """
    try:
        cursor = Cursor(message)
        cursor.skip_header()
        height, width = cursor.number("I"), cursor.number("I")
        cursor.number("Q")
        time_base_ns = cursor.number("Q")
        encoding = cursor.text()
        cursor.number("B")
        return Packet(width, height, time_base_ns, encoding, cursor.rest(cursor.number("I")))
    except struct.error as error:
        raise FormatError("a message is shorter than its type says") from error


def read_array(message: Message) -> tuple[int, int, EventArray]:
    """
    Read a message with events one by one.

    Parameters
    ----------
    message : Message
        Of one of the types ARRAYS.

    Returns
    -------
    tuple of (int, int, ndarray)
        Width and height of the sensor, and the events; times rounded to whole microseconds.

    Raises
    ------
    FormatError
        It is cut short or otherwise damaged.
    """
    try:
        cursor = Cursor(message)
        if not cursor.is_little:
            raise FormatError(
                "a message has its highest bytes first, which is not read for events one by one"
            )
        cursor.skip_header()
        height, width = cursor.number("I"), cursor.number("I")
        n_events = cursor.number("I")
    except struct.error as error:
        raise FormatError("a message is shorter than its type says") from error
    if not message.is_cdr:
        words = np.frombuffer(cursor.rest(n_events * ROS1_EVENT.itemsize), ROS1_EVENT)
        return width, height, make(words["x"], words["y"], words, words["p"])
    if n_events == 0:
        return width, height, np.empty(0, EVENT_DTYPE)
    return width, height, read_cdr_events(cursor, n_events)


def read_cdr_events(cursor: Cursor, n_events: int) -> EventArray:
    """
    Read events from CDR: times lie at multiples of four, so an event takes 16 bytes but the first, whose start is even.

    Parameters
    ----------
    cursor : Cursor
        At the first event, behind a number of four bytes.
    n_events : int
        How many; at least 1.

    Returns
    -------
    ndarray
        Of EVENT_DTYPE, shape (n_events,).
    """
    data = np.frombuffer(cursor.rest(n_events * CDR_STRIDE - 3), np.uint8)
    times = np.frombuffer(data.tobytes() + bytes(3), CDR_EVENT)
    places = np.empty((n_events, 2), np.uint16)
    places[0] = data[:4].view("<u2")
    if n_events > 1:
        later = data[14 : 14 + CDR_STRIDE * (n_events - 2) + 4]
        rows = np.lib.stride_tricks.as_strided(later, (n_events - 1, 4), (CDR_STRIDE, 1))
        places[1:] = np.ascontiguousarray(rows).view("<u2")
    return make(places[:, 0], places[:, 1], times, times["p"])


def make(
    x: npt.NDArray[np.uint16],
    y: npt.NDArray[np.uint16],
    times: npt.NDArray[np.void],
    p: npt.NDArray[np.uint8],
) -> EventArray:
    """
    Put events together.

    Parameters
    ----------
    x, y : ndarray
        uint16, shape (n_events,).
    times : ndarray
        Structured, with seconds `s` and nanoseconds `ns`.
    p : ndarray
        uint8, shape (n_events,): 0 is OFF.

    Returns
    -------
    ndarray
        Of EVENT_DTYPE, shape (n_events,).
    """
    events = np.empty(len(x), EVENT_DTYPE)
    events["t"] = times["s"].astype(np.int64) * 1_000_000 + (times["ns"].astype(np.int64) + 500) // 1000
    events["x"], events["y"], events["p"] = x, y, p != 0
    return events
