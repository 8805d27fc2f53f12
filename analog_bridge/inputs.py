"""The inputs of a converted network: several lie one behind the other in the one input of a spiking graph."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.errors import ConversionError
from analog_bridge.layers.shapes import axes_before

__all__ = ["NetworkInput", "NetworkInputs", "Samples"]

Samples = ArrayLike | Mapping[str, ArrayLike]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkInput:
    """One input: its name and shape, what a count of it stands for (0: it is not counted), and its limits."""

    name: str
    shape: tuple[int, ...]
    unit: float = 0.0
    least: int = 0
    most: int = 0


class NetworkInputs(tuple[NetworkInput, ...]):
    """All inputs of a network, in the order in which they lie in one line."""

    __slots__ = ()

    @classmethod
    def of_note(cls, note: str) -> NetworkInputs:
        """Return what `note` has written.

        Parameters
        ----------
        note : str
            JSON.

        Returns
        -------
        NetworkInputs
            The inputs.
        """
        return cls(NetworkInput(**one | {"shape": tuple(one["shape"])}) for one in json.loads(note))

    @property
    def note(self) -> str:
        """All of them as JSON, for a file."""
        return json.dumps([asdict(one) for one in self])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample: that of the one input, or ``(total,)``."""
        return self[0].shape if len(self) == 1 else (sum(self._sizes),)

    def arranged(self, x: Samples, *, may_have_frames: bool = False) -> NDArray[Any]:
        """Return samples as one array, checked.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or dict of arrays
            Samples as `in_line` takes them, also as the user's tensor had them: (C, L) for (C, 1, L).
        may_have_frames : bool
            Whether they may be videos, with an axis of frames before the shape.

        Returns
        -------
        array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)``
            The same values.

        Raises
        ------
        ConversionError
            If they have another shape, other names, or values that are no finite numbers.
        """
        shape, array = self.shape, self.in_line(x)
        n_axes = axes_before(array.shape, shape, 2 if may_have_frames else 1)
        if array.dtype.kind not in "fiub" or not n_axes or not np.isfinite(array).all():
            wanted = ", ".join(map(str, shape))
            raise ConversionError(
                f"ConvertedNetwork: samples must be finite numbers of shape (n, {wanted}), got {array.dtype} of shape "
                f"{array.shape}"
            )
        return array.reshape(*array.shape[:n_axes], *shape)

    def in_line(self, x: Samples) -> NDArray[Any]:
        """Return samples as one array.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or dict of arrays
            Samples; for video ``(n, n_frames, *shape)``. With several inputs a dict by their names, or what this method
            has returned.

        Returns
        -------
        array
            The same values; of several inputs shape ``(n, total)``, or ``(n, n_frames, total)``.

        Raises
        ------
        ConversionError
            If names, shapes or lengths do not fit.
        """
        if not isinstance(x, Mapping):
            return np.asarray(x)
        names = [one.name for one in self]
        if set(x) != set(names):
            raise ConversionError(
                f"ConvertedNetwork: samples must hold {', '.join(names)}, got {', '.join(x) or 'nothing'}"
            )
        if len(self) == 1:
            return np.asarray(x[names[0]])
        parts = [self._flat(one, np.asarray(x[one.name])) for one in self]
        lengths = {part.shape[:-1] for part in parts}
        if len(lengths) > 1:
            raise ConversionError(
                f"ConvertedNetwork: inputs must have as many samples as each other, got {sorted(lengths)}"
            )
        return np.concatenate(parts, axis=-1)

    @staticmethod
    def _flat(one: NetworkInput, x: NDArray[Any]) -> NDArray[Any]:
        n_axes = axes_before(x.shape, one.shape, 2)
        if not n_axes:
            raise ConversionError(
                f"ConvertedNetwork: samples of {one.name!r} must have shape (n, {', '.join(map(str, one.shape))}), got "
                f"{x.shape}"
            )
        return x.reshape(*x.shape[:n_axes], -1)

    def by_name(self, x: NDArray[Any]) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """Return samples as `evaluate` takes them: of several inputs a dict.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, total)``
            Samples as `in_line` gives them.

        Returns
        -------
        array, or dict of arrays
            The same values.
        """
        if len(self) == 1:
            return x
        parts = np.split(x, np.cumsum(self._sizes)[:-1], axis=-1)
        return {one.name: part.reshape(-1, *one.shape) for one, part in zip(self, parts, strict=True)}

    def counts(self, x: NDArray[Any]) -> Floats:
        """Return samples in counts, rounded half up and limited; as they are where they are not counted.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, total)``
            Samples as `in_line` gives them.

        Returns
        -------
        float32 array
            Of the same shape.
        """
        unit = self._each([one.unit for one in self])
        counts = np.floor(x.astype(np.float64) / np.where(unit, unit, 1.0) + 0.5)
        least, most = self._each([one.least for one in self]), self._each([one.most for one in self])
        return np.where(unit, np.clip(counts, least, most), x).astype(np.float32)

    @property
    def _sizes(self) -> list[int]:
        return [math.prod(one.shape) for one in self]

    def _each(self, values: Sequence[float]) -> NDArray[np.float64]:
        """One value for every entry of a line, or for all of the one input."""
        return np.repeat(np.array(values, np.float64), self._sizes if len(self) > 1 else 1)
