"""The codes in which spikes carry counts: for each, its neurons, its pools and when what is complete."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from analog_bridge.errors import ConversionError
from analog_bridge.layers import MatrixProduct, MaxPool, Product, Quantizer
from neuro.graph import (
    IF,
    CountMatrixProduct,
    CountMaxPool2d,
    CountProduct,
    FirstSpikeIF,
    MaxPool2d,
    Node,
    RadixIF,
    RadixMaxPool2d,
    Readout,
    SigmaDelta,
    SignedIF,
    TwoPhaseIF,
)

__all__ = ["CODES", "Code", "FirstSpike", "Radix", "Rate", "SigmaDeltaCode", "Signed", "TwoPhase"]


@dataclass(frozen=True)
class Code(ABC):
    """How spikes carry the counts of a network.

    Attributes
    ----------
    name : str
        As `convert` calls it.
    guarantee : str
        In what sense the spiking network equals the quantised one.
    needs_alignment : bool
        Whether all that a neuron receives must end in the same step.
    read_as : {'count', 'radix', 'first_spike'}
        How the receivers of section 16 of the specification read its spikes.
    """

    name: str
    guarantee: str
    needs_alignment: bool = False
    read_as: Literal["count", "radix", "first_spike"] = "count"

    @abstractmethod
    def neuron(self, layer: Quantizer, threshold: Any, bias: Any, ready: int, *, of_input: bool) -> Node:
        """Return the neurons of a quantizer whose input is complete in step `ready`.

        Parameters
        ----------
        layer : Quantizer
            Its limits.
        threshold, bias : array
            What a count stands for, and what is added to the input.
        ready : int
            Step in which the input is complete.
        of_input : bool
            Whether nothing but the frames of the input stands before it.

        Returns
        -------
        Node
            The neurons.
        """

    @abstractmethod
    def last_step(self, layer: Quantizer, ready: int) -> int:
        """Return the last step in which neurons that are ready in a step may fire.

        Parameters
        ----------
        layer : Quantizer
            Its limits.
        ready : int
            Step in which their input is complete.

        Returns
        -------
        int
            The step.
        """

    @abstractmethod
    def pool(self, layer: MaxPool, first: int, last: int, *, of_input: bool) -> Node:
        """Return the pool of spikes that come from one step to another.

        Parameters
        ----------
        layer : MaxPool
            Its window.
        first, last : int
            The steps.
        of_input : bool
            Whether it stands on the frames of the input.

        Returns
        -------
        Node
            The pool.
        """

    def product(self, layer: Product | MatrixProduct, first_bias: Any, second_bias: Any, ready: int) -> Node:
        """Return the product of two inputs that are complete in a step.

        Parameters
        ----------
        layer : Product or MatrixProduct
            Of entries, or of matrices.
        first_bias, second_bias : array
            What is added to either.
        ready : int
            The step.

        Returns
        -------
        Node
            The product.
        """
        kind = CountMatrixProduct if isinstance(layer, MatrixProduct) else CountProduct
        start = 0 if self.read_as == "count" else ready
        return kind(first_bias, second_bias, code=self.read_as, start_step=start)

    @abstractmethod
    def readout(self, bias: Any, ready: int) -> Node:
        """Return the readout of an output that is complete in a step.

        Parameters
        ----------
        bias : array
            What is added.
        ready : int
            The step.

        Returns
        -------
        Node
            The readout.
        """


def _no_negative(code: str, layer: Quantizer) -> None:
    if layer.n_negative:
        raise ConversionError(
            f"{layer.label}: counts from {-layer.n_negative} on, but the code {code!r} has no negative spikes; use "
            "method='signed' or 'sigma_delta'"
        )


def _window(layer: MaxPool) -> tuple[Any, Any, Any]:
    return layer.kernel, layer.stride, layer.padding


@dataclass(frozen=True)
class TwoPhase(Code):
    """A neuron collects, then sends its count as that many spikes without gaps."""

    def neuron(self, layer: Quantizer, threshold: Any, bias: Any, ready: int, *, of_input: bool) -> Node:
        """Return a TwoPhaseIF."""
        _no_negative(self.name, layer)
        return TwoPhaseIF(threshold, n_levels=layer.n_levels, start_step=ready, v_start=bias + threshold / 2)

    def last_step(self, layer: Quantizer, ready: int) -> int:
        """Return the end of the window."""
        return ready + layer.n_levels - 1

    def pool(self, layer: MaxPool, first: int, last: int, *, of_input: bool) -> Node:
        """Return a MaxPool2d: the maximum of trains without gaps is the train of the maximum."""
        return MaxPool2d(*_window(layer))

    def readout(self, bias: Any, ready: int) -> Node:
        """Return a Readout."""
        return Readout(bias, drive_steps=1, start_step=ready)


@dataclass(frozen=True)
class Signed(Code):
    """A neuron sends, and takes back, at any time; the picture and the biases act bit by bit in the first steps."""

    drive_steps: int = 8

    def neuron(self, layer: Quantizer, threshold: Any, bias: Any, ready: int, *, of_input: bool) -> Node:
        """Return a SignedIF."""
        return SignedIF(
            threshold,
            max_count=layer.n_levels,
            min_count=-layer.n_negative,
            v_start=threshold / 2,
            drive=bias / self.drive_steps,
            drive_steps=self.drive_steps,
            holds_input=of_input,
        )

    def last_step(self, layer: Quantizer, ready: int) -> int:
        """Return a bound: the drive, and all levels once more."""
        return max(ready, self.drive_steps - 1) + layer.n_levels + layer.n_negative

    def pool(self, layer: MaxPool, first: int, last: int, *, of_input: bool) -> Node:
        """Return a CountMaxPool2d."""
        return CountMaxPool2d(*_window(layer))

    def readout(self, bias: Any, ready: int) -> Node:
        """Return a Readout that adds the bias in the first steps."""
        return Readout(bias / self.drive_steps, drive_steps=self.drive_steps, start_step=self.drive_steps - 1)


@dataclass(frozen=True)
class Radix(Code):
    """A neuron sends its count in binary."""

    def neuron(self, layer: Quantizer, threshold: Any, bias: Any, ready: int, *, of_input: bool) -> Node:
        """Return a RadixIF."""
        _no_negative(self.name, layer)
        return RadixIF(threshold, n_bits=self.n_bits(layer), start_step=ready, offset=bias + threshold / 2)

    def n_bits(self, layer: Quantizer) -> int:
        """Return the number of digits; a ConversionError unless all of their values are levels.

        Parameters
        ----------
        layer : Quantizer
            Its limits.

        Returns
        -------
        int
            ``log2(n_levels + 1)``.
        """
        n_bits = (layer.n_levels + 1).bit_length() - 1
        if 2**n_bits - 1 != layer.n_levels:
            raise ConversionError(
                f"{layer.label}: has {layer.n_levels} levels, method='radix' needs 2**bits - 1 of them: 3, 7, 15, 31 .."
            )
        return n_bits

    def last_step(self, layer: Quantizer, ready: int) -> int:
        """Return the step of the last digit."""
        return ready + self.n_bits(layer) - 1

    def pool(self, layer: MaxPool, first: int, last: int, *, of_input: bool) -> Node:
        """Return a RadixMaxPool2d."""
        if of_input:
            return MaxPool2d(*_window(layer))
        return RadixMaxPool2d(*_window(layer), n_bits=last - first + 1, start_step=first)

    def readout(self, bias: Any, ready: int) -> Node:
        """Return a Readout that reads digits."""
        return Readout(bias, drive_steps=1, start_step=ready, code=self.read_as)


@dataclass(frozen=True)
class FirstSpike(Code):
    """A neuron sends its count as the time of one spike."""

    def neuron(self, layer: Quantizer, threshold: Any, bias: Any, ready: int, *, of_input: bool) -> Node:
        """Return a FirstSpikeIF."""
        _no_negative(self.name, layer)
        return FirstSpikeIF(threshold, n_levels=layer.n_levels, start_step=ready, offset=bias + threshold / 2)

    def last_step(self, layer: Quantizer, ready: int) -> int:
        """Return the end of the window."""
        return ready + layer.n_levels - 1

    def pool(self, layer: MaxPool, first: int, last: int, *, of_input: bool) -> Node:
        """Return a CountMaxPool2d: the first of the first spikes."""
        return MaxPool2d(*_window(layer)) if of_input else CountMaxPool2d(*_window(layer))

    def readout(self, bias: Any, ready: int) -> Node:
        """Return a Readout that reads times."""
        return Readout(bias, drive_steps=1, start_step=ready, code=self.read_as)


@dataclass(frozen=True)
class SigmaDeltaCode(Code):
    """Each frame takes one step, in which neurons send the changes of their counts."""

    def neuron(self, layer: Quantizer, threshold: Any, bias: Any, ready: int, *, of_input: bool) -> Node:
        """Return a SigmaDelta."""
        return SigmaDelta(
            threshold, max_count=layer.n_levels, min_count=-layer.n_negative, v_start=bias + threshold / 2
        )

    def last_step(self, layer: Quantizer, ready: int) -> int:
        """Return the same step."""
        return ready

    def pool(self, layer: MaxPool, first: int, last: int, *, of_input: bool) -> Node:
        """Return a CountMaxPool2d."""
        return CountMaxPool2d(*_window(layer))

    def readout(self, bias: Any, ready: int) -> Node:
        """Return a Readout."""
        return Readout(bias, drive_steps=1)


@dataclass(frozen=True)
class Rate(Code):
    """Plain rate coding: a spike stands for the largest count, the frame and the biases come in every step."""

    def neuron(self, layer: Quantizer, threshold: Any, bias: Any, ready: int, *, of_input: bool) -> Node:
        """Return an IF with reset by subtraction; its bias is that of the synapses before it."""
        _no_negative(self.name, layer)
        return IF(_number(threshold * layer.n_levels), reset="subtract", comparison=">=")

    def last_step(self, layer: Quantizer, ready: int) -> int:
        """Return the same step."""
        return ready

    def pool(self, layer: MaxPool, first: int, last: int, *, of_input: bool) -> Node:
        """Return a MaxPool2d of spikes, which is not the maximum of rates."""
        return MaxPool2d(*_window(layer))

    def product(self, layer: Product | MatrixProduct, first_bias: Any, second_bias: Any, ready: int) -> Node:
        """Refuse: spikes of two rates meet by chance."""
        raise ConversionError(
            f"{layer.label}: multiplies two activations, and the product of two firing rates is not that of their "
            "spikes; use method='signed' or 'two_phase', where it is exact"
        )

    def readout(self, bias: Any, ready: int) -> Node:
        """Return a Readout without a bias of its own."""
        return Readout()


def _number(values: Any) -> Any:
    """One number, if all are the same."""
    first = np.asarray(values).reshape(-1)[0]
    return float(first) if (np.asarray(values) == first).all() else values


_IN_TIME = "after its last step, each neuron has sent the count of the quantised network"

CODES: dict[str, Code] = {
    "two_phase": TwoPhase("two_phase", f"{_IN_TIME}, as that many spikes"),
    "signed": Signed(
        "signed",
        "when no spike is under way, the spikes of each neuron add up to the count of the quantised network",
    ),
    "radix": Radix("radix", f"{_IN_TIME}, in binary", needs_alignment=True, read_as="radix"),
    "first_spike": FirstSpike(
        "first_spike", f"{_IN_TIME}, as the time of one spike", needs_alignment=True, read_as="first_spike"
    ),
    "sigma_delta": SigmaDeltaCode(
        "sigma_delta",
        "after each frame, the changes sent so far add up to the count of the quantised network for it",
    ),
    "rate": Rate(
        "rate", "none: firing rates approach the activations of the network as the number of steps grows"
    ),
}
