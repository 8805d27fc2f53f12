"""The command `spikeloom`: one sentence for every mistake, one exit code for every outcome.

Exit codes: 0 done, 1 a fault of ours, 2 something the user can put right, 130 interrupted.
Heavy packages are imported inside the commands, so that `--help` and mistakes answer at once.
"""

from __future__ import annotations

import io
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import click

from spikeloom.commands.convert import convert
from spikeloom.commands.demo import demo
from spikeloom.commands.evaluate import evaluate
from spikeloom.commands.events import events
from spikeloom.commands.info import info
from spikeloom.commands.map import map_network
from spikeloom.commands.options import debug_option, is_debug
from spikeloom.commands.pareto import pareto
from spikeloom.commands.recognize import recognize
from spikeloom.commands.replay import replay
from spikeloom.commands.simulate import simulate
from spikeloom.commands.train import train
from spikeloom.compiling import told_of_compiling
from spikeloom.errors import UserError
from spikeloom.interruption import keep_exit_code, remembered_interrupts, was_interrupted
from spikeloom.release import release

EXIT_FAULT = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """Turn every exception of a command into one sentence on standard error and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings(), remembered_interrupts(ctx), told_of_compiling():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _shower_of_warnings()
            try:
                return super().invoke(ctx)
            except click.exceptions.NoArgsIsHelpError as err:
                _say(err.format_message(), ctx)
                ctx.exit(EXIT_USER)
            except click.UsageError as err:
                _say(_usage(err), ctx)
                ctx.exit(EXIT_USER)
            except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
                raise
            except (KeyboardInterrupt, click.Abort):
                ctx.exit(_interrupted(ctx))
            except Exception as err:
                ctx.exit(_interrupted(ctx) if was_interrupted() else _report(err, ctx))


def _interrupted(ctx: click.Context) -> int:
    _say("interrupted; nothing half-written was left behind", ctx)
    return EXIT_INTERRUPTED


def _report(err: Exception, ctx: click.Context) -> int:
    if _is_user_error(err):
        _say(f"error: {_sentence(err)}", ctx)
        return EXIT_USER
    remedy = "" if is_debug(ctx) else "; run again with --debug for the details and report them"
    _say(f"error: internal fault ({type(err).__name__}: {_sentence(err)}){remedy}", ctx)
    return EXIT_FAULT


def _usage(err: click.UsageError) -> str:
    command = err.ctx.command_path if err.ctx is not None else "spikeloom"
    found = err.format_message().rstrip(".").replace(". Did you mean", "; did you mean")
    return f"error: {found}{' See' if found.endswith('?') else '; see'} `{command} --help`"


def _is_user_error(err: Exception) -> bool:
    if isinstance(err, (UserError, OSError, MemoryError)):
        return True
    from analog_bridge.errors import BridgeError
    from eventio import EventioError
    from hw import HardwareError
    from neuro import NeuroError

    return isinstance(err, (BridgeError, EventioError, HardwareError, NeuroError))


def _sentence(err: Exception) -> str:
    if isinstance(err, OSError) and err.strerror:
        place = f"{err.filename}: " if err.filename else ""
        return f"{place}{err.strerror.lower()}; check the path, its rights and the room on the disk"
    if isinstance(err, MemoryError):
        return "not enough memory; close other programs or take a shorter recording"
    return " ".join(str(err).split())


def _say(text: str, ctx: click.Context) -> None:
    click.echo(text, err=True)
    if is_debug(ctx):
        traceback.print_exc(file=sys.stderr)


def _shower_of_warnings() -> Callable[..., None]:
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *place: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            click.echo(f"warning: {message}", err=True)

    return show


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(version=release(), prog_name="spikeloom")
@debug_option
def cli() -> None:
    """Recognise event-camera recordings with spiking neural networks.

    Start with `spikeloom demo`: it recognises recorded digits with a small trained network and
    writes a report you can open in a browser.
    """


for _command in (
    demo,
    info,
    events,
    convert,
    train,
    evaluate,
    recognize,
    replay,
    pareto,
    simulate,
    map_network,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; the entry point of the command `spikeloom`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names that the terminal cannot show
    try:
        cli(prog_name="spikeloom")
    except KeyboardInterrupt:
        click.echo("interrupted; nothing half-written was left behind", err=True)
        keep_exit_code()
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as done:
        if done.code == EXIT_INTERRUPTED:
            keep_exit_code()
        raise
