"""The recogniser: decisions over windows, attention, model files and their damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import eventio
import neuro
from neuro import graph as g
from spikeloom import Encoding, Recognizer, UserError
from spikeloom.decision import running_winner
from tests.app_models import (
    CLASS_NAMES,
    SIDE,
    random_events,
    random_recording,
    small_recognizer,
    write_recording,
)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return small_recognizer()


def test_a_decision_is_the_softmax_of_the_summed_readout(recognizer: Recognizer) -> None:
    recording = random_recording()
    (run,) = recognizer.run_windows(recording)
    decision = recognizer.recognize(recording)
    readout = run.result.output.reshape(8, 10).astype(np.float64).sum(axis=0)
    scaled = np.exp(readout / recognizer.temperature)
    assert decision.label == CLASS_NAMES[readout.argmax()]
    assert np.allclose(decision.probabilities, scaled / scaled.sum(), rtol=1e-12)
    assert decision.confidence == max(decision.probabilities)
    assert (decision.windows, decision.frames_total) == (1, 8)


def test_the_time_of_decision_is_the_end_of_the_frame_that_changed_it(recognizer: Recognizer) -> None:
    recording = random_recording()
    (run,) = recognizer.run_windows(recording)
    cumulative = np.cumsum(run.result.output.reshape(8, 10).astype(np.float64), axis=0)
    winners = [-1, *running_winner(cumulative)]
    last_change = max(n for n in range(1, 9) if winners[n] != winners[n - 1])
    decision = recognizer.recognize(recording)
    assert decision.decided_at_us == int(recording.t[0]) + last_change * 10_000


def test_the_first_of_equal_leaders_is_no_winner() -> None:
    assert running_winner(np.array([[1.0, 1.0, 0.0], [1.0, np.nextafter(1.0, 2.0), 0.0]])).tolist() == [-1, 1]


def test_attention_drops_frames_and_their_events_and_operations(recognizer: Recognizer) -> None:
    recording = random_recording()
    (run,) = recognizer.run_windows(recording)
    assert run.result.attention is not None
    kept = np.asarray(run.result.attention.kept)
    assert 0 < kept.sum() < 8, "the fixture should drop some frames and keep some"
    decision = recognizer.recognize(recording)
    whole = recognizer.recognize(recording, use_attention=False)
    assert decision.frames_kept == kept.sum()
    assert decision.events_kept == run.spikes.value[kept[run.spikes.step]].sum()
    assert (whole.frames_kept, whole.events_kept, whole.events) == (8, 600, 600)
    assert 0 < decision.synaptic_operations < whole.synaptic_operations
    assert decision.synaptic_operations == sum(n for _, n in decision.layer_operations)


def test_threshold_0_equals_no_attention(recognizer: Recognizer) -> None:
    recording = random_recording()
    everything = recognizer.with_threshold(0.0).recognize(recording)
    whole = recognizer.recognize(recording, use_attention=False)
    assert everything.probabilities == whole.probabilities
    assert everything.synaptic_operations == whole.synaptic_operations


def test_a_network_without_attention_keeps_everything() -> None:
    decision = small_recognizer(attention=False).recognize(random_recording())
    assert (decision.frames_kept, decision.frames_total) == (8, 8)
    assert decision.events_kept == decision.events == 600
    with pytest.raises(UserError, match="no temporal attention"):
        small_recognizer(attention=False).with_threshold(0.1)


@pytest.mark.parametrize("chunk_events", [1 << 17, 1000, 61])
def test_long_recordings_sum_windows_whatever_the_chunks(
    tmp_path: Path, recognizer: Recognizer, chunk_events: int
) -> None:
    path = write_recording(tmp_path / "long.bin", n_events=4000, duration_us=810_000)
    decision = recognizer.recognize(path, chunk_events=chunk_events)
    readout = np.zeros(10)
    runs = list(recognizer.run_windows(path))
    for run in runs:
        part = eventio.Recording(run.window.events, width=SIDE, height=SIDE)
        alone = neuro.simulate(recognizer.graph, run.spikes)
        assert len(part) == run.spikes.value.sum()
        readout += alone.output.reshape(8, 10).astype(np.float64).sum(axis=0)
    assert decision.windows == len(runs) == 11
    assert decision.events == 4000
    assert np.allclose(decision.probabilities, recognizer.probabilities(readout), rtol=1e-9)


def test_memory_use_does_not_follow_the_length(tmp_path: Path, recognizer: Recognizer) -> None:
    path = write_recording(tmp_path / "long.bin", n_events=20_000, duration_us=4_000_000)
    largest = max(len(run.window.events) for run in recognizer.run_windows(path, chunk_events=500))
    assert largest < 1000


def test_a_file_and_a_recording_in_memory_give_the_same(tmp_path: Path, recognizer: Recognizer) -> None:
    path = write_recording(tmp_path / "a.bin")
    from_file, from_memory = recognizer.recognize(path), recognizer.recognize(eventio.read(path))
    same = replace(from_memory, seconds=from_file.seconds, engine_seconds=from_file.engine_seconds)
    assert from_file == same


def test_a_saved_model_decides_as_before(tmp_path: Path, recognizer: Recognizer) -> None:
    recognizer.save(tmp_path / "m.h5")
    loaded = Recognizer.load(tmp_path / "m.h5")
    assert loaded == recognizer
    assert loaded.recognize(random_recording()).probabilities == (
        recognizer.recognize(random_recording()).probabilities
    )
    assert [path.name for path in tmp_path.iterdir()] == ["m.h5"]


def test_a_model_without_attention_survives_the_file(tmp_path: Path) -> None:
    plain = small_recognizer(attention=False)
    plain.save(tmp_path / "m.h5")
    assert Recognizer.load(tmp_path / "m.h5") == plain


def test_the_group_graph_is_a_plain_graph_file(tmp_path: Path, recognizer: Recognizer) -> None:
    recognizer.save(tmp_path / "m.h5")
    assert g.Graph.load(tmp_path / "m.h5") == recognizer.graph


def test_missing_and_foreign_models(tmp_path: Path) -> None:
    with pytest.raises(neuro.ModelFileError, match=r"nothing\.h5: no such model file; make one with"):
        Recognizer.load(tmp_path / "nothing.h5")
    with pytest.raises(neuro.ModelFileError, match="is a folder"):
        Recognizer.load(tmp_path)
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(neuro.ModelFileError, match=r"text\.h5: is no readable HDF5 file"):
        Recognizer.load(tmp_path / "text.h5")
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(neuro.ModelFileError, match=r"empty\.h5: is no readable HDF5 file"):
        Recognizer.load(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(neuro.ModelFileError, match=r"without /graph"):
        Recognizer.load(tmp_path / "other.h5")


def test_a_network_alone_is_no_recogniser(tmp_path: Path, recognizer: Recognizer) -> None:
    recognizer.graph.save(tmp_path / "graph.h5")
    with pytest.raises(neuro.ModelFileError, match="holds a network but no /recognizer"):
        Recognizer.load(tmp_path / "graph.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("version", 2), "/recognizer has version 2, this program reads version 1"),
        (("temperature", -1.0), r"temperature must be finite and > 0, got -1\.0"),
        (("temperature", np.nan), "temperature must be finite and > 0, got nan"),
        (("width", 20), r"shape must be \(2, height, width\) = \(2, 34, 20\), got \(2, 34, 34\)"),
        (("n_frames", 9), "made for 8 frames, but the encoding has 9"),
        (("bin_us", 0), "bin_us must be >= 1, got 0"),
        (("attention_threshold", 0.25), r"attention_threshold = 0\.25, the network has 0\.5"),
        (("seed", None), "/recognizer lacks 'seed'"),
        (("width", "wide"), "width must be a whole number, got 'wide'"),
    ],
)
def test_damaged_model_files_are_refused(
    tmp_path: Path, recognizer: Recognizer, change: tuple[str, object], message: str
) -> None:
    path = tmp_path / "m.h5"
    recognizer.save(path)
    name, value = change
    with h5py.File(path, "r+") as file:
        del file["recognizer"].attrs[name]
        if value is not None:
            file["recognizer"].attrs[name] = value
    with pytest.raises(neuro.ModelFileError, match=message) as caught:
        Recognizer.load(path)
    assert str(caught.value).count(str(path)) == 1


def test_nan_weights_are_refused_by_node(tmp_path: Path, recognizer: Recognizer) -> None:
    path = tmp_path / "m.h5"
    recognizer.save(path)
    with h5py.File(path, "r+") as file:
        file["graph/nodes/conv/weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(neuro.ModelFileError, match=r"m\.h5.*conv.*nan"):
        Recognizer.load(path)


def test_every_cut_of_a_model_file_is_refused(tmp_path: Path, recognizer: Recognizer) -> None:
    whole = tmp_path / "m.h5"
    recognizer.save(whole)
    content = whole.read_bytes()
    for size in range(0, len(content), len(content) // 12):
        cut = tmp_path / "cut.h5"
        cut.write_bytes(content[:size])
        with pytest.raises(neuro.ModelFileError, match=r"cut\.h5"):
            Recognizer.load(cut)


def test_counts_above_the_models_limit_are_refused() -> None:
    events = random_events(600)
    events["x"] = events["y"] = 3
    events["t"] = 0
    with pytest.raises(neuro.InputError, match="255"):
        small_recognizer().recognize(eventio.Recording(events, width=SIDE, height=SIDE))


def test_what_is_no_recording_is_refused() -> None:
    for recording, kind in ((random_events(5), "ndarray"), (None, "NoneType")):
        with pytest.raises(UserError, match=f"a recording must be a path, .*, got {kind}; put an array"):
            small_recognizer().recognize(recording)  # type: ignore[arg-type]


def test_a_recogniser_must_fit_together(recognizer: Recognizer) -> None:
    with pytest.raises(UserError, match="node 'readout': 10 outputs for 3 class names"):
        replace(recognizer, class_names=("a", "b", "c"))
    with pytest.raises(UserError, match="shape must be"):
        replace(recognizer, encoding=Encoding(20, 20, 8, 10_000))


def test_without_a_leader_the_decision_is_open_to_the_end() -> None:
    recording = random_recording()
    decision = small_recognizer(threshold=1.0).recognize(recording)
    assert decision.frames_kept == 0
    assert set(decision.probabilities) == {0.1}
    assert decision.decided_at_us == int(recording.t[0]) + 8 * 10_000
