"""Recognition of events as they come: the decisions of a file, window by window, over the network."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import eventio
from eventio.live import WIRE_FORMATS, LiveStream, UdpSender, replay
from spikeloom import UserError
from spikeloom.cli import cli
from spikeloom.live import recognize_live
from tests.app_models import SIDE, random_recording, small_recognizer

LONG_S = 60.0


class ListFeed:
    """Hands over given arrays one by one."""

    n_lost = 0
    n_malformed_bytes = 0

    def __init__(self, arrays: Iterator[np.ndarray]) -> None:
        self._arrays = arrays

    def receive(self, timeout_s: float) -> np.ndarray | None:
        return next(self._arrays, None)

    def close(self) -> None:
        return


def long_recording(n_windows: int) -> eventio.Recording:
    parts = [random_recording(seed=seed).events.copy() for seed in range(n_windows)]
    for number, part in enumerate(parts):
        part["t"] += number * 80_000 - part["t"][0]
    events = np.concatenate(parts)
    events["t"] = np.maximum.accumulate(events["t"])
    return eventio.Recording(events, width=SIDE, height=SIDE)


@pytest.mark.parametrize("n_events", [13, 1 << 20])
def test_live_windows_are_those_of_a_file(n_events: int) -> None:
    recognizer = small_recognizer()
    recording = long_recording(4)
    runs = list(recognizer.run_windows(recording))
    parts = (recording.events[start : start + n_events] for start in range(0, len(recording), n_events))
    with LiveStream(ListFeed(parts), width=SIDE, height=SIDE) as stream:
        found = list(recognize_live(recognizer, stream))
    assert [each.index for each in found] == [run.window.index for run in runs]
    assert [each.start_us for each in found] == [run.window.start_us for run in runs]
    for each, run in zip(found, runs, strict=True):
        readout = run.result.output.reshape(8, 10).astype(np.float64).sum(axis=0)
        assert each.decision.label == recognizer.class_names[readout.argmax()]
        assert each.decision.events == len(run.window.events)
        assert each.latency_s >= each.decision.seconds > 0
    assert [each.is_complete for each in found] == [True] * (len(runs) - 1) + [False]


def test_live_recognition_ends_after_some_windows_and_refuses_other_sensors() -> None:
    recognizer = small_recognizer()
    recording = long_recording(3)
    with LiveStream(ListFeed(iter([recording.events])), width=SIDE, height=SIDE) as stream:
        assert len(list(recognize_live(recognizer, stream, most_windows=2))) == 2
    with (
        LiveStream(ListFeed(iter([])), width=SIDE, height=SIDE + 1) as stream,
        pytest.raises(UserError, match="comes from a 34x35 sensor"),
    ):
        next(recognize_live(recognizer, stream))


def free_port() -> int:
    with eventio.live.open_udp(("127.0.0.1", 0), width=1, height=1) as stream:
        return int(stream.feed.port)


@pytest.mark.parametrize("as_json", [False, True])
def test_recognize_and_replay_over_loopback(tmp_path: Path, as_json: bool) -> None:
    small_recognizer().save(tmp_path / "model.h5")
    recording = long_recording(3)
    address = ("127.0.0.1", free_port())
    is_done = threading.Event()

    def send() -> None:
        # again and again until the listener has its windows: datagrams sent before it listens are lost
        with UdpSender(address) as sender:
            shift = 0
            while not is_done.wait(0.05):
                again = recording.events.copy()
                again["t"] += shift
                shift += 10**6
                for start in range(0, len(again), 50):
                    sender.send(again[start : start + 50])

    thread = threading.Thread(target=send)
    thread.start()
    try:
        arguments = ["recognize", f"udp://{address[0]}:{address[1]}", "--model", str(tmp_path / "model.h5")]
        arguments += ["--windows", "2", "--idle", str(LONG_S)] + (["--json"] if as_json else [])
        done = CliRunner().invoke(cli, arguments)
    finally:
        is_done.set()
        thread.join()
    assert done.exit_code == 0, done.output
    if as_json:
        answer = json.loads(done.stdout)
        assert len(answer["decisions"]) == 2
        assert answer["events_received"] > 0
        assert all(each["latency_s"] > 0 for each in answer["decisions"])
    else:
        assert done.stdout.count("window ") == 2
        assert "nothing lost" in done.stdout
        assert "median" in done.stdout


def test_the_replay_command(tmp_path: Path) -> None:
    recording = random_recording()
    eventio.write(tmp_path / "a.raw", recording)
    arguments = ["replay", str(tmp_path / "a.raw"), "udp://127.0.0.1:9", "--speed", "inf", "--json"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["events"] == len(recording)
    done = CliRunner().invoke(cli, [*arguments[:2], "nonsense"])
    assert done.exit_code == 2
    assert "must be udp://HOST:PORT" in done.output


def test_a_replay_is_recognised_as_its_file(tmp_path: Path) -> None:
    recognizer = small_recognizer()
    recording = long_recording(2)
    from eventio.live.udp import UdpFeed

    feed = UdpFeed(("127.0.0.1", 0))
    with LiveStream(feed, width=SIDE, height=SIDE) as stream:
        sender = threading.Thread(target=replay, args=(recording, ("127.0.0.1", feed.port)))
        sender.start()
        found = list(recognize_live(recognizer, stream, most_windows=1))
        sender.join()
    (first, _) = recognizer.run_windows(recording)
    assert found[0].decision.events == len(first.window.events)
    assert found[0].start_us == first.window.start_us


def send_as(wire: str, events: np.ndarray, address: tuple[str, int], is_done: threading.Event) -> None:
    """Send a recording again and again, until the listener has seen enough: datagrams before it listens are lost."""
    with UdpSender(address, wire=wire) as sender:
        shift = 0
        while not is_done.wait(0.02):
            again = events.copy()
            again["t"] += shift
            shift += 10**6
            sender.send(again)


PAIRS = [(sent, read) for sent in WIRE_FORMATS for read in WIRE_FORMATS if sent[:4] != read[:4]]


@pytest.mark.parametrize(("sent", "read"), PAIRS)
def test_datagrams_of_another_wire_format_are_refused(sent: str, read: str) -> None:
    recognizer = small_recognizer()
    is_done = threading.Event()
    with eventio.live.open_udp(("127.0.0.1", 0), width=SIDE, height=SIDE, wire=read) as stream:
        address = ("127.0.0.1", stream.feed.port)
        thread = threading.Thread(target=send_as, args=(sent, long_recording(2).events, address, is_done))
        thread.start()
        try:
            wanted = (
                rf"read as {read}, \d+ are usable on a 34x34 sensor \(.*\); the last datagram looks like "
            )
            with pytest.raises(UserError, match=rf"{wanted}.*: give --wire {sent[:4]}"):
                list(recognize_live(recognizer, stream, duration_s=LONG_S))
        finally:
            is_done.set()
            thread.join()


def test_events_of_a_larger_sensor_are_refused() -> None:
    rng = np.random.default_rng(0)
    n_events = 4000
    places = {name: rng.integers(0, 640, n_events) for name in "xy"}
    events = eventio.make_events(t=np.arange(n_events), p=rng.integers(0, 2, n_events), **places)
    is_done = threading.Event()
    with eventio.live.open_udp(("127.0.0.1", 0), width=SIDE, height=SIDE) as stream:
        address = ("127.0.0.1", stream.feed.port)
        wire = "t64_x16_y16_on8"
        thread = threading.Thread(target=send_as, args=(wire, events, address, is_done))
        thread.start()
        try:
            with pytest.raises(
                UserError, match=r"events outside the sensor.*; give the sender's --wire \(t64"
            ):
                list(recognize_live(small_recognizer(), stream, duration_s=LONG_S))
        finally:
            is_done.set()
            thread.join()
