"""What every benchmark script prints: rows of claims, the machine, and a JSON file on request."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

MOST = 999.0  # the largest ratio shown: a loss of nothing would be infinitely better than one of a point


@dataclass(frozen=True)
class Row:
    """One claim, measured.

    Attributes
    ----------
    claim : str
        What is compared.
    ours, theirs : float
        The two figures.
    peer : str
        Whose figure `theirs` is; 'goal' for a claim without a peer.
    unit : str
        Unit of both.
    ratio : float
        Above 1: ours is better.
    goal : float
        Ratio that the project aims at.
    equal : bool
        Whether the results were compared first and found equal (True where there is nothing to compare).
    """

    claim: str
    ours: float
    peer: str
    theirs: float
    unit: str
    ratio: float
    goal: float
    equal: bool


def against_goal(claim: str, ours: float, goal: float, unit: str, *, less_is_better: bool = False) -> Row:
    """Compare a figure with the project's goal: a ratio of at least 1 reaches it."""
    ratio = ours / goal if not less_is_better else goal / max(ours, goal / MOST)
    return Row(claim, ours, "goal", goal, unit, ratio, 1.0, True)


def machine() -> str:
    """Name processor, cores, Python and the date."""
    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in lines.items()}
        family, model = fields.get("cpu family", "?"), fields.get("model", "?")
        name = f"{fields.get('model name', name)}, family {family} model {model}"
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{name}; {os.cpu_count()} cores; Python {platform.python_version()}; {date}"


def show(rows: Sequence[Row], *, title: str, json_path: Path | None = None) -> None:
    """Print the rows as a table and write them to a JSON file if one is named."""
    table = Table(title=f"{title}\n{machine()}")
    for name in ("claim", "ours", "peer", "theirs", "unit", "ratio", "goal", "equal"):
        table.add_column(name, justify="left" if name in ("claim", "peer", "unit") else "right")
    for row in rows:
        table.add_row(
            row.claim, f"{row.ours:.4g}", row.peer, f"{row.theirs:.4g}", row.unit,
            f"{row.ratio:.2f}", f"{row.goal:g}", "yes" if row.equal else "NO",
        )  # fmt: skip
    Console(width=150).print(table)
    if json_path is not None:
        document = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        temporary = json_path.with_suffix(json_path.suffix + ".part")
        temporary.write_text(json.dumps(document, indent=1) + "\n")
        temporary.replace(json_path)
