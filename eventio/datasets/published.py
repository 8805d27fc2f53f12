"""
Published collections in the folders they are unpacked to; nothing is downloaded.

Where the authors publish a split, `part` asks for it; where they do not, the whole collection is given and the caller
splits it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from eventio.datasets.collection import Collection, Sample
from eventio.datasets.folders import folder
from eventio.errors import ArgumentError, FormatError, MissingFileError

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
LETTERS = tuple("abcdefghiklmnopqrstuvwxy")


def nmnist(path: str | os.PathLike[str], part: str) -> Collection:
    """
    Take the folder of N-MNIST: `Train` and `Test`, each with a folder for each digit.

    Parameters
    ----------
    path : str or path-like
        The folder that holds `Train` and `Test`.
    part : {"train", "test"}
        Which part, as published.

    Returns
    -------
    Collection
        Of a 34x34 sensor.

    Raises
    ------
    ArgumentError
        There is no such part.
    MissingFileError, FileAccessError, FormatError
        The folder is another.

    Notes
    -----
    Source: Orchard, Jayawant, Cohen, Thakor, "Converting static image datasets to spiking neuromorphic datasets using
    saccades", Frontiers in Neuroscience 9, 2015; `ncaltech101` is from the same paper.
    """
    names = choose(part, {"train": "Train", "test": "Test"})
    found = ordered(find(path, names), "nmnist", class_names=tuple("0123456789"))
    return replace(found, name=f"nmnist {part}", width=34, height=34)


def ncaltech101(path: str | os.PathLike[str]) -> Collection:
    """
    Take the folder of N-Caltech101: a folder for each class. No split is published.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the class folders, or `Caltech101` with them.

    Returns
    -------
    Collection
        Sensors differ in size; each recording's is derived.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        The folder is another.
    """
    root = Path(path)
    inner = root / "Caltech101"
    found = folder(inner if inner.is_dir() else root, name="ncaltech101")
    return replace(found, samples=tuple(replace(each, format="nmnist") for each in found.samples))


def ncars(path: str | os.PathLike[str], part: str) -> Collection:
    """
    Take the folder of N-CARS: `n-cars_train` and `n-cars_test` with `cars` and `background`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the two parts (named so, or `train` and `test`).
    part : {"train", "test"}
        Which part, as published.

    Returns
    -------
    Collection
        Of a 120x100 part of a sensor.

    Raises
    ------
    ArgumentError
        There is no such part.
    MissingFileError, FileAccessError, FormatError
        The folder is another.

    Notes
    -----
    Source: Sironi et al., "HATS", CVPR 2018.
    """
    choose(part, {"train": "", "test": ""})
    found = ordered(find(path, f"n-cars_{part}", part), "ncars", class_names=("background", "cars"))
    return replace(found, name=f"ncars {part}", width=120, height=100)


def cifar10_dvs(path: str | os.PathLike[str]) -> Collection:
    """
    Take the folder of CIFAR10-DVS: a folder for each of ten classes. No split is published.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the class folders.

    Returns
    -------
    Collection
        Of a 128x128 sensor; `.aedat` files are read as of a DVS128, since their header may not name the chip.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        The folder is another.

    Notes
    -----
    Source: Li, Liu, Ji, Li, Shi, "CIFAR10-DVS: an event-stream dataset for object classification", Frontiers in
    Neuroscience 11, 2017.
    """
    found = ordered(Path(path), "cifar10-dvs", class_names=CIFAR10_CLASSES)
    samples = tuple(
        replace(each, format="aedat2-dvs128") if each.path.suffix.lower() == ".aedat" else each
        for each in found.samples
    )
    return replace(found, samples=samples, width=128, height=128)


def dvs_sign(path: str | os.PathLike[str], part: str) -> Collection:
    """
    Take the folder of DVS_Sign: `train` and `test` with a folder for each of the gestures 0, 1, ...

    Parameters
    ----------
    path : str or path-like
        The folder that holds `train` and `test`.
    part : {"train", "test"}
        Which part, as published.

    Returns
    -------
    Collection
        Of a 128x128 sensor (video turned into events: times lie on a grid).

    Raises
    ------
    ArgumentError
        There is no such part.
    MissingFileError, FileAccessError, FormatError
        The folder is another.

    Notes
    -----
    Source: doi 10.3390/electronics12040786, 2023.
    """
    choose(part, {"train": "", "test": ""})
    found = ordered(find(path, part), "dvs_sign", class_names=None)
    return replace(found, name=f"dvs_sign {part}", width=128, height=128)


def asl_dvs(path: str | os.PathLike[str]) -> Collection:
    """
    Take the folder of ASL-DVS: a folder for each of 24 letters (no j, no z). No split is published.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the letters.

    Returns
    -------
    Collection
        Of a 240x180 sensor; the files count rows from the bottom, which reading turns.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        The folder is another.

    Notes
    -----
    Source: Bi, Chadha, Abbas, Bourtsoulatze, Andreopoulos, "Graph-based object classification for neuromorphic vision
    sensing", ICCV 2019.
    """
    found = ordered(Path(path), "asl-dvs", class_names=LETTERS)
    samples = tuple(replace(each, is_upside_down=True) for each in found.samples)
    return replace(found, samples=samples, width=240, height=180)


def choose(part: str, parts: dict[str, str]) -> str:
    """
    Refuse a part that a collection does not have.

    Parameters
    ----------
    part : str
        What is asked for.
    parts : dict of str to str
        The parts, and what they are called on disk.

    Returns
    -------
    str
        What the part is called on disk.

    Raises
    ------
    ArgumentError
        There is no such part.
    """
    if part not in parts:
        raise ArgumentError(f"part must be one of {', '.join(parts)}, got {part!r}")
    return parts[part]


def find(path: str | os.PathLike[str], *names: str) -> Path:
    """
    Find a part's folder.

    Parameters
    ----------
    path : str or path-like
        Where the collection is.
    *names : str
        What the folder may be called.

    Returns
    -------
    Path
        The first that exists.

    Raises
    ------
    MissingFileError
        None does.
    """
    for name in names:
        if (Path(path) / name).is_dir():
            return Path(path) / name
    raise MissingFileError(f"{path}: holds no folder {' or '.join(names)}; give the folder that was unpacked")


def ordered(root: Path, name: str, *, class_names: tuple[str, ...] | None) -> Collection:
    """
    Take a folder LABEL/recording whose classes have an order of their own.

    Parameters
    ----------
    root : Path
        The folder.
    name : str
        What to call the collection.
    class_names : tuple of str or None
        All classes in order; None: the folders are numbers and sorted as such.

    Returns
    -------
    Collection
        Labels count in that order; a class without a folder has no samples.

    Raises
    ------
    FormatError
        There is a folder for another class.
    """
    found = folder(root, name=name)
    known = class_names
    if known is None:
        numbers = [each for each in found.class_names if each.isdecimal()]
        known = tuple(sorted(numbers, key=int))
    others = [each for each in found.class_names if each not in known]
    if others:
        expected = ", ".join(known) if class_names else "numbers"
        raise FormatError(f"{root / others[0]}: is no class of {name}; its folders are {expected}")
    samples = [Sample(each.path, known.index(found.class_names[each.label])) for each in found.samples]
    return Collection(name, known, tuple(sorted(samples, key=lambda each: each.label)))
