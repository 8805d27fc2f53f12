"""`spikeloom map`: a network onto a chip."""

from __future__ import annotations

from pathlib import Path

import click

from spikeloom.commands.options import debug_option, json_option, nir_options, write_json


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
@nir_options
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
    weight_bits: int | None,
    partitioner: str,
    no_lava: bool,
    as_json: bool,
) -> None:
    """Put NETWORK (a model file, or a NIR file ending in .nir) onto a chip and prove that nothing changed.

    Writes mapping.json, report.html and, with a recording, certificate.json: the network core by core against the whole
    one, and against Lava's simulator where that is installed. Networks that lava-dl's format can say are
    also written as network.net, those that NIR can say as network.nir.
    """
    from spikeloom.mapping import map_file

    outcome = map_file(
        network, target, out, recordings=recordings, dt_s=dt, time_unit_s=time_unit, weight_bits=weight_bits,
        partitioner=partitioner, with_lava=not no_lava,
    )  # fmt: skip
    if as_json:
        write_json(outcome.to_json())
        return
    from spikeloom.console import print_table

    print_table(f"{network} on {outcome.mapping.target.name}", outcome.rows())
