"""Running recordings under some dynamics: what is right, what was computed, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from recognition import inputs_of, shorten
from splits import MODELS, Parts
from timing import best_seconds_of

import neuro
from eventio.datasets import Collection
from neuro.attention import report
from neuro.dynamics import Dynamics, ExitRule
from neuro.reference import evaluate
from spikeloom.recognizer import Recognizer


@dataclass(frozen=True, eq=False)
class Data:
    """The frames of a part and their classes."""

    inputs: list[neuro.Spikes]
    labels: np.ndarray


#: Reads (validation, test) for a model, a split and about how many recordings of each.
Sources = Callable[[Recognizer, int, int | None], tuple[Data, Data]]


@dataclass(frozen=True, eq=False)
class Measured:
    """A network under some dynamics on a part."""

    correct: np.ndarray
    events: float
    frames: float
    spike_driven: float
    executed: float
    results: list[neuro.Result]


def load_data(model: Recognizer, part: Collection) -> Data:
    """Read the first window of every recording."""
    labels = [model.class_names.index(part.class_names[sample.label]) for sample in part.samples]
    return Data(inputs_of(model, part), np.array(labels))


@dataclass(frozen=True)
class Times:
    """Milliseconds of processor time per recording: the shortest of some passes over all recordings.

    Attributes
    ----------
    batch : float
        All recordings in one call; the outputs are there, counters and reports are not asked for.
    single : float
        The same with a call for each recording.
    reported : float
        One call for all, then counters, report and state of each.
    """

    batch: float
    single: float
    reported: float


def measure(model: Recognizer, data: Data, dynamics: Dynamics) -> Measured:
    """Run every recording."""
    results = neuro.simulate(model.graph, data.inputs, dynamics=dynamics)
    reports = [result.dynamics for result in results if result.dynamics is not None]
    n = len(results)
    winners = [r.output.astype(np.float64).reshape(len(r.output), -1).sum(0).argmax() for r in results]
    return Measured(
        correct=(np.array(winners) == data.labels).astype(float),
        events=sum(r.events_computed for r in reports) / sum(r.events_total for r in reports),
        frames=sum(r.n_computed for r in reports) / sum(r.n_frames for r in reports),
        spike_driven=sum(r.spike_driven_operations for r in reports) / n,
        executed=sum(r.synaptic_operations for r in reports) / n,
        results=results,
    )


def times_of(
    runs: Mapping[str, tuple[Recognizer, Dynamics]], data: Data, repeats: int
) -> tuple[dict[str, Times], float]:
    """Time several kinds of runs in turns, and the scoring of a recording by the first model, all in milliseconds."""
    node = next(iter(runs.values()))[0].attention
    assert node is not None
    functions: dict[str, Callable[[], object]] = {"scoring": lambda: [report(node, s) for s in data.inputs]}
    for name, (model, dynamics) in runs.items():
        for kind, function in _ways(model.graph, data.inputs, dynamics).items():
            functions[f"{kind} {name}"] = function
    found = best_seconds_of(functions, repeats=repeats, budget_s=float("inf"))
    per_recording = {name: 1e3 * seconds / len(data.inputs) for name, seconds in found.items()}
    times = {
        name: Times(*(per_recording[f"{kind} {name}"] for kind in ("batch", "single", "reported")))
        for name in runs
    }
    return times, per_recording["scoring"]


def _ways(
    graph: neuro.Graph, inputs: list[neuro.Spikes], dynamics: Dynamics
) -> dict[str, Callable[[], object]]:
    def batch() -> list[neuro.Result]:
        return neuro.simulate(graph, inputs, dynamics=dynamics)

    return {
        "batch": batch,
        "single": lambda: [neuro.simulate(graph, spikes, dynamics=dynamics) for spikes in inputs],
        "reported": lambda: [(r.counters, r.dynamics, r.state) for r in batch()],
    }


def count_differences(model: Recognizer, data: Data, rule: ExitRule) -> tuple[int, int, int]:
    """Compare with the plain engine (all off) and with the dense reference (masks and exit): differences, spikes."""
    graph = model.graph
    spiking = {name: "spikes" for name, node in graph.nodes.items() if isinstance(node, neuro.graph.LIF)}
    n_plain = n_reference = n_spikes = 0
    for spikes in data.inputs:
        plain = neuro.simulate(graph, spikes, record=spiking, use_attention=False)
        off = neuro.simulate(graph, spikes, record=spiking, dynamics=Dynamics.off())
        n_plain += int((plain.output != off.output).sum()) + _different(plain, off, spiking)
        ended = neuro.simulate(graph, spikes, record=spiking, dynamics=Dynamics(early_exit=rule))
        assert ended.attention is not None
        steps = ended.counters.n_steps
        dense = evaluate(graph, spikes.to_dense()[:steps], kept=ended.attention.kept[:steps])
        n_reference += int((dense.outputs[graph.output_names[0]] != ended.output).sum())
        timed = neuro.simulate(graph, spikes, dynamics=Dynamics(early_exit=rule))
        n_reference += timed.output.tobytes() != ended.output.tobytes()
        for name in spiking:
            n_reference += int((dense.values[name] != ended.spikes[name].to_dense()).sum())
            n_spikes += len(plain.spikes[name]) + len(ended.spikes[name])
    return n_plain, n_reference, n_spikes


def _different(a: neuro.Result, b: neuro.Result, names: Sequence[str]) -> int:
    return sum(int((a.spikes[name].to_dense() != b.spikes[name].to_dense()).sum()) for name in names)


def load(name: str) -> Recognizer | None:
    """Read a benchmark model, or None where there is none."""
    path = MODELS / f"{name}.h5"
    return Recognizer.load(path) if path.is_file() else None


def collections_of(split: Callable[[int], Parts]) -> Sources:
    """Read validation and test part of a split of recordings, shortened to about n."""

    def read(model: Recognizer, seed: int, n: int | None) -> tuple[Data, Data]:
        parts = split(seed)
        return tuple(load_data(model, shorten(part, n)) for part in (parts.validation, parts.test))

    return read


def sign_data(model: Recognizer, seed: int, n: int | None) -> tuple[Data, Data]:
    """Read validation and test part of the sign-language set; its frames are stored as counts."""
    from sign_language import sign_split

    del model
    parts, found = sign_split(seed), []
    for frames, labels in (parts.validation, parts.test):
        stride = 1 if n is None else max(1, len(labels) // n)
        inputs = [neuro.Spikes.from_dense(one.astype(np.float32)) for one in frames[::stride]]
        found.append(Data(inputs, labels[::stride]))
    return found[0], found[1]


def replace_inputs(data: Data, n: int) -> Data:
    """Take about n of the recordings."""
    stride = max(1, len(data.inputs) // n)
    return replace(data, inputs=data.inputs[::stride], labels=data.labels[::stride])
