"""Recognition of event-camera recordings: accuracy, what attention drops, and the engine against torch.

Claims: test accuracy of the digits and of the N-MNIST subset (mean of 3 seeds); frames dropped by temporal attention
and the paired loss that this costs; time of the engine against the same network in torch, step by step, batch 1,
one thread. Spikes of every layer are compared with torch first, over the whole test sets.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rows import Row, against_goal, show
from splits import MODELS, SEEDS, Parts, data_dir, digits_split, nmnist_official, nmnist_split
from torch_baseline import DenseNetwork, NorseNetwork

import neuro
from eventio.datasets import Collection
from spikeloom.model_file import shipped_model
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import windows

console = Console(width=150)


@dataclass(frozen=True)
class Outcome:
    """One model on its test part."""

    correct: np.ndarray
    frames_kept: float
    events_kept: float
    operations: float
    milliseconds: float


def load(name: str) -> Recognizer:
    """Read a benchmark model; the digits' model of seed 0 is the shipped one."""
    path = shipped_model() if name in ("digits-seed0", "digits-split0-attention") else MODELS / f"{name}.h5"
    if not path.is_file():
        raise SystemExit(f"{path} does not exist: run `make benchmark-models` first")
    return Recognizer.load(path)


def measure(model: Recognizer, part: Collection, *, use_attention: bool = True) -> Outcome:
    """Recognise every recording of a part."""
    names = [part.class_names[sample.label] for sample in part.samples]
    model.recognize(part.samples[0].path, use_attention=use_attention)
    done = [model.recognize(sample.path, use_attention=use_attention) for sample in part.samples]
    total = {key: sum(getattr(d, key) for d in done) for key in (
        "frames_kept", "frames_total", "events_kept", "events", "synaptic_operations", "engine_seconds")}  # fmt: skip
    return Outcome(
        correct=np.array([d.label == name for d, name in zip(done, names, strict=True)]),
        frames_kept=total["frames_kept"] / total["frames_total"],
        events_kept=total["events_kept"] / total["events"],
        operations=total["synaptic_operations"] / len(done),
        milliseconds=1e3 * total["engine_seconds"] / len(done),
    )


def shorten(part: Collection, n: int | None) -> Collection:
    """Take every k-th recording so that about n remain."""
    if n is None or len(part) <= n:
        return part
    return type(part)(part.name, part.class_names, part.samples[:: len(part) // n], part.width, part.height)


def accuracy_row(claim: str, prefix: str, split: Callable[[int], Parts], goal: float, n: int | None) -> Row:
    """Mean test accuracy over the training seeds."""
    values = []
    for seed in SEEDS:
        part = shorten(split(seed).test, n)
        values.append(100 * measure(load(f"{prefix}-seed{seed}"), part).correct.mean())
    spread = np.std(values, ddof=1)
    console.print(
        f"{claim}: {', '.join(f'{v:.1f}' for v in values)} %; mean {np.mean(values):.2f}, sd {spread:.2f}"
    )
    return against_goal(claim, float(np.mean(values)), goal, "%")


def paired(losses: np.ndarray) -> tuple[float, float, float]:
    """Mean of paired differences in points, with its 95 % interval (normal approximation)."""
    mean = 100 * losses.mean()
    half = 196 * losses.std(ddof=1) / np.sqrt(len(losses))
    return float(mean), float(mean - half), float(mean + half)


def attention_rows(prefix: str, split: Callable[[int], Parts], n: int | None) -> list[Row]:
    """Frames dropped at the threshold that validation chose, and the paired loss against two references."""
    same, plain, dropped, dropped_events = [], [], [], []
    for seed in SEEDS:
        part = shorten(split(seed).test, n)
        model = load(f"{prefix}-split{seed}-attention")
        with_attention = measure(model, part)
        every_frame = measure(model, part, use_attention=False)
        separate = measure(load(f"{prefix}-split{seed}-plain"), part)
        same.append(every_frame.correct.astype(float) - with_attention.correct)
        plain.append(separate.correct.astype(float) - with_attention.correct)
        dropped.append(1 - with_attention.frames_kept)
        dropped_events.append(1 - with_attention.events_kept)
        console.print(
            f"{prefix} split {seed}: accuracy {100 * with_attention.correct.mean():.2f} % with attention, "
            f"{100 * every_frame.correct.mean():.2f} % with every frame, "
            f"{100 * separate.correct.mean():.2f} % trained without; frames dropped {100 * dropped[-1]:.1f} %, "
            f"events dropped {100 * dropped_events[-1]:.1f} %"
        )
    rows = [against_goal(f"{prefix}: frames dropped", 100 * float(np.mean(dropped)), 30.0, "%")]
    for reference, losses in (
        ("network trained without attention", plain),
        ("same network, every frame", same),
    ):
        mean, low, high = paired(np.concatenate(losses))
        n_predictions = sum(map(len, losses))
        console.print(f"{prefix}: paired loss against the {reference}: {mean:.2f} points, "
                      f"95 % interval {low:.2f} to {high:.2f}, {n_predictions} predictions")  # fmt: skip
        rows.append(against_goal(f"{prefix}: loss vs {reference}", mean, 1.0, "points", less_is_better=True))
    return rows


def curve(prefix: str, split: Callable[[int], Parts], thresholds: Sequence[float], n: int | None) -> None:
    """Print threshold against accuracy, frames, events, operations and time, means over the splits."""
    table = Table(title=f"{prefix}: attention threshold (mean of {len(SEEDS)} splits, test recordings)")
    for name in ("threshold", "accuracy %", "frames kept %", "events kept %", "synaptic operations", "ms"):
        table.add_column(name, justify="right")
    models = [(load(f"{prefix}-split{seed}-attention"), shorten(split(seed).test, n)) for seed in SEEDS]
    for threshold in track(thresholds, description=f"{prefix} curve", console=Console(stderr=True)):
        outcomes = [measure(model.with_threshold(threshold), part) for model, part in models]
        means = [np.mean([getattr(o, key) for o in outcomes]) for key in
                 ("frames_kept", "events_kept", "operations", "milliseconds")]  # fmt: skip
        accuracy = np.mean([o.correct.mean() for o in outcomes])
        table.add_row(f"{threshold:.2f}", f"{100 * accuracy:.2f}", f"{100 * means[0]:.1f}",
                      f"{100 * means[1]:.1f}", f"{means[2]:,.0f}", f"{means[3]:.3f}")  # fmt: skip
    console.print(table)


def inputs_of(model: Recognizer, part: Collection) -> list[neuro.Spikes]:
    """Give the first window of every recording as the network's input."""
    encoding = model.encoding
    return [
        encoding.spikes(next(iter(windows(
            sample.path, width=encoding.width, height=encoding.height, window_us=encoding.window_us))))
        for sample in part.samples
    ]  # fmt: skip


def count_differences(model: Recognizer, inputs: Sequence[neuro.Spikes]) -> tuple[int, int, int]:
    """Compare spikes, readouts and masks with torch: differences, spikes, scores near the threshold."""
    network = DenseNetwork(model.graph)
    spiking = [layer.name for layer in network.layers[:-1]]
    record = dict.fromkeys(spiking, "spikes")
    differences = n_spikes = n_near = 0
    for spikes in inputs:
        frames = torch.from_numpy(spikes.to_dense())
        for use_attention in (False, True):
            result = neuro.simulate(model.graph, spikes, record=record, use_attention=use_attention)
            kept = None
            if use_attention and network.attention is not None:
                kept = (network.scores(frames) >= network.attention.threshold).numpy()
                differences += int((kept != result.attention.kept).sum())
                n_near += result.attention.n_near_threshold
            readout, fired = network.run(frames, kept, record=True)
            differences += int((readout.numpy() != result.output).sum())
            for name in spiking:
                ours = result.spikes[name].to_dense()
                n_spikes += len(result.spikes[name])
                differences += int((fired[name].numpy() != ours).sum())
    return differences, n_spikes, n_near


def best_seconds(run: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def speed_row(
    prefix: str, model: Recognizer, inputs: Sequence[neuro.Spikes], timed: int, repeats: int
) -> Row:
    """Engine against the fastest torch form, every frame computed on both sides."""
    differences, n_spikes, n_near = count_differences(model, inputs)
    chosen = inputs[:: max(1, len(inputs) // timed)][:timed]
    frames = [torch.from_numpy(spikes.to_dense()) for spikes in chosen]
    forms = {
        "torch NCHW": DenseNetwork(model.graph),
        "torch channels last": DenseNetwork(model.graph, channels_last=True),
        "norse": NorseNetwork(model.graph),
    }
    times = {
        name: best_seconds(lambda n=network: [n.run(x) for x in frames], repeats) / len(frames)
        for name, network in forms.items()
    }
    ours = best_seconds(
        lambda: [neuro.simulate(model.graph, s, use_attention=False) for s in chosen], repeats
    ) / len(chosen)
    attended = best_seconds(lambda: [neuro.simulate(model.graph, s) for s in chosen], repeats) / len(chosen)
    best = min(times, key=lambda name: times[name])
    report = ", ".join(f"{name} {1e3 * value:.3f}" for name, value in times.items())
    console.print(
        f"{prefix}: {differences} differences from torch in {n_spikes:,} spikes, their readouts and masks "
        f"({n_near} scores within 1e-6 of the threshold), {len(inputs)} recordings\n"
        f"{prefix}: ms per recording of {chosen[0].n_steps} steps: engine {1e3 * ours:.3f}, with attention "
        f"{1e3 * attended:.3f}; {report}"
    )
    return Row(f"{prefix}: engine vs torch, batch 1, step by step", 1e3 * ours, best, 1e3 * times[best],
               "ms/recording", times[best] / ours, 5.0, differences == 0)  # fmt: skip


def main() -> None:
    """Measure all claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of the recordings, under a minute")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    n = 24 if arguments.quick else None
    thresholds = (0.0, 0.3, 0.6) if arguments.quick else tuple(np.round(np.arange(0, 1.0, 0.1), 2))
    sets = [("digits", lambda _: digits_split(0), digits_split, 97.0)]
    if data_dir() is None:
        console.print("N-MNIST is left out: set SPIKELOOM_DATA to the folder that holds nmnist_subset")
    else:
        sets.append(("nmnist", nmnist_official, nmnist_split, 96.0))
    rows: list[Row] = []
    for prefix, official, split, goal in sets:
        rows.append(accuracy_row(f"{prefix}: test accuracy, mean of 3 seeds", prefix, official, goal, n))
        rows.extend(attention_rows(prefix, split, n))
        curve(prefix, split, thresholds, n)
        model = load(f"{prefix}-seed0")
        test = inputs_of(model, shorten(official(0).test, n))
        rows.append(speed_row(prefix, model, test, *((8, 3) if arguments.quick else (50, 10))))
    show(rows, title="Recognition", json_path=arguments.json)


if __name__ == "__main__":
    main()
