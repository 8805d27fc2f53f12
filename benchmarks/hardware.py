"""Networks on chips: equality with Lava, speed of the emulator, accuracy, cores, a network of a million neurons.

Claims: every u, v and spike of random layers equals Lava's CPU simulator; the emulator against Lava on a dense and on a
convolutional network, one thread, equality first; neuron steps per second, and time against sparsity; paired loss of
accuracy of the trained digits and N-MNIST networks in 8 bits on both chips; cores against the lower bound and against a
sequential split; a network of a million neurons and 100 million synapses, and one of 3 million random synapses, cut and
placed. Lava runs in processes of its own: its times are wall time and the processor time of all of them, ours is
processor time.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from rows import Row, against_goal, show
from splits import MODELS, data_dir, digits_split, nmnist_split
from timing import best_seconds

import hw
import neuro
from hw.emulator import Engine
from hw.lava.running import lava_version, simulate_all
from neuro.graph import IF, LIF, AvgPool2d, Conv2d, Flatten, Graph, Input, Linear, SparseLinear, clocked
from spikeloom.model_file import shipped_model
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import windows

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from hw_networks import random_convolutions, random_network

KINDS = ("dense", "sparse", "delayed dense", "delayed sparse")


def random_job(seed: int) -> tuple[hw.FixedGraph, np.ndarray, None]:
    """Two layers: a third are convolutions, half of the others may have loops."""
    if seed % 3 == 2:
        return (*random_convolutions(seed, graded=seed % 2 == 0), None)
    return (*random_network(seed, kinds=KINDS, loops=seed % 2 == 0), None)


def equal_layers(n_networks: int) -> Row:
    """Compare random networks with Lava."""
    equal = n_layers = 0
    for first in range(0, n_networks, 50):
        jobs = [random_job(5000 + k) for k in range(first, min(first + 50, n_networks))]
        for (fixed, frames, _), run in zip(jobs, simulate_all(jobs, timeout_s=1200), strict=True):
            result = hw.emulate(fixed, frames, profile="lava", record=list(run.u))
            for name, sent in run.sent.items():
                found = np.zeros_like(sent)
                train = result.trains[name]
                found[train.step, train.index] = train.value
                same = [(found, sent), (result.u[name], run.u[name]), (result.v[name], run.v[name])]
                equal += all(np.array_equal(a, b) for a, b in same)
                n_layers += 1
    row = against_goal("random layers equal to Lava in u, v and spikes", equal, n_layers, "layers")
    return Row(**{**row.__dict__, "equal": equal == n_layers})


def neurons(shape: tuple[int, ...], threshold: int) -> hw.Population:
    """Neurons with a slow current and a slower membrane."""
    return hw.Population(shape, current_decay=1024, membrane_decay=128, threshold=threshold)


def dense_network(rng: np.random.Generator) -> hw.FixedGraph:
    """784-256-10."""
    populations = {
        "in": hw.Population((784,), "input"),
        "a": neurons((256,), 12000),
        "b": neurons((10,), 3000),
    }
    weights = [rng.integers(-100, 110, shape) for shape in ((256, 784), (10, 256))]
    ends = (("in", "a"), ("a", "b"))
    synapses = [
        hw.Connection(*end, "dense", w, weight_exponent=0) for end, w in zip(ends, weights, strict=True)
    ]
    return hw.FixedGraph(populations, tuple(synapses))


def convolutional_network(rng: np.random.Generator) -> hw.FixedGraph:
    """34 x 34 x 2 to 16 x 16 x 8 to 8 x 8 x 16 to 10."""
    populations = {
        "in": hw.Population((2, 34, 34), "input"), "a": neurons((8, 16, 16), 3000), "b": neurons((16, 8, 8), 3000),
        "c": neurons((10,), 3000),
    }  # fmt: skip
    kernels = [rng.integers(-100, 110, shape) // 2 * 2 for shape in ((8, 2, 3, 3), (16, 8, 3, 3), (10, 1024))]
    connections = (
        hw.Connection("in", "a", "conv", kernels[0], stride=(2, 2)),
        hw.Connection("a", "b", "conv", kernels[1], stride=(2, 2), padding=(1, 1)),
        hw.Connection("b", "c", "dense", kernels[2]),
    )
    return hw.FixedGraph(populations, connections)


def against_lava(name: str, fixed: hw.FixedGraph, *, n_steps: int) -> list[Row]:
    """Compare the time of a step, after equality of all registers."""
    rng = np.random.default_rng(1)
    shape = fixed.populations["in"].shape
    frames = (rng.random((n_steps, *shape)) < 0.1).astype(np.float32)
    (run,) = simulate_all([(fixed, frames[:60], None)])
    result = hw.emulate(fixed, frames[:60], record=list(run.u))
    equal = all(
        np.array_equal(run.u[k], result.u[k]) and np.array_equal(run.v[k], result.v[k]) for k in run.u
    )
    engine, spikes = Engine(fixed, "lava"), neuro.Spikes.from_dense(frames[:200])
    ours = best_seconds(lambda: engine.run(spikes), repeats=10) / 200 * 1e6
    times = {n: lava_seconds(fixed, frames[:n]) for n in (60, n_steps)}
    rows = []
    for k, clock in enumerate(("wall time", "processor time of all its processes")):
        # the difference leaves out the start of processes
        theirs = (times[n_steps][k] - times[60][k]) / (n_steps - 60) * 1e6
        claim = f"emulator on {name}, 10 % input"
        rows.append(Row(claim, ours, f"Lava CPU, {clock}", theirs, "us/step", theirs / ours, 100, equal))
    return rows


def lava_seconds(fixed: hw.FixedGraph, frames: np.ndarray, *, repeats: int = 3) -> tuple[float, float]:
    """Return the shortest wall time and the shortest processor time of Lava and all its processes."""
    best = [float("inf"), float("inf")]
    for _ in range(repeats):
        begun = time.perf_counter(), _of_children()
        simulate_all([(fixed, frames, None)])
        spent = time.perf_counter() - begun[0], _of_children() - begun[1]
        best = [min(pair) for pair in zip(best, spent, strict=True)]
    return best[0], best[1]


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def dense_speed() -> list[Row]:
    """Measure neuron steps per second, and how time falls with sparsity."""
    rng = np.random.default_rng(2)
    populations = {"in": hw.Population((100,), "input"), "a": neurons((50_000,), 9000)}
    synapses = hw.Connection("in", "a", "dense", rng.integers(-100, 110, (50_000, 100)))
    engine = Engine(hw.FixedGraph(populations, (synapses,)), "lava")
    seconds = {}
    for density in (0.0, 0.01, 0.1):
        spikes = neuro.Spikes.from_dense((rng.random((40, 100)) < density).astype(np.float32))
        seconds[density] = best_seconds(lambda spikes=spikes: engine.run(spikes), repeats=5)
    driven = dataclasses.replace(
        populations["a"], threshold=90_000, bias_mantissa=3
    )  # never rests, never fires
    restless = Engine(hw.FixedGraph(populations | {"a": driven}, (synapses,)), "lava")
    silence = neuro.Spikes.from_dense(np.zeros((40, 100), np.float32))
    updated = best_seconds(lambda: restless.run(silence), repeats=5)
    n = 41 * 50_000
    return [
        against_goal("neuron updates, 50,000 neurons at rest", n / seconds[0.0] / 1e6, 50, "M/s"),
        against_goal("neuron updates, 50,000 neurons with a bias, no input", n / updated / 1e6, 50, "M/s"),
        against_goal("neuron steps, 50,000 neurons x 100 inputs, 10 %", n / seconds[0.1] / 1e6, 50, "M/s"),
        against_goal("time at 10 % over time at 1 % input", seconds[0.1] / seconds[0.01], 1, "x"),
    ]


def accuracy(name: str, target: str, *, n_recordings: int | None) -> list[Row]:
    """Compare decisions of the chip's network with those of the engine, recording by recording."""
    dataset, split = name.split("-", maxsplit=1)[0], int(name.split("split")[1][0])
    parts = (digits_split if dataset == "digits" else nmnist_split)(split)
    path = shipped_model() if name == "digits-split0-attention" else MODELS / f"{name}.h5"
    model = Recognizer.load(path)
    graph, size = model.graph, {"width": 34, "height": 34, "window_us": model.encoding.window_us}

    def frames(sample: object) -> list[neuro.Spikes]:
        return [model.encoding.spikes(window) for window in windows(sample.path, **size)]  # type: ignore[attr-defined]

    calibration = [frames(sample)[0] for sample in parts.validation.samples[:20]]
    mapping = hw.map_graph(graph, target, calibration=calibration)
    engine = Engine(mapping.fixed, mapping.fixed.profile)
    ours = theirs = n = 0
    for sample in parts.test.samples[:n_recordings]:
        chip, whole = 0, 0
        for spikes in frames(sample):
            truth = neuro.simulate(graph, spikes)
            whole = whole + truth.output.sum(axis=0)
            kept = None if truth.attention is None else truth.attention.kept
            chip = chip + engine.run(spikes, kept=kept).outputs[graph.output_names[0]].sum(axis=0)
        ours += int(np.argmax(chip)) == sample.label
        theirs += int(np.argmax(whole)) == sample.label
        n += 1
    loss = 100 * (theirs - ours) / n
    certificate = hw.verify(mapping, calibration[0])
    what = f"{name} on {target}"
    accuracies = 100 * ours / n, 100 * theirs / n
    return [
        Row(
            f"{what}: accuracy",
            accuracies[0],
            "engine",
            accuracies[1],
            "%",
            ours / max(theirs, 1),
            0.99,
            bool(certificate),
        ),
        against_goal(f"{what}: paired loss", max(loss, 0.0), 1, "points", less_is_better=True),
        *cores(what, mapping),
    ]


def cores(what: str, mapping: hw.Mapping) -> list[Row]:
    """Compare cores and messages with the lower bound and with a sequential split."""
    n, bound, theirs = mapping.n_cores, max(mapping.bound.values()), mapping.sequential_cores
    goal = 1 / max(1.15, (bound + 1) / bound)
    sent, split = mapping.messages_per_step, mapping.sequential_messages
    fewer = split / sent if sent else 999.0
    assert not mapping.partition.over(mapping.target)
    return [
        Row(f"{what}: cores", n, "lower bound", bound, "cores", bound / n, goal, True),
        Row(f"{what}: cores", n, "sequential split", theirs, "cores", theirs / n, 1, True),
        Row(f"{what}: messages between cores", sent, "sequential split", split, "per step", fewer, 1, True),
    ]


def gesture_graph() -> tuple[Graph, np.ndarray]:
    """Return TA-SNN's topology for gestures with random weights, and a recording."""
    rng = np.random.default_rng(3)
    lif = LIF(0.03, 0.2, update="decay")
    nodes: dict[str, object] = {"in": Input((2, 32, 32), max_count=1)}
    channels = 2
    for k, (out, pools) in enumerate(((64, True), (128, True), (128, True))):
        nodes[f"conv{k}"] = Conv2d(rng.normal(0, 0.1, (out, channels, 3, 3)), padding=1)
        if pools:
            nodes[f"pool{k}"] = AvgPool2d(2)
        nodes[f"lif{k}"] = lif
        channels = out
    nodes |= {
        "flat": Flatten(),
        "line": Linear(rng.normal(0, 0.1, (256, 2048))),
        "lif3": lif,
        "last": Linear(rng.normal(0, 0.1, (11, 256))),
        "out": lif,
    }
    names = list(nodes)
    graph = Graph(nodes, list(pairwise(names)), clocked(0.01))  # type: ignore[arg-type]
    return graph, (rng.random((20, 2, 32, 32)) < 0.05).astype(np.float32)


def gesture_topology(target: str) -> list[Row]:
    """Map TA-SNN's topology for gestures: cores and traffic only."""
    graph, recording = gesture_graph()
    mapping = hw.map_graph(graph, target, calibration=recording)
    return cores(f"gesture topology on {target}", mapping)


def large_graph(side: int = 145) -> Graph:
    """A million neurons and a hundred million synapses at the side 145: three convolutions of 16 channels."""
    rng = np.random.default_rng(4)
    nodes: dict[str, object] = {"in": Input((2, side, side), max_count=1)}
    channels = 2
    for k in range(3):
        nodes[f"conv{k}"] = Conv2d(rng.normal(0, 0.1, (16, channels, 3, 3)), padding=1)
        nodes[f"if{k}"] = IF()
        channels = 16
    names = list(nodes)
    return Graph(nodes, list(pairwise(names)), clocked(0.001))  # type: ignore[arg-type]


def flat_graph(n: int = 20_000, n_synapses: int = 3_000_000) -> Graph:
    """Random synapses from as many inputs to as many neurons."""
    rng = np.random.default_rng(6)
    rows, columns = np.sort(rng.integers(0, n, n_synapses)), rng.integers(0, n, n_synapses)
    synapses = SparseLinear.from_coo(rows, columns, rng.normal(0, 0.1, n_synapses), n_out=n, n_in=n)
    nodes = {"in": Input(n, max_count=1), "synapses": synapses, "if": IF()}
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


def large(target: str, network: str = "large_graph") -> list[Row]:
    """Cut and place a large network in a process of its own; its memory is the peak of that process."""
    here = str(Path(__file__).parent)
    call = f"hardware.place_large({target!r}, hardware.{network}())"
    code = f"import sys; sys.path.insert(0, {here!r}); import hardware; {call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, megabytes, n_cores, bound, split, n_neurons, n_synapses = map(float, done.stdout.split())
    kind = "random synapses" if network == "flat_graph" else "convolutions"
    what = f"{n_neurons:,.0f} neurons, {n_synapses / 1e6:.0f} M synapses ({kind}) on {target}"
    return [
        against_goal(f"{what}: mapped in", seconds, 60, "s", less_is_better=True),
        against_goal(f"{what}: memory", megabytes, 2000, "MB", less_is_better=True),
        Row(f"{what}: cores", n_cores, "lower bound", bound, "cores", bound / n_cores, 1 / 1.15, True),
        Row(f"{what}: cores", n_cores, "sequential split", split, "cores", split / n_cores, 1, True),
    ]


def place_large(target: str, graph: Graph) -> None:
    """Print processor seconds, megabytes, cores, lower bound, neurons and synapses."""
    begun = time.process_time()
    mapping = hw.map_graph(graph, target)
    seconds = time.process_time() - begun
    fixed = mapping.fixed
    n = sum(p.size for p in fixed.populations.values() if p.kind != "input")
    synapses = sum(
        c.weights.size if c.kind == "sparse" else c.weights[0].size * fixed.populations[c.target].size
        for c in fixed.connections
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    split = mapping.sequential_cores
    print(seconds, peak, mapping.n_cores, max(mapping.bound.values()), split, n, synapses)


def main() -> None:
    """Run what was asked for and show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer layers, steps, models and recordings")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    chosen = parser.parse_args()
    rows: list[Row] = []
    if lava_version() is None:
        print("lava-nc is not installed (make lava): no comparison with it")
    else:
        rows.append(equal_layers(15 if chosen.quick else 1000))
        n_steps = 560 if chosen.quick else 1060
        rng = np.random.default_rng(0)
        rows += against_lava("784-256-10", dense_network(rng), n_steps=n_steps)
        layers = convolutional_network(np.random.default_rng(0))
        rows += against_lava("3 layers, 2 of them convolutions", layers, n_steps=n_steps)
    rows += dense_speed()
    names = ["digits-split0-plain", "digits-split0-attention"]
    if data_dir() is not None and not chosen.quick:
        names += [
            "nmnist-split0-plain",
            "nmnist-split0-attention",
            "nmnist-split1-attention",
            "nmnist-split2-attention",
        ]
    if not chosen.quick:
        names += ["digits-split1-attention", "digits-split2-attention"]
    for name in names:
        for target in ("loihi1", "loihi2"):
            rows += accuracy(name, target, n_recordings=40 if chosen.quick else None)
    for target in ("loihi1", "loihi2"):
        rows += gesture_topology(target)
    rows += large("loihi2") + large("loihi2", "flat_graph")
    if not chosen.quick:
        rows += large("loihi1") + large("loihi1", "flat_graph")
    show(rows, title="Networks on chips", json_path=chosen.json)


if __name__ == "__main__":
    main()
