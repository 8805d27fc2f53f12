"""What both scripts for NEST do: neurons with precise spikes, spike trains through parrots, a timed run, the answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nest
import numpy as np


def begin(step_ms: float) -> None:
    """Set NEST back, to one thread and a step."""
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.local_num_threads = 1
    nest.resolution = step_ms


def neurons(n: int, tau_ms: float, refractory_ms: float) -> Any:
    """Create neurons with delta synapses, a threshold of 1 and a rest of 0."""
    parameters = {"tau_m": tau_ms, "C_m": tau_ms, "t_ref": refractory_ms, "V_th": 1.0}
    parameters |= {"E_L": 0.0, "V_m": 0.0, "V_reset": 0.0}
    return nest.Create("iaf_psc_delta_ps", n, params=parameters)


def spiking(trains_ms: Sequence[Any], step_ms: float) -> Any:
    """Create a parrot for each spike train: connections of devices are slow."""
    sources = nest.Create("spike_generator", len(trains_ms), params={"precise_times": True})
    sources.set([{"spike_times": train} for train in trains_ms])
    parrots = nest.Create("parrot_neuron_ps", len(trains_ms))
    nest.Connect(sources, parrots, "one_to_one", {"delay": step_ms})
    return parrots


def run_and_answer(cells: Any, start_s: float, step_ms: float, duration_us: int, *, is_cut: bool) -> None:
    """Run, and write the cells' spikes (`is_cut`: those before the end), less the two delays on their way."""
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Prepare()
    build_s = time.process_time() - start_s
    start_s = time.process_time()
    nest.Run(duration_us / 1e3 + 3 * step_ms)
    run_s = time.process_time() - start_s
    nest.Cleanup()
    events = recorder.events
    t_us = np.rint((events["times"] - 2 * step_ms) * 1e3).astype(np.int64)
    index = np.asarray(events["senders"]) - cells.tolist()[0]
    kept = t_us < duration_us if is_cut else np.ones(t_us.size, bool)
    answer = {"run_s": run_s, "build_s": build_s, "version": nest.__version__}
    np.savez(Path(sys.argv[2]), t_us=t_us[kept], index=index[kept], **answer)
