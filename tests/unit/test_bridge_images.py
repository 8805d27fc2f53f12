"""Pictures as spikes and coefficients: round trips, JPEG files against Pillow, and damaged files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from analog_bridge import MediaError
from analog_bridge.images import (
    block_dct,
    dct_channels,
    haar,
    inverse_block_dct,
    inverse_haar,
    latency_code,
    radix_code,
    radix_weights,
    rate_code,
    read_jpeg_coefficients,
    varying_coefficients,
)

RNG = np.random.default_rng(0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 20))
def test_codes_hold_the_pixel_to_half_a_step(pixels: list[float], n_steps: int) -> None:
    n = np.floor(np.array(pixels) * n_steps + 0.5)
    spikes = rate_code(pixels, n_steps)
    assert np.array_equal(spikes.sum(0), n)
    late = latency_code(pixels, n_steps)
    assert np.array_equal(late.sum(0), n > 0)
    assert np.array_equal(np.where(n > 0, n_steps - late.argmax(0), 0), n)
    levels = 2**n_steps - 1
    assert np.array_equal(
        radix_weights(n_steps) @ radix_code(pixels, n_steps), np.floor(np.array(pixels) * levels + 0.5)
    )


def test_even_spikes_are_as_far_apart_as_they_can_be() -> None:
    for n in range(1, 12):
        steps = np.flatnonzero(rate_code([n / 11], 11)[:, 0])
        gaps = np.diff(np.append(steps, steps[0] + 11))
        assert gaps.max() - gaps.min() <= 1


def test_random_spikes_follow_the_seed() -> None:
    a, b, c = (rate_code(np.full(1000, 0.25), 4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert abs(a.mean() - 0.25) <= 5 * np.sqrt(0.25 * 0.75 / 4000)  # five standard deviations


@pytest.mark.parametrize("code", [rate_code, latency_code, radix_code])
def test_pixels_outside_are_refused(code: Any) -> None:
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(MediaError, match=r"pixels\[1\] = .* lies outside 0\.\.1; divide"):
            code([0.0, wrong], 4)
    with pytest.raises(MediaError, match="n_steps must be a whole number >= 1"):
        code([0.0], 0)


def test_a_block_of_one_cosine_has_one_coefficient() -> None:
    x = np.arange(8)
    picture = np.cos((2 * x + 1) * 3 * np.pi / 16)[None, :] * np.ones((8, 1))
    found = block_dct(picture)[0, 0]
    assert abs(found[0, 3] - 8**0.5 * 2) <= 64 * 2.0**-52 * 8  # 64 products of values below 8
    found[0, 3] = 0
    assert np.abs(found).max() <= 64 * 2.0**-52 * 8


def test_the_transform_is_orthonormal() -> None:
    picture = RNG.normal(size=(2, 16, 24))
    coefficients = block_dct(picture)
    assert coefficients.shape == (2, 2, 3, 8, 8)
    bound = 64 * 2.0**-50 * np.abs(picture).max()
    assert np.abs(inverse_block_dct(coefficients) - picture).max() <= bound
    assert abs((coefficients**2).sum() - (picture**2).sum()) <= 768 * bound * 8


def test_channels_are_in_zigzag_order() -> None:
    coefficients = np.arange(64.0).reshape(1, 1, 8, 8)
    assert dct_channels(coefficients, 6).ravel().tolist() == [0, 1, 8, 16, 9, 2]
    assert sorted(dct_channels(coefficients, 64).ravel().tolist()) == list(range(64))
    assert dct_channels(coefficients, [5, 0]).ravel().tolist() == [2, 0]
    assert dct_channels(RNG.normal(size=(5, 2, 3, 8, 8)), 16).shape == (5, 16, 2, 3)


def test_frequencies_that_differ_most_are_found() -> None:
    pictures = RNG.normal(size=(50, 1, 1, 8, 8)) * 0.01
    pictures[..., 1, 0] += 5 * RNG.normal(size=(50, 1, 1))  # place 2 in zigzag order
    pictures[..., 7, 7] += RNG.normal(size=(50, 1, 1))  # place 63
    pictures[..., 0, 0] += 1000  # a mean, not a difference
    assert varying_coefficients(pictures, 2) == [2, 63]
    assert varying_coefficients(pictures, 64) == list(range(64))
    with pytest.raises(MediaError, match="n_kept must be 1 to 64, got 0"):
        varying_coefficients(pictures, 0)


@given(st.integers(0, 1000))
def test_haar_is_undone_exactly(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (3, 2, 6, 4)) / 256
    found = haar(picture)
    assert found.shape == (3, 8, 3, 2)
    assert np.array_equal(inverse_haar(found), picture)


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (block_dct, (8, 9), "multiples of 8"),
        (inverse_block_dct, (8, 8), r"\.\.\., rows, columns, 8, 8"),
        (haar, (1, 3, 2), "even sides"),
        (inverse_haar, (3, 2, 2), "4 C"),
        (lambda x: dct_channels(x, 65), (1, 1, 8, 8), "kept must be 1 to 64, or places from 0 to 63"),
        (lambda x: dct_channels(x, 1), (8, 8), "coefficients must be"),
    ],
)
def test_other_shapes_are_refused(function: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(MediaError, match=message):
        function(np.ones(shape))


# -- JPEG files --------------------------------------------------------------------------------------------


def jpeg(mode: str, rows: int, columns: int, seed: int = 0, **options: Any) -> bytes:
    rng = np.random.default_rng(seed)
    shape = (rows, columns) if mode == "L" else (rows, columns, 3)
    smooth = np.cumsum(np.cumsum(rng.normal(size=shape), 0), 1)
    pixels = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, mode=None).save(file, "jpeg", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [{"quality": 90}, {"quality": 20}, {"quality": 75, "optimize": True}, {"restart_marker_blocks": 2}],
)
@pytest.mark.parametrize("size", [(8, 8), (16, 40), (13, 21)])
def test_coefficients_give_the_pixels_that_pillow_decodes(size: tuple[int, int], options: Any) -> None:
    """libjpeg's integer transform may differ from the exact one by one step of brightness."""
    content = jpeg("L", *size, **options)
    found = read_jpeg_coefficients(content)
    assert (found.rows, found.columns) == size
    pixels = np.clip(np.round(inverse_block_dct(found.coefficients()) + 128), 0, 255)
    wanted = np.asarray(Image.open(io.BytesIO(content)), dtype=np.float64)
    assert np.abs(pixels[: size[0], : size[1]] - wanted).max() <= 1


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(16, 16), (30, 50)])
def test_colour_files_hold_three_components(size: tuple[int, int], subsampling: int) -> None:
    content = jpeg("RGB", *size, subsampling=subsampling, quality=85)
    found = read_jpeg_coefficients(content)
    opened = Image.open(io.BytesIO(content))
    opened.draft("YCbCr", None)  # type: ignore[arg-type]
    wanted = np.asarray(opened.convert("YCbCr") if opened.mode != "YCbCr" else opened, dtype=np.float64)
    brightness = np.clip(np.round(inverse_block_dct(found.coefficients(0)) + 128), 0, 255)
    assert np.abs(brightness[: size[0], : size[1]] - wanted[..., 0]).max() <= 1
    blocks = [-(-n // 8) for n in size]
    parts = [((n + 1) // 2 + 7) // 8 for n in size]
    chroma = {0: tuple(blocks), 1: (blocks[0], parts[1]), 2: tuple(parts)}[subsampling]
    assert [each.shape[:2] for each in found.quantised] == [tuple(blocks), chroma, chroma]


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(jpeg("L", 8, 8))
    assert read_jpeg_coefficients(path).quantised[0].shape == (1, 1, 8, 8)
    with pytest.raises(MediaError, match="cannot be read: No such file"):
        read_jpeg_coefficients(tmp_path / "other.jpg")


def test_what_is_no_baseline_jpeg_is_refused() -> None:
    with pytest.raises(MediaError, match="this is not a JPEG file"):
        read_jpeg_coefficients(b"nonsense")
    with pytest.raises(MediaError, match=r"is progressive.*save it as a baseline JPEG"):
        read_jpeg_coefficients(jpeg("L", 16, 16, progressive=True))


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken() -> None:
    content = bytearray(jpeg("L", 8, 8))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = (16384).to_bytes(2, "big") * 2
    with pytest.raises(MediaError, match="bytes cannot hold 16384 x 16384 pixels"):
        read_jpeg_coefficients(bytes(content))


def test_every_cut_is_noticed() -> None:
    content = jpeg("RGB", 24, 24, quality=60)
    for stop in range(len(content) - 3):
        with pytest.raises(MediaError):
            read_jpeg_coefficients(content[:stop])


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 2)
)
def test_damaged_files_give_coefficients_or_an_error(changes: list[tuple[int, int]], kind: int) -> None:
    options = ({}, {"optimize": True}, {"restart_marker_blocks": 2})[kind]
    content = bytearray(jpeg("RGB", 24, 16, quality=40, **options))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        found = read_jpeg_coefficients(bytes(content))
    except MediaError:
        return
    assert len(found.quantised) == len(found.tables)
