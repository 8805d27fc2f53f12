"""How good a filter is: against labels (ROC curve) and without them (contrast of edges)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_sorted, check_whole
from eventio.denoising.filters import Filter
from eventio.denoising.noise import Labelled
from eventio.errors import ArgumentError
from eventio.recording import Recording

INTERVALS_US = (2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
MOST_FRAMES = 50
BLUR_DEVIATION = 2.0
WHITE = 255.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class RocCurve:
    """
    Signal kept against noise kept.

    Attributes
    ----------
    noise_kept, signal_kept : ndarray
        float64, shape (n_points,): share of the noise and of the signal that stays, from (0, 0) to (1, 1).
    area : float
        Area under the curve, by trapezoids; 0.5 is chance.
    """

    noise_kept: Floats
    signal_kept: Floats
    area: float


def measure_roc(labelled: Labelled, filters: Sequence[Filter]) -> RocCurve:
    """
    Run one kind of filter at many settings.

    Parameters
    ----------
    labelled : Labelled
        Signal and noise, at least one event of each.
    filters : sequence of Filter
        The settings; their order does not matter.

    Returns
    -------
    RocCurve
        A point for each setting, sorted, with both ends.

    Raises
    ------
    ArgumentError
        There is no signal, no noise, or no filter.
    """
    signal = check_labels(labelled)
    if not filters:
        raise ArgumentError("give at least one filter")
    points = []
    for each in filters:
        is_kept = each.mark(labelled.recording)
        points.append((np.count_nonzero(is_kept & ~signal), np.count_nonzero(is_kept & signal)))
    return make_curve(np.array(sorted(points)), signal)


def roc_from_scores(labelled: Labelled, scores: npt.ArrayLike) -> RocCurve:
    """
    Give the curve of a filter that keeps every event whose score exceeds a threshold, for all thresholds.

    Parameters
    ----------
    labelled : Labelled
        Signal and noise, at least one event of each.
    scores : array_like
        Shape (n_events,), larger for signal.

    Returns
    -------
    RocCurve
        A point for each different score.

    Raises
    ------
    ArgumentError
        There is no signal, no noise, or another number of scores, or one of them is no number.
    """
    signal = check_labels(labelled)
    values = np.asarray(scores, np.float64)
    if values.shape != signal.shape or np.isnan(values).any():
        raise ArgumentError(
            f"scores must be {len(signal)} numbers, one for each event, got shape {values.shape} "
            f"with {int(np.isnan(values).sum())} that are no number"
        )
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=np.nan) != 0)
    kept_signal = np.cumsum(signal[order])[ends]
    return make_curve(np.stack([ends + 1 - kept_signal, kept_signal], axis=1), signal)


def check_labels(labelled: Labelled) -> npt.NDArray[np.bool_]:
    """
    Refuse labels of one kind only.

    Parameters
    ----------
    labelled : Labelled
        The labels.

    Returns
    -------
    ndarray
        bool, True for signal.

    Raises
    ------
    ArgumentError
        There is no signal or no noise.
    """
    n_signal = int(np.count_nonzero(labelled.is_signal))
    n_noise = len(labelled.is_signal) - n_signal
    if not n_signal or not n_noise:
        raise ArgumentError(
            f"a ROC curve needs signal and noise, got {n_signal} and {n_noise} events; see inject_noise"
        )
    return labelled.is_signal


def make_curve(points: npt.NDArray[np.int64], signal: npt.NDArray[np.bool_]) -> RocCurve:
    """
    Turn counts of kept events into a curve.

    Parameters
    ----------
    points : ndarray
        Numbers of noise and signal events kept, shape (n_points, 2), sorted.
    signal : ndarray
        bool, the labels.

    Returns
    -------
    RocCurve
        With both ends.
    """
    n_signal = int(np.count_nonzero(signal))
    counts = np.concatenate([[[0, 0]], points, [[len(signal) - n_signal, n_signal]]])
    noise_kept = counts[:, 0] / (len(signal) - n_signal)
    signal_kept = counts[:, 1] / n_signal
    area = float(np.sum(np.diff(noise_kept) * (signal_kept[1:] + signal_kept[:-1]) / 2))
    return RocCurve(noise_kept, signal_kept, area)


def measure_contrast(recording: Recording, *, interval_us: int, most_frames: int = MOST_FRAMES) -> float:
    """
    Measure how clearly the events of short intervals draw edges.

    Each interval gives a picture, white where a pixel has an event; it is smoothed (a Gaussian of 2 pixels over
    5x5), and its contrast is the standard deviation of the length of its Sobel gradient. Intervals without events
    do not count.

    Parameters
    ----------
    recording : Recording
        At least one event, sorted by time.
    interval_us : int
        Length of an interval in microseconds, at least 1.
    most_frames : int
        Of more intervals than this, so many are taken at equal distances.

    Returns
    -------
    float
        The mean contrast, for pictures of 0 and 255.

    Raises
    ------
    ArgumentError
        The recording is empty or not sorted, or a number is out of its range.
    """
    check_whole("interval_us", interval_us, unit=" us")
    check_whole("most_frames", most_frames)
    check_sorted(recording)
    step = (recording.t - recording.t[0]) // interval_us
    starts = np.flatnonzero(np.diff(step, prepend=-1))
    stops = np.append(starts[1:], len(step))
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(most_frames, len(starts))).round().astype(int))
    contrasts = []
    for k in chosen:
        part = recording.events[starts[k] : stops[k]]
        picture = np.zeros((recording.height, recording.width))
        picture[part["y"], part["x"]] = WHITE
        contrasts.append(edge_contrast(picture))
    return float(np.mean(contrasts))


def edge_contrast(picture: Floats) -> float:
    """
    Smooth a picture and give the standard deviation of its gradient's length.

    Parameters
    ----------
    picture : ndarray
        float64, shape (height, width); beyond its edge the outermost pixels are repeated.

    Returns
    -------
    float
        The contrast.
    """
    taps = np.exp(-0.5 * (np.arange(-2, 3) / BLUR_DEVIATION) ** 2)
    taps /= taps.sum()
    smooth = correlate(correlate(picture, taps, axis=0), taps, axis=1)
    rise, mean = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 2.0, 1.0])
    along_x = correlate(correlate(smooth, rise, axis=1), mean, axis=0)
    along_y = correlate(correlate(smooth, rise, axis=0), mean, axis=1)
    return float(np.hypot(along_x, along_y).std())


def correlate(picture: Floats, taps: Floats, *, axis: int) -> Floats:
    """
    Weight the neighbours along one axis.

    Parameters
    ----------
    picture : ndarray
        float64, two dimensions.
    taps : ndarray
        float64, an odd number of weights.
    axis : int
        0 or 1.

    Returns
    -------
    ndarray
        Of the picture's shape.
    """
    half = len(taps) // 2
    margins = [(half, half) if k == axis else (0, 0) for k in range(2)]
    padded = np.pad(picture, margins, mode="edge")
    n = picture.shape[axis]
    total = np.zeros_like(picture)
    for k, tap in enumerate(taps):
        if tap != 0:
            total += tap * (padded[k : k + n] if axis == 0 else padded[:, k : k + n])
    return total


def contrast_area(
    recording: Recording, *, intervals_us: Sequence[int] = INTERVALS_US, most_frames: int = MOST_FRAMES
) -> float:
    """
    Score a recording without labels: the area under its contrast over the length of the interval (AOCC).

    Noise blurs edges and lowers the contrast; so does a filter that takes signal away. The larger of two areas of
    the same recording, filtered in two ways, says which filter did better.

    Parameters
    ----------
    recording : Recording
        At least one event, sorted by time.
    intervals_us : sequence of int
        At least two lengths in microseconds, increasing.
    most_frames : int
        As in `measure_contrast`.

    Returns
    -------
    float
        The area in contrast * seconds.

    Raises
    ------
    ArgumentError
        The recording is empty or not sorted, or the intervals are not.

    Notes
    -----
    Source: "A label-free and non-monotonic metric for evaluating denoising in event cameras" (area of the continuous
    contrast curve), 2024. We differ: few intervals and pictures are sampled, evenly.
    """
    lengths = np.array(intervals_us, np.int64)
    if len(lengths) < 2 or (np.diff(lengths) <= 0).any():
        raise ArgumentError(
            f"intervals_us must be at least two increasing lengths, got {tuple(intervals_us)}"
        )
    contrasts = np.array(
        [measure_contrast(recording, interval_us=int(each), most_frames=most_frames) for each in lengths]
    )
    return float(np.sum(np.diff(lengths) * (contrasts[1:] + contrasts[:-1]) / 2) / 1e6)
