"""End each recording as soon as the answer is clear, with a rule calibrated on validation recordings."""

from __future__ import annotations

import numpy as np

import eventio
import neuro
from spikeloom import Recognizer, shipped_model
from spikeloom.recordings import windows

model = Recognizer.load(shipped_model())


def frames(sample: eventio.datasets.Sample) -> neuro.Spikes:
    """The first window of a recording as the network's input."""
    encoding = model.encoding
    found = windows(sample.path, width=encoding.width, height=encoding.height, window_us=encoding.window_us)
    return encoding.spikes(next(found))


validation = eventio.datasets.digits("validation").samples[::4]
readouts = np.array([neuro.simulate(model.graph, frames(sample)).output for sample in validation])
labels = [sample.label for sample in validation]
calibration = neuro.calibrate_exit(readouts, labels, allowed_loss=0.01, first_step=3, check_every=2)
print(calibration)

test = eventio.datasets.digits("test").samples[::12]
dynamics = neuro.Dynamics(early_exit=calibration.rule, compare=True)
results = neuro.simulate(model.graph, [frames(sample) for sample in test], dynamics=dynamics)
print(neuro.dynamics.tabulate([result.dynamics for result in results]))

right = sum(
    result.output.sum(axis=0).argmax() == sample.label for result, sample in zip(results, test, strict=True)
)
executed = sum(result.dynamics.synaptic_operations for result in results)
whole = sum(result.dynamics.synaptic_operations_without for result in results)
print(f"{right} of {len(test)} right, {whole / executed:.1f}x fewer operations")

assert right >= 0.9 * len(test)
assert whole > 2 * executed
