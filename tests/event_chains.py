"""Small continuous graphs, and events written by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from neuro import Events
from neuro.graph import Graph, continuous

__all__ = ["chain", "listed", "spikes"]


def chain(*nodes: Any) -> Graph:
    """A continuous graph of nodes one behind the other, named n0, n1, ..."""
    names = [f"n{k}" for k in range(len(nodes))]
    return Graph(dict(zip(names, nodes, strict=True)), list(pairwise(names)), continuous())


def spikes(*at: tuple[int, int], n: int = 1, duration_us: int | None = None) -> Events:
    """Spikes at (t_us, index)."""
    return Events([t for t, _ in at], [i for _, i in at], np.ones(len(at)), (n,), duration_us=duration_us)


def listed(events: Events) -> list[tuple[int, int]]:
    """(t_us, index) of all events."""
    return list(zip(events.t_us.tolist(), events.index.tolist(), strict=True))
