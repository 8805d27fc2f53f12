"""Graphs in HDF5 files."""

from __future__ import annotations

from pathlib import Path

from neuro.graph.graph import Graph


def save_graph(path: Path, graph: Graph) -> None:
    """Write a graph to a file of its own."""
    raise NotImplementedError


def load_graph(path: Path) -> Graph:
    """Read a graph from a file."""
    raise NotImplementedError
