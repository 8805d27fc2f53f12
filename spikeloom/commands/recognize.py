"""`spikeloom recognize`: what one recording shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikeloom.commands.live_recognition import is_address, recognize_address
from spikeloom.commands.options import (
    damage_options,
    debug_option,
    json_option,
    live_options,
    network_options,
    write_json,
)

if TYPE_CHECKING:
    from spikeloom.decision import Decision
    from spikeloom.recognizer import Recognizer


@click.command()
@click.argument("recording", metavar="RECORDING")
@click.option(
    "--model",
    required=True,
    type=click.Path(path_type=Path),
    help="Model file made by `spikeloom train` or `spikeloom convert`, or a NIR file ending in .nir.",
)
@network_options
@damage_options
@live_options
@json_option
@debug_option
def recognize(  # noqa: PLR0917
    recording: str,
    model: Path,
    dt: float | None,
    time_unit: float | None,
    frames: int | None,
    allow_damaged: bool,
    sort: bool,
    wire: str,
    idle: float | None,
    windows: int | None,
    as_json: bool,
) -> None:
    """Say what RECORDING shows, how sure that is, since when it was clear, and what it cost.

    Recordings of any length are read window by window, each window from a state of rest, and the
    readouts are summed. With a MODEL made by `spikeloom convert`, RECORDING is a picture, one
    sample in a .npy file, or .npz with an array for each input of the network. Of a NIR file every
    output is a class ("0", "1", ...), a frame is a step of --dt, and a window has --frames of them (100).

    RECORDING may be udp://HOST:PORT: then events are taken as they come, every window gives a decision and how long
    after its last event, and what was lost is counted. `spikeloom replay` sends a recording there.
    """
    from spikeloom.model_file import is_converted

    if model.suffix != ".nir" and is_converted(model):
        _recognize_sample(model, Path(recording), as_json=as_json)
        return
    from spikeloom.networks import read_recognizer
    from spikeloom.recordings import DamagePolicy

    recognizer = read_recognizer(model, dt_s=dt, time_unit_s=time_unit, n_frames=frames)
    if is_address(recording):
        recognize_address(
            recognizer, recording, wire=wire, idle_s=idle, most_windows=windows, as_json=as_json
        )
        return
    decision = recognizer.recognize(recording, damage=DamagePolicy(allow_damaged=allow_damaged, sort=sort))
    if as_json:
        write_json(_json(recording, recognizer, decision))
        return
    from spikeloom.console import print_table

    print_table(str(recording), _rows(decision))


def _recognize_sample(model: Path, sample: Path, *, as_json: bool) -> None:
    from spikeloom.conversion import recognize_sample

    found = recognize_sample(model, sample)
    if as_json:
        write_json({"sample": str(sample), **found.to_json()})
        return
    from spikeloom.console import print_table

    print_table(str(sample), found.rows())


def _json(recording: str, recognizer: Recognizer, decision: Decision) -> dict[str, Any]:
    return {
        "recording": str(recording),
        "class": decision.label,
        "confidence": decision.confidence,
        "probabilities": dict(zip(recognizer.class_names, decision.probabilities, strict=True)),
        "decided_at_us": decision.decided_at_us,
        "windows": decision.windows,
        "frames_total": decision.frames_total,
        "frames_kept": decision.frames_kept,
        "events": decision.events,
        "events_kept": decision.events_kept,
        "synaptic_operations": decision.synaptic_operations,
        "seconds": decision.seconds,
    }


def _rows(decision: Decision) -> list[tuple[str, str]]:
    from spikeloom.console import short_time, sureness

    windows = f" in {decision.windows} windows" if decision.windows > 1 else ""
    return [
        ("class", decision.label),
        ("confidence", sureness(decision.confidence)),
        ("decided at", f"{decision.decided_at_us:,} us on the recording's clock"),
        ("frames kept", f"{decision.frames_kept} of {decision.frames_total}{windows}"),
        ("events kept", f"{decision.events_kept:,} of {decision.events:,}"),
        ("synaptic operations", f"{decision.synaptic_operations:,}"),
        ("time", short_time(decision.seconds)),
    ]
