"""How all kernels are compiled, besides ``cache=True``."""

from collections.abc import Callable
from functools import cache as once
from functools import partial
from typing import Any

import numba
import numba.core.runtime as untyped_runtime
from llvmlite import binding
from numba.core.caching import FunctionCache as UntypedCache

from neuro.kernels.sources import kernels_digest

__all__ = ["DIVIDING", "INLINED", "PART", "UNCOUNTED", "njit"]

# No reference counts: kernels allocate nothing, and counting the arrays of a tuple (atomically, at every call)
# took half the time of a small layer. No interpreter lock: kernels touch no Python object. No way in from C.
UNCOUNTED: dict[str, Any] = {"_nrt": False, "nogil": True, "no_cfunc_wrapper": True}

# For what only kernels call: no way in from Python either, which took a fifth of the time of compiling.
PART: dict[str, Any] = {"no_cpython_wrapper": True, **UNCOUNTED}

# For what is called in every step with the tuples of a whole network: passing their arrays took longer than the work.
INLINED: dict[str, Any] = {"inline": "always", **UNCOUNTED}

# For loops with a division: 1 / 0 is infinite as in NumPy. Python's check for zero keeps them from being vectorised.
DIVIDING: dict[str, Any] = {"error_model": "numpy", **UNCOUNTED}

FunctionCache: Any = UntypedCache
runtime: Any = untyped_runtime
_QUICK_VERSIONS = ((0, 68),)  # of numba, that reading kernels without its compiler was tried with


class _QuickCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function, read without loading the compiler.

    Before it reads a compiled function numba imports everything that compiling may need, which takes ten times longer
    than the reading. Machine code needs the symbols of numba's runtime alone; what is compiled later loads the rest.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = (
            self._cache_file._source_stamp,
            kernels_digest(),
        )  # numba's own knows nothing of called kernels
        self._cache_file._source_stamp = stamp

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        _name_runtime()
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


@once
def _name_runtime() -> None:
    """Tell LLVM where the functions of numba's runtime are, under the names that numba gives them."""
    for name, address in runtime._nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def njit(*, cache: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As ``numba.njit``, with a cache that is read quickly (see `docs/decisions/0005-quick-start.md`)."""
    is_quick = cache and numba.version_info.short in _QUICK_VERSIONS

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.jit(nopython=True, cache=cache and not is_quick, **options)(function)
        if is_quick:
            dispatcher._cache = _QuickCache(function)  # as cache=True does, with numba's own
        if "no_cpython_wrapper" in options:
            _close(dispatcher)
            if is_quick:
                _leave_unassembled(dispatcher)
        return dispatcher

    return decorate


def _close(dispatcher: Any) -> None:
    """Refuse calls from Python: there is no code for them, and the process would end."""

    def refuse(*_: object, **__: object) -> None:
        raise TypeError(f"kernel '{dispatcher.__name__}' is a PART: only kernels may call it")

    def add_overload(compiled: Any) -> None:
        # not where calls from Python look, too
        dispatcher.overloads[tuple(compiled.signature.args)] = compiled

    dispatcher.add_overload, dispatcher._compile_for_args = add_overload, refuse


def _leave_unassembled(dispatcher: Any) -> None:
    """Compile a PART to LLVM's optimised instructions and no further: those who call it take these in.

    The rest (machine code for calls that never come) is another quarter of the time.
    """
    compiler = dispatcher._compiler
    compile_core = compiler._compile_core

    def customize(flags: Any) -> Any:
        flags.no_compile = True
        return flags

    def compile_part(types: Any, return_type: Any) -> Any:
        compiled = compile_core(types, return_type)
        library, key = compiled.library, partial(dispatcher)  # callers find the code by any object of its own
        library._finalize_final_module = partial(setattr, library, "_finalized", True)
        library.serialize_using_object_code = library.serialize_using_bitcode
        dispatcher.targetctx.insert_user_function(key, compiled.fndesc, [library])
        return compiled._replace(entry_point=key)

    compiler._customize_flags, compiler._compile_core = customize, compile_part
