"""The layer in NEST: iaf_psc_delta_ps, one spike generator per input entry, one synapse per weight; float64.

Called as ``PYTHON run_nest.py request.npz answer.npz``, see `unrolled.py` for what the files hold.
"""

from __future__ import annotations

import sys
import time

import nest
import nest_run
import numpy as np


def main() -> None:
    asked = np.load(sys.argv[1])
    step_ms = float(asked["step_us"]) / 1e3
    start = time.process_time()
    nest_run.begin(step_ms)
    # the model's refractory period is a step or more
    cells = nest_run.neurons(int(asked["n_out"]), float(asked["tau_us"]) / 1e3, step_ms)
    indptr, order = asked["indptr"], np.argsort(asked["index"], kind="stable")
    times, entries = asked["t_us"][order] / 1e3, asked["index"][order]
    used, first = np.unique(entries, return_index=True)
    parrots = nest_run.spiking(np.split(times, first[1:]), step_ms)
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
    nest_run.run_and_answer(cells, start, step_ms, int(asked["duration_us"]), is_cut=False)


if __name__ == "__main__":
    main()
