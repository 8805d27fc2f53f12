"""Weights as the chips cut them: sign modes, low bits, exponents."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hw.errors import QuantizationError

__all__ = [
    "Sign",
    "SIGNS",
    "as_register",
    "check_weights",
    "cut_weights",
    "sign_of",
    "step_of",
    "weight_range",
]

Sign = Literal["mixed", "excitatory", "inhibitory"]
SIGNS: tuple[str, ...] = ("mixed", "excitatory", "inhibitory")
_LIMIT_LOIHI_1 = 2**21 - 64  # the largest magnitude of a weight with its exponent


def weight_range(sign: str) -> tuple[int, int]:
    """Return the smallest and the largest mantissa of a sign mode.

    Examples
    --------
    >>> weight_range("mixed"), weight_range("inhibitory")
    ((-256, 255), (-255, 0))
    """
    return {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[sign]


def step_of(weight_bits: int, sign: str) -> int:
    """Return the distance of neighbouring mantissas: a sign of its own costs a bit.

    Examples
    --------
    >>> step_of(8, "mixed"), step_of(6, "excitatory")
    (2, 4)
    """
    return 1 << (8 - weight_bits + (sign == "mixed"))


def sign_of(weights: NDArray[Any]) -> Sign:
    """Return the sign mode that Lava chooses for a matrix of weights.

    Examples
    --------
    >>> sign_of(np.array([0, 3])), sign_of(np.array([-1, 1]))
    ('excitatory', 'mixed')
    """
    if weights.size == 0 or weights.min() >= 0:
        return "excitatory"
    return "inhibitory" if weights.max() <= 0 else "mixed"


def cut_weights(
    weights: NDArray[Any], *, weight_bits: int, sign: str, weight_exponent: int, profile: str
) -> NDArray[np.int32]:
    """Return the weights that the chip adds, before a shift of the sum.

    Parameters
    ----------
    weights : array of int
        Mantissas.
    weight_bits, sign, weight_exponent : int, str, int
        As in a Connection.
    profile : {'lava', 'loihi1'}
        'lava' rounds low bits to minus infinity (of the magnitude, for inhibitory weights) and leaves the exponent to
        the sum. 'loihi1' rounds them to zero and applies the exponent: ``floor(w * 2^exponent)``, limited to
        ``2^15 - 1``.

    Returns
    -------
    int32 array
        Like `weights`.
    """
    step = step_of(weight_bits, sign)
    magnitudes = np.asarray(weights, np.int32)
    if profile == "lava":
        flipped = -magnitudes if sign == "inhibitory" else magnitudes
        low, high = (-256, 255) if sign == "mixed" else (0, 255)
        cut = np.clip(flipped, low, high) // step * step
        return np.asarray(-cut if sign == "inhibitory" else cut, np.int32)
    cut = np.sign(magnitudes) * (np.abs(magnitudes) // step * step)
    shifted = cut << weight_exponent if weight_exponent >= 0 else cut >> -weight_exponent
    limit = _LIMIT_LOIHI_1 // 64
    return np.asarray(np.clip(shifted, -limit, limit), np.int32)


def as_register(what: str, value: Any, low: int, high: int, size: int) -> int | NDArray[np.int32]:
    """Return a number, or a read-only int32 array of `size` numbers, that a register can hold."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise QuantizationError(f"{what} must be whole numbers, got {array.dtype}")
    if array.ndim and array.size != size:
        raise QuantizationError(f"{what} must be one number or {size}, got shape {array.shape}")
    wrong = (array < low) | (array > high)
    if wrong.any():
        found = int(array.reshape(-1)[int(np.argmax(wrong))])
        raise QuantizationError(f"{what} must be {low} to {high}, got {found}")
    if array.ndim == 0:
        return int(array)
    result = np.array(array, np.int32, order="C").reshape(-1)
    result.setflags(write=False)
    return result


def check_weights(what: str, weights: Any, n_axes: int, sign: str) -> NDArray[np.int16]:
    """Return mantissas as a read-only int16 array, or say which of them the sign mode does not have."""
    array = np.asarray(weights)
    if array.dtype.kind not in "iu" or array.ndim != n_axes:
        raise QuantizationError(
            f"{what}: weights must be whole numbers with {n_axes} axes, got {array.dtype} of shape {array.shape}"
        )
    low, high = weight_range(sign)
    if array.size and (array.min() < low or array.max() > high):
        raise QuantizationError(
            f"{what}: {sign} weights must be {low} to {high}, got {array.min()} to {array.max()}"
        )
    result = np.array(array, np.int16, order="C")
    result.setflags(write=False)
    return result
