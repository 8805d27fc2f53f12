"""Interrupted trainings: everything that the next epoch depends on, in one file, replaced as a whole."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuro.errors import InputError, ModelFileError
from neuro.graph.storage import replace_bytes
from neuro.training.frames import Frames, parts

_FORMAT = "spikeloom training checkpoint 1"


def fingerprint(arrays: tuple[Frames, ...], settings: tuple[object, ...]) -> str:
    """Digest of the data and settings of a training.

    Parameters
    ----------
    arrays : tuple[Frames, ...]
        Frames, and arrays of labels.
    settings : tuple[object, ...]
        Values whose repr tells them apart.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    digest = hashlib.sha256(repr(settings).encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        for part in parts(array):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def write_checkpoint(path: Path, key: str, values: dict[str, Any]) -> None:
    """Write a checkpoint; an interruption leaves the old file or the new one.

    Parameters
    ----------
    path : Path
        File to replace.
    key : str
        Fingerprint of the training.
    values : dict
        Tensors, numbers, texts, and lists and dicts of them.

    Raises
    ------
    ModelFileError
        The file cannot be written: its folder is gone or the disk is full.
    """
    content = io.BytesIO()
    torch.save({"format": _FORMAT, "key": key, **values}, content)
    replace_bytes(path, content.getbuffer())


def check_folder(path: Path) -> None:
    """Refuse a place where no checkpoint can be written, before anything is trained.

    Parameters
    ----------
    path : Path
        File to be written.

    Raises
    ------
    InputError
        Its folder does not exist or is not writable, or the path is a folder.
    """
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"checkpoint {path}: the folder {folder} does not exist; create it first")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"checkpoint {path}: cannot be written there; choose a file in a writable folder")


def read_checkpoint(path: Path, key: str) -> dict[str, Any] | None:
    """Read a checkpoint of the same training.

    Parameters
    ----------
    path : Path
        File written by `write_checkpoint`; None is returned when there is none.
    key : str
        Fingerprint of the training.

    Returns
    -------
    dict or None
        The values.

    Raises
    ------
    ModelFileError
        The file is damaged or not a checkpoint.
    InputError
        The checkpoint belongs to another training.
    """
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as err:  # torch raises whatever the content of a file leads it to
        raise ModelFileError(
            f"{path} is not a training checkpoint or is damaged; delete it to start anew"
        ) from err
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise ModelFileError(f"{path} is not a training checkpoint of this version; delete it to start anew")
    if values["key"] != key:
        raise InputError(
            f"{path} belongs to a training with other data, settings, seed or threads; "
            f"repeat those, or choose another file"
        )
    return dict(values)
