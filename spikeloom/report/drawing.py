"""Figures as SVG that takes its colours from the page around it, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

ON = "#e8590c"
OFF = "#1c7ed6"
ACCENT = "#0ca678"
DROPPED = "#868e96"
LINES = (ACCENT, "#845ef7", "#e8590c", "#1c7ed6")

#: Colours that stand for the page's own ones in a figure.
TEXT, MUTED, RULE = "#010203", "#040506", "#070809"

_PAGE_COLOURS = {TEXT: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)"}

_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spikeloom",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "text.color": TEXT,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": TEXT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1.0,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "image.interpolation": "none",
}


@contextmanager
def figure_settings() -> Iterator[None]:
    """Draw with the report's settings inside the block; settings outside stay as they are."""
    with mpl.rc_context(_SETTINGS):  # type: ignore[arg-type]
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Make an empty figure that arranges its parts by itself.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches; the page scales the width to the card around it.

    Returns
    -------
    Figure
        Without any connection to a window system.
    """
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def plain(axes: Axes) -> None:
    """Remove ticks and frame of axes that hold a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def to_svg(figure: Figure, *, name: str, description: str) -> str:
    """Write a figure as an SVG element to be placed in a page.

    Parameters
    ----------
    figure : Figure
        The figure.
    name : str
        Prefix of all identifiers, different for each figure of a page.
    description : str
        What the figure shows, for people who cannot see it.

    Returns
    -------
    str
        The element, without size of its own: it fills the width it gets.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{name}-', text)
    text = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font: \1var(--font)", text)
    for drawn, on_page in _PAGE_COLOURS.items():
        text = text.replace(drawn, on_page)
    return text.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)
