"""Other people's event processing: `.venv-peers/bin/python benchmarks/peers_processing.py EVENTS.npy OUT.npz TASK ...`.

Prints one JSON object: million events per second of processor time by task, or why a task could not run. Results go
into OUT.npz for comparison.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH, HEIGHT, WINDOW_US, N_BINS = 640, 480, 2_000, 10


def best(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the shortest of a few runs, in processor time of this thread, and the result."""
    shortest, found = float("inf"), None
    for _ in range(repeats):
        start = time.thread_time()
        found = run()
        shortest = min(shortest, time.thread_time() - start)
    return shortest, found


def tonic_events(events: np.ndarray) -> np.ndarray:
    """Take the field order and types that tonic's transforms expect."""
    made = np.empty(len(events), [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")])
    for name in "xytp":
        made[name] = events[name]
    return made


def tonic(task: str, events: np.ndarray) -> tuple[float, Any]:
    """Run tonic's transform of a task."""
    from tonic import transforms

    size = (WIDTH, HEIGHT, 2)
    made = {
        "denoise": lambda: transforms.Denoise(filter_time=WINDOW_US),
        "refractory": lambda: transforms.RefractoryPeriod(delta=WINDOW_US),
        "frames": lambda: transforms.ToFrame(sensor_size=size, n_time_bins=N_BINS),
        "voxel": lambda: transforms.ToVoxelGrid(sensor_size=size, n_time_bins=N_BINS),
        "averaged": lambda: transforms.ToAveragedTimesurface(
            sensor_size=size, cell_size=10, surface_size=7, time_window=100_000, tau=1e9
        ),
    }[task]()
    own = tonic_events(events)
    seconds, found = best(lambda: made(own), 1 if task in {"denoise", "refractory", "averaged"} else 3)
    return seconds, np.asarray(found["t"] if task in {"denoise", "refractory"} else found)


def dv(task: str, events: np.ndarray) -> tuple[float, Any]:
    """Run dv-processing's filter or accumulator of a task; filling its store is not timed."""
    from datetime import timedelta

    import dv_processing

    store = dv_processing.EventStore()
    for t, x, y, p in events.tolist():
        store.push_back(t, x, y, p)
    size = (WIDTH, HEIGHT)
    if task == "count":
        accumulator = dv_processing.EdgeMapAccumulator(size)

        def accumulate() -> Any:
            accumulator.accept(store)
            return accumulator.generateFrame()

        return best(accumulate, 5)[0], None

    def run() -> Any:
        window = timedelta(microseconds=WINDOW_US)
        noise = dv_processing.noise
        made = {
            "denoise": lambda: noise.BackgroundActivityNoiseFilter(size, backgroundActivityDuration=window),
            "fast decay": lambda: noise.FastDecayNoiseFilter(size),
            "order n": lambda: noise.KNoiseFilter(size, timeDelta=window),
        }[task]()
        made.accept(store)
        return made.generateEvents()

    seconds, kept = best(run, 5)
    return seconds, np.asarray(kept.timestamps())


def faery(task: str, events: np.ndarray) -> tuple[float, Any]:
    """Run faery's filter of hot pixels, on all events at once; its definition looks at 4 neighbours alone."""
    import faery

    own = np.empty(len(events), faery.EVENTS_DTYPE)
    for name in ("t", "x", "y"):
        own[name] = events[name]
    own["on"] = events["p"]

    def run() -> Any:
        stream = faery.events_stream_from_array(own, (WIDTH, HEIGHT))
        return np.concatenate(list(stream.filter_hot_pixels(maximum_relative_event_count=5.0)))

    seconds, kept = best({"hot pixels": run}[task], 3)
    return seconds, kept["t"]


def plain_numpy(task: str, events: np.ndarray) -> tuple[float, Any]:
    """Do it with NumPy's own functions."""
    x, y, p = (events[name].astype(np.int64) for name in "xyp")
    area = WIDTH * HEIGHT
    span = int(events["t"][-1] - events["t"][0]) // N_BINS + 1

    def frames() -> Any:
        step = (events["t"] - events["t"][0]) // span
        index = ((step * 2 + p) * HEIGHT + y) * WIDTH + x
        return np.bincount(index, minlength=N_BINS * 2 * area).reshape(N_BINS, 2, HEIGHT, WIDTH)

    def count() -> Any:
        return np.bincount((p * HEIGHT + y) * WIDTH + x, minlength=2 * area).reshape(2, HEIGHT, WIDTH)

    def voxel() -> Any:
        place = (events["t"] - events["t"][0]) * ((N_BINS - 1) / (events["t"][-1] - events["t"][0]))
        plane = place.astype(np.int64)
        late, sign = place - plane, np.where(events["p"], 1.0, -1.0)
        at = (plane * HEIGHT + y) * WIDTH + x
        total = np.bincount(at, sign * (1 - late), (N_BINS + 1) * area)
        total += np.bincount(at + area, sign * late, (N_BINS + 1) * area)
        return total.reshape(-1, HEIGHT, WIDTH)[:N_BINS]

    return best({"frames": frames, "count": count, "voxel": voxel}[task], 3)


PEERS = {"tonic": tonic, "dv-processing": dv, "faery": faery, "NumPy": plain_numpy}


def main() -> None:
    """Run the tasks named PEER:TASK[:N_EVENTS] one after the other."""
    events = np.load(sys.argv[1])
    answers: dict[str, Any] = {}
    results: dict[str, np.ndarray] = {}
    for name in sys.argv[3:]:
        peer, task, *rest = name.split(":")
        part = events[: int(rest[0])] if rest else events
        try:
            seconds, found = PEERS[peer](task, part)
        except Exception as error:
            answers[name] = f"{type(error).__name__}: {error}"
            continue
        answers[name] = len(part) / seconds / 1e6
        if found is not None:
            results[name] = found
    np.savez(sys.argv[2], **results)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
