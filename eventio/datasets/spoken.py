"""Spoken words as spikes of 700 channels of a model of the cochlea: SHD and SSC, an HDF5 file for each part."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.child_files import ChildFile
from eventio.datasets.collection import Collection, Sample
from eventio.datasets.published import choose
from eventio.errors import FileAccessError, FormatError, MissingFileError
from eventio.recording import Metadata, Recording, make_events

N_CHANNELS = 700
MOST_CLASSES = 10_000
LONGEST_S = 1e6
TIMES, UNITS, LABELS = "spikes/times", "spikes/units", "labels"


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
    words = open_file(path)
    labels = words.read_labels()
    n = words.n_words
    if len(labels) != n or n == 0 or labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise FormatError(
            f"{path}: labels, times and units must be as many, at least one, with labels in 0..{MOST_CLASSES - 1}, got "
            f"{len(labels)} labels and {n} words; download it again"
        )
    keys = words.keys
    if len(keys) <= int(labels.max()):
        keys = tuple(str(k) for k in range(int(labels.max()) + 1))
    samples = tuple(Sample(path, int(label), entry=k) for k, label in enumerate(labels))
    return Collection(name, keys, samples, width=N_CHANNELS, height=1)


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
    words = open_file(path)
    if not 0 <= entry < words.n_words:
        raise FormatError(f"{path}: holds {words.n_words} words, number {entry} is asked for")
    seconds, channels = words.read_word(entry)
    if seconds.shape != channels.shape or not (np.abs(seconds) < LONGEST_S).all():
        raise FormatError(f"{path}: word {entry} must have a finite time for each channel")
    is_channel = (channels >= 0) & (channels < N_CHANNELS) & (channels % 1 == 0)
    if not is_channel.all():
        raise FormatError(
            f"{path}: word {entry} has channel {channels[~is_channel][0]:g}; they are 0..{N_CHANNELS - 1}"
        )
    events = make_events(
        t=np.rint(seconds * 1e6).astype(np.int64),
        x=channels.astype(np.int64),
        y=np.zeros(len(channels), np.int64),
        p=np.ones(len(channels), bool),
    )
    return Recording(events, width=N_CHANNELS, height=1, metadata=Metadata(format="spoken", path=path))


class WordFile:
    """
    An open file of words, read by a process of its own, since the library may crash on damaged files or never return.

    Parameters
    ----------
    path : Path
        The HDF5 file.

    Raises
    ------
    FormatError
        It holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            self._child = ChildFile(path)
        except FormatError as error:
            raise self._refuse(error) from error
        found = self._child.contents
        ragged, arrays = found["ragged"], found["arrays"]
        if not {TIMES, UNITS} <= ragged.keys() or ragged[TIMES] != ragged[UNITS] or LABELS not in arrays:
            raise FormatError(
                f"{path}: is no file of spikes and labels: needed are {TIMES}, {UNITS} (as many) and {LABELS}; "
                "download it again"
            )
        self.n_words = int(ragged[TIMES])
        self.keys: tuple[str, ...] = tuple(found["texts"].get("extra/keys", ()))
        kind, shape, _, _ = arrays[LABELS]
        if not isinstance(kind, str) or np.dtype(kind).kind not in "iu" or len(shape) != 1:
            raise FormatError(f"{path}: {LABELS} must be a row of whole numbers; download it again")
        self._labels = np.dtype(kind), int(shape[0])

    def read_labels(self) -> npt.NDArray[np.int64]:
        """
        Read the label of each word.

        Returns
        -------
        ndarray
            int64, shape (n,).
        """
        dtype, n = self._labels
        _, data = self._ask({"read": [[LABELS, 0]], "start": 0, "stop": n})
        return np.frombuffer(data, dtype).astype(np.int64)

    def read_word(self, entry: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """
        Read one word.

        Parameters
        ----------
        entry : int
            Its number, 0 to n_words - 1.

        Returns
        -------
        tuple of (ndarray, ndarray)
            float64, shapes (n,) each unless the file is damaged: times in seconds, and channels.
        """
        found, data = self._ask({"rows": [TIMES, UNITS], "at": entry})
        n_bytes = int(found["sizes"][0])
        return np.frombuffer(data[:n_bytes], "<f8"), np.frombuffer(data[n_bytes:], "<f8")

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        try:
            with self._lock:
                return self._child.ask(request)
        except FormatError as error:
            opened.cache_clear()
            raise self._refuse(error) from error

    def _refuse(self, error: FormatError) -> FormatError:
        return FormatError(f"{self._path}: is no file of spikes and labels ({error}); download it again")


def open_file(path: Path) -> WordFile:
    """
    Open a file of words, or give the one that is open.

    Parameters
    ----------
    path : Path
        The HDF5 file.

    Returns
    -------
    WordFile
        To be used by this process alone.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        As `shd`.
    """
    try:
        state = path.stat()
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path}: there is no such file; unpack it (gunzip) and give its folder"
        ) from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not path.is_file():
        raise FileAccessError(f"{path}: is a folder where a file should be")
    return opened(path.absolute(), (state.st_size, state.st_mtime_ns), os.getpid())


@lru_cache(maxsize=4)
def opened(path: Path, state: tuple[int, int], process: int) -> WordFile:
    """
    Open a file of words; the last few stay open.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    state : tuple of (int, int)
        Size and time of change: a changed file is opened anew.
    process : int
        Of whom: a forked process opens its own.

    Returns
    -------
    WordFile
        The file.

    Raises
    ------
    FormatError
        As `shd`.
    """
    del state, process
    return WordFile(path)
