"""Settings shared by all tests: a kernel cache that follows the sources, and where real recordings are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent


def _kernel_cache() -> str:
    """Numba's cache does not notice an edited function in another file: give each state of the sources its own."""
    digest = hashlib.sha256()
    for package in ("neuro", "eventio", "hw"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "training" not in path.parts:
                digest.update(path.read_bytes())
    return str(ROOT / ".numba_cache" / digest.hexdigest()[:16])


os.environ.setdefault("NUMBA_CACHE_DIR", _kernel_cache())
os.environ.setdefault("MPLBACKEND", "Agg")

_slow_is_fine = [HealthCheck.too_slow]  # the first example compiles kernels
settings.register_profile(
    "spikeloom", deadline=None, max_examples=40, print_blob=True, suppress_health_check=_slow_is_fine
)
# The same examples each time where a change is judged; new ones at every run on a developer's machine.
settings.register_profile("ci", parent=settings.get_profile("spikeloom"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "spikeloom")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real recordings; the test is skipped where there is none."""
    path = Path(os.environ.get("SPIKELOOM_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "MANIFEST.md").is_file():
        pytest.skip(f"no real recordings in {path}: set SPIKELOOM_DATA to the folder that holds MANIFEST.md")
    return path
