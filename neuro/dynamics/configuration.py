"""What a run may leave out, in one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from neuro.dynamics.gates import BranchGate
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
    heads : mapping of str to ExitRule
        Exit in depth, for a network with several sinks: if the readout of such a sink is sure enough after all steps,
        what only the sinks behind it (in the graph's order) need is never computed. Only the rule's measure,
        readout, temperature and threshold matter. Does not go with `early_exit`.
    gates : tuple of BranchGate
        Branches that are skipped where the input is not worth them.
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
    heads: Mapping[str, ExitRule] = field(default_factory=dict)
    gates: tuple[BranchGate, ...] = ()
    compare: bool = False

    def __post_init__(self) -> None:
        for name in ("attention", "channels", "pixels", "compare"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"Dynamics: {name} must be True or False, got {getattr(self, name)!r}")
        if self.early_exit is not None and not isinstance(self.early_exit, ExitRule):
            raise InputError(
                f"Dynamics: early_exit must be a neuro.ExitRule or None, got {type(self.early_exit).__name__}"
            )
        for name, rule in self.heads.items():
            if not isinstance(rule, ExitRule):
                raise InputError(
                    f"Dynamics: heads[{name!r}] must be a neuro.ExitRule, got {type(rule).__name__}"
                )
        if self.heads and self.early_exit is not None:
            raise InputError(
                "Dynamics: an exit in depth (heads) and one in time (early_exit) exclude each other"
            )
        gates = tuple(self.gates)
        if not all(isinstance(gate, BranchGate) for gate in gates):
            raise InputError(f"Dynamics: gates must be neuro.BranchGate objects, got {self.gates!r}")
        object.__setattr__(self, "heads", MappingProxyType(dict(self.heads)))
        object.__setattr__(self, "gates", gates)

    @classmethod
    def off(cls) -> Dynamics:
        """Return the object with everything turned off."""
        return cls(attention=False, channels=False, pixels=False)

    @property
    def is_off(self) -> bool:
        """Whether nothing may be left out."""
        is_selecting = self.attention or self.channels or self.pixels
        return not (is_selecting or self.heads or self.gates) and self.early_exit is None
