"""What stands between and behind coded neurons: pools, products and changes of counts, and readouts.

The equations with their requirement numbers: ``docs/graph-spec.md``, section 16.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from neuro.errors import GraphError
from neuro.graph.coded import MOST_BITS
from neuro.graph.fields import Parameter, as_choice, as_parameter, as_whole
from neuro.graph.node import Node
from neuro.graph.pooling import Pool2d

__all__ = [
    "Code",
    "CountMaxPool2d",
    "RadixMaxPool2d",
    "CountProduct",
    "CountMatrixProduct",
    "Difference",
    "Readout",
]

Code = Literal["count", "radix", "first_spike"]

_CODES = ("count", "radix", "first_spike")


@dataclass(frozen=True, eq=False, repr=False)
class CountMaxPool2d(Pool2d):
    """The change of the maximum of what has been sent so far: max pooling of signed, first or sigma-delta spikes.

    ``c <- c + x`` for each input, ``m`` is the maximum of ``c`` over the window (what lies outside the frame never
    wins), and ``m - m_before`` is handed on. It starts at ``c = 0``, ``m_before = 0``.

    Attributes
    ----------
    kernel_size, stride, padding : tuple of two int
        (rows, columns); one number stands for both; `stride` defaults to `kernel_size`.

    Raises
    ------
    GraphError
        If a value is not a whole number, or the padding is larger than half the kernel.

    Examples
    --------
    >>> CountMaxPool2d(2).strides
    (2, 2)
    """


@dataclass(frozen=True, eq=False, repr=False)
class RadixMaxPool2d(Pool2d):
    """Max pooling of counts that are sent in binary, the highest digit first.

    In the `n_bits` steps from `start_step` on: ``c <- (c + c) + x`` for each input, ``m`` is the maximum of ``c``
    over the window, and ``m - 2 * m_before`` (0 or 1) is handed on; in other steps nothing. It starts at ``c = 0``,
    ``m_before = 0``.

    Attributes
    ----------
    kernel_size, stride, padding : tuple of two int
        (rows, columns); one number stands for both; `stride` defaults to `kernel_size`.
    n_bits : int
        Digits, from 1 to 16.
    start_step : int
        Step of the highest digit, >= 0.

    Raises
    ------
    GraphError
        If a value is not a whole number, or the padding is larger than half the kernel.

    Examples
    --------
    >>> RadixMaxPool2d(2, n_bits=4, start_step=3).n_bits
    4
    """

    _: KW_ONLY
    n_bits: int
    start_step: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        self._set("n_bits", as_whole(owner, "n_bits", self.n_bits, least=1))
        if self.n_bits > MOST_BITS:
            raise GraphError(f"{owner}: n_bits must be <= {MOST_BITS}, got {self.n_bits}")
        self._set("start_step", as_whole(owner, "start_step", self.start_step, least=0))


@dataclass(frozen=True, eq=False, repr=False)
class CountProduct(Node):
    """The change of the product of what two inputs have sent so far, in the code of its inputs.

    With ``c_1`` and ``c_2`` what the inputs stand for so far, ``p = (c_1 + first_offset) * (c_2 + second_offset)``;
    what it hands on stands for ``p`` so far. 'count': ``c <- c + x``, ``y = p - p_before``. 'radix':
    ``c <- (c + c) + x``, ``y = p - 2 p_before``. 'first_spike': ``i <- i + x``, ``c <- c + i``,
    ``y = (p - 2 p_before) + p_before_that``. With 'radix' and 'first_spike' the offsets count in `start_step` only, and
    behind it nothing is handed on. It starts at ``c = i = p_before = 0``.

    The two edges that end in it have the order of the inputs. The second input has the shape of the first, or
    (C, 1, 1): a gate for each channel.

    Attributes
    ----------
    first_offset, second_offset : float or float32 array
        Added to what the inputs stand for: biases before them; an array has shape (C, 1, 1), (C, H, W) or (N,).
    code : {'count', 'radix', 'first_spike'}
        How the inputs and the output are coded.
    start_step : int
        For 'radix' and 'first_spike' the step in which both inputs are complete, >= 0.

    Raises
    ------
    GraphError
        If a value is not finite or not whole where it must be, or a word is unknown.

    Notes
    -----
    Source: products of spikes with what has come so far are those of You et al., "SpikeZIP-TF: Conversion is All You
    Need for Transformer-based SNN" (ICML 2024); the other codes are ours.

    Examples
    --------
    >>> CountProduct(code="radix", start_step=4).code
    'radix'
    """

    first_offset: Parameter = 0.0
    second_offset: Parameter = 0.0
    _: KW_ONLY
    code: Code = "count"
    start_step: int = 0

    def __post_init__(self) -> None:
        owner = type(self).__name__
        for name in ("first_offset", "second_offset"):
            self._set(name, as_parameter(owner, name, getattr(self, name)))
        self._set("code", as_choice(owner, "code", self.code, _CODES))
        self._set("start_step", as_whole(owner, "start_step", self.start_step, least=0))


@dataclass(frozen=True, eq=False, repr=False)
class CountMatrixProduct(CountProduct):
    """The change of the matrix products of what two inputs have sent so far: a CountProduct for matrices.

    ``p[h] = (c_1[h] + first_offset[h]) @ (c_2[h] + second_offset[h])`` for each channel `h`, such as a head of
    attention; inputs (C, M, K) and (C, K, N), output (C, M, N).

    Attributes
    ----------
    first_offset, second_offset : float or float32 array
        As in CountProduct, in the shape of each input.
    code : {'count', 'radix', 'first_spike'}
        How the inputs and the output are coded.
    start_step : int
        For 'radix' and 'first_spike' the step in which both inputs are complete, >= 0.

    Raises
    ------
    GraphError
        If a value is not finite or not whole where it must be, or a word is unknown.

    Examples
    --------
    >>> CountMatrixProduct().start_step
    0
    """


@dataclass(frozen=True, eq=False, repr=False)
class Difference(Node):
    """Hand on the change of each entry: ``y[k] = x[k] - x[k - 1]`` with ``x[-1] = 0``.

    Examples
    --------
    >>> Difference()
    Difference()
    """


@dataclass(frozen=True, eq=False, repr=False)
class Readout(Node):
    """What a step adds to the result of a network: the sum of its outputs over all steps is the result.

    'count': ``y = I``. 'radix': ``y = I * 2 ** (start_step - step)`` in the steps up to `start_step`, else 0.
    'first_spike': ``i <- i + I``, ``y = i`` in the steps up to `start_step`, else 0. In the last `drive_steps`
    steps up to `start_step`, then ``y <- y + drive``.

    Attributes
    ----------
    drive : float or float32 array
        Constant input: the bias divided by `drive_steps`; an array has shape (C, 1, 1), (C, H, W) or (N,).
    drive_steps : int
        In how many steps it comes, from 0 to ``start_step + 1``.
    start_step : int
        The last of them, >= 0; for 'radix' and 'first_spike' the step in which the input is complete.
    code : {'count', 'radix', 'first_spike'}
        How the input is coded.

    Raises
    ------
    GraphError
        If a value is not finite or not whole where it must be, or a word is unknown.

    Examples
    --------
    >>> Readout(code="radix", start_step=7).code
    'radix'
    """

    drive: Parameter = 0.0
    _: KW_ONLY
    drive_steps: int = 0
    start_step: int = 0
    code: Code = "count"

    def __post_init__(self) -> None:
        self._set("drive", as_parameter("Readout", "drive", self.drive))
        self._set("start_step", as_whole("Readout", "start_step", self.start_step, least=0))
        self._set("drive_steps", as_whole("Readout", "drive_steps", self.drive_steps, least=0))
        if self.drive_steps > self.start_step + 1:
            raise GraphError(
                f"Readout: drive_steps must be <= start_step + 1 = {self.start_step + 1}, got {self.drive_steps}"
            )
        self._set("code", as_choice("Readout", "code", self.code, _CODES))
