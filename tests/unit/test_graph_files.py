"""Files: all or nothing, refused when foreign, damaged or newer (R41 to R44)."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuro.errors import ModelFileError, NeuroError
from neuro.graph import (
    IF,
    LIF,
    Conv2d,
    Flatten,
    Graph,
    Input,
    Linear,
    clocked,
    continuous,
    opened_file,
    read_graph,
    replaced_file,
    write_graph,
)


def network() -> Graph:
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input((2, 6, 6), 7),
        "conv": Conv2d(rng.normal(size=(4, 2, 3, 3)), padding=1),
        "lif.1 é": LIF(0.1, np.ones((4, 1, 1)), reset="subtract", comparison=">="),
        "flat": Flatten(),
        "fc": Linear(rng.normal(size=(3, 144)), np.zeros(3)),
        "out": IF(0.1),
    }
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    return Graph(nodes, edges, clocked(0.1), metadata={"dataset": "digits", "seed": 3, "rate": 0.1})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    network().save(path)
    return path


def test_round_trip(path: Path) -> None:
    graph = Graph.load(path)
    assert graph == network()
    assert list(graph.nodes) == list(network().nodes)
    assert graph.edges == network().edges
    assert dict(graph.metadata) == {"dataset": "digits", "seed": 3, "rate": 0.1}


def test_same_graph_same_bytes(path: Path, tmp_path: Path) -> None:
    network().save(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_grid_and_continuous(tmp_path: Path) -> None:
    for graph in (
        Graph(
            {"in": Input(2, 1), "fc": Linear([[0.5, 0.25]])}, [("in", "fc")], continuous(), weight_grid=0.25
        ),
        Graph({"in": Input(2)}, [], continuous()),
    ):
        graph.save(tmp_path / "g.h5")
        assert Graph.load(tmp_path / "g.h5") == graph


def test_graph_inside_a_model_file(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with replaced_file(path) as file:
        write_graph(file.create_group("graph"), network())
        file.create_group("recognizer").attrs["width"] = 34
    assert Graph.load(path) == network()
    with opened_file(path) as file:
        assert file["recognizer"].attrs["width"] == 34
        assert read_graph(file["graph"]) == network()


def test_plain_hdf5_is_read_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        write_graph(file.create_group("graph"), network())
    assert Graph.load(tmp_path / "plain.h5") == network()


def test_group_must_be_empty(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file.create_group("graph/x")
        with pytest.raises(
            ModelFileError, match=re.escape("plain.h5 /graph: must be an empty group, it holds ['x']")
        ):
            write_graph(file["graph"], network())


def test_interrupted_writing_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()

    def interrupted() -> None:
        with replaced_file(path) as file:
            file.create_group("graph")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["model.h5"]


def test_permissions_follow_the_umask(path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"missing/m\.h5: cannot be written \(No such file or directory\)"
    ):
        network().save(tmp_path / "missing" / "m.h5")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelFileError, match=r"folder: cannot be written \(Is a directory\)"):
        network().save(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"m\.h5: does not exist, expected a model file"):
        Graph.load(tmp_path / "m.h5")
    with pytest.raises(ModelFileError, match="is a folder, expected a model file"):
        Graph.load(tmp_path)
    for content in (b"", b"hello", b"\x89HDF\r\n\x1a\n", b"spikeloom model file 1\nsha256 ", bytes(4096)):
        (tmp_path / "m.h5").write_bytes(content)
        with pytest.raises(ModelFileError, match=r"m\.h5: is no readable HDF5 file, expected a model file"):
            Graph.load(tmp_path / "m.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = 3
    with pytest.raises(ModelFileError, match=re.escape("has no group '/graph', got ['data']")):
        Graph.load(tmp_path / "other.h5")


def test_every_truncation_and_flip_is_noticed(path: Path) -> None:
    """R42: whatever was changed, the file is named and refused."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in [*rng.integers(0, len(content), 12).tolist(), 0, 30, 90, 511, 512, len(content) - 1]:
        flipped = bytearray(content)
        flipped[position] ^= 1 << int(rng.integers(8))
        for damaged in (content[:position], bytes(flipped)):
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError, match=r"model\.h5"):
                Graph.load(path)


def edited(tmp_path: Path, change) -> Path:
    """Write a plain HDF5 file (no checksum) and change it, as a careless or hostile program would."""
    path = tmp_path / "edited.h5"
    with h5py.File(path, "w") as file:
        write_graph(file.create_group("graph"), network())
        change(file["graph"])
    return path


def replace(name: str, data: object):
    def change(group: h5py.Group) -> None:
        del group[name]
        if data is not None:
            group[name] = data

    return change


def header(**changes: object):
    def change(group: h5py.Group) -> None:
        content = json.loads(group["header"][()].tobytes()) | changes
        del group["header"]
        group["header"] = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)

    return change


def values(text: str):
    return replace("nodes/out/values", np.frombuffer(text.encode(), dtype=np.uint8))


def link(group: h5py.Group) -> None:
    del group["nodes/fc/weight"]
    group["nodes/fc/weight"] = h5py.ExternalLink("elsewhere.h5", "/weight")


def external(group: h5py.Group) -> None:
    del group["nodes/fc/weight"]
    group["nodes/fc"].create_dataset("weight", (3, 144), "<f4", external=[("/etc/hostname", 0, 1728)])


def huge(group: h5py.Group) -> None:
    del group["nodes/fc/weight"]
    group["nodes/fc"].create_dataset("weight", (2**20, 2**20), "<f4", chunks=(1024, 1024))


def nested_group(group: h5py.Group) -> None:
    group["nodes/fc"].create_group("extra")


CHANGES = [
    (lambda g: g.attrs.__setitem__("format", "other"), "format must be 'neuro.graph', got 'other'"),
    (lambda g: g.attrs.__delitem__("format"), "format must be 'neuro.graph', got None"),
    (
        lambda g: g.attrs.__setitem__("version", 2),
        "neuro.graph version 2 is newer than 1, the newest this program reads",
    ),
    (lambda g: g.attrs.__setitem__("version", 0), "version must be a whole number >= 1, got"),
    (lambda g: g.attrs.__setitem__("version", "x"), "version must be a whole number >= 1, got 'x'"),
    (lambda g: g.attrs.__setitem__("digest", "0"), "a value differs from what was saved (digest)"),
    (replace("header", None), "'header' is missing or a link"),
    (replace("header", np.frombuffer(b"{", dtype=np.uint8)), "'header' is damaged"),
    (replace("header", np.frombuffer(b"[" * 100_000, dtype=np.uint8)), "'header' is damaged"),
    (replace("header", np.frombuffer(b"[1]", dtype=np.uint8)), "'header' must be an object, got list"),
    (replace("header", 3.0), "'header' must be a list of bytes"),
    (replace("nodes", None), "'nodes' is missing or a link"),
    (replace("nodes", 3.0), "'nodes' must be a group"),
    (replace("nodes/fc", 3.0), "node 'fc' must be a group"),
    (header(edges=3), "edges must be a list"),
    (header(edges=[["in"]]), "an edge must be two names, got ['in']"),
    (header(edges=[["in", "nowhere"]]), "names 'nowhere', which is not among the nodes"),
    (header(execution="fast"), "execution must be 'clocked' or 'continuous', got 'fast'"),
    (header(dt_s=None), "Clocked: dt_s must be a number, got None"),
    (header(weight_grid=0.3), "weight_grid must be a power of two, got 0.3"),
    (header(metadata=[]), "metadata must be an object"),
    (header(metadata={"a": {}}), "metadata 'a' must be text or a number"),
    (lambda g: g["nodes/fc"].attrs.__setitem__("type", "Graph"), "node 'fc' has the unknown type 'Graph'"),
    (lambda g: g["nodes/fc"].attrs.__setitem__("type", 3), "node 'fc' has the unknown type None"),
    (
        lambda g: g["nodes/fc"].attrs.__setitem__("type", "LIF"),
        "unknown values ['bias', 'weight'] and lacks ['tau_mem_s']",
    ),
    (
        replace("nodes/fc/weight", np.full((3, 144), np.nan, np.float32)),
        "node 'fc': Linear: weight must be finite",
    ),
    (replace("nodes/fc/weight", np.zeros((3, 144))), "node 'fc': 'weight' must be a float32 array"),
    (
        replace("nodes/fc/weight", np.zeros((3, 143), np.float32)),
        "Linear 'fc': weight (3, 143) needs 143 inputs, got 144",
    ),
    (replace("nodes/fc/weight", None), "Linear has unknown values [] and lacks ['weight']"),
    (values('{"threshold": "low"}'), "node 'out': IF: threshold must be a number, got 'low'"),
    (values('{"threshold": NaN}'), "node 'out': IF: threshold must be finite"),
    (values('{"threshold": {"a": 1}}'), "node 'out': IF: threshold must be a number"),
    (values('{"reset": []}'), "node 'out': IF: reset must be one of"),
    (values('{"colour": 3}'), "IF has unknown values ['colour']"),
    (link, "'weight' is missing or a link"),
    (external, "'weight' points to another file"),
    (huge, "'weight' has 4398046511104 bytes, the limit is 2147483648"),
    (nested_group, "'extra' must be a float32 array"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[message for _, message in CHANGES])
def test_content_is_not_trusted(tmp_path: Path, change, message: str) -> None:
    path = edited(tmp_path, change)
    with pytest.raises(ModelFileError, match=re.escape(message)) as caught:
        Graph.load(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, NeuroError)


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource\nimport numpy as np\nfrom neuro import ModelFileError\n"
        "from neuro.graph import Graph, Input, Linear, clocked, write_nir\n"
        "weight = np.random.default_rng(0).random((300, 300))\n"
        "graph = Graph({'in': Input(300), 'fc': Linear(weight)}, [('in', 'fc')], clocked(0.001))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "for write in (graph.save, lambda path: write_nir(graph, path)):\n"
        "    try: write('model')\n"
        "    except ModelFileError as err: print(err)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    sentence = "model: cannot be written (File too large); choose another place\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, 2 * sentence, "")
    assert list(tmp_path.iterdir()) == []
