"""Reading the next piece of a file from within a kernel, so that nothing else runs between one piece and the next."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from eventio._kernels import HIGH_BITS, INSIDE, LATE, UNCOUNTED

MOST_PIECES = 128
"""How many pieces a kernel takes before it returns, and signals are heard."""
ODD_BYTES = 1 << 18
"""How much of a file a kernel takes at least before it returns because events have to be looked at."""
DESCRIPTOR, POSITION, N_USED, N_FILLED, N_BYTES, N_TAKEN, N_PLACES = range(7)
"""Places in `Pieces.state`: the open file, the byte at which the buffer begins, how many bytes of the buffer are
decoded, how many are read, the byte at which the file ends, and how many bytes a kernel has taken."""
BITS = 64
cgutils: Any = untyped_cgutils


class Pieces(NamedTuple):
    """A piece of a file: what is known of it (int64), the buffer it is in (uint8), and the same as words."""

    state: npt.NDArray[np.int64]
    buffer: npt.NDArray[np.uint8]
    words: npt.NDArray[Any]


def _read_at(typing: Any, descriptor: Any, buffer: Any, start: Any, n_bytes: Any, position: Any) -> Any:
    """
    Read bytes of an open file from a position on to `start` of an array of uint8; return how many, or -1.

    Where the system has no such function, which is Windows, nothing is ever read: pieces come from outside then.
    """
    del typing, descriptor, start, n_bytes, position

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        descriptor, buffer, start, n_bytes, position = arguments
        if context.address_size < BITS or binding.address_of_symbol("pread") is None:
            return context.get_constant(types.int64, -1)
        array = context.make_array(signature.args[1])(context, builder, buffer)
        place = builder.gep(array.data, [start])
        whole, small = ir.IntType(BITS), ir.IntType(32)
        kind = ir.FunctionType(whole, [small, cgutils.voidptr_t, whole, whole])
        read = cgutils.get_or_insert_function(builder.module, kind, "pread")
        return builder.call(
            read,
            [builder.trunc(descriptor, small), builder.bitcast(place, cgutils.voidptr_t), n_bytes, position],
        )

    return types.int64(types.int64, buffer, types.int64, types.int64, types.int64), generate


read_at: Any = intrinsic(_read_at)


@numba.njit(cache=True, **UNCOUNTED)
def next_bytes(pieces: Pieces, least: int) -> tuple[int, int]:
    """
    Return from where to where the buffer holds bytes that are not decoded; read a piece where there are too few.

    That is, fewer than `least`. They stay fewer at the end of the file, and where it cannot be read.
    """
    state, buffer = pieces.state, pieces.buffer
    n_left = state[N_FILLED] - state[N_USED]
    if n_left < least:
        for k in range(n_left):
            buffer[k] = buffer[state[N_USED] + k]
        state[POSITION] += state[N_USED]
        state[N_USED], state[N_FILLED] = 0, n_left
        n_wanted = min(buffer.shape[0], state[N_BYTES] - state[POSITION]) - n_left
        if n_wanted > 0:
            n_read = read_at(state[DESCRIPTOR], buffer, n_left, n_wanted, state[POSITION] + n_left)
            state[N_FILLED] += max(n_read, 0)
    return state[N_USED], state[N_FILLED]


@numba.njit(cache=True, **UNCOUNTED)
def next_words(pieces: Pieces, word_bytes: int) -> tuple[int, int]:
    """Return from where to where words are not decoded; read a piece where there is none. Equal at the end."""
    start, stop = next_bytes(pieces, word_bytes)
    return start // word_bytes, stop // word_bytes


@numba.njit(cache=True, **UNCOUNTED)
def take_bytes(pieces: Pieces, n_bytes: int, least: int, state: npt.NDArray[np.int64]) -> Any:
    """
    Note that the next bytes are decoded; return whether to go on with the next piece.

    Not where `least` are left, because the room ended, and not for long where events are late or lie outside: then
    those decoded last are still in the processor's cache for whoever looks at them.
    """
    place = pieces.state
    place[N_USED] += n_bytes
    place[N_TAKEN] += n_bytes
    is_clean = state[LATE] >= 0 and state[INSIDE] & HIGH_BITS == HIGH_BITS
    return (is_clean or place[N_TAKEN] < ODD_BYTES) and place[N_FILLED] - place[N_USED] < least
