"""NumPy's .npz archives of arrays."""

from eventio.formats.npz.codec import NAME, SUFFIXES, TITLE, NpzSource, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "NpzSource", "encode"]
