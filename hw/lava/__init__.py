"""Lava's simulator beside ours: the only place that imports lava, and only in a worker process."""

from __future__ import annotations

from hw.lava.running import LavaRun, lava_version, simulate, unsupported

__all__ = ["simulate", "LavaRun", "lava_version", "unsupported"]
