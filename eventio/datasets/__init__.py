"""Labelled collections of recordings."""

from eventio.datasets.cache import SampleCache
from eventio.datasets.collection import Collection, Sample
from eventio.datasets.folders import folder
from eventio.datasets.gesture import dvs_gesture
from eventio.datasets.handwritten import digits
from eventio.datasets.published import asl_dvs, cifar10_dvs, dvs_sign, ncaltech101, ncars, nmnist
from eventio.datasets.reading import read_sample
from eventio.datasets.spoken import shd, ssc
from eventio.datasets.stored_frames import FrameWriter, StoredFrames
from eventio.datasets.tonic_data import recording_from_tonic

__all__ = [
    "Collection",
    "Sample",
    "read_sample",
    "SampleCache",
    "FrameWriter",
    "StoredFrames",
    "digits",
    "folder",
    "nmnist",
    "ncaltech101",
    "ncars",
    "cifar10_dvs",
    "dvs_gesture",
    "dvs_sign",
    "asl_dvs",
    "shd",
    "ssc",
    "recording_from_tonic",
]
