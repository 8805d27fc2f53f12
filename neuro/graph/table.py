"""A graph as a small aligned table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuro.graph.execution import Clocked

if TYPE_CHECKING:
    from neuro.graph.graph import Graph

__all__ = ["graph_table"]


def graph_table(graph: Graph) -> str:
    """Return one line per node: name, type, output shape, number of parameters, inputs."""
    rows = [("node", "type", "output", "parameters", "inputs")]
    for name in graph.order:
        node = graph.nodes[name]
        shape = " x ".join(map(str, graph.shapes[name]))
        sources = ", ".join(graph.predecessors(name))
        rows.append((name, type(node).__name__, shape, str(node.n_parameters), sources))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    timing = f"clocked, dt_s = {graph.dt_s:g}" if isinstance(graph.execution, Clocked) else "continuous"
    grid = "" if graph.weight_grid is None else f", weight_grid = {graph.weight_grid:g}"
    total = sum(node.n_parameters for node in graph.nodes.values())
    lines = [f"Graph({timing}{grid}, {len(graph.nodes)} nodes, {total} parameters)"]
    for name, kind, shape, count, sources in rows:
        cells = (name.ljust(widths[0]), kind.ljust(widths[1]), shape.ljust(widths[2]), count.rjust(widths[3]))
        lines.append(("  " + "  ".join((*cells, sources))).rstrip())
    return "\n".join(lines)
