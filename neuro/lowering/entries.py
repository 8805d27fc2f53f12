"""Kernels that a process calls by machine code kept on disk, without loading numba.

An `Entry` is called like the kernel that it names. Its first call with arguments of a kind looks for machine code that
was made from the same sources, by the same numba, for the same processor, and calls it with the arguments as
numba's own calling convention lays them out: an array as its size, address, shape and strides, a tuple as its parts.
Where there is none, or it is damaged, numba compiles the kernel as always; then its code is kept.
See `docs/decisions/0005-quick-start.md`.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache as once
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from neuro.kernels.sources import kernels_digest
from neuro.lowering.keeping import cache_folder, write_whole
from neuro.lowering.machine_code import Image, image_of, is_supported, load

__all__ = ["Entry"]

_VERSIONS = ((0, 68),)  # of numba, whose calling convention this was tried with
_N_DIGEST = hashlib.sha256().digest_size
_MOST_KEPT = 64  # files; the oldest go, those of other sources and versions among them
_SETTINGS = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS")  # that do not change what is compiled
_RESULTS: dict[str, Callable[[int], Any]] = {"int64": int, "bool": bool, "none": lambda _: None}


class Entry:
    """A kernel of `neuro.kernels`, called by machine code where that is on disk."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = f"neuro.kernels.{module}", name
        self._functions: dict[str, Callable[[list[int]], Any] | None] = {}

    def __call__(self, *arguments: Any) -> Any:
        words: list[int] = []
        kind = _kind(arguments, words)
        if kind in self._functions:
            function = self._functions[kind]
            return function(words) if function is not None else self._kernel()(*arguments)
        path = self._path(kind)
        function = self._functions[kind] = None if path is None else _read(path)
        if function is not None:
            return function(words)
        result = self._kernel()(*arguments)
        if path is not None:
            _keep(path, self._kernel(), arguments, len(words))
            self._functions[kind] = _read(path)
        return result

    def _kernel(self) -> Any:
        return getattr(import_module(self._module), self._name)

    def _path(self, kind: str) -> Path | None:
        """Where the code for arguments of a kind is kept; None where it is neither kept nor looked for."""
        found = None if "?" in kind else _place()
        if found is None:
            return None
        folder, state = found
        digest = hashlib.sha256(f"{state} {self._module} {kind}".encode())
        return folder / f"{self._name}-{digest.hexdigest()[:32]}.code"


def _kind(value: Any, words: list[int]) -> str:
    """Append the words of an argument as numba passes it; return its type (with a ? for what is left to numba)."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        words += (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
        is_plain = flags.c_contiguous and flags.aligned and value.dtype.kind in "biuf"
        return f"{value.dtype.str}{value.ndim}{'w' if flags.writeable else 'r'}{'' if is_plain else '?'}"
    if isinstance(value, tuple):
        return f"{type(value).__name__}({','.join([_kind(part, words) for part in value])})"
    if type(value) not in (int, np.int64):
        return "?"
    words.append(int(value))
    return "i"


@once
def _place() -> tuple[Path, str] | None:
    """Return the folder of the kept code, and all that the code depends on besides its kind."""
    is_set = any(name.startswith("NUMBA_") and name not in _SETTINGS for name in os.environ)
    packages = [find_spec(name) for name in ("numba", "llvmlite")]
    if not is_supported() or is_set or Path(".numba_config.yaml").exists():
        return None
    try:
        versions = [Path(str(each and each.origin)).with_name("_version.py").read_text() for each in packages]
        with open("/proc/cpuinfo") as file:
            processor = file.read(8192).partition("\n\n")[0].splitlines()
    except OSError:
        return None
    processor = [
        line for line in processor if line.startswith(("vendor", "cpu family", "model", "stepping", "flags"))
    ]
    given = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(given, "spikeloom") if given else cache_folder() / "kernels"
    return folder, repr((kernels_digest(), versions, processor))


def _read(path: Path) -> Callable[[list[int]], Any] | None:
    """Return the function in a file, which takes words; None where there is no file, or it is not whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    rest = content[_N_DIGEST:]
    if hashlib.sha256(rest).digest() != content[:_N_DIGEST]:
        return None
    head, _, rest = rest.partition(b"\n")
    returned, n_words, start, addresses, needs = head.decode().split(" ")
    pairs = [need.split(":") for need in needs.split(",") if need]
    image = Image(
        rest,
        [int(at) for at in addresses.split(",") if at],
        [(int(at), name) for at, name in pairs],
        int(start),
    )
    found = load(image)
    if found is None:
        return None
    address, memory = found
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * (2 + int(n_words)))(address)

    def call(words: list[int], _held: object = memory) -> Any:
        result, failure = ctypes.c_int64(0), ctypes.c_int64(0)
        status = function(ctypes.addressof(result), ctypes.addressof(failure), *words)
        assert status == 0, f"the kernel of {path.name} ended with status {status}"
        return _RESULTS[returned](result.value)

    return call


def _keep(path: Path, kernel: Any, arguments: tuple[Any, ...], n_words: int) -> None:
    """Write the machine code of a kernel for arguments of a kind, without what only Python's calls of it need."""
    import numba
    from llvmlite import binding

    if numba.version_info.short not in _VERSIONS:
        return
    type_of: Any = numba.typeof
    compiled = kernel.overloads[tuple(type_of(argument) for argument in arguments)]
    module, symbol = compiled.library._get_module_for_linking().clone(), compiled.fndesc.llvm_func_name
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name == symbol else "internal"
    machine = compiled.library.codegen._tm
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, binding.create_pass_builder(machine, binding.create_pipeline_tuning_options()))
    image, returned = image_of(machine.emit_object(module), symbol), str(compiled.signature.return_type)
    if image is None or returned not in _RESULTS or load(image) is None:
        return
    texts = ",".join(map(str, image.addresses)), ",".join(f"{at}:{name}" for at, name in image.needs)
    rest = " ".join([returned, str(n_words), str(image.start), *texts]).encode() + b"\n" + image.content
    write_whole(path, hashlib.sha256(rest).digest() + rest)
    with suppress(OSError):
        kept = sorted(path.parent.glob("*.code"), key=lambda each: each.stat().st_mtime)
        for old in kept[:-_MOST_KEPT]:
            old.unlink()
