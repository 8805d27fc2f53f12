"""Configurations refuse what cannot be trained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from neuro.errors import InputError, MissingPackageError
from neuro.training import Augmentation, ConvLayer, NetworkConfig, Recipe
from neuro.training.packages import require


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: NetworkConfig(n_classes=0), r"n_classes must be an integer >= 1, got 0"),
        (lambda: NetworkConfig(tau_mem_s=-0.01), r"tau_mem_s must be a finite number > 0, got -0.01"),
        (lambda: NetworkConfig(dt_s=float("nan")), r"dt_s must be a finite number > 0, got nan"),
        (lambda: NetworkConfig(hidden=(64, 0)), r"hidden must be an integer >= 1, got 0"),
        (lambda: NetworkConfig(dropout=1.0), r"dropout must lie within 0..1, below 1, got 1.0"),
        (lambda: NetworkConfig(reset="clamp"), r"reset must be 'value', got 'clamp'"),
        (lambda: NetworkConfig(input_shape=(2, 0, 3)), r"input_shape must be \(channels, rows, columns\)"),
        (lambda: ConvLayer(8, stride=0), r"stride must be an integer >= 1, got 0"),
        (lambda: Augmentation(scale=2.0), r"scale must lie within 0..1, got 2.0"),
        (lambda: Augmentation(shift_px=-1), r"shift_px must be >= 0"),
        (lambda: Recipe(learning_rate=-1.0), r"learning_rate must be a finite number >= 0"),
        (lambda: Recipe(every_step_weight=1.5), r"every_step_weight must lie within 0..1, got 1.5"),
        (lambda: Recipe(validation_kept=()), r"validation_kept must be shares in \(0, 1\]"),
        (lambda: Recipe(batch_size=0), r"batch_size must be an integer >= 1"),
    ],
)
def test_values_out_of_range_are_named(make: Callable[[], object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        make()


def test_score_units_never_vanish() -> None:
    assert NetworkConfig(n_frames=20, attention_reduction=5).n_score_units == 4
    assert NetworkConfig(n_frames=3, attention_reduction=16).n_score_units == 1


def test_a_missing_package_is_named_with_its_pip_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "norse.torch", None)
    with pytest.raises(
        MissingPackageError, match=r"'norse'.*pip install --no-deps norse==1\.1\.0 nirtorch==2\.6"
    ):
        require("norse.torch")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"'torch'.*pip install torch==2\.13\.0"):
        require("torch")


def test_importing_neuro_does_not_import_torch() -> None:
    code = "import sys, neuro; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
