"""The refractory period of neurons: its checks, its place in digests and files, its meaning (R120 to R122)."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import neuro
from neuro import reference
from neuro.errors import GraphError
from neuro.graph import IF, LIF, CubaLIF, Graph, Input, Linear, Node, clocked, continuous, to_nir

ROOT = Path(__file__).resolve().parents[2]


def chain(neuron: Node, *, dt_s: float | None = 0.001) -> Graph:
    nodes = {"in": Input(1), "fc": Linear([[1.0]]), "out": neuron}
    execution = continuous() if dt_s is None else clocked(dt_s)
    return Graph(nodes, [("in", "fc"), ("fc", "out")], execution)


@pytest.mark.parametrize("neuron", [IF(0.5), LIF(0.01), CubaLIF(0.01, 0.005)], ids=lambda n: type(n).__name__)
def test_a_bad_period_is_refused(neuron: Node) -> None:
    values = neuron.content()
    owner = type(neuron).__name__
    for wrong, found in ((-0.001, "got -0.001"), (np.nan, "finite in float32, got nan"), ("1", "got '1'")):
        with pytest.raises(GraphError, match=f"{owner}: refractory_s must be .*{re.escape(found)}"):
            type(neuron)(**values, refractory_s=wrong)
    with pytest.raises(GraphError, match=f"{owner} 'out': refractory_s must be a multiple of dt_s"):
        chain(type(neuron)(**values, refractory_s=0.0015))
    assert chain(type(neuron)(**values, refractory_s=0.003)).nodes["out"].refractory_s == 0.003


def test_without_a_period_digests_are_what_they_were() -> None:
    assert IF(1.0).digest[:16] == "7f5d0ce50cd3acc3"
    assert LIF(0.01).digest[:16] == "01384c1884600041"
    assert CubaLIF(0.01, 0.005).digest[:16] == "6fb33d0a70455c4a"
    assert Graph.load(ROOT / "spikeloom" / "models" / "digits.h5").digest[:16] == "9ee642be9c9bafd8"


def test_a_period_is_part_of_the_content(tmp_path: Path) -> None:
    plain, held = LIF(0.01), LIF(0.01, refractory_s=0.002)
    assert plain != held
    assert "refractory_s" not in repr(plain)
    assert "refractory_s=0.002" in repr(held)
    assert pickle.loads(pickle.dumps(held)) == held
    chain(held).save(tmp_path / "held.h5")
    assert Graph.load(tmp_path / "held.h5") == chain(held)


def test_the_reference_holds_the_membrane() -> None:
    graph = chain(IF(0.5, refractory_s=0.002))
    result = reference.evaluate(graph, np.ones((8, 1)))
    assert result.outputs["out"][:, 0].tolist() == [1, 0, 0, 1, 0, 0, 1, 0]
    assert not result.membranes["out"].any()
    weak = reference.evaluate(graph, np.array([[1], [0.3], [0.3], [0.3], [0.3]]))
    assert weak.membranes["out"][:, 0].tolist() == [0, 0, 0, np.float32(0.3), 0]
    first = reference.evaluate(graph, np.ones((2, 1)))
    rest = reference.evaluate(graph, np.ones((6, 1)), state=first.state)
    assert rest.outputs["out"].tolist() == result.outputs["out"][2:].tolist()


def test_a_held_current_goes_on() -> None:
    """The current of a CubaLIF takes its input and decays while the membrane is held."""
    free = CubaLIF(0.004, 0.002, 10.0)
    frames = np.array([[8.0], [0.0], [4.0], [0.0], [0.0]])
    held = CubaLIF(0.004, 0.002, 1.0, refractory_s=0.003)
    result = reference.evaluate(chain(held), frames)
    expected = reference.evaluate(chain(free), frames)
    assert result.outputs["out"][:, 0].tolist() == [1, 0, 0, 0, 0]
    assert result.state.currents["out"].tolist() == expected.state.currents["out"].tolist()
    assert result.membranes["out"][:4].tolist() == [[0]] * 4
    assert result.membranes["out"][4, 0] > 0


def test_nir_cannot_say_it() -> None:
    held = LIF(0.01, refractory_s=0.002)
    with pytest.raises(GraphError, match=r"LIF 'out': NIR cannot say refractory_s=0.002; set it to 0"):
        to_nir(chain(held))


def test_a_dense_layer_with_a_period_runs_as_the_reference() -> None:
    """A Linear before a LIF is a network of populations: the engine holds the membranes."""
    frames = np.random.default_rng(0).random((60, 1)).astype(np.float32)
    graph = chain(LIF(0.01, 0.2, refractory_s=0.002))
    result = neuro.simulate(graph, frames)
    assert result.output.tolist() == reference.evaluate(graph, frames).outputs["out"].tolist()
    assert result.output.sum() > 5
