"""Goes through a torch.fx graph node by node: constants are computed, what depends on the input becomes layers."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from analog_bridge.errors import LayerError, UnsupportedLayerError
from analog_bridge.ingest import operators, shape_operators
from analog_bridge.ingest.assembly import Assembly
from analog_bridge.ingest.operator_table import OPERATORS, REMEDIES
from analog_bridge.ingest.values import Value
from analog_bridge.layers import LayerGraph

__all__ = ["interpret"]

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_TORCH = str(Path(torch.__file__).parent)
_OTHER = object()
_ELSEWHERE = (
    "use one of the covered operators (docs: what can be converted), or compute it outside the network"
)


def interpret(
    module: torch.fx.GraphModule, inputs: Sequence[tuple[str, tuple[int, ...]]], n: int, net: Assembly
) -> LayerGraph:
    """Turn a graph of torch operators into a graph of layers.

    Parameters
    ----------
    module : torch.fx.GraphModule
        Graph with the modules and tensors that it names.
    inputs : sequence of (str, tuple of int)
        Names and shapes, without batch axis, of the inputs, in the order of the placeholders.
    n : int
        Size of the batch axis: a number that tells it from all others.
    net : Assembly
        An empty assembly.

    Returns
    -------
    LayerGraph
        The network.

    Raises
    ------
    UnsupportedLayerError
        An operator has no exact counterpart; its name, place and a remedy are in the message.
    """
    values: dict[torch.fx.Node, Any] = {}
    waiting = list(inputs)
    outputs: list[Value] = []
    for node in module.graph.nodes:
        if node.op == "placeholder":
            values[node] = _placeholder(node, waiting, net)
        elif node.op == "get_attr":
            values[node] = operator.attrgetter(node.target)(module)
        elif node.op == "output":
            outputs = _outputs(torch.fx.node.map_arg(node.args[0], values.__getitem__), net)
        elif not node.name.startswith("_guards"):
            net.enter(_name(node), _place(node))
            try:
                values[node] = _call(node, values, module, n, net)
            except LayerError as err:
                raise UnsupportedLayerError(str(err)) from err
    return net.finish(outputs)


def _placeholder(node: torch.fx.Node, waiting: list[tuple[str, tuple[int, ...]]], net: Assembly) -> Any:
    if waiting:
        name, shape = waiting.pop(0)
        return net.input(name, shape)
    if node.args:  # an argument that was not given keeps its default
        return node.args[0]
    return net.refuse(f"the argument {node.target!r} got no example", "give an example for each argument")


def _outputs(found: Any, net: Assembly) -> list[Value]:
    net.enter("output", "")
    if isinstance(found, Value):
        return [found]
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list | tuple) and found:
        return [value for each in found for value in _outputs(each, net)]
    return net.refuse(f"returns {type(found).__name__}", "return tensors that depend on the input")


def _name(node: torch.fx.Node) -> str:
    """Return the name that the user knows: the module's, or that of the function behind its module's."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = (stack[-1][0], stack[-1][1]) if stack else ("", "")
    text = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    if node.op == "call_module":
        return str(node.target)
    if path and text.startswith("torch.nn.modules."):
        return str(path)
    return f"{path}.{node.name}" if path else node.name


def _place(node: torch.fx.Node) -> str:
    """Return the line of the user's code, ``'model.py:17'``, or nothing."""
    frames = [
        (file, line) for file, line in _FRAME.findall(node.stack_trace or "") if not file.startswith(_TORCH)
    ]
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]}" if frames else ""


def _call(
    node: torch.fx.Node, values: dict[torch.fx.Node, Any], module: torch.fx.GraphModule, n: int, net: Assembly
) -> Any:
    args = torch.fx.node.map_arg(node.args, values.__getitem__)
    named = torch.fx.node.map_arg(node.kwargs, values.__getitem__)
    tensors = list(_values([*args, *named.values()]))
    for value in tensors:
        if value.closed:
            net.refuse(f"reads the result of {value.closed}", REMEDIES[value.closed])
    if node.op == "call_module":
        layer = module.get_submodule(str(node.target))
        if not tensors:
            with torch.no_grad():
                return layer(*args, **named)
        return _module(net, layer, args, named)
    if not tensors:
        target: Any = node.target
        with torch.no_grad():
            return (
                getattr(args[0], target)(*args[1:], **named)
                if node.op == "call_method"
                else target(*args, **named)
            )
    name, is_aten = _operator_name(node)
    special = _special(net, name, args, named, n)
    if special is not _OTHER:
        return special
    if name == "batch_norm" and not is_aten:
        name = "function_batch_norm"
    rule = OPERATORS.get(name)
    if rule is None:
        net.refuse(f"{name} is not covered", REMEDIES.get(name, _ELSEWHERE))
    found = _apply(net, name, rule, args, named)
    returns_indices = isinstance(node.target, torch._ops.OpOverload) and name.startswith("adaptive_max_pool")
    return (found, None) if returns_indices else found


def _apply(net: Assembly, name: str, rule: Callable[..., Any], args: Any, named: Any) -> Any:
    try:
        return rule(net, *args, **named)
    except (
        TypeError,
        AttributeError,
        IndexError,
    ) as err:  # an argument of a kind that the operator does not take
        message = f"{name} is called with arguments that are not covered ({err})"
        place = f" ({net.place})" if net.place else ""
        raise UnsupportedLayerError(f"{net.name!r}{place}: {message}; {_ELSEWHERE}") from err


def _values(args: Any) -> Any:
    for each in args:
        if isinstance(each, Value):
            yield each
        elif isinstance(each, list | tuple):
            yield from _values(each)


def _operator_name(node: torch.fx.Node) -> tuple[str, bool]:
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.split("::")[-1].removesuffix("_"), True
    if node.op == "call_method":
        return str(target).removesuffix("_"), True
    return target.__name__.removesuffix("_"), False


# -- shapes and indices: what needs the batch axis -----------------------------------------------------------


def _special(net: Assembly, name: str, args: Any, named: Any, n: int) -> Any:
    """Return the result of an operator that reads or writes the batch axis; `_OTHER`: it is another operator."""
    x = args[0]
    if name == "getitem":
        return _getitem(net, x, args[1]) if isinstance(x, Value) else x[args[1]]
    if name == "getattr" and not isinstance(x, Value):
        return getattr(x, args[1])
    if not isinstance(x, Value):
        return _OTHER
    full = (n, *x.shape)
    if name == "getattr":
        known = {"shape": torch.Size(full), "ndim": len(full), "dtype": torch.float32, "device": torch.device("cpu"),
                 "is_cuda": False, "requires_grad": False}  # fmt: skip
        if args[1] in known:
            return known[args[1]]
        if args[1] == "T" and len(full) == 2:
            net.refuse("moves the batch axis", "keep the batch axis first")
        net.refuse(f"the attribute {args[1]!r} is not covered", _ELSEWHERE)
    if name in {"size", "sym_size"}:
        dim = named.get("dim", args[1] if len(args) > 1 else None)
        return torch.Size(full) if dim is None else full[dim]
    if name in {"dim", "ndimension"}:
        return len(full)
    if name == "numel":
        return math.prod(full)
    if name in {"view", "reshape", "_unsafe_view"}:
        return _viewed(net, x, args[1:] or tuple(named.values()), n)
    if name in {"view_as", "reshape_as"}:
        return _viewed(net, x, (n, *args[1].shape), n)
    if name in {"expand", "expand_as"}:
        return _expanded(net, x, args[1:], n)
    return _OTHER


def _viewed(net: Assembly, x: Value, sizes: Any, n: int) -> Value:
    sizes = list(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else list(sizes)
    total = n * x.size
    if sizes.count(-1) == 1:
        rest = -math.prod(sizes)
        if rest <= 0 or total % rest:
            net.refuse(f"cannot view {x.shape} as {tuple(sizes)}", "give sizes that hold all values")
        sizes[sizes.index(-1)] = total // rest
    if not sizes or sizes[0] != n or math.prod(sizes) != total:
        net.refuse(
            f"views {x.shape} as {tuple(sizes)}, which mixes samples of the batch",
            "keep the batch axis first: x.view(x.shape[0], ...)",
        )
    return net.view(x, sizes[1:])


def _expanded(net: Assembly, x: Value, sizes: Any, n: int) -> Value:
    if len(sizes) == 1 and isinstance(sizes[0], Value):
        return net.broadcast(x, sizes[0].shape)
    sizes = list(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else list(sizes)
    if len(sizes) != len(x.shape) + 1 or sizes[0] not in {n, -1}:
        net.refuse(f"expands {x.shape} to {tuple(sizes)}", "keep the batch axis first and as it is")
    return net.broadcast(x, [old if new == -1 else new for old, new in zip(x.shape, sizes[1:], strict=True)])


def _getitem(net: Assembly, x: Value, index: Any) -> Any:
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [each for each in items if not isinstance(each, torch.Tensor)]:
        place = items.index(Ellipsis)
        n_named = sum(each is not None and each is not Ellipsis for each in items)
        items[place : place + 1] = [slice(None)] * (len(x.shape) + 1 - n_named)
    if not items or items[0] != slice(None):
        net.refuse("indexes the batch axis", "keep the samples of a batch apart: x[:, ...]")
    if not all(each is None or isinstance(each, int | slice) for each in items):
        net.refuse("indexes by a tensor or a list", "use index_select along one axis")
    places = np.arange(x.size).reshape(x.shape)[tuple(items[1:])]
    if places.size == x.size and (places.reshape(-1) == np.arange(x.size)).all():
        return net.view(x, places.shape)
    return net.gathered(x, np.asarray(places))


# -- modules of torch.nn -------------------------------------------------------------------------------------


def _around(net: Assembly, m: Any, x: Value) -> Value:
    return shape_operators.pad(
        net, x, m.padding, "reflect" if "Reflection" in type(m).__name__ else "replicate"
    )


def _plain(m: Any) -> None:
    if m.padding_mode != "zeros":
        raise _RefusalError(f"pads by mode {m.padding_mode!r}", "use padding_mode='zeros'")


class _RefusalError(Exception):
    pass


def _call_module(rule: Callable[[Assembly, Any, Value], Any], m: nn.Module, net: Assembly, x: Value) -> Any:
    return rule(net, m, x)


def _module(net: Assembly, m: nn.Module, args: Any, named: Any) -> Any:
    for kind in type(m).__mro__:
        if kind in _MODULES:
            try:
                return _apply(net, type(m).__name__, partial(_call_module, _MODULES[kind], m), args, named)
            except _RefusalError as err:
                net.refuse(*err.args)
    name = type(m).__name__
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|\d", "_", name).lower().strip("_")
    remedy = REMEDIES.get(words) or REMEDIES.get(name.lower())
    if isinstance(m, nn.MultiheadAttention | nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        remedy = REMEDIES["scaled_dot_product_attention"]
    if isinstance(m, nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d):
        remedy = REMEDIES["layer_norm"]
    if isinstance(m, nn.RNNBase):
        remedy = REMEDIES["lstm"]
    return net.refuse(f"{name} is not covered", remedy or _ELSEWHERE)


def _convolution(net: Assembly, m: Any, x: Value) -> Any:
    if m.padding_mode != "zeros":
        x = shape_operators.pad(net, x, m._reversed_padding_repeated_twice, m.padding_mode)
        return operators.convolve(net, x, m.weight, m.bias, m.stride, 0, m.dilation, m.groups)
    return operators.convolve(net, x, m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)


def _transposed(net: Assembly, m: Any, x: Value) -> Any:
    _plain(m)
    return operators.convolve_transposed(
        net, x, m.weight, m.bias, m.stride, m.padding, m.output_padding, m.groups, m.dilation
    )


def _batch_norm(net: Assembly, m: Any, x: Value) -> Any:
    return operators.batch_norm(net, x, m.running_mean, m.running_var, m.weight, m.bias, m.eps)


def _max_pool(net: Assembly, m: Any, x: Value) -> Any:
    rule = OPERATORS["max_pool1d" if isinstance(m, nn.MaxPool1d) else "max_pool2d"]
    return rule(net, x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices)


def _named(name: str, *fields: str) -> Callable[[Assembly, Any, Value], Any]:
    return lambda net, m, x: OPERATORS[name](net, x, *(getattr(m, field) for field in fields))


_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_MODULES: dict[type[nn.Module], Callable[[Assembly, Any, Value], Any]] = {
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.ConvTranspose1d: _transposed,
    nn.ConvTranspose2d: _transposed,
    nn.Linear: _named("linear", "weight", "bias"),
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: _named("relu"),
    nn.ReLU6: _named("relu6"),
    nn.Hardtanh: _named("hardtanh", "min_val", "max_val"),
    nn.LeakyReLU: _named("leaky_relu", "negative_slope"),
    nn.PReLU: _named("prelu", "weight"),
    nn.Threshold: _named("threshold", "threshold", "value"),
    nn.Hardsigmoid: _named("hardsigmoid"),
    nn.Hardswish: _named("hardswish"),
    nn.Sigmoid: _named("sigmoid"),
    nn.SiLU: _named("silu"),
    nn.Softmax: _named("softmax"),
    nn.LogSoftmax: _named("log_softmax"),
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool1d: _named("avg_pool1d", *_POOL),
    nn.AvgPool2d: _named("avg_pool2d", *_POOL, "divisor_override"),
    nn.AdaptiveAvgPool1d: _named("adaptive_avg_pool1d", "output_size"),
    nn.AdaptiveAvgPool2d: _named("adaptive_avg_pool2d", "output_size"),
    nn.AdaptiveMaxPool1d: _named("adaptive_max_pool1d", "output_size", "return_indices"),
    nn.AdaptiveMaxPool2d: _named("adaptive_max_pool2d", "output_size", "return_indices"),
    nn.Upsample: _named(
        "interpolate", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"
    ),
    nn.Flatten: _named("flatten", "start_dim", "end_dim"),
    nn.Unflatten: _named("unflatten", "dim", "unflattened_size"),
    nn.ChannelShuffle: _named("channel_shuffle", "groups"),
    nn.PixelShuffle: _named("pixel_shuffle", "upscale_factor"),
    nn.ReflectionPad1d: _around,
    nn.ReflectionPad2d: _around,
    nn.ReplicationPad1d: _around,
    nn.ReplicationPad2d: _around,
    nn.ZeroPad1d: _named("pad", "padding"),
    nn.ZeroPad2d: _named("pad", "padding"),
    nn.ConstantPad1d: lambda net, m, x: shape_operators.constant_pad(net, x, m.padding, m.value),
    nn.ConstantPad2d: lambda net, m, x: shape_operators.constant_pad(net, x, m.padding, m.value),
    nn.Identity: _named("identity"),
    nn.Dropout: _named("identity"),
    nn.Dropout1d: _named("identity"),
    nn.Dropout2d: _named("identity"),
    nn.AlphaDropout: _named("identity"),
    nn.FeatureAlphaDropout: _named("identity"),
}
