"""What conversion takes, kind by kind: small networks, and what becomes of each under each method.

The table in ``docs/reference/conversion-kinds.md`` is written from here: ``python tests/conversion_kinds.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

METHODS = ("two_phase", "signed", "radix", "first_spike", "integer", "sigma_delta", "rate")
DOCUMENT = Path(__file__).parents[1] / "docs" / "reference" / "conversion-kinds.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"

_IMAGE = (2, 6, 6)
_TOKENS = (5, 4)


class Fn(nn.Module):
    """A network whose forward is a function of itself and its inputs, with modules as attributes."""

    def __init__(self, forward: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Any, y: Any = None) -> Any:
        return self.function(self, x) if y is None else self.function(self, x, y)


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of layer.

    Attributes
    ----------
    name : str
        As the table calls it.
    make : function
        Returns a network that holds it.
    shapes : tuple of shapes
        Of its inputs, without a batch axis.
    refused : dict of str to str
        Methods that refuse it, and what their message says; ``'*'`` stands for all.
    """

    name: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = (_IMAGE,)
    refused: dict[str, str] = field(default_factory=dict)

    def outcome(self, method: str) -> str:
        """Return 'exact', 'approaches' (rate) or 'refused'."""
        if "*" in self.refused or method in self.refused:
            return "refused"
        return "approaches" if method == "rate" else "exact"


def conv(n_in: int = 2, n_out: int = 4, kernel: int = 3, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, kernel, **more)


def behind(*modules: nn.Module, n_out: int = 4) -> Callable[[], nn.Module]:
    """Modules behind a convolution and a ReLU."""
    return lambda: nn.Sequential(conv(n_out=n_out, padding=1), nn.ReLU(), *modules)


def activated(activation: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """An activation between a convolution and a head."""
    return lambda: nn.Sequential(conv(), activation(), nn.Flatten(), nn.Linear(64, 3))


def _pieces(m: Any, x: Any) -> Any:
    first, second = torch.relu(m.a(x)).chunk(2, 1)
    return m.b(first + second.flip(3))[:, :, 1:]


def _two_heads(m: Any, x: Any) -> Any:
    h = m.a(x).relu()
    return m.b(h), m.c(h.flatten(1))


def _gate(gate: Callable[[], nn.Module]) -> nn.Module:
    """Squeeze and excitation."""

    def forward(m: Any, x: Any) -> Any:
        h = m.stem(x)
        return m.head((h * m.gate(m.squeeze(h))).flatten(1))

    return Fn(
        forward,
        stem=nn.Sequential(conv(), nn.ReLU()),
        squeeze=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 1)),
        gate=gate(),
        head=nn.Linear(64, 3),
    )


def _attention(heads: int) -> nn.Module:
    """Attention whose scores go through a ReLU, and are divided by a constant."""

    def forward(m: Any, x: Any) -> Any:
        q, k, v = (
            part.unflatten(-1, (heads, 4 // heads)).transpose(1, 2)
            for part in (m.query(x).relu(), m.key(x).relu(), m.value(x))
        )
        scores = torch.relu(q @ k.transpose(-2, -1)) / 5
        mixed = (scores @ v).transpose(1, 2).flatten(2)
        return m.head(torch.relu(m.out(mixed) + x).mean(1))

    parts = {name: nn.Linear(4, 4) for name in ("query", "key", "value", "out")}
    return Fn(forward, **parts, head=nn.Linear(4, 3))


def _softmax_attention() -> nn.Module:
    def forward(m: Any, x: Any) -> Any:
        return m.head(functional.scaled_dot_product_attention(m.query(x), m.query(x), m.value(x)).mean(1))

    return Fn(forward, query=nn.Linear(4, 4), value=nn.Linear(4, 4), head=nn.Linear(4, 3))


_SUMS = "takes the maximum of sums, which is not a count that was sent; put an activation"
_RATES = {"rate": "the product of two firing rates is not that of their spikes; use method='signed' or"}

KINDS = (
    Kind("Conv2d: stride, padding, dilation, groups", lambda: nn.Sequential(
        conv(2, 4, stride=2, padding=1), nn.ReLU(), conv(4, 4, 2, groups=2, dilation=2), nn.ReLU())),
    Kind("Conv2d, depthwise", behind(conv(4, 8, groups=4), nn.ReLU())),
    Kind("Conv1d over time", lambda: nn.Sequential(
        nn.Conv1d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 2, 3), nn.ReLU()), ((3, 8),)),
    Kind("Conv2d of each frame, then Conv1d over time", lambda: Fn(
        lambda m, x: m.time(torch.stack([m.frame(x[:, t]) for t in range(4)], 2)),
        frame=nn.Sequential(conv(1, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4), nn.ReLU()),
        time=nn.Sequential(nn.Conv1d(4, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))), ((4, 1, 5, 5),)),
    Kind("ConvTranspose2d", behind(nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1), nn.ReLU())),
    Kind("ConvTranspose1d, groups", lambda: nn.Sequential(
        nn.Conv1d(3, 4, 3), nn.ReLU(), nn.ConvTranspose1d(4, 2, 2, 2, groups=2)), ((3, 8),)),
    Kind("Linear", lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), ((6,),)),
    Kind("BatchNorm2d behind a convolution", lambda: nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU())),
    Kind("BatchNorm2d behind a pool", behind(nn.MaxPool2d(2), nn.BatchNorm2d(4), conv(4, 3, 1))),
    Kind("ReLU, F.relu, torch.relu", lambda: Fn(
        lambda m, x: torch.relu(m.b(functional.relu(m.a(x)))), a=conv(), b=conv(4, 2))),
    Kind("ReLU6", activated(nn.ReLU6)),
    Kind("LeakyReLU", activated(lambda: nn.LeakyReLU(0.25))),
    Kind("PReLU per channel", activated(lambda: nn.PReLU(4))),
    Kind("Hardtanh", activated(nn.Hardtanh)),
    Kind("clamp to bounds on either side of 0", lambda: Fn(
        lambda m, x: m.head(m.conv(x).clamp(-0.25, 0.5).flatten(1)), conv=conv(), head=nn.Linear(64, 3))),
    Kind("clamp to bounds above 0", lambda: Fn(
        lambda m, x: m.head(m.conv(x).clamp(0.1, 0.7).flatten(1)), conv=conv(), head=nn.Linear(64, 3))),
    Kind("abs", lambda: Fn(lambda m, x: m.head(m.conv(x).abs().flatten(1)), conv=conv(), head=nn.Linear(64, 3))),
    Kind("Hardsigmoid", activated(nn.Hardsigmoid)),
    Kind("Hardswish (a product)", activated(nn.Hardswish), refused=_RATES),
    Kind("MaxPool2d", behind(nn.MaxPool2d(3, 2, 1), conv(4, 2))),
    Kind("MaxPool2d before the activation", lambda: nn.Sequential(conv(), nn.MaxPool2d(2), nn.ReLU(), conv(4, 2, 2))),
    Kind("MaxPool2d of sums", lambda: nn.Sequential(conv(), nn.MaxPool2d(2)), refused={"*": _SUMS}),
    Kind("AvgPool2d", behind(nn.AvgPool2d(2), conv(4, 2), nn.ReLU())),
    Kind("AvgPool2d, padding left out", behind(
        nn.AvgPool2d(3, 2, 1, count_include_pad=False), conv(4, 2), nn.ReLU())),
    Kind("AdaptiveAvgPool2d, windows that differ", behind(nn.AdaptiveAvgPool2d(4), conv(4, 2), nn.ReLU())),
    Kind("AdaptiveMaxPool2d", behind(nn.AdaptiveMaxPool2d(3), conv(4, 2), nn.ReLU())),
    Kind("Maximum over all points (PointNet)", lambda: Fn(
        lambda m, x: m.head(m.points(x).amax(2)),
        points=nn.Sequential(nn.Conv1d(3, 6, 1), nn.ReLU()), head=nn.Linear(6, 3)), ((3, 9),)),
    Kind("Skeletons: joints become channels (HCN)", lambda: Fn(
        lambda m, x: m.head(m.all_joints(m.each_joint(x).permute(0, 3, 2, 1)).flatten(1)),
        each_joint=nn.Sequential(nn.Conv2d(3, 4, (3, 1)), nn.ReLU()),
        all_joints=nn.Sequential(nn.Conv2d(5, 4, 3), nn.ReLU()), head=nn.Linear(16, 3)), ((3, 6, 5),)),
    Kind("mean over axes", lambda: Fn(
        lambda m, x: m.head(torch.relu(m.conv(x)).mean((2, 3))), conv=conv(), head=nn.Linear(4, 3))),
    Kind("Add", lambda: Fn(
        lambda m, x: torch.relu(m.b(m.a(x)) + m.a(x)), a=nn.Sequential(conv(), nn.ReLU()), b=conv(4, 4, padding=1))),
    Kind("Concat", lambda: Fn(
        lambda m, x: m.c(torch.cat([m.a(x).relu(), m.b(x).relu()], 1)), a=conv(), b=conv(n_out=3), c=conv(7, 2))),
    Kind("Channel shuffle", behind(nn.ChannelShuffle(2), conv(4, 4, groups=2), nn.ReLU())),
    Kind("Pixel shuffle", behind(nn.PixelShuffle(2), conv(1, 2), nn.ReLU())),
    Kind("view, permute, transpose", lambda: Fn(
        lambda m, x: m.b(torch.relu(m.a(x)).permute(0, 2, 1, 3).reshape(-1, 8, 2, 4)).relu(),
        a=conv(), b=conv(8, 2, 2))),
    Kind("permute of sums", lambda: Fn(
        lambda m, x: torch.relu(m.a(x).permute(0, 2, 3, 1)).flatten(1), a=conv())),
    Kind("chunk, slice, flip", lambda: Fn(_pieces, a=conv(), b=conv(2, 2))),
    Kind("Reflecting padding", behind(nn.ReflectionPad2d(1), conv(4, 2), nn.ReLU())),
    Kind("Dropout", lambda: nn.Sequential(conv(), nn.ReLU(), nn.Dropout(0.5), conv(4, 2))),
    Kind("Upsample, nearest", behind(nn.Upsample(scale_factor=2), conv(4, 2, stride=2), nn.ReLU())),
    Kind("Upsample, bilinear, factor 2", behind(
        nn.Upsample(scale_factor=2, mode="bilinear"), conv(4, 2, stride=3), nn.ReLU())),
    Kind("Upsample, bilinear, factor 3", behind(nn.Upsample(scale_factor=3, mode="bilinear"), conv(4, 2, stride=4))),
    Kind("A module used twice", lambda: Fn(
        lambda m, x: m.b(torch.relu(m.b(torch.relu(m.a(x))))), a=conv(), b=conv(4, 4, padding=1))),
    Kind("Several inputs", lambda: Fn(
        lambda m, x, y: m.c(torch.cat([m.a(x).relu().flatten(1), m.b(y).relu()], 1)),
        a=conv(), b=nn.Linear(5, 4), c=nn.Linear(68, 3)), (_IMAGE, (5,))),
    Kind("Several outputs", lambda: Fn(_two_heads, a=conv(), b=conv(4, 2), c=nn.Linear(64, 3))),
    Kind("Squeeze-and-excitation gate, Hardsigmoid", lambda: _gate(nn.Hardsigmoid), refused=_RATES),
    Kind("Squeeze-and-excitation gate, ReLU", lambda: _gate(nn.ReLU), refused=_RATES),
    Kind("Squeeze-and-excitation gate, Sigmoid", lambda: _gate(nn.Sigmoid), refused={
        "*": "reads the result of sigmoid; use Hardsigmoid and fine-tune, or pass hard_gates=True"}),
    Kind("Product of two activations", lambda: Fn(
        lambda m, x: m.c(torch.relu(m.a(x)) * torch.relu(m.b(x))), a=conv(), b=conv(), c=conv(4, 2)), refused=_RATES),
    Kind("Self-attention, ReLU scores", lambda: _attention(1), (_TOKENS,), refused=_RATES),
    Kind("Self-attention, ReLU scores, two heads", lambda: _attention(2), (_TOKENS,), refused=_RATES),
    Kind("Self-attention, softmax scores", _softmax_attention, (_TOKENS,), refused={
        "*": "the softmax of scores divides by a sum that depends on the input; use attention without it"}),
    Kind("nn.MultiheadAttention", lambda: Fn(
        lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(4, 2, batch_first=True)), (_TOKENS,), refused={
        "*": "MultiheadAttention is not covered; the softmax of scores divides by a sum"}),
    Kind("softmax of the output (left out)", behind(nn.Flatten(), nn.Linear(144, 3), nn.Softmax(1))),
    Kind("GELU, tanh ..", activated(nn.GELU), refused={
        "*": "use ReLU, ReLU6, Hardtanh or LeakyReLU and fine-tune"}),
    Kind("LayerNorm, GroupNorm", lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2)), ((4,),), refused={
        "*": "statistics of each sample are not known beforehand; use batch norm and fine-tune"}),
)  # fmt: skip


def table() -> str:
    """Return the table of the documentation."""
    words = {"exact": "exact", "approaches": "approaches", "refused": "refused"}
    lines = [
        "| kind | " + " | ".join(f"`{method}`" for method in METHODS) + " | why refused, and what to do |"
    ]
    lines.append("|---" * (len(METHODS) + 2) + "|")
    for kind in KINDS:
        cells = [words[kind.outcome(method)] for method in METHODS]
        reason = next(iter(kind.refused.values()), "")
        lines.append(f"| {kind.name} | " + " | ".join(cells) + f" | {reason + ' ..' if reason else ''} |")
    return "\n".join(lines)


if __name__ == "__main__":
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}")
