"""DVS128 Gesture: long recordings with annotation files, which say what happens when."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from eventio.datasets.collection import Collection, Sample
from eventio.datasets.published import choose
from eventio.errors import FileAccessError, FormatError, MissingFileError

CLASS_NAMES = (
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise", "right arm counter clockwise",
    "left arm clockwise", "left arm counter clockwise", "arm roll", "air drums", "air guitar", "other gestures",
)  # fmt: skip
COLUMNS = ["class", "startTime_usec", "endTime_usec"]


def dvs_gesture(path: str | os.PathLike[str], part: str) -> Collection:
    """
    Take the folder of DVS128 Gesture: `.aedat` recordings, `_labels.csv` beside each, and the two lists of trials.

    Each line of a recording's annotations is a sample: a gesture from a start to an end.

    Parameters
    ----------
    path : str or path-like
        The folder that holds `trials_to_train.txt` and `trials_to_test.txt`.
    part : {"train", "test"}
        Which part, as published: 23 people to train, 6 to test.

    Returns
    -------
    Collection
        Of a 128x128 sensor; samples in the order of the list and of the annotations.

    Raises
    ------
    ArgumentError
        There is no such part.
    MissingFileError
        A list, a recording or its annotations are missing.
    FormatError
        An annotation is no class and two times.

    Notes
    -----
    Source: Amir et al., "A low power, fully event-based gesture recognition system", CVPR 2017.
    """
    root = Path(path)
    listing = root / choose(part, {"train": "trials_to_train.txt", "test": "trials_to_test.txt"})
    names = [line.strip() for line in read_text(listing).splitlines() if line.strip()]
    samples: list[Sample] = []
    for name in names:
        recording = root / name
        if not recording.is_file():
            raise MissingFileError(
                f"{recording}: is named in {listing.name} but does not exist; unpack all files"
            )
        samples += read_annotations(recording)
    if not samples:
        raise FormatError(f"{listing}: names no trial; unpack it again")
    return Collection(f"dvs_gesture {part}", CLASS_NAMES, tuple(samples), width=128, height=128)


def read_annotations(recording: Path) -> list[Sample]:
    """
    Read what happens when in a recording.

    Parameters
    ----------
    recording : Path
        The recording; its annotations end in `_labels.csv`.

    Returns
    -------
    list of Sample
        One for each line.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        As `dvs_gesture`.
    """
    place = recording.with_name(f"{recording.stem}_labels.csv")
    rows = list(csv.reader(read_text(place).splitlines()))
    if not rows or [each.strip() for each in rows[0]] != COLUMNS:
        raise FormatError(f"{place}: must begin with the line {','.join(COLUMNS)}; unpack it again")
    samples = []
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            label, start_us, stop_us = (int(value) for value in row)
        except ValueError as error:
            raise FormatError(f"{place}: line {number} must hold three whole numbers, got {row}") from error
        if not 1 <= label <= len(CLASS_NAMES) or stop_us <= start_us:
            raise FormatError(
                f"{place}: line {number} must hold a class in 1..{len(CLASS_NAMES)} and two increasing times, got {row}"
            )
        samples.append(Sample(recording, label - 1, start_us=start_us, stop_us=stop_us))
    return samples


def read_text(path: Path) -> str:
    """
    Read a small text file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        What it says.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError
        It does not exist, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: there is no such file; give the folder that was unpacked") from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: is no text; unpack it again") from error
