"""Event Stream 2 of DVS and ATIS cameras."""

from eventio.formats.es.codec import NAME, SUFFIXES, TITLE, EsSource, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "EsSource", "encode"]
