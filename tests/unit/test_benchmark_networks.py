"""The networks that simulators are compared on: what is promised of their arrays, and one step by hand."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "benchmarks" / part) for part in ("", "peers")]

from network_models import NetworkModel, coba, cuba, microcircuit  # noqa: E402  # from the path above
from protocol import statistics  # noqa: E402
from run_numpy import simulate  # noqa: E402

NETWORKS = {"cuba": cuba, "coba": coba, "microcircuit": lambda seed=0: microcircuit(0.01, seed=seed)}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> NetworkModel:
    return NETWORKS[request.param]()


def test_networks_hold_what_their_docstring_says(network: NetworkModel) -> None:
    n = network.n_neurons
    assert network.start[0] == 0
    assert network.start[-1] == network.n_synapses
    assert (np.diff(network.start) >= 0).all()
    assert network.target.min() >= 0
    assert network.target.max() < n
    within = np.diff(network.source) == 0
    assert (np.diff(network.target)[within] >= 0).all()
    assert (np.diff(network.population) >= 0).all()
    assert network.delay_steps.min() >= 2  # NEST has no shorter one
    sign = np.where(network.is_inhibitory[network.source], -1 if network.kind == "current" else 1, 1)
    assert (np.sign(network.weights()) == sign).all()


def test_networks_depend_on_the_seed_alone(network: NetworkModel) -> None:
    name = network.name.split("-")[0]
    again, other = NETWORKS[name](), NETWORKS[name](seed=1)
    for field in fields(network):
        assert np.array_equal(getattr(network, field.name), getattr(again, field.name)), field.name
    assert not np.array_equal(network.target[:1000], other.target[:1000])


def test_networks_survive_the_file(network: NetworkModel, tmp_path: Path) -> None:
    network.save(tmp_path / "network.npz")
    read = NetworkModel.load(tmp_path / "network.npz")
    for field in fields(network):
        assert np.array_equal(getattr(network, field.name), getattr(read, field.name)), field.name


def test_brette_networks_have_80_synapses_per_neuron() -> None:
    network = cuba(4000)
    n_expected = 4000 * 80
    assert abs(network.n_synapses - n_expected) < 5 * np.sqrt(n_expected)
    pairs = network.source.astype(np.int64) * 4000 + network.target
    assert np.unique(pairs).size == pairs.size  # each pair at most once
    assert network.is_inhibitory.sum() == 800


def test_microcircuit_has_the_published_number_of_synapses() -> None:
    network = microcircuit(0.1)
    assert network.n_neurons == pytest.approx(7717, abs=4)
    assert network.n_synapses == pytest.approx(0.2988e9 * 0.1**2, rel=1e-2)


def two_neurons(**changes: object) -> NetworkModel:
    """Neuron 0, driven over its threshold, excites neuron 1."""
    network = cuba(4000)
    empty = {name: np.zeros(2) for name in ("g_exc_init", "g_inh_init")}
    return replace(
        network, n_neurons=2, v_rest=-60.0, drive=np.array([200.0, 0.0]), v_init=np.array([-50.5, -60.0]),
        is_inhibitory=np.zeros(2, bool), population=np.zeros(2, np.int16), start=np.array([0, 1, 1]),
        target=np.array([1], np.int32), **empty, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_a_spike_moves_the_membrane_from_its_step_plus_the_delay(delay: int) -> None:
    # the kick is strong enough for neuron 1 to fire in the first step in which it acts
    network = two_neurons(weight=np.array([1e5, 0.0]), delay_steps=np.array([delay], np.int16))
    step, index = simulate(network, 10)
    assert step[index == 0][0] == 0
    assert step[index == 1][0] == delay


@pytest.mark.parametrize("held", [1, 3, 50])
def test_a_membrane_is_held_for_the_refractory_steps(held: int) -> None:
    network = two_neurons(weight=np.zeros(2), refractory_steps=held, v_reset=-50.5)
    step, index = simulate(network, 110)
    assert np.array_equal(step[index == 0], np.arange(0, 110, held + 1))


def test_statistics_by_hand() -> None:
    network = two_neurons()
    network = replace(network, population=np.array([0, 1], np.int16))
    spikes = (np.array([0, 10, 20, 40, 50]), np.array([0, 0, 0, 0, 1]))
    found = statistics(network, spikes, 1000)
    assert found["rates_hz"] == {"excitatory": 40.0, "inhibitory": 10.0}
    interval = np.array([10, 10, 20])
    assert found["cv"] == pytest.approx(interval.std() / interval.mean())
    assert found["n_spikes"] == 5
