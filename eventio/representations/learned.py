"""A voxel grid whose kernel is learned (event spike tensor); the one module of eventio that needs torch."""

from __future__ import annotations

import numpy as np

from eventio.arguments import check_sensor, check_whole
from eventio.errors import MissingPackageError
from eventio.recording import EventArray, check_size
from eventio.representations.counts import check_room

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:  # pragma: no cover
    raise MissingPackageError(
        "eventio.representations.learned needs torch for its learned kernel; install it with `pip install torch`"
    ) from error

FITTING_STEPS = 500


class LearnedVoxelGrid(nn.Module):
    """
    Turn events into a grid through a small network that says how an event weighs on each time bin.

    An event of scaled time u in 0..1 (first to last event of its recording) adds u * k(u - b / (n_bins - 1)) to bin
    b of its polarity and pixel; k is a network of one number to one number with two hidden layers. It begins close
    to the triangle of `voxel_grid`, and learns with the network behind it.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.
    n_bins : int
        Time bins, at least 2.
    n_hidden : int
        Neurons of each hidden layer, at least 1.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    ArgumentError
        A number is out of its range.

    Notes
    -----
    Source: Gehrig, Loquercio, Derpanis, Scaramuzza, "End-to-end learning of representations for asynchronous
    event-based data", ICCV 2019, eq. 7 and 10.
    """

    def __init__(
        self, *, width: int, height: int, n_bins: int = 9, n_hidden: int = 30, seed: int = 0
    ) -> None:
        super().__init__()
        check_size(width, height)
        check_whole("n_bins", n_bins, least=2)
        check_whole("n_hidden", n_hidden)
        check_room(2, n_bins, height, width)
        self.width, self.height, self.n_bins = width, height, n_bins
        generator = torch.Generator().manual_seed(seed)
        self.kernel = nn.Sequential(
            nn.Linear(1, n_hidden), nn.LeakyReLU(0.1), nn.Linear(n_hidden, n_hidden), nn.LeakyReLU(0.1),
            nn.Linear(n_hidden, 1),
        )  # fmt: skip
        for parameter in self.kernel.parameters():
            with torch.no_grad():
                parameter.uniform_(-1, 1, generator=generator).div_(max(parameter.shape[-1], 1) ** 0.5)
        self._fit_triangle(generator)

    def _fit_triangle(self, generator: torch.Generator) -> None:
        optimizer = torch.optim.Adam(self.kernel.parameters(), lr=1e-2)
        with torch.enable_grad():
            for _ in range(FITTING_STEPS):
                lag = torch.rand(512, 1, generator=generator) * 2 - 1
                wanted = torch.clamp(1 - lag.abs() * (self.n_bins - 1), min=0)
                loss = ((self.kernel(lag) - wanted) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        optimizer.zero_grad()

    def forward(self, recordings: list[EventArray]) -> Tensor:
        """
        Make the grids of a batch.

        Parameters
        ----------
        recordings : list of ndarray
            Of EVENT_DTYPE, shape (n_events,) each; an empty one gives zeros.

        Returns
        -------
        Tensor
            float32, shape (n_recordings, 2 * n_bins, height, width): all bins of OFF, then all of ON.
        """
        device = next(self.parameters()).device
        size = 2 * self.n_bins * self.height * self.width
        grids = []
        for events in recordings:
            check_sensor(events, self.width, self.height)
            grid = torch.zeros(size, device=device)
            if len(events):
                first, last = int(events["t"].min()), int(events["t"].max())
                scaled = ((events["t"] - first) / max(last - first, 1)).astype(np.float32)
                pixel = events["y"].astype(np.int64) * self.width + events["x"]
                place = events["p"].astype(np.int64) * self.n_bins * self.height * self.width + pixel
                grid = self._add(
                    grid, torch.from_numpy(scaled).to(device), torch.from_numpy(place).to(device)
                )
            grids.append(grid)
        shape = (len(recordings), 2 * self.n_bins, self.height, self.width)
        return torch.stack(grids).view(shape) if grids else torch.zeros(shape, device=device)

    def _add(self, grid: Tensor, scaled: Tensor, place: Tensor) -> Tensor:
        centers = torch.arange(self.n_bins, device=grid.device) / (self.n_bins - 1)
        weight = scaled[:, None] * self.kernel((scaled[:, None] - centers).reshape(-1, 1)).view(
            -1, self.n_bins
        )
        places = place[:, None] + torch.arange(self.n_bins, device=grid.device) * (self.height * self.width)
        return grid.index_add(0, places.reshape(-1), weight.reshape(-1))
