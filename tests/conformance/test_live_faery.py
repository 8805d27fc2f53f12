"""Datagrams of faery are understood here, and ours there (.venv-peers, made by `make peers`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import eventio
from eventio.live import LiveStream, UdpSender
from eventio.live.udp import UdpFeed

PYTHON = Path(__file__).resolve().parents[2] / ".venv-peers/bin/python"
COMMON = """
import os, sys
import numpy as np
from faery import EVENTS_DTYPE, udp_decoder, udp_encoder
port, wire, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
"""
SEND = """
given = np.load(path)
events = np.zeros(len(given), EVENTS_DTYPE)
for ours, theirs in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
    events[theirs] = given[ours]
udp_encoder.encode([events[i : i + 100] for i in range(0, len(events), 100)], ("127.0.0.1", port), format=wire)
"""
RECEIVE = """
n_wanted, found = len(np.load(path)), []
stream = iter(udp_decoder.Decoder((346, 260), ("127.0.0.1", port), format=wire))
import threading
def knock():  # until the receiver answers, so that nothing is sent to nobody
    udp_encoder.encode([np.zeros(1, EVENTS_DTYPE)], ("127.0.0.1", port), format=wire)
timer = threading.Timer(0.5, knock)
timer.start()
next(stream)
print("ready", flush=True)
while sum(map(len, found)) < n_wanted:
    found.append(next(stream).copy())
np.save(path + ".found.npy", np.concatenate(found))
sys.stdout.flush()
os._exit(0)
"""


def make_events() -> np.ndarray:
    rng = np.random.default_rng(0)
    return eventio.make_events(
        t=np.sort(rng.integers(1, 10**6, 2000)),
        x=rng.integers(0, 346, 2000),
        y=rng.integers(0, 260, 2000),
        p=rng.integers(0, 2, 2000),
    )


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="the peers are not installed: make peers")
@pytest.mark.parametrize("wire", ["t64_x16_y16_on8", "t32_x16_y15_on1"])
def test_both_understand_each_other(tmp_path: Path, wire: str) -> None:
    events = make_events()
    path = str(tmp_path / "events.npy")
    np.save(path, events)
    feed = UdpFeed(("127.0.0.1", 0), wire=wire)
    with LiveStream(feed, width=346, height=260) as stream:
        subprocess.run([PYTHON, "-c", COMMON + SEND, str(feed.port), wire, path], check=True, timeout=120)
        found = np.concatenate(list(stream.chunks(most_events=2000, duration_s=60)))
    np.testing.assert_array_equal(found, events)
    port = feed.port  # free again
    command = [PYTHON, "-c", COMMON + RECEIVE, str(port), wire, path]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as receiver,
        UdpSender(("127.0.0.1", port), wire=wire) as sender,
    ):
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == b"ready\n"
        sender.send(events)
        assert receiver.wait(120) == 0
    theirs = np.load(path + ".found.npy")
    for ours, name in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        np.testing.assert_array_equal(theirs[name], events[ours])
