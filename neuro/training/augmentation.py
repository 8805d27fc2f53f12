"""Random shifts, rotations, scalings and losses of event frames; counts stay whole."""

from __future__ import annotations

import torch

from neuro.training.configuration import Augmentation


def augment(frames: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Move every recording of a batch at random, by nearest-neighbour look-up.

    The value at pixel p of the result is that of the pixel nearest to R^-1 (p - centre - shift) / scale +
    centre, 0 outside; all frames and both polarities of a recording move alike.

    Parameters
    ----------
    frames : torch.Tensor
        uint8 or float32, shape (B, T, channels, rows, columns).
    augmentation : Augmentation
        Ranges of the changes.
    generator : torch.Generator
        Source of every random number.

    Returns
    -------
    torch.Tensor
        Same type and shape, a new tensor.
    """
    n_samples, n_frames = frames.shape[:2]
    source, inside = _sources(frames.shape, augmentation, generator)
    flat = frames.flatten(3).flatten(1, 2)
    moved = torch.stack([flat[k].index_select(1, source[k]) for k in range(n_samples)])
    moved = (moved * inside.to(moved.dtype).unsqueeze(1)).reshape(frames.shape)
    if augmentation.event_drop:
        moved *= torch.rand(moved.shape, generator=generator) >= augmentation.event_drop
    if augmentation.frame_drop:
        lasting = torch.rand(n_samples, n_frames, 1, 1, 1, generator=generator) >= augmentation.frame_drop
        moved *= lasting
    return moved


def _sources(
    shape: torch.Size, augmentation: Augmentation, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Index of the source pixel of each pixel, shape (B, rows*columns), and whether it lies inside."""
    n_samples, rows, columns = shape[0], shape[3], shape[4]
    uniform = 2.0 * torch.rand(2, n_samples, 1, generator=generator) - 1.0
    angle = torch.deg2rad(uniform[0] * augmentation.rotation_deg)
    scale = 1.0 + uniform[1] * augmentation.scale
    limit = augmentation.shift_px
    shift = torch.randint(-limit, limit + 1, (2, n_samples, 1), generator=generator)
    row = torch.arange(rows).repeat_interleave(columns) - (rows - 1) / 2 - shift[0]
    column = torch.arange(columns).repeat(rows) - (columns - 1) / 2 - shift[1]
    sine, cosine = torch.sin(angle) / scale, torch.cos(angle) / scale
    from_row = torch.round(cosine * row - sine * column + (rows - 1) / 2).long()
    from_column = torch.round(sine * row + cosine * column + (columns - 1) / 2).long()
    inside = (from_row >= 0) & (from_row < rows) & (from_column >= 0) & (from_column < columns)
    source = from_row.clamp(0, rows - 1) * columns + from_column.clamp(0, columns - 1)
    return source, inside
