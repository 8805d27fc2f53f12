"""Takes over ONNX files: constants are computed by ONNX's own reference, the rest becomes layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analog_bridge.errors import LayerError, MissingPackageError, ModelFileError, UnsupportedLayerError
from analog_bridge.evaluation import evaluate
from analog_bridge.ingest import onnx_operators, onnx_shape_operators  # noqa: F401 - they fill the table
from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.onnx_table import ONNX_OPERATORS, ONNX_REMEDIES, Node
from analog_bridge.ingest.values import Value
from analog_bridge.ingest.verifying import compare
from analog_bridge.layers import LayerGraph

__all__ = ["ingest_onnx"]

OLDEST_OPSET = 7
# stands for a batch axis of any size while shapes are computed: a prime that no layer has
_BATCH = 1_000_003


def ingest_onnx(path: str | Path, *, hard_gates: bool = False, verify: bool = True) -> LayerGraph:
    """Take over an ONNX file as a graph of layers.

    Covered are the operators that `ingest` covers, opset 7 and later; the first axis of every input is the batch axis.

    Parameters
    ----------
    path : str or Path
        The file; external data must lie beside it.
    hard_gates : bool
        Put hardsigmoid in the place of sigmoid (it changes results; noted).
    verify : bool
        Compare the graph with ONNX's reference evaluator on one random sample; they must agree to 1e-3 of the largest
        output.

    Returns
    -------
    LayerGraph
        The network. Layers are named as the nodes of the file, inputs as its inputs.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, of an opset that is not known, or its external data are missing.
    UnsupportedLayerError
        An operator has no exact counterpart; the node and what to use instead are named.
    MissingPackageError
        The onnx package is not installed.
    """
    model = _load(Path(path))
    net = Assembly(hard_gates=hard_gates)
    constants = _initializers(model)
    values: dict[str, Any] = dict(constants)
    n = _add_inputs(model, constants, values, net)
    for number, proto in enumerate(model.graph.node):
        net.enter(proto.name or proto.output[0], f"ONNX {proto.op_type}, node {number}")
        try:
            _run(proto, values, n, net, model)
        except LayerError as err:
            raise UnsupportedLayerError(str(err)) from err
    outputs = [values.get(each.name) for each in model.graph.output]
    found = [value for value in outputs if isinstance(value, Value)]
    if len(found) != len(outputs):
        net.enter("output", str(path))
        net.refuse("an output does not depend on the input", "leave it out of the file")
    graph = net.finish(found)
    if verify and not any("replaced" in note for note in graph.notes):
        _compare(model, graph, n)
    return graph


def _load(path: Path) -> Any:
    try:
        import onnx
    except ImportError as err:
        raise MissingPackageError(
            "ingest_onnx: reading ONNX needs the onnx package: pip install 'spikeloom[onnx]'"
        ) from err
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such file, or it is a folder; check the path")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as err:
        raise ModelFileError(f"{path}: this is not an ONNX file, or it is damaged") from err
    if not model.graph.node:
        raise ModelFileError(f"{path}: this is not an ONNX file, or its graph is empty")
    _check_opset(path, model)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as err:
        raise ModelFileError(
            f"{path}: its external data are missing or damaged ({err}); put the data file beside it, "
            "or export it as one file"
        ) from err
    try:
        onnx.checker.check_model(model)
    except Exception as err:
        first = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise ModelFileError(f"{path}: this is not a valid ONNX file: {first}; export it again") from err
    return model


def _check_opset(path: Path, model: Any) -> None:
    import onnx

    versions = {each.domain or "ai.onnx": each.version for each in model.opset_import}
    newest = onnx.defs.onnx_opset_version()
    version = versions.get("ai.onnx", 0)
    if not OLDEST_OPSET <= version <= newest:
        remedy = (
            f"export it with opset {OLDEST_OPSET} or later"
            if version < OLDEST_OPSET
            else "install a newer onnx package"
        )
        raise ModelFileError(f"{path}: has opset {version}, {OLDEST_OPSET} to {newest} are known; {remedy}")


def _initializers(model: Any) -> dict[str, Any]:
    from onnx import numpy_helper

    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


def _add_inputs(model: Any, constants: dict[str, Any], values: dict[str, Any], net: Assembly) -> int:
    """Add the inputs of the file and return the size of the batch axis."""
    sizes = set()
    for each in model.graph.input:
        if each.name in constants:
            continue
        net.enter(each.name, "ONNX input")
        if each.type.tensor_type.elem_type not in {1, 10, 11}:
            net.refuse("is not an input of real numbers", "export the network with float inputs")
        dims = [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        if len(dims) < 2 or min(dims[1:]) < 1:
            words = [dim.dim_param or dim.dim_value or "?" for dim in each.type.tensor_type.shape.dim]
            net.refuse(
                f"has the shape ({', '.join(map(str, words))})",
                "export it with a batch axis and fixed sizes behind it",
            )
        sizes.add(dims[0] or _BATCH)
        values[each.name] = net.input(each.name, tuple(dims[1:]))
    if len(sizes) != 1:
        net.enter("input", "ONNX")
        net.refuse("the inputs have no common batch axis", "give all inputs the same first axis")
    return int(sizes.pop())


def _run(proto: Any, values: dict[str, Any], n: int, net: Assembly, model: Any) -> None:
    """Compute a node of constants, or add its layers."""
    from onnx import helper

    inputs = [values[name] if name else None for name in proto.input]
    if not any(isinstance(each, Value) for each in inputs):
        found = _constant(proto, inputs, model)
    else:
        attributes = {each.name: helper.get_attribute_value(each) for each in proto.attribute}
        rule = ONNX_OPERATORS.get(proto.op_type) if proto.domain in {"", "ai.onnx"} else None
        if rule is None:
            net.refuse(
                f"{proto.op_type} is not covered",
                ONNX_REMEDIES.get(
                    proto.op_type, "use one of the covered operators, or compute it outside the network"
                ),
            )
        for each in inputs:
            if isinstance(each, Value) and each.closed:
                net.refuse(f"reads the result of {each.closed}", ONNX_REMEDIES[each.closed])
        result = rule(Node(net, inputs, attributes, n))
        found = result if isinstance(result, tuple) else (result,)
    for name, value in zip(proto.output, found, strict=False):
        if name:
            values[name] = value


def _constant(proto: Any, inputs: list[Any], model: Any) -> tuple[Any, ...]:
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in proto.input if name]
    given = dict(zip(names, [each for each in inputs if each is not None], strict=True))
    graph = helper.make_graph(
        [proto],
        "constant",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.asarray(each).dtype), None)
            for name, each in given.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in proto.output if name],
    )
    one = helper.make_model(graph, opset_imports=model.opset_import)
    return tuple(ReferenceEvaluator(one).run(None, given))


def _compare(model: Any, graph: LayerGraph, n: int) -> None:
    """Raise if graph and reference evaluator differ on a random sample by more than rounding explains."""
    from onnx.reference import ReferenceEvaluator

    rng = np.random.default_rng(0)
    wide = {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim] for each in model.graph.input
    }
    batch = 1 if n == _BATCH else n
    x = {
        layer.name: rng.normal(size=(batch, *wide[layer.name][1:])).astype(np.float32)
        for layer in graph.inputs
    }
    expected: Any = ReferenceEvaluator(model).run(None, x)
    found = evaluate(graph, {name: value.reshape(batch, *graph.shapes[name]) for name, value in x.items()})
    compare(
        graph,
        [found[name] for name in graph.outputs],
        expected,
        owner="ingest_onnx",
        reason="on a random sample; ONNX's reference evaluator gives the original's",
    )
