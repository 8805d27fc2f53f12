"""`spikeloom map`: a network onto a chip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spikeloom.commands.options import data_option, debug_option, json_option, network_options, write_json

if TYPE_CHECKING:
    from spikeloom.fine_tuning import TuningEpoch


@click.command("map")
@click.argument("network", type=click.Path(path_type=Path))
@click.option(
    "--target", default="loihi2", show_default=True, help="loihi1, loihi2, or a TOML file of your own."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for what is written.",
)
@click.option(
    "--recording",
    "recordings",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Calibration recording, may be given several times: it chooses scales and says how much is sent.",
)
@network_options
@click.option(
    "--weight-bits", type=click.IntRange(1, 8), default=None, help="Bits of a weight [what the chip has]."
)
@click.option(
    "--partitioner",
    type=click.Choice(["own", "mtkahypar"]),
    default="own",
    show_default=True,
    help="What shares blocks out to cores; mtkahypar needs the package of this name.",
)
@click.option(
    "--fine-tune",
    "dataset",
    default=None,
    metavar="DATASET",
    help="digits, nmnist or a folder LABEL/recording: train further in the chip's whole numbers if fewer decisions "
    "than --agreement are those of the network.",
)
@click.option(
    "--agreement", type=click.FloatRange(0, 1), default=0.98, show_default=True, help="Asked of --fine-tune."
)
@click.option("--epochs", type=click.IntRange(min=1), default=None, help="The most passes of --fine-tune.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=None, help="The most recordings of each of its parts."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of --fine-tune."
)
@data_option
@click.option("--no-lava", is_flag=True, help="Do not compare with Lava's simulator.")
@json_option
@debug_option
def map_network(  # noqa: PLR0917
    network: Path,
    target: str,
    out: Path,
    recordings: tuple[Path, ...],
    dt: float | None,
    time_unit: float | None,
    frames: int | None,
    weight_bits: int | None,
    partitioner: str,
    dataset: str | None,
    agreement: float,
    epochs: int | None,
    limit: int | None,
    seed: int,
    data: Path | None,
    no_lava: bool,
    as_json: bool,
) -> None:
    """Put NETWORK (a model file, or a NIR file ending in .nir) onto a chip and prove that nothing changed.

    Writes mapping.json, report.html and, with a recording, certificate.json: the network core by core against the whole
    one, and against Lava's simulator where that is installed. Networks that lava-dl's format can say are
    also written as network.net, those that NIR can say as network.nir.

    --fine-tune learns the network's own decisions from training recordings, chooses with validation recordings, and
    reports on test recordings where the data set has some. It needs torch.
    """
    from spikeloom.chip_tuning import TuningPlan
    from spikeloom.fine_tuning import DEFAULT_EPOCHS
    from spikeloom.mapping import map_file

    plan = None
    if dataset is not None:
        plan = TuningPlan(dataset, data, agreement, seed, epochs or DEFAULT_EPOCHS, limit, _say)
    outcome = map_file(
        network, target, out, recordings=recordings, dt_s=dt, time_unit_s=time_unit, n_frames=frames,
        weight_bits=weight_bits, partitioner=partitioner, with_lava=not no_lava, tuning=plan,
    )  # fmt: skip
    if as_json:
        write_json(outcome.to_json())
        return
    from spikeloom.console import print_table

    print_table(f"{network} on {outcome.mapping.target.name}", outcome.rows())


def _say(report: TuningEpoch) -> None:
    """Write one line about an epoch to standard error."""
    click.echo(
        f"epoch {report.epoch:3d}/{report.n_epochs}  loss {report.loss:.4f}  decisions as by the network "
        f"{report.agreement:.2%}{' *' if report.is_best else ''}",
        err=True,
    )
