"""Networks with attention in every layer, and the three that were published: frozen, checked values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from neuro.errors import InputError

READINGS = ("paper", "code", "none")


@dataclass(frozen=True)
class StackLayer:
    """One layer: a square convolution or a full connection, batch norm, average pool, attention, LIF neurons.

    Attributes
    ----------
    size : int
        Output channels of the convolution, or neurons of the full connection.
    kernel : int or None
        Size of the kernel, odd (zero padding keeps rows and columns); None: a full connection.
    pool : int
        Size and step of the average pool behind the batch norm; 1: none.
    """

    size: int
    kernel: int | None = None
    pool: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.size < 1 or self.pool < 1:
            raise InputError(f"StackLayer: size and pool must be >= 1, got {self.size} and {self.pool}")
        if self.kernel is not None and (self.kernel < 1 or self.kernel % 2 == 0):
            raise InputError(f"StackLayer: kernel must be odd, or None, got {self.kernel}")
        if self.kernel is None and self.pool != 1:
            raise InputError("StackLayer: a full connection has no pool; use pool=1")


@dataclass(frozen=True)
class StackConfig:
    """A network of layers that all have temporal attention, as TA-SNN; the last layer spikes once per class.

    Neurons follow v <- alpha * v + I and fire where v > threshold. The recording belongs to the class whose neuron
    fires most.

    reading='paper': attention stands on what enters a layer; in training the frames are multiplied by their scores,
    at inference those under a threshold are dropped and the others pass unscaled; neurons are reset to 0.
    reading='code': attention stands on the current behind convolution, batch norm and pool, in the last layer too, and
    multiplies it by the score in training and at inference; neurons are reset to the threshold (and then decay).
    reading='none': no temporal attention, otherwise as 'paper'.

    Source: Yao et al., "Temporal-wise Attention Spiking Neural Networks for Event Streams Classification", ICCV 2021,
    and its public code. Channel and spatial attention: Yao et al., "Attention Spiking Neural Networks", IEEE TPAMI
    2023; here on what enters a layer (there on the current), from means alone for channels.

    Attributes
    ----------
    input_shape : tuple of int
        (channels, rows, columns), or (n,).
    layers : tuple of StackLayer
        First to last; the size of the last is the number of classes.
    n_frames : int
        T, frames of a window.
    reading : str
        'paper', 'code' or 'none'.
    attended : str
        'all': every layer has attention; 'input': the first only (input attention pruning).
    reduction : int
        r: T // r hidden units of the scores (at least 1).
    channels, pixels : bool
        Whether channel and spatial attention stand before every convolution (soft in training, hard at inference).
    dt_s : float
        Time step in seconds.
    alpha, threshold : float
        Decay per step, threshold of the neurons.
    surrogate_width : float
        a: the surrogate gradient is 1 / a where abs(v - threshold) < a / 2, else 0.
    dropout : float
        Probability of silencing an input of the last layer while training.
    max_count : int
        Largest count per entry and frame that the exported network accepts.
    """

    input_shape: tuple[int, ...]
    layers: tuple[StackLayer, ...]
    n_frames: int
    reading: str = "paper"
    attended: str = "all"
    reduction: int = 4
    channels: bool = False
    pixels: bool = False
    dt_s: float = 0.001
    alpha: float = 0.3
    threshold: float = 0.3
    surrogate_width: float = 0.5
    dropout: float = 0.0
    max_count: int = 255

    def __post_init__(self) -> None:
        """Check the ranges."""
        if len(self.input_shape) not in (1, 3) or min(self.input_shape) < 1:
            raise InputError(
                f"StackConfig: input_shape must be (channels, rows, columns) or (n,), got {self.input_shape}"
            )
        if not self.layers:
            raise InputError("StackConfig: needs at least one layer, the last one with a neuron per class")
        if self.reading not in READINGS:
            raise InputError(f"StackConfig: reading must be 'paper', 'code' or 'none', got {self.reading!r}")
        if self.attended not in ("all", "input"):
            raise InputError(f"StackConfig: attended must be 'all' or 'input', got {self.attended!r}")
        for name in ("n_frames", "reduction", "max_count"):
            if getattr(self, name) < 1:
                raise InputError(f"StackConfig: {name} must be >= 1, got {getattr(self, name)}")
        for name in ("dt_s", "threshold", "surrogate_width"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"StackConfig: {name} must be a finite number > 0, got {value!r}")
        if not 0 < self.alpha < 1 or not 0 <= self.dropout < 1:
            raise InputError(
                f"StackConfig: alpha must lie between 0 and 1 and dropout within 0..1, below 1, got {self.alpha} and "
                f"{self.dropout}"
            )
        self._check_kernels()

    def _check_kernels(self) -> None:
        is_flat = len(self.input_shape) == 1
        for number, layer in enumerate(self.layers):
            if is_flat and layer.kernel is not None:
                raise InputError(f"StackConfig: layers[{number}] is a convolution behind a full connection")
            is_flat = is_flat or layer.kernel is None
        if self.layers[-1].kernel is not None:
            raise InputError("StackConfig: the last layer must be a full connection, one neuron per class")
        if (self.channels or self.pixels) and self.layers[0].kernel is None:
            raise InputError(
                "StackConfig: channel and spatial attention stand before convolutions, it has none"
            )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.layers[-1].size

    @property
    def n_score_units(self) -> int:
        """Number of hidden units of the scores, max(1, n_frames // reduction)."""
        return max(1, self.n_frames // self.reduction)

    @property
    def tau_mem_s(self) -> float:
        """Time constant with exp(-dt_s / tau_mem_s) = alpha."""
        return -self.dt_s / math.log(self.alpha)


#: The published networks as in TA-SNN's public code: T and r of its tables, input sizes, neurons. Frames of the gesture
#: set are counts in blocks of 4 x 4 pixels. dt_s is the length of a frame.
PUBLISHED: Mapping[str, StackConfig] = MappingProxyType(
    {
        "gesture": StackConfig(
            (2, 32, 32),
            (
                StackLayer(64, 3),
                StackLayer(128, 3, 2),
                StackLayer(128, 3, 2),
                StackLayer(256),
                StackLayer(11),
            ),
            n_frames=60,
            reading="code",
            reduction=16,
            dt_s=0.001,
            surrogate_width=0.5,
        ),
        "cifar10dvs": StackConfig(
            (2, 128, 128),
            (
                StackLayer(32, 3, 2),
                StackLayer(64, 3, 2),
                StackLayer(128, 3, 2),
                StackLayer(256, 3, 2),
                StackLayer(512, 3, 4),
                StackLayer(256),
                StackLayer(10),
            ),
            n_frames=10,
            reading="code",
            reduction=5,
            dt_s=0.001,
            surrogate_width=1.0,
        ),
        "shd": StackConfig(
            (700,),
            (StackLayer(128), StackLayer(128), StackLayer(20)),
            n_frames=10,
            reading="code",
            reduction=5,
            dt_s=0.004,
            surrogate_width=0.25,
            dropout=0.5,
        ),
    }
)
