"""`spikeloom train`: from labelled recordings to a model file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spikeloom.commands.options import damage_options, data_option, debug_option

if TYPE_CHECKING:
    from neuro.training import EpochReport
    from spikeloom.console import Advance
    from spikeloom.frame_sets import Loading
    from spikeloom.training import TrainingResult


@click.command()
@click.argument("dataset")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="MODEL", help="Model file to write."
)
@data_option
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Seed of every random choice.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=None, help="Passes over the training recordings."
)
@click.option("--device", default="cpu", show_default=True, help="Device of torch, such as cuda.")
@click.option("--threads", type=click.IntRange(min=1), default=None, help="Threads of torch.")
@click.option(
    "--filter-us",
    type=click.IntRange(min=0),
    default=None,
    help="Support time of the background-activity filter in microseconds; 0 for none.  "
    "[default: 10000; for sounds 0]",
)
@click.option(
    "--bin-us",
    type=click.IntRange(min=1),
    default=None,
    help="Length of a frame in microseconds.  [default: 15000]",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Keep what was read of the recordings in DIR, so that the next training starts at once.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted training of the same kind.")
@damage_options
@debug_option
def train(
    *,
    dataset: str,
    out: Path,
    data: Path | None,
    seed: int,
    epochs: int | None,
    device: str,
    threads: int | None,
    filter_us: int | None,
    bin_us: int | None,
    cache: Path | None,
    resume: bool,
    allow_damaged: bool,
    sort: bool,
) -> None:
    """Train a network on DATASET and write it to a model file.

    DATASET is digits, the name of a downloaded data set (with --data DIR) or its folder, of which the
    training part is used, or a folder LABEL/recording. Names: nmnist, ncaltech101, ncars, cifar10_dvs,
    dvs_gesture, dvs_sign, asl_dvs, shd, ssc; where the authors made no split, a fixed tenth of each class
    is kept for testing. The model, its attention threshold and its temperature are chosen on validation
    recordings: those published (ssc) or kept for that (digits), elsewhere 11 % drawn by the seed.

    After each epoch the state is saved beside MODEL, so that --resume can continue.
    """
    checkpoint = _checkpoint(out, resume)
    import neuro.training  # noqa: F401  (says at once what to install when torch or norse is missing)
    from spikeloom.console import progress
    from spikeloom.datasets import training_parts
    from spikeloom.training import DEFAULT_BIN_US, DEFAULT_EPOCHS, Progress, train_recognizer, usual_filter_us

    training, validation = training_parts(dataset, data=data, seed=seed)
    with _resumable(checkpoint), progress("reading recordings") as advance:
        result = train_recognizer(
            training,
            validation,
            seed=seed,
            epochs=epochs or DEFAULT_EPOCHS,
            device=device,
            threads=threads,
            bin_us=bin_us or DEFAULT_BIN_US,
            filter_window_us=usual_filter_us(training) if filter_us is None else filter_us,
            checkpoint=checkpoint,
            loading=_loading(cache, allow_damaged=allow_damaged, sort=sort),
            progress=Progress(loaded=advance, epoch=followed(advance)),
        )
    result.recognizer.save(out)
    checkpoint.unlink(missing_ok=True)
    _say_result(result, out)


def _loading(cache: Path | None, *, allow_damaged: bool, sort: bool) -> Loading:
    """Say what to do with damaged recordings, and where what was read is kept."""
    from eventio.datasets import SampleCache
    from spikeloom.frame_sets import Loading
    from spikeloom.recordings import DamagePolicy

    damage = DamagePolicy(allow_damaged=allow_damaged, sort=sort)
    return Loading(damage, None if cache is None else SampleCache(cache))


def _checkpoint(out: Path, resume: bool) -> Path:
    """Say where the state of the training is kept; nothing may lie there that was not asked for."""
    from spikeloom.errors import UserError
    from spikeloom.storage import require_writable

    require_writable(out)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    if resume and not checkpoint.exists():
        raise UserError(f"{checkpoint}: no interrupted training to resume; leave --resume out")
    if not resume and checkpoint.exists():
        raise UserError(
            f"{checkpoint}: an interrupted training is kept here; "
            "continue it with --resume or delete the file"
        )
    return checkpoint


@contextmanager
def _resumable(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint.exists():
            click.echo(f"the training so far is in {checkpoint}; continue it with --resume", err=True)
        raise


def followed(advance: Advance) -> Callable[[EpochReport], None]:
    """Give a function that says an epoch and moves the progress bar.

    Parameters
    ----------
    advance : callable
        Moves the bar: (number done, number in all, what is being done).

    Returns
    -------
    callable
        To be called after each epoch.
    """

    def follow(report: EpochReport) -> None:
        say_epoch(report)
        advance(report.epoch, report.n_epochs, "training")

    return follow


def say_epoch(report: EpochReport) -> None:
    """Write one line about an epoch to standard error.

    Parameters
    ----------
    report : neuro.training.EpochReport
        What the epoch gave.
    """
    click.echo(
        f"epoch {report.epoch:3d}/{report.n_epochs}  {report.phase:5s}  loss {report.loss:.4f}  "
        f"validation accuracy {100 * report.validation_accuracy:.2f} %{' *' if report.is_best else ''}",
        err=True,
    )


def _say_result(result: TrainingResult, out: Path) -> None:
    from spikeloom.console import percent, print_table

    trained, chosen, encoding = result.trained, result.chosen, result.recognizer.encoding
    rows = [
        (
            "validation accuracy",
            f"{percent(chosen.accuracy)} with {percent(chosen.frames_kept)} of the frames",
        ),
        ("best epoch", f"{trained.best_epoch} of {len(trained.history)}"),
        ("attention threshold", f"{chosen.threshold:.4f}"),
        ("temperature", f"{result.recognizer.temperature:.3f}"),
        ("window", f"{encoding.n_frames} frames of {encoding.bin_us / 1000:g} ms"),
        ("weight grid", f"{trained.weight_grid:g}"),
        ("model", str(out)),
    ]
    print_table(f"trained on {result.recognizer.dataset}", rows)
