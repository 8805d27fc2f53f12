"""Events over the network and from cameras: exact on the wire, bounded in memory, and nothing lost in silence."""

from __future__ import annotations

import math
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import eventio
from eventio.live import LiveCounts, LiveStream, UdpSender, open_camera, open_udp, parse_address, replay
from eventio.live.udp import UdpFeed
from eventio.live.wire import WIRE_FORMATS, find_wire

LONG_S = 60.0
"""An end that no test reaches unless something is wrong."""


def make_events(n_events: int, *, seed: int = 0, step_us: int = 5, first_t: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return eventio.make_events(
        t=first_t + np.cumsum(rng.integers(0, 2 * step_us, n_events)),
        x=rng.integers(0, 346, n_events),
        y=rng.integers(0, 260, n_events),
        p=rng.integers(0, 2, n_events),
    )


class ListFeed:
    """Hands over given arrays one by one; a gate lets the test decide when."""

    def __init__(self, arrays: list[np.ndarray], gate: threading.Event | None = None) -> None:
        self.arrays = list(arrays)
        self.gate = gate
        self.n_lost = 0
        self.n_malformed_bytes = 0
        self.is_closed = False

    def receive(self, timeout_s: float) -> np.ndarray | None:
        if self.gate is not None and not self.gate.wait(timeout_s):
            return eventio.make_events(t=[], x=[], y=[], p=[])
        return self.arrays.pop(0) if self.arrays else None

    def close(self) -> None:
        self.is_closed = True


@contextmanager
def listening(**arguments: Any) -> Iterator[tuple[LiveStream, int]]:
    feed = UdpFeed(("127.0.0.1", 0), wire=arguments.pop("wire", "t64_x16_y16_on8"))
    with LiveStream(feed, width=346, height=260, **arguments) as stream:
        yield stream, feed.port


@pytest.mark.parametrize("wire", sorted(WIRE_FORMATS))
def test_every_wire_format_over_loopback(wire: str) -> None:
    events = make_events(3_000, first_t=2**32 - 5_000)  # 32-bit times overflow within
    with listening(wire=wire) as (stream, port), UdpSender(("127.0.0.1", port), wire=wire) as sender:
        n_datagrams = 0
        parts = []
        for start in range(0, 3_000, 300):
            n_datagrams += sender.send(events[start : start + 300])
            parts += list(stream.chunks(most_events=300, duration_s=LONG_S))
        counts = stream.counts
    found = np.concatenate(parts)
    assert n_datagrams == 10 * -(-300 // (1300 // WIRE_FORMATS[wire].event_bytes))
    np.testing.assert_array_equal(found[["x", "y", "p"]], events[["x", "y", "p"]])
    assert counts.n_received == counts.n_handed_over == 3_000
    assert counts.is_complete
    assert counts.describe() == "nothing lost"
    if wire == "spif":
        assert (np.diff(found["t"]) >= 0).all()
        assert abs(int(found["t"][-1]) - time.time_ns() // 1000) < 3600 * 10**6
    else:
        np.testing.assert_array_equal(found["t"], events["t"])


@pytest.mark.parametrize("wire", ["t64_x16_y16_on8", "t32_x16_y15_on1", "spif", "spif_timed"])
def test_bytes_on_the_wire(wire: str) -> None:
    events = eventio.make_events(t=[2**32 + 258], x=[3], y=[5], p=[True])
    expected = {
        "t64_x16_y16_on8": bytes([2, 1, 0, 0, 1, 0, 0, 0, 3, 0, 5, 0, 1]),
        "t32_x16_y15_on1": bytes([2, 1, 0, 0, 3, 0, 11, 0]),
        "spif": bytes([5, 0x80, 3, 0x80]),
        "spif_timed": bytes([5, 0x80, 3, 0, 2, 1, 0, 0]),
    }
    assert find_wire(wire).encode(events) == expected[wire]


@pytest.mark.parametrize("wire", sorted(WIRE_FORMATS))
def test_random_datagrams(wire: str) -> None:
    rng = np.random.default_rng(0)
    decoder = find_wire(wire).make_decoder()
    for n_bytes in [*range(40), *rng.integers(0, 2000, 200)]:
        data = rng.integers(0, 256, int(n_bytes), dtype=np.uint8).tobytes()
        events, n_malformed = decoder.decode(data, 7)
        assert 0 <= n_malformed <= len(data)
        assert len(events) * 4 + n_malformed <= len(data)
        assert events.dtype == eventio.EVENT_DTYPE
        assert set(np.frombuffer(events["p"].tobytes(), np.uint8)) <= {0, 1}


def test_a_clock_of_32_bits_goes_on_and_may_step_back() -> None:
    decoder = find_wire("t32_x16_y15_on1").make_decoder()
    times = [2**32 - 3, 2**32 - 1, 2, 1, 2**32 - 2, 5]
    events = eventio.make_events(t=times, x=[1] * 6, y=[1] * 6, p=[1] * 6)
    data = find_wire("t32_x16_y15_on1").encode(events)
    found = [int(t) for i in range(6) for t in decoder.decode(data[8 * i : 8 * i + 8], 0)[0]["t"]]
    assert found == [2**32 - 3, 2**32 - 1, 2**32 + 2, 2**32 + 1, 2**32 - 2, 2**32 + 5]


def test_a_full_buffer_drops_what_comes_and_counts_it() -> None:
    parts = [make_events(100, first_t=k * 10_000) for k in range(5)]
    feed = ListFeed(parts)
    with LiveStream(feed, width=346, height=260, buffer_events=250) as stream:
        stream._thread.join(LONG_S)  # the feed is exhausted before anything is taken
        found = np.concatenate(list(stream.chunks()))
        counts = stream.counts
    np.testing.assert_array_equal(found, np.concatenate(parts)[:250])
    assert counts == LiveCounts(n_received=500, n_handed_over=250, n_dropped=250)
    assert counts.describe() == "250 events dropped by a full buffer"
    assert feed.is_closed


def test_events_outside_and_out_of_order_are_dropped_and_counted() -> None:
    first = eventio.make_events(t=[10, 20, 15, 30], x=[1, 346, 1, 1], y=[1, 1, 1, 260], p=[1] * 4)
    second = eventio.make_events(t=[9, 10, 40], x=[2] * 3, y=[2] * 3, p=[0] * 3)
    with LiveStream(ListFeed([first, second]), width=346, height=260) as stream:
        found = np.concatenate(list(stream.chunks()))
        assert stream.counts == LiveCounts(n_received=7, n_handed_over=3, n_outside=2, n_late=2)
    assert found["t"].tolist() == [10, 15, 40]
    with LiveStream(ListFeed([first, second]), width=346, height=260, keep_late=True) as stream:
        found = np.concatenate(list(stream.chunks()))
        assert stream.counts.n_late == 2
    assert found["t"].tolist() == [10, 15, 9, 10, 40]


@pytest.mark.parametrize("n_events", [1, 7, 100, 1000])
def test_chunks_are_like_those_of_a_reader(n_events: int) -> None:
    parts = [make_events(n, seed=n, first_t=k * 10_000) for k, n in enumerate([50, 1, 300])]
    with LiveStream(ListFeed(parts), width=346, height=260) as stream:
        chunks = list(stream.chunks(n_events=n_events, wait_s=LONG_S))
    assert all(0 < len(chunk) <= n_events for chunk in chunks)
    assert all(not chunk.flags.writeable for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), np.concatenate(parts))


def test_streams_end_by_number_idleness_duration_and_close() -> None:
    gate = threading.Event()
    with LiveStream(ListFeed([make_events(50)], gate), width=346, height=260) as stream:
        assert list(stream.chunks(duration_s=0.02)) == []
        gate.set()
        assert sum(len(chunk) for chunk in stream.chunks(most_events=20, n_events=6)) == 20
        assert sum(len(chunk) for chunk in stream.chunks(idle_s=0.02)) == 30
    assert list(stream.chunks()) == []
    gate = threading.Event()
    with LiveStream(ListFeed([make_events(5)], gate), width=346, height=260) as stream:
        threading.Timer(0.2, gate.set).start()
        assert sum(len(chunk) for chunk in stream.chunks(idle_s=0.01)) == 5  # idleness begins with an event
    silent = LiveStream(ListFeed([], threading.Event()), width=346, height=260)
    closer = threading.Timer(0.05, silent.close)
    closer.start()
    assert list(silent.chunks()) == []
    closer.join()


def test_a_failing_feed_is_the_users_error() -> None:
    class Failing(ListFeed):
        def receive(self, timeout_s: float) -> np.ndarray | None:
            if self.arrays:
                return self.arrays.pop(0)
            raise eventio.FileAccessError("the camera failed (unplugged)")

    with LiveStream(Failing([make_events(5)]), width=346, height=260) as stream:
        chunks = stream.chunks(wait_s=0)
        assert len(next(chunks)) == 5
        with pytest.raises(eventio.FileAccessError, match="unplugged"):
            next(chunks)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n_events": 0}, "n_events must be at least 1"),
        ({"wait_s": math.nan}, "wait_s must be at least 0 s"),
        ({"idle_s": 0.0}, "idle_s must be more than 0 s"),
        ({"duration_s": -1.0}, "duration_s must be more than 0 s"),
        ({"most_events": 0}, "most_events must be at least 1"),
    ],
)
def test_limits_that_are_none(arguments: dict[str, Any], text: str) -> None:
    with (
        LiveStream(ListFeed([]), width=3, height=3) as stream,
        pytest.raises(eventio.ArgumentError, match=text),
    ):
        next(stream.chunks(**arguments))


def test_malformed_datagrams_are_counted() -> None:
    with listening() as (stream, port), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("127.0.0.1", port))
        sender.sendto(find_wire("t64_x16_y16_on8").encode(make_events(2)) + b"abc", ("127.0.0.1", port))
        assert sum(len(chunk) for chunk in stream.chunks(most_events=2, duration_s=LONG_S)) == 2
        assert stream.counts.n_malformed_bytes == 8
        assert not stream.counts.is_complete


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what they dropped")
def test_what_the_system_drops_is_counted() -> None:
    feed = UdpFeed(("127.0.0.1", 0))
    feed._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    n_sent, n_received = 400, 0
    with UdpSender(("127.0.0.1", feed.port)) as sender:
        for k in range(n_sent):
            sender.send(make_events(1, first_t=k))
        while len(events := feed.receive(0.05)):
            n_received += len(events)
        sender.send(make_events(1))  # the number of lost ones comes with the next
        assert len(feed.receive(LONG_S)) == 1
    assert 0 < n_received < n_sent
    assert feed.n_lost == n_sent - n_received
    feed.close()


def test_addresses() -> None:
    assert parse_address("udp://localhost:7777") == ("localhost", 7777)
    for text in ("udp://", "localhost", "udp://:1", "udp://a:b", "udp://a:70000", "udp://a:-1"):
        with pytest.raises(eventio.ArgumentError, match="must be udp://HOST:PORT"):
            parse_address(text)
    with pytest.raises(eventio.ArgumentError, match="there is no wire format 'x'; known are t64"):
        open_udp(("127.0.0.1", 0), width=3, height=3, wire="x")
    with listening() as (_, port), pytest.raises(eventio.FileAccessError, match="cannot be listened to"):
        open_udp(("127.0.0.1", port), width=3, height=3)
    with pytest.raises(eventio.FileAccessError, match=r"no-such-host\.invalid"):
        UdpSender(("no-such-host.invalid", 1))


@pytest.mark.parametrize("speed", [math.inf, 2.0])
def test_a_replay_sends_all_events_in_order(tmp_path: Path, speed: float) -> None:
    events = make_events(800, step_us=50)
    recording = eventio.Recording(events, width=346, height=260)
    eventio.write(tmp_path / "a.raw", recording)
    for origin in (recording, tmp_path / "a.raw"):
        with listening() as (stream, port):
            sent = replay(origin, ("127.0.0.1", port), speed=speed)
            found = np.concatenate(list(stream.chunks(most_events=800, duration_s=LONG_S)))
        np.testing.assert_array_equal(found, events)
        assert (sent.n_events, sent.n_datagrams >= 8) == (800, True)
        assert sent.seconds >= (0 if speed == math.inf else float(events["t"][-1]) / 1e6 / speed)


def test_a_replay_waits_for_what_is_due_and_can_be_stopped() -> None:
    events = make_events(100, step_us=10**6)
    recording = eventio.Recording(events, width=346, height=260)
    waits: list[float] = []
    stop = threading.Event()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            stop.set()

    sent = replay(recording, ("127.0.0.1", 9), stop=stop, wait=wait)
    assert len(waits) == 5
    assert all(0.001 <= seconds <= 0.01 for seconds in waits)
    assert 1 <= sent.n_events < 100


def test_a_replay_refuses_what_does_not_fit() -> None:
    recording = eventio.Recording(make_events(5), width=40_000, height=260)
    with pytest.raises(eventio.FormatError, match="does not fit the wire format 'spif'"):
        replay(recording, ("127.0.0.1", 9), wire="spif")
    for speed in (0.0, -1.0, math.nan):
        with pytest.raises(eventio.ArgumentError, match="speed must be above 0"):
            replay(recording, ("127.0.0.1", 9), speed=speed)


class FakeDevice:
    """Stands for a camera of the package neuromorphic-drivers."""

    def __init__(self) -> None:
        fields = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
        packets = [
            np.array([(5, 1, 2, True), (6, 3, 4, False)], fields),
            None,
            np.array([(9, 5, 6, True)], fields),
        ]
        self._packets = iter(packets)
        self.n_packets = 0
        self.is_closed = False

    def properties(self) -> SimpleNamespace:
        return SimpleNamespace(width=1280, height=720)

    def __next__(self) -> tuple[Any, Any]:
        found = next(self._packets)
        self.n_packets += 1
        ring = None if found is None else SimpleNamespace(dropped_packets=self.n_packets)
        return SimpleNamespace(ring=ring), SimpleNamespace(polarity_events=found)

    def close(self) -> None:
        self.is_closed = True


def test_cameras_through_the_same_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice()
    asked: dict[str, Any] = {}

    def open_device(**arguments: Any) -> FakeDevice:
        asked.update(arguments)
        return device

    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", SimpleNamespace(open=open_device))
    with open_camera(serial="00042") as stream:
        found = np.concatenate(list(stream.chunks()))
        assert (stream.width, stream.height) == (1280, 720)
        assert stream.counts == LiveCounts(n_received=3, n_handed_over=3, n_lost=3)
    assert found.tolist() == [(5, 1, 2, True), (6, 3, 4, False), (9, 5, 6, True)]
    assert asked["serial"] == "00042"
    assert asked["iterator_timeout"] > 0
    assert device.is_closed


def test_missing_cameras_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", None)
    with pytest.raises(eventio.MissingPackageError, match="pip install neuromorphic-drivers"):
        open_camera()

    def refuse(**arguments: Any) -> None:
        raise RuntimeError("no device found")

    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", SimpleNamespace(open=refuse))
    with pytest.raises(eventio.FileAccessError, match=r"no device found.*is it plugged in"):
        open_camera()
