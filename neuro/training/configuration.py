"""What to train (NetworkConfig) and how (Recipe): frozen, checked values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from neuro.errors import InputError

ATTENTION_FORMS = ("window", "causal", "moving")


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be an integer >= 1, got {value!r}")


def _check_fraction(owner: str, name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"{owner}: {name} must lie within 0..1, got {value!r}")


@dataclass(frozen=True)
class ConvLayer:
    """One convolution of a recogniser, followed by batch norm and LIF neurons.

    Attributes
    ----------
    channels : int
        Number of output channels.
    kernel, stride, padding : int
        Size, step and zero border of the square kernel, in pixels.
    """

    channels: int
    kernel: int = 3
    stride: int = 2
    padding: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, least in (("channels", 1), ("kernel", 1), ("stride", 1), ("padding", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"ConvLayer: {name} must be an integer >= {least}, got {value!r}")


@dataclass(frozen=True)
class NetworkConfig:
    """Shape and constants of a recogniser: convolutions, hidden layers, leaky readout, attention.

    Every convolution and hidden layer is followed by batch norm (if asked for) and LIF neurons
    v <- v + a*((I + 0) - v), a = dt_s / tau_mem_s, spike where v > threshold, reset to 0. The readout is a
    leaky integrator with tau_readout_s; the logits of a recording are the sum of its membrane over all frames.

    Attributes
    ----------
    input_shape : tuple[int, int, int]
        Channels (0 = OFF, 1 = ON), rows, columns of a frame.
    n_classes, n_frames : int
        Number of classes; number of frames T of a window.
    conv : tuple[ConvLayer, ...]
        Convolutions, first to last; may be empty.
    hidden : tuple[int, ...]
        Sizes of the fully connected LIF layers; may be empty.
    dt_s, tau_mem_s, tau_readout_s : float
        Time step and membrane time constants, seconds.
    threshold : float
        Membrane at which a neuron fires (strictly above).
    reset : str
        'value': reset to 0 (the only choice of norse's LIFBox cells used here).
    surrogate_alpha : float
        Steepness of the surrogate gradient 1 / (alpha*abs(v - threshold) + 1)**2.
    attention : bool
        Whether frames get scores and may be dropped.
    attention_form : str
        'window': the score of a frame depends on all frames of the window; 'causal': on those up to it
        (lower-triangular weights); 'moving': on moving averages, for any number of frames.
    attention_reduction : int
        r: the hidden layer of the scores has T // r units (at least 1); for 'window'.
    dropout : float
        Probability of silencing an input neuron of a fully connected layer while training, for all frames of
        a recording alike.
    batch_norm : bool
        Normalise currents while training; always folded into the weights afterwards.
    max_count : int
        Largest count per pixel, polarity and frame that the exported network accepts.
    """

    input_shape: tuple[int, int, int] = (2, 34, 34)
    n_classes: int = 10
    n_frames: int = 20
    conv: tuple[ConvLayer, ...] = (ConvLayer(16, 5, 2, 2), ConvLayer(32, 3, 2, 1))
    hidden: tuple[int, ...] = (64,)
    dt_s: float = 0.015
    tau_mem_s: float = 0.030
    tau_readout_s: float = 0.060
    threshold: float = 1.0
    reset: str = "value"
    surrogate_alpha: float = 2.0
    attention: bool = True
    attention_form: str = "window"
    attention_reduction: int = 2
    dropout: float = 0.2
    batch_norm: bool = True
    max_count: int = 255

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("n_classes", "n_frames", "attention_reduction", "max_count"):
            _check_count(name, getattr(self, name))
        for name in ("dt_s", "tau_mem_s", "tau_readout_s", "threshold", "surrogate_alpha"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"NetworkConfig: {name} must be a finite number > 0, got {value!r}")
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise InputError(
                f"NetworkConfig: input_shape must be (channels, rows, columns), got {self.input_shape}"
            )
        for size in self.hidden:
            _check_count("hidden", size)
        if self.reset != "value":
            raise InputError(f"NetworkConfig: reset must be 'value', got {self.reset!r}")
        if self.attention_form not in ATTENTION_FORMS:
            raise InputError(
                f"NetworkConfig: attention_form must be one of {', '.join(map(repr, ATTENTION_FORMS))}, "
                f"got {self.attention_form!r}"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"NetworkConfig: dropout must lie within 0..1, below 1, got {self.dropout!r}")

    @property
    def n_score_units(self) -> int:
        """Number of hidden units of the attention scores, max(1, n_frames // attention_reduction)."""
        return max(1, self.n_frames // self.attention_reduction)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training recordings, drawn anew for every batch.

    Attributes
    ----------
    shift_px : int
        Largest shift in rows and columns; drawn uniformly, whole pixels.
    rotation_deg : float
        Largest rotation about the centre, either way, degrees.
    scale : float
        Largest relative change of size, either way (0.1: from 0.9 to 1.1).
    event_drop : float
        Probability of silencing a pixel of a frame.
    frame_drop : float
        Probability of silencing a whole frame.
    """

    shift_px: int = 2
    rotation_deg: float = 10.0
    scale: float = 0.1
    event_drop: float = 0.0
    frame_drop: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.shift_px < 0 or not 0 <= self.rotation_deg <= 180:
            raise InputError(
                f"Augmentation: shift_px must be >= 0 and rotation_deg within 0..180, "
                f"got {self.shift_px} and {self.rotation_deg}"
            )
        for name in ("scale", "event_drop", "frame_drop"):
            _check_fraction("Augmentation", name, getattr(self, name))


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: optimiser, loss, attention phases, augmentation.

    The learning rate rises linearly over the first `warm_up` of all batches and falls to 0 along a cosine.
    With attention, training has two phases. Soft (the first epochs): each frame is multiplied by its score.
    Hard (the last `hard_fraction` of the epochs): frames under a threshold are removed as at inference, and
    the threshold is drawn anew per batch so that a share of frames uniform in [`least_kept`, 1] is kept (with
    probability `keep_all` every frame is kept); one network then serves every threshold. The step function
    passes the gradient straight through to the scores of kept frames. In both phases
    `score_weight` * (mean score - `mean_score`)**2 is added to the loss, so that scores neither all open nor
    all close. With `by_events` shares and the mean score count events instead of frames: a frame with many events
    must be worth more. With `rate_penalty` the sum over the spiking layers of
    `rate_penalty` * max(0, rate - `target_rate`) is added, the rate being spikes per neuron and frame.

    With `every_step_weight` w the loss is (1 - w) times the cross entropy of the readout summed over all steps, plus
    w times the mean over t of that of the readout summed over the steps 0 to t. Then the running readout is right
    early, which is what an exit in time needs (`neuro.ExitRule`).

    Attributes
    ----------
    batch_size : int
        Recordings per batch.
    learning_rate, weight_decay : float
        Peak rate and decoupled decay of AdamW.
    warm_up : float
        Share of the batches during which the rate rises.
    label_smoothing : float
        Share of the target spread over all classes.
    hard_fraction : float
        Share of the epochs trained with hard masks.
    frozen_fraction : float
        Share of the epochs, the last ones, in which batch norm uses its running statistics as at inference.
        Batches of different kept shares have different statistics of their own, which inference has not.
    least_kept, keep_all : float
        Range and exception of the drawn share of kept frames.
    mean_score, score_weight : float
        Target of the mean score and the weight of its penalty.
    score_strength : float
        How strongly scores follow the events of their frames before training; below 1 training decides more.
    every_step_weight : float
        w, from 0 (only the end of the window counts) to 1.
    validation_kept : tuple[float, ...]
        In the hard phase the validation accuracy that chooses the model is the mean over these kept shares.
    by_events : bool
        Whether kept shares and the mean score weigh each frame by its events.
    rate_penalty, target_rate : float
        Weight of the penalty on spike rates above the target (0: none), and the target.
    augmentation : Augmentation
        Random changes of the training recordings.
    """

    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.1
    label_smoothing: float = 0.05
    hard_fraction: float = 0.8
    frozen_fraction: float = 0.6
    least_kept: float = 0.5
    keep_all: float = 0.5
    mean_score: float = 0.5
    score_weight: float = 1.0
    score_strength: float = 1.0
    every_step_weight: float = 0.0
    validation_kept: tuple[float, ...] = (1.0, 0.6)
    by_events: bool = False
    rate_penalty: float = 0.0
    target_rate: float = 0.0
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_count("batch_size", self.batch_size)
        fractions = (
            "warm_up",
            "label_smoothing",
            "hard_fraction",
            "frozen_fraction",
            "least_kept",
            "keep_all",
            "every_step_weight",
        )
        for name in (*fractions, "mean_score", "target_rate"):
            _check_fraction("Recipe", name, getattr(self, name))
        for name in ("learning_rate", "weight_decay", "score_weight", "score_strength", "rate_penalty"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"Recipe: {name} must be a finite number >= 0, got {value!r}")
        if not self.validation_kept or not all(0 < share <= 1 for share in self.validation_kept):
            raise InputError(f"Recipe: validation_kept must be shares in (0, 1], got {self.validation_kept}")
