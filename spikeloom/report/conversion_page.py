"""The page about a conversion: accuracy over time, what each layer costs, energy, and how to get it again."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analog_bridge.measurement import ConversionReport
from spikeloom.console import compact_number, percent
from spikeloom.conversion import Converted
from spikeloom.release import release
from spikeloom.report.drawing import ACCENT, MUTED, figure_settings, new_figure, to_svg
from spikeloom.report.page import Tile, wilson_interval
from spikeloom.storage import replaced_file

_MOST_SHOWN = 20  # counts that differ


def write_conversion_page(path: str | Path, found: Converted, *, model: str, reproduce: str) -> None:
    """Write a conversion as one HTML file that needs nothing from elsewhere.

    Parameters
    ----------
    path : str or Path
        The file; it appears complete or not at all.
    found : Converted
        The network and what was measured.
    model : str
        What was converted.
    reproduce : str
        The command that gives the same result.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    report = found.report
    with figure_settings():
        figure = Markup(_over_time(report))
    environment = Environment(
        loader=PackageLoader("spikeloom.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("conversion.html").render(
        model=model,
        report=report,
        n_calibration=found.n_calibration,
        tiles=_tiles(report),
        figure=figure,
        layers=_layers(found),
        mismatches=() if report.method == "rate" else report.agreement.mismatches[:_MOST_SHOWN],
        energies=[
            (name, _energy(ours), _energy(theirs)) for name, (ours, theirs) in report.energy_pj.items()
        ],
        rows=report.rows(),
        reproduce=reproduce,
        colours={"accent": ACCENT},
        facts=[
            ("network", found.conversion.graph.digest[:16]),
            ("spikeloom", release()),
            ("machine", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        ],
    )
    with replaced_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _over_time(report: ConversionReport) -> str:
    figure = new_figure(6.4, 2.8)
    axes = figure.subplots()
    steps = range(1, report.n_steps + 1)
    axes.plot(
        steps,
        [100 * value for value in report.agreement_over_time],
        color=MUTED,
        linewidth=1.2,
        linestyle=(0, (3, 2)),
        label="decided as by the quantised network",
    )
    if report.accuracy_over_time:
        axes.plot(
            steps, [100 * v for v in report.accuracy_over_time], color=ACCENT, linewidth=1.8, label="accuracy"
        )
    axes.set(xlabel="steps", ylabel="samples in %", ylim=(0, 103))
    axes.legend(loc="lower right")
    return to_svg(figure, name="time", description="Accuracy and agreement after each step")


def _tiles(report: ConversionReport) -> list[Tile]:
    tiles = []
    if report.accuracy_spiking is not None:
        n_right = round(report.accuracy_spiking * report.n_samples)
        low, high = (100 * bound for bound in wilson_interval(n_right, report.n_samples))
        before = "" if report.accuracy_original is None else f"; {percent(report.accuracy_original)} before"
        tiles.append(
            Tile(
                percent(report.accuracy_spiking),
                "accuracy",
                f"95 % interval {low:.1f} to {high:.1f} %{before}",
            )
        )
    found = report.agreement
    return [
        *tiles,
        Tile(
            f"{found.n_mismatches:,}",
            "counts differ",
            f"of {found.n_compared:,}, against the quantised network",
        ),
        Tile(
            f"{report.mean_settling_step:.1f}",
            "steps until settled",
            f"at most {report.last_settling_step} of {report.n_steps}",
        ),
        Tile(
            compact_number(report.synaptic_operations),
            "operations per sample",
            f"executed; {compact_number(report.dense_operations)} products in the conventional network",
        ),
        Tile(
            f"{report.spikes / max(1, report.n_neurons):.2f}",
            "spikes per neuron",
            f"{compact_number(report.n_neurons)} neurons",
        ),
    ]


def _layers(found: Converted) -> list[dict[str, Any]]:
    report, built = found.report, found.conversion.built
    rows = []
    for name, neurons in built.neurons.items():
        error = report.layer_errors.get(name)
        rows.append(
            {
                "name": name,
                "neurons": " x ".join(map(str, found.conversion.graph.shapes[neurons])),
                "spikes": f"{report.spikes_by_layer.get(neurons, 0.0):,.1f}",
                "error": "" if error is None else percent(error),
                "differ": f"{report.agreement.by_layer.get(name, 0):,}",
            }
        )
    return rows


def _energy(picojoules: float | None) -> str:
    return "no price" if picojoules is None else f"{picojoules / 1e3:,.1f} nJ"
