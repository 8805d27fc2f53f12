"""Coded neurons: a whole number, computed from all of a neuron's input, sent in a code that the receivers read exactly.

They make a conventional network with quantised activations into a spiking one without loss. Steps are counted from the
first of a run, earlier chunks included. The equations with their requirement numbers: ``docs/graph-spec.md``,
section 16.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from neuro.errors import GraphError
from neuro.graph.fields import Parameter, as_parameter, as_whole, check_positive
from neuro.graph.node import Node

__all__ = [
    "TwoPhaseIF",
    "SignedIF",
    "RadixIF",
    "FirstSpikeIF",
    "SigmaDelta",
]

MOST_BITS = 16
_MOST_LEVELS = 2**16


class _CodedNeuron(Node):
    """Checks that coded neurons share."""

    def _check(self, *names: str) -> None:
        owner = type(self).__name__
        for name in names:
            self._set(name, as_parameter(owner, name, getattr(self, name)))
        check_positive(owner, "threshold", self.threshold)  # type: ignore[attr-defined]

    def _check_whole(self, name: str, *, least: int, most: int | None = None) -> None:
        owner = type(self).__name__
        value = as_whole(owner, name, getattr(self, name), least=least)
        if most is not None and value > most:
            raise GraphError(f"{owner}: {name} must be <= {most}, got {value}")
        self._set(name, value)


@dataclass(frozen=True, eq=False, repr=False)
class TwoPhaseIF(_CodedNeuron):
    """Collects its input, then sends a count as that many spikes, one a step from the first on.

    ``v <- v + I`` in every step. In the `n_levels` steps from `start_step` on: if ``v >= threshold``, emit 1 and
    ``v <- v - threshold``. If all input has come by `start_step`, the number of spikes is
    ``clip(floor(v / threshold), 0, n_levels)``.

    Attributes
    ----------
    threshold : float or float32 array
        What one spike stands for, > 0; an array has shape (C, 1, 1), (C, H, W) or (N,).
    n_levels : int
        Most spikes, from 1 to 65536.
    start_step : int
        First step in which it may fire, >= 0.
    v_start : float or float32 array
        Membrane before the first step: the bias, and half a threshold to round to the nearest.

    Raises
    ------
    GraphError
        If a value is not finite, not positive or not whole where it must be.

    Notes
    -----
    Because spikes come without gaps, the maximum of such spike trains, step by step, is the train of the maximum.

    Examples
    --------
    >>> TwoPhaseIF(1.0, n_levels=4, v_start=0.5)
    TwoPhaseIF(threshold=1.0, n_levels=4, start_step=0, v_start=0.5)
    """

    threshold: Parameter
    _: KW_ONLY
    n_levels: int
    start_step: int = 0
    v_start: Parameter = 0.0

    def __post_init__(self) -> None:
        self._check("threshold", "v_start")
        self._check_whole("n_levels", least=1, most=_MOST_LEVELS)
        self._check_whole("start_step", least=0)


@dataclass(frozen=True, eq=False, repr=False)
class SignedIF(_CodedNeuron):
    """Sends a count as spikes of either sign, so that what it has sent can be read, and corrected, at any time.

    In each step ``v <- v + I``; in the first `drive_steps` steps then ``v <- v + drive``. If ``v >= threshold`` and the
    sum n of its spikes is below `max_count`, emit 1 and ``v <- v - threshold``; else if ``v < 0`` and n is above
    `min_count`, emit -1 and ``v <- v + threshold``. When input has ended it settles at
    ``n = clip(floor(v_total / threshold), min_count, max_count)``, whatever the order in which the input came.

    Attributes
    ----------
    threshold : float or float32 array
        What one spike stands for, > 0; an array has shape (C, 1, 1), (C, H, W) or (N,).
    max_count : int
        Largest sum of its spikes, from 1 to 65536.
    min_count : int
        Smallest sum, from -65536 to 0.
    v_start : float or float32 array
        Membrane before the first step: half a threshold to round to the nearest.
    drive : float or float32 array
        Constant input of the first steps: the bias divided by `drive_steps`.
    drive_steps : int
        In how many steps it comes, >= 0; at least 1 with `holds_input`.
    holds_input : bool
        Whether the input of the first step is spread over the steps of the drive: there ``drive <- drive + I /
        drive_steps`` instead of ``v <- v + I``. For neurons behind the frames of a picture, which is then shown once.

    Raises
    ------
    GraphError
        If a value is not finite, not positive or not whole where it must be.

    Notes
    -----
    Source: the ST-BIF neuron of You et al., "SpikeZIP-TF: Conversion is All You Need for Transformer-based SNN"
    (ICML 2024), here with a bias that is spread over time.

    Examples
    --------
    >>> SignedIF(1.0, max_count=4, v_start=0.5).min_count
    0
    """

    threshold: Parameter
    _: KW_ONLY
    max_count: int
    min_count: int = 0
    v_start: Parameter = 0.0
    drive: Parameter = 0.0
    drive_steps: int = 0
    holds_input: bool = False

    def __post_init__(self) -> None:
        self._check("threshold", "v_start", "drive")
        if not isinstance(self.holds_input, bool):
            raise GraphError(f"SignedIF: holds_input must be True or False, got {self.holds_input!r}")
        self._check_whole("max_count", least=1, most=_MOST_LEVELS)
        self._check_whole("min_count", least=-_MOST_LEVELS, most=0)
        self._check_whole("drive_steps", least=int(self.holds_input))


@dataclass(frozen=True, eq=False, repr=False)
class RadixIF(_CodedNeuron):
    """Sends a count in binary, the highest digit first; what it collects doubles from step to step.

    In the steps up to `start_step`: ``v <- (v + v) + I``, in the last of them then ``v <- v + offset``. In the
    `n_bits` steps from `start_step` on, with ``t = threshold * 2 ** (n_bits - 1 - (step - start_step))``: if ``v >=
    t``, emit 1 and ``v <- v - t``. Input after `start_step` has no effect. All inputs must send their lowest digit
    in `start_step`; a Delay brings together those that would not.

    Attributes
    ----------
    threshold : float or float32 array
        What the lowest digit stands for, > 0; an array has shape (C, 1, 1), (C, H, W) or (N,).
    n_bits : int
        Digits, from 1 to 16: counts from 0 to ``2 ** n_bits - 1``.
    start_step : int
        Step in which its input is complete and its first digit leaves, >= 0.
    offset : float or float32 array
        Added when the input is complete: the bias, and half a threshold to round to the nearest.

    Raises
    ------
    GraphError
        If a value is not finite, not positive or not whole where it must be.

    Examples
    --------
    >>> RadixIF(1.0, n_bits=4, offset=0.5).n_bits
    4
    """

    threshold: Parameter
    _: KW_ONLY
    n_bits: int
    start_step: int = 0
    offset: Parameter = 0.0

    def __post_init__(self) -> None:
        self._check("threshold", "offset")
        self._check_whole("n_bits", least=1, most=MOST_BITS)
        self._check_whole("start_step", least=0)


@dataclass(frozen=True, eq=False, repr=False)
class FirstSpikeIF(_CodedNeuron):
    """Sends a count as the time of at most one spike, the larger the earlier; what has arrived acts in every step.

    In the steps up to `start_step`: ``i <- i + I``, ``v <- v + i``, in the last of them then ``v <- v + offset``.
    In the `n_levels` steps from `start_step` on, a neuron that has not fired emits 1 if ``v >= threshold *
    (n_levels - (step - start_step))``. Input after `start_step` has no effect. The windows of all inputs must end
    in `start_step`; a Delay brings together those that would not.

    Attributes
    ----------
    threshold : float or float32 array
        What one step earlier stands for, > 0; an array has shape (C, 1, 1), (C, H, W) or (N,).
    n_levels : int
        Steps of its window, from 1 to 65536.
    start_step : int
        Step in which its input is complete and its window begins, >= 0.
    offset : float or float32 array
        Added when the input is complete: the bias, and half a threshold to round to the nearest.

    Raises
    ------
    GraphError
        If a value is not finite, not positive or not whole where it must be.

    Notes
    -----
    Source: the constant slope is the idea of Stanojevic et al., "An exact mapping from ReLU networks to spiking neural
    networks" (Neural Networks, 2023); the whole counts and the falling threshold are ours.

    Examples
    --------
    >>> FirstSpikeIF(1.0, n_levels=8, offset=0.5).n_levels
    8
    """

    threshold: Parameter
    _: KW_ONLY
    n_levels: int
    start_step: int = 0
    offset: Parameter = 0.0

    def __post_init__(self) -> None:
        self._check("threshold", "offset")
        self._check_whole("n_levels", least=1, most=_MOST_LEVELS)
        self._check_whole("start_step", least=0)


@dataclass(frozen=True, eq=False, repr=False)
class SigmaDelta(_CodedNeuron):
    """Sends the change of a quantised activation; receivers add up what they get.

    In each step ``v <- v + I``, ``m = clip(floor(v / threshold), min_count, max_count)``, emit ``m - n`` if it is
    not 0, ``n <- m``. It starts at ``n = 0``, and its input must be changes, too.

    Attributes
    ----------
    threshold : float or float32 array
        What one count stands for, > 0; an array has shape (C, 1, 1), (C, H, W) or (N,).
    max_count : int
        Largest activation in counts, from 1 to 65536.
    min_count : int
        Smallest, from -65536 to 0.
    v_start : float or float32 array
        Membrane before the first step: the bias, and half a threshold to round to the nearest.

    Raises
    ------
    GraphError
        If a value is not finite, not positive or not whole where it must be.

    Examples
    --------
    >>> SigmaDelta(1.0, max_count=15, v_start=0.5).max_count
    15
    """

    threshold: Parameter
    _: KW_ONLY
    max_count: int
    min_count: int = 0
    v_start: Parameter = 0.0

    def __post_init__(self) -> None:
        self._check("threshold", "v_start")
        self._check_whole("max_count", least=1, most=_MOST_LEVELS)
        self._check_whole("min_count", least=-_MOST_LEVELS, most=0)
