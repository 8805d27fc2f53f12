"""`spikeloom pareto`: accuracy against cost for every pair of thresholds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikeloom.commands.options import damage_options, data_option, debug_option, json_option, write_json

if TYPE_CHECKING:
    from spikeloom.pareto import Pareto, Sweep
    from spikeloom.recognizer import Recognizer

_MOST = 1_000  # thresholds of one sweep
_REPRODUCED = frozenset(
    {"data", "part", "attention", "exits", "measure", "first_step", "check_every", "allowed_loss", "limit"}
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("dataset")
@data_option
@click.option(
    "--part",
    type=click.Choice(("validation", "test", "train", "all")),
    default="validation",
    show_default=True,
    help="Part of DATASET to measure on, drawn by the seed of MODEL as in training; all is for folders.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("spikeloom-pareto"),
    show_default=True,
    metavar="DIR",
    help="Folder for pareto.csv and pareto.html.",
)
@click.option(
    "--attention",
    default="0:0.9:0.1",
    show_default=True,
    metavar="LIST",
    help="Attention thresholds: numbers from 0 to 1 with commas, or START:STOP:STEP.",
)
@click.option(
    "--exits",
    type=click.IntRange(min=0),
    default=9,
    show_default=True,
    help="Exit thresholds per attention threshold, spread over the certainties that occur; 0 for none.",
)
@click.option(
    "--measure",
    type=click.Choice(("gap", "confidence", "entropy")),
    default="gap",
    show_default=True,
    help="What the exit rule calls certain.",
)
@click.option(
    "--first-step",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Steps before the first check.",
)
@click.option(
    "--check-every", type=click.IntRange(min=1), default=1, show_default=True, help="Steps between checks."
)
@click.option(
    "--allowed-loss",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Accuracy that the operating point may lose, in points.",
)
@click.option("--limit", type=click.IntRange(min=1), default=None, help="Take about this many recordings.")
@damage_options
@json_option
@debug_option
def pareto(
    *,
    model: Path,
    dataset: str,
    data: Path | None,
    part: Any,
    out: Path,
    attention: str,
    exits: int,
    measure: Any,
    first_step: int,
    check_every: int,
    allowed_loss: float,
    limit: int | None,
    allow_damaged: bool,
    sort: bool,
    as_json: bool,
) -> None:
    """Sweep attention and exit thresholds of MODEL on DATASET and show accuracy against cost.

    Every pair of thresholds is run on every recording. DIR/pareto.csv holds all points, DIR/pareto.html
    the figures: accuracy against frames, events, operations and milliseconds. The operating point (fewest
    spike-driven operations for the allowed loss) is chosen on validation recordings; on test recordings
    none is chosen.

    DATASET is digits, nmnist (with --data DIR) or a folder LABEL/recording. Of recordings longer than a
    window the first window counts.
    """
    from spikeloom.console import progress
    from spikeloom.pareto import sweep_thresholds
    from spikeloom.parts import named_part
    from spikeloom.recognizer import Recognizer
    from spikeloom.recordings import DamagePolicy
    from spikeloom.storage import prepared_folder

    recognizer = Recognizer.load(model)
    sweep = _sweep(attention, exits, measure, first_step, check_every)
    folder = prepared_folder(out)
    collection = _limited(named_part(dataset, part, data=data, seed=recognizer.seed), part, limit)
    with progress("reading recordings") as advance:
        found = sweep_thresholds(
            recognizer,
            collection,
            sweep=sweep,
            allowed_loss=allowed_loss / 100,
            may_choose=part != "test",
            damage=DamagePolicy(allow_damaged=allow_damaged, sort=sort),
            on_progress=advance,
        )
    _write(found, folder, recognizer)
    _say(found, folder, model, as_json=as_json)


def _sweep(attention: str, n_exits: int, measure: Any, first_step: int, check_every: int) -> Sweep:
    from neuro.dynamics import ExitRule
    from spikeloom.pareto import Sweep

    rule = ExitRule(1.0, measure=measure, first_step=first_step, check_every=check_every)
    return Sweep(attention=_thresholds(attention), n_exits=n_exits, rule=rule)


def _say(found: Pareto, folder: Path, model: Path, *, as_json: bool) -> None:
    if as_json:
        write_json(_json(found, folder))
        return
    from spikeloom.console import print_table

    print_table(f"{model} on {found.part}", _rows(found, folder))


def _write(found: Pareto, folder: Path, recognizer: Recognizer) -> None:
    from spikeloom.report.pareto_page import write_pareto_page
    from spikeloom.storage import replaced_file

    with replaced_file(folder / "pareto.csv") as temporary:
        temporary.write_text(found.to_csv(), encoding="utf-8")
    command = _command(click.get_current_context())
    write_pareto_page(folder / "pareto.html", found, recognizer=recognizer, reproduce=[command])


def _command(context: click.Context) -> str:
    """Write the command that this one was: its arguments, and the options that were not left at their defaults."""
    words = ["spikeloom pareto", str(context.params["model"]), context.params["dataset"]]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        is_said = isinstance(option, click.Option) and option.name in _REPRODUCED
        if is_said and value is not None and (value != option.default or option.name == "part"):
            words += [option.opts[0], f"{value:g}" if isinstance(value, float) else str(value)]
    return " ".join(words)


def _limited(collection: Any, part: str, limit: int | None) -> Any:
    """Name the part and take every k-th recording so that about `limit` remain."""
    from dataclasses import replace

    samples = collection.samples
    if limit is not None and len(samples) > limit:
        samples = samples[:: len(samples) // limit]
    name = collection.name if part in collection.name else f"{collection.name} ({part})"
    return replace(collection, name=name, samples=samples)


def _thresholds(text: str) -> tuple[float, ...]:
    """Read '0.1,0.5' or 'START:STOP:STEP' (with the stop)."""
    try:
        if ":" in text:
            start, stop, step = (float(part) for part in text.split(":"))
            if not (step > 0 and abs(start) < math.inf and abs(stop) < math.inf):
                raise ValueError
            if (stop - start) / step >= _MOST:
                raise click.BadParameter(
                    f"{text!r} asks for more than {_MOST:,} thresholds; take a larger step",
                    param_hint="--attention",
                )
            n = int((stop - start) / step + 1.5)
            return tuple(round(start + k * step, 9) for k in range(n) if start + k * step <= stop + 1e-9)
        return tuple(float(part) for part in text.split(","))
    except ValueError as err:
        raise click.BadParameter(
            f"{text!r} is neither numbers with commas nor START:STOP:STEP", param_hint="--attention"
        ) from err


def _json(found: Pareto, folder: Path) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "part": found.part,
        "recordings": found.n_recordings,
        "nothing_left_out": asdict(found.points[0]),
        "operating_point": None if found.operating is None else asdict(found.operating),
        "points": len(found.points),
        "csv": str(folder / "pareto.csv"),
        "report": str(folder / "pareto.html"),
    }


def _rows(found: Pareto, folder: Path) -> list[tuple[str, str]]:
    from spikeloom.console import percent, short_number

    whole, chosen = found.points[0], found.operating
    rows = [
        ("recordings", f"{found.n_recordings} ({found.part})"),
        ("points", str(len(found.points))),
        ("accuracy, nothing left out", percent(whole.accuracy)),
    ]
    if chosen is None:
        rows.append(("operating point", "none: test recordings do not choose; use --part validation"))
    else:
        exit_at = "none" if chosen.exit_threshold is None else f"{chosen.exit_threshold:.4f}"
        rows += [
            ("operating point", f"attention {chosen.attention_threshold:g}, exit {exit_at}"),
            (
                "accuracy",
                f"{percent(chosen.accuracy)}  (loss {100 * chosen.loss:.2f} points, "
                f"{100 * found.allowed_loss:g} allowed)",
            ),
            ("frames, events", f"{percent(chosen.frames)}, {percent(chosen.events)}"),
            (
                "spike-driven operations",
                f"{short_number(chosen.spike_driven_operations)} after {short_number(whole.spike_driven_operations)}",
            ),
            (
                "executed operations",
                f"{short_number(chosen.synaptic_operations)} after {short_number(whole.synaptic_operations)}",
            ),
            ("time per recording", f"{chosen.milliseconds:.3f} ms after {whole.milliseconds:.3f} ms"),
        ]
    return [*rows, ("table", str(folder / "pareto.csv")), ("report", str(folder / "pareto.html"))]
