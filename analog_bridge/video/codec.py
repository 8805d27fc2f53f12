"""Motion that a video codec has found already: its vectors, and what they leave unexplained (residuals)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.errors import MediaError, MissingPackageError
from analog_bridge.video.frames import warp_features

__all__ = [
    "CodedFrame",
    "read_coded_frames",
    "motion_field",
    "motion_events",
    "motion_residual",
    "residual_events",
]


@dataclass(frozen=True)
class CodedFrame:
    """One frame of a video as its codec holds it.

    Attributes
    ----------
    index : int
        Number of the frame, as shown.
    is_key : bool
        Whether the codec has stored it whole.
    picture : float32 array, shape (rows, columns)
        Brightness from 0 to 1.
    vectors : float32 array, shape (n, 6)
        Blocks that were moved: row and column of the middle in this frame, rows and columns away to where it was in an
        earlier frame (blocks taken from a later one are left out), height and width.
    """

    index: int
    is_key: bool
    picture: NDArray[np.float32]
    vectors: NDArray[np.float32]


def read_coded_frames(path: str | Path) -> Iterator[CodedFrame]:
    """Yield the frames of a video with the motion vectors of its codec (H.264, MPEG-4 and others that FFmpeg exports).

    Parameters
    ----------
    path : str or Path
        A video file.

    Yields
    ------
    CodedFrame
        Frames in the order in which they are shown.

    Raises
    ------
    MediaError
        The file is missing, holds no video, or is damaged.
    MissingPackageError
        PyAV is not installed.
    """
    try:
        import av
    except ImportError as err:
        raise MissingPackageError(
            "read_coded_frames: reading videos needs PyAV: pip install 'spikeloom[video]'"
        ) from err
    if not Path(path).is_file():
        raise MediaError(f"{path}: there is no such file, or it is a folder; check the path")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path}: holds no video")
            stream = container.streams.video[0]
            stream.codec_context.options = {"flags2": "+export_mvs"}
            for index, frame in enumerate(container.decode(stream)):
                yield CodedFrame(index, bool(frame.key_frame), _brightness(frame), _vectors(frame))
    except av.FFmpegError as err:
        raise MediaError(f"{path}: this is not a video that can be read, or it is damaged ({err})") from err


def _brightness(frame: Any) -> NDArray[np.float32]:
    return np.asarray(frame.to_ndarray(format="gray"), dtype=np.float32) / np.float32(255)


def _vectors(frame: Any) -> NDArray[np.float32]:
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.MOTION_VECTORS)
    if data is None:
        return np.zeros((0, 6), np.float32)
    raw = data.to_ndarray()
    raw = raw[raw["source"] < 0]
    fields = [
        raw["dst_y"],
        raw["dst_x"],
        raw["motion_y"] / np.maximum(raw["motion_scale"], 1),
        raw["motion_x"] / np.maximum(raw["motion_scale"], 1),
        raw["h"],
        raw["w"],
    ]
    return np.stack(fields, axis=1).astype(np.float32) if len(raw) else np.zeros((0, 6), np.float32)


def motion_field(frame: CodedFrame, *, cell: int = 16) -> NDArray[np.float32]:
    """Return the motion of a frame on a grid of cells, as `warp_features` takes it.

    Parameters
    ----------
    frame : CodedFrame
        From `read_coded_frames`.
    cell : int
        Pixels along a side of a cell (the stride of the features that are moved), >= 1.

    Returns
    -------
    float32 array, shape (2, rows / cell, columns / cell), rounded up
        For each cell, how many cells away it was before: rows, columns; the mean over its pixels, 0 where none moved.
    """
    if cell < 1:
        raise MediaError(f"motion_field: cell must be >= 1, got {cell}")
    rows, columns = frame.picture.shape
    down, across = -(-rows // cell), -(-columns // cell)
    field = np.zeros((2, down * cell, across * cell))
    for row, column, move_row, move_column, height, width in frame.vectors.astype(np.float64):
        top, left = round(row - height / 2), round(column - width / 2)
        field[:, max(top, 0) : max(top + int(height), 0), max(left, 0) : max(left + int(width), 0)] = (
            np.array([move_row, move_column])[:, None, None]
        )
    means = field.reshape(2, down, cell, across, cell).mean((2, 4))
    return (means / cell).astype(np.float32)


def motion_events(frame: CodedFrame, *, cell: int = 16, least_pixels: float = 0.5) -> NDArray[np.float32]:
    """Return a frame's motion as spikes of four channels: up, down, left, right.

    A cell spikes in a channel if it has moved that way by at least `least_pixels` since the frame its codec took it
    from.

    Parameters
    ----------
    frame : CodedFrame
        From `read_coded_frames`.
    cell : int
        Pixels along a side of a cell.
    least_pixels : float
        Smallest motion that counts, > 0.

    Returns
    -------
    float32 array, shape (4, rows / cell, columns / cell), rounded up
        0 or 1; nothing moves in a key frame.
    """
    if not least_pixels > 0:
        raise MediaError(f"motion_events: least_pixels must be > 0, got {least_pixels}")
    back_rows, back_columns = motion_field(frame, cell=cell) * cell
    moved = np.stack([back_rows, -back_rows, back_columns, -back_columns])
    return (moved >= least_pixels).astype(np.float32)


def motion_residual(frame: CodedFrame, previous: CodedFrame) -> NDArray[np.float32]:
    """Return what motion does not explain: a picture less the one before it, moved by the codec's vectors.

    FFmpeg hands out the vectors of a codec and no residuals; this is computed from the decoded pictures. It is the
    codec's own where it took every block from the frame before, up to what its quantisation has lost.

    Parameters
    ----------
    frame, previous : CodedFrame
        Two frames, one after the other, from `read_coded_frames`.

    Returns
    -------
    float32 array, shape (rows, columns)
        From -1 to 1; of a key frame the whole picture. Between pixels the picture before is bilinear, beyond its edge
        it goes on as at the edge.

    Raises
    ------
    MediaError
        Frames of two sizes.
    """
    if frame.picture.shape != previous.picture.shape:
        raise MediaError(
            f"motion_residual: both frames must have one size, got {frame.picture.shape} and {previous.picture.shape}"
        )
    if frame.is_key:
        return frame.picture.copy()
    rows, columns = frame.picture.shape
    places = np.mgrid[0:rows, 0:columns].astype(np.float64)
    last = np.array([rows - 1, columns - 1], np.float64)[:, None, None]
    flow = np.clip(places + motion_field(frame, cell=1), 0.0, last) - places
    return frame.picture - warp_features(previous.picture[np.newaxis], flow)[0]


def residual_events(
    frame: CodedFrame, previous: CodedFrame, *, threshold: float = 0.05
) -> NDArray[np.float32]:
    """Return a frame's residual as spikes of two channels: brighter and darker than motion explains.

    Parameters
    ----------
    frame, previous : CodedFrame
        Two frames, one after the other.
    threshold : float
        Smallest residual that counts, > 0; brightness goes from 0 to 1.

    Returns
    -------
    float32 array, shape (2, rows, columns)
        0 or 1.

    Raises
    ------
    MediaError
        Frames of two sizes, or a threshold that is not above 0.
    """
    if not threshold > 0:
        raise MediaError(f"residual_events: threshold must be > 0, got {threshold}")
    residual = motion_residual(frame, previous)
    return np.stack([residual >= threshold, residual <= -threshold]).astype(np.float32)
