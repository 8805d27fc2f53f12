"""What the argument DATASET of the commands stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eventio import datasets
from eventio.datasets import Collection
from spikeloom.errors import UserError
from spikeloom.layouts import LAYOUTS, Layout, find_layout, open_part, recognise_layout

#: Part of the training recordings that is set aside to choose the model, where a data set has no such part.
VALIDATION_SHARE = 0.11
#: Part of a published data set that is set aside as its test part, where the authors made no split.
TEST_SHARE = 0.1
#: Draws that part: always the same, so that no model has seen its recordings.
TEST_SEED = 2026

DATASETS = ("digits", *(layout.name for layout in LAYOUTS))


def training_parts(dataset: str, *, data: Path | None, seed: int) -> tuple[Collection, Collection]:
    """Find the recordings to train with and those to choose the model with.

    `digits` and `ssc` have a validation part of their own; elsewhere a stratified 11 % of the training part is
    drawn by `seed`. A published data set without a split first gives a tenth of each class to its test part.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`, the folder of one of them, or a folder LABEL/recording.
    data : Path, optional
        Folder of a downloaded data set; needed where `dataset` is a name other than digits.
    seed : int
        Seed of the split.

    Returns
    -------
    tuple of Collection
        Training part and validation part.

    Raises
    ------
    UserError
        When the name is unknown, its folder is missing, or the folder is not recognised.
    """
    if dataset == "digits":
        _refuse_data(dataset, data)
        return datasets.digits("train"), datasets.digits("validation")
    layout, root = _find(dataset, data)
    if layout is None:
        return split(datasets.folder(root), share=VALIDATION_SHARE, seed=seed)
    if not layout.parts:
        return split(_drawn(layout, root)[0], share=VALIDATION_SHARE, seed=seed)
    training = open_part(layout, root, "train")
    if "validation" in layout.parts:
        return training, open_part(layout, root, "validation")
    return split(training, share=VALIDATION_SHARE, seed=seed)


def evaluation_part(dataset: str, *, data: Path | None) -> Collection:
    """Find the recordings to evaluate with: the test part, or a folder as it is.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`, the folder of one of them, or a folder LABEL/recording.
    data : Path, optional
        Folder of a downloaded data set; needed where `dataset` is a name other than digits.

    Returns
    -------
    Collection
        The recordings, which training never sees.

    Raises
    ------
    UserError
        When the name is unknown, its folder is missing, or the folder is not recognised.
    """
    if dataset == "digits":
        _refuse_data(dataset, data)
        return datasets.digits("test")
    layout, root = _find(dataset, data)
    if layout is None:
        return datasets.folder(root)
    return open_part(layout, root, "test") if layout.parts else _drawn(layout, root)[1]


def has_test_part(dataset: str, *, data: Path | None) -> bool:
    """Say whether a data set keeps recordings for the end; a folder LABEL/recording does not.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`, the folder of one of them, or a folder LABEL/recording.
    data : Path, optional
        Folder of a downloaded data set.

    Returns
    -------
    bool
        Whether `evaluation_part` gives recordings that no training part holds.

    Raises
    ------
    UserError
        As `training_parts`.
    """
    return dataset == "digits" or _find(dataset, data)[0] is not None


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


def _drawn(layout: Layout, root: Path) -> tuple[Collection, Collection]:
    """Split what the authors did not: nine tenths to train with, a tenth to test with."""
    whole = open_part(layout, root, "all")
    training, test = split(whole, share=TEST_SHARE, seed=TEST_SEED)
    return replace(training, name=whole.name), replace(test, name=whole.name)


def _find(dataset: str, data: Path | None) -> tuple[Layout | None, Path]:
    """Give the layout, None for a folder of one's own, and the folder."""
    layout = find_layout(dataset)
    if layout is not None and (data is not None or not Path(dataset).is_dir()):
        if data is None:
            raise UserError(f"{dataset}: say where the recordings are, --data DIR; DIR holds {layout.holds}")
        if not data.is_dir():
            raise UserError(f"{dataset}: {data} is no folder; --data DIR must hold {layout.holds}")
        return layout, data
    root = Path(dataset)
    if not root.is_dir():
        raise UserError(
            f"{dataset}: neither a data set ({', '.join(DATASETS)}) nor a folder; "
            "give one of the form LABEL/recording"
        )
    _refuse_data(dataset, data)
    return recognise_layout(root), root


def _refuse_data(dataset: str, data: Path | None) -> None:
    if data is not None:
        raise UserError(
            f"{dataset}: --data belongs to downloaded data sets ({', '.join(DATASETS[1:])}); leave it out"
        )
