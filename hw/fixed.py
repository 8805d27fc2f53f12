"""A network in fixed point: populations and connections with the integers of a chip's registers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hw.errors import QuantizationError
from hw.topology import depths_of
from hw.weights import SIGNS, Sign, as_register, check_weights

if TYPE_CHECKING:
    from hw.agreement import QuantizationReport
    from hw.host import HostReadout

__all__ = ["Population", "Connection", "FixedGraph", "Register", "KINDS", "GRADED_KINDS", "NEVER"]

Register = int | NDArray[np.int32]
Kind = Literal["input", "lif", "readout", "graded", "graded_relu", "sigma", "delta", "sigma_delta"]
KINDS: tuple[str, ...] = ("input", "lif", "readout", "graded", "graded_relu", "sigma", "delta", "sigma_delta")
GRADED_KINDS = KINDS[3:]
NEVER = 131071  # the largest threshold: membranes saturate above it, a readout must stay below

_RANGES = {
    "current_decay": (0, 4096),
    "membrane_decay": (0, 4095),
    "threshold": (0, NEVER),
    "bias_mantissa": (-4096, 4095),
    "bias_exponent": (0, 7),
    "refractory_steps": (0, 63),
    "subtraction": (0, NEVER + 1),
}


@dataclass(frozen=True, eq=False, repr=False)
class Population:
    """Neurons of one kind, or an input.

    A neuron of kind 'lif' computes in every step of the chip, in whole numbers, with ``s(x) = sign(x) * (|x| >> 12)``:
    ``u <- s(u * (4096 - current_decay)) + 64 * a``, ``v <- s(v * (4096 - membrane_decay)) + u + bias``; it fires if
    ``v > 64 * threshold``, then ``v = 0`` (or ``v - 64 * subtraction``) and v is held for `refractory_steps` steps.

    Attributes
    ----------
    shape : tuple of int
        (channel, row, column) or (n,); neurons are numbered in that order, last axis fastest.
    kind : str
        'input', 'lif', 'readout' (a 'lif' that must never fire: its membrane is read), or one of Loihi 2's neurons with
        graded spikes: 'graded', 'graded_relu', 'sigma', 'delta', 'sigma_delta'.
    current_decay : int or int32 array, shape (n,)
        0 to 4096: 4096 keeps nothing of the current, 0 keeps all. (Lava's `du` is one less.)
    membrane_decay : int or int32 array, shape (n,)
        0 to 4095 (Lava's `dv`).
    threshold : int or int32 array, shape (n,)
        0 to 131071, in units of 64 of the membrane.
    bias_mantissa, bias_exponent : int or int32 array, shape (n,)
        The bias is ``bias_mantissa << bias_exponent``.
    refractory_steps : int or int32 array, shape (n,)
        0 to 63: steps after a spike in which v is held and not compared.
    subtraction : int or int32 array, shape (n,)
        0: a spike sets v to 0. Otherwise it takes 64 times this off v, as a program for Loihi 2's neurons can; Loihi 1
        and Lava's neurons cannot. 1 to 131072, of all neurons or of none.
    reset_step : int
        Before this step of the chip u and v are set to 0; -1: never.
    reset_interval : int
        If not 0, they are set to 0 in every step k with ``k % reset_interval == reset_step % reset_interval``.
    spike_exponent : int
        'delta' and 'sigma_delta': bits behind the point of what they send.
    state_exponent : int
        'delta' and 'sigma_delta': further bits behind the point of their state.
    is_cumulative : bool
        'delta' and 'sigma_delta': whether what was not sent is added to the next difference.
    scale : float
        Membrane units for 1.0 in the network that this came from.
    rest : float
        What a membrane of 0 means there.

    Raises
    ------
    QuantizationError
        If a register cannot hold a value, or a shape does not fit.

    Examples
    --------
    >>> Population((4,), "lif", current_decay=4096, membrane_decay=1024, threshold=100).size
    4
    """

    shape: tuple[int, ...]
    kind: Kind = "lif"
    current_decay: Register = 4096
    membrane_decay: Register = 0
    threshold: Register = 0
    bias_mantissa: Register = 0
    bias_exponent: Register = 0
    refractory_steps: Register = 0
    subtraction: Register = 0
    reset_step: int = -1
    reset_interval: int = 0
    spike_exponent: int = 0
    state_exponent: int = 0
    is_cumulative: bool = False
    scale: float = 1.0
    rest: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise QuantizationError(f"Population: kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if not self.shape or any(size < 1 for size in self.shape):
            raise QuantizationError(f"Population: shape must have sizes >= 1, got {self.shape}")
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        for name, (low, high) in _RANGES.items():
            value = as_register(f"Population: {name}", getattr(self, name), low, high, self.size)
            object.__setattr__(self, name, value)
        for name, high in (("spike_exponent", 31), ("state_exponent", 31)):
            as_register(f"Population: {name}", getattr(self, name), 0, high, 1)
        if np.any(self.subtraction) and not np.all(self.subtraction):
            raise QuantizationError("Population: subtraction must be 0 for all neurons or for none, got both")
        if self.reset_interval < 0 or self.reset_step < -1:
            raise QuantizationError(
                "Population: reset_interval must be >= 0 and reset_step >= -1, "
                f"got {self.reset_interval} and {self.reset_step}"
            )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    def register(self, name: str) -> NDArray[np.int32]:
        """Return a register of every neuron, int32, shape (n,)."""
        return np.ascontiguousarray(np.broadcast_to(np.asarray(getattr(self, name), np.int32), (self.size,)))

    @property
    def bias(self) -> NDArray[np.int32]:
        """What is added to the membrane in every step, int32, shape (n,)."""
        return self.register("bias_mantissa") << self.register("bias_exponent")

    def configurations(self) -> NDArray[np.int32]:
        """Number the neurons by their set of decays and refractory period, int32, shape (n,)."""
        names = ("current_decay", "membrane_decay", "refractory_steps")
        if all(isinstance(getattr(self, name), int) for name in names):
            return np.zeros(self.size, np.int32)
        table = np.stack([self.register(name) for name in names])
        return np.unique(table, axis=1, return_inverse=True)[1].astype(np.int32).reshape(-1)


@dataclass(frozen=True, eq=False, repr=False)
class Connection:
    """Synapses between two populations: a spike takes one step of the chip, and `delay` more.

    A spike at step t adds its weights to what arrives at step ``t + 1 + delay``. With the rules of Lava the *sum* over
    all spikes is shifted by `weight_exponent` bits (down: rounded to minus infinity), with those of Loihi 1 each
    weight.

    Attributes
    ----------
    source, target : str
        Names of populations.
    kind : {'dense', 'sparse', 'conv'}
        How the weights are stored.
    weights : int16 array
        Dense (out, in); sparse (n,); conv (out, in / groups, rows, columns).
    rows, columns : int32 array, shape (n,), or None
        Sparse: the target's and the source's neuron of each weight.
    weight_exponent : int
        -8 to 7; at least 0 for a convolution.
    weight_bits : int
        1 to 8: low bits of the weights are cut as the chip cuts them.
    sign : {'mixed', 'excitatory', 'inhibitory'}
        Sign mode: 'mixed' weights are -256 to 254 and even at 8 bits, the others up to 255.
    delay : int or int32 array like `weights`
        Further steps, 0 to 63; one number for a convolution.
    is_graded : bool
        Whether a spike's value multiplies the weight.
    stride, padding, dilation : tuple of two int
        Of a convolution: (rows, columns).
    groups : int
        Of a convolution.

    Raises
    ------
    QuantizationError
        If a value is out of range or a shape does not fit.
    """

    source: str
    target: str
    kind: Literal["dense", "sparse", "conv"]
    weights: NDArray[np.int16]
    rows: NDArray[np.int32] | None = None
    columns: NDArray[np.int32] | None = None
    weight_exponent: int = 0
    weight_bits: int = 8
    sign: Sign = "mixed"
    delay: Register = 0
    is_graded: bool = False
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        what = f"Connection {self.source!r} -> {self.target!r}"
        axes = {"dense": 2, "sparse": 1, "conv": 4}
        if self.kind not in axes:
            raise QuantizationError(f"{what}: kind must be 'dense', 'sparse' or 'conv', got {self.kind!r}")
        if self.sign not in SIGNS:
            raise QuantizationError(f"{what}: sign must be one of {', '.join(SIGNS)}, got {self.sign!r}")
        as_register(f"{what}: weight_exponent", self.weight_exponent, 0 if self.kind == "conv" else -8, 7, 1)
        as_register(f"{what}: weight_bits", self.weight_bits, 1, 8, 1)
        weights = check_weights(what, self.weights, axes[self.kind], self.sign)
        object.__setattr__(self, "weights", weights)
        for name in ("rows", "columns"):
            value = getattr(self, name)
            if (value is None) == (self.kind == "sparse") or (
                value is not None and value.shape != weights.shape
            ):
                raise QuantizationError(
                    f"{what}: {name} must be given for each weight of sparse ones, and only there"
                )
        if not isinstance(self.delay, int):
            delay = as_register(f"{what}: delay", self.delay, 0, 63, weights.size)
            if self.kind == "conv":
                raise QuantizationError(f"{what}: a convolution has one delay, got an array")
            object.__setattr__(self, "delay", np.reshape(np.asarray(delay, np.int32), weights.shape))
        as_register(f"{what}: delay", self.delay, 0, 63, weights.size)

    @property
    def name(self) -> str:
        """Source and target, as messages call the connection."""
        return f"{self.source} -> {self.target}"

    @property
    def longest_delay(self) -> int:
        """The longest of its delays, in steps."""
        return int(np.max(self.delay)) if np.size(self.delay) else 0


@dataclass(frozen=True, eq=False, repr=False)
class FixedGraph:
    """A network as a chip computes it. Frozen, checked once.

    Attributes
    ----------
    populations : mapping of str to Population
        By name; those of kind 'input' take spikes from outside.
    connections : tuple of Connection
        The synapses.
    profile : {'lava', 'loihi1'}
        The rules of arithmetic that it was made for.
    input_name : str
        The input that :func:`hw.emulate` gives the recording to.
    gate_name : str
        An input with one neuron that fires in every step that the host does not drop; '' if there is none.
    outputs : tuple of str
        The populations that are read.
    notes : tuple of str
        What differs from the network that this came from.
    source_digest : str
        Digest of the Graph that it came from.
    depths : mapping of str to int
        Steps by which each population lags behind the input: a spike takes one step for each connection.
    report : QuantizationReport or None
        What quantisation did, by layer.
    host : HostReadout or None
        What the host computes from the spikes of a population.
    unrounded : tuple of float32 array
        For each connection what its mantissas were rounded from; empty if nothing says it.

    Raises
    ------
    QuantizationError
        If names or shapes do not fit.
    """

    populations: Mapping[str, Population]
    connections: tuple[Connection, ...]
    profile: str = "lava"
    input_name: str = ""
    gate_name: str = ""
    outputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source_digest: str = ""
    depths: Mapping[str, int] = field(default_factory=dict)
    report: QuantizationReport | None = None
    host: HostReadout | None = None
    unrounded: tuple[NDArray[np.float32], ...] = ()

    def __post_init__(self) -> None:
        if self.profile not in ("lava", "loihi1"):
            raise QuantizationError(f"FixedGraph: profile must be 'lava' or 'loihi1', got {self.profile!r}")
        populations = dict(self.populations)
        object.__setattr__(self, "populations", MappingProxyType(populations))
        object.__setattr__(self, "connections", tuple(self.connections))
        shapes = [exact.shape for exact in self.unrounded]
        if self.unrounded and shapes != [c.weights.shape for c in self.connections]:
            raise QuantizationError("FixedGraph: unrounded must have the shapes of the connections' weights")
        for connection in self.connections:
            for name in (connection.source, connection.target):
                if name not in populations:
                    raise QuantizationError(f"Connection {connection.name}: there is no population {name!r}")
            _check_shapes(connection, populations[connection.source], populations[connection.target])
        inputs = [name for name, population in populations.items() if population.kind == "input"]
        if not inputs:
            raise QuantizationError("FixedGraph: needs a population of kind 'input', got none")
        if not self.input_name:
            object.__setattr__(self, "input_name", inputs[0])
        depths = dict(self.depths) or depths_of(
            list(populations), [(c.source, c.target) for c in self.connections]
        )
        object.__setattr__(self, "depths", MappingProxyType(depths))

    def into(self, name: str) -> tuple[Connection, ...]:
        """Return the connections that end at a population."""
        return tuple(c for c in self.connections if c.target == name)

    @property
    def depth(self) -> int:
        """Steps by which the last population lags behind the input."""
        return max(self.depths.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all registers and weights, as hexadecimal text."""
        digest = hashlib.sha256(b"hw.FixedGraph")
        for name in sorted(self.populations):
            digest.update(_bytes(name, self.populations[name]))
        for connection in sorted(
            self.connections, key=lambda c: (c.source, c.target, c.kind, c.weights.tobytes())
        ):
            digest.update(_bytes(connection.name, connection))
        digest.update(
            repr((self.profile, self.input_name, self.gate_name, sorted(self.depths.items()))).encode()
        )
        return digest.hexdigest()

    def __repr__(self) -> str:
        n_neurons = sum(p.size for p in self.populations.values() if p.kind != "input")
        return (
            f"FixedGraph({len(self.populations)} populations, {n_neurons} neurons, "
            f"{len(self.connections)} connections, profile {self.profile!r})"
        )


def _bytes(name: str, part: Any) -> bytes:
    values = [repr(name).encode()]
    for entry in fields(part):
        value = getattr(part, entry.name)
        values.append(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return b"|".join(values)


def _check_shapes(connection: Connection, source: Population, target: Population) -> None:
    what, weights = f"Connection {connection.name}", connection.weights
    if target.kind == "input":
        raise QuantizationError(f"{what}: an input takes no connection")
    if connection.kind == "dense":
        if weights.shape != (target.size, source.size):
            rule = f"weights must have shape {(target.size, source.size)}"
            raise QuantizationError(f"{what}: {rule}, got {weights.shape}")
    elif connection.kind == "sparse":
        for name, size in (("rows", target.size), ("columns", source.size)):
            values = getattr(connection, name)
            if values.size and (values.min() < 0 or values.max() >= size):
                raise QuantizationError(f"{what}: {name} must be 0 to {size - 1}, got up to {values.max()}")
    else:
        shape = conv_output_shape(connection, source.shape)
        if shape != target.shape:
            raise QuantizationError(
                f"{what}: the convolution gives shape {shape}, the target has {target.shape}"
            )


def conv_output_shape(connection: Connection, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that a convolution makes of a shape."""
    out, per_group, *kernel = connection.weights.shape
    if len(shape) != 3 or shape[0] != per_group * connection.groups:
        raise QuantizationError(
            f"Connection {connection.name}: the convolution needs {per_group * connection.groups} channels "
            f"of rows and columns, got shape {shape}"
        )
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(
            shape[1:], kernel, connection.stride, connection.padding, connection.dilation, strict=True
        )
    ]
    return (out, *sizes)
