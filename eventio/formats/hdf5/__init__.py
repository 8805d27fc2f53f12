"""HDF5 files of events."""

from eventio.formats.hdf5.codec import NAME, SUFFIXES, TITLE, Hdf5Source, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "Hdf5Source", "encode"]
