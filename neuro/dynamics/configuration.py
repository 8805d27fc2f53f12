"""What a run may leave out, in one object."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.dynamics.rules import ExitRule
from neuro.errors import InputError

__all__ = ["Dynamics"]


@dataclass(frozen=True)
class Dynamics:
    """What a run may leave out; each part can be turned on and off.

    With everything off a run computes every step of every node, and equals ``simulate`` without attention bit for bit.
    Output pixels without input need no operation, with or without this object (`Fractions.active_pixels`).

    Attributes
    ----------
    attention : bool
        Whether temporal attention drops frames; nothing happens where the graph has none.
    channels : bool
        Whether a ChannelAttention drops channels; likewise. Scores that scale what passes go on scaling it.
    pixels : bool
        Whether a SpatialAttention drops pixels; likewise.
    early_exit : ExitRule or None
        Ends the run as soon as the readout is sure enough; no layer computes a later step.
    compare : bool
        Whether to run a second time with everything on the way off, so that the report holds the synaptic
        operations without dynamics.

    Examples
    --------
    >>> Dynamics(attention=False, early_exit=ExitRule(0.9, first_step=4, check_every=2)).is_off
    False
    >>> Dynamics.off().is_off
    True
    """

    attention: bool = True
    channels: bool = True
    pixels: bool = True
    early_exit: ExitRule | None = None
    compare: bool = False

    def __post_init__(self) -> None:
        for name in ("attention", "channels", "pixels", "compare"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"Dynamics: {name} must be True or False, got {getattr(self, name)!r}")
        if self.early_exit is not None and not isinstance(self.early_exit, ExitRule):
            raise InputError(
                f"Dynamics: early_exit must be a neuro.ExitRule or None, got {type(self.early_exit).__name__}"
            )

    @classmethod
    def off(cls) -> Dynamics:
        """Return the object with everything turned off."""
        return cls(attention=False, channels=False, pixels=False)

    @property
    def is_off(self) -> bool:
        """Whether nothing may be left out."""
        return not (self.attention or self.channels or self.pixels) and self.early_exit is None
