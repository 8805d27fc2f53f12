"""Samples for a conventional network: arrays by the names of its inputs, or pictures in folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.layers.shapes import axes_before
from spikeloom.errors import UserError

__all__ = ["Samples", "read_sample", "read_samples", "unnamed_arrays"]

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
_MOST_BYTES = 2**31

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Samples:
    """Data for calibration and measurement.

    Attributes
    ----------
    x : dict of float32 array, shape (n, *shape)
        Samples, by the names of the network's inputs.
    y : int64 array, shape (n,), or None
        Their classes.
    class_names : tuple of str
        Folders of the classes; empty where data do not name them.
    """

    x: dict[str, NDArray[np.float32]]
    y: NDArray[np.int64] | None
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.x.values())))

    def part(self, chosen: NDArray[np.int64]) -> Samples:
        """Return some of the samples.

        Parameters
        ----------
        chosen : int array
            Their numbers.

        Returns
        -------
        Samples
            In that order.
        """
        x = {name: values[chosen] for name, values in self.x.items()}
        return Samples(x, None if self.y is None else self.y[chosen], self.class_names)


def read_samples(path: Path, shapes: Shapes) -> Samples:
    """Read samples for a network.

    Parameters
    ----------
    path : Path
        ``.npz``, or a folder of pictures, with a folder for each class or none. An ``.npz`` holds an array (n, ...) for
        each input, by its name; with one input it may be called ``x``. Classes (n,) are ``y``, or ``labels`` where an
        input is called ``y``.
    shapes : dict of str to tuple of int
        The network's inputs, and the shape of a sample of each.

    Returns
    -------
    Samples
        Pictures have values from 0 to 1, one channel (grey) or three.

    Raises
    ------
    UserError
        Nothing there, an input without an array, another shape, or a file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "data.npz"
    >>> np.savez(path, x=np.zeros((3, 1, 2, 2)), y=[0, 1, 0])
    >>> read_samples(path, {"image": (1, 2, 2)}).x["image"].shape
    (3, 1, 2, 2)
    """
    if path.is_dir():
        return _pictures(path, shapes)
    arrays = _arrays(path)
    named = _named(path, arrays, shapes)
    x = {name: _checked(path, called, values, shapes[name]) for name, called, values in named}
    lengths = {name: len(values) for name, values in x.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise UserError(f"{path}: all inputs must have as many samples, it holds {found}")
    labels = "labels" if "y" in [called for _, called, _ in named] else "y"
    return Samples(x, _classes(path, labels, arrays.get(labels), next(iter(lengths.values()))))


def unnamed_arrays(path: Path, n: int) -> dict[str, NDArray[np.float32]]:
    """Read the first samples of every input, without knowing the network.

    Parameters
    ----------
    path : Path
        ``.npz``, as `read_samples` takes it.
    n : int
        Samples.

    Returns
    -------
    dict of float32 array
        By name, all but the classes.

    Raises
    ------
    UserError
        A folder, or a file that cannot be read.
    """
    if path.is_dir():
        raise UserError(f"{path}: a pickled network does not say what it takes; give samples as .npz")
    labels = "labels" if "labels" in (arrays := _arrays(path)) else "y"
    return {name: np.asarray(values[:n], np.float32) for name, values in arrays.items() if name != labels}


def read_sample(path: Path, shapes: Shapes) -> dict[str, NDArray[np.float32]]:
    """Read one sample: a picture, ``.npy``, or ``.npz`` with an array for each input.

    Parameters
    ----------
    path : Path
        The file.
    shapes : dict of str to tuple of int
        The network's inputs, and the shape of a sample of each.

    Returns
    -------
    dict of float32 array, shape (1, *shape)
        By the names of the inputs.

    Raises
    ------
    UserError
        The sample is missing, unreadable or of another shape.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file, or it is a folder; check the path")
    if path.suffix.lower() == ".npz":
        named = _named(path, _arrays(path), shapes)
        return {
            name: _checked(path, called, x[np.newaxis], shapes[name], is_one=True)
            for name, called, x in named
        }
    if len(shapes) > 1:
        raise UserError(
            f"{path}: the network has {len(shapes)} inputs; give .npz with an array for each: {_listed(shapes)}"
        )
    ((name, shape),) = shapes.items()
    if path.suffix.lower() != ".npy":
        return {name: _picture(path, shape)[np.newaxis]}
    x = _loaded(path, lambda: np.load(path, allow_pickle=False)[np.newaxis], "npy", "numpy.save")
    return {name: _checked(path, "it", x, shape, is_one=True)}


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    def read() -> dict[str, NDArray[Any]]:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}

    if not path.is_file():
        raise UserError(f"{path}: there is no such file or folder")
    found: dict[str, NDArray[Any]] = _loaded(path, read, "npz", "numpy.savez")
    return found


def _loaded(path: Path, read: Callable[[], Any], kind: str, how: str) -> Any:
    try:
        return read()
    except Exception as err:
        # of what is no such file NumPy says that it holds Python objects, and how to run them
        why = f" ({type(err).__name__}: {err})" if "allow_pickle" not in str(err) else ""
        raise UserError(f"{path}: cannot be read as .{kind}{why}; save numbers with {how}") from err


def _listed(shapes: Shapes, first: str = "") -> str:
    return ", ".join(
        f"{name} ({', '.join([*first.split(), *map(str, one)])})" for name, one in shapes.items()
    )


def _named(
    path: Path, arrays: Mapping[str, NDArray[Any]], shapes: Shapes
) -> list[tuple[str, str, NDArray[Any]]]:
    """For each input its name, the name of its array, and the array."""
    held = ", ".join(sorted(arrays)) or "nothing"
    if len(shapes) == 1:
        (name,) = shapes
        called = "x" if "x" in arrays else name
        if called not in arrays:
            also = "" if name == "x" else f" (or {name}, as the network calls it)"
            raise UserError(f"{path}: must hold an array x (n, ...){also}, it holds {held}")
        return [(name, called, arrays[called])]
    missing = [name for name in shapes if name not in arrays]
    if missing:
        raise UserError(
            f"{path}: the network has {len(shapes)} inputs; must hold an array for each, {_listed(shapes, 'n')}; it "
            f"holds {held}: {', '.join(missing)} is missing"
        )
    return [(name, name, arrays[name]) for name in shapes]


def _checked(
    path: Path, called: str, x: NDArray[Any], shape: tuple[int, ...], *, is_one: bool = False
) -> NDArray[np.float32]:
    plain = tuple(n for n in shape if n != 1)
    if x.dtype.kind not in "fiub" or not x.ndim:
        raise UserError(f"{path}: {called} must hold numbers, got {x.dtype} of shape {x.shape}")
    if not len(x):
        raise UserError(f"{path}: {called} is empty; give at least one sample, better some hundred")
    if not axes_before(x.shape, shape) and tuple(n for n in x.shape[1:] if n != 1) != plain:
        wanted = "a sample" if is_one else "samples"
        is_last = len(shape) == 3 and x.shape[1:] == (*shape[1:], shape[0])
        axes = "-1, 0" if is_one else "-1, 1"
        remedy = f"; bring the channels to the front: numpy.moveaxis({called}, {axes})" if is_last else ""
        raise UserError(
            f"{path}: the network takes {wanted} of shape {shape}, {called} holds {x.shape[1:]}{remedy}"
        )
    values = x.reshape(len(x), *shape).astype(np.float32)
    if not np.isfinite(values).all():
        at = "" if is_one else f", sample {int(np.argwhere(~np.isfinite(values))[0][0])} is not"
        raise UserError(f"{path}: {called} must be finite{at}")
    return values


def _classes(path: Path, name: str, y: NDArray[Any] | None, n: int) -> NDArray[np.int64] | None:
    if y is None:
        return None
    if y.ndim == 2 and y.shape[0] == n and y.shape[1] > 1:
        y = y.argmax(axis=1)
    y = y.reshape(-1)
    if y.shape != (n,) or y.dtype.kind not in "iu" or (n and y.min() < 0):
        raise UserError(
            f"{path}: {name} must hold one class (a whole number from 0 on) for each of {n} samples, got {y.dtype} "
            f"{y.shape}"
        )
    return y.astype(np.int64)


def _pictures(folder: Path, shapes: Shapes) -> Samples:
    if len(shapes) > 1:
        raise UserError(
            f"{folder}: pictures go into one input, the network has {len(shapes)}; give .npz with an array for each: "
            f"{_listed(shapes, 'n')}"
        )
    ((name, shape),) = shapes.items()
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(
            f"{folder}: pictures have one channel or three, the network takes samples of shape {shape}; give .npz"
        )
    classes = sorted(child.name for child in folder.iterdir() if child.is_dir())
    places = [(folder / one, k) for k, one in enumerate(classes)] or [(folder, -1)]
    files = [
        (file, k)
        for place, k in places
        for file in sorted(place.iterdir())
        if file.suffix.lower() in _PICTURES
    ]
    if not files:
        raise UserError(
            f"{folder}: holds no pictures ({', '.join(sorted(_PICTURES))}), here or in folders of classes"
        )
    if len(files) * np.prod(shape) * 4 > _MOST_BYTES:
        raise UserError(f"{folder}: {len(files)} pictures take more than 2 GiB; give fewer")
    x = np.stack([_picture(file, shape) for file, _ in files])
    y = np.array([k for _, k in files], np.int64)
    return Samples({name: x}, y if classes else None, tuple(classes))


def _picture(file: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read a picture, values from 0 to 1."""
    from PIL import Image, UnidentifiedImageError

    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(
            f"{file}: pictures have one channel or three, the network takes samples of shape {shape}; give an array"
        )
    try:
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("L" if shape[0] == 1 else "RGB"), np.float32) / np.float32(
                255
            )
    except (OSError, UnidentifiedImageError, ValueError) as err:
        raise UserError(f"{file}: cannot be read as a picture ({err})") from err
    if pixels.shape[:2] != shape[1:]:
        raise UserError(
            f"{file}: has {pixels.shape[1]} x {pixels.shape[0]} pixels, the network takes {shape[2]} x {shape[1]}; "
            "resize the pictures as for training"
        )
    return (pixels[np.newaxis] if shape[0] == 1 else pixels.transpose(2, 0, 1)).astype(np.float32)
