"""Spoken words as spikes of 700 channels of a model of the cochlea: SHD and SSC, an HDF5 file for each part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from eventio.datasets.collection import Collection, Sample
from eventio.datasets.published import choose
from eventio.errors import FileAccessError, FormatError, MissingFileError
from eventio.recording import Metadata, Recording, make_events

N_CHANNELS = 700


def shd(path: str | os.PathLike[str], part: str) -> Collection:
    """
    Take the Spiking Heidelberg Digits: `shd_train.h5` and `shd_test.h5`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the files.
    part : {"train", "test"}
        Which part, as published.

    Returns
    -------
    Collection
        20 classes; a recording is 700 pixels wide, one high, all events ON.

    Raises
    ------
    ArgumentError
        There is no such part.
    MissingFileError, FileAccessError, FormatError
        The file does not exist, cannot be read, or holds something else.

    Notes
    -----
    Source: Cramer, Stradmann, Schemmel, Zenke, "The Heidelberg spiking data sets for the systematic evaluation of
    spiking neural networks", IEEE TNNLS 33(7), 2022, as is `ssc`.
    """
    name = choose(part, {"train": "shd_train.h5", "test": "shd_test.h5"})
    return open_words(Path(path) / name, f"shd {part}")


def ssc(path: str | os.PathLike[str], part: str) -> Collection:
    """
    Take the Spiking Speech Commands: `ssc_train.h5`, `ssc_valid.h5` and `ssc_test.h5`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the files.
    part : {"train", "validation", "test"}
        Which part, as published.

    Returns
    -------
    Collection
        35 classes; a recording is 700 pixels wide, one high, all events ON.

    Raises
    ------
    ArgumentError
        There is no such part.
    MissingFileError, FileAccessError, FormatError
        The file does not exist, cannot be read, or holds something else.
    """
    name = choose(part, {"train": "ssc_train.h5", "validation": "ssc_valid.h5", "test": "ssc_test.h5"})
    return open_words(Path(path) / name, f"ssc {part}")


def open_words(path: Path, name: str) -> Collection:
    """
    List the words of a file.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    name : str
        What to call the collection.

    Returns
    -------
    Collection
        Class names are the file's keys, or numbers where it has none.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        As `shd`.
    """
    with opened(path) as file:
        labels = np.asarray(file["labels"][()]).astype(np.int64)
        n = len(file["spikes/times"])
        if labels.shape != (n,) or len(file["spikes/units"]) != n or n == 0 or labels.min() < 0:
            raise FormatError(f"{path}: labels, times and units must be as many, got {labels.shape} and {n}")
        keys = [bytes(key).decode("utf-8") for key in file["extra/keys"][()]] if "extra/keys" in file else []
    if len(keys) <= int(labels.max()):
        keys = [str(k) for k in range(int(labels.max()) + 1)]
    samples = tuple(Sample(path, int(label), entry=k) for k, label in enumerate(labels))
    return Collection(name, tuple(keys), samples, width=N_CHANNELS, height=1)


def read_spikes(path: Path, entry: int) -> Recording:
    """
    Read one word.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    entry : int
        Its number in the file.

    Returns
    -------
    Recording
        x is the channel; times are seconds of the file, rounded to whole microseconds (the file keeps 16 bits of
        them).

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        As `shd`; FormatError, too, if a channel is not in 0..699 or a time is no number.
    """
    with opened(path) as file:
        times, units = file["spikes/times"], file["spikes/units"]
        if not 0 <= entry < min(len(times), len(units)):
            raise FormatError(f"{path}: holds {len(times)} words, number {entry} is asked for")
        seconds = np.asarray(times[entry], np.float64)
        channels = np.asarray(units[entry]).astype(np.int64)
    if seconds.shape != channels.shape or seconds.ndim != 1 or not np.isfinite(seconds).all():
        raise FormatError(f"{path}: word {entry} must have a finite time for each channel")
    if len(channels) and not 0 <= channels.min() <= channels.max() < N_CHANNELS:
        raise FormatError(f"{path}: word {entry} has channel {channels.max()}; they are 0..{N_CHANNELS - 1}")
    events = make_events(
        t=np.rint(seconds * 1e6).astype(np.int64), x=channels, y=0 * channels, p=np.ones(len(channels), bool)
    )
    return Recording(events, width=N_CHANNELS, height=1, metadata=Metadata(format="spoken", path=path))


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """
    Open an HDF5 file of words.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    h5py.File
        The file.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        As `shd`.
    """
    import h5py

    if not path.exists():
        raise MissingFileError(f"{path}: there is no such file; unpack it (gunzip) and give its folder")
    if not path.is_file():
        raise FileAccessError(f"{path}: is a folder where a file should be")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, UnicodeDecodeError, RuntimeError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: is no file of spikes and labels ({error}); download it again") from error
