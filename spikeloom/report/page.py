"""The page: figures, tables and words put together."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from eventio.datasets import Collection
from spikeloom.console import compact_number, percent, short_time, sureness
from spikeloom.evaluation import Evaluation
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import REFUSE_DAMAGE, DamagePolicy
from spikeloom.release import release
from spikeloom.report import figures
from spikeloom.report.cost import layer_costs
from spikeloom.report.drawing import ACCENT, LINES, OFF, ON, figure_settings
from spikeloom.report.traces import Trace, recording_name, telling_positions, trace
from spikeloom.storage import replaced_file


@dataclass(frozen=True)
class Tile:
    """One figure at the top of the page.

    Attributes
    ----------
    value, name, note : str
        The figure, what it is, and a remark.
    """

    value: str
    name: str
    note: str


def write_report(
    path: str | Path,
    *,
    recognizer: Recognizer,
    collection: Collection,
    evaluation: Evaluation,
    reproduce: Sequence[str] = ("spikeloom demo",),
    damage: DamagePolicy = REFUSE_DAMAGE,
) -> None:
    """Write an evaluation as one HTML file that needs nothing from elsewhere.

    Parameters
    ----------
    path : str or Path
        The file; it appears complete or not at all.
    recognizer : Recognizer
        The model.
    collection : Collection
        The recordings that were evaluated.
    evaluation : Evaluation
        The decisions about them.
    reproduce : sequence of str
        Commands that give the same result.
    damage : DamagePolicy
        What to do with damaged recordings.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    traces = [
        trace(recognizer, collection, evaluation, position, damage=damage)
        for position in telling_positions(evaluation)
    ]
    with figure_settings():
        cards = [_card(one, recognizer, n) for n, one in enumerate(traces)]
        rasters = _rasters(traces[0], recognizer)
        confusion = figures.confusion_matrix(evaluation.confusion, evaluation.class_names, name="confusion")
    environment = Environment(
        loader=PackageLoader("spikeloom.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html").render(
        dataset=evaluation.dataset,
        n_recordings=len(evaluation.decisions),
        tiles=_tiles(recognizer, evaluation),
        cards=cards,
        rasters=rasters,
        raster_of=traces[0],
        confusion=Markup(confusion),
        mistakes=_mistakes(collection, evaluation),
        costs=_cost_rows(recognizer, evaluation),
        has_attention=recognizer.attention is not None,
        is_filtered=recognizer.encoding.filter_window_us > 0,
        facts=_facts(recognizer),
        reproduce=list(reproduce),
        colours={"on": ON, "off": OFF, "accent": ACCENT},
    )
    with replaced_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _card(one: Trace, recognizer: Recognizer, number: int) -> dict[str, Any]:
    encoding = recognizer.encoding
    decision = one.decision
    scores = ""
    if one.attention is not None:
        scores = figures.attention_scores(one, encoding, name=f"scores{number}")
    return {
        "name": one.name,
        "truth": one.truth,
        "label": decision.label,
        "is_right": one.is_right,
        "confidence": sureness(decision.confidence),
        "decided": f"{(decision.decided_at_us - one.window.start_us) / 1000:.0f} ms",
        "kept": f"{decision.frames_kept} of {decision.frames_total}",
        "operations": compact_number(decision.synaptic_operations),
        "pictures": Markup(figures.event_pictures(one, encoding, name=f"events{number}")),
        "scores": Markup(scores),
        "running": Markup(
            figures.confidence_over_time(one, encoding, recognizer.class_names, name=f"running{number}")
        ),
    }


def _rasters(one: Trace, recognizer: Recognizer) -> list[dict[str, Any]]:
    layers = {recognizer.graph.input_name: one.inputs, **one.spikes}
    colours = (LINES[3], ACCENT, LINES[1], LINES[2])
    drawn = []
    for number, (name, spikes) in enumerate(layers.items()):
        colour = colours[number % len(colours)]
        raster = figures.spike_raster(spikes, one, recognizer.encoding, name=f"raster{number}", colour=colour)
        size = " x ".join(str(side) for side in spikes.shape)
        what = "entries" if number == 0 else "spikes"
        drawn.append({"name": name, "note": f"{size}, {len(spikes):,} {what}", "figure": Markup(raster)})
    return drawn


def _tiles(recognizer: Recognizer, evaluation: Evaluation) -> list[Tile]:
    n_recordings = len(evaluation.decisions)
    n_right = round(evaluation.accuracy * n_recordings)
    low, high = (100 * bound for bound in wilson_interval(n_right, n_recordings))
    accuracy = Tile(
        percent(evaluation.accuracy),
        "accuracy",
        f"{n_right} of {n_recordings} recordings; 95 % interval {low:.1f} to {high:.1f} %",
    )
    speed = [
        Tile(
            short_time(evaluation.seconds_per_recording),
            "per recording",
            "one thread, from opening the file to the decision",
        ),
        Tile(compact_number(evaluation.events_per_second), "events per second", "from file to decision"),
    ]
    if recognizer.attention is None:
        operations = compact_number(evaluation.synaptic_operations / n_recordings)
        return [accuracy, Tile(operations, "synaptic operations per recording", "counted"), *speed]
    return [accuracy, *_attention_tiles(evaluation), *speed]


def _attention_tiles(evaluation: Evaluation) -> list[Tile]:
    operations = evaluation.synaptic_operations
    without = evaluation.synaptic_operations_without_attention
    saved = 1 - operations / without if without else 0.0
    return [
        Tile(
            percent(1 - evaluation.frames_kept),
            "frames never computed",
            f"accuracy with every frame: {percent(evaluation.accuracy_without_attention)}",
        ),
        Tile(
            compact_number(operations / len(evaluation.decisions)),
            "synaptic operations per recording",
            f"{percent(saved)} fewer than with every frame",
        ),
        Tile(percent(evaluation.events_kept), "events kept", "those that lie in computed frames"),
    ]


def _mistakes(collection: Collection, evaluation: Evaluation) -> list[dict[str, str]]:
    return [
        {
            "name": recording_name(sample, collection),
            "truth": evaluation.class_names[label],
            "label": decision.label,
            "confidence": sureness(decision.confidence),
        }
        for sample, label, decision in zip(
            collection.samples, evaluation.labels, evaluation.decisions, strict=True
        )
        if evaluation.class_names[label] != decision.label
    ]


def _cost_rows(recognizer: Recognizer, evaluation: Evaluation) -> list[dict[str, str]]:
    n_recordings = len(evaluation.decisions)
    costs = layer_costs(recognizer.graph, evaluation)
    table = [
        (cost.name, cost.kind, cost.operations, cost.operations_without_attention, cost.dense_operations)
        for cost in costs
    ]
    sums = [sum(row[column] for row in table) for column in (2, 3, 4)]  # type: ignore[misc]
    table.append(("all layers", "", sums[0], sums[1], sums[2]))
    return [
        {
            "name": name,
            "kind": kind,
            "operations": f"{operations / n_recordings:,.0f}",
            "without": f"{without / n_recordings:,.0f}",
            "dense": f"{dense / n_recordings:,.0f}",
            "share": f"{100 * operations / dense:.2f} %" if dense else "",
        }
        for name, kind, operations, without, dense in table
    ]


def _facts(recognizer: Recognizer) -> list[tuple[str, str]]:
    encoding, attention = recognizer.encoding, recognizer.attention
    cleaned = (
        f"background activity, {encoding.filter_window_us / 1000:g} ms"
        if encoding.filter_window_us
        else "none"
    )
    rows = [
        ("sensor", f"{encoding.width} x {encoding.height} pixels"),
        ("window", f"{encoding.n_frames} frames of {encoding.bin_us / 1000:g} ms"),
        ("filter", cleaned),
    ]
    if attention is not None:
        rows.append(("attention threshold", f"{attention.threshold:.6g}"))
    grid = recognizer.graph.weight_grid
    return [
        *rows,
        ("temperature", f"{recognizer.temperature:.4g}"),
        ("weight grid", f"2^{math.log2(grid):.0f}" if grid else "none"),
        ("trained on", f"{recognizer.dataset}, seed {recognizer.seed}"),
        ("network", recognizer.graph.digest[:16]),
        ("spikeloom", release()),
        ("Python, numpy, numba", f"{platform.python_version()}, {version('numpy')}, {version('numba')}"),
        ("machine", f"{platform.system()} {platform.machine()}"),
    ]


def wilson_interval(n_right: int, n_all: int) -> tuple[float, float]:
    """Give the 95 % interval of a proportion.

    ``(p + z**2/2n +- z sqrt(p(1-p)/n + z**2/4n**2)) / (1 + z**2/n)`` with z = 1.96.

    Parameters
    ----------
    n_right : int
        Successes.
    n_all : int
        Trials, at least 1.

    Returns
    -------
    tuple of float
        Lower and upper bound.

    Notes
    -----
    Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson_interval(98, 100)]
    [0.93, 0.994]
    """
    z = 1.959963984540054
    p = n_right / n_all
    centre = p + z * z / (2 * n_all)
    spread = z * math.sqrt(p * (1 - p) / n_all + z * z / (4 * n_all * n_all))
    scale = 1 + z * z / n_all
    return (centre - spread) / scale, (centre + spread) / scale
