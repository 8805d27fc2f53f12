"""Recognise one recording with the shipped model: what it is, how sure, since when, at what cost."""

from __future__ import annotations

import eventio
from spikeloom import Recognizer, shipped_model

model = Recognizer.load(shipped_model())
sample = eventio.datasets.digits("test").samples[7]

recording = eventio.read(sample.path)
print(f"{len(recording):,} events on {recording.width}x{recording.height} pixels")

decision = model.recognize(recording)
print(
    f"a {decision.label}, confidence {decision.confidence:.2f}, since {decision.decided_at_us / 1000:.0f} ms"
)
print(f"{decision.frames_kept} of {decision.frames_total} frames computed")
print(f"{decision.synaptic_operations:,} synaptic operations")

assert decision.label == str(sample.label)
