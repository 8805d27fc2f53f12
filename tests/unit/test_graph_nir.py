"""NIR: what is read, written, asked for and refused (R45 to R51)."""

from __future__ import annotations

import builtins
import itertools
import re
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from neuro.errors import GraphError, MissingPackageError, ModelFileError
from neuro.graph import (
    IF,
    LI,
    LIF,
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool2d,
    Node,
    SumPool2d,
    TemporalAttention,
    clocked,
    continuous,
    read_nir,
    to_nir,
    write_nir,
)

ONE = np.ones(2)
SECONDS = {"dt_s": 0.001, "time_unit_s": 1.0}


def chain(*nodes: Node, dt_s: float = 0.001) -> Graph:
    names = [f"n{i}" for i in range(len(nodes))]
    return Graph(dict(zip(names, nodes, strict=True)), list(itertools.pairwise(names)), clocked(dt_s))


def nir_chain(*nodes: nir.NIRNode, size: tuple[int, ...] = (2,), **words: object) -> nir.NIRGraph:
    """Join NIR nodes n0, n1, ... between an Input 'in' and an Output 'out'."""
    named = {"in": nir.Input(input_type={"input": np.array(size)})}
    named |= {f"n{i}": node for i, node in enumerate(nodes)}
    named["out"] = nir.Output(output_type={"output": np.array([1])})
    return nir.NIRGraph(named, list(itertools.pairwise(named)), type_check=False, **words)


def lif(**changes: object) -> nir.LIF:
    values = {"tau": 0.01 * ONE, "r": ONE, "v_leak": 0 * ONE, "v_threshold": ONE}
    return nir.LIF(**{**values, **changes})


def cuba(**changes: object) -> nir.CubaLIF:
    values = {"tau_mem": 0.01 * ONE, "tau_syn": 0.005 * ONE, "r": ONE, "v_leak": 0 * ONE, "v_threshold": ONE}
    return nir.CubaLIF(**{**values, "w_in": 5 * ONE, **changes})


def conv(**changes: object) -> nir.Conv2d:
    values = {"input_shape": None, "weight": np.ones((2, 2, 3, 3)), "stride": 1, "padding": 0, "dilation": 1}
    return nir.Conv2d(**{**values, "groups": 1, "bias": np.zeros(2), **changes})


def everything() -> Graph:
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input((2, 9, 9), 3),
        "conv": Conv2d(
            rng.normal(size=(4, 1, 3, 3)), np.ones(4), stride=2, padding=1, dilation=(1, 2), groups=2
        ),
        "lif": LIF(0.0123, np.arange(1.0, 5).reshape(4, 1, 1), v_leak=0.1, v_reset=-0.1),
        "avg": AvgPool2d(2, 1),
        "sum": SumPool2d(2, padding=1),
        "flat": Flatten(),
        "a": Linear(rng.normal(size=(3, 24))),
        "b": Linear(rng.normal(size=(3, 24)), np.zeros(3)),
        "both": Add(),
        "cuba": CubaLIF(0.02, 0.0051, np.array([1.0, 2.0, 3.0]), update="exponential"),
        "late": Delay(0.003),
        "if": IF(0.7),
        "last": Add(),
    }
    edges = [
        *itertools.pairwise(list(nodes)[:7]),
        ("flat", "b"),
        ("b", "both"),
        ("a", "both"),
        ("both", "cuba"),
        ("cuba", "late"),
        ("cuba", "if"),
        ("late", "last"),
        ("if", "last"),
    ]
    return Graph(nodes, edges, clocked(0.001), metadata={"seed": 3, "rate": 0.5, "name": "x"})


def test_round_trip_in_memory_and_file(tmp_path: Path) -> None:
    graph = everything()
    assert read_nir(to_nir(graph)) == graph
    write_nir(graph, tmp_path / "g.nir")
    again = read_nir(tmp_path / "g.nir")
    assert again == graph
    assert dict(again.metadata) == {"seed": 3, "rate": 0.5, "name": "x"}


def test_the_package_reads_our_files(tmp_path: Path) -> None:
    conv = Conv2d(np.ones((3, 2, 3, 3)), padding=1)
    fc = Linear(np.ones((2, 27)))
    graph = chain(Input((2, 6, 6)), conv, LIF(0.01), SumPool2d(2), Flatten(), fc, LI(0.1))
    write_nir(graph, tmp_path / "g.nir")
    theirs = nir.read(tmp_path / "g.nir")
    assert set(theirs.nodes) == {*graph.nodes, "output"}
    assert theirs.nodes["n2"].tau.shape == (3, 6, 6)
    assert theirs.metadata["time_unit_s"] == 1.0
    assert theirs.metadata["dt_s"] == 0.001


def test_several_sinks_and_shared_sums() -> None:
    nodes = {"in": Input(2), "a": IF(), "b": IF(), "s": Add(), "x": IF(), "y": Add(), "output": IF()}
    edges = [
        ("in", "a"),
        ("in", "b"),
        ("a", "s"),
        ("b", "s"),
        ("s", "x"),
        ("s", "y"),
        ("x", "y"),
        ("b", "output"),
    ]
    graph = Graph(nodes, edges, clocked(0.001))
    assert graph.output_names == ("output", "y")
    written = to_nir(graph)
    assert isinstance(written.nodes["s"], nir.Scale)
    assert "y" not in written.nodes
    assert read_nir(written) == graph


def test_units_are_asked_for(tmp_path: Path) -> None:
    graph = nir_chain(lif(tau=10 * ONE))
    with pytest.raises(GraphError, match=re.escape("does not say its unit of time; pass time_unit_s=1.0")):
        read_nir(graph, dt_s=0.001)
    with pytest.raises(GraphError, match="does not say its time step; pass dt_s"):
        read_nir(graph, time_unit_s=1e-3)
    assert read_nir(graph, dt_s=0.001, time_unit_s=1e-3).nodes["n0"] == LIF(0.01)
    with pytest.raises(GraphError, match=re.escape("time_unit_s must be > 0, got 0.0")):
        read_nir(graph, dt_s=0.001, time_unit_s=0)
    ours = to_nir(chain(Input(2), LIF(0.01)))
    with pytest.raises(GraphError, match=re.escape("the file says time_unit_s = 1.0, got 0.001")):
        read_nir(ours, time_unit_s=1e-3)
    assert read_nir(ours, dt_s=0.002, time_unit_s=1.0).dt_s == 0.002
    nir.write(tmp_path / "g.nir", graph)
    with pytest.raises(GraphError, match=r"g\.nir: NIR: the file does not say its unit of time"):
        read_nir(tmp_path / "g.nir", dt_s=0.001)


def test_update_is_chosen_where_the_file_is_silent() -> None:
    assert read_nir(nir_chain(lif()), **SECONDS, update="exponential").nodes["n0"].update == "exponential"
    ours = to_nir(chain(Input(2), LIF(0.01)))
    assert read_nir(ours, update="exponential").nodes["n1"].update == "euler"
    with pytest.raises(GraphError, match="update must be 'euler' or 'exponential', got 'decay'"):
        read_nir(nir_chain(lif()), **SECONDS, update="decay")


def test_parameters_take_their_shortest_form() -> None:
    ramp = np.broadcast_to(np.arange(1.0, 3)[:, None, None], (2, 4, 4))
    shape = {"r": np.ones((2, 4, 4)), "v_leak": np.zeros((2, 4, 4)), "v_threshold": ramp, "tau": ramp}
    node = read_nir(nir_chain(nir.LIF(**shape), size=(2, 4, 4)), **SECONDS).nodes["n0"]
    assert node == LIF(np.array([1.0, 2.0]).reshape(2, 1, 1), np.array([1.0, 2.0]).reshape(2, 1, 1))
    scalar = nir.LIF(tau=np.array(0.01), r=np.array(1.0), v_leak=np.array(0.0), v_threshold=np.array(1.0))
    assert read_nir(nir_chain(scalar), **SECONDS).nodes["n0"] == LIF(0.01)


def test_paddings_in_words() -> None:
    same = read_nir(nir_chain(conv(padding="same", dilation=(2, 1)), size=(2, 5, 5)), **SECONDS)
    assert same.nodes["n0"].padding == (2, 1)
    assert same.shapes["n0"] == (2, 5, 5)
    assert read_nir(nir_chain(conv(padding="valid"), size=(2, 5, 5)), **SECONDS).nodes["n0"].padding == (0, 0)
    for changes in ({"weight": np.ones((2, 2, 2, 2))}, {"stride": 2}):
        with pytest.raises(GraphError, match="here padding is symmetric"):
            read_nir(nir_chain(conv(padding="same", **changes), size=(2, 5, 5)), **SECONDS)


def test_string_padding_survives_a_file(tmp_path: Path) -> None:
    nir.write(tmp_path / "g.nir", nir_chain(conv(padding="same", input_shape=(5, 5)), size=(2, 5, 5)))
    assert read_nir(tmp_path / "g.nir", **SECONDS).nodes["n0"].padding == (1, 1)


def test_zero_bias_of_a_convolution_is_none() -> None:
    assert read_nir(nir_chain(conv(), size=(2, 5, 5)), **SECONDS).nodes["n0"].bias is None
    assert read_nir(nir_chain(conv(bias=np.ones(2)), size=(2, 5, 5)), **SECONDS).nodes[
        "n0"
    ].bias.tolist() == [1, 1]


def test_gains_are_folded_only_when_asked() -> None:
    weight, bias = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0])
    graph = nir_chain(nir.Affine(weight, bias), lif(r=np.array([2.0, 4.0])))
    with pytest.raises(GraphError, match=re.escape("NIR LIF 'n1': its input has the gain 2 (r, or w_in")):
        read_nir(graph, **SECONDS)
    folded = read_nir(graph, **SECONDS, fold=True)
    assert folded.nodes["n0"] == Linear([[2.0, 4.0], [12.0, 16.0]], [2.0, -4.0])
    with pytest.raises(GraphError, match="can be folded only into a Linear or Conv2d directly before it"):
        read_nir(nir_chain(lif(r=2 * ONE)), **SECONDS, fold=True)


def test_gain_of_a_shared_weight_is_refused() -> None:
    graph = nir_chain(nir.Linear(np.eye(2)), lif(r=2 * ONE))
    graph.nodes["other"] = lif()
    graph.nodes["out2"] = nir.Output(output_type={"output": np.array([2])})
    graph.edges += [("n0", "other"), ("other", "out2")]
    with pytest.raises(GraphError, match=re.escape("cannot be folded into 'n0', which also feeds ['other']")):
        read_nir(graph, **SECONDS, fold=True)


def test_synaptic_gain() -> None:
    """R46: with the input held for a step, w_in = tau_syn / dt adds the input itself."""
    assert read_nir(nir_chain(cuba()), **SECONDS).nodes["n0"] == CubaLIF(0.01, 0.005)
    assert to_nir(chain(Input(2), CubaLIF(0.01, 0.005))).nodes["n1"].w_in.tolist() == [5.0, 5.0]
    exponential = to_nir(chain(Input(2), CubaLIF(0.01, 0.005, update="exponential"))).nodes["n1"]
    assert np.allclose(exponential.w_in, 1 / (1 - np.exp(-0.2)), rtol=1e-12)
    with pytest.raises(GraphError, match=re.escape("has the gain 0.2")):
        read_nir(nir_chain(cuba(w_in=ONE)), **SECONDS)
    folded = read_nir(nir_chain(nir.Linear(np.eye(2)), cuba(w_in=ONE)), **SECONDS, fold=True)
    assert folded.nodes["n0"] == Linear(0.2 * np.eye(2))


def test_scale_is_folded_to_either_side() -> None:
    scale = nir.Scale(np.array([2.0, 3.0]))
    with pytest.raises(GraphError, match="NIR Scale 'n1': has no node here; pass fold=True"):
        read_nir(nir_chain(nir.Linear(np.ones((2, 2))), scale), **SECONDS)
    behind = read_nir(nir_chain(nir.Linear(np.ones((2, 2))), scale), **SECONDS, fold=True)
    assert behind.nodes["n0"] == Linear([[2.0, 2.0], [3.0, 3.0]])
    before = read_nir(nir_chain(scale, nir.Linear(np.ones((2, 2)))), **SECONDS, fold=True)
    assert before.nodes["n1"] == Linear([[2.0, 3.0], [2.0, 3.0]])
    assert before.order == ("in", "n1")
    image = np.broadcast_to(np.array([2.0, 3.0])[:, None, None], (2, 5, 5))
    folded = read_nir(nir_chain(nir.Scale(image), conv(), size=(2, 5, 5)), **SECONDS, fold=True)
    assert folded.nodes["n1"].weight[0, :, 0, 0].tolist() == [2, 3]
    uneven = nir.Scale(np.arange(50.0).reshape(2, 5, 5))
    with pytest.raises(GraphError, match="differs within a channel cannot be folded"):
        read_nir(nir_chain(uneven, conv(), size=(2, 5, 5)), **SECONDS, fold=True)
    assert read_nir(nir_chain(nir.Scale(ONE), lif()), **SECONDS).order == ("in", "n1")


def test_edges_that_meet_are_a_sum() -> None:
    graph = nir_chain(lif(), lif())
    graph.edges.append(("in", "n1"))
    read = read_nir(graph, **SECONDS)
    assert read.nodes["n1_sum"] == Add()
    assert read.predecessors("n1_sum") == ("n0", "in")


def test_nested_graphs_are_flattened() -> None:
    inner = nir_chain(nir.Linear(np.eye(2)), lif())
    read = read_nir(nir_chain(inner, lif()), **SECONDS)
    assert read.order == ("in", "n0.n0", "n0.n1", "n1")
    hollow = nir_chain()
    with pytest.raises(GraphError, match="hands its input through"):
        read_nir(nir_chain(hollow, lif()), **SECONDS)
    inner.nodes["out2"] = nir.Output(output_type={"output": np.array([2])})
    with pytest.raises(GraphError, match="'n0' must have one Input and one Output to be flattened"):
        read_nir(nir_chain(inner, lif()), **SECONDS)


def test_a_batch_axis_is_left_out() -> None:
    assert read_nir(nir_chain(lif(), size=(1, 2)), **SECONDS).shapes["in"] == (2,)
    assert read_nir(nir_chain(conv(), size=(1, 2, 5, 5)), **SECONDS).shapes["n0"] == (2, 3, 3)
    with pytest.raises(GraphError, match=re.escape("NIR Input 'in': Input: shape must be")):
        read_nir(nir_chain(lif(), size=(3, 2)), **SECONDS)


def tapped() -> nir.NIRGraph:
    graph = nir_chain(lif(), lif())
    graph.nodes["tap"] = nir.Output(output_type={"output": np.array([2])})
    graph.edges.append(("n0", "tap"))
    return graph


UNREADABLE = [
    (lambda: nir_chain(nir.I(r=ONE)), "NIR I 'n0': has no counterpart here; known are Input, Output"),
    (lambda: nir_chain(nir.Threshold(threshold=ONE)), "NIR Threshold 'n0': has no counterpart here"),
    (
        lambda: nir_chain(lif(tau=np.array([0.1, -0.1]))),
        "NIR LIF 'n0': LIF: tau_mem_s must be > 0 s, got tau_mem_s[1]",
    ),
    (
        lambda: nir_chain(nir.Linear(np.full((1, 2), np.nan))),
        "NIR Linear 'n0': Linear: weight must be finite",
    ),
    (lambda: nir_chain(nir.Linear(np.ones((2, 2, 2)))), "NIR Linear 'n0': Linear: weight must have 2 axes"),
    (
        lambda: nir_chain(nir.Delay(np.array([0.001, 0.002]))),
        "one delay for all its elements is needed, got several",
    ),
    (lambda: nir_chain(lif(r=np.array([1.0, np.inf]))), "NIR LIF 'n0': r and w_in must be finite"),
    (
        lambda: nir_chain(conv(stride=np.array([1.5, 1])), size=(2, 5, 5)),
        "one or two whole numbers are needed",
    ),
    (tapped, "NIR: Output 'tap' taps 'n0', which also feeds other nodes"),
    (
        lambda: nir_chain(
            nir.Flatten(input_type={"input": np.array([2, 5, 5])}, start_dim=2), size=(2, 5, 5)
        ),
        "Flatten must join all axes, got start_dim = 2, end_dim = -1",
    ),
    (lambda: nir_chain(nir.Linear(np.eye(3))), "Linear 'n0': weight (3, 3) needs 3 inputs, got 2"),
]


@pytest.mark.parametrize(("make", "message"), UNREADABLE, ids=[message for _, message in UNREADABLE])
def test_what_we_cannot_say_is_refused(make, message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        read_nir(make(), **SECONDS)


IMAGE = Input((2, 4, 4))
ATTENTION = TemporalAttention(np.ones((1, 3)), [0.0], np.ones((3, 1)), np.zeros(3), 0.5)
UNWRITABLE = [
    (lambda: chain(Input(2), IF(reset="subtract")), "IF 'n1': NIR cannot say reset='subtract'"),
    (lambda: chain(Input(2), LIF(0.1, reset="clamp")), "LIF 'n1': NIR cannot say reset='clamp'"),
    (
        lambda: chain(Input(2), CubaLIF(0.1, 0.1, comparison=">=")),
        "CubaLIF 'n1': NIR cannot say comparison='>='",
    ),
    (lambda: chain(Input(2), LIF(0.1, update="decay")), "LIF 'n1': NIR cannot say update='decay'"),
    (lambda: chain(Input(2), LI(0.1, update="decay")), "LI 'n1': NIR cannot say update='decay'"),
    (lambda: chain(IMAGE, MaxPool2d(2)), "MaxPool2d 'n1': NIR cannot say maximum pooling; use SumPool2d"),
    (lambda: chain(Input(2), ATTENTION), "TemporalAttention 'n1': NIR cannot say temporal attention"),
    (
        lambda: Graph(
            {"in": Input(2), "a": IF(), "j": Concat()}, [("in", "a"), ("in", "j"), ("a", "j")], clocked(1)
        ),
        "Concat 'j': NIR cannot say Concat",
    ),
    (lambda: Graph({"in": Input(2)}, [], continuous()), "only a clocked graph can be written as NIR"),
]


@pytest.mark.parametrize(("make", "message"), UNWRITABLE, ids=[message for _, message in UNWRITABLE])
def test_what_nir_cannot_say_is_refused(make, message: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        write_nir(make(), tmp_path / "g.nir")
    assert not list(tmp_path.iterdir())


def test_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"g\.nir: does not exist, expected a NIR file"):
        read_nir(tmp_path / "g.nir", **SECONDS)
    (tmp_path / "g.nir").write_text("hello")
    with pytest.raises(ModelFileError, match=r"g\.nir: is no NIR file that nir .* can read"):
        read_nir(tmp_path / "g.nir", **SECONDS)
    with h5py.File(tmp_path / "g.nir", "w") as file:
        file["data"] = 3
    with pytest.raises(ModelFileError, match=r"g\.nir: is no NIR file that nir .* can read"):
        read_nir(tmp_path / "g.nir", **SECONDS)
    nir.write(tmp_path / "g.nir", lif())
    with pytest.raises(ModelFileError, match=r"g\.nir: is no NIR file that nir .* can read"):
        read_nir(tmp_path / "g.nir", **SECONDS)
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_nir(chain(Input(2), IF()), tmp_path / "missing" / "g.nir")


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_nir(name: str, *args, **kwargs):
        if name == "nir":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_nir)
    with pytest.raises(MissingPackageError, match=r"pip install 'nir>=1\.0\.6'"):
        to_nir(chain(Input(2), IF()))
