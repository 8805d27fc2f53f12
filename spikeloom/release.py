"""Which release this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Give the version of the installed distribution.

    Returns
    -------
    str
        Such as '0.1.0', or 'not installed' when the sources are run without being installed.

    Examples
    --------
    >>> len(release()) > 0
    True
    """
    try:
        return version("spikeloom")
    except PackageNotFoundError:
        return "not installed"
