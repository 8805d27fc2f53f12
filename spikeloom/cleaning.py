"""Recordings cleaned, and filters compared on them: what `spikeloom events denoise` and `events bench` do."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import eventio
from eventio import denoising
from spikeloom.console import percent
from spikeloom.event_files import Advance, Passage, Passed, pass_on
from spikeloom.filter_options import describe
from spikeloom.pictures import new_figure, save
from spikeloom.storage import prepared_folder, replaced_file


@dataclass(frozen=True)
class Cleaned:
    """What filters did to a recording.

    Attributes
    ----------
    passed : Passed
        What was read and written.
    removed : tuple of (str, int)
        Each filter and the number of events it took away.
    contrast_before, contrast_after : float or None
        Area under the contrast of edges (AOCC), where it was asked for.
    """

    passed: Passed
    removed: tuple[tuple[str, int], ...]
    contrast_before: float | None
    contrast_after: float | None

    @property
    def kept(self) -> int:
        """Events after."""
        return self.passed.n_written

    @property
    def events(self) -> int:
        """Events before."""
        return self.passed.n_read

    def to_json(self) -> dict[str, Any]:
        """Give the figures as plain values.

        Returns
        -------
        dict
            Keys events, kept, removed, carried, left_behind, contrast_before, contrast_after.
        """
        return {
            "events": self.events,
            "kept": self.kept,
            "removed": [{"filter": name, "events": n} for name, n in self.removed],
            "carried": self.passed.carried,
            "left_behind": self.passed.left_behind,
            "contrast_before": self.contrast_before,
            "contrast_after": self.contrast_after,
        }

    def rows(self) -> list[tuple[str, str]]:
        """Give the figures as names and values for a table.

        Returns
        -------
        list of (str, str)
            Rows of a table.
        """
        rows = [("events", f"{self.events:,}")]
        rows += [(name, f"{n:,} removed ({percent(n / max(self.events, 1))})") for name, n in self.removed]
        rows.append(("kept", f"{self.kept:,} ({percent(self.kept / max(self.events, 1))})"))
        rows += self.passed.rows()[2:]
        if self.contrast_before is not None and self.contrast_after is not None:
            rows.append(
                ("contrast (AOCC)", f"{self.contrast_before:.4g} before, {self.contrast_after:.4g} after")
            )
        return rows


def clean(passage: Passage, *, is_scored: bool, on_progress: Advance | None = None) -> Cleaned:
    """Run a recording through filters, from file to file.

    Parameters
    ----------
    passage : Passage
        The files, and at least one filter.
    is_scored : bool
        Whether the contrast of edges is measured before and after; both recordings then lie in memory.
    on_progress : callable, optional
        As in `pass_on`.

    Returns
    -------
    Cleaned
        The figures.

    Raises
    ------
    UserError
        Nothing is left.
    """
    passed = pass_on(passage, on_progress=on_progress)
    names = (describe(each) for each in passage.filters)
    removed = tuple(zip(names, passed.n_removed, strict=True))
    contrasts: list[float | None] = [None, None]
    if is_scored:
        width, height = passed.size
        files = ((passage.source, passage.format), (passage.target, passage.to_format))
        contrasts = [
            denoising.contrast_area(
                eventio.sort_by_time(eventio.read(path, format=name, width=width, height=height))
            )
            for path, name in files
        ]
    return Cleaned(passed, removed, contrasts[0], contrasts[1])


def compare(
    recording: eventio.Recording,
    noises: Mapping[str, denoising.NoiseModel | denoising.MeasuredNoise],
    *,
    perceptron: denoising.Perceptron | None,
    out: Path | None,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[denoising.FilterCurve, ...]:
    """Measure the ROC curve of every kind of filter on every mixture, and write them down.

    Parameters
    ----------
    recording : eventio.Recording
        A clean recording, sorted by time.
    noises : mapping
        What is mixed in, by name.
    perceptron : eventio.denoising.Perceptron or None
        A perceptron to compare, too.
    out : Path or None
        Folder for `roc.csv` and `roc.png`.
    seed : int
        Seed of the noise.
    on_progress : callable, optional
        Called with the number of curves measured and to be measured.

    Returns
    -------
    tuple of eventio.denoising.FilterCurve
        The curves.
    """
    folder = None if out is None else prepared_folder(out)
    filters: dict[str, Any] = dict(denoising.filter_settings())
    if perceptron is not None:
        filters["perceptron"] = perceptron
    curves = denoising.compare_filters(recording, noises, seed=seed, filters=filters, on_progress=on_progress)
    if folder is not None:
        write_curves(curves, folder / "roc.csv")
        draw_curves(curves, folder / "roc.png")
    return curves


def write_curves(curves: Sequence[denoising.FilterCurve], path: Path) -> None:
    """Write all points of all curves.

    Parameters
    ----------
    curves : sequence of eventio.denoising.FilterCurve
        The curves.
    path : Path
        The CSV file.
    """
    with replaced_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["noise", "filter", "area", "noise_kept", "signal_kept"])
        for each in curves:
            points = zip(each.curve.noise_kept, each.curve.signal_kept, strict=True)
            for noise_kept, signal_kept in points:
                writer.writerow(
                    [
                        each.noise_name,
                        each.filter_name,
                        f"{each.curve.area:.6f}",
                        f"{noise_kept:.6f}",
                        f"{signal_kept:.6f}",
                    ]
                )


def draw_curves(curves: Sequence[denoising.FilterCurve], path: Path) -> None:
    """Draw a panel for each noise with a curve for each filter.

    Parameters
    ----------
    curves : sequence of eventio.denoising.FilterCurve
        The curves.
    path : Path
        The PNG file.
    """
    noises = list(dict.fromkeys(each.noise_name for each in curves))
    n_columns = min(3, len(noises))
    n_rows = -(-len(noises) // n_columns)
    figure = new_figure(4.2 * n_columns, 4.0 * n_rows)
    for k, noise in enumerate(noises):
        axes = figure.add_subplot(n_rows, n_columns, k + 1)
        axes.plot([0, 1], [0, 1], color="0.8", linewidth=1)
        for each in curves:
            if each.noise_name == noise:
                label = f"{each.filter_name} ({each.curve.area:.3f})"
                axes.plot(each.curve.noise_kept, each.curve.signal_kept, linewidth=1.2, label=label)
        axes.set_title(noise, fontsize=9)
        axes.set_xlabel("noise kept", fontsize=8)
        axes.set_ylabel("signal kept", fontsize=8)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.legend(fontsize=6, loc="lower right", title="area under the curve", title_fontsize=6)
    with replaced_file(path) as temporary:
        save(figure, temporary)


def areas(curves: Sequence[denoising.FilterCurve]) -> dict[str, dict[str, float]]:
    """Give the areas by noise, then filter.

    Parameters
    ----------
    curves : sequence of eventio.denoising.FilterCurve
        The curves.

    Returns
    -------
    dict of str to dict of str to float
        The areas.
    """
    found: dict[str, dict[str, float]] = {}
    for each in curves:
        found.setdefault(each.noise_name, {})[each.filter_name] = float(np.round(each.curve.area, 6))
    return found
