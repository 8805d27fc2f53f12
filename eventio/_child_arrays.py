"""
Serves the arrays of HDF5 and MATLAB files, one after the other, to another process; see `eventio.child_process`.

Run as a script with a file descriptor of shared memory, or -1, it imports nothing of eventio. A request is a line of
JSON; an answer is its size and that of the values behind it as two 64-bit numbers, itself, and the values. Requests:

{"open": path}, answered with the arrays by name as [dtype, shape, missing filters, stored bytes], the file's
attributes, the number of rows of arrays whose rows have lengths of their own ("ragged"), the values of arrays of
texts, and the file's size;
{"read": [[name, axis], ...], "start": ..., "stop": ..., "window": [first, stop]}, answered with the sizes of the
values and the values, one behind the other: in the window of the shared memory, or, where there is none or it is too
small, behind the answer;
{"rows": [name, ...], "at": ...}, answered with one row of each ragged array, as 64-bit floats, behind the answer;
{"pieces": name, "start": ..., "stop": ...}, answered so with the pieces of an HDF5 data set that hold these rows, as
they stand in the file;
{"close": true}, not answered.

A request that takes longer than a minute ends the process.
"""

import contextlib
import json
import math
import os
import signal
import struct
import sys
from typing import Any

LIMIT_S = 60
MOST_ARRAYS = 10_000
MOST_DEPTH = 16
MOST_TEXTS = 10_000
ROOM_BYTES = 2 << 30
GROWTH = 8
MAT5_GROWTH = 1100
SIZES = struct.Struct("<QQ")
HDF5_MARK = b"\x89HDF\r\n\x1a\n"
Arrays = dict[str, Any]


def limit_memory(path: str, growth: int) -> None:
    """Let the process have a multiple of the file's size, so that absurd sizes in it are refused."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # not all systems have such limits
        import resource

        limit = ROOM_BYTES + growth * os.path.getsize(path)
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(
            resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most)
        )


def limit_time(seconds: int) -> None:
    """End the process if it takes longer from now on; 0 takes the limit away."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def is_hdf5(path: str) -> bool:
    """Return whether the file is HDF5, perhaps behind a block of another program's."""
    with open(path, "rb") as file:
        head = file.read(520)
    return head.startswith(HDF5_MARK) or head[512:520] == HDF5_MARK


def list_hdf5(file: Any) -> tuple[Arrays, dict[str, Any]]:
    """Return the data sets by name and the single numbers and texts among the attributes."""
    import h5py

    arrays: Arrays = {}
    groups = [("", file, 0)]
    while groups and len(arrays) < MOST_ARRAYS:
        prefix, group, depth = groups.pop()
        for key in group:
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink) or key == "#refs#":
                continue
            item = group[key]
            if isinstance(item, h5py.Dataset):
                arrays[prefix + key] = item
            elif isinstance(item, h5py.Group) and depth < MOST_DEPTH:
                groups.append((f"{prefix}{key}/", item, depth + 1))
    attributes = {}
    for key, value in file.attrs.items():
        single = value.item() if getattr(value, "size", 0) == 1 else value
        text = single.decode("utf-8", "replace") if isinstance(single, bytes) else single
        if isinstance(text, str | int | float):
            attributes[key] = text
    return arrays, attributes


def list_mat(path: str) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays of a MATLAB file of version 4 to 7 by name, those in structures as "structure/field"."""
    import numpy as np
    import scipy.io

    arrays: Arrays = {}
    for key, value in scipy.io.loadmat(path, chars_as_strings=False).items():
        if key.startswith("__") or not isinstance(value, np.ndarray):
            continue
        if value.dtype.names is None:
            arrays[key] = value
        elif value.size == 1:
            for field in value.dtype.names:
                arrays[f"{key}/{field}"] = np.asarray(value[field].ravel()[0])
    return arrays, {}


def describe(array: Any) -> list[Any] | None:
    """Return dtype, shape, missing HDF5 filters and stored bytes of an array; None where it holds no numbers."""
    dtype = array.dtype
    if array.shape is None or dtype.hasobject or any(kind not in "iufb" for kind in kinds(dtype)):
        return None
    text = dtype.str if dtype.names is None else [[name, dtype[name].str] for name in dtype.names]
    n_stored = array.id.get_storage_size() if hasattr(array, "id") else array.nbytes
    return [text, list(array.shape), missing_filters(array), int(n_stored)]


def kinds(dtype: Any) -> list[str]:
    """Return the kind of each field."""
    if dtype.names is None:
        return [dtype.kind if dtype.subdtype is None else "V"]
    return [kind for name in dtype.names for kind in kinds(dtype[name])]


def missing_filters(array: Any) -> list[int]:
    """Return the numbers of those filters of an HDF5 data set that are not at hand."""
    if not hasattr(array, "id"):
        return []
    from h5py import h5z

    plist = array.id.get_create_plist()
    numbers = [int(plist.get_filter(i)[0]) for i in range(plist.get_nfilters())]
    return [number for number in numbers if not h5z.filter_avail(number)]


def select(array: Any, part: slice, axis: int) -> tuple[Any, Any, list[int]]:
    """Return what is asked for as an index, and the dtype (fields packed) and shape of its values."""
    import numpy as np

    dtype = array.dtype
    if dtype.names is not None:
        dtype = np.dtype([(name, dtype[name].str) for name in dtype.names])
    if array.shape == ():
        return (), dtype, []
    index = (slice(None), part) if axis else (part,)
    n = len(range(*part.indices(array.shape[axis])))
    shape = [*array.shape]
    shape[axis] = n
    return index, dtype, shape


def read(array: Any, part: slice, axis: int, room: Any) -> int:
    """Write some rows or columns to bytes, C-contiguous, fields packed; return how many bytes they are."""
    import numpy as np

    index, dtype, shape = select(array, part, axis)
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes == 0:
        return 0
    values = np.frombuffer(room, dtype, n_bytes // dtype.itemsize).reshape(shape)
    if dtype.names is not None:
        rows = array[index]
        for name in dtype.names:
            values[name] = rows[name]
    elif hasattr(array, "read_direct") and array.dtype == dtype and shape:
        array.read_direct(values, source_sel=index)
    else:
        values[...] = array[index]
    return int(n_bytes)


def count_bytes(array: Any, part: slice, axis: int) -> int:
    """Return how many bytes `read` writes."""
    _, dtype, shape = select(array, part, axis)
    return int(math.prod(shape) * dtype.itemsize)


class Window:
    """Memory that two processes share, or none."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: Any = None

    def give(self, first: int, stop: int) -> memoryview:
        """Return a part of it."""
        import mmap

        if self._memory is None or len(self._memory) < stop:
            self._memory = mmap.mmap(self._descriptor, os.fstat(self._descriptor).st_size)
        return memoryview(self._memory)[first:stop]


def read_all(arrays: Arrays, request: dict[str, Any], window: Window | None) -> tuple[dict[str, Any], bytes]:
    """Return the answer to a request for values, and the values where they are not in the window."""
    part = slice(request["start"], request["stop"])
    wanted = [(arrays[name], part, axis) for name, axis in request["read"]]
    sizes = [count_bytes(*one) for one in wanted]
    first, stop = request.get("window", (0, 0))
    is_shared = window is not None and sum(sizes) <= stop - first
    room = window.give(first, stop) if window is not None and is_shared else memoryview(bytearray(sum(sizes)))
    at = 0
    for one in wanted:
        at += read(*one, room[at:])
    return {"sizes": sizes, "shared": is_shared}, b"" if is_shared else bytes(room)


def list_others(arrays: Arrays) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Return the rows of arrays whose rows have lengths of their own, and the values of arrays of texts."""
    ragged: dict[str, int] = {}
    texts: dict[str, list[str]] = {}
    for name, array in arrays.items():
        if array.shape is None or len(array.shape) != 1 or not hasattr(array, "id"):
            continue
        import h5py

        inner = h5py.check_vlen_dtype(array.dtype)
        if inner is not None and inner.kind in "iuf":
            ragged[name] = int(array.shape[0])
        elif array.dtype.kind == "S" and array.shape[0] <= MOST_TEXTS:
            texts[name] = [bytes(value).decode("utf-8", "replace") for value in array[...]]
    return ragged, texts


def read_pieces(array: Any, start: int, stop: int) -> tuple[dict[str, Any], bytes]:
    """Return the pieces with some rows as they stand in the file: rows of a piece, sizes, which are not filtered."""
    (n_rows,) = array.chunks
    plist = array.id.get_create_plist()
    numbers = [int(plist.get_filter(i)[0]) for i in range(plist.get_nfilters())]
    pieces, is_plain = [], []
    for first in range(start // n_rows * n_rows, stop, n_rows):
        mask, piece = array.id.read_direct_chunk((first,))
        pieces.append(piece)
        is_plain.append(bool(mask))
    sizes = [len(piece) for piece in pieces]
    return {"n_rows": n_rows, "filters": numbers, "sizes": sizes, "is_plain": is_plain}, b"".join(pieces)


def read_row(array: Any, at: int) -> bytes:
    """Return one row of an array with rows of their own lengths."""
    import numpy as np

    return bytes(np.ascontiguousarray(array[at], "<f8").tobytes())


def answer(content: dict[str, Any], data: bytes = b"") -> None:
    """Write an answer."""
    limit_time(0)
    text = json.dumps(content).encode()
    sys.stdout.buffer.write(SIZES.pack(len(text), len(data)) + text + data)
    sys.stdout.buffer.flush()


def describe_error(error: BaseException) -> str:
    """Return an error's text in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


class ArrayFile:
    """The file that is open: with the library it needs, or none."""

    def __init__(self) -> None:
        self.arrays: Arrays = {}
        self._file: Any = None

    def open(self, path: str) -> dict[str, Any]:
        """Open another file; return what there is in it."""
        import numpy  # noqa: F401  # before the limit: libraries reserve room of their own

        if is_hdf5(path):
            import h5py

            with contextlib.suppress(ImportError):
                import hdf5plugin  # noqa: F401  # registers the filters
            limit_memory(path, GROWTH)
            self._file = h5py.File(path, "r", locking=False)  # who reads keeps nobody from writing anew
            self.arrays, attributes = list_hdf5(self._file)
        else:
            import scipy.io  # noqa: F401

            limit_memory(path, MAT5_GROWTH)
            self.arrays, attributes = list_mat(path)
        found = {name: describe(array) for name, array in self.arrays.items()}
        ragged, texts = list_others(self.arrays)
        return {
            "arrays": {name: info for name, info in found.items() if info is not None},
            "attributes": attributes,
            "ragged": ragged,
            "texts": texts,
            "n_bytes": os.path.getsize(path),
        }

    def close(self) -> None:
        """Let go of it."""
        self.arrays = {}
        if self._file is not None:
            self._file.close()
        self._file = None


def serve(descriptor: int) -> None:
    """Answer requests until there are no more."""
    file = ArrayFile()
    window = Window(descriptor) if descriptor >= 0 else None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        limit_time(LIMIT_S)
        try:
            if "open" in request:
                answer(file.open(request["open"]))
            elif "close" in request:
                file.close()
                limit_time(0)
            elif "pieces" in request:
                answer(*read_pieces(file.arrays[request["pieces"]], request["start"], request["stop"]))
            elif "rows" in request:
                pieces = [read_row(file.arrays[name], request["at"]) for name in request["rows"]]
                answer({"sizes": [len(piece) for piece in pieces]}, b"".join(pieces))
            else:
                answer(*read_all(file.arrays, request, window))
        except BrokenPipeError:
            raise
        except BaseException as error:
            what = "cannot be opened ({}); the file is damaged or cut short" if "open" in request else "{}"
            answer({"error": what.format(describe_error(error))})


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is told of keys, and ends this
    with contextlib.suppress(BrokenPipeError):
        serve(int(sys.argv[1]))
