"""`spikeloom recognize udp://HOST:PORT`: decisions while events come."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import click

from spikeloom.commands.options import write_json

if TYPE_CHECKING:
    from eventio.live import LiveCounts
    from spikeloom.live import LiveDecision
    from spikeloom.recognizer import Recognizer

PREFIX = "udp://"


def is_address(recording: str) -> bool:
    """Say whether what shall be recognised is an address and no file.

    Parameters
    ----------
    recording : str
        As given.

    Returns
    -------
    bool
        It starts with udp://.
    """
    return recording.startswith(PREFIX)


def recognize_address(
    recognizer: Recognizer,
    address: str,
    *,
    wire: str,
    idle_s: float | None,
    most_windows: int | None,
    as_json: bool,
) -> None:
    """Listen, decide window by window, and say in the end what came and what was lost.

    Parameters
    ----------
    recognizer : Recognizer
        The network.
    address : str
        udp://HOST:PORT.
    wire : str
        How events lie in datagrams.
    idle_s : float or None
        End when no event has come for this long, after the first one.
    most_windows : int or None
        End after as many decisions.
    as_json : bool
        Write one JSON object at the end in place of lines and a table.
    """
    from eventio.live import open_udp, parse_address
    from spikeloom.live import recognize_live, warm_up

    warm_up(recognizer)
    encoding = recognizer.encoding
    decisions: list[LiveDecision] = []
    with open_udp(parse_address(address), width=encoding.width, height=encoding.height, wire=wire) as stream:
        click.echo(f"listening at {address}; end with Ctrl-C", err=True)
        try:
            for found in recognize_live(recognizer, stream, most_windows=most_windows, idle_s=idle_s):
                decisions.append(found)
                if not as_json:
                    click.echo(_line(found))
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
        counts = stream.counts
    if as_json:
        write_json(_json(address, decisions, counts))
        return
    from spikeloom.console import print_table

    print_table(address, _rows(decisions, counts))


def _line(found: LiveDecision) -> str:
    from spikeloom.console import short_time, sureness

    decision = found.decision
    return (
        f"window {found.index} from {found.start_us:,} us: {decision.label}  {sureness(decision.confidence)}  "
        f"{decision.events:,} events  "
        + (f"{short_time(found.latency_s)} after the last" if found.is_complete else "cut short by the end")
    )


def _rows(decisions: list[LiveDecision], counts: LiveCounts) -> list[tuple[str, str]]:
    from spikeloom.console import short_time

    latencies = [found.latency_s for found in decisions if found.is_complete]
    rows = [
        ("decisions", f"{len(decisions):,}"),
        ("events", f"{counts.n_received:,} received, {counts.n_handed_over:,} used"),
        ("lost", counts.describe()),
    ]
    if latencies:
        middle, most = statistics.median(latencies), max(latencies)
        rows.insert(1, ("latency", f"{short_time(middle)} median, {short_time(most)} at most"))
    return rows


def _json(address: str, decisions: list[LiveDecision], counts: LiveCounts) -> dict[str, Any]:
    return {
        "address": address,
        "decisions": [found.to_json() for found in decisions],
        "events_received": counts.n_received,
        "events_used": counts.n_handed_over,
        "events_dropped": counts.n_dropped,
        "events_late": counts.n_late,
        "events_outside": counts.n_outside,
        "datagrams_lost": counts.n_lost,
        "malformed_bytes": counts.n_malformed_bytes,
    }
