"""What an `import` brings: the core loads without torch, the front doors export what they say."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

OPTIONAL = ("torch", "norse", "tonic", "lava", "nirtorch", "onnx", "av")


@pytest.mark.parametrize("package", ["neuro", "eventio", "analog_bridge", "hw", "spikeloom", "spikeloom.cli"])
def test_the_core_never_imports_an_optional_package(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {OPTIONAL!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FRONT_DOORS = [
    "neuro",
    "neuro.graph",
    "eventio",
    "eventio.datasets",
    "eventio.denoising",
    "eventio.representations",
    "analog_bridge",
    "hw",
    "hw.targets",
    "spikeloom",
]


@pytest.mark.parametrize("package", FRONT_DOORS)
def test_every_exported_name_exists(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing
