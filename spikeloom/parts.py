"""Named parts of the data sets: what a model was trained with, chosen with and tested with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from eventio.datasets import Collection
from spikeloom.datasets import evaluation_part, has_test_part, training_parts
from spikeloom.errors import UserError

Part = Literal["validation", "test", "train", "all"]
PARTS: tuple[Part, ...] = get_args(Part)


def named_part(dataset: str, part: Part, *, data: Path | None, seed: int) -> Collection:
    """Find a part of a data set, drawn as `spikeloom train` draws it.

    Parameters
    ----------
    dataset : str
        One of `spikeloom.datasets.DATASETS`, the folder of one, or a folder LABEL/recording.
    part : {'validation', 'test', 'train', 'all'}
        Which part; a folder has no test part, and only a folder has 'all'.
    data : Path, optional
        Folder of a downloaded data set; needed where `dataset` is a name other than digits.
    seed : int
        Seed of the training that the model comes from: it draws the validation part.

    Returns
    -------
    Collection
        The recordings; its name says the part.

    Raises
    ------
    UserError
        When there is no such part, the name is unknown or its folder is missing.
    """
    if part in ("train", "validation"):
        training, validation = training_parts(dataset, data=data, seed=seed)
        return training if part == "train" else validation
    is_folder = not has_test_part(dataset, data=data)
    if is_folder and part == "test":
        raise UserError(f"{dataset}: a folder has no test part; choose --part validation, train or all")
    if not is_folder and part == "all":
        raise UserError(f"{dataset}: choose --part validation, test or train; all is for folders")
    return evaluation_part(dataset, data=data)
