"""Chips as drawings: the mesh with a colour for each core, and the load of the links between tiles."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.mapping import Mapping

__all__ = ["Shade", "draw_chip", "link_loads", "draw_bars", "colour"]

Floats = NDArray[np.float64]
_CELL, _STREET = 15, 12


@dataclass(frozen=True, eq=False)
class Shade:
    """What colours the cores of a drawing.

    Attributes
    ----------
    title : str
        The caption.
    values : float64, shape (n_cores,)
        From 0 (light) to 1 (dark).
    labels : list of str
        What each core's value is, in words.
    """

    title: str
    values: Floats
    labels: list[str]


def colour(share: float) -> str:
    """Return the colour of a share from 0 to 1.

    Examples
    --------
    >>> colour(0.0), colour(1.0)
    ('hsl(205,75%,93%)', 'hsl(230,75%,28%)')
    """
    share = min(max(share, 0.0), 1.0)
    return f"hsl({205 + 25 * share:.0f},75%,{93 - 65 * share:.0f}%)"


def link_loads(mapping: Mapping) -> dict[tuple[int, int, int, int, int], float]:
    """Return messages per step over each link of the meshes: along the row first, then along the column.

    Parameters
    ----------
    mapping : Mapping
        What is placed.

    Returns
    -------
    dict of (chip, column, row, column, row) to float
        From the left or upper tile to its neighbour, both directions added; messages to other chips are left out.
    """
    place, messages = mapping.placement, mapping.messages[:-1]
    found: dict[tuple[int, int, int, int, int], float] = {}
    for source, goal in zip(*np.nonzero(messages), strict=True):
        if place.chip[source] != place.chip[goal]:
            continue
        chip, count = int(place.chip[source]), float(messages[source, goal])
        x, y = int(place.column[source]), int(place.row[source])
        to_x, to_y = int(place.column[goal]), int(place.row[goal])
        for left in range(min(x, to_x), max(x, to_x)):
            key = (chip, left, y, left + 1, y)
            found[key] = found.get(key, 0.0) + count
        for upper in range(min(y, to_y), max(y, to_y)):
            key = (chip, to_x, upper, to_x, upper + 1)
            found[key] = found.get(key, 0.0) + count
    return found


def draw_chip(
    mapping: Mapping, chip: int, shade: Shade, links: dict[tuple[int, int, int, int, int], float]
) -> str:
    """Draw a chip: tiles of the mesh with their cores, and links as wide as they are busy.

    Parameters
    ----------
    mapping : Mapping
        What is placed.
    chip : int
        Number of the chip.
    shade : Shade
        What colours the cores.
    links : dict
        Of :func:`link_loads`.

    Returns
    -------
    str
        A figure in HTML.
    """
    target, placement = mapping.target, mapping.placement
    per_tile, columns = target["cores_per_tile"], target["mesh_columns"]
    n_rows = -(-target["cores_per_chip"] // (per_tile * columns))
    side = int(np.ceil(np.sqrt(per_tile)))
    tile = side * _CELL
    pitch = tile + _STREET

    def corner(column: int, row: int) -> tuple[int, int]:
        return column * pitch + _STREET // 2, row * pitch + _STREET // 2

    parts = _links(chip, links, lambda column, row: tuple(z + tile // 2 for z in corner(column, row)))
    for row in range(n_rows):
        for column in range(columns):
            x, y = corner(column, row)
            for slot in range(per_tile):
                if (row * columns + column) * per_tile + slot < target["cores_per_chip"]:
                    left, top = x + slot % side * _CELL, y + slot // side * _CELL
                    parts.append(_square(left, top, 'fill="#fff" stroke="#d3dae3"'))
    for core in np.flatnonzero(placement.chip == chip):
        slot = int(placement.slot[core])
        x, y = corner(int(placement.column[core]), int(placement.row[core]))
        title = f"<title>core {core}: {html.escape(shade.labels[core])}</title>"
        fill = f'fill="{colour(float(shade.values[core]))}"'
        parts.append(_square(x + slot % side * _CELL, y + slot // side * _CELL, fill, title))
    caption = html.escape(f"chip {chip}: {shade.title}")
    width, height = columns * pitch, n_rows * pitch
    drawing = (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{caption}">{"".join(parts)}</svg>'
    )
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


def _square(x: int, y: int, attributes: str, inside: str = "") -> str:
    size = _CELL - 1
    return f'<rect x="{x}" y="{y}" width="{size}" height="{size}" rx="2" {attributes}>{inside}</rect>'


def _links(chip: int, links: dict[tuple[int, int, int, int, int], float], middle: object) -> list[str]:
    assert callable(middle)
    busiest = max(links.values(), default=0.0)
    parts = []
    for (on, column, row, other_column, other_row), load in sorted(links.items()):
        if on != chip or not busiest:
            continue
        (x, y), (to_x, to_y) = middle(column, row), middle(other_column, other_row)
        width = 1 + 9 * load / busiest
        title = f"<title>link ({column}, {row}) - ({other_column}, {other_row}): {load:,.1f} messages/step</title>"
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="#e2903c" stroke-opacity="0.75" '
            f'stroke-width="{width:.1f}">{title}</line>'
        )
    return parts


def draw_bars(title: str, values: Floats, labels: list[str], unit: str, line: float | None = None) -> str:
    """Draw values as bars side by side, the largest as high as the drawing.

    Parameters
    ----------
    title : str
        The caption.
    values : float64, shape (n,)
        Not negative.
    labels : list of str
        What each bar is.
    unit : str
        Of the values.
    line : float, optional
        A value to mark across the drawing.

    Returns
    -------
    str
        A figure in HTML.
    """
    if not values.size:
        return ""
    height, width = 130, max(2, min(18, 900 // values.size))
    most = max(float(values.max()), line or 0.0) or 1.0
    parts = []
    for k, (value, label) in enumerate(zip(values.tolist(), labels, strict=True)):
        size = height * value / most
        parts.append(
            f'<rect x="{40 + k * width}" y="{6 + height - size:.1f}" width="{max(1, width - 1)}" height="{size:.1f}" '
            f'fill="#3f6fb5"><title>{html.escape(label)}: {value:.4g} {unit}</title></rect>'
        )
    total = 46 + values.size * width
    if line is not None:
        y = 6 + height - height * line / most
        parts.append(f'<line x1="40" x2="{total}" y1="{y:.1f}" y2="{y:.1f}" stroke="#c0392b"/>')
    for share in (0.0, 0.5, 1.0):
        y = 10 + height - height * share
        parts.append(
            f'<text x="36" y="{y:.0f}" text-anchor="end" font-size="10" fill="#5b6776">{most * share:.3g}</text>'
        )
    caption = html.escape(f"{title} ({unit})")
    drawing = f'<svg width="{total}" height="{height + 14}" role="img" aria-label="{caption}">{"".join(parts)}</svg>'
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"
