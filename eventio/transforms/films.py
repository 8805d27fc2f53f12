"""
Pictures to show to the emulated camera: from folders of images and from films.

Values are taken as light, 0 to 1, weighted over colours as Rec. 709 does; `gamma` undoes the curve that most films
are coded with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_number, check_whole
from eventio.errors import ArgumentError, FileAccessError, FormatError, MissingFileError, MissingPackageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LUMA = (0.2126, 0.7152, 0.0722)
MOST_VALUES = 1 << 30


class Film(NamedTuple):
    """
    Pictures and when they were taken: what `eventio.emulate_dvs` takes.

    Attributes
    ----------
    frames : ndarray
        float64, shape (n_frames, height, width), luminance in 0..1.
    times_us : ndarray
        int64, shape (n_frames,), strictly increasing, from 0.
    """

    frames: npt.NDArray[np.float64]
    times_us: npt.NDArray[np.int64]


def read_pictures(
    path: str | os.PathLike[str],
    *,
    rate_hz: float,
    width: int | None = None,
    height: int | None = None,
    gamma: float = 1.0,
    most_frames: int | None = None,
) -> Film:
    """
    Read a folder of images, sorted by name.

    Parameters
    ----------
    path : str or path-like
        The folder; only files that end like images count.
    rate_hz : float
        Images per second, > 0 and at most 500,000.
    width, height : int, optional
        Size to scale to in pixels; both or none.
    gamma : float
        Exponent that turns values into light, > 0: 1 takes them as they are.
    most_frames : int, optional
        Read no more than this.

    Returns
    -------
    Film
        At least two pictures.

    Raises
    ------
    MissingFileError, FileAccessError
        The folder or an image does not exist or cannot be read.
    FormatError
        There are fewer than two images, one is none, or they differ in size.
    MissingPackageError
        Pillow is missing.
    ArgumentError
        A number is out of its range, or the pictures are more than memory holds.
    """
    root = Path(path)
    check_number("rate_hz", rate_hz, is_least_allowed=False)
    if not root.is_dir():
        raise MissingFileError(f"{root}: there is no such folder; give one with images")
    files = sorted(each for each in root.iterdir() if each.suffix.lower() in SUFFIXES)[:most_frames]

    def pictures() -> Iterator[npt.NDArray[np.uint8]]:
        for file in files:
            yield read_image(file, check_scale(width, height))

    frames = to_luminance(pictures(), gamma, root)
    return Film(frames, even_times(len(frames), rate_hz))


def read_film(
    path: str | os.PathLike[str],
    *,
    width: int | None = None,
    height: int | None = None,
    gamma: float = 1.0,
    slow_down: float = 1.0,
    most_frames: int | None = None,
) -> Film:
    """
    Read a film; it needs PyAV.

    Parameters
    ----------
    path : str or path-like
        The file, in any format that FFmpeg reads.
    width, height : int, optional
        Size to scale to in pixels; both or none.
    gamma : float
        Exponent that turns values into light, > 0: 1 takes them as they are.
    slow_down : float
        How many times slower the scene was than the film shows it, > 0: 0.1 for ten times slow motion.
    most_frames : int, optional
        Read no more than this.

    Returns
    -------
    Film
        At least two pictures; times are those of the film, from its first picture on.

    Raises
    ------
    MissingFileError
        The file does not exist.
    FormatError
        It is no film of at least two pictures, or their times do not increase.
    MissingPackageError
        PyAV is missing.
    ArgumentError
        A number is out of its range, or the pictures are more than memory holds.
    """
    place = Path(path)
    check_number("slow_down", slow_down, is_least_allowed=False)
    scale = check_scale(width, height)
    if most_frames is not None:
        check_whole("most_frames", most_frames, least=2)
    if not place.is_file():
        raise MissingFileError(f"{place}: there is no such file; check the path")
    try:
        import av
    except ImportError as error:
        raise MissingPackageError("films need PyAV to be read; install it with `pip install av`") from error
    seconds: list[float] = []

    def pictures() -> Iterator[npt.NDArray[np.uint8]]:
        with av.open(str(place)) as container:
            for k, frame in enumerate(container.decode(video=0)):
                if most_frames is not None and k >= most_frames:
                    return
                seconds.append(frame.time if frame.time is not None else np.nan)
                size = {} if scale is None else {"width": scale[0], "height": scale[1]}
                picture: Any = frame.reformat(format="rgb24", **size).to_ndarray()
                yield picture

    try:
        frames = to_luminance(pictures(), gamma, place)
    except (av.error.FFmpegError, IndexError) as error:
        raise FormatError(
            f"{place}: is no film that FFmpeg reads ({error}); give a film or a folder of images"
        ) from error
    return Film(frames, shown_times(seconds, slow_down, place))


def shown_times(seconds: list[float], slow_down: float, path: Path) -> npt.NDArray[np.int64]:
    """
    Turn the times of a film's pictures into those of the scene.

    Parameters
    ----------
    seconds : list of float
        In the film; NaN where it does not say.
    slow_down : float
        How many times slower the scene was.
    path : Path
        The film, for messages.

    Returns
    -------
    ndarray
        int64, in microseconds from the first picture on, increasing.

    Raises
    ------
    FormatError
        They do not increase.
    """
    since = (np.array(seconds) - seconds[0]) * (slow_down * 1e6)
    times = np.rint(since).astype(np.int64) if np.isfinite(since).all() else np.zeros(len(since), np.int64)
    if (np.diff(times) <= 0).any():
        raise FormatError(f"{path}: its pictures have no increasing times; write it anew with FFmpeg")
    return times


def to_luminance(
    pictures: Iterator[npt.NDArray[np.uint8]], gamma: float, path: Path
) -> npt.NDArray[np.float64]:
    """
    Turn colours into light.

    Parameters
    ----------
    pictures : iterator of ndarray
        uint8, shape (height, width, 3) each.
    gamma : float
        Exponent, > 0.
    path : Path
        Where they come from.

    Returns
    -------
    ndarray
        float64, shape (n_frames, height, width), in 0..1.

    Raises
    ------
    ArgumentError
        gamma is out of its range, or the pictures are more than 2**30 values.
    FormatError
        There are fewer than two, or they differ in size.
    """
    check_number("gamma", gamma, is_least_allowed=False)
    levels = (np.arange(256) / 255.0) ** gamma
    frames: list[npt.NDArray[np.float64]] = []
    for picture in pictures:
        if frames and picture.shape[:2] != frames[0].shape:
            raise FormatError(
                f"{path}: picture {len(frames)} has {picture.shape[1]}x{picture.shape[0]} pixels, the first "
                f"{frames[0].shape[1]}x{frames[0].shape[0]}; give width and height to scale all to one size"
            )
        if (len(frames) + 1) * picture.shape[0] * picture.shape[1] > MOST_VALUES:
            raise ArgumentError(
                f"{path}: pictures of {picture.shape[1]}x{picture.shape[0]} pixels are more than 2**30 values after "
                f"{len(frames)}; give a smaller width and height, or most_frames"
            )
        light = levels[picture]
        frames.append(np.minimum(light @ np.array(LUMA), 1.0))
    if len(frames) < 2:
        raise FormatError(
            f"{path}: holds {len(frames)} pictures; the camera needs at least two to see a change"
        )
    return np.stack(frames)


def read_image(path: Path, scale: tuple[int, int] | None) -> npt.NDArray[np.uint8]:
    """
    Read one image.

    Parameters
    ----------
    path : Path
        The file.
    scale : tuple of (int, int) or None
        Width and height to scale to.

    Returns
    -------
    ndarray
        uint8, shape (height, width, 3).

    Raises
    ------
    FormatError
        It is no image.
    MissingPackageError
        Pillow is missing.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingPackageError(
            "images need Pillow to be read; install it with `pip install pillow`"
        ) from error
    try:
        with Image.open(path) as image:
            picture: Any = image.convert("RGB")
            if scale is not None:
                picture = picture.resize(scale, Image.Resampling.BOX)
            return np.asarray(picture)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path}: is no image that Pillow reads ({error})") from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read ({error})") from error


def even_times(n: int, rate_hz: float) -> npt.NDArray[np.int64]:
    """
    Give the times of pictures at equal distances.

    Parameters
    ----------
    n : int
        How many.
    rate_hz : float
        How many in a second.

    Returns
    -------
    ndarray
        int64, shape (n,), whole microseconds from 0 on.

    Raises
    ------
    ArgumentError
        Two fall into one microsecond.
    """
    times: npt.NDArray[np.int64] = np.rint(np.arange(n) * (1e6 / rate_hz)).astype(np.int64)
    if (np.diff(times) <= 0).any():
        raise ArgumentError(f"rate_hz must be at most 500,000, got {rate_hz!r}")
    return times


def check_scale(width: int | None, height: int | None) -> tuple[int, int] | None:
    """
    Check the size to scale to.

    Parameters
    ----------
    width, height : int or None
        Both or none.

    Returns
    -------
    tuple of (int, int) or None
        Both.

    Raises
    ------
    ArgumentError
        One is missing or out of its range.
    """
    if (width is None) != (height is None):
        raise ArgumentError(f"give both width and height or none, got width={width}, height={height}")
    if width is None or height is None:
        return None
    check_whole("width", width, most=65536)
    check_whole("height", height, most=65536)
    return width, height
