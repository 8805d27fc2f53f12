"""Processor time of several functions, measured in turns so that a busy machine disturbs all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["best_seconds", "best_seconds_of"]


def best_seconds_of(
    runs: Mapping[str, Callable[[], Any]], *, repeats: int, budget_s: float = 20.0
) -> dict[str, float]:
    """Time each function in turns: the shortest processor time of the calling thread.

    A timed run comes straight after an untimed one of the same function, so that each finds the caches as it left them.
    After two rounds, rounds stop when `budget_s` seconds of wall time are used up.
    """
    best = dict.fromkeys(runs, float("inf"))
    begun = time.perf_counter()
    for n_done in range(repeats):
        if n_done >= 2 and time.perf_counter() - begun > budget_s:
            break
        for name, run in runs.items():
            run()
            start = time.thread_time()
            run()
            best[name] = min(best[name], time.thread_time() - start)
    return best


def best_seconds(run: Callable[[], Any], *, repeats: int, budget_s: float = 20.0) -> float:
    """Time one function."""
    return best_seconds_of({"": run}, repeats=repeats, budget_s=budget_s)[""]
