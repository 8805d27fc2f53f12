"""Reading and writing model files: HDF5 with the group `graph` and the group `recognizer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

import neuro
import neuro.graph
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.release import release

if TYPE_CHECKING:
    from spikeloom.recognizer import Recognizer

FORMAT_VERSION = 1

_INTEGERS = ("width", "height", "n_frames", "bin_us", "filter_window_us", "seed")


def shipped_model() -> Path:
    """Find the model of the digits that comes with the package.

    Returns
    -------
    Path
        A model file, made by `spikeloom train digits --seed 0`.

    Examples
    --------
    >>> shipped_model().name
    'digits.h5'
    """
    return Path(__file__).resolve().parent / "models" / "digits.h5"


def save_recognizer(recognizer: Recognizer, path: str | Path) -> None:
    """Write a model file; it appears complete or not at all.

    Parameters
    ----------
    recognizer : Recognizer
        What to write.
    path : str or Path
        The HDF5 file.

    Raises
    ------
    neuro.ModelFileError
        When the file cannot be written.
    """
    encoding, attention = recognizer.encoding, recognizer.attention
    with neuro.graph.replaced_file(path) as file:
        neuro.graph.write_graph(file.create_group("graph"), recognizer.graph)
        group = file.create_group("recognizer")
        group.attrs["version"] = FORMAT_VERSION
        group.attrs["spikeloom_version"] = release()
        for name in ("width", "height", "n_frames", "bin_us", "filter_window_us"):
            group.attrs[name] = getattr(encoding, name)
        group.attrs["class_names"] = np.array(recognizer.class_names, dtype=h5py.string_dtype())
        if attention is not None:
            group.attrs["attention_threshold"] = attention.threshold
        group.attrs["temperature"] = recognizer.temperature
        group.attrs["seed"] = recognizer.seed
        group.attrs["dataset"] = recognizer.dataset


def load_recognizer(path: str | Path) -> Recognizer:
    """Read a model file.

    Parameters
    ----------
    path : str or Path
        The HDF5 file.

    Returns
    -------
    Recognizer
        The recogniser.

    Raises
    ------
    neuro.ModelFileError
        When the file is missing, foreign, damaged, of another version, or holds a network only.
    """
    path = Path(path)
    if not path.exists():
        raise neuro.ModelFileError(f"{path}: no such model file; make one with `spikeloom train`")
    with neuro.graph.opened_file(path) as file:
        return _read(file, path)


def _attributes(file: h5py.File, path: Path) -> dict[str, Any]:
    """Give what the file says beside its network, or say what it holds in place of a model."""
    if "graph" not in file:
        raise neuro.ModelFileError(f"{path}: an HDF5 file without /graph, so no model; see `spikeloom train`")
    if "recognizer" not in file and _is_converted(file):
        raise neuro.ModelFileError(
            f"{path}: holds a converted network and no /recognizer: it takes pictures and arrays, no recordings; give "
            "them to `spikeloom recognize`"
        )
    if "recognizer" not in file:
        raise neuro.ModelFileError(
            f"{path}: holds a network but no /recognizer (sensor size, frames, class names); "
            "use a model made by `spikeloom train`"
        )
    attributes = dict(file["recognizer"].attrs)
    found = attributes.get("version")
    if found != FORMAT_VERSION:
        raise neuro.ModelFileError(
            f"{path}: /recognizer has version {found}, this program reads version {FORMAT_VERSION}; "
            "train the model again or install the program that wrote it"
        )
    return attributes


def _read(file: h5py.File, path: Path) -> Recognizer:
    from spikeloom.recognizer import Recognizer

    attributes = _attributes(file, path)
    try:
        graph = neuro.graph.read_graph(file["graph"])
        numbers = {name: _whole(attributes, name) for name in _INTEGERS}
        seed = numbers.pop("seed")
        recognizer = Recognizer(
            graph=graph,
            encoding=Encoding(**numbers),
            class_names=tuple(_text(name) for name in attributes["class_names"]),
            temperature=float(attributes["temperature"]),
            seed=seed,
            dataset=_text(attributes["dataset"]),
        )
        _require_same_threshold(recognizer, attributes)
    except KeyError as err:
        raise neuro.ModelFileError(
            f"{path}: /recognizer lacks {err}; the file is damaged, train the model again"
        ) from err
    except neuro.ModelFileError:
        raise
    except (neuro.NeuroError, UserError, ValueError, TypeError, OSError, RuntimeError) as err:
        raise neuro.ModelFileError(f"{path}: {err}") from err
    return recognizer


def is_converted(path: str | Path) -> bool:
    """Say whether a file holds a network that `spikeloom convert` made; what is no model file is none.

    Parameters
    ----------
    path : str or Path
        The HDF5 file.

    Returns
    -------
    bool
        Whether it does.
    """
    try:
        with neuro.graph.opened_file(path) as file:
            return "recognizer" not in file and "graph" in file and _is_converted(file)
    except neuro.NeuroError:
        return False


def _is_converted(file: h5py.File) -> bool:
    return "conversion.method" in neuro.graph.read_graph(file["graph"]).metadata


def _require_same_threshold(recognizer: Recognizer, attributes: dict[str, Any]) -> None:
    attention, noted = recognizer.attention, attributes.get("attention_threshold")
    inside = None if attention is None else attention.threshold
    if (inside is None) != (noted is None) or (noted is not None and float(noted) != inside):
        raise UserError(
            f"/recognizer says attention_threshold = {noted}, the network has {inside}; train the model again"
        )


def _whole(attributes: dict[str, Any], name: str) -> int:
    value = attributes[name]
    if not isinstance(value, (int, np.integer)):
        raise UserError(f"/recognizer: {name} must be a whole number, got {value!r}; train the model again")
    return int(value)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
