"""Run NEST's neurons with precise spike times. Started by the tests with the interpreter of `.venv-nest`.

Reads a JSON object {model, parameters, resolution_ms, duration_ms, times_ms, weights} from the standard input, writes
the spike times in ms of each neuron to the file that is named.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    import nest  # found in `.venv-nest` only

    wanted = json.load(sys.stdin)
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.resolution = step = wanted["resolution_ms"]
    cells = nest.Create(wanted["model"], len(wanted["times_ms"]), params=wanted["parameters"])
    for cell, times, weights in zip(cells, wanted["times_ms"], wanted["weights"], strict=True):
        if times:
            given = {"spike_times": times, "spike_weights": weights, "precise_times": True}
            source = nest.Create("spike_generator", params=given)
            nest.Connect(source, cell, syn_spec={"weight": 1.0, "delay": step})
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate(wanted["duration_ms"])
    events = recorder.events
    found = [sorted(events["times"][events["senders"] == one].tolist()) for one in cells.tolist()]
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
