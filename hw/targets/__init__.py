"""Chips: frozen limits and price tables, each number with its source."""

from __future__ import annotations

from hw.targets.chips import TARGETS, loihi1, loihi2
from hw.targets.files import find_target, load_target
from hw.targets.prices import DAVIES_2018, SANA_FE, TERMS, PriceTable
from hw.targets.target import GRADES, LIMIT_NAMES, Limit, Target

__all__ = [
    "Target",
    "Limit",
    "LIMIT_NAMES",
    "GRADES",
    "TARGETS",
    "loihi1",
    "loihi2",
    "find_target",
    "load_target",
    "PriceTable",
    "TERMS",
    "DAVIES_2018",
    "SANA_FE",
]
