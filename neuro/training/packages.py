"""Checks that torch and norse are installed, and says how to install them where they are not."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from neuro.errors import MissingPackageError

_INSTALL = {
    "torch": ("pip install torch==2.13.0",),
    "norse.torch": ("pip install torch==2.13.0", "pip install --no-deps norse==1.1.0 nirtorch==2.6"),
}


def require(name: str) -> ModuleType:
    """Import an optional package of the training part.

    Parameters
    ----------
    name : str
        'torch' or 'norse.torch'.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    MissingPackageError
        The package, or one that it needs, is not installed; the message has the pip lines.

    Examples
    --------
    >>> require("torch").__name__
    'torch'
    """
    try:
        with warnings.catch_warnings():
            # norse 1.1.0 decorates functions with torch.jit.script, which torch 2.13 calls deprecated
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=DeprecationWarning)
            return importlib.import_module(name)
    except ImportError as err:
        lines = " ; ".join(_INSTALL[name])
        raise MissingPackageError(
            f"training needs the package '{name.partition('.')[0]}', which cannot be imported ({err}): {lines}"
        ) from err


require("torch")
require("norse.torch")
