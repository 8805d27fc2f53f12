"""`spikeloom replay`: a recording over the network, at the speed at which it was made."""

from __future__ import annotations

from pathlib import Path

import click

from spikeloom.commands.options import debug_option, json_option, wire_option, write_json


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.argument("address", metavar="udp://HOST:PORT")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="2 is twice as fast as recorded; inf as fast as the machine can.",
)
@wire_option
@json_option
@debug_option
def replay(recording: Path, address: str, speed: float, wire: str, as_json: bool) -> None:
    """Play RECORDING to a UDP port, such as one that `spikeloom recognize udp://HOST:PORT` listens to.

    Event by event, at the times of the recording. UDP does not say whether anybody listens.
    """
    from eventio.live import parse_address
    from eventio.live import replay as play

    sent = play(recording, parse_address(address), speed=speed, wire=wire)
    if as_json:
        write_json(
            {
                "recording": str(recording),
                "events": sent.n_events,
                "datagrams": sent.n_datagrams,
                "seconds": sent.seconds,
                "largest_delay_s": sent.largest_delay_s,
            }
        )
        return
    from spikeloom.console import print_table, short_time

    rows = [
        ("events sent", f"{sent.n_events:,} in {sent.n_datagrams:,} datagrams"),
        ("time", short_time(sent.seconds)),
        ("largest delay", short_time(sent.largest_delay_s)),
    ]
    print_table(str(recording), rows)
