"""The data sets that a DATASET can name, and how a folder tells which of them it holds."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection as Names
from dataclasses import dataclass, replace
from pathlib import Path

from eventio import datasets
from eventio.datasets import Collection
from spikeloom.errors import UserError

#: N-Caltech101 shows pictures of at most this size; a single recording's size is derived and smaller.
_NCALTECH101_CANVAS = (240, 180)
_CIFAR10 = frozenset(
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
)
_LETTERS = frozenset("abcdefghiklmnopqrstuvwxy")


@dataclass(frozen=True)
class Layout:
    """A published data set: what its folder holds and which parts its authors made.

    Attributes
    ----------
    name : str
        What the commands call it.
    holds : str
        What its folder holds, in words.
    parts : tuple of str
        The published parts, of 'train', 'validation' and 'test'; none where the authors made no split.
    open : callable
        Gives a collection for (folder, part); part is 'all' where there is no split.
    fits : callable
        Says whether a folder that holds a set of names is one.
    """

    name: str
    holds: str
    parts: tuple[str, ...]
    open: Callable[[Path, str], Collection]
    fits: Callable[[Path, frozenset[str]], bool]


def _ncaltech101(root: Path, part: str) -> Collection:
    width, height = _NCALTECH101_CANVAS
    return replace(datasets.ncaltech101(root), width=width, height=height)


def _folders(root: Path) -> frozenset[str]:
    return frozenset(entry.name for entry in root.iterdir() if entry.is_dir())


def _has_parts(root: Path, names: Names[str], parts: tuple[str, str], fits: Callable[[str], bool]) -> bool:
    """Say whether one of two parts exists and all folders in those that do are classes."""
    found = [_folders(root / part) for part in parts if part in names]
    return any(found) and all(fits(label) for labels in found for label in labels)


def _is_car_label(label: str) -> bool:
    return label in ("background", "cars")


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "nmnist", "Train/ and Test/ with folders 0 to 9", ("train", "test"), datasets.nmnist,
        lambda root, names: _has_parts(root, names, ("Train", "Test"), str.isdecimal),
    ),
    Layout(
        "dvs_gesture", "trials_to_train.txt, trials_to_test.txt, .aedat files and their _labels.csv",
        ("train", "test"), datasets.dvs_gesture,
        lambda root, names: bool({"trials_to_train.txt", "trials_to_test.txt"} & names),
    ),
    Layout(
        "shd", "shd_train.h5 and shd_test.h5", ("train", "test"), datasets.shd,
        lambda root, names: bool({"shd_train.h5", "shd_test.h5"} & names),
    ),
    Layout(
        "ssc", "ssc_train.h5, ssc_valid.h5 and ssc_test.h5", ("train", "validation", "test"), datasets.ssc,
        lambda root, names: bool({"ssc_train.h5", "ssc_valid.h5", "ssc_test.h5"} & names),
    ),
    Layout(
        "ncars", "n-cars_train/ and n-cars_test/ with background/ and cars/", ("train", "test"), datasets.ncars,
        lambda root, names: _has_parts(root, names, ("n-cars_train", "n-cars_test"), _is_car_label)
        or _has_parts(root, names, ("train", "test"), _is_car_label),
    ),
    Layout(
        "dvs_sign", "train/ and test/ with folders 0, 1, ...", ("train", "test"), datasets.dvs_sign,
        lambda root, names: _has_parts(root, names, ("train", "test"), str.isdecimal),
    ),
    Layout(
        "ncaltech101", "Caltech101/ with a folder for each class", (), _ncaltech101,
        lambda root, names: "Caltech101" in names and bool(_folders(root / "Caltech101")),
    ),
    Layout(
        "cifar10_dvs", "a folder for each of the ten classes of CIFAR-10", (),
        lambda root, part: datasets.cifar10_dvs(root), lambda root, names: names >= _CIFAR10,
    ),
    Layout(
        "asl_dvs", "a folder for each of the letters a to y without j", (),
        lambda root, part: datasets.asl_dvs(root), lambda root, names: names >= _LETTERS,
    ),
)  # fmt: skip


def find_layout(name: str) -> Layout | None:
    """Find a data set by the name that the commands use; a hyphen counts as an underscore.

    Parameters
    ----------
    name : str
        Such as 'dvs_gesture'.

    Returns
    -------
    Layout or None
        None when there is no such data set.

    Examples
    --------
    >>> find_layout("dvs-gesture").parts
    ('train', 'test')
    """
    wanted = name.lower().replace("-", "_")
    return next((layout for layout in LAYOUTS if layout.name == wanted), None)


def recognise_layout(root: Path) -> Layout | None:
    """Say which data set a folder holds.

    Parameters
    ----------
    root : Path
        An existing folder.

    Returns
    -------
    Layout or None
        None for a folder LABEL/recording of one's own.

    Raises
    ------
    UserError
        When the folder holds neither.
    """
    names = frozenset(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    for layout in LAYOUTS:
        if layout.fits(root, names):
            return layout
    labels = sorted(label for label in _folders(root) if not label.startswith("."))
    if labels and not any(_folders(root / label) for label in labels):
        return None
    shown = ", ".join(sorted(names)[:4]) or "nothing"
    known = "; ".join(f"{layout.name}: {layout.holds}" for layout in LAYOUTS)
    raise UserError(
        f"{root}: not recognised as a data set; it holds {shown}{', ...' if len(names) > 4 else ''}, but must be a "
        f"folder LABEL/recording or one of these ({known})"
    )


def open_part(layout: Layout, root: Path, part: str) -> Collection:
    """Open a published part of a data set, or all of one without parts, without classes that have no recording.

    Parameters
    ----------
    layout : Layout
        Which data set.
    root : Path
        Its folder.
    part : str
        One of its parts, or 'all'.

    Returns
    -------
    Collection
        Its recordings; classes keep their order.

    Raises
    ------
    UserError
        When the part holds no recording.
    eventio.EventioError
        When a file is missing or foreign.
    """
    found = layout.open(root, part)
    present = sorted(set(found.labels))
    if not present:
        raise UserError(f"{root}: the {part} part of {layout.name} holds no recording; unpack it again")
    numbers = {label: number for number, label in enumerate(present)}
    samples = tuple(replace(sample, label=numbers[sample.label]) for sample in found.samples)
    names = tuple(found.class_names[label] for label in present)
    return replace(found, name=layout.name, class_names=names, samples=samples)
