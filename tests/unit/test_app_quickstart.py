"""The nine lines of Python that the README shows, with the model that comes along."""

from __future__ import annotations

import doctest

import pytest

import spikeloom

QUICKSTART = """
>>> import eventio.datasets, neuro, spikeloom
>>> digits = eventio.datasets.digits("test")                      # recorded by an emulated event camera
>>> recording = eventio.read(digits.samples[0].path)              # recording.t .x .y .p: microseconds, pixels, ON
>>> model = spikeloom.Recognizer.load(spikeloom.shipped_model())  # or one of your own: spikeloom train
>>> decision = model.recognize(recording)
>>> decision.label == digits.class_names[digits.samples[0].label], decision.frames_kept < decision.frames_total
(True, True)
>>> frames = eventio.to_frames(recording.events, width=34, height=34, bin_us=15_000, n_frames=model.encoding.n_frames)
>>> result = neuro.simulate(model.graph, frames, record={"lif1": "spikes"})
>>> len(result.spikes["lif1"]) == result.counters.spikes["lif1"] > 0
True
"""


def test_the_quickstart_runs() -> None:
    if not spikeloom.shipped_model().exists():
        pytest.skip("no shipped model yet: make shipped-model")
    test = doctest.DocTestParser().get_doctest(QUICKSTART, {}, "quickstart", None, 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize().failed == 0
    assert len(test.examples) == 9
