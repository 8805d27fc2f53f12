"""A recurrent network in NEST: iaf_psc_delta_ps, one spike train for each neuron, delays on its grid; float64.

Called as ``PYTHON run_nest_cycle.py request.npz answer.npz``, see `unrolled.py` for the answer. A request holds t_us,
index (the input spikes), weight_in, and the synapses pre, post, weight, delay_us; n, tau_us, refractory_us, step_us,
duration_us.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nest
import numpy as np


def main() -> None:
    asked = np.load(sys.argv[1])
    n, step_ms = int(asked["n"]), float(asked["step_us"]) / 1e3
    start = time.process_time()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.local_num_threads = 1
    nest.resolution = step_ms
    tau_ms = float(asked["tau_us"]) / 1e3
    parameters = {"tau_m": tau_ms, "C_m": tau_ms, "t_ref": float(asked["refractory_us"]) / 1e3, "V_th": 1.0}
    cells = nest.Create("iaf_psc_delta_ps", n, params=parameters | {"E_L": 0.0, "V_m": 0.0, "V_reset": 0.0})
    ids = np.asarray(cells.tolist())
    order = np.argsort(asked["index"], kind="stable")
    times, index = asked["t_us"][order] / 1e3, asked["index"][order]
    trains = np.split(times, np.searchsorted(index, np.arange(1, n)))
    sources = nest.Create("spike_generator", n, params={"precise_times": True})
    sources.set([{"spike_times": train} for train in trains])
    parrots = nest.Create("parrot_neuron_ps", n)  # connections of devices are slow
    nest.Connect(sources, parrots, "one_to_one", {"delay": step_ms})
    nest.Connect(parrots, cells, "one_to_one", {"weight": float(asked["weight_in"]), "delay": step_ms})
    synapse = {"weight": asked["weight"].astype(np.float64), "delay": asked["delay_us"] / 1e3}
    nest.Connect(ids[asked["pre"]], ids[asked["post"]], "one_to_one", synapse)
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Prepare()
    build_s = time.process_time() - start
    start = time.process_time()
    nest.Run(float(asked["duration_us"]) / 1e3 + 3 * step_ms)
    run_s = time.process_time() - start
    nest.Cleanup()
    events = recorder.events
    t_us = np.rint((events["times"] - 2 * step_ms) * 1e3).astype(np.int64)
    index = np.asarray(events["senders"]) - ids[0]
    is_in = t_us < int(asked["duration_us"])
    np.savez(
        Path(sys.argv[2]),
        t_us=t_us[is_in],
        index=index[is_in],
        run_s=run_s,
        build_s=build_s,
        version=nest.__version__,
    )


if __name__ == "__main__":
    main()
