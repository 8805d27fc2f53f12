"""What a run keeps: monitors of spikes, membranes and spike counts, with or without a bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from neuro.errors import InputError
from neuro.events import as_time
from neuro.graph import CODED, NEURONS, POPULATIONS, SPIKING, Clocked, Graph

__all__ = ["Kind", "Monitor", "Record", "Wanted", "checked_record"]

Kind = Literal["spikes", "membrane", "rate"]
Overflow = Literal["error", "count"]

_KINDS: tuple[Kind, ...] = ("spikes", "membrane", "rate")
_KINDS_TEXT = "'spikes', 'membrane' or 'rate'"


@dataclass(frozen=True)
class Monitor:
    """What to keep of a node, and how much at most.

    Attributes
    ----------
    kind : {'spikes', 'membrane', 'rate'}
        Spikes (or counts) one by one; membranes after the reset in every step; or only the number of spikes of
        each neuron, whose memory does not grow with the run.
    limit : int or None
        Most spikes, or most steps of membranes, that are kept; None for no bound. A 'rate' needs none.
    overflow : {'error', 'count'}
        What happens to more: an InputError that names the node, or the first `limit` are kept and the others
        counted in ``Result.left_out``.
    times_us : sequence of int, or None
        The times at which membranes are kept in continuous execution, ascending whole microseconds, each behind all
        that happens at it; clocked graphs keep every step and take None.

    Raises
    ------
    InputError
        If `kind` or `overflow` is unknown, `limit` is not a whole number >= 1, or `times_us` are not ascending times.

    Examples
    --------
    >>> Monitor("spikes", limit=1000, overflow="count").limit
    1000
    """

    kind: Kind
    _: KW_ONLY
    limit: int | None = None
    overflow: Overflow = "error"
    times_us: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise InputError(f"Monitor: kind must be {_KINDS_TEXT}, got {self.kind!r}")
        if self.overflow not in {"error", "count"}:
            raise InputError(f"Monitor: overflow must be 'error' or 'count', got {self.overflow!r}")
        if self.times_us is not None:
            object.__setattr__(self, "times_us", self._checked_times())
        limit = self.limit
        if limit is None:
            return
        if self.kind == "rate":
            raise InputError("Monitor: a 'rate' keeps one number for each neuron, it takes no limit")
        if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
            raise InputError(f"Monitor: limit must be a whole number >= 1 or None, got {limit!r}")

    def _checked_times(self) -> tuple[int, ...]:
        assert self.times_us is not None
        if self.kind != "membrane":
            raise InputError(
                f"Monitor: times_us are those of membranes, a monitor of {self.kind!r} takes none"
            )
        if self.limit is not None:
            raise InputError(
                "Monitor: times_us bound what is kept by themselves, it takes no limit beside them"
            )
        times = tuple(
            as_time("Monitor", "times_us", t) for t in np.asarray(self.times_us).reshape(-1).tolist()
        )
        for before, after in pairwise(times):
            if after <= before:
                raise InputError(f"Monitor: times_us must ascend, got {after} after {before}")
        return times


Record = Mapping[str, str | Monitor | Sequence[str | Monitor]]


@dataclass(frozen=True)
class Wanted:
    """The monitors of a run by node, for each kind."""

    spikes: Mapping[str, Monitor]
    membrane: Mapping[str, Monitor]
    rate: Mapping[str, Monitor]


def checked_record(graph: Graph, record: Record | None, events: Collection[str], n_steps: int) -> Wanted:
    """Return the monitors asked for; an InputError names a node that has not what is asked.

    `events` are the nodes that hand on spikes or counts; `n_steps` is the length of the run.
    """
    wanted: dict[str, dict[str, Monitor]] = {kind: {} for kind in _KINDS}
    if record is not None and not isinstance(record, Mapping):
        raise InputError(
            f"record: must map node names to {_KINDS_TEXT}, got {record!r}; write {{'name': 'spikes'}}"
        )
    for name, asked in (record or {}).items():
        if name not in graph.nodes:
            raise InputError(f"record: there is no node {name!r}; the nodes are {', '.join(graph.order)}")
        owner = f"{type(graph.nodes[name]).__name__} {name!r}"
        for entry in asked if isinstance(asked, Collection) and not isinstance(asked, str) else (asked,):
            monitor = _as_monitor(owner, entry)
            _check_node(graph, name, owner, monitor, events)
            _check_length(owner, monitor, n_steps)
            if wanted[monitor.kind].setdefault(name, monitor) != monitor:
                raise InputError(f"record: {owner} has two different monitors of kind {monitor.kind!r}")
    return Wanted(**wanted)


def _as_monitor(owner: str, entry: Any) -> Monitor:
    if isinstance(entry, Monitor):
        return entry
    for kind in _KINDS:
        if isinstance(entry, str) and entry == kind:
            return Monitor(kind)
    raise InputError(f"record: {owner} can record {_KINDS_TEXT}, got {entry!r}")


def _check_node(graph: Graph, name: str, owner: str, monitor: Monitor, events: Collection[str]) -> None:
    node = graph.nodes[name]
    if monitor.kind == "membrane" and not isinstance(node, (*NEURONS, *POPULATIONS, *CODED)):
        raise InputError(f"record: {owner} has no membrane; only neurons have")
    if monitor.times_us is not None and isinstance(graph.execution, Clocked):
        raise InputError(
            f"record: {owner} is in a clocked graph, whose membranes are kept in every step; leave times_us out"
        )
    if monitor.kind == "spikes" and name not in events:
        raise InputError(f"record: {owner} hands on currents or membranes, not spikes")
    if monitor.kind == "rate" and not isinstance(node, (*SPIKING, *POPULATIONS, *CODED)):
        raise InputError(f"record: {owner} has no firing rate; only spiking neurons have")


def _check_length(owner: str, monitor: Monitor, n_steps: int) -> None:
    if monitor.kind != "membrane" or monitor.limit is None or monitor.overflow == "count":
        return
    if n_steps > monitor.limit:
        raise InputError(
            f"record: the run has {n_steps} steps, the monitor of the membranes of {owner} keeps {monitor.limit}; "
            "raise its limit, run a part, or choose overflow='count'"
        )
