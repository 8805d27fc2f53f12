"""Chips of one's own: targets and price tables from TOML files."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from hw.errors import TargetError
from hw.targets.chips import TARGETS
from hw.targets.prices import PriceTable
from hw.targets.target import Limit, Target

__all__ = ["load_target", "find_target"]

_TOP = {"name", "based_on", "profile", "limits", "prices"}
_PRICE = {"name", "source", "grade", "energy_j", "time_s", "barrier_s", "not_priced"}


def find_target(name: str | os.PathLike[str] | Target) -> Target:
    """Return a target by its name, or read it from a TOML file.

    Parameters
    ----------
    name : str, path or Target
        'loihi1', 'loihi2', the path of a file that ends in ``.toml``, or a target, which is returned.

    Returns
    -------
    Target
        The chip.

    Raises
    ------
    TargetError
        If there is no such target.

    Examples
    --------
    >>> find_target("loihi2")["compartments"]
    8192
    """
    if isinstance(name, Target):
        return name
    if str(name) in TARGETS:
        return TARGETS[str(name)]
    if str(name).endswith(".toml"):
        return load_target(name)
    raise TargetError(
        f"there is no target {str(name)!r}; take {', '.join(TARGETS)} or the path of a TOML file"
    )


def load_target(path: str | os.PathLike[str]) -> Target:
    """Read a target from a TOML file.

    The file has a `name`, optionally `based_on` (a known target whose limits and arithmetic hold where the file says
    nothing; its price tables hold unless the file brings its own) and `profile`, tables ``[limits.NAME]`` with `value`
    and `source`, and any number of ``[[prices]]`` with `name`, `source`, `grade`, tables `energy_j` and `time_s`,
    optionally `barrier_s` (pairs of tiles and seconds) and `not_priced`.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Target
        The chip. Limits from the file have the grade 'user'.

    Raises
    ------
    TargetError
        If the file cannot be read, is no TOML, or says something unknown or wrong; the message names file and entry.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise TargetError(f"{path}: cannot be read ({err}); give the path of a TOML file") from err
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as err:
        raise TargetError(f"{path}: is no TOML file: {err}") from err
    try:
        return _target(content)
    except TargetError as err:
        raise TargetError(f"{path}: {err}") from err


def _target(content: dict[str, Any]) -> Target:
    _check_names("the file", content, _TOP)
    base = content.get("based_on")
    if base is not None and not (isinstance(base, str) and base in TARGETS):
        raise TargetError(f"based_on must be one of {', '.join(TARGETS)}, got {base!r}")
    known = None if base is None else TARGETS[base]
    limits = {} if known is None else dict(known.limits)
    for limit, entry in _table("limits", content.get("limits", {})).items():
        limits[limit] = _limit(limit, entry)
    prices = content.get("prices")
    if prices is None:
        tables = () if known is None else known.prices
    elif isinstance(prices, list):
        tables = tuple(_prices(entry) for entry in prices)
    else:
        raise TargetError("prices must be written as [[prices]], one for each table")
    name = content.get("name")
    if not isinstance(name, str):
        raise TargetError(f"name must be text, got {name!r}")
    profile = content.get("profile", "lava" if known is None else known.profile)
    if not isinstance(profile, str):
        raise TargetError(f"profile must be 'lava' or 'loihi1', got {profile!r}")
    return Target(name, profile, limits, tables)


def _limit(name: str, entry: object) -> Limit:
    entry = _table(f"limits.{name}", entry)
    _check_names(f"limits.{name}", entry, {"value", "source"})
    if "value" not in entry or "source" not in entry:
        raise TargetError(f"limits.{name} needs a value and a source")
    if not isinstance(entry["source"], str):
        raise TargetError(f"limits.{name}: source must be text, got {entry['source']!r}")
    try:
        return Limit(entry["value"], entry["source"], "user")
    except TargetError as err:
        raise TargetError(f"limits.{name}: {err}") from err


def _prices(entry: object) -> PriceTable:
    entry = _table("prices", entry)
    _check_names("prices", entry, _PRICE)
    missing = sorted({"name", "source", "grade", "energy_j"} - set(entry))
    if missing:
        raise TargetError(f"prices: {missing[0]} is missing")
    name = entry["name"]
    for key in ("name", "source", "grade"):
        if not (isinstance(entry[key], str) and entry[key]):
            raise TargetError(f"prices {name!r}: {key} must be text, got {entry[key]!r}")
    not_priced = entry.get("not_priced", [])
    if not (isinstance(not_priced, list) and all(isinstance(text, str) for text in not_priced)):
        raise TargetError(f"prices {name!r}: not_priced must be a list of texts, got {not_priced!r}")
    energy = _numbers(name, "energy_j", entry["energy_j"])
    times = _numbers(name, "time_s", entry.get("time_s", {}))
    barrier = _barrier(name, entry.get("barrier_s", []))
    return PriceTable(name, entry["source"], entry["grade"], energy, times, barrier, tuple(not_priced))


def _numbers(name: str, what: str, entry: object) -> dict[str, float]:
    found = {}
    for term, value in _table(f"prices {name!r}: {what}", entry).items():
        found[term] = _number(f"prices {name!r}: {what}.{term}", value)
    return found


def _number(place: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TargetError(f"{place} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError as err:
        raise TargetError(f"{place} must be a number below 1e308") from err


def _barrier(name: str, entry: object) -> tuple[tuple[int, float], ...]:
    place = f"prices {name!r}: barrier_s"
    if not isinstance(entry, list):
        raise TargetError(f"{place} must be a list of pairs [tiles, seconds], got {entry!r}")
    found = []
    for pair in entry:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise TargetError(f"{place} must be a list of pairs [tiles, seconds], got {pair!r}")
        if isinstance(pair[0], bool) or not isinstance(pair[0], int):
            raise TargetError(f"{place}: a number of tiles must be whole, got {pair[0]!r}")
        found.append((pair[0], _number(place, pair[1])))
    return tuple(found)


def _table(place: str, entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise TargetError(f"{place} must be a table, got {entry!r}")
    return entry


def _check_names(place: str, entry: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise TargetError(
            f"{place} has an unknown entry {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
