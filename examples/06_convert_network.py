"""Convert a small convolutional network into spiking ones, prove them equal, and compare what the codes cost."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import analog_bridge

images = (load_digits().images / 16).astype(np.float32)[:, np.newaxis]
classes = load_digits().target.astype(np.int64)
train, calibration, test = slice(0, 1200), slice(0, 300), slice(1500, 1600)

torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1, bias=False),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Flatten(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for batch in [part for _ in range(8) for part in torch.randperm(1200).split(60)]:
    scores = network(torch.from_numpy(images[train])[batch])
    loss = nn.functional.cross_entropy(scores, torch.from_numpy(classes[train])[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
network.eval()

print(f"{'method':<12}{'accuracy':>9}{'steps':>7}{'spikes':>8}{'operations':>12}{'counts that differ':>22}")
operations = {}
for method in ("integer", "signed", "radix", "first_spike", "rate"):
    conversion = analog_bridge.convert(
        network, torch.zeros(1, 1, 8, 8), calibration=images[calibration], method=method, levels=15
    )
    report = analog_bridge.measure_conversion(conversion, images[test], classes[test])
    operations[method] = report.synaptic_operations
    found = report.agreement
    print(
        f"{method:<12}{100 * report.accuracy_spiking:>7.1f} %{report.n_steps:>7}{report.spikes:>8.0f}"
        f"{report.synaptic_operations:>12.0f}{found.n_mismatches:>12} of {found.n_compared}"
    )
    assert method == "rate" or found.n_mismatches <= 5
    assert method != "integer" or (found and found.output_difference == 0)

assert operations["radix"] < operations["integer"]
