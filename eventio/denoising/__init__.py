"""Filters that take noise out of recordings, noise to test them with, and scores."""

from eventio.denoising.comparison import FilterCurve, compare_filters, filter_settings
from eventio.denoising.filters import Denoised, Filter, denoise
from eventio.denoising.measured import MeasuredNoise
from eventio.denoising.neighbours import (
    BackgroundActivity,
    DoubleWindow,
    RowsAndColumns,
    SpatiotemporalCorrelation,
)
from eventio.denoising.noise import Labelled, NoiseModel, inject_noise, make_noise
from eventio.denoising.perceptron import Perceptron
from eventio.denoising.pixels import Flicker, HotPixels, Refractory, find_hot_pixels
from eventio.denoising.scoring import RocCurve, contrast_area, measure_contrast, measure_roc, roc_from_scores

__all__ = [
    "denoise",
    "Denoised",
    "Filter",
    "BackgroundActivity",
    "SpatiotemporalCorrelation",
    "RowsAndColumns",
    "DoubleWindow",
    "Refractory",
    "Flicker",
    "HotPixels",
    "find_hot_pixels",
    "Perceptron",
    "NoiseModel",
    "MeasuredNoise",
    "inject_noise",
    "make_noise",
    "Labelled",
    "measure_roc",
    "roc_from_scores",
    "RocCurve",
    "measure_contrast",
    "contrast_area",
    "compare_filters",
    "filter_settings",
    "FilterCurve",
]
