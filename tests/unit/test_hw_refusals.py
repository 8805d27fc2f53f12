"""What a chip cannot do is refused where it is, with what to do instead; what is lost on the way is noted."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import hw
from neuro.graph import IF, LIF, Graph, Input, Linear, Node, Readout, SparseLinear, TwoPhaseIF, clocked


def chain(*nodes: Node, dt_s: float = 0.001) -> Graph:
    named = {f"n{k}": node for k, node in enumerate(nodes)}
    return Graph(named, list(pairwise(named)), clocked(dt_s))


LINE = Linear(np.eye(3) * 0.7)


def test_a_coded_neuron_is_named_and_not_the_readout_behind_it() -> None:
    graph = chain(
        Input(3), LINE, TwoPhaseIF(1.0, n_levels=7, start_step=3), Linear(np.ones((2, 3))), Readout()
    )
    with pytest.raises(hw.UnsupportedNodeError, match=r"TwoPhaseIF 'n2': .*method='rate' for loihi2"):
        hw.quantize(graph, "loihi2")


def test_subtraction_is_refused_on_loihi1_also_in_whole_numbers() -> None:
    populations = {"in": hw.Population((3,), "input"), "a": hw.Population((3,), threshold=9, subtraction=9)}
    synapses = hw.Connection("in", "a", "dense", np.eye(3, dtype=int) * 6)
    fixed = hw.FixedGraph(populations, (synapses,))
    assert hw.map_fixed(fixed, "loihi2").n_cores == 1
    with pytest.raises(
        hw.HardwareError, match="'a': loihi1's neuron resets to 0 and subtracts nothing; map to"
    ):
        hw.map_fixed(fixed, "loihi1")


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("refractory_steps", 2, "population 'a': refractory_steps: used 3, allowed 2 on small; shorten the"),
        ("delay_steps", 4, "connection in -> a: delay_steps: used 5, allowed 4 on small; shorten the delays"),
        ("weight_bits", 6, "connection in -> a: weight_bits: used 8, allowed 6 on small; quantise to 6 bits"),
    ],
)
def test_registers_that_a_target_has_not_are_named_with_a_remedy(
    limit: str, value: int, message: str
) -> None:
    populations = {
        "in": hw.Population((3,), "input"),
        "a": hw.Population((3,), threshold=9, refractory_steps=3),
    }
    synapses = hw.Connection("in", "a", "dense", np.eye(3, dtype=int) * 6, delay=5)
    limits = {**hw.loihi1.limits, limit: replace(hw.loihi1.limits[limit], value=value)}
    target = replace(hw.loihi1, name="small", limits=limits)
    with pytest.raises(hw.CapacityError, match=message):
        hw.map_fixed(hw.FixedGraph(populations, (synapses,), "loihi1"), target)


def test_neurons_without_a_weight_that_is_left_are_noted() -> None:
    weight = np.ones((4, 3))
    weight[2] = 1e-4
    weight[1, 0] = 1e-4  # others of this neuron are left
    text = "n0 -> n2: all weights of 1 neurons vanish in 8 bits beside the others; use more bits, or scale"
    fixed = hw.quantize(chain(Input(3, max_count=1), Linear(weight), IF()), "loihi1")
    assert next(note for note in fixed.notes if "vanish" in note).startswith(text)
    rows, columns = np.indices((4, 3)).reshape(2, -1)
    sparse = SparseLinear.from_coo(rows, columns, weight.reshape(-1), n_out=4, n_in=3)
    fixed = hw.quantize(chain(Input(3, max_count=1), sparse, IF()), "loihi1")
    assert next(note for note in fixed.notes if "vanish" in note).startswith(text)
    weight[2] = 1.0
    fixed = hw.quantize(chain(Input(3, max_count=1), Linear(weight), IF()), "loihi1")
    assert not [note for note in fixed.notes if "vanish" in note]


@pytest.mark.parametrize("field", ["tau", "threshold"])
def test_neurons_that_all_differ_are_split_over_cores_with_a_note(field: str) -> None:
    n = 100
    spread = np.linspace(1, 3, n)
    neuron = LIF(0.01 * spread, 1.0) if field == "tau" else LIF(0.01, spread)
    graph = chain(Input(n, max_count=1), Linear(np.eye(n)), neuron)
    mapping = hw.map_graph(graph, "loihi1")
    limit = "neuron_configurations" if field == "tau" else "threshold_configurations"
    assert any(f"parameters differ between its {n} neurons" in note for note in mapping.fixed.notes)
    assert mapping.n_cores >= -(-n // mapping.target[limit])
    assert all(core.values[limit] <= mapping.target[limit] for core in mapping.partition.cores)
    frames = (np.random.default_rng(0).random((30, n)) < 0.5).astype(np.float32)
    assert hw.verify(mapping, frames, engines=["cores"])
