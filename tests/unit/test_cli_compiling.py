"""What the terminal says while kernels are compiled."""

from __future__ import annotations

import sys
import time

import numba
import pytest

from spikeloom import compiling
from spikeloom.compiling import told_of_compiling


def _compile_two() -> None:
    time.sleep(0.1)  # in which numba is found
    inner = numba.njit(lambda value: value + 1)
    numba.njit(lambda value: inner(value) * 2)(1.0)
    numba.njit(lambda value: value + 3)(1.0)


def _pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(compiling, "_LOOK_S", 0.001)


def test_long_compiling_is_told_once_and_how_long_it_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend_terminal(monkeypatch)
    monkeypatch.setattr(compiling, "_PATIENCE_S", 0.0)
    with told_of_compiling():
        _compile_two()
    first, last = capsys.readouterr().err.splitlines()
    assert first == "compiling for this machine: up to a minute, once"
    assert last.startswith("compiled for ")


def test_short_compiling_is_not_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend_terminal(monkeypatch)
    monkeypatch.setattr(compiling, "_PATIENCE_S", 1e6)
    with told_of_compiling():
        _compile_two()
    assert not capsys.readouterr().err


def test_nothing_is_told_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_PATIENCE_S", 0.0)
    with told_of_compiling():
        _compile_two()
    assert not capsys.readouterr().err
