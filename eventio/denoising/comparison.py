"""Filters compared on a clean recording with noise put in: a curve for each kind and each rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eventio.denoising.filters import Filter
from eventio.denoising.measured import MeasuredNoise
from eventio.denoising.neighbours import (
    BackgroundActivity,
    DoubleWindow,
    RowsAndColumns,
    SpatiotemporalCorrelation,
)
from eventio.denoising.noise import NoiseModel, inject_noise
from eventio.denoising.perceptron import Perceptron
from eventio.denoising.pixels import HotPixels, Refractory
from eventio.denoising.scoring import RocCurve, measure_roc, roc_from_scores
from eventio.recording import Recording

WINDOWS_US = tuple(int(t) for t in np.geomspace(100, 1_000_000, 25).round())


@dataclass(frozen=True, eq=False, slots=True)
class FilterCurve:
    """
    One kind of filter on one mixture.

    Attributes
    ----------
    filter_name : str
        The kind, and what of its setting is fixed.
    noise_name : str
        The noise.
    n_signal, n_noise : int
        Events of the mixture.
    curve : RocCurve
        Signal kept against noise kept as the filter's main parameter runs from strict to lenient.
    """

    filter_name: str
    noise_name: str
    n_signal: int
    n_noise: int
    curve: RocCurve


def filter_settings() -> dict[str, tuple[Filter, ...]]:
    """
    Give each kind of filter at many settings of its main parameter.

    Returns
    -------
    dict of str to tuple of Filter
        Windows run from 0.1 ms to 1 s in 25 steps, distances from 0 to 40 pixels, deviations from 0 to 20.
    """
    windows = WINDOWS_US
    distances = (0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40)
    return {
        "background activity": tuple(BackgroundActivity(t) for t in windows),
        "correlation, 2 of 8": tuple(SpatiotemporalCorrelation(t, 2) for t in windows),
        "correlation, 3 of 8": tuple(SpatiotemporalCorrelation(t, 3) for t in windows),
        "rows and columns": tuple(RowsAndColumns(t) for t in windows),
        "double window of 36": tuple(DoubleWindow(18, d) for d in distances),
        "double window of 200": tuple(DoubleWindow(100, d) for d in distances),
        "refractory": tuple(Refractory(t) for t in windows),
        "hot pixels": tuple(HotPixels(d) for d in (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0)),
    }


def compare_filters(
    recording: Recording,
    noises: Mapping[str, NoiseModel | MeasuredNoise],
    *,
    seed: int = 0,
    filters: Mapping[str, Sequence[Filter] | Perceptron] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[FilterCurve, ...]:
    """
    Measure the ROC curve of each kind of filter on each mixture of a recording with noise.

    What the recording itself holds counts as signal: it should be clean.

    Parameters
    ----------
    recording : Recording
        The signal, sorted by time.
    noises : mapping of str to NoiseModel or MeasuredNoise
        The noises by name.
    seed : int
        Seed of the noise, >= 0.
    filters : mapping, optional
        Settings of each kind, or a Perceptron, whose threshold runs; `filter_settings()` when not given.
    on_progress : callable, optional
        Called with the number of curves measured and to be measured, after each.

    Returns
    -------
    tuple of FilterCurve
        By noise, then filter.

    Raises
    ------
    ArgumentError
        The recording is empty or not sorted, or the noise adds no event.
    """
    chosen = filter_settings() if filters is None else filters
    curves: list[FilterCurve] = []
    for noise_name, noise in noises.items():
        labelled = inject_noise(recording, noise, seed=seed)
        n_noise = len(labelled.recording) - len(recording)
        for name, settings in chosen.items():
            if isinstance(settings, Perceptron):
                curve = roc_from_scores(labelled, settings.score(labelled.recording))
            else:
                curve = measure_roc(labelled, settings)
            curves.append(FilterCurve(name, noise_name, len(recording), n_noise, curve))
            if on_progress is not None:
                on_progress(len(curves), len(noises) * len(chosen))
    return tuple(curves)
