"""Event Stream 2 of DVS, ATIS and colour cameras, and of generic events."""

from eventio.companions import EXPOSURE_DTYPE
from eventio.formats.es.codec import NAME, SUFFIXES, TITLE, EsSource, matches
from eventio.formats.es.encoding import encode
from eventio.formats.es.streams import COLOUR_DTYPE
from eventio.formats.es.streams import KINDS as STREAMS

__all__ = [
    "NAME",
    "TITLE",
    "SUFFIXES",
    "STREAMS",
    "COLOUR_DTYPE",
    "EXPOSURE_DTYPE",
    "matches",
    "EsSource",
    "encode",
]
