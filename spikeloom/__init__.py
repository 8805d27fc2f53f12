"""The application: recordings in, decisions, costs and reports out.

Names are loaded when they are first used, so that the command line starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikeloom.decision import Decision
    from spikeloom.encoding import Encoding
    from spikeloom.errors import DamagedRecordingError, UserError
    from spikeloom.evaluation import Evaluation, evaluate
    from spikeloom.model_file import shipped_model
    from spikeloom.recognizer import Recognizer
    from spikeloom.recordings import DamagePolicy

__all__ = [
    "Recognizer",
    "shipped_model",
    "Decision",
    "Encoding",
    "Evaluation",
    "evaluate",
    "DamagePolicy",
    "UserError",
    "DamagedRecordingError",
]

_HOMES = {
    "Recognizer": "recognizer",
    "shipped_model": "model_file",
    "Decision": "decision",
    "Encoding": "encoding",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "DamagePolicy": "recordings",
    "UserError": "errors",
    "DamagedRecordingError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'spikeloom' has no attribute {name!r}")
    return getattr(importlib.import_module(f"spikeloom.{_HOMES[name]}"), name)
