"""What the argument DATASET of the commands stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eventio import datasets
from eventio.datasets import Collection
from spikeloom.errors import UserError

#: Part of the training recordings that is set aside to choose the model, where a data set has no such part.
VALIDATION_SHARE = 0.11

_NMNIST_SENSOR = (34, 34)


def training_parts(dataset: str, *, data: Path | None, seed: int) -> tuple[Collection, Collection]:
    """Find the recordings to train with and those to choose the model with.

    `digits` has a validation part of its own; elsewhere a stratified 11 % is drawn by `seed`.

    Parameters
    ----------
    dataset : str
        'digits', 'nmnist', or a folder LABEL/recording.
    data : Path, optional
        Folder of a downloaded data set; needed for nmnist.
    seed : int
        Seed of the split.

    Returns
    -------
    tuple of Collection
        Training part and validation part.

    Raises
    ------
    UserError
        When the name is unknown or its folder is missing.
    """
    if dataset == "digits":
        _refuse_data(dataset, data)
        return datasets.digits("train"), datasets.digits("validation")
    if dataset == "nmnist":
        return split(_nmnist(data, "Train"), share=VALIDATION_SHARE, seed=seed)
    return split(_folder(dataset, data), share=VALIDATION_SHARE, seed=seed)


def evaluation_part(dataset: str, *, data: Path | None) -> Collection:
    """Find the recordings to evaluate with: the test part, or a folder as it is.

    Parameters
    ----------
    dataset : str
        'digits', 'nmnist', or a folder LABEL/recording.
    data : Path, optional
        Folder of a downloaded data set; needed for nmnist.

    Returns
    -------
    Collection
        The recordings, which training never sees.

    Raises
    ------
    UserError
        When the name is unknown or its folder is missing.
    """
    if dataset == "digits":
        _refuse_data(dataset, data)
        return datasets.digits("test")
    if dataset == "nmnist":
        return _nmnist(data, "Test")
    return _folder(dataset, data)


def split(collection: Collection, *, share: float, seed: int) -> tuple[Collection, Collection]:
    """Split a collection so that each class gives the same share, at least one recording.

    Parameters
    ----------
    collection : Collection
        At least two recordings of each class.
    share : float
        Share of the second part, between 0 and 1.
    seed : int
        Seed of the draw.

    Returns
    -------
    tuple of Collection
        The larger and the smaller part, both in the order of `collection`.

    Raises
    ------
    UserError
        When there is one class only, or a class has a single recording.

    Examples
    --------
    >>> samples = tuple(datasets.Sample(Path(f"{n}.bin"), label=n % 2) for n in range(40))
    >>> whole = Collection("toy", ("even", "odd"), samples, width=34, height=34)
    >>> [len(part.samples) for part in split(whole, share=0.1, seed=0)]
    [36, 4]
    """
    if len(collection.class_names) < 2:
        raise UserError(
            f"{collection.name}: '{collection.class_names[0]}' is the only class, but training needs at least 2 "
            "to tell apart; add a folder with recordings of another"
        )
    labels = np.array([sample.label for sample in collection.samples], np.int64)
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    for label, name in enumerate(collection.class_names):
        members = np.flatnonzero(labels == label)
        if members.size < 2:
            raise UserError(
                f"{collection.name}: class '{name}' has too few recordings ({members.size}); training needs at "
                "least 2, one of them to choose the model with; add recordings"
            )
        n_chosen = max(1, round(share * members.size))
        chosen.extend(generator.permutation(members)[:n_chosen].tolist())
    rest = sorted(set(range(labels.size)) - set(chosen))
    return _part(collection, rest, "train"), _part(collection, sorted(chosen), "validation")


def _part(collection: Collection, positions: Sequence[int], name: str) -> Collection:
    samples = tuple(collection.samples[n] for n in positions)
    return replace(collection, name=f"{collection.name} ({name})", samples=samples)


def _nmnist(data: Path | None, part: str) -> Collection:
    if data is None:
        raise UserError("nmnist: say where the recordings are, --data DIR with DIR/Train and DIR/Test")
    folder = data / part
    if not folder.is_dir():
        raise UserError(f"nmnist: {folder} does not exist; --data DIR must hold Train/ and Test/")
    collection = datasets.folder(folder, name=f"nmnist {part}")
    return replace(collection, width=_NMNIST_SENSOR[0], height=_NMNIST_SENSOR[1])


def _folder(dataset: str, data: Path | None) -> Collection:
    path = Path(dataset)
    if not path.is_dir():
        raise UserError(
            f"{dataset}: neither a data set (digits, nmnist) nor a folder; "
            "give one of the form LABEL/recording"
        )
    _refuse_data(dataset, data)
    return datasets.folder(path)


def _refuse_data(dataset: str, data: Path | None) -> None:
    if data is not None:
        raise UserError(f"{dataset}: --data belongs to nmnist only; leave it out")
