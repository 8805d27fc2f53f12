"""The layer in Brian2, C++ standalone: exact decay in steps, one synapse per weight; float32.

Called as ``PYTHON run_brian.py request.npz answer.npz``, see `unrolled.py` for what the files hold.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import brian2
import numpy as np
from brian2 import us


def main() -> None:
    asked = np.load(sys.argv[1])
    step_us, duration_us = int(asked["step_us"]), int(asked["duration_us"])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        brian2.set_device("cpp_standalone", build_on_run=False)
        brian2.prefs.core.default_float_dtype = np.float32
        brian2.defaultclock.dt = step_us * us
        tau = float(asked["tau_us"]) * us
        equations = "dv/dt = -v / tau : 1"
        cells = brian2.NeuronGroup(
            int(asked["n_out"]),
            equations,
            threshold="v > 1",
            reset="v = 0",
            method="exact",
            namespace={"tau": tau},
        )
        # input spikes act before the comparison of their step, as they do elsewhere
        source = brian2.SpikeGeneratorGroup(
            int(asked["n_in"]), asked["index"], asked["t_us"] * us, when="start"
        )
        synapses = brian2.Synapses(source, cells, "w : 1", on_pre="v_post += w")
        entries = np.repeat(np.arange(int(asked["n_in"])), np.diff(asked["indptr"]))
        synapses.connect(i=entries, j=asked["indices"])
        synapses.w = asked["weight"]
        monitor = brian2.SpikeMonitor(cells)
        network = brian2.Network(cells, source, synapses, monitor)
        network.schedule = ["start", "groups", "synapses", "thresholds", "resets", "end"]
        network.run(duration_us * us)
        brian2.device.build(directory=folder, compile=True, run=False)
        build_s = time.perf_counter() - start
        run_s = np.inf
        for _ in range(3):
            brian2.device.run(directory=folder, with_output=False)
            run_s = min(
                run_s, brian2.device._last_run_time
            )  # the loop over steps alone, as the program reports it
        t_us = np.rint(np.asarray(monitor.t / us)).astype(np.int64)
        index = np.asarray(monitor.i)
    version = brian2.__version__
    np.savez(Path(sys.argv[2]), t_us=t_us, index=index, run_s=run_s, build_s=build_s, version=version)


if __name__ == "__main__":
    main()
