"""`spikeloom info`: what a recording holds."""

from __future__ import annotations

from pathlib import Path

import click

from spikeloom.commands.options import debug_option, json_option, write_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    default=None,
    help="Format of FILE where its content does not tell, for example aedat2-dvs128.",
)
@json_option
@debug_option
def info(file: Path, format_name: str | None, as_json: bool) -> None:
    """Say what the recording FILE holds: format, sensor, events, times and damage.

    A damaged recording is described up to the damage, which is listed. Times are those of the
    first and the last event in file order, in microseconds.
    """
    from spikeloom.inspection import inspect_recording

    facts = inspect_recording(file, format_name=format_name)
    if as_json:
        write_json(facts.to_json())
        return
    from spikeloom.console import print_table

    print_table(str(file), facts.rows())
