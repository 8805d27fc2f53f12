"""Cores, time and energy of mapped networks against other people's numbers: published, SANA-FE's, Mt-KaHyPar's.

Claims: a network of SANA-FE's tutorial (gestures, 17,654 neurons) fires spike for spike as in SANA-FE with the same
neurons on the same cores of Loihi 1, and time and energy per step agree; chips that a MobileNet of 4 million parameters
takes against NxTF's; cores of a gesture network against a published mapping; cores and messages of Mt-KaHyPar's cut.
Deviations count in both directions: the ratio is the smaller figure over the larger one.
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
from hardware import gesture_graph
from rows import Row, show

import hw
from hw.yardsticks import lower_bound

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "oracle"))

IF = {"current_decay": 4096, "membrane_decay": 0}
MOBILENET = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


def agreement(  # noqa: PLR0917
    claim: str, ours: float, peer: str, theirs: float, unit: str, error: float, equal: bool
) -> Row:
    """Compare figures that should be the same: 1 is perfect, 1 - error the goal."""
    return Row(claim, ours, peer, theirs, unit, min(ours, theirs) / max(ours, theirs), 1 - error, equal)


def even(weights: np.ndarray) -> np.ndarray:
    """Halve weights of up to 9 bits and make them even, as 8-bit weights of mixed sign are."""
    return (2 * np.round(weights / 4)).astype(np.int64)


def gestures_of_sanafe() -> hw.FixedGraph:
    """Return the network for gestures that SANA-FE ships, driven by its input frame as biases."""
    with files("sanafe.examples").joinpath("dvs_challenge.npz").open("rb") as file:
        parts = dict(np.load(file))
    thresholds = [round(float(x) / 2) for x in parts["thresholds"]]
    shapes = ((1, 32, 32), (16, 15, 15), (32, 13, 13), (64, 11, 11), (11, 9, 9), (11,))
    populations = {"in": hw.Population((1,), "input")}
    for k, (shape, threshold) in enumerate(zip(shapes, thresholds, strict=True)):
        bias = np.round(parts["inputs"] / 2).astype(np.int32) if k == 0 else 0
        populations[f"layer{k}"] = hw.Population(
            shape, threshold=threshold, bias_mantissa=bias, bias_exponent=6, **IF
        )
    connections = [hw.Connection("in", "layer0", "dense", np.zeros((1024, 1), np.int64))]
    for k in range(1, 5):
        kernel, stride = even(parts[f"conv{k}"]).transpose(3, 2, 0, 1), (2, 2) if k == 1 else (1, 1)
        connections.append(hw.Connection(f"layer{k - 1}", f"layer{k}", "conv", kernel, stride=stride))
    dense = even(parts["dense1"]).reshape(9, 9, 11, 11).transpose(3, 2, 0, 1).reshape(11, 891)
    connections.append(hw.Connection("layer4", "layer5", "dense", dense))
    return hw.FixedGraph(populations, tuple(connections), "loihi1")


def against_sanafe(n_steps: int) -> list[Row]:
    """Compare spikes, time and energy with SANA-FE's simulation."""
    import sanafe_chip

    silence = np.zeros((n_steps, 1), np.float32)
    mapping = hw.map_fixed(gestures_of_sanafe(), "loihi1", recordings=[silence])
    n_chip = n_steps + mapping.fixed.depth
    found = sanafe_chip.simulate(mapping, n_chip)
    result = hw.emulate(mapping.fixed, silence)
    equal = all(
        pairs
        == sorted(zip(result.trains[name].step.tolist(), result.trains[name].index.tolist(), strict=True))
        for name, pairs in found["trains"].items()
    )
    what = "gesture network of SANA-FE on loihi1"
    rows = [
        agreement(f"{what}: time per step", mapping.costs[1].step_time_s * 1e6, "SANA-FE",
                  found["sim_time"] / n_chip * 1e6, "us", 0.25, equal),
        agreement(f"{what}: energy per step", mapping.costs[1].step_energy_j * 1e9, "SANA-FE",
                  found["energy"]["total"] / n_chip * 1e9, "nJ", 0.12, equal),
        agreement(f"{what}: energy per step by Davies 2018", mapping.costs[0].step_energy_j * 1e9, "SANA-FE",
                  found["energy"]["total"] / n_chip * 1e9, "nJ", 0.12, equal),
        agreement(f"{what}: time per step by Davies 2018", mapping.costs[0].step_time_s * 1e6, "SANA-FE",
                  found["sim_time"] / n_chip * 1e6, "us", 0.25, equal),
    ]  # fmt: skip
    cores = mapping.n_cores
    rows.append(Row(f"{what}: cores", cores, "Massa et al. 2020, theirs", 37, "cores", 37 / cores, 1, equal))
    return rows


def mobilenet(side: int = 128) -> hw.FixedGraph:
    """Return MobileNet's layers with random weights: 27 convolutions and a dense layer of 1,000."""
    rng = np.random.default_rng(5)

    def kernel(*shape: int) -> np.ndarray:
        return rng.integers(-60, 60, shape) * 2 + 2

    populations = {"in": hw.Population((3, side, side), "input")}
    side //= 2
    populations["conv"] = hw.Population((32, side, side), **IF)
    connections = [hw.Connection("in", "conv", "conv", kernel(32, 3, 3, 3), stride=(2, 2), padding=(1, 1))]
    before, channels = "conv", 32
    for k, (out, stride) in enumerate(MOBILENET):
        side = -(-side // stride)
        populations[f"depth{k}"] = hw.Population((channels, side, side), **IF)
        populations[f"point{k}"] = hw.Population((out, side, side), **IF)
        connections += [
            hw.Connection(before, f"depth{k}", "conv", kernel(channels, 1, 3, 3), stride=(stride, stride),
                          padding=(1, 1), groups=channels),
            hw.Connection(f"depth{k}", f"point{k}", "conv", kernel(out, channels, 1, 1)),
        ]  # fmt: skip
        before, channels = f"point{k}", out
    populations["pool"] = hw.Population((channels, 1, 1), **IF)
    populations["dense"] = hw.Population((1000,), **IF)
    pool = kernel(channels, 1, side, side)
    connections += [
        hw.Connection(before, "pool", "conv", pool, groups=channels),
        hw.Connection("pool", "dense", "dense", kernel(1000, channels)),
    ]
    return hw.FixedGraph(populations, tuple(connections), "loihi1")


def against_nxtf() -> list[Row]:
    """Compare chips with NxTF's published mapping of a MobileNet."""
    fixed = mobilenet()
    mapping = hw.map_fixed(fixed, "loihi1")
    chips, bound = mapping.n_cores / 128, max(lower_bound(fixed, hw.loihi1).values())
    n_weights = sum(c.weights.size for c in fixed.connections) / 1e6
    what = f"MobileNet 128x128, {n_weights:.1f} M parameters on loihi1"
    return [
        Row(f"{what}: chips' worth of cores", chips, "NxTF (published)", 16, "chips", 16 / chips, 1, True),
        Row(f"{what}: cores", mapping.n_cores, "lower bound", bound, "cores", bound / mapping.n_cores, 1 / 1.15, True),
        Row(f"{what}: cores", mapping.n_cores, "sequential split", mapping.sequential_cores, "cores",
            mapping.sequential_cores / mapping.n_cores, 1, True),
        Row(f"{what}: messages, every neuron fires", mapping.messages_per_step, "sequential split",
            mapping.sequential_messages, "per step", mapping.sequential_messages / mapping.messages_per_step, 1, True),
    ]  # fmt: skip


def against_mtkahypar(target: str) -> list[Row]:
    """Compare cores and messages with those of Mt-KaHyPar's cut of the gesture topology."""
    graph, recording = gesture_graph()
    fixed = hw.quantize(graph, target, calibration=recording)
    own, other = (
        hw.map_fixed(fixed, target, recordings=[recording], partitioner=name) for name in ("own", "mtkahypar")
    )
    what = f"gesture topology on {target}"
    sent, theirs = own.messages_per_step, other.messages_per_step
    return [
        Row(f"{what}: cores", own.n_cores, "mtkahypar", other.n_cores, "cores", other.n_cores / own.n_cores, 1, True),
        Row(f"{what}: messages between cores", sent, "mtkahypar", theirs, "per step", theirs / sent, 1, True),
    ]  # fmt: skip


def main() -> None:
    """Run what was asked for and show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps of SANA-FE, no MobileNet")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    chosen = parser.parse_args()
    rows = against_sanafe(10 if chosen.quick else 100)
    rows += against_mtkahypar("loihi1") + against_mtkahypar("loihi2")
    if not chosen.quick:
        rows += against_nxtf()
    show(rows, title="What mapped networks cost, against others", json_path=chosen.json)


if __name__ == "__main__":
    main()
