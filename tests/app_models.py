"""Small untrained recognisers and recordings for the tests of the application."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

import eventio
from neuro import graph as g
from spikeloom import Encoding, Recognizer

SIDE = 34
CLASS_NAMES = tuple("0123456789")


def small_recognizer(
    *,
    n_frames: int = 8,
    bin_us: int = 10_000,
    width: int = SIDE,
    height: int = SIDE,
    class_names: tuple[str, ...] = CLASS_NAMES,
    threshold: float = 0.5,
    attention: bool = True,
    seed: int = 0,
) -> Recognizer:
    """An untrained network: attention, one strided convolution, one readout; weights on a grid."""
    rng = np.random.default_rng(seed)
    grid = 2.0**-9

    def weights(*shape: int, scale: float) -> np.ndarray:
        return np.round(rng.normal(0, scale, shape) / grid) * grid

    rows, columns = -(-height // 4), -(-width // 4)
    n_hidden = 6 * rows * columns
    nodes: dict[str, g.Node] = {"input": g.Input((2, height, width), max_count=255)}
    if attention:
        nodes["attention"] = g.TemporalAttention(
            rng.normal(0, 30, (4, n_frames)),
            np.zeros(4),
            rng.normal(0, 1, (n_frames, 4)),
            np.zeros(n_frames),
            threshold,
        )
    nodes |= {
        "conv": g.Conv2d(weights(6, 2, 5, 5, scale=2.0), stride=4, padding=2),
        "lif": g.LIF(0.03),
        "flatten": g.Flatten(),
        "linear": g.Linear(weights(len(class_names), n_hidden, scale=0.2)),
        "readout": g.LI(0.06),
    }
    names = list(nodes)
    graph = g.Graph(nodes, list(itertools.pairwise(names)), g.clocked(bin_us / 1e6), weight_grid=grid)
    return Recognizer(
        graph=graph,
        encoding=Encoding(width, height, n_frames, bin_us),
        class_names=class_names,
        temperature=2.0,
        seed=seed,
        dataset="nothing",
    )


def random_events(
    n_events: int = 600, *, duration_us: int = 80_000, side: int = SIDE, seed: int = 0, start_us: int = 0
) -> np.ndarray:
    """Random events, ordered in time; the first pixel and the last are hit so that sizes can be derived."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, side, (2, n_events))
    x[0] = y[0] = side - 1
    times = np.sort(rng.integers(0, duration_us, n_events)) + start_us
    return eventio.make_events(t=times, x=x, y=y, p=rng.integers(0, 2, n_events).astype(bool))


def random_recording(n_events: int = 600, *, seed: int = 0, duration_us: int = 80_000) -> eventio.Recording:
    """A random recording of the small sensor."""
    events = random_events(n_events, seed=seed, duration_us=duration_us)
    return eventio.Recording(events, width=SIDE, height=SIDE)


def write_recording(path: Path, *, n_events: int = 600, seed: int = 0, duration_us: int = 80_000) -> Path:
    """Write a random recording as a 40-bit file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    eventio.write(path, random_recording(n_events, seed=seed, duration_us=duration_us))
    return path


def write_unordered(path: Path, *, n_events: int = 600) -> Path:
    """Write a recording whose time runs backwards once, at event 400."""
    events = random_events(n_events).copy()
    events["t"][400:] -= 30_000
    eventio.write(path, eventio.Recording(events, width=SIDE, height=SIDE))
    return path


def write_truncated(path: Path) -> Path:
    """Write a recording that ends inside an event."""
    write_recording(path)
    path.write_bytes(path.read_bytes()[:-2])
    return path


def write_folder(folder: Path, *, per_class: int = 3, labels: tuple[str, ...] = ("0", "1", "2")) -> Path:
    """Write a labelled folder LABEL/recording."""
    for n_label, label in enumerate(labels):
        for number in range(per_class):
            write_recording(folder / label / f"{number}.bin", seed=100 * n_label + number)
    return folder
