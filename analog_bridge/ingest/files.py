"""Model files of all formats: which importer takes which, and what is refused because it could run code."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from analog_bridge.errors import ModelFileError
from analog_bridge.evaluation import require_torch
from analog_bridge.ingest.keras_files import ingest_keras
from analog_bridge.ingest.onnx_files import ingest_onnx
from analog_bridge.ingest.tracing import ingest, ingest_exported
from analog_bridge.layers import LayerGraph

__all__ = ["ingest_file"]

_TRUST = "if you made it or trust who did, pass trust=True (--trust)"


def ingest_file(
    path: str | Path,
    *,
    example: Any = None,
    architecture: str | Path | None = None,
    trust: bool = False,
    hard_gates: bool = False,
) -> LayerGraph:
    """Take over a model file as a graph of layers.

    Parameters
    ----------
    path : str or Path
        ``.onnx``, ``.pt2`` (torch.export.save), Keras ``.h5``, or ``.pt`` / ``.pth`` with a whole torch module.
    example : tensor or array, optional
        What the module is called with; needed for ``.pt`` and ``.pth``.
    architecture : str or Path, optional
        As in `ingest_keras`, for a Keras file of weights only.
    trust : bool
        Unpickle what the file holds. Unpickling runs any code its author put in; without it only plain tensors are
        read, and a file that needs more is refused.
    hard_gates : bool
        As in `ingest`.

    Returns
    -------
    LayerGraph
        The network.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, of an unknown kind, or would have to be trusted.
    UnsupportedLayerError
        A layer has no exact counterpart.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such file, or it is a folder; check the path")
    if kind == ".onnx":
        return ingest_onnx(path, hard_gates=hard_gates)
    if kind in {".h5", ".hdf5"}:
        return ingest_keras(path, architecture=architecture)
    if kind == ".pt2":
        return ingest_exported(_exported(path, trust), hard_gates=hard_gates)
    if kind in {".pt", ".pth"}:
        return ingest(_module(path, trust), _needed(path, example), hard_gates=hard_gates)
    remedy = "save it as .h5" if kind == ".keras" else "give .onnx, .pt2, .h5, .pt or .pth"
    raise ModelFileError(f"{path}: {kind or 'a file without a suffix'} is not a kind that is known; {remedy}")


def _needed(path: Path, example: Any) -> Any:
    if example is None:
        raise ModelFileError(f"{path}: a pickled module does not say what it takes; pass an example")
    return example


def _module(path: Path, trust: bool) -> Any:
    """Load a pickled module, if that is allowed."""
    torch = require_torch("ingest_file")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:
        if not trust:
            raise ModelFileError(
                f"{path}: holds pickled Python objects, or is damaged; loading it could run code: {_TRUST}, or export "
                "it as .onnx or .pt2"
            ) from err
        try:
            found = torch.load(path, map_location="cpu", weights_only=False)
        except Exception as reason:
            raise ModelFileError(f"{path}: cannot be loaded: {reason}") from reason
    if not isinstance(found, torch.nn.Module):
        raise ModelFileError(
            f"{path}: holds weights but no network; build the module, call load_state_dict, and give it to ingest"
        )
    return found


def _exported(path: Path, trust: bool) -> Any:
    """Load an exported program; without trust only if nothing in it needs unpickling beyond plain tensors."""
    torch = require_torch("ingest_file")
    try:
        with zipfile.ZipFile(path) as archive:
            if not trust:
                for name in archive.namelist():
                    _check_member(path, name, archive.read(name))
    except zipfile.BadZipFile as err:
        raise ModelFileError(f"{path}: this is not a .pt2 file, or it is damaged") from err
    try:
        return torch.export.load(path)
    except Exception as err:
        first = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise ModelFileError(f"{path}: cannot be loaded as an exported program: {first}") from err


def _check_member(path: Path, name: str, content: bytes) -> None:
    torch = require_torch("ingest_file")
    is_pickle = content[:1] == b"\x80" or Path(name).name.startswith("custom_obj") or name.endswith(".pkl")
    if content[:2] == b"PK":  # tensors saved by torch.save
        try:
            torch.load(io.BytesIO(content), weights_only=True)
        except Exception:
            is_pickle = True
    if is_pickle:
        raise ModelFileError(
            f"{path}: {name!r} in it holds pickled Python objects, which could run code; {_TRUST}"
        )
