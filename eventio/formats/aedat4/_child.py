"""
Decodes one AEDAT4 file in a process of its own and writes what it finds to standard output.

The `aedat` package aborts its whole process on some damaged files, which no `except` can catch; here only this
process ends. Run as a script, it imports nothing of eventio.

Output: one line of JSON with the streams, then for each packet of events an 8-byte count and the events as they lie
in memory (13 bytes each), then a count of 2**64 - 1 and one line of JSON with what was skipped and what went wrong.
"""

import json
import sys
from typing import Any, BinaryIO

END = (1 << 64) - 1
EVENT_LAYOUT = (("t", "<u8", 0), ("x", "<u2", 8), ("y", "<u2", 10), ("on", "|b1", 12))


def describe(error: BaseException) -> str:
    """Return an error's text in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def check_layout(dtype: Any) -> None:
    """Raise unless events lie in memory as in eventio."""
    found = tuple((name, dtype.fields[name][0].str, dtype.fields[name][1]) for name in dtype.names)
    if found != EVENT_LAYOUT:
        raise TypeError(f"this version of the aedat package gives events as {found}, expected {EVENT_LAYOUT}")


def write_line(out: BinaryIO, content: dict[str, Any]) -> None:
    """Write one line of JSON."""
    out.write(json.dumps(content).encode() + b"\n")


def decode(path: str, out: BinaryIO) -> None:
    """Write everything about one file."""
    try:
        import aedat
    except ImportError:
        write_line(out, {"missing": "aedat"})
        return
    try:
        decoder = aedat.Decoder(path)
        streams = {str(key): value for key, value in decoder.id_to_stream().items()}
    except BaseException as error:  # a panic of the package is no Exception
        write_line(out, {"error": describe(error)})
        return
    write_line(out, {"streams": streams})
    wanted = min((int(key) for key, value in streams.items() if value["type"] == "events"), default=None)
    skipped: dict[str, int] = {}
    error_text = None
    n_packets = 0
    try:
        for packet in decoder:
            n_packets += 1
            if packet["stream_id"] == wanted and "events" in packet:
                events = packet["events"]
                check_layout(events.dtype)
                out.write(len(events).to_bytes(8, "little") + events.tobytes())
            else:
                kind = next(key for key in packet if key != "stream_id")
                name = "events of further streams" if kind == "events" else f"{kind} packets"
                skipped[name] = skipped.get(name, 0) + (len(packet[kind]) if kind == "events" else 1)
    except BrokenPipeError:
        raise
    except BaseException as error:  # the same
        error_text = describe(error)
    out.write(END.to_bytes(8, "little"))
    write_line(out, {"error": error_text, "skipped": skipped, "n_packets": n_packets})


if __name__ == "__main__":
    try:
        decode(sys.argv[1], sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        sys.exit(1)
