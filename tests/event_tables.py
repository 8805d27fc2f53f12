"""Recordings as arrays in NumPy, MATLAB and HDF5 files, written by the packages of these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

import eventio

NAMES = ["a.npz", "a.mat", "a.h5"]


def make_recording(n_events: int = 1000, seed: int = 0, first_t: int = -5_000) -> eventio.Recording:
    rng = np.random.default_rng(seed)
    events = eventio.make_events(
        t=first_t + np.sort(rng.integers(0, 10**7, n_events)),
        x=rng.integers(0, 1280, n_events),
        y=rng.integers(0, 720, n_events),
        p=rng.integers(0, 2, n_events),
    )
    return eventio.Recording(events, width=1280, height=720)


def columns(recording: eventio.Recording) -> dict[str, Any]:
    return {name: np.ascontiguousarray(recording.events[name]) for name in "txyp"}


Save = Callable[[Path, dict[str, Any]], None]


def save_npz(path: Path, arrays: dict[str, Any]) -> None:
    np.savez_compressed(path, **arrays)


def save_mat(path: Path, arrays: dict[str, Any]) -> None:
    scipy.io.savemat(path, arrays, do_compression=True)


def save_h5(path: Path, arrays: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            chunks = True if np.ndim(array) else None
            file.create_dataset(name, data=array, chunks=chunks, compression="gzip" if chunks else None)


SAVERS = list(zip(NAMES, [save_npz, save_mat, save_h5], strict=True))
