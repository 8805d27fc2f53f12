"""Recordings as pictures: sheets of frames, animations, and points in space and time."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eventio
from eventio import representations
from spikeloom.console import short_time
from spikeloom.errors import UserError
from spikeloom.storage import replaced_file

ON_COLOUR = np.array([232, 89, 12], np.float32)  # those of the reports
OFF_COLOUR = np.array([28, 126, 214], np.float32)
PAPER = np.array([255, 255, 255], np.float32)
FULL_AT_SHARE = 0.95
MOST_POINTS = 20_000
SUFFIXES = (".png", ".gif", ".mp4")
LEAST_SIDE = 240
MOST_FRAMES = 2000

Pictures = NDArray[np.uint8]


def paint(recording: eventio.Recording, *, n_frames: int) -> Pictures:
    """Paint equal parts of a recording's time: ON orange, OFF blue, both mixed, more events stronger.

    Parameters
    ----------
    recording : eventio.Recording
        At least one event.
    n_frames : int
        Parts, at least 1.

    Returns
    -------
    numpy.ndarray
        uint8, shape (n_frames, height, width, 3). The strength is the same for all frames: 95 % of the pixels with
        events in a frame are weaker than full.

    Raises
    ------
    UserError
        The recording holds no event, or the frames are too many.
    """
    if not len(recording):
        raise UserError("the recording holds no event; there is nothing to paint")
    if not 1 <= n_frames <= MOST_FRAMES:
        raise UserError(f"give 1 to {MOST_FRAMES} frames, got {n_frames}")
    first, last = int(recording.t.min()), int(recording.t.max())
    counts = eventio.to_frames(
        recording.events,
        width=recording.width,
        height=recording.height,
        start_us=first,
        bin_us=(last - first) // n_frames + 1,
        n_frames=n_frames,
    )
    total = counts.sum(axis=1, dtype=np.float32)
    full = max(float(np.quantile(total[total > 0], FULL_AT_SHARE)), 1.0)
    pictures = np.empty((*total.shape, 3), np.uint8)
    for k, (off, on) in enumerate(counts):  # a frame at a time: float pictures are twelve times as large
        both = np.maximum(total[k], 1)[..., None]
        ink = (on[..., None] * ON_COLOUR + off[..., None] * OFF_COLOUR) / both
        strength = np.minimum(np.sqrt(total[k] / full), 1.0)[..., None]
        pictures[k] = np.rint(PAPER + (ink - PAPER) * strength)
    return pictures


def render(recording: eventio.Recording, path: Path, *, kind: str, n_frames: int, rate_hz: float) -> None:
    """Write a picture or an animation; which one follows from the suffix and the kind.

    Parameters
    ----------
    recording : eventio.Recording
        At least one event.
    path : Path
        The file to be: `.png`, `.gif` or `.mp4`.
    kind : str
        'frames' (a sheet of them, or an animation) or '3d' (points over columns, rows and time; `.png` only).
    n_frames : int
        Frames of equal time.
    rate_hz : float
        Frames per second of an animation.

    Raises
    ------
    UserError
        The suffix is another, a package is missing, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: pictures are written as {', '.join(SUFFIXES)}; choose one of these endings")
    if kind == "3d" and suffix != ".png":
        raise UserError(f"{path}: points in space and time are one picture; give a name that ends in .png")
    if not 0 < rate_hz <= 1000:
        raise UserError(f"give a rate above 0 and up to 1000 frames per second, got {rate_hz:g}")
    make: Callable[[Path], None]
    if kind == "3d":
        make = lambda place: draw_points(recording, place)  # noqa: E731
    elif suffix == ".png":
        make = lambda place: draw_sheet(recording, paint(recording, n_frames=n_frames), place)  # noqa: E731
    else:
        pictures = enlarge(paint(recording, n_frames=n_frames))
        write = write_gif if suffix == ".gif" else write_mp4
        make = lambda place: write(pictures, place, rate_hz)  # noqa: E731
    with replaced_file(path) as temporary:
        make(temporary)


def enlarge(pictures: Pictures) -> Pictures:
    """Repeat pixels until the shorter side has at least 240, and make both sides even, as films need.

    Parameters
    ----------
    pictures : numpy.ndarray
        uint8, shape (n, height, width, 3).

    Returns
    -------
    numpy.ndarray
        uint8, shape (n, even, even, 3).
    """
    times = -(-LEAST_SIDE // min(pictures.shape[1:3]))
    larger = pictures.repeat(times, axis=1).repeat(times, axis=2)
    odd = [(0, 0), (0, larger.shape[1] % 2), (0, larger.shape[2] % 2), (0, 0)]
    return np.pad(larger, odd, mode="edge")


def draw_sheet(recording: eventio.Recording, pictures: Pictures, path: Path) -> None:
    """Draw frames side by side, each with its time.

    Parameters
    ----------
    recording : eventio.Recording
        Where they come from.
    pictures : numpy.ndarray
        uint8, shape (n, height, width, 3).
    path : Path
        The PNG file.
    """
    n_columns = int(np.ceil(np.sqrt(len(pictures) * recording.height / recording.width * 1.4)))
    n_columns = min(max(n_columns, 1), len(pictures))
    n_rows = -(-len(pictures) // n_columns)
    n_columns = -(-len(pictures) // n_rows)
    side = 2.4
    figure = new_figure(n_columns * side, n_rows * side * recording.height / recording.width + n_rows * 0.3)
    first, last = int(recording.t.min()), int(recording.t.max())
    bin_us = (last - first) // len(pictures) + 1
    for k, picture in enumerate(pictures):
        axes = figure.add_subplot(n_rows, n_columns, k + 1)
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(f"from {short_time(k * bin_us / 1e6)}", fontsize=8, pad=2)
        axes.set_xticks([])
        axes.set_yticks([])
    name = recording.metadata.path.name if recording.metadata.path else "recording"
    figure.suptitle(
        f"{name}: {len(recording):,} events, {recording.width}x{recording.height}, frames of "
        f"{short_time(bin_us / 1e6)}; orange ON, blue OFF",
        fontsize=9,
    )
    save(figure, path)


def draw_points(recording: eventio.Recording, path: Path) -> None:
    """Draw events as points over columns, time and rows; of more than 20,000 a random part.

    Parameters
    ----------
    recording : eventio.Recording
        At least one event.
    path : Path
        The PNG file.

    Raises
    ------
    UserError
        The recording holds no event.
    """
    if not len(recording):
        raise UserError("the recording holds no event; there is nothing to draw")
    n = min(MOST_POINTS, len(recording))
    size = {"width": recording.width, "height": recording.height}
    events = recording.events[
        representations.sample_points(recording.events, **size, n_points=n, seed=0).index
    ]
    figure = new_figure(8, 6)
    axes = figure.add_subplot(projection="3d")
    since_ms = (events["t"] - int(recording.t.min())) / 1e3
    for is_on, colour, label in ((True, ON_COLOUR, "ON"), (False, OFF_COLOUR, "OFF")):
        of = events["p"] == is_on
        axes.scatter(
            since_ms[of], events["x"][of], events["y"][of],
            s=1.0, color=tuple(colour / 255), label=label, depthshade=False, alpha=0.5, linewidths=0,
        )  # fmt: skip
    axes.set_xlabel("time (ms)")
    axes.set_ylabel("column")
    axes.set_zlabel("row")
    axes.set_zlim(recording.height, 0)
    axes.set_ylim(0, recording.width)
    axes.set_box_aspect((2.2, 1, recording.height / recording.width), zoom=1.05)
    axes.view_init(elev=18, azim=-62)
    axes.legend(markerscale=6, loc="upper left")
    shown = "" if n == len(recording) else f", {n:,} of them drawn"
    name = recording.metadata.path.name if recording.metadata.path else "recording"
    axes.set_title(f"{name}: {len(recording):,} events{shown}", fontsize=9)
    save(figure, path)


def new_figure(width: float, height: float) -> Any:
    """Open a figure that needs no display.

    Parameters
    ----------
    width, height : float
        In inches.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whatever the name's ending.

    Parameters
    ----------
    figure : Figure
        The figure.
    path : Path
        The file.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    path.write_bytes(buffer.getvalue())


def write_gif(pictures: Pictures, path: Path, rate_hz: float) -> None:
    """Write an animation that repeats for ever.

    Parameters
    ----------
    pictures : numpy.ndarray
        uint8, shape (n, height, width, 3).
    path : Path
        The file.
    rate_hz : float
        Frames per second; GIF counts in hundredths of a second, and 50 is the most that viewers show.
    """
    from PIL import Image

    frames = [Image.fromarray(each).quantize(64) for each in pictures]
    duration_ms = max(20, round(1000 / rate_hz))
    frames[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=duration_ms,
        loop=0,
        optimize=False,
    )


def write_mp4(pictures: Pictures, path: Path, rate_hz: float) -> None:
    """Write a film (H.264).

    Parameters
    ----------
    pictures : numpy.ndarray
        uint8, shape (n, height, width, 3), both sides even.
    path : Path
        The file.
    rate_hz : float
        Frames per second.

    Raises
    ------
    UserError
        PyAV is missing.
    """
    from fractions import Fraction

    try:
        import av
    except ImportError as err:
        raise UserError("films need PyAV: pip install av; or write a .gif") from err
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate_hz).limit_denominator(1000))
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18"}
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
