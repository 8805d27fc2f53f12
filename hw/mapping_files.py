"""Reading a mapping's JSON again: checked as a whole, so that what is wrong is named and nothing wrong is used."""

from __future__ import annotations

import json
import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from hw.errors import MappingFileError
from hw.fixed import FixedGraph
from hw.mapping import FORMAT, VERSION
from hw.network_files import network_of

__all__ = ["read_fixed", "read_mapping"]

_TOP = {
    "target": dict, "network": dict, "cores_needed_at_least": dict, "sequential_split": dict,
    "messages_per_step": float, "messages_are_measured": bool, "resources": list, "cores": list, "routes": list,
}  # fmt: skip
_PLACES = ("chip", "tile", "core", "used", "blocks")


def read_mapping(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what :meth:`hw.Mapping.save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        Plain data as ``docs/reference/hw.md`` describes them: no core is over a limit or in the place of another, every
        neuron is in one block, every route joins cores that exist, and the network is the one of its digest.

    Raises
    ------
    MappingFileError
        If the file cannot be read, is no mapping, of another version, or damaged; the message names file and place.
    """
    return _read(path)[0]


def read_fixed(path: str | os.PathLike[str]) -> FixedGraph:
    """Read the network of a mapping that :meth:`hw.Mapping.save` wrote, to emulate it or to map it anew.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    FixedGraph
        The network in whole numbers, of the same digest; without a report of its quantisation.

    Raises
    ------
    MappingFileError
        As for :func:`read_mapping`.
    """
    return _read(path)[1]


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], FixedGraph]:
    path = Path(path)
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as err:
        raise MappingFileError(
            f"{path}: is no JSON file that can be read ({err}); map the network again"
        ) from err
    try:
        return _checked(document)
    except MappingFileError as err:
        raise MappingFileError(f"{path}: {err}; map the network again") from err


def _checked(document: Any) -> tuple[dict[str, Any], FixedGraph]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise MappingFileError("is not the mapping of a network")
    if document.get("version") != VERSION:
        raise MappingFileError(
            f"has version {document.get('version')!r}, this program reads version {VERSION}"
        )
    for key, kind in _TOP.items():
        value = document.get(key)
        if not (_is_number(value) if kind is float else isinstance(value, kind)):
            raise MappingFileError(f"{key} is missing or damaged")
    limits = document["target"].get("limits")
    resources = document["resources"]
    if not isinstance(limits, dict) or not all(
        isinstance(name, str) and _is_count(limits.get(name)) for name in resources
    ):
        raise MappingFileError("target.limits is missing or damaged")
    places: set[tuple[int, ...]] = set()
    members: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, core in enumerate(document["cores"]):
        _check_core(f"cores[{number}]", core, resources, limits)
        place = (core["chip"], *core["tile"], core["core"])
        if place in places:
            raise MappingFileError(f"cores[{number}] has the place of another core: chip, tile, core {place}")
        places.add(place)
        for block in core["blocks"]:
            _check_block(f"cores[{number}]", block, members)
    for (population, _), ranges in members.items():
        ranges.sort()
        for (_, stop), (start, _) in pairwise(ranges):
            if start < stop:
                raise MappingFileError(f"population {population!r} has neuron or pixel {start} in two blocks")
    _check_routes(document["routes"], len(document["cores"]))
    fixed = network_of(document["network"])
    _check_members(fixed, members)
    return document, fixed


def _check_members(fixed: FixedGraph, members: dict[tuple[str, str], list[tuple[int, int]]]) -> None:
    """Check that every neuron of the network is in a block; that it is in one only was checked before."""
    for name, population in fixed.populations.items():
        if population.kind == "input":
            continue
        kinds = [kind for kind in ("pixels", "neurons") if (name, kind) in members]
        if len(kinds) != 1:
            raise MappingFileError(f"population {name!r} must be in blocks of pixels, or of neurons")
        n = population.size // (population.shape[0] if kinds[0] == "pixels" else 1)
        found = members.pop((name, kinds[0]))
        if sum(stop - start for start, stop in found) != n or found[-1][1] != n:
            raise MappingFileError(
                f"population {name!r}: its blocks must have its {n} {kinds[0]}, all and no others"
            )
    if members:
        raise MappingFileError(f"there is no population {min(members)[0]!r}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 10**300 and math.isfinite(value) and value >= 0


def _check_core(place: str, core: Any, resources: list[str], limits: dict[str, int]) -> None:
    if not isinstance(core, dict) or any(key not in core for key in _PLACES):
        raise MappingFileError(f"{place} must have {', '.join(_PLACES)}")
    tile = core["tile"]
    if not (isinstance(tile, list) and len(tile) == 2 and all(map(_is_count, tile))):
        raise MappingFileError(f"{place}.tile must be a column and a row, got {tile!r}")
    for key in ("chip", "core"):
        if not _is_count(core[key]):
            raise MappingFileError(f"{place}.{key} must be a whole number >= 0, got {core[key]!r}")
    if not (isinstance(core["used"], dict) and isinstance(core["blocks"], list)):
        raise MappingFileError(f"{place}.used and .blocks must be an object and a list")
    for name in resources:
        used: Any = core["used"].get(name)
        if not _is_count(used):
            raise MappingFileError(f"{place}.used.{name} must be a whole number >= 0, got {used!r}")
        if used > limits[name]:
            raise MappingFileError(f"{place} uses {used} {name}, allowed {limits[name]}")


def _check_block(place: str, block: Any, members: dict[tuple[str, str], list[tuple[int, int]]]) -> None:
    if not isinstance(block, dict) or not isinstance(block.get("population"), str):
        raise MappingFileError(f"{place}: a block must name its population")
    name = block["population"]
    kinds = [kind for kind in ("pixels", "neurons") if kind in block]
    if len(kinds) != 1:
        raise MappingFileError(f"{place}: the block of {name!r} must have pixels or neurons")
    members.setdefault((name, kinds[0]), []).extend(_ranges(f"{place}, {name!r}", block[kinds[0]]))
    if not isinstance(block.get("axons"), list):
        raise MappingFileError(f"{place}: the block of {name!r} must list its axons")
    for axons in block["axons"]:
        kinds = [kind for kind in ("pixels", "neurons") if isinstance(axons, dict) and kind in axons]
        if len(kinds) != 1 or not isinstance(axons.get("from"), str):
            raise MappingFileError(
                f"{place}: axons of {name!r} must say from where, and which pixels or neurons"
            )
        _ranges(f"{place}, axons of {name!r}", axons[kinds[0]])
        for key in ("axons", "words"):
            if not _is_count(axons.get(key)):
                raise MappingFileError(
                    f"{place}: {key} of {name!r} must be a whole number >= 0, got {axons.get(key)!r}"
                )


def _ranges(place: str, ranges: Any) -> list[tuple[int, int]]:
    if not isinstance(ranges, list):
        raise MappingFileError(f"{place}: must be a list of ranges, got {ranges!r}")
    found = []
    for entry in ranges:
        if not (
            isinstance(entry, list) and len(entry) == 2 and all(map(_is_count, entry)) and entry[0] < entry[1]
        ):
            raise MappingFileError(f"{place}: a range must be two rising numbers, got {entry!r}")
        found.append((entry[0], entry[1]))
    return found


def _check_routes(routes: list[Any], n_cores: int) -> None:
    for number, route in enumerate(routes):
        if not (isinstance(route, list) and len(route) == 3):
            raise MappingFileError(f"routes[{number}] must be from, to and messages, got {route!r}")
        source, goal, count = route
        for end in (source, goal):
            if not (_is_count(end) and end < n_cores) and not (end == "host" and end is source):
                raise MappingFileError(
                    f"routes[{number}] joins {source!r} and {goal!r}; there are {n_cores} cores"
                )
        if not _is_number(count):
            raise MappingFileError(f"routes[{number}] must have a number of messages >= 0, got {count!r}")
