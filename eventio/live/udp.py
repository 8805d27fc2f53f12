"""Events in UDP datagrams: receiving and sending."""

from __future__ import annotations

import contextlib
import socket
import time
from types import TracebackType
from typing import Any, Self

import numpy as np

from eventio.errors import FileAccessError
from eventio.live.stream import LiveStream
from eventio.live.wire import LONG, find_wire
from eventio.recording import EventArray, join_events

MOST_DATAGRAM_BYTES = 65535
USUAL_DATAGRAM_BYTES = 1300
"""What a network carries in one piece."""

MOST_AT_ONCE = 256
RECEIVE_BUFFER_BYTES = 1 << 22
RXQ_OVFL = getattr(socket, "SO_RXQ_OVFL", 40)
"""Linux: with each datagram the number of those that the system dropped comes along."""


class UdpFeed:
    """
    Events from datagrams that come to a port.

    Parameters
    ----------
    address : tuple of (str, int)
        Host, an address of this machine that says which network is listened to, and port; port 0 takes a free one.
    wire : str
        Name of the wire format.

    Attributes
    ----------
    wire : WireFormat
        The wire format.
    last_datagram : bytes
        What came last.

    Raises
    ------
    FileAccessError
        The port cannot be listened to.
    """

    def __init__(self, address: tuple[str, int], *, wire: str = LONG) -> None:
        self.wire = find_wire(wire)
        self.last_datagram = b""
        self._decoder = self.wire.make_decoder()
        self.n_lost = 0
        self.n_malformed_bytes = 0
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
        except OSError as error:
            raise FileAccessError(f"udp://{address[0]}:{address[1]}: {error.strerror or error}") from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._has_losses = self._ask_for_losses()
            self._socket.bind(place)
        except OSError as error:
            self._socket.close()
            raise FileAccessError(
                f"udp://{address[0]}:{address[1]}: cannot be listened to ({error.strerror or error}); is another "
                "program listening, or is this no address of this machine?"
            ) from error
        self.port: int = self._socket.getsockname()[1]

    def _ask_for_losses(self) -> bool:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, RXQ_OVFL, 1)
        except OSError:
            return False
        return hasattr(self._socket, "recvmsg")

    def receive(self, timeout_s: float) -> EventArray | None:
        """
        Give the events of the datagrams that are there, or wait for one.

        Parameters
        ----------
        timeout_s : float
            How long to wait, in seconds.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE; empty when none came in time.
        """
        parts: list[EventArray] = []
        self._socket.settimeout(timeout_s)
        try:
            for _ in range(MOST_AT_ONCE):
                data = self.last_datagram = self._receive_one()
                events, n_malformed = self._decoder.decode(data, time.time_ns() // 1000)
                self.n_malformed_bytes += n_malformed
                parts.append(events)
                self._socket.settimeout(0)
        except (TimeoutError, BlockingIOError):
            pass
        except OSError as error:
            raise FileAccessError(
                f"udp port {self.port}: cannot be read ({error.strerror or error})"
            ) from error
        return parts[0] if len(parts) == 1 else join_events(parts)

    def _receive_one(self) -> bytes:
        if not self._has_losses:
            return self._socket.recv(MOST_DATAGRAM_BYTES)
        data, extras, _, _ = self._socket.recvmsg(MOST_DATAGRAM_BYTES, socket.CMSG_SPACE(4))
        for level, kind, value in extras:
            if level == socket.SOL_SOCKET and kind == RXQ_OVFL:
                self.n_lost = int.from_bytes(value[:4], "little")
        return data

    def close(self) -> None:
        """Free the port."""
        self._socket.close()


def open_udp(
    address: tuple[str, int],
    *,
    width: int,
    height: int,
    wire: str = LONG,
    buffer_events: int = 1 << 20,
    keep_late: bool = False,
) -> LiveStream:
    """
    Listen for events in UDP datagrams.

    Parameters
    ----------
    address : tuple of (str, int)
        Host and port to listen at; "127.0.0.1" hears this machine only, "0.0.0.0" every network.
    width, height : int
        Size of the sensor in pixels; datagrams do not tell it.
    wire : str
        Name of the wire format, see `WIRE_FORMATS`.
    buffer_events : int
        How many events may wait before what comes is dropped and counted.
    keep_late : bool
        Whether events earlier than one before them are handed over.

    Returns
    -------
    LiveStream
        To be used in a `with` statement.

    Raises
    ------
    ArgumentError
        There is no such wire format, or the size is none.
    FileAccessError
        The port cannot be listened to.

    Examples
    --------
    >>> import eventio
    >>> from eventio.live import UdpSender, open_udp
    >>> events = eventio.make_events(t=[10, 25], x=[0, 3], y=[2, 2], p=[True, False])
    >>> feed = UdpFeed(("127.0.0.1", 0))
    >>> with LiveStream(feed, width=34, height=34) as live, UdpSender(("127.0.0.1", feed.port)) as sender:
    ...     _ = sender.send(events)
    ...     [chunk["t"].tolist() for chunk in live.chunks(most_events=2, duration_s=10)]
    [[10, 25]]
    """
    feed = UdpFeed(address, wire=wire)
    try:
        return LiveStream(feed, width=width, height=height, buffer_events=buffer_events, keep_late=keep_late)
    except Exception:
        feed.close()
        raise


class UdpSender:
    """
    Sends events in datagrams; used in a `with` statement.

    Parameters
    ----------
    address : tuple of (str, int)
        Host and port to send to.
    wire : str
        Name of the wire format.
    datagram_bytes : int
        Size of a datagram at most.

    Raises
    ------
    FileAccessError
        The host is not known.
    """

    def __init__(
        self, address: tuple[str, int], *, wire: str = LONG, datagram_bytes: int = USUAL_DATAGRAM_BYTES
    ) -> None:
        self.wire = find_wire(wire)
        self._n_events = max(1, min(datagram_bytes, MOST_DATAGRAM_BYTES - 28) // self.wire.event_bytes)
        self._name = f"udp://{address[0]}:{address[1]}"
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._place: Any = place
        except OSError as error:
            raise FileAccessError(f"{self._name}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, events: EventArray) -> int:
        """
        Send events, in as many datagrams as they need.

        Parameters
        ----------
        events : ndarray
            Of EVENT_DTYPE, shape (n_events,).

        Returns
        -------
        int
            How many datagrams were sent.

        Raises
        ------
        FileAccessError
            The network refuses them.
        """
        events = np.ascontiguousarray(events)
        starts = range(0, len(events), self._n_events)
        try:
            for start in starts:
                data = self.wire.encode(events[start : start + self._n_events])
                with contextlib.suppress(ConnectionRefusedError):  # nobody listens; UDP does not care
                    self._socket.sendto(data, self._place)
        except OSError as error:
            raise FileAccessError(f"{self._name}: cannot be sent to ({error.strerror or error})") from error
        return len(starts)

    def close(self) -> None:
        """Free the socket."""
        self._socket.close()
