"""
Handwritten digits shown to an emulated event camera: data that every installation has.

The 1,797 digits of scikit-learn (8x8 pixels, real scans of 43 writers) move over an emulated 34x34 sensor
along the three-saccade path of N-MNIST; each becomes a file in the format of N-MNIST, kept in a cache folder.

Source: Alpaydin, Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998
(the part scikit-learn ships); Orchard et al. 2015 (`saccades`); `eventio.transforms.emulator`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eventio.datasets.collection import Collection, Sample
from eventio.datasets.saccades import CORNERS_PIXELS, MOVING_MS, make_projection, make_saccade_path
from eventio.errors import ArgumentError, FileAccessError
from eventio.recording import Recording
from eventio.transforms.emulator import DvsModel, emulate_dvs
from eventio.writing import write

SENSOR_SIDE = 34
CELL_PIXELS = 3.2
GENERATOR_VERSION = 1
MODEL = DvsModel(on_threshold=0.35, off_threshold=0.35, dark_luminance=0.2, refractory_us=1000.0)
PART_SIZES = {"train": 1077, "validation": 360, "test": 360}
CLASS_NAMES = tuple(str(digit) for digit in range(10))


class Motion(NamedTuple):
    """
    A picture's way over the sensor.

    Attributes
    ----------
    times_us : ndarray
        int64, shape (n_frames,), time of each frame in microseconds.
    rows, columns : ndarray
        float64, shapes (n_frames, 34, n_cells) and (n_frames, n_cells, 34): a frame is rows @ picture @
        columns.
    """

    times_us: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float64]


def digits(
    part: str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    split_seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Collection:
    """
    Give one part of the emulated recordings of scikit-learn's handwritten digits; make those that are
    missing.

    The split is stratified by class: 1,077 to train, 360 to validate, 360 to test. The digits of one writer
    are found in all three parts, since the data do not say who wrote what: accuracy on writers never seen is
    likely lower. Every split uses the same recordings.

    Parameters
    ----------
    part : {"train", "validation", "test"}
        Which part.
    cache_dir : str or path-like, optional
        Folder to keep the recordings in; the environment's SPIKELOOM_CACHE, or else the user's cache folder,
        when not given. Each recording appears whole or not at all, and an interrupted run continues where it
        stopped.
    split_seed : int
        Seed of the split.
    on_progress : callable, optional
        Called with the number of recordings made and to be made, after each.

    Returns
    -------
    Collection
        Of a 34x34 sensor; samples in the order of the data set.

    Raises
    ------
    ArgumentError
        There is no such part.
    FileAccessError
        The cache folder cannot be written.
    """
    if part not in PART_SIZES:
        raise ArgumentError(f"part must be one of {', '.join(PART_SIZES)}, got {part!r}")
    from sklearn.datasets import load_digits

    data = load_digits()
    folder = find_cache_dir(cache_dir) / f"digits-{digest_parameters()}"
    chosen = split_indices(data.target, split_seed)[part]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileAccessError(
            f"{folder}: cannot be made ({error.strerror}); give another cache_dir or set SPIKELOOM_CACHE"
        ) from error
    paths = {index: folder / f"{index:04d}.bin" for index in chosen}
    missing = [index for index, path in paths.items() if not is_complete(path)]
    make_recordings(data.images, {index: paths[index] for index in missing}, on_progress)
    samples = tuple(Sample(path=paths[index], label=int(data.target[index])) for index in chosen)
    return Collection(
        name="digits", class_names=CLASS_NAMES, samples=samples, width=SENSOR_SIDE, height=SENSOR_SIDE
    )


def emulate_digit(image: npt.NDArray[np.float64], motion: Motion, *, seed: int) -> Recording:
    """
    Show one picture to the emulated sensor.

    Parameters
    ----------
    image : ndarray
        Values in 0..16, shape (8, 8).
    motion : Motion
        How it moves.
    seed : int
        Seed of the noise.

    Returns
    -------
    Recording
        Its events.
    """
    frames = np.clip(motion.rows @ (image / 16.0) @ motion.columns, 0.0, 1.0)
    return emulate_dvs(frames, motion.times_us, model=MODEL, seed=seed)


def make_motion(n_cells: int) -> Motion:
    """
    Make the matrices that move a picture over the sensor.

    Parameters
    ----------
    n_cells : int
        Cells along the picture's side.

    Returns
    -------
    Motion
        For square pictures of this side.
    """
    times_us, shifts = make_saccade_path()
    columns, rows = (
        make_projection(shifts[:, axis], n_cells=n_cells, n_pixels=SENSOR_SIDE, cell_pixels=CELL_PIXELS)
        for axis in (0, 1)
    )
    return Motion(times_us, rows, np.ascontiguousarray(columns.transpose(0, 2, 1)))


def make_recordings(
    images: npt.NDArray[np.float64], paths: dict[int, Path], on_progress: Callable[[int, int], None] | None
) -> None:
    """
    Emulate and write recordings, one after the other.

    Parameters
    ----------
    images : ndarray
        All pictures, shape (n_images, 8, 8).
    paths : dict of int to Path
        Index of each picture to show and the file to write.
    on_progress : callable or None
        Called with the number done and the number in all.
    """
    motion = make_motion(images.shape[1])
    for n_done, (index, path) in enumerate(paths.items(), start=1):
        recording = emulate_digit(images[index], motion, seed=index)
        write(path, recording, format="nmnist")
        if on_progress is not None:
            on_progress(n_done, len(paths))


def split_indices(labels: npt.NDArray[np.int64], split_seed: int) -> dict[str, list[int]]:
    """
    Split the data set, stratified by class.

    Parameters
    ----------
    labels : ndarray
        Class of each digit, shape (1797,).
    split_seed : int
        Seed of the split.

    Returns
    -------
    dict of str to list of int
        Sorted indices of each part.
    """
    from sklearn.model_selection import train_test_split

    everything = np.arange(len(labels))
    rest, test = train_test_split(
        everything, test_size=PART_SIZES["test"], stratify=labels, random_state=split_seed
    )
    train, validation = train_test_split(
        rest, test_size=PART_SIZES["validation"], stratify=labels[rest], random_state=split_seed
    )
    parts = {"train": train, "validation": validation, "test": test}
    return {name: sorted(int(index) for index in part) for name, part in parts.items()}


def find_cache_dir(cache_dir: str | os.PathLike[str] | None) -> Path:
    """
    Find the folder for generated recordings.

    Parameters
    ----------
    cache_dir : str, path-like or None
        The caller's word.

    Returns
    -------
    Path
        That, or the environment's SPIKELOOM_CACHE, or the user's cache folder.
    """
    if cache_dir is not None:
        return Path(cache_dir)
    if os.environ.get("SPIKELOOM_CACHE"):
        return Path(os.environ["SPIKELOOM_CACHE"])
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("spikeloom"))


def digest_parameters() -> str:
    """
    Sum up all that the recordings depend on.

    Returns
    -------
    str
        Version and twelve hexadecimal digits.
    """
    parameters = repr(
        (GENERATOR_VERSION, MODEL, SENSOR_SIDE, CELL_PIXELS, CORNERS_PIXELS.tolist(), MOVING_MS)
    )
    return f"v{GENERATOR_VERSION}-{hashlib.sha256(parameters.encode()).hexdigest()[:12]}"


def is_complete(path: Path) -> bool:
    """
    Say whether a recording is there and whole.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bool
        It holds a whole number of events, at least one.
    """
    try:
        size = path.stat().st_size
    except OSError:
        return False
    return size > 0 and size % 5 == 0
