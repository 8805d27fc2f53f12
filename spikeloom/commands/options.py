"""Options that several commands share, and the one way to print JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_DEBUG = "spikeloom.debug"


def _remember_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().meta[_DEBUG] = True


def is_debug(ctx: click.Context) -> bool:
    """Say whether `--debug` was given, before or after the command's name."""
    return bool(ctx.find_root().meta.get(_DEBUG, False))


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_remember_debug,
    help="Show the traceback of an error.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object to standard output and nothing else."
)
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Folder of a downloaded data set, such as nmnist with Train/ and Test/.",
)


wire_option = click.option(
    "--wire",
    type=click.Choice(["t64_x16_y16_on8", "t32_x16_y15_on1", "spif", "spif_timed"]),
    default="t64_x16_y16_on8",
    show_default=True,
    help="How events lie in datagrams.",
)


def live_options(command: Command) -> Command:
    """Add `--wire`, `--idle` and `--windows`: how to listen, and when to end."""
    idle = click.option(
        "--idle",
        type=click.FloatRange(min=0, min_open=True),
        default=None,
        help="Live: end when no event has come for so many seconds, after the first one.",
    )
    windows = click.option(
        "--windows", type=click.IntRange(min=1), default=None, help="Live: end after so many decisions."
    )
    return wire_option(idle(windows(command)))


def damage_options(command: Command) -> Command:
    """Add `--allow-damaged` and `--sort` to a command."""
    sort = click.option("--sort", is_flag=True, help="Sort events whose time runs backwards (stable).")
    allow = click.option(
        "--allow-damaged",
        is_flag=True,
        help="Use the valid beginning of truncated recordings and of those whose time runs backwards.",
    )
    return allow(sort(command))


def nir_options(command: Command) -> Command:
    """Add `--dt` and `--time-unit`: what a NIR file may not say."""
    dt = click.option(
        "--dt",
        type=float,
        default=None,
        help="Seconds of a step; needed for a NIR file that does not say it.",
    )
    time_unit = click.option(
        "--time-unit",
        type=float,
        default=None,
        help="Unit of time of a NIR file that does not say it, in seconds: 1 or 0.001.",
    )
    return dt(time_unit(command))


def network_options(command: Command) -> Command:
    """Add `--dt`, `--time-unit` and `--frames`: what a network that stands alone does not say."""
    frames = click.option(
        "--frames",
        type=click.IntRange(min=1),
        default=None,
        help="Frames (steps) of a window, for a network that stands alone.",
    )
    return nir_options(frames(command))


def write_json(answer: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output, in ASCII so that every terminal and pipe can take it."""
    click.echo(json.dumps(answer, indent=2, allow_nan=False))
