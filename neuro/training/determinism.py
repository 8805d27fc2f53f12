"""Torch made reproducible for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.utils.deterministic as memory

from neuro.errors import InputError


def usable_device(name: str) -> torch.device:
    """Give a device of torch after trying it.

    Parameters
    ----------
    name : str
        Such as 'cpu', 'cuda' or 'cuda:1'.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    InputError
        There is no such device, or this torch or machine cannot use it.

    Examples
    --------
    >>> usable_device("cpu").type
    'cpu'
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as err:
        why = str(err).partition("\n")[0].rstrip(".")
        raise InputError(f"device {name!r} cannot be used here ({why}); use 'cpu'") from err
    return device


@contextmanager
def controlled(seed: int, *, device: str, threads: int | None) -> Iterator[None]:
    """Seed torch, make it deterministic and set its threads; put all of it back afterwards.

    Parameters
    ----------
    seed : int
        Seed of torch's global generator.
    device : str
        Deterministic algorithms are enforced on 'cpu', and preferred (with a warning) elsewhere.
    threads : int or None
        Number of threads; None: as it is.

    Yields
    ------
    None
        Nothing; the settings hold inside the block.
    """
    n_threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device != "cpu" else ()):
        try:
            torch.manual_seed(seed)
            torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
            memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            if threads is not None:
                torch.set_num_threads(threads)
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            memory.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
            torch.set_num_threads(n_threads)
