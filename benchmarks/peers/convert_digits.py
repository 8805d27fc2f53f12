"""The converters of SpikingJelly and sinabs on the networks of the conversion benchmark; runs in ``.venv-peers``.

``python benchmarks/peers/convert_digits.py OUT.json seed0 fold0 ..`` writes, for each network and recipe, the accuracy
in per cent after 2, 4, 8, 16 and 32 steps: on the test images, or on the images of the fold that the network has not
seen. Both get the network with its ReLUs and, where they calibrate, the images that it was trained with.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.simplefilter("ignore")

import torch  # noqa: E402
from conversion_networks import digits, fold_of, load_digits_net, load_fold_net  # noqa: E402
from torch.nn.utils.fusion import fuse_conv_bn_eval  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

STEPS = (2, 4, 8, 16, 32)


def spikingjelly_recipes(loader: Any) -> dict[str, Any]:
    """Return its recipes for convolutional networks, with the options that its documentation recommends."""
    from spikingjelly.activation_based import ann2snn

    rate = ann2snn.RateCodingRecipe
    return {
        "spikingjelly rate, maximum": rate(dataloader=loader, mode="max"),
        "spikingjelly rate, 99.9 %": rate(dataloader=loader, mode="99.9%"),
        "spikingjelly rate, 99.9 %, by channel, half threshold, early max pool": rate(
            dataloader=loader, mode="99.9%", channel_wise=True, half_threshold=True, pre_spike_maxpool=True
        ),
        "spikingjelly local threshold balancing": ann2snn.LocalThresholdBalancingRecipe(dataloader=loader),
    }


def run_spikingjelly(
    network: Any, recipe: Any, x: torch.Tensor, correct: Callable[[Any], float]
) -> dict[int, float]:
    """Convert by a recipe and read the mean output after some steps."""
    from spikingjelly.activation_based import ann2snn, functional

    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        spiking = ann2snn.Converter(recipe=recipe).convert(copy.deepcopy(network))
    spiking.eval()
    functional.reset_net(spiking)
    functional.set_step_mode(spiking, "s")
    total, found = 0.0, {}
    for step in range(1, max(STEPS) + 1):
        total = total + spiking(x)
        if step in STEPS:
            found[step] = correct(total)
    return found


def run_sinabs(network: Any, x: torch.Tensor, correct: Callable[[Any], float]) -> dict[int, float]:
    """Convert with graded spikes, its default, after folding batch norm, which it leaves as it is."""
    import sinabs.from_torch

    network = copy.deepcopy(network)
    for layer in ("stem", "first", "second", "depthwise", "pointwise"):
        setattr(network, layer, fuse_conv_bn_eval(getattr(network, layer), getattr(network, f"{layer}_norm")))
        setattr(network, f"{layer}_norm", torch.nn.Identity())
    found = {}
    for n_steps in STEPS:
        outputs = []
        for part in x.split(100):
            spiking = sinabs.from_torch.from_model(network, batch_size=len(part)).spiking_model
            repeated = part.unsqueeze(1).expand(-1, n_steps, -1, -1, -1).flatten(0, 1)
            outputs.append(spiking(repeated).view(len(part), n_steps, -1).mean(1))
        found[n_steps] = correct(torch.cat(outputs))
    return found


def main() -> None:
    """Run all recipes on all seeds."""
    torch.set_num_threads(1)
    found: dict[str, dict[str, dict[int, float]]] = {}
    with torch.no_grad():
        for name in sys.argv[2:]:
            network, (inside, (x, y)) = _network(name)
            loader = DataLoader(TensorDataset(*inside), batch_size=128)

            def correct(scores: Any, y: Any = y) -> float:
                return float((scores.argmax(1) == y).double().mean()) * 100

            results = {"sinabs (graded spikes)": run_sinabs(network, x, correct)}
            for recipe_name, recipe in spikingjelly_recipes(loader).items():
                results[recipe_name] = run_spikingjelly(network, recipe, x, correct)
            found[name] = results
    Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")


def _network(name: str) -> tuple[Any, Any]:
    """Return a network by name, the images it was trained with, and those that it is judged by."""
    (train_x, train_y), test = digits()
    k = int(name[4:])
    if name.startswith("seed"):
        parts = (train_x, train_y), test
    else:
        held = fold_of(len(train_x)) == k
        parts = (train_x[~held], train_y[~held]), (train_x[held], train_y[held])
    network = load_digits_net(k) if name.startswith("seed") else load_fold_net(k)
    return network, [[torch.from_numpy(array) for array in part] for part in parts]


if __name__ == "__main__":
    main()
