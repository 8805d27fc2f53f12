"""The engine against dense and sparse torch over the density of spikes, and what a run costs besides its kernels.

Parts: `network` (the gesture topology against torch streaming, folded, bfloat16), `layers` (single layers from 0.1 % to
100 %), `kernels` (operations per second of a layer's paths), `run` (first call, compilation, memory), `threads`,
`pools` (of spikes, folded). One thread on both sides, processor time, the best of several runs taken in turns; spikes
are compared first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from rows import Row, show

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from density_layers import kernel_rows, layer_rows
from density_pools import pool_rows
from density_recordings import network_rows
from density_runs import run_rows, thread_rows

PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "network": network_rows,
    "layers": layer_rows,
    "kernels": kernel_rows,
    "run": run_rows,
    "threads": thread_rows,
    "pools": pool_rows,
}


def main() -> None:
    """Measure the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer densities, shapes, forms and repeats")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="measure these only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for part in arguments.parts for row in PARTS[part](arguments.quick)]
    show(rows, title="Density of spikes", json_path=arguments.json)


if __name__ == "__main__":
    main()
