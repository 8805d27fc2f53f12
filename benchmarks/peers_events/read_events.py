"""Reads a recording with one other library and says what it found, and how long that took.

Run by the interpreter of `.venv-peers`: ``python read_events.py READER FILE [SECONDS]``. Prints one line of JSON: the
number of events, a digest of each column (int64, uint16, uint16, bool), and the least processor time of a few readings
(None where SECONDS is 0).
"""

import hashlib
import json
import os
import sys
import time

import numpy as np


def read_aedat(path):
    import aedat

    events = np.concatenate([packet["events"] for packet in aedat.Decoder(path) if "events" in packet])
    return events["t"], events["x"], events["y"], events["on"]


def read_dv(path):
    import dv_processing

    recording = dv_processing.io.MonoCameraRecording(path)
    batches = []
    while (batch := recording.getNextEventBatch()) is not None:
        batches.append(batch.numpy())
    events = np.concatenate(batches)
    return events["timestamp"], events["x"], events["y"], events["polarity"]


def read_eventcv(path):
    import eventcv

    stream = eventcv.load(path)
    columns = dict(zip(stream.columns, stream.numpy().T, strict=True))
    return tuple(columns[name] for name in "txyp")


def read_evt3(path):
    import evt3

    events = evt3.decode_file(path)
    return events.timestamp, events.x, events.y, events.polarity


def read_evutils(path):
    from evutils.io import EventReader

    with EventReader(path, max_events=1 << 40) as reader:
        events = reader.read_all()
    return events.t, events.x, events.y, events.p


def read_expelliarmus(path):
    from expelliarmus import Wizard

    encoding = {"dat": "dat"}.get(path.rsplit(".", 1)[-1])
    if encoding is None:
        with open(path, "rb") as file:
            encoding = "evt3" if b"3.0" in file.read(400).split(b"evt ", 1)[-1][:4] else "evt2"
    events = Wizard(encoding=encoding).read(path)
    return events["t"], events["x"], events["y"], events["p"]


def read_faery(path):
    import faery

    events = faery.events_stream_from_file(path).to_array()
    return events["t"], events["x"], events["y"], events["on"]


def read_tonic(path):
    from tonic.io import read_mnist_file

    kinds = np.dtype([("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")])
    events = read_mnist_file(path, dtype=kinds)
    return events["t"], events["x"], events["y"], events["p"]


READERS = {
    "aedat": read_aedat,
    "dv-processing": read_dv,
    "eventcv": read_eventcv,
    "evt3": read_evt3,
    "evutils": read_evutils,
    "expelliarmus": read_expelliarmus,
    "faery": read_faery,
    "tonic": read_tonic,
}


def digest(column, dtype):
    """Return the digest of a column, and its first values."""
    array = np.ascontiguousarray(column).astype(dtype)
    return hashlib.sha256(array.tobytes()).hexdigest()[:32]


def main():
    reader, path, budget_s = READERS[sys.argv[1]], sys.argv[2], float((*sys.argv, "0")[3])
    sys.stdout.flush()
    keep = os.dup(1)
    os.dup2(2, 1)  # some libraries print
    try:
        columns = reader(path)
        answer = {"n_events": len(columns[0])}
        for name, column, dtype in zip("txyp", columns, ("<i8", "<u2", "<u2", "?"), strict=True):
            answer[name] = digest(column, dtype)
        del columns
        best, begun = None, time.perf_counter()
        while budget_s and (best is None or time.perf_counter() - begun < budget_s):
            start = time.process_time()
            reader(path)
            spent = time.process_time() - start
            best = spent if best is None else min(best, spent)
        answer["seconds"] = best
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:300]}
    os.dup2(keep, 1)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
