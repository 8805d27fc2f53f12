"""Kernels are numbers only: what import-linter cannot say (it has no whitelist) is checked on the syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNELS = sorted(
    [
        *ROOT.glob("neuro/kernels/*.py"),
        *ROOT.glob("neuro/training/_kernels.py"),
        *ROOT.glob("eventio/**/_kernels*.py"),
        *ROOT.glob("hw/_kernels*.py"),
    ]
)
ALLOWED = {
    "numpy",
    "numba",
    "llvmlite",
    "math",
    "typing",
    "collections",
    "functools",
    "operator",
    "sys",
    "__future__",
}


KEYS = {"hashlib", "pathlib"}  # of the digest of the sources, which is no kernel


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_there_are_kernels() -> None:
    assert any("neuro" in path.parts for path in KERNELS)
    assert any("eventio" in path.parts for path in KERNELS)


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: str(path.relative_to(ROOT)))
def test_kernels_import_only_numpy_and_numba_with_its_llvmlite(path: Path) -> None:
    own = ("neuro.kernels", "eventio", "hw")
    allowed = ALLOWED | (KEYS if path.name == "sources.py" else set())
    foreign = {
        name
        for name in _imported(ast.parse(path.read_text()))
        if name.split(".")[0] not in allowed and not (name.startswith(own) and "kernels" in name)
    }
    assert not foreign


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: str(path.relative_to(ROOT)))
def test_kernels_never_use_fastmath_and_are_cached(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"njit", "numba.njit", "nb.njit"}:
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert "fastmath" not in keywords
            assert keywords.get("cache") == "True"


def test_kernels_of_neuro_are_read_quickly() -> None:
    """``njit`` comes from `neuro.kernels.options`, which reads the cache without loading the compiler."""
    found = [
        path.name
        for path in ROOT.glob("neuro/kernels/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "numba"
        and {alias.name for alias in node.names} & {"njit", "jit"}
    ]
    assert not found
