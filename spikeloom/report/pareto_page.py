"""The page about a sweep over thresholds: figures, the efficient points, and how to get it again."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes

from spikeloom.console import compact_number, percent
from spikeloom.pareto import COSTS, Pareto, ParetoPoint
from spikeloom.recognizer import Recognizer
from spikeloom.release import release
from spikeloom.report.drawing import ACCENT, MUTED, RULE, TEXT, figure_settings, new_figure, to_svg
from spikeloom.report.page import Tile, wilson_interval
from spikeloom.storage import replaced_file

_WHY_NONE = "test recordings measure, they do not choose; take the point that validation recordings choose"


def write_pareto_page(
    path: str | Path, pareto: Pareto, *, recognizer: Recognizer, reproduce: Sequence[str]
) -> None:
    """Write a sweep as one HTML file that needs nothing from elsewhere.

    Parameters
    ----------
    path : str or Path
        The file; it appears complete or not at all.
    pareto : Pareto
        The sweep.
    recognizer : Recognizer
        The model that was swept.
    reproduce : sequence of str
        Commands that give the same result.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    with figure_settings():
        figures = [
            {"name": label.capitalize(), "svg": Markup(cost_figure(pareto, field, label, name=f"cost{n}"))}
            for n, (field, label) in enumerate(COSTS)
        ]
    environment = Environment(
        loader=PackageLoader("spikeloom.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    thresholds = {point.attention_threshold for point in pareto.points}
    page = environment.get_template("pareto.html").render(
        part=pareto.part,
        n_recordings=pareto.n_recordings,
        n_points=len(pareto.points),
        n_attention=len(thresholds),
        n_exits=max(sum(p.attention_threshold == t for p in pareto.points) for t in thresholds) - 1,
        has_attention=recognizer.attention is not None,
        tiles=_tiles(pareto),
        figures=figures,
        operating=pareto.operating is not None,
        why_none=_WHY_NONE,
        allowed=f"{100 * pareto.allowed_loss:g}",
        rows=[_row(point, pareto) for point in _shown(pareto)],
        reproduce=list(reproduce),
        facts=_facts(pareto, recognizer),
        colours={"accent": ACCENT},
    )
    with replaced_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def cost_figure(pareto: Pareto, field: str, label: str, *, name: str) -> str:
    """Draw accuracy against one cost.

    Parameters
    ----------
    pareto : Pareto
        The sweep.
    field : str
        Which field of `ParetoPoint` is the cost.
    label : str
        What to call it.
    name : str
        Identifier of the figure.

    Returns
    -------
    str
        An SVG element.
    """
    figure = new_figure(4.6, 3.1)
    axes = figure.subplots()
    draw_costs(axes, pareto, field)
    axes.set(xlabel=label, ylabel="accuracy in %")
    return to_svg(figure, name=name, description=f"Accuracy against {label} for pairs of thresholds")


def draw_costs(axes: Axes, pareto: Pareto, field: str) -> None:
    """Draw the points of a sweep, a line for each attention threshold.

    Parameters
    ----------
    axes : Axes
        Where.
    pareto : Pareto
        The sweep.
    field : str
        Which field of `ParetoPoint` is the cost.
    """
    whole = pareto.points[0]
    low, high = wilson_interval(round(whole.accuracy * pareto.n_recordings), pareto.n_recordings)
    axes.axhspan(100 * low, 100 * high, color=RULE, alpha=0.35, linewidth=0)
    thresholds = sorted({point.attention_threshold for point in pareto.points})
    shades = mpl.colormaps["viridis"](np.linspace(0.05, 0.85, len(thresholds)))
    for shade, threshold in zip(shades, thresholds, strict=True):
        line = [point for point in pareto.points if point.attention_threshold == threshold]
        _draw_line(axes, sorted(line, key=lambda point: getattr(point, field)), field, shade)
    if pareto.operating is not None:
        at = getattr(pareto.operating, field), 100 * pareto.operating.accuracy
        axes.scatter(*at, s=120, facecolors="none", edgecolors=ACCENT, linewidths=2.0, zorder=4)
    axes.axvline(getattr(whole, field), color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)))
    axes.set_xlim(left=0)
    floor = 100 * min(low, *(point.accuracy for point in _in_view(pareto)))
    axes.set_ylim(floor - 1, min(100.5, max(100 * high, 100 * max(p.accuracy for p in pareto.points)) + 0.7))
    if field in ("spike_driven_operations",):
        axes.xaxis.set_major_formatter(lambda value, _: compact_number(value) if value else "0")
    elif field in ("frames", "events"):
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    if len(thresholds) > 1:
        _add_legend(axes, n_columns=2 if len(thresholds) > 5 else 1)


def _draw_line(axes: Axes, line: Sequence[ParetoPoint], field: str, shade: Any) -> None:
    """Draw the points of one attention threshold, the efficient ones large."""
    costs = [getattr(point, field) for point in line]
    accuracies = [100 * point.accuracy for point in line]
    label = f"{line[0].attention_threshold:.2g}"
    axes.plot(costs, accuracies, color=shade, linewidth=1.1, alpha=0.75, label=label)
    for is_efficient in (False, True):
        chosen = [n for n, point in enumerate(line) if point.is_efficient is is_efficient]
        axes.scatter(
            [costs[n] for n in chosen],
            [accuracies[n] for n in chosen],
            s=22 if is_efficient else 9,
            color=shade,
            alpha=1.0 if is_efficient else 0.45,
            linewidths=0,
            zorder=3,
        )


def _add_legend(axes: Axes, *, n_columns: int) -> None:
    axes.legend(
        title="attention threshold",
        ncols=n_columns,
        loc="lower right",
        fontsize=7,
        title_fontsize=7,
        handlelength=1.2,
        columnspacing=1.0,
        labelcolor=TEXT,
    )


def _in_view(pareto: Pareto) -> list[ParetoPoint]:
    """Leave out what lies so far down that nothing else could be told apart."""
    whole = pareto.points[0].accuracy
    return [point for point in pareto.points if point.accuracy >= whole - 0.12] or [pareto.points[0]]


def _shown(pareto: Pareto) -> list[ParetoPoint]:
    """The point with nothing left out, the efficient ones and the operating point, from the dearest."""
    rest = [p for p in pareto.points[1:] if p.is_efficient or p is pareto.operating]
    return [pareto.points[0], *sorted(rest, key=lambda point: -point.spike_driven_operations)]


def _row(point: ParetoPoint, pareto: Pareto) -> dict[str, Any]:
    return {
        "is_operating": point is pareto.operating,
        "attention": f"{point.attention_threshold:.4g}" if point.attention_threshold else "every frame",
        "exit": "to the end" if point.exit_threshold is None else f"{point.exit_threshold:.4f}",
        "accuracy": percent(point.accuracy),
        "loss": f"{100 * point.loss:.2f} ± {196 * point.loss_error:.2f}",
        "frames": percent(point.frames),
        "events": percent(point.events),
        "driven": f"{point.spike_driven_operations:,.0f}",
        "executed": f"{point.synaptic_operations:,.0f}",
        "bytes": compact_number(point.bytes_moved),
        "ms": f"{point.milliseconds:.3f}",
    }


def _tiles(pareto: Pareto) -> list[Tile]:
    whole = pareto.points[0]
    tiles = [Tile(percent(whole.accuracy), "accuracy, nothing left out", pareto.part)]
    chosen = pareto.operating
    if chosen is None:
        return tiles
    driven = whole.spike_driven_operations / max(1.0, chosen.spike_driven_operations)
    return [
        *tiles,
        Tile(
            percent(chosen.accuracy),
            "accuracy, operating point",
            f"loss {100 * chosen.loss:.2f} ± {196 * chosen.loss_error:.2f} points, "
            f"{100 * pareto.allowed_loss:g} allowed",
        ),
        Tile(
            f"{driven:.2f} x",
            "fewer spike-driven operations",
            f"{compact_number(chosen.spike_driven_operations)} per recording, events times fan-out",
        ),
        Tile(
            f"{whole.synaptic_operations / max(1.0, chosen.synaptic_operations):.2f} x",
            "fewer operations executed",
            f"{compact_number(chosen.synaptic_operations)} per recording, counted",
        ),
        Tile(
            f"{whole.milliseconds / chosen.milliseconds:.2f} x",
            "less time in the network",
            f"{chosen.milliseconds:.3f} after {whole.milliseconds:.3f} ms per recording",
        ),
        Tile(percent(chosen.events), "of the events computed", f"{percent(chosen.frames)} of the frames"),
    ]


def _facts(pareto: Pareto, recognizer: Recognizer) -> list[tuple[str, str]]:
    rule = pareto.rule
    return [
        ("recordings", f"{pareto.part}: {pareto.n_recordings}"),
        (
            "operating point",
            f"chosen on these recordings, at most {100 * pareto.allowed_loss:g} points of loss"
            if pareto.operating is not None
            else f"none: {_WHY_NONE}",
        ),
        (
            "exit rule",
            f"{rule.measure} of the {rule.readout} of the readout, temperature {rule.temperature:.4g}, asked after "
            f"{rule.first_step} steps and every {rule.check_every}",
        ),
        ("trained on", f"{recognizer.dataset}, seed {recognizer.seed}"),
        ("network", recognizer.graph.digest[:16]),
        ("spikeloom", release()),
        ("machine", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
    ]
