"""Filters as people write them on the command line: ``baf:window_us=2000``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import eventio
from eventio import denoising
from spikeloom.errors import UserError

_KINDS: dict[str, Callable[..., denoising.Filter]] = {
    "baf": denoising.BackgroundActivity,
    "stcf": denoising.SpatiotemporalCorrelation,
    "rows-columns": denoising.RowsAndColumns,
    "double-window": denoising.DoubleWindow,
    "refractory": denoising.Refractory,
    "flicker": denoising.Flicker,
    "hot-pixels": denoising.HotPixels,
    "perceptron": denoising.Perceptron.load,
}
_WORDS: dict[str, dict[str, Callable[[str], object]]] = {
    "baf": {"window_us": int},
    "stcf": {"window_us": int, "n_supporting": int},
    "rows-columns": {"window_us": int},
    "double-window": {"n_events": int, "distance": int, "n_supporting": int},
    "refractory": {"period_us": int},
    "flicker": {"lowest_hz": float, "highest_hz": float, "n_periods": int},
    "hot-pixels": {"n_deviations": float, "times_around": float},
    "perceptron": {"path": str, "tau_us": int, "threshold": float},
}
_DEFAULTS = {"window_us": 2000, "period_us": 1000}


def parse_filter(text: str) -> denoising.Filter:
    """Make the filter that a text names.

    Parameters
    ----------
    text : str
        KIND or KIND:KEY=VALUE,KEY=VALUE; keys are the parameters of the filter in `eventio.denoising`.

    Returns
    -------
    eventio.denoising.Filter
        The filter; window_us is 2000 and period_us 1000 where the text says nothing.

    Raises
    ------
    UserError
        The text names no filter, or a parameter that the filter does not have, or a value is out of its range.

    Examples
    --------
    >>> parse_filter("stcf:window_us=5000,n_supporting=3")
    SpatiotemporalCorrelation(window_us=5000, n_supporting=3)
    """
    kind, _, rest = text.partition(":")
    if kind not in _KINDS:
        raise UserError(f"--filter {text}: there is no filter '{kind}'; choose one of {', '.join(_KINDS)}")
    words = _WORDS[kind]
    given: dict[str, object] = {key: value for key, value in _DEFAULTS.items() if key in words}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if key not in words or not equals:
            raise UserError(f"--filter {text}: '{part}' is no setting of {kind}; it has {', '.join(words)}")
        try:
            given[key] = words[key](value)
        except ValueError as err:
            raise UserError(
                f"--filter {text}: {key} must be {'a whole number' if words[key] is int else 'a number'}, got '{value}'"
            ) from err
    if kind == "perceptron":
        if "path" not in given:
            raise UserError(f"--filter {text}: say where the weights are, perceptron:path=FILE.h5 or FILE.pb")
        return denoising.Perceptron.load(given.pop("path"), **given)  # type: ignore[arg-type]
    try:
        return _KINDS[kind](**given)
    except eventio.ArgumentError as err:
        raise UserError(f"--filter {text}: {err}") from err


def describe(one: denoising.Filter) -> str:
    """Say what a filter is, with its settings.

    Parameters
    ----------
    one : eventio.denoising.Filter
        The filter.

    Returns
    -------
    str
        Such as 'SpatiotemporalCorrelation(window_us=5000, n_supporting=3)'; arrays are left out.
    """
    values = {each.name: getattr(one, each.name) for each in fields(one)}  # type: ignore[arg-type]
    shown = ", ".join(f"{name}={value!r}" for name, value in values.items() if isinstance(value, int | float))
    return f"{type(one).__name__}({shown})"
