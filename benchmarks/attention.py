"""Dynamic inference: events that attention drops, runs that end early, and what both save in operations and time.

Every reference is the same network with nothing left out. Validation recordings choose the thresholds, test recordings
report; 3 stratified splits, losses paired by recording with a 95 % interval. Equality comes first: with all dynamics
off the engine equals the plain engine, with hard masks and an early exit the dense reference with the same masks.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from attention_choice import LADDER, choose_attention, choose_both, choose_on_ladder
from attention_runs import (
    Measured,
    Sources,
    Times,
    collections_of,
    count_differences,
    load,
    measure,
    replace_inputs,
    sign_data,
    times_of,
)
from recognition import console, paired
from rich.progress import track
from rich.table import Table
from rows import Row, against_goal, show
from splits import SEEDS, data_dir, digits_split, nmnist_split
from timing import best_seconds

import neuro
from neuro.attention import report
from neuro.costs import conventional_work, energy_table, spiking_work
from neuro.dynamics import Dynamics, ExitRule
from neuro.reference import evaluate
from spikeloom.recognizer import Recognizer

#: Sets with a saving as their goal.
GOALS = ("digits", "nmnist")
#: Steps and density of the gesture topology on which the overhead of scoring is measured.
GESTURE_STEPS, GESTURE_DENSITY = 60, 0.05


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
    times: dict[str, list[Times]] = {name: [] for name in outcomes}
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
        runs = {
            "whole": (both, Dynamics.off()),
            "attention": (model.with_threshold(dropping), Dynamics()),
            "exit": (model, Dynamics(attention=False, early_exit=rule)),
            "both": (both, Dynamics(early_exit=rule)),
        }
        timed, milliseconds = times_of(runs, test, repeats)
        for name, (found, dynamics) in runs.items():
            outcomes[name].append(measure(found, test, dynamics))
            times[name].append(timed[name])
        scoring.append(milliseconds)
        separate = load(f"{prefix}-split{seed}-plain")
        if separate is not None:
            plain.append(measure(separate, test, Dynamics.off()).correct - outcomes["both"][-1].correct)
        last = {name: measured[-1] for name, measured in outcomes.items()}
        say_split(f"{prefix} split {seed}", (dropping, threshold), rule, last, timed)
        if seed == seeds[-1]:
            say_energy(prefix, both, outcomes)
    if plain:
        loss, low, high = paired(np.concatenate(plain))
        console.print(
            f"{prefix}: attention and early exit against a network trained for every frame alone: {loss:.2f} points, "
            f"95 % interval {low:.2f} to {high:.2f}"
        )
    return claims(prefix, outcomes, differences) + time_rows(
        prefix, times, scoring, equal=not differences[:2].any()
    )


def say_split(
    name: str,
    thresholds: tuple[float, float],
    rule: ExitRule,
    found: Mapping[str, Measured],
    times: Mapping[str, Times],
) -> None:
    """Print one split in words."""
    parts = [
        f"{kind} {100 * m.correct.mean():.2f} %, {100 * m.frames:.1f} % of the frames, {100 * m.events:.1f} % of the "
        f"events, {m.spike_driven:,.0f} spike-driven and {m.executed:,.0f} executed operations, "
        f"{times[kind].batch:.3f} ms ({times[kind].single:.3f} one by one, "
        f"{times[kind].reported:.3f} with counters and report)"
        for kind, m in found.items()
    ]
    console.print(
        f"{name}: attention alone at {thresholds[0]:g}; with the exit at {thresholds[1]:g}, gap >= "
        f"{rule.threshold:.4f} (temperature {rule.temperature:.3g}, after {rule.first_step} steps, every "
        f"{rule.check_every})\n  " + "\n  ".join(parts)
    )


def claims(prefix: str, outcomes: dict[str, list[Measured]], differences: np.ndarray) -> list[Row]:
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
            for key in ("events", "spike_driven", "executed")
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
    for label, key, unit, goal in (
        ("spike-driven operations", "spike_driven", "per recording", 4.0),
        ("executed operations", "executed", "per recording", 1.0),
    ):
        rows.append(Row(f"{prefix}: {label}, attention and early exit", both[key], "nothing left out", whole[key],
                        unit, whole[key] / both[key], goal, equal))  # fmt: skip
    return rows


def time_rows(
    prefix: str, times: Mapping[str, Sequence[Times]], scoring: Sequence[float], *, equal: bool
) -> list[Row]:
    """Turn the times of the splits into rows."""
    rows = []
    for label, key, goal in (
        ("time", "batch", 2.5),
        ("time one by one", "single", 1.0),
        ("time with counters and report", "reported", 1.0),
    ):
        whole, both = (float(np.mean([getattr(t, key) for t in times[kind]])) for kind in ("whole", "both"))
        rows.append(Row(f"{prefix}: {label}, attention and early exit", both, "nothing left out", whole,
                        "ms/recording", whole / both, goal, equal))  # fmt: skip
    saved = float(np.mean([t.batch for t in times["whole"]]) - np.mean([t.batch for t in times["both"]]))
    overhead = 100 * float(np.mean(scoring)) / saved if saved > 0 else 100.0
    name = f"{prefix}: scoring, of the time saved"
    return [*rows, replace(against_goal(name, overhead, 10.0, "%", less_is_better=True), equal=equal)]


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
    whole = best_seconds(lambda: neuro.simulate(graph, spikes, use_attention=False), repeats=repeats)
    half = best_seconds(lambda: neuro.simulate(graph, spikes), repeats=repeats)
    score = best_seconds(lambda: report(node, spikes), repeats=repeats)
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
