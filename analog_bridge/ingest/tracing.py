"""Takes over torch modules: through torch.fx, and through torch.export where fx cannot follow."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from analog_bridge.errors import UnsupportedLayerError
from analog_bridge.evaluation import evaluate, require_torch
from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.verifying import compare
from analog_bridge.layers import LayerGraph

if TYPE_CHECKING:
    import torch

__all__ = ["ingest", "ingest_exported"]

# stands for the batch axis while shapes are computed: a prime that no layer has
_BATCH = 1_000_003


def ingest(
    model: torch.nn.Module, example: Any, *, hard_gates: bool = False, verify: bool = True
) -> LayerGraph:
    """Take over a torch module as a graph of layers, as it is in evaluation mode.

    Covered are convolutions over one or two axes (stride, padding, dilation, groups), transposed ones, linear layers,
    batch norm (folded), ReLU, ReLU6, LeakyReLU, PReLU, Hardtanh, clamp, hard sigmoid and hard swish, max and average
    pooling (also adaptive), add, concat, gates per channel, channel and pixel shuffle, slices, views and transposes,
    mean, sum and max over axes, nearest and linear enlarging; dropout is left out, and so is a softmax or sigmoid of
    the output (noted). Traced by torch.fx; if the control flow stops that, by torch.export for the example's shape.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    example : tensor, array, or a sequence or dict of them
        What the model is called with: float, shape (n, ...), n >= 1. A sequence: several arguments.
    hard_gates : bool
        Put hardsigmoid in the place of sigmoid and hardswish in that of SiLU (it changes results; noted).
    verify : bool
        Compare the graph with the model on the example; they must agree to 1e-3 of the largest output (that is far
        above float32 rounding and far below what a wrong layer does).

    Returns
    -------
    LayerGraph
        The network. Inputs are named as the arguments of `forward`.

    Raises
    ------
    UnsupportedLayerError
        An operator has no exact counterpart, or the control flow depends on the data: the node, its place in the code
        and what to use instead are named.
    """
    torch = require_torch("ingest")
    model = _unwrapped(model)
    args = _examples(model, example)
    with _evaluating(model):
        graph = _traced(model, args, hard_gates)
        if verify and not any("replaced" in note for note in graph.notes):
            try:
                with torch.no_grad():
                    expected = model(**args)
            except Exception as err:
                raise UnsupportedLayerError(
                    f"ingest: the model cannot be called with the example: {_first_line(err)}"
                ) from err
            _compare(graph, {name: each.numpy() for name, each in args.items()}, expected)
    return graph


def _unwrapped(model: Any) -> torch.nn.Module:
    torch = require_torch("ingest")
    if isinstance(model, torch.jit.ScriptModule):
        raise UnsupportedLayerError(
            "ingest: TorchScript has no graph that can be read; give the nn.Module it came from, or an .onnx file"
        )
    for attribute in ("_orig_mod", "module"):  # torch.compile, DataParallel
        inner = getattr(model, attribute, None)
        is_wrapper = attribute == "_orig_mod" or isinstance(
            model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel
        )
        if isinstance(inner, torch.nn.Module) and is_wrapper:
            model = inner
    if not isinstance(model, torch.nn.Module):
        raise UnsupportedLayerError(f"ingest: model must be a torch.nn.Module, got {type(model).__name__}")
    return model


def _examples(model: torch.nn.Module, example: Any) -> dict[str, torch.Tensor]:
    """Return the example as tensors by the names of the arguments of `forward`."""
    torch = require_torch("ingest")
    signature = inspect.signature(model.forward)
    if isinstance(example, Mapping):
        given = dict(example)
    else:
        parts = example if isinstance(example, tuple | list) and not _is_numbers(example) else (example,)
        try:
            bound = signature.bind(*parts)
        except TypeError as err:
            raise UnsupportedLayerError(f"ingest: forward cannot be called with the example: {err}") from err
        given = {}
        for name, value in bound.arguments.items():
            if signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                raise UnsupportedLayerError(
                    "ingest: forward(*args) has no names for its inputs; name its arguments"
                )
            given[name] = value
    found = {}
    for name, value in given.items():
        tensor = torch.as_tensor(value).detach().cpu()
        if not tensor.is_floating_point() or tensor.ndim < 2 or len(tensor) < 1:
            raise UnsupportedLayerError(
                f"ingest: the example of {name!r} must be float with a batch axis, (n, ...), n >= 1; got "
                f"{tensor.dtype} {tuple(tensor.shape)}"
            )
        found[name] = tensor
    return found


def _is_numbers(example: Sequence[Any]) -> bool:
    return not any(hasattr(each, "shape") for each in example)


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode for a while."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _traced(model: torch.nn.Module, args: dict[str, torch.Tensor], hard_gates: bool) -> LayerGraph:
    from torch import fx

    from analog_bridge.ingest.interpreting import interpret

    inputs = [(name, tuple(value.shape[1:])) for name, value in args.items()]
    tracer = fx.Tracer()
    tracer.record_stack_traces = True
    parameters = inspect.signature(model.forward).parameters
    defaults = {
        name: each.default
        for name, each in parameters.items()
        if name not in args and each.default is not each.empty
    }
    try:
        graph = tracer.trace(model, concrete_args=defaults or None)
    except Exception as err:
        return _exported(model, args, hard_gates, err)
    return interpret(fx.GraphModule(model, graph), inputs, _BATCH, Assembly(hard_gates=hard_gates))


def _exported(
    model: torch.nn.Module, args: dict[str, torch.Tensor], hard_gates: bool, reason: Exception
) -> LayerGraph:
    import torch

    n = 3
    batch = {name: value[:1].expand(n, *value.shape[1:]).contiguous() for name, value in args.items()}
    try:
        program = torch.export.export(model, (), batch, strict=False)
    except Exception as err:
        raise UnsupportedLayerError(
            f"ingest: {type(model).__name__} cannot be traced: its control flow depends on the data. "
            f"torch.fx: {_first_line(reason)}; torch.export: {_first_line(err)}. Write the branch with torch.where "
            "or move it out of forward"
        ) from err
    return ingest_exported(program, hard_gates=hard_gates)


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(err).__name__


def ingest_exported(program: torch.export.ExportedProgram, *, hard_gates: bool = False) -> LayerGraph:
    """Take over a program of torch.export (or a ``.pt2`` file, loaded) as a graph of layers.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        Its first axis is the batch axis, of a fixed size or not.
    hard_gates : bool
        As in `ingest`.

    Returns
    -------
    LayerGraph
        The network.

    Raises
    ------
    UnsupportedLayerError
        As in `ingest`.
    """
    import torch

    from analog_bridge.ingest.interpreting import interpret

    module = program.module()
    metas = {
        node.name: node.meta["val"]
        for node in program.graph.nodes
        if node.op == "placeholder" and "val" in node.meta
    }
    names = program.graph_signature.user_inputs
    found = [
        (str(name), metas[str(name)]) for name in names if isinstance(metas.get(str(name)), torch.Tensor)
    ]
    if not found:
        raise UnsupportedLayerError("ingest: the exported program takes no tensor")
    first = found[0][1].shape[0]
    n = int(first) if isinstance(first, int) else _BATCH
    inputs = []
    for name, value in found:
        shape = value.shape[1:]
        if not all(isinstance(size, int) for size in shape):
            raise UnsupportedLayerError(
                f"ingest: input {name!r} has a shape that is not fixed, {tuple(value.shape)}; export it with the "
                "batch axis alone dynamic"
            )
        inputs.append((name, tuple(int(size) for size in shape)))
    return interpret(module, inputs, n, Assembly(hard_gates=hard_gates))


def _compare(graph: LayerGraph, args: Mapping[str, Any], expected: Any) -> None:
    """Raise if graph and model differ on the example by more than rounding explains."""
    values = evaluate(graph, {layer.name: args[layer.name] for layer in graph.inputs})
    wanted = [tensor.detach().numpy() for tensor in _tensors(expected)]
    compare(
        graph,
        [values[name] for name in graph.outputs],
        wanted,
        owner="ingest",
        reason="on the example; the model does something at run time that its trace does not show (random numbers, a "
        "hook, changed state)",
    )


def _tensors(found: Any) -> Iterator[Any]:
    if isinstance(found, Mapping):
        found = list(found.values())
    if isinstance(found, list | tuple):
        for each in found:
            yield from _tensors(each)
    else:
        yield found
