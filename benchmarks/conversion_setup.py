"""What the parts of the conversion benchmark share: networks as layers, data, clips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from conversion_networks import Data, load_digits_net
from numpy.typing import NDArray

from analog_bridge.ingest import ingest
from analog_bridge.layers import LayerGraph

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SPIKELOOM_DATA", ROOT.parent / "shared" / "data"))
EXAMPLE = torch.zeros(1, 1, 8, 8)


@dataclass(frozen=True)
class Setup:
    """What a run of the benchmark uses."""

    seeds: tuple[int, ...]
    train: Data
    test: Data
    quick: bool

    def networks(self) -> Iterator[tuple[int, LayerGraph]]:
        """Yield the digits networks as layers."""
        for seed in self.seeds:
            yield seed, ingest(load_digits_net(seed), EXAMPLE)


def moving_digits(
    x: NDArray[np.float32], *, n_frames: int, hold: int, seed: int, size: int = 24
) -> NDArray[np.float32]:
    """Digits that move by a pixel every `hold` frames over clutter that stands still, (n, n_frames, 1, size, size)."""
    rng = np.random.default_rng(seed)
    clips = np.empty((len(x), n_frames, 1, size, size), np.float32)
    for clip, image in zip(clips, x[:, 0], strict=True):
        clutter = rng.random((size, size), np.float32) * np.float32(0.3)
        at = rng.integers(0, size - 8, 2)
        for k in range(n_frames):
            if k and k % hold == 0:
                at = np.clip(at + rng.integers(-1, 2, 2), 0, size - 8)
            frame = clutter.copy()
            seen = frame[at[0] : at[0] + 8, at[1] : at[1] + 8]
            np.maximum(seen, image, out=seen)
            clip[k, 0] = frame
    return clips
