"""`spikeloom simulate`: what every node of a network does with a recording."""

from __future__ import annotations

from pathlib import Path

import click

from spikeloom.commands.options import damage_options, debug_option, json_option, network_options, write_json


@click.command()
@click.argument("network", type=click.Path(path_type=Path))
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Write the outputs to this .npz.")
@network_options
@damage_options
@json_option
@debug_option
def simulate(  # noqa: PLR0917
    network: Path,
    recording: Path,
    out: Path | None,
    dt: float | None,
    time_unit: float | None,
    frames: int | None,
    allow_damaged: bool,
    sort: bool,
    as_json: bool,
) -> None:
    """Run RECORDING through NETWORK and count what every node did.

    NETWORK is a model file, a graph file, or a NIR file ending in .nir. A model file says how events become frames; of
    other networks a frame is a step, and the whole recording is one window unless --frames says how
    many frames one has.
    """
    from spikeloom.recordings import DamagePolicy
    from spikeloom.simulation import simulate_file

    damage = DamagePolicy(allow_damaged=allow_damaged, sort=sort)
    found = simulate_file(
        network, recording, dt_s=dt, time_unit_s=time_unit, n_frames=frames, out=out, damage=damage
    )
    if as_json:
        write_json(found.to_json())
        return
    from spikeloom.console import print_table

    print_table(f"{recording} through {network}", found.rows())
