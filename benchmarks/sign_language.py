"""The sign-language recordings (DVS_Sign, 15 classes, 40 for training and 10 for testing each) as frames of counts."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from splits import data_dir

N_FRAMES, BIN_US, SIDE, MOST = 20, 200_000, 32, 15
SENSOR = 128
N_VALIDATION = 120  # of the 600 training recordings, 8 of each class

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]  # frames (n, T, 2, SIDE, SIDE), labels


class SignParts(NamedTuple):
    """Training part, validation part (chooses the model and its thresholds), the set's own test part."""

    train: Part
    validation: Part
    test: Part


def sign_split(seed: int) -> SignParts:
    """Read the set; the validation part is drawn by `seed` from its training part, stratified."""
    frames, labels, is_test = sign_frames()
    training = np.flatnonzero(~is_test)
    first, second = train_test_split(
        training, test_size=N_VALIDATION, stratify=labels[training], random_state=seed
    )
    chosen = (np.sort(first), np.sort(second), np.flatnonzero(is_test))
    return SignParts(*((frames[part], labels[part]) for part in chosen))


def sign_frames() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """Return frames, labels and the set's own mark of test recordings.

    A frame counts the events of 200 ms in blocks of 4 x 4 pixels, up to 15 in each; 20 frames from the first event on
    (3 % of the events come later and are left out).
    """
    root = data_dir()
    if root is None:
        raise SystemExit("no sign-language recordings: set SPIKELOOM_DATA to the folder that holds dvs_sign")
    with np.load(root / "dvs_sign" / "dvs_sign15_full.npz") as file:
        offsets, steps = file["offsets"].astype(np.int64), file["dt"].astype(np.int64)
        rows, columns = (file[name].astype(np.int64) // (SENSOR // SIDE) for name in ("y", "x"))
        polarity = np.unpackbits(file["p"])[: steps.size].astype(np.int64)
        labels, is_test = file["label"].astype(np.int64), file["is_test"]
    frames = np.zeros((len(labels), N_FRAMES, 2, SIDE, SIDE), np.uint8)
    for k, (start, stop) in enumerate(pairwise(offsets)):
        part = slice(start, stop)
        t_us = np.cumsum(steps[part])
        frame = (t_us - t_us[0]) // BIN_US
        entry = ((frame * 2 + polarity[part]) * SIDE + rows[part]) * SIDE + columns[part]
        counts = np.bincount(entry[frame < N_FRAMES], minlength=frames[k].size)
        frames[k] = np.minimum(counts, MOST).reshape(frames[k].shape)
    return frames, labels, is_test
