"""Dynamic inference: events that attention drops, runs that end early, and what both save in operations and time.

Every reference is the same network with nothing left out. Validation recordings choose the thresholds, test recordings
report; 3 stratified splits, losses paired by recording with a 95 % interval. Equality comes first: with all dynamics
off the engine equals the plain engine, with hard masks and an early exit the dense reference with the same masks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from recognition import console, inputs_of, paired, shorten
from rich.progress import track
from rich.table import Table
from rows import Row, against_goal, show
from splits import MODELS, SEEDS, Parts, data_dir, digits_split, nmnist_split

import neuro
from eventio.datasets import Collection
from neuro.attention import report
from neuro.costs import conventional_work, energy_table, spiking_work
from neuro.dynamics import Dynamics, ExitRule, calibrate_exit
from neuro.reference import evaluate
from spikeloom.recognizer import Recognizer

#: On validation recordings: attention thresholds tried, events that attention must drop, operations that both leave.
THRESHOLDS = tuple(np.round(np.arange(0.0, 0.925, 0.025), 3).tolist())
DROPPED_ON_VALIDATION = 0.52
LEFT_ON_VALIDATION = 1 / 4.5
#: Sets with a saving as their goal.
GOALS = ("digits", "nmnist")
#: Where no saving is the goal (the signs): the boldest rung that loses at most a point on validation recordings.
LADDER = ((0.52, 1 / 4.5), (0.4, 1 / 3), (0.3, 1 / 2), (0.2, 1 / 1.5), (0.1, 1 / 1.25))
ALLOWED_ON_VALIDATION = 0.01
FIRST_STEP, CHECK_EVERY = 3, 2
#: Steps and density of the gesture topology on which the overhead of scoring is measured.
GESTURE_STEPS, GESTURE_DENSITY = 60, 0.05


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
    milliseconds: float
    results: list[neuro.Result]


def load_data(model: Recognizer, part: Collection) -> Data:
    """Read the first window of every recording."""
    labels = [model.class_names.index(part.class_names[sample.label]) for sample in part.samples]
    return Data(inputs_of(model, part), np.array(labels))


def measure(model: Recognizer, data: Data, dynamics: Dynamics, *, repeats: int = 0) -> Measured:
    """Run every recording; time is the best of some repeats over all recordings, in processor time (0: not timed)."""
    graph = model.graph
    neuro.simulate(graph, data.inputs[0], dynamics=dynamics)
    results = [neuro.simulate(graph, spikes, dynamics=dynamics) for spikes in data.inputs]
    seconds = best_seconds(
        lambda: [neuro.simulate(graph, spikes, dynamics=dynamics) for spikes in data.inputs], repeats
    )
    reports = [result.dynamics for result in results if result.dynamics is not None]
    n = len(results)
    winners = [r.output.astype(np.float64).reshape(len(r.output), -1).sum(0).argmax() for r in results]
    return Measured(
        correct=(np.array(winners) == data.labels).astype(float),
        events=sum(r.events_computed for r in reports) / sum(r.events_total for r in reports),
        frames=sum(r.n_computed for r in reports) / sum(r.n_frames for r in reports),
        spike_driven=sum(r.spike_driven_operations for r in reports) / n,
        executed=sum(r.synaptic_operations for r in reports) / n,
        milliseconds=1e3 * seconds / n,
        results=results,
    )


def best_seconds(run: Callable[[], object], repeats: int) -> float:
    """Shortest processor time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        run()
        times.append(time.thread_time() - start)
    return min(times, default=float("nan"))


def choose_attention(model: Recognizer, data: Data, dropped: float = DROPPED_ON_VALIDATION) -> float:
    """Take the mildest threshold that drops a fraction of the events; accuracy has no say."""
    for threshold in THRESHOLDS:
        if 1 - measure(model.with_threshold(threshold), data, Dynamics()).events >= dropped:
            return threshold
    return THRESHOLDS[-1]


def choose_on_ladder(
    model: Recognizer, data: Data, ladder: Sequence[tuple[float, float]]
) -> tuple[float, float, ExitRule]:
    """Take, for attention alone and for both, the boldest rung that loses at most a point."""
    whole = measure(model, data, Dynamics.off()).correct
    dropping, both = 0.0, None
    for dropped, left in reversed(ladder):
        threshold = choose_attention(model, data, dropped)
        if (
            whole - measure(model.with_threshold(threshold), data, Dynamics()).correct
        ).mean() <= ALLOWED_ON_VALIDATION:
            dropping = threshold
        pair = choose_both(model, data, left)
        ended = measure(model.with_threshold(pair[0]), data, Dynamics(early_exit=pair[1]))
        if both is None or (whole - ended.correct).mean() <= ALLOWED_ON_VALIDATION:
            both = pair
    assert both is not None
    return dropping, *both


def choose_both(model: Recognizer, data: Data, left: float = LEFT_ON_VALIDATION) -> tuple[float, ExitRule]:
    """Take the pair of thresholds that answers best at a set number of operations.

    For each attention threshold the strictest exit that leaves a given fraction of the spike-driven operations; among
    these pairs the one with the largest mean margin of the true class, which moves smoothly where a hundred
    recordings move the accuracy in steps of a point.
    """
    most = left * measure(model, data, Dynamics.off()).spike_driven
    found: list[tuple[float, float, ExitRule]] = []
    for threshold in THRESHOLDS[::4]:
        attended = model.with_threshold(threshold)
        whole = measure(attended, data, Dynamics())
        outputs = np.array([r.output.reshape(len(r.output), -1) for r in whole.results])
        curve = calibrate_exit(
            outputs, data.labels, allowed_loss=1.0, first_step=FIRST_STEP, check_every=CHECK_EVERY
        )
        rules = [replace(curve.rule, threshold=point.threshold) for point in curve.curve]
        first, last = 0, len(rules) - 1  # operations fall along the curve
        while first < last:
            middle = (first + last) // 2
            tried = measure(attended, data, Dynamics(early_exit=rules[middle]))
            first, last = (first, middle) if tried.spike_driven <= most else (middle + 1, last)
        ended = measure(attended, data, Dynamics(early_exit=rules[first]))
        if ended.spike_driven <= most:
            found.append((mean_margin(ended, data, rules[first]), threshold, rules[first]))
    _, threshold, rule = max(found, key=lambda one: one[0])
    return threshold, rule


def mean_margin(measured: Measured, data: Data, rule: ExitRule) -> float:
    """Mean of tanh((z_true - z_other) / (2 temperature)) over the recordings, z the mean readout at the end."""
    margins = []
    for result, label in zip(measured.results, data.labels, strict=True):
        z = result.output.astype(np.float64).reshape(len(result.output), -1).mean(axis=0)
        margins.append(np.tanh((z[label] - np.delete(z, label).max()) / (2 * rule.temperature)))
    return float(np.mean(margins))


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
        for name in spiking:
            n_reference += int((dense.values[name] != ended.spikes[name].to_dense()).sum())
            n_spikes += len(plain.spikes[name]) + len(ended.spikes[name])
    return n_plain, n_reference, n_spikes


def _different(a: neuro.Result, b: neuro.Result, names: Sequence[str]) -> int:
    return sum(int((a.spikes[name].to_dense() != b.spikes[name].to_dense()).sum()) for name in names)


def scoring_seconds(model: Recognizer, data: Data, repeats: int) -> float:
    """Processor time of scoring one recording."""
    node = model.attention
    assert node is not None
    return best_seconds(lambda: [report(node, s) for s in data.inputs], repeats) / len(data.inputs)


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


def rows_of_set(prefix: str, read: Sources, n: int | None, repeats: int) -> list[Row]:
    """All claims about one set; nothing where its models are missing."""
    seeds = SEEDS if n is None else SEEDS[:1]
    models = [load(f"{prefix}-split{seed}-dynamic") for seed in seeds]
    if any(model is None for model in models):
        console.print(
            f"{prefix}: left out, no models {prefix}-splitK-dynamic: run `make benchmark-models` first"
        )
        return []
    outcomes: dict[str, list[Measured]] = {"whole": [], "attention": [], "exit": [], "both": []}
    differences = np.zeros(3, int)
    scoring: list[float] = []
    plain: list[np.ndarray] = []
    for seed, model in track(list(zip(seeds, models, strict=True)), description=prefix):
        assert model is not None
        validation, test = read(model, seed, n)
        if prefix in GOALS:
            dropping, (threshold, rule) = choose_attention(model, validation), choose_both(model, validation)
        else:
            ladder = LADDER if n is None else LADDER[2:3]
            dropping, threshold, rule = choose_on_ladder(model, validation, ladder)
        both = model.with_threshold(threshold)
        differences += count_differences(both, replace_inputs(test, 12 if n is None else 3), rule)
        outcomes["whole"].append(measure(both, test, Dynamics.off(), repeats=repeats))
        outcomes["attention"].append(
            measure(model.with_threshold(dropping), test, Dynamics(), repeats=repeats)
        )
        outcomes["exit"].append(
            measure(model, test, Dynamics(attention=False, early_exit=rule), repeats=repeats)
        )
        outcomes["both"].append(measure(both, test, Dynamics(early_exit=rule), repeats=repeats))
        scoring.append(scoring_seconds(both, test, repeats))
        separate = load(f"{prefix}-split{seed}-plain")
        if separate is not None:
            plain.append(measure(separate, test, Dynamics.off()).correct - outcomes["both"][-1].correct)
        found = {name: measured[-1] for name, measured in outcomes.items()}
        say_split(f"{prefix} split {seed}", (dropping, threshold), rule, found)
        if seed == seeds[-1]:
            say_energy(prefix, both, outcomes)
    if plain:
        loss, low, high = paired(np.concatenate(plain))
        console.print(
            f"{prefix}: attention and early exit against a network trained for every frame alone: {loss:.2f} points, "
            f"95 % interval {low:.2f} to {high:.2f}"
        )
    return claims(prefix, outcomes, differences, scoring)


def replace_inputs(data: Data, n: int) -> Data:
    """Take about n of the recordings."""
    stride = max(1, len(data.inputs) // n)
    return replace(data, inputs=data.inputs[::stride], labels=data.labels[::stride])


def say_split(name: str, thresholds: tuple[float, float], rule: ExitRule, found: dict[str, Measured]) -> None:
    """Print one split in words."""
    parts = [
        f"{kind} {100 * m.correct.mean():.2f} %, {100 * m.frames:.1f} % of the frames, {100 * m.events:.1f} % of the "
        f"events, {m.spike_driven:,.0f} spike-driven and {m.executed:,.0f} executed operations, {m.milliseconds:.3f} ms"
        for kind, m in found.items()
    ]
    console.print(
        f"{name}: attention alone at {thresholds[0]:g}; with the exit at {thresholds[1]:g}, gap >= "
        f"{rule.threshold:.4f} (temperature {rule.temperature:.3g}, after {rule.first_step} steps, every "
        f"{rule.check_every})\n  " + "\n  ".join(parts)
    )


def claims(
    prefix: str, outcomes: dict[str, list[Measured]], differences: np.ndarray, scoring: Sequence[float]
) -> list[Row]:
    """Turn the outcomes of the splits into rows."""
    n_plain, n_reference, n_spikes = differences.tolist()
    equal = n_plain == 0 and n_reference == 0
    console.print(
        f"{prefix}: {n_plain} differences from the plain engine with all dynamics off, {n_reference} from the dense "
        f"reference with the same masks and exits, in {n_spikes:,} spikes and their readouts"
    )
    mean = {
        name: {
            key: float(np.mean([getattr(m, key) for m in found]))
            for key in ("events", "spike_driven", "executed", "milliseconds")
        }
        for name, found in outcomes.items()
    }
    whole, both = mean["whole"], mean["both"]
    accuracies = [100 * m.correct.mean() for m in outcomes["whole"]]
    console.print(
        f"{prefix}: accuracy with nothing left out {', '.join(f'{a:.2f}' for a in accuracies)} %, mean "
        f"{np.mean(accuracies):.2f}, sd {np.std(accuracies, ddof=1) if len(accuracies) > 1 else 0:.2f}"
    )
    rows = [
        Row(f"{prefix}: all off vs plain engine, masks vs reference", float(n_plain + n_reference), "reference",
            0.0, "differences", 1.0 if equal else 0.0, 1.0, equal),
        replace(against_goal(f"{prefix}: events dropped by attention", 100 * (1 - mean["attention"]["events"]),
                             50.0, "%"), equal=equal),
    ]  # fmt: skip
    for name, label in (
        ("attention", "attention"),
        ("exit", "early exit"),
        ("both", "attention and early exit"),
    ):
        losses = [w.correct - m.correct for w, m in zip(outcomes["whole"], outcomes[name], strict=True)]
        loss, low, high = paired(np.concatenate(losses))
        by_split = ", ".join(f"{100 * one.mean():.2f}" for one in losses)
        console.print(
            f"{prefix}: paired loss of {label}: {loss:.2f} points, 95 % interval {low:.2f} to {high:.2f}, "
            f"{sum(map(len, losses))} predictions; by split {by_split}"
        )
        rows.append(
            replace(
                against_goal(f"{prefix}: loss, {label}", loss, 1.0, "points", less_is_better=True),
                equal=equal,
            )
        )
    saved = whole["milliseconds"] - both["milliseconds"]
    overhead = 100 * 1e3 * float(np.mean(scoring)) / saved if saved > 0 else 100.0
    for label, key, unit, goal in (
        ("spike-driven operations", "spike_driven", "per recording", 4.0),
        ("executed operations", "executed", "per recording", 1.0),
        ("time", "milliseconds", "ms/recording", 2.5),
    ):
        rows.append(Row(f"{prefix}: {label}, attention and early exit", both[key], "nothing left out", whole[key],
                        unit, whole[key] / both[key], goal, equal))  # fmt: skip
    rows.append(
        replace(
            against_goal(f"{prefix}: scoring, of the time saved", overhead, 10.0, "%", less_is_better=True),
            equal=equal,
        )
    )
    return rows


def say_energy(prefix: str, model: Recognizer, outcomes: dict[str, list[Measured]]) -> None:
    """Print the energy of a mean recording of the last split beside a quantised network of the same topology."""
    graph = model.graph
    n_frames = model.encoding.n_frames
    names = ("nothing left out", "attention and early exit", f"quantised, {n_frames.bit_length()} bits")
    table = Table(title=f"{prefix}: energy per recording in uJ (last split, test recordings)")
    for name in ("model", *names):
        table.add_column(name, justify="left" if name == "model" else "right")
    groups = [
        [spiking_work(graph, r.counters) for r in outcomes[key][-1].results] for key in ("whole", "both")
    ]
    sums = [np.array([[e if e is not None else np.nan for e in (v[0] for _, v in energy_table([w]))] for w in group])
            .mean(axis=0) for group in groups]  # fmt: skip
    conventional = conventional_work(graph, n_steps=n_frames)
    for k, (name, values) in enumerate(energy_table([conventional])):
        cells = [f"{sums[0][k] / 1e6:.3f}", f"{sums[1][k] / 1e6:.3f}"]
        table.add_row(name, *cells, "-" if values[0] is None else f"{values[0] / 1e6:.3f}")
    moved = [np.mean([w.bytes_moved for w in group]) for group in groups]
    table.add_row(
        "kilobytes moved", *(f"{m / 1e3:,.1f}" for m in moved), f"{conventional.bytes_moved / 1e3:,.1f}"
    )
    products = [np.mean([w.total("products") for w in group]) for group in groups]
    table.add_row("products", *(f"{p:,.0f}" for p in products), f"{conventional.total('products'):,.0f}")
    console.print(table)


def causal_rows(prefix: str, read: Sources, n: int | None) -> list[Row]:
    """Causal attention against attention that looks ahead, each at its own threshold; nothing without the models."""
    pairs = [(load(f"{prefix}-split{seed}-causal"), load(f"{prefix}-split{seed}-dynamic")) for seed in SEEDS]
    if any(model is None for pair in pairs for model in pair):
        return []
    losses = []
    for seed, (causal, ahead) in zip(SEEDS, pairs, strict=True):
        assert causal is not None
        assert ahead is not None
        _, test = read(ahead, seed, n)
        found = [measure(model, test, Dynamics()).correct for model in (ahead, causal)]
        losses.append(found[0] - found[1])
    loss, low, high = paired(np.concatenate(losses))
    console.print(
        f"{prefix}: causal attention loses {loss:.2f} points, 95 % interval {low:.2f} to {high:.2f}"
    )
    return [
        against_goal(f"{prefix}: loss, causal vs looking ahead", loss, 1.0, "points", less_is_better=True)
    ]


def gesture_row(repeats: int) -> Row:
    """Scoring a window of the gesture topology, of the time that dropping half of the frames saves."""
    from density_networks import gesture_network, recording

    network = gesture_network(GESTURE_DENSITY).graph(is_composite=True)
    rng = np.random.default_rng(0)
    hidden = GESTURE_STEPS // 16
    bias = np.where(np.arange(GESTURE_STEPS) % 2 == 0, 9.0, -9.0)  # keeps every other frame
    node = neuro.graph.TemporalAttention(
        rng.normal(0, 1, (hidden, GESTURE_STEPS)),
        np.zeros(hidden),
        np.zeros((GESTURE_STEPS, hidden)),
        bias,
        0.5,
    )
    (first,) = network.successors(network.input_name)
    edges = [edge for edge in network.edges if edge != (network.input_name, first)]
    edges += [(network.input_name, "attention"), ("attention", first)]
    graph = neuro.graph.Graph(
        dict(network.nodes) | {"attention": node},
        edges,
        network.execution,
        weight_grid=network.weight_grid,
    )
    spikes = neuro.Spikes.from_dense(recording(GESTURE_DENSITY, 0, n_steps=GESTURE_STEPS))
    attended = neuro.simulate(graph, spikes)
    dense = evaluate(graph, spikes, kept=attended.attention.kept if attended.attention else None)
    equal = all(np.array_equal(dense.outputs[name], output) for name, output in attended.outputs.items())
    whole = best_seconds(lambda: neuro.simulate(graph, spikes, use_attention=False), repeats)
    half = best_seconds(lambda: neuro.simulate(graph, spikes), repeats)
    score = best_seconds(lambda: report(node, spikes), repeats)
    console.print(
        f"gesture topology at {100 * GESTURE_DENSITY:g} %: {1e3 * whole:.2f} ms with every frame, {1e3 * half:.2f} ms "
        f"with half of them, scoring {1e3 * score:.3f} ms"
    )
    overhead = 100 * score / (whole - half) if whole > half else 100.0
    row = against_goal("gesture: scoring, of the time saved", overhead, 2.0, "%", less_is_better=True)
    return replace(row, equal=equal)


def main() -> None:
    """Measure all claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of the recordings, under a minute")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    parser.add_argument("--only", default="", help="the set whose name begins with this")
    arguments = parser.parse_args()
    n, repeats = (30, 2) if arguments.quick else (None, 4)
    sets: list[tuple[str, Sources]] = [("digits", collections_of(digits_split))]
    if data_dir() is None:
        console.print("N-MNIST is left out: set SPIKELOOM_DATA to the folder that holds nmnist_subset")
    else:
        sets += [("nmnist", collections_of(nmnist_split)), ("sign", sign_data)]
    rows: list[Row] = []
    for prefix, read in sets:
        if prefix.startswith(arguments.only):
            rows += rows_of_set(prefix, read, n, repeats) + causal_rows(prefix, read, n)
    if "gesture".startswith(arguments.only):
        rows.append(gesture_row(repeats))
    show(rows, title="Attention and dynamic inference", json_path=arguments.json)


if __name__ == "__main__":
    main()
