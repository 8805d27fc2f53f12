"""`spikeloom convert`: a conventional network becomes a spiking one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikeloom.commands.options import debug_option, json_option, write_json

if TYPE_CHECKING:
    from spikeloom.conversion import ConversionOrder, Converted

_METHODS = ("signed", "two_phase", "radix", "integer", "first_spike", "rate")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DATA",
    help=".npz with x (n, ...) and perhaps y (n,), or a folder of pictures, with a folder for each class or none. For "
    "several inputs .npz with an array for each, by its name.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="NET",
    help="File for the spiking network (.h5).",
)
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default="signed",
    show_default=True,
    help="How spikes carry counts; all but rate equal the quantised network.",
)
@click.option(
    "--levels",
    type=click.IntRange(min=1),
    default=None,
    help="Largest count of each activation.  [default: 16; 15 for radix]",
)
@click.option(
    "--weight-bits",
    type=click.IntRange(2, 16),
    default=None,
    help="Whole numbers throughout, with weights of so many bits.  [default: 8 for integer]",
)
@click.option(
    "--calibrate-on",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Samples for calibration, at most half of DATA.",
)
@click.option(
    "--measure-on",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Other samples to measure on.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Draws the samples.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="HTML page.  [default: NET with .html]",
)
@click.option(
    "--architecture",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="What model.to_json() gives, for a Keras .h5 of weights only.",
)
@click.option(
    "--hard-gates", is_flag=True, help="Take hardsigmoid in the place of sigmoid; this changes results."
)
@click.option(
    "--trust", is_flag=True, help="Load pickled models, which may run any code of whoever made them."
)
@json_option
@debug_option
def convert(
    *,
    model: Path,
    calibration: Path,
    out: Path,
    method: Any,
    levels: int | None,
    weight_bits: int | None,
    calibrate_on: int,
    measure_on: int,
    seed: int,
    report: Path | None,
    architecture: Path | None,
    hard_gates: bool,
    trust: bool,
    as_json: bool,
) -> None:
    """Convert the conventional network MODEL into a spiking one.

    MODEL is .onnx, .pt2 (torch.export), a sequential Keras .h5, or with --trust a pickled torch
    module (.pt, .pth). Its activations are counted in a few levels whose thresholds fit a part of
    DATA; spikes carry these counts so that the spiking network equals the quantised one. Other
    samples of DATA say what that costs: accuracy (with labels), agreement count by count, spikes,
    operations, energy.
    """
    from spikeloom.console import progress
    from spikeloom.conversion import ConversionOrder, convert_model

    page = _page(out, report)
    order = ConversionOrder(
        model=model,
        calibration=calibration,
        method=method,
        levels=levels,
        weight_bits=weight_bits,
        n_calibration=calibrate_on,
        n_measured=measure_on,
        seed=seed,
        architecture=architecture,
        trust=trust,
        hard_gates=hard_gates,
    )
    with progress("converting") as advance:
        found = convert_model(order, on_stage=advance)
    _save(order, found, out, page)
    _say(order, found, out, page, as_json=as_json)


def _page(out: Path, report: Path | None) -> Path:
    """Say where the page goes; both files must be writable before anything is computed."""
    from spikeloom.storage import require_writable

    page = out.with_suffix(".html") if report is None else report
    for path in (out, page):
        require_writable(path)
    return page


def _save(order: ConversionOrder, found: Converted, out: Path, page: Path) -> None:
    from spikeloom.report.conversion_page import write_conversion_page

    found.conversion.save(out)
    write_conversion_page(page, found, model=str(order.model), reproduce=order.command(out))


def _say(order: ConversionOrder, found: Converted, out: Path, page: Path, *, as_json: bool) -> None:
    if as_json:
        write_json(_json(found, out, page))
        return
    from spikeloom.console import print_table

    print_table(f"{order.model} as a spiking network", _rows(found, out, page))


def _rows(found: Converted, out: Path, page: Path) -> list[tuple[str, str]]:
    return [
        ("method", f"{found.conversion.method}: {found.report.guarantee}"),
        ("samples", f"{found.n_calibration} for calibration, {found.report.n_samples} others measured"),
        *found.report.rows(),
        ("network", str(out)),
        ("report", str(page)),
    ]


def _json(found: Converted, out: Path, page: Path) -> dict[str, Any]:
    return {
        **found.report.to_dict(),
        "n_calibration": found.n_calibration,
        "network": str(out),
        "digest": found.conversion.graph.digest,
        "report": str(page),
    }
