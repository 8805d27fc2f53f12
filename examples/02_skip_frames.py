"""Raise the attention threshold and see frames, operations and answers change."""

from __future__ import annotations

import eventio
from spikeloom import Recognizer, shipped_model

model = Recognizer.load(shipped_model())
samples = eventio.datasets.digits("validation").samples[::30]

operations = []
for threshold in (0.0, 0.3, 0.6):
    decisions = [model.with_threshold(threshold).recognize(sample.path) for sample in samples]
    right = sum(d.label == str(s.label) for d, s in zip(decisions, samples, strict=True))
    kept = sum(d.frames_kept for d in decisions) / sum(d.frames_total for d in decisions)
    operations.append(sum(d.synaptic_operations for d in decisions))
    print(
        f"threshold {threshold}: {right}/{len(samples)} right, {kept:.0%} of the frames, {operations[-1]:,} operations"
    )

assert operations[0] > operations[1] > operations[2]
