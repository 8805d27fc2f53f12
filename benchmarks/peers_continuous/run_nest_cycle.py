"""A recurrent network in NEST: iaf_psc_delta_ps, one spike train for each neuron, delays on its grid; float64.

Called as ``PYTHON run_nest_cycle.py request.npz answer.npz``, see `unrolled.py` for the answer. A request holds t_us,
index (the input spikes), weight_in, and the synapses pre, post, weight, delay_us; n, tau_us, refractory_us, step_us,
duration_us.
"""

from __future__ import annotations

import sys
import time

import nest
import nest_run
import numpy as np


def main() -> None:
    asked = np.load(sys.argv[1])
    n, step_ms = int(asked["n"]), float(asked["step_us"]) / 1e3
    start = time.process_time()
    nest_run.begin(step_ms)
    cells = nest_run.neurons(n, float(asked["tau_us"]) / 1e3, float(asked["refractory_us"]) / 1e3)
    ids = np.asarray(cells.tolist())
    order = np.argsort(asked["index"], kind="stable")
    times, index = asked["t_us"][order] / 1e3, asked["index"][order]
    parrots = nest_run.spiking(np.split(times, np.searchsorted(index, np.arange(1, n))), step_ms)
    nest.Connect(parrots, cells, "one_to_one", {"weight": float(asked["weight_in"]), "delay": step_ms})
    synapse = {"weight": asked["weight"].astype(np.float64), "delay": asked["delay_us"] / 1e3}
    nest.Connect(ids[asked["pre"]], ids[asked["post"]], "one_to_one", synapse)
    nest_run.run_and_answer(cells, start, step_ms, int(asked["duration_us"]), is_cut=True)


if __name__ == "__main__":
    main()
