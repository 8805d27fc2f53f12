"""The layer in NEST: iaf_psc_delta_ps, one spike generator per input entry, one synapse per weight; float64.

Called as ``PYTHON run_nest.py request.npz answer.npz``, see `unrolled.py` for what the files hold.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nest
import numpy as np


def main() -> None:
    asked = np.load(sys.argv[1])
    step_ms = float(asked["step_us"]) / 1e3
    start = time.process_time()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.local_num_threads = 1
    nest.resolution = step_ms
    tau_ms = float(asked["tau_us"]) / 1e3
    # the model's refractory period is a step or more
    parameters = {"tau_m": tau_ms, "C_m": tau_ms, "t_ref": step_ms, "V_th": 1.0}
    parameters |= {"E_L": 0.0, "V_m": 0.0, "V_reset": 0.0}
    indptr, n_out = asked["indptr"], int(asked["n_out"])
    cells = nest.Create("iaf_psc_delta_ps", n_out, params=parameters)
    order = np.argsort(asked["index"], kind="stable")
    times, entries = asked["t_us"][order] / 1e3, asked["index"][order]
    used, first = np.unique(entries, return_index=True)
    spikes = np.split(times, first[1:])
    sources = nest.Create("spike_generator", used.size, params={"precise_times": True})
    sources.set([{"spike_times": train} for train in spikes])
    # through one parrot each: connections of devices are slow
    parrots = nest.Create("parrot_neuron_ps", used.size)
    nest.Connect(sources, parrots, "one_to_one", {"delay": step_ms})
    pre, post, weight = [], [], []
    for k, entry in enumerate(used):
        part = slice(indptr[entry], indptr[entry + 1])
        post.append(asked["indices"][part])
        weight.append(asked["weight"][part])
        pre.append(np.full(post[-1].size, k))
    ids = np.asarray(cells.tolist()), np.asarray(parrots.tolist())
    synapse = {
        "weight": np.concatenate(weight).astype(np.float64),
        "delay": np.full(sum(map(len, pre)), step_ms),
    }
    nest.Connect(ids[1][np.concatenate(pre)], ids[0][np.concatenate(post)], "one_to_one", synapse)
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
    index = np.asarray(events["senders"]) - ids[0][0]
    np.savez(
        Path(sys.argv[2]), t_us=t_us, index=index, run_s=run_s, build_s=build_s, version=nest.__version__
    )


if __name__ == "__main__":
    main()
