"""Blocks and cores against lists of synapses; limits, bounds, and what a sequential split takes."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hw
from hw.axons import _any_kinds, kinds_of
from hw.blocks import layers_of
from hw.partition_search import partition
from hw.yardsticks import lower_bound, sequential

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "oracle"))
import placement as oracle


def small(base: hw.Target = hw.loihi1, **limits: int) -> hw.Target:
    changed = {name: replace(base.limits[name], value=value) for name, value in limits.items()}
    return replace(base, name="small", limits={**base.limits, **changed})


def odd(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(1, 60, shape) * 2


def network(seed: int, *, groups: int = 1, profile: str = "loihi1") -> hw.FixedGraph:
    """Two convolutions, a dense and a sparse connection, one of them with delays; no weight is 0."""
    rng = np.random.default_rng(seed)
    lif = {"current_decay": 4096, "membrane_decay": 500, "threshold": 90}
    populations = {
        "in": hw.Population((2, 7, 6), "input"),
        "a": hw.Population((4, 7, 6), **lif),
        "b": hw.Population((6, 3, 3), **lif),
        "c": hw.Population((9,), **lif),
        "d": hw.Population((5,), **lif),
    }
    rows, columns = np.nonzero(rng.random((5, 9)) < 0.7)
    connections = (
        hw.Connection("in", "a", "conv", odd(rng, (4, 2, 3, 3)), padding=(1, 1)),
        hw.Connection("a", "b", "conv", odd(rng, (6, 4 // groups, 3, 2)), stride=(2, 2), groups=groups),
        hw.Connection("b", "c", "dense", odd(rng, (9, 54)), delay=int(rng.integers(0, 12))),
        hw.Connection(
            "c", "d", "sparse", odd(rng, (rows.size,)), rows.astype(np.int32), columns.astype(np.int32)
        ),
        hw.Connection("b", "d", "dense", odd(rng, (5, 54))),
    )
    return hw.FixedGraph(populations, connections, profile)


def recording(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((6, 2, 7, 6)) < 0.2).astype(np.float32)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_messages_operations_and_axons_are_those_of_the_lists_of_synapses(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    target = small(
        compartments=int(rng.integers(30, 90)), synaptic_words=int(rng.integers(250, 900)),
        population_axons=int(rng.integers(0, 3)),
    )  # fmt: skip
    mapping = hw.map_fixed(network(seed, groups=groups), target, recordings=[recording(seed)])
    results = [hw.emulate(mapping.fixed, recording(seed))]
    expected = np.zeros_like(mapping.messages)
    for (here, goal), count in oracle.messages(mapping, results).items():
        expected[here, goal] = count
    np.testing.assert_allclose(mapping.messages, expected, rtol=1e-12)
    np.testing.assert_array_equal(mapping.work.operations, oracle.operations(mapping, results))
    # the emulator ends before delayed spikes of the last steps arrive, and counts all groups of a convolution
    assert groups > 1 or mapping.work.operations.sum() >= sum(
        results[0].counters.synaptic_operations.values()
    )
    axons = [usage.values["output_axons"] for usage in mapping.partition.cores]
    counted = oracle.output_axons(mapping)
    assert axons == counted or (groups > 1 and all(a >= b for a, b in zip(axons, counted, strict=True)))
    n_steps = mapping.work.n_steps
    np.testing.assert_allclose(mapping.work.sent.sum(axis=1) / n_steps, expected[:-1].sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(mapping.work.received.sum(axis=1) / n_steps, expected.sum(axis=0), rtol=1e-12)
    assert hw.verify(mapping, recording(seed), engines=["cores"])


@pytest.mark.parametrize("base", [hw.loihi1, hw.loihi2], ids=["loihi1", "loihi2"])
@pytest.mark.parametrize("n_axons", [40, 80, 4096])
def test_no_core_needs_more_output_axons_than_it_has(base: hw.Target, n_axons: int) -> None:
    fixed = network(1, profile=base.profile)
    target = small(base, compartments=40, output_axons=n_axons)
    found = partition(fixed, target)
    assert max(usage.values["output_axons"] for usage in found.cores) <= n_axons
    assert found.n_cores >= max(lower_bound(fixed, target).values())
    neurons = [block.neurons for block in found.blocks if block.population == "a"]
    assert sorted(np.concatenate(neurons).tolist()) == list(range(168))


def test_output_axons_that_no_cut_can_save_are_named() -> None:
    populations = {
        "in": hw.Population((1,), "input"),
        "a": hw.Population((1,), threshold=1),
        "b": hw.Population((600,), threshold=1),
    }
    connections = (
        hw.Connection("in", "a", "dense", np.full((1, 1), 2)),
        hw.Connection("a", "b", "dense", np.full((600, 1), 2)),
    )
    target = small(compartments=100, output_axons=5)
    with pytest.raises(
        hw.CapacityError, match=r"'a' .*output_axons .*: used 7, allowed 5 on small; make 2 copies"
    ):
        partition(hw.FixedGraph(populations, connections, "loihi1"), target)


@pytest.mark.parametrize(
    ("limits", "delay", "message"),
    [
        ({"compartments": 4}, 60, r"pixel of 'b' .*compartments .*: used 8, allowed 4.*from 60 to 31 steps"),
        (
            {"synapse_formats": 1},
            0,
            r"'d' .*synapse_formats .*: used 2, allowed 1.*join its 2 connections into 1",
        ),
    ],
)
def test_other_limits_are_named(limits: dict[str, int], delay: int, message: str) -> None:
    fixed = network(0)
    if delay:
        first, second, *rest = fixed.connections
        fixed = replace(fixed, connections=(first, replace(second, delay=delay), *rest))
    with pytest.raises(hw.CapacityError, match=message):
        partition(fixed, small(**limits))


def test_an_axon_with_too_many_words_is_named() -> None:
    populations = {"in": hw.Population((1,), "input"), "a": hw.Population((1, 5, 5))}
    rows, columns = np.arange(25, dtype=np.int32), np.zeros(25, np.int32)
    synapses = hw.Connection("in", "a", "sparse", np.full(25, 2), rows, columns)
    fixed = hw.FixedGraph(populations, (synapses,), "loihi1")
    assert partition(fixed, small(words_per_axon=1)).n_cores == 7  # 4 weights to a word
    kernel = hw.Connection("in", "a", "conv", np.full((1, 1, 5, 5), 2), padding=(4, 4))
    populations = {"in": hw.Population((1, 1, 1), "input"), "a": hw.Population((1, 5, 5))}
    fixed = hw.FixedGraph(populations, (kernel,), "loihi1")
    assert all(b.usage.axon_words <= 1 for b in partition(fixed, small(words_per_axon=1)).blocks)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rectangles_of_pixels_are_counted_like_any_other_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (1, int(rng.integers(3, 12)), int(rng.integers(3, 12)))
    kernel = [int(rng.integers(1, min(5, n) + 1)) for n in shape[1:]]
    stride, padding = (tuple(int(x) for x in rng.integers(low, 3, 2)) for low in (1, 0))
    dilation = tuple(
        int(rng.integers(1, 3)) if 2 * (k - 1) < n else 1 for k, n in zip(kernel, shape[1:], strict=True)
    )
    c = hw.Connection(
        "a", "b", "conv", np.ones((1, 1, *kernel), int), stride=stride, padding=padding, dilation=dilation
    )
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(shape[1:], kernel, stride, padding, dilation, strict=True)
    ]
    top, left = (int(rng.integers(0, n)) for n in sizes)
    rows, columns = np.arange(top, sizes[0]), np.arange(left, sizes[1])
    pixels = (rows[:, None] * sizes[1] + columns).reshape(-1)
    one = kinds_of(c, shape, sizes[1], pixels)
    other = _any_kinds(c, shape, pixels // sizes[1], pixels % sizes[1])
    assert one.pixels.tolist() == other.pixels.tolist()
    assert one.taps.tolist() == other.taps.tolist()
    assert sorted(one.distinct.tolist()) == sorted(other.distinct.tolist())


def gesture_network(profile: str) -> tuple[hw.FixedGraph, dict[str, np.ndarray]]:
    """TA-SNN's topology for gestures with its pools folded into the kernels, and rates that fall layer by layer."""
    rng = np.random.default_rng(3)
    shapes = {
        "in": (2, 32, 32),
        "a": (64, 16, 16),
        "b": (128, 8, 8),
        "c": (128, 4, 4),
        "d": (256,),
        "e": (11,),
    }
    populations = {
        name: hw.Population(shape, "input" if name == "in" else "lif") for name, shape in shapes.items()
    }
    names = list(shapes)
    connections = []
    for source, goal in pairwise(names):
        if len(shapes[goal]) == 3:
            kernel = odd(rng, (shapes[goal][0], shapes[source][0], 4, 4))
            connections.append(hw.Connection(source, goal, "conv", kernel, stride=(2, 2), padding=(1, 1)))
        else:
            weights = odd(rng, (shapes[goal][0], int(np.prod(shapes[source]))))
            connections.append(hw.Connection(source, goal, "dense", weights))
    rates = {name: rng.random(p.size) * 0.1 for name, p in populations.items()}
    return hw.FixedGraph(populations, tuple(connections), profile), rates


@pytest.mark.parametrize("target", [hw.loihi1, hw.loihi2], ids=["loihi1", "loihi2"])
def test_gestures_take_fewer_cores_and_fewer_messages_than_a_sequential_split(target: hw.Target) -> None:
    fixed, rates = gesture_network(target.profile)
    found, other, bound = (
        partition(fixed, target, rates),
        sequential(fixed, target),
        lower_bound(fixed, target),
    )
    assert max(bound.values()) <= found.n_cores <= max(1.15 * max(bound.values()), max(bound.values()) + 1)
    assert found.n_cores < other.n_cores
    assert found.traffic(fixed, rates)[:-1].sum() < other.traffic(fixed, rates)[:-1].sum()
    assert not found.over(target)
    assert not other.over(target)


def test_groups_of_channels_need_not_be_equal() -> None:
    layer = layers_of(network(0), hw.loihi1)[1].grouped(4)
    assert layer.bounds == (0, 1, 3, 4, 6)
    assert sorted(layer.neurons(layer.order).tolist()) == list(range(54))
    assert layer.sizes(layer.order).sum() == 54


def test_an_unknown_or_missing_partitioner_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hw.HardwareError, match="partitioner must be one of own, mtkahypar, got 'metis'"):
        partition(network(0), hw.loihi1, partitioner="metis")
    monkeypatch.setitem(sys.modules, "mtkahypar", None)
    with pytest.raises(hw.MissingPackageError, match="pip install mtkahypar, or take partitioner 'own'"):
        partition(network(0), small(compartments=40), partitioner="mtkahypar")


@pytest.mark.parametrize("seed", range(3))
def test_the_other_partitioner_keeps_to_all_limits(seed: int) -> None:
    pytest.importorskip("mtkahypar", reason="mtkahypar is not installed (pip install mtkahypar)")
    fixed, target = network(seed), small(compartments=40, output_axons=100)
    rates = {name: np.ones(p.size) for name, p in fixed.populations.items()}
    found = partition(fixed, target, rates, partitioner="mtkahypar")
    assert not found.over(target)
    for name, population in fixed.populations.items():
        blocks = [block for block in found.blocks if block.population == name]
        if population.kind != "input":
            assert sorted(np.concatenate([b.neurons for b in blocks]).tolist()) == list(
                range(population.size)
            )
        assert len({block.core for block in blocks}) == len(blocks)
    again = partition(fixed, target, rates, partitioner="mtkahypar")
    assert [b.units.tolist() for b in again.blocks] == [b.units.tolist() for b in found.blocks]
    mapping = hw.map_fixed(fixed, target, recordings=[recording(seed)], partitioner="mtkahypar")
    assert hw.verify(mapping, recording(seed), engines=["cores"])
