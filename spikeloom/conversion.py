"""Converting a conventional network: its data, what is measured, and the files that are written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikeloom.errors import UserError

if TYPE_CHECKING:
    from analog_bridge.measurement import ConversionReport
    from analog_bridge.spiking import Conversion

__all__ = ["Converted", "SampleDecision", "Samples", "convert_model", "read_samples", "recognize_sample"]

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
_MOST_BYTES = 2**31


@dataclass(frozen=True)
class Samples:
    """Data for calibration and measurement.

    Attributes
    ----------
    x : float32 array, shape (n, *shape)
        Samples.
    y : int64 array, shape (n,), or None
        Their classes.
    class_names : tuple of str
        Folders of the classes; empty where data do not name them.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64] | None
    class_names: tuple[str, ...] = ()

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
        return Samples(self.x[chosen], None if self.y is None else self.y[chosen], self.class_names)


@dataclass(frozen=True)
class Converted:
    """A conversion and what was measured of it.

    Attributes
    ----------
    conversion : Conversion
        The spiking network.
    report : ConversionReport
        Measured on samples that calibration has not seen.
    n_calibration : int
        Samples used for calibration.
    """

    conversion: Conversion
    report: ConversionReport
    n_calibration: int


def read_samples(path: Path, shape: tuple[int, ...]) -> Samples:
    """Read samples for a network whose input has this shape.

    Parameters
    ----------
    path : Path
        ``.npz`` with ``x`` (n, ...) and perhaps ``y`` (n,), or a folder of pictures, with a folder for each class or
        none.
    shape : tuple of int
        Shape of a sample.

    Returns
    -------
    Samples
        Pictures have values from 0 to 1, one channel (grey) or three.

    Raises
    ------
    UserError
        Nothing there, another shape, or a file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "data.npz"
    >>> np.savez(path, x=np.zeros((3, 1, 2, 2)), y=[0, 1, 0])
    >>> read_samples(path, (1, 2, 2)).x.shape
    (3, 1, 2, 2)
    """
    if path.is_dir():
        return _pictures(path, shape)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file or folder")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            names = set(file.files)
            if "x" not in names:
                raise UserError(
                    f"{path}: must hold an array x (n, ...), it holds {', '.join(sorted(names)) or 'nothing'}"
                )
            x, y = np.asarray(file["x"]), np.asarray(file["y"]) if "y" in names else None
    except UserError:
        raise
    except Exception as err:
        raise UserError(
            f"{path}: cannot be read as .npz ({type(err).__name__}: {err}); save it with numpy.savez"
        ) from err
    return Samples(_checked(path, x, shape), _classes(path, y, len(x)))


def _checked(path: Path, x: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    plain = tuple(n for n in shape if n != 1)
    if x.dtype.kind not in "fiub" or not x.ndim:
        raise UserError(f"{path}: x must hold numbers, got {x.dtype} of shape {x.shape}")
    if not len(x):
        raise UserError(f"{path}: x is empty; give at least one sample, better some hundred")
    if x.shape[1:] != shape and tuple(n for n in x.shape[1:] if n != 1) != plain:
        raise UserError(f"{path}: the network takes samples of shape {shape}, x holds {x.shape[1:]}")
    values = x.reshape(len(x), *shape).astype(np.float32)
    if not np.isfinite(values).all():
        at = int(np.argwhere(~np.isfinite(values))[0][0])
        raise UserError(f"{path}: x must be finite, sample {at} is not")
    return values


def _classes(path: Path, y: NDArray[Any] | None, n: int) -> NDArray[np.int64] | None:
    if y is None:
        return None
    if y.ndim == 2 and y.shape[0] == n and y.shape[1] > 1:
        y = y.argmax(axis=1)
    y = y.reshape(-1)
    if y.shape != (n,) or y.dtype.kind not in "iu" or (n and y.min() < 0):
        raise UserError(
            f"{path}: y must hold one class (a whole number from 0 on) for each of {n} samples, got {y.dtype} {y.shape}"
        )
    return y.astype(np.int64)


def _pictures(folder: Path, shape: tuple[int, ...]) -> Samples:
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(
            f"{folder}: pictures have one channel or three, the network takes samples of shape {shape}; give .npz"
        )
    classes = sorted(child.name for child in folder.iterdir() if child.is_dir())
    places = [(folder / name, k) for k, name in enumerate(classes)] or [(folder, -1)]
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
    return Samples(x, y if classes else None, tuple(classes))


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


@dataclass(frozen=True)
class SampleDecision:
    """What a converted network says of one sample.

    Attributes
    ----------
    label : str
        Name of the class, or its number.
    decided_at, n_steps : int
        Step after which the decision no longer changed, and steps run.
    spikes, synaptic_operations : int
        What was executed.
    seconds : float
        Wall time of the run.
    method : str
        How spikes carry counts.
    """

    label: str
    decided_at: int
    n_steps: int
    spikes: int
    synaptic_operations: int
    seconds: float
    method: str

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values for a table.

        Returns
        -------
        list of (str, str)
            One for each line.
        """
        from spikeloom.console import short_time

        return [
            ("class", self.label),
            ("decided after", f"{self.decided_at} of {self.n_steps} steps ({self.method})"),
            ("spikes", f"{self.spikes:,}"),
            ("synaptic operations", f"{self.synaptic_operations:,}"),
            ("time", short_time(self.seconds)),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, the label under 'class'.

        Returns
        -------
        dict
            By name.
        """
        values = asdict(self)
        return {"class": values.pop("label"), **values}


def recognize_sample(model: Path, sample: Path) -> SampleDecision:
    """Run a converted network on one picture or array.

    Parameters
    ----------
    model : Path
        A file of `spikeloom convert`.
    sample : Path
        A picture, or ``.npy`` with one sample.

    Returns
    -------
    SampleDecision
        The class and the cost.

    Raises
    ------
    UserError
        The sample is missing, unreadable or of another shape.
    """
    from analog_bridge.converted import ConvertedNetwork

    network = ConvertedNetwork.load(model)
    if not sample.is_file():
        raise UserError(f"{sample}: there is no such file")
    if sample.suffix.lower() == ".npy":
        try:
            x = np.load(sample, allow_pickle=False)[np.newaxis]
        except (OSError, ValueError, EOFError) as err:
            raise UserError(f"{sample}: cannot be read as .npy ({err}); save it with numpy.save") from err
        x = _checked(sample, x, network.input_shape)
    else:
        x = _picture(sample, network.input_shape)[np.newaxis]
    began = time.perf_counter()
    (result,) = network.run(x)
    seconds = time.perf_counter() - began
    said = network.over_time(result).reshape(network.n_steps, -1).argmax(axis=1)
    decided = int(network.predict(x)[0])
    changes = np.flatnonzero(said != decided)
    return SampleDecision(
        label=network.class_names[decided] if network.class_names else str(decided),
        decided_at=int(changes[-1]) + 2 if changes.size else 1,
        n_steps=network.n_steps,
        spikes=sum(result.counters.spikes.values()),
        synaptic_operations=result.counters.total_synaptic_operations,
        seconds=seconds,
        method=network.method,
    )


def convert_model(
    model: Path,
    calibration: Path,
    *,
    method: Any,
    levels: int | None,
    weight_bits: int | None,
    n_calibration: int,
    n_measured: int,
    seed: int,
    trust: bool,
    on_stage: Callable[[int, int, str], None],
) -> Converted:
    """Read, calibrate, convert and measure.

    Parameters
    ----------
    model : Path
        The conventional network.
    calibration : Path
        Data: a part is for calibration, another for measurement.
    method : str
        As for `analog_bridge.convert`.
    levels, weight_bits : int or None
        Likewise.
    n_calibration, n_measured : int
        Most samples for each, drawn from the seed; calibration gets at most half of the data.
    seed : int
        Of the draw.
    trust : bool
        Whether pickled models may be loaded.
    on_stage : function of (int, int, str)
        Hears what is being done.

    Returns
    -------
    Converted
        The network and the report.

    Raises
    ------
    UserError
        Fewer than two samples.
    BridgeError
        As `analog_bridge.convert`.
    """
    from analog_bridge.conversion import convert
    from analog_bridge.ingest import ingest_file
    from analog_bridge.measurement import measure_conversion

    on_stage(0, 4, "reading the network")
    layers = ingest_file(model, trust=trust)
    if len(layers.inputs) != 1:
        raise UserError(f"{model}: has {len(layers.inputs)} inputs; only networks with one can be converted")
    on_stage(1, 4, "reading samples")
    samples = read_samples(calibration, layers.inputs[0].shape)
    n = len(samples.x)
    if n < 2:
        raise UserError(
            f"{calibration}: needs two samples or more, one to calibrate and one to measure; it holds {n}"
        )
    order = np.random.default_rng(seed).permutation(n).astype(np.int64)
    n_used = min(n_calibration, n // 2)
    on_stage(2, 4, "calibrating and converting")
    conversion = convert(
        layers,
        calibration=samples.part(order[:n_used]).x,
        method=method,
        levels=levels,
        weight_bits=weight_bits,
    )
    if samples.class_names:
        conversion = replace(conversion, graph=conversion.named(samples.class_names).graph)
    on_stage(3, 4, "measuring")
    held = samples.part(order[n_used : n_used + n_measured])
    return Converted(conversion, measure_conversion(conversion, held.x, held.y), n_used)
