"""An evaluation in the words and figures of a table."""

from __future__ import annotations

from spikeloom.console import percent, short_number, short_time
from spikeloom.evaluation import Evaluation


def summary_rows(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Give the figures of an evaluation as names and values.

    Parameters
    ----------
    evaluation : Evaluation
        The evaluation.

    Returns
    -------
    list of (str, str)
        Rows of a table.
    """
    n_recordings = len(evaluation.decisions)
    n_right = round(evaluation.accuracy * n_recordings)
    operations = evaluation.synaptic_operations
    without = evaluation.synaptic_operations_without_attention
    saved = 1 - operations / without if without else 0.0
    return [
        ("accuracy", f"{percent(evaluation.accuracy)}  ({n_right} of {n_recordings} recordings)"),
        ("accuracy, every frame computed", percent(evaluation.accuracy_without_attention)),
        ("frames kept", percent(evaluation.frames_kept)),
        ("events kept", f"{percent(evaluation.events_kept)} of {short_number(evaluation.total('events'))}"),
        (
            "synaptic operations per recording",
            f"{short_number(operations / n_recordings)}  ({percent(saved)} fewer than with every frame)",
        ),
        ("events per second", short_number(evaluation.events_per_second)),
        ("time per recording", short_time(evaluation.seconds_per_recording)),
    ]
