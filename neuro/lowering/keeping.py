"""Where small results of measuring and compiling are kept between processes, and how they are written: whole."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["cache_folder", "write_whole"]

_IS_LINUX = sys.platform == "linux"


def cache_folder() -> Path:
    """Return ``SPIKELOOM_CACHE``, or the user's folder for caches."""
    if os.environ.get("SPIKELOOM_CACHE"):
        return Path(os.environ["SPIKELOOM_CACHE"])
    if _IS_LINUX:  # as platformdirs finds it, whose import takes longer than reading what is kept
        return Path(
            os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.expanduser("~/.cache"), "spikeloom"
        )
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("spikeloom"))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, all or nothing; where that cannot be done it is left out, and done anew by the next process."""
    from tempfile import NamedTemporaryFile

    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("wb", dir=path.parent, suffix=".part", delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
