"""What was made of samples, kept on disk: found again by content and parameters, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.datasets.collection import Collection
from eventio.errors import ArgumentError, FileAccessError, MissingFileError
from eventio.recording import Recording

LAYOUT = 1
BLOCK_BYTES = 1 << 20


class SampleCache:
    """
    A folder of arrays made of samples.

    An array's name is a digest of the file's content, of the part of it that the sample is, and of the name and
    parameters of what was done: a changed file or parameter never finds an old array. Any number of processes may use
    one folder at a time; each array appears whole or not at all, and a damaged one is made again.

    Parameters
    ----------
    folder : str or path-like
        Where the arrays are kept; made when it is missing.

    Raises
    ------
    FileAccessError
        The folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> import eventio
    >>> from eventio.datasets import Collection, Sample
    >>> folder = tempfile.mkdtemp()
    >>> events = eventio.make_events(t=[1, 2], x=[0, 3], y=[2, 2], p=[1, 0])
    >>> eventio.write(f"{folder}/a.bin", eventio.Recording(events, width=34, height=34))
    >>> collection = Collection("one", ("a",), (Sample(Path(f"{folder}/a.bin"), 0),), width=34, height=34)
    >>> cache = SampleCache(f"{folder}/cache")
    >>> count = lambda recording: eventio.representations.count_events(
    ...     recording.events, width=recording.width, height=recording.height
    ... )
    >>> [int(cache.get(collection, 0, "counts", count).sum()) for _ in range(2)], cache.n_made
    ([2, 2], 1)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.n_made = 0
        self._digests: dict[tuple[Path, int, int], str] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileAccessError(
                f"{self.folder}: cannot be made ({error.strerror}); choose another place"
            ) from error

    def get(
        self,
        collection: Collection,
        k: int,
        name: str,
        make: Callable[[Recording], npt.NDArray[Any]],
        *,
        parameters: Mapping[str, Any] | None = None,
    ) -> npt.NDArray[Any]:
        """
        Give what is made of a sample, from the cache or anew.

        Parameters
        ----------
        collection : Collection
            The collection.
        k : int
            Number of the sample.
        name : str
            What is made; change it when `make` changes.
        make : callable
            Turns a recording into an array without Python objects.
        parameters : mapping, optional
            Everything that `make` depends on: texts, numbers, truth values, None, and lists of them.

        Returns
        -------
        ndarray
            The array, in memory.

        Raises
        ------
        ArgumentError
            There is no such sample, a parameter is of another type, or the array holds Python objects.
        FileAccessError
            The cache cannot be written.
        MissingFileError, FormatError, OutOfSensorError
            As `Collection.read`.
        """
        path = self._path(collection, k, name, parameters or {})
        with contextlib.suppress(OSError, ValueError, EOFError):
            found: npt.NDArray[Any] = np.load(path, allow_pickle=False)
            return found
        array = np.asarray(make(collection.read(k)))
        if array.dtype.hasobject:
            raise ArgumentError(f"{name}: must make an array of numbers, got {array.dtype}")
        self.n_made += 1
        self._write(path, array)
        return array

    def _path(self, collection: Collection, k: int, name: str, parameters: Mapping[str, Any]) -> Path:
        if not 0 <= k < len(collection):
            raise ArgumentError(f"{collection.name}: sample must be in 0..{len(collection) - 1}, got {k}")
        sample = collection.samples[k]
        part = asdict(sample) | {"path": "", "label": 0, "size": [collection.width, collection.height]}
        content = self._digest(sample.path)
        try:
            text = json.dumps([LAYOUT, content, part, name, parameters], sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"{name}: parameters must be texts, numbers, truth values, None or lists of them ({error})"
            ) from error
        key = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / key[:2] / f"{key[2:]}.npy"

    def _digest(self, path: Path) -> str:
        try:
            state = path.stat()
            known = (path, state.st_size, state.st_mtime_ns)
            if known not in self._digests:
                digest = hashlib.sha256()
                with path.open("rb") as file:
                    while block := file.read(BLOCK_BYTES):
                        digest.update(block)
                self._digests[known] = digest.hexdigest()
        except FileNotFoundError as error:
            raise MissingFileError(f"{path}: there is no such file; check the path") from error
        except OSError as error:
            raise FileAccessError(f"{path}: cannot be read ({error.strerror or error})") from error
        return self._digests[known]

    def _write(self, path: Path, array: npt.NDArray[Any]) -> None:
        partial = None
        try:
            path.parent.mkdir(exist_ok=True)
            handle, partial = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                np.save(file, array, allow_pickle=False)
            Path(partial).replace(path)
        except OSError as error:
            raise FileAccessError(
                f"{path}: cannot be written ({error.strerror or error}); free some space or choose another folder"
            ) from error
        finally:
            if partial is not None:
                with contextlib.suppress(FileNotFoundError):
                    Path(partial).unlink()
