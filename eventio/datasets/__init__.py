"""Labelled collections of recordings."""

from eventio.datasets.collection import Collection, Sample
from eventio.datasets.folders import folder
from eventio.datasets.handwritten import digits

__all__ = ["Collection", "Sample", "digits", "folder"]
