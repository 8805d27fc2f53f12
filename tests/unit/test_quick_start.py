"""A new process calls or reads its kernels from disk without numba's compiler, and can compile afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from llvmlite import binding

from neuro.kernels.network_tables import common_weights, count_pending
from neuro.kernels.options import _QUICK_VERSIONS
from neuro.lowering.entries import Entry
from neuro.lowering.machine_code import image_of, is_supported, load

ROOT = Path(__file__).resolve().parents[2]
COMPILER = "numba.np.linalg"  # one of the modules that only compiling needs
LAYERS = f"""
import sys
import numpy as np
from neuro import Graph, graph, simulate
network = Graph(
    {{"in": graph.Input(3), "fc": graph.Linear([[1.0, 0.0, 0.5]]), "out": graph.IF(1.0)}},
    [("in", "fc"), ("fc", "out")],
    graph.clocked(0.001),
)
spikes = simulate(network, np.ones((5, 3)) * 2).output.tolist()
print(spikes, {COMPILER!r} in sys.modules, "h5py" in sys.modules)
"""
# Poisson input, few delays, many and none, plasticity, two stages, recordings, state: every kernel of populations
NETWORK = """
import hashlib, sys
import numpy as np
from neuro import Graph, graph, simulate
from neuro.lowering import networks
networks.LEAST_NS = 1.0  # so that a small network takes two threads
rng = np.random.default_rng(1)
def synapses(n_out, n_in, delay_s, **more):
    dense = np.where(rng.random((n_out, n_in)) < 0.3, rng.random((n_out, n_in)), 0)
    return graph.SparseLinear.from_dense(dense, delay_s=delay_s, **more)
some = synapses(300, 300, 0.001)
delay_s = 0.001 * rng.integers(1, 5, some.n_synapses)
varied = graph.SparseLinear(some.weight, some.indices, some.indptr, 300, delay_s=delay_s)
rule = graph.Stdp(0.02, 0.02, 0.01, 0.012, 1.0)
network = Graph(
    {
        "noise": graph.PoissonSource(200.0, 300, seed=3, weight=2.0),
        "a": graph.CubaLIF(0.02, 0.005, 1.0, update="exact", refractory_s=0.003),
        "b": graph.LIF(0.02, 1.0),
        "now": synapses(300, 300, 0.0),
        "back": varied,
        "plastic": synapses(300, 300, 0.002, stdp=rule),
    },
    [("noise", "a"), ("a", "now"), ("now", "b"), ("b", "back"), ("back", "a"), ("a", "plastic"), ("plastic", "a")],
    graph.clocked(0.001),
)
delay_s = 0.001 * rng.integers(1, 70, some.n_synapses)
far = graph.SparseLinear(some.weight, some.indices, some.indptr, 300, delay_s=delay_s)
scattered = Graph(
    {"a": graph.LIF(0.02, 1.0, v_leak=np.linspace(0.9, 1.5, 300)), "far": far}, [("a", "far"), ("far", "a")],
    graph.clocked(0.001),
)
digest = hashlib.sha256()
for precision in ("float32", "float64"):
    for n_threads in (1, 2):
        first = simulate(network, n_steps=60, precision=precision, record={"a": ("spikes", "membrane"), "b": "spikes"})
        last = simulate(network, n_steps=40, precision=precision, state=first.state, n_threads=n_threads)
        for array in (first.spikes["a"].index, first.spikes["b"].step, first.membranes["a"], last.weights["plastic"]):
            digest.update(array.tobytes())
        digest.update(repr(last.counters).encode())
        ring = simulate(scattered, n_steps=60, precision=precision, n_threads=n_threads)
        rest = simulate(scattered, n_steps=60, precision=precision, n_threads=n_threads, state=ring.state)
        digest.update(repr((ring.counters, rest.counters)).encode())
assert networks.lower_network(scattered, "float32", 1).network.delay.size
assert len(first.spikes["b"])
print(digest.hexdigest(), "numba" in sys.modules, "llvmlite" in sys.modules)
"""
COMPILE = """
import numba
print(numba.njit(lambda values: np.dot(values, values) + len(str(values.size)))(np.arange(3.0)))
"""
needs_known_numba = pytest.mark.skipif(
    numba.version_info.short not in _QUICK_VERSIONS, reason="kernels are read as numba does it"
)
needs_images = pytest.mark.skipif(not is_supported(), reason="machine code is kept on Linux on x86-64 only")


def _printed(program: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


@needs_known_numba
def test_cached_kernels_are_read_without_the_compiler() -> None:
    first, second = _printed(LAYERS)[0], _printed(LAYERS)[0]
    assert second.endswith("False False")
    assert first.split("]]")[0] == second.split("]]")[0]
    assert "1.0" in second


@needs_known_numba
@needs_images
def test_a_network_runs_without_numba_and_gives_the_same_bits() -> None:
    by_numba = _printed(NETWORK, NUMBA_OPT="3")[
        0
    ].split()  # a setting of numba: nothing is kept or looked for
    kept, quick = _printed(NETWORK)[0].split(), _printed(NETWORK)[0].split()
    assert by_numba[0] == kept[0] == quick[0]
    assert by_numba[1:] == ["True", "True"]
    assert quick[1:] == ["False", "False"]


@needs_known_numba
@needs_images
@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_file_is_not_run_but_written_anew(tmp_path: Path, damage: str) -> None:
    for folder in Path(os.environ["NUMBA_CACHE_DIR"]).iterdir():
        if folder.name != "spikeloom":  # what numba keeps is shared, ours is not: other tests run meanwhile
            (tmp_path / folder.name).symlink_to(folder.absolute())
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    expected = _printed(NETWORK, **cache)[0].split()[0]
    [path] = (tmp_path / "spikeloom").glob("count_synapses-*.code")
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-7], "changed": whole[:-7] + b"\xcc" * 7, "empty": b""}[damage])
    assert _printed(NETWORK, **cache)[0].split()[:2] == [expected, "True"]
    assert path.read_bytes() == whole
    assert _printed(NETWORK, **cache)[0].split()[:2] == [expected, "False"]


@needs_known_numba
def test_an_entry_gives_what_its_kernel_gives() -> None:
    rng = np.random.default_rng(0)
    indices, delay = rng.integers(0, 4, 7).astype(np.int32), rng.integers(0, 3, 7).astype(np.int32)
    row, under_way = np.arange(0, 12, 3, dtype=np.uint32), rng.integers(1, 9, 12).astype(np.int32)
    expected = int(under_way[row[indices] + delay].sum())
    entry = Entry("network_tables", "count_pending")
    assert count_pending(indices, delay, row, under_way) == expected
    found = [entry(indices, delay, row, under_way) for _ in range(3)]
    assert found == [expected] * 3
    common = Entry("network_tables", "common_weights")
    for weight in (np.ones(4), np.arange(4.0)):
        runs, mine, theirs = np.array([0, 2, 4], np.uint32), np.zeros(2), np.zeros(2)
        assert common(runs, weight, mine) is bool(common_weights(runs, weight, theirs))
        assert (mine == theirs).all()


@needs_known_numba
def test_an_entry_leaves_strided_arrays_to_numba() -> None:
    indices, delay = np.array([1, 9, 0, 9], np.int32)[::2], np.array([1, 9, 2, 9], np.int32)[::2]
    under_way, row = np.arange(6, dtype=np.int32), np.array([0, 3], np.uint32)
    entry = Entry("network_tables", "count_pending")
    assert entry(indices, delay, row, under_way) == 4 + 2


def _object(text: str) -> bytes:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    machine = target.create_target_machine(reloc="static", codemodel="large")
    return bytes(machine.emit_object(binding.parse_assembly(text)))


@needs_images
def test_an_image_holds_constants_and_calls() -> None:
    import ctypes

    image = image_of(
        _object(
            "@table = internal constant [2 x i64] [i64 5, i64 7]\n"
            "declare i64 @labs(i64)\n"
            "define i64 @f(i64 %k) nounwind {\n"
            "%at = getelementptr [2 x i64], [2 x i64]* @table, i64 0, i64 %k\n%x = load volatile i64, i64* %at\n"
            "%y = sub i64 0, %x\n%z = call i64 @labs(i64 %y)\nret i64 %z\n}\n"
        ),
        "f",
    )
    assert image is not None
    assert [name for _, name in image.needs] == ["labs"]
    assert image.addresses
    found = load(image)
    assert found is not None
    assert [ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(found[0])(k) for k in (0, 1)] == [5, 7]


@needs_images
def test_what_an_image_cannot_hold_has_none() -> None:
    changing = (
        "@count = global i64 1\ndefine i64 @f() nounwind {\n%x = load i64, i64* @count\nret i64 %x\n}\n"
    )
    plain = "define i64 @f() nounwind {\nret i64 1\n}\n"
    assert image_of(_object(changing), "f") is None
    assert image_of(_object(plain), "g") is None
    assert image_of(b"\xcf\xfa\xed\xfe" + bytes(100), "f") is None
    unknown = "define i64 @f() nounwind {\n%x = call i64 @no_such_function()\nret i64 %x\n}\n"
    image = image_of(_object("declare i64 @no_such_function()\n" + unknown), "f")
    assert image is not None
    assert load(image) is None


def test_what_is_compiled_afterwards_is_compiled_as_always() -> None:
    assert _printed(LAYERS + COMPILE)[1] == "6.0"
