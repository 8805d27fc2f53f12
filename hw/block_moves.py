"""Blocks moved and exchanged between cores, as long as fewer messages are left between these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.blocks import RESOURCES
from hw.partitioning import Partition
from hw.targets import Target

__all__ = ["improved"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROUNDS = 30


def improved(found: Partition, volumes: Floats, target: Target, n_allowed: int) -> Partition:
    """Move blocks to other cores and exchange pairs of blocks while that leaves fewer messages between cores.

    Parameters
    ----------
    found : Partition
        Blocks and cores, all within the limits.
    volumes : float64, shape (n_blocks + 1, n_blocks)
        Messages per step from block to block.
    target : Target
        The chip.
    n_allowed : int
        Cores that may be used; never more than there are.

    Returns
    -------
    Partition
        The same blocks; as many cores or fewer.
    """
    n = len(found.blocks)
    both = volumes[:n] + volumes[:n].T
    core = np.array([block.core for block in found.blocks], np.int64)
    used = np.array([[block.usage.values[name] for name in RESOURCES] for block in found.blocks], np.int64)
    limits = np.array([target[name] for name in RESOURCES], np.int64)
    names = {name: k for k, name in enumerate(found.layers)}
    population = np.array([names[block.population] for block in found.blocks], np.int64)
    state = _Cores(core, used, limits, population, found.n_cores)
    for _ in range(_ROUNDS):
        if not (_move(state, both) or _swap(state, both)):
            break
    return found.moved(state.core)


class _Cores:
    """Where blocks lie, and what the cores hold."""

    def __init__(self, core: Ints, used: Ints, limits: Ints, population: Ints, n_cores: int) -> None:
        self.core, self.used, self.limits, self.population = core, used, limits, population
        self.held = np.zeros((n_cores, used.shape[1]), np.int64)
        np.add.at(self.held, core, used)
        self.has = np.zeros((n_cores, int(population.max(initial=0)) + 1), np.bool_)
        self.has[core, population] = True

    def put(self, block: int, core: int) -> None:
        """Move a block."""
        old = self.core[block]
        self.held[old] -= self.used[block]
        self.held[core] += self.used[block]
        self.has[old, self.population[block]] = False
        self.has[core, self.population[block]] = True
        self.core[block] = core

    def ties(self, both: Floats) -> Floats:
        """Return messages between each block and each core, shape (n_blocks, n_cores)."""
        found = np.zeros((self.held.shape[0], both.shape[0]))
        np.add.at(found, self.core, both)
        return np.ascontiguousarray(found.T)


def _move(state: _Cores, both: Floats) -> bool:
    """Move single blocks to where most of their messages come from or go to."""
    moved = False
    ties = state.ties(both)
    for block in range(state.core.size):
        here = state.core[block]
        fits = ((state.held + state.used[block]) <= state.limits).all(axis=1)
        fits &= ~state.has[:, state.population[block]]
        fits[here] = False
        gain = np.where(fits, ties[block] - ties[block, here], -np.inf)
        best = int(gain.argmax())
        if gain[best] > 1e-9:
            state.put(block, best)
            ties[:, here] -= both[block]
            ties[:, best] += both[block]
            moved = True
    return moved


def _swap(state: _Cores, both: Floats) -> bool:
    """Exchange pairs of blocks."""
    swapped = False
    ties = state.ties(both)
    every = np.arange(state.core.size)
    for block in every:
        here = state.core[block]
        there = state.core
        gain = (
            ties[block, there] - ties[block, here] + ties[every, here] - ties[every, there] - 2 * both[block]
        )
        gain[there == here] = -np.inf
        for other in np.argsort(-gain)[:8]:
            if gain[other] <= 1e-9:
                break
            if _fits_swapped(state, int(block), int(other)):
                goal = int(state.core[other])
                state.put(int(block), goal)
                state.put(int(other), int(here))
                state.has[goal, state.population[block]] = True
                state.has[here, state.population[other]] = True
                ties[:, here] += both[other] - both[block]
                ties[:, goal] += both[block] - both[other]
                swapped = True
                break
    return swapped


def _fits_swapped(state: _Cores, a: int, b: int) -> bool:
    """Say whether two blocks can change places."""
    core_a, core_b = state.core[a], state.core[b]
    change = state.used[b] - state.used[a]
    if (state.held[core_a] + change > state.limits).any() or (
        state.held[core_b] - change > state.limits
    ).any():
        return False
    if state.population[a] == state.population[b]:
        return True
    return not (state.has[core_a, state.population[b]] or state.has[core_b, state.population[a]])
