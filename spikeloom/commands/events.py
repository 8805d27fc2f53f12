"""`spikeloom events`: recordings converted, cleaned, shown, made from films, and filters compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spikeloom.commands.options import debug_option, json_option, write_json

if TYPE_CHECKING:
    from eventio import Film

Size = tuple[int | None, int | None]

_source = click.argument("source", metavar="IN", type=click.Path(path_type=Path))


def _other_file(ctx: click.Context, parameter: click.Parameter, value: Path) -> Path:
    """Refuse to write over the recording that is read."""
    source = ctx.params.get("source")
    if source is not None and value.exists() and source.exists() and value.samefile(source):
        raise click.BadParameter(
            f"'{value}' is the recording that is read; name another file", ctx, parameter
        )
    return value


_target = click.argument("target", metavar="OUT", type=click.Path(path_type=Path), callback=_other_file)
_format = click.option(
    "--format", "format_name", default=None, help="Format of IN where its content does not tell."
)


def _parse_size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Size:
    if value is None:
        return None, None
    width, cross, height = value.lower().partition("x")
    if not (cross and width.isdigit() and height.isdigit()):
        raise click.BadParameter(f"must look like 346x260, got '{value}'", ctx, parameter)
    return int(width), int(height)


_size = click.option(
    "--size",
    callback=_parse_size,
    metavar="WIDTHxHEIGHT",
    default=None,
    help="Size of the sensor where IN does not tell it, for example 128x128.",
)


@click.group()
def events() -> None:
    """Convert, clean, show and make recordings, compare filters; no network is involved."""


@events.command()
@_source
@_target
@_format
@_size
@click.option("--to", "to_format", default=None, help="Format of OUT where its ending does not tell.")
@click.option("--start-us", type=int, default=None, help="Leave out what is earlier, in microseconds.")
@click.option("--stop-us", type=int, default=None, help="Leave out what is not earlier, in microseconds.")
@click.option("--from-zero", is_flag=True, help="Move all times so that the first event lies at 0.")
@json_option
@debug_option
def convert(  # noqa: PLR0917
    source: Path,
    target: Path,
    format_name: str | None,
    size: Size,
    to_format: str | None,
    start_us: int | None,
    stop_us: int | None,
    from_zero: bool,
    as_json: bool,
) -> None:
    """Write the recording IN as OUT, in the format of its ending or --to.

    Frames, inertial measurements and triggers go along where OUT can hold them (.aedat4; .es: its own kinds)
    and are counted where they stay behind. Memory does not grow with the number of events.
    """
    from spikeloom.console import print_table, progress
    from spikeloom.event_files import FAR_US, Passage, pass_on

    passage = Passage(
        source,
        target,
        format=format_name,
        to_format=to_format,
        size=size,
        start_us=-FAR_US if start_us is None else start_us,
        stop_us=FAR_US if stop_us is None else stop_us,
        is_from_zero=from_zero,
    )
    with progress("reading") as advance:
        passed = pass_on(passage, on_progress=advance)
    if as_json:
        write_json(passed.to_json())
        return
    print_table(f"{source} -> {target}", passed.rows())


@events.command()
@_source
@_target
@_format
@_size
@click.option("--to", "to_format", default=None, help="Format of OUT where its ending does not tell.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    default=("baf",),
    show_default=True,
    metavar="KIND[:KEY=VALUE,...]",
    help="baf, stcf, rows-columns, double-window, refractory, flicker, hot-pixels or perceptron (path=FILE); "
    "several run one after the other.",
)
@click.option("--score", is_flag=True, help="Measure the contrast of edges (AOCC) before and after.")
@json_option
@debug_option
def denoise(  # noqa: PLR0917
    source: Path,
    target: Path,
    format_name: str | None,
    size: Size,
    to_format: str | None,
    filters: tuple[str, ...],
    score: bool,
    as_json: bool,
) -> None:
    """Run the recording IN through filters and write what is left as OUT.

    For example --filter hot-pixels --filter stcf:window_us=5000,n_supporting=2. Keys are the
    parameters of the filters in eventio.denoising. Companions go along as in convert. Memory does not grow
    with the number of events, but for --score.
    """
    from spikeloom.cleaning import clean
    from spikeloom.console import print_table, progress
    from spikeloom.event_files import Passage
    from spikeloom.filter_options import parse_filter

    chosen = tuple(parse_filter(text) for text in filters)
    passage = Passage(source, target, format=format_name, to_format=to_format, size=size, filters=chosen)
    with progress("reading") as advance:
        facts = clean(passage, is_scored=score, on_progress=advance)
    if as_json:
        write_json(facts.to_json())
        return
    print_table(f"{source} -> {target}", facts.rows())


@events.command()
@_source
@_target
@_format
@_size
@click.option(
    "--kind",
    type=click.Choice(["frames", "3d"]),
    default="frames",
    show_default=True,
    help="Frames, or points over columns, rows and time.",
)
@click.option("--frames", type=int, default=None, help="Parts of equal time (PNG: 12, else 100).")
@click.option("--rate", type=float, default=20.0, show_default=True, help="Frames per second of GIF and MP4.")
@debug_option
def render(  # noqa: PLR0917
    source: Path,
    target: Path,
    format_name: str | None,
    size: Size,
    kind: str,
    frames: int | None,
    rate: float,
) -> None:
    """Draw the recording IN as OUT: .png is a sheet of frames, .gif and .mp4 are animations."""
    import eventio
    from spikeloom.pictures import render as draw

    recording = eventio.read(source, format=format_name, width=size[0], height=size[1])
    n_frames = frames if frames is not None else 12 if target.suffix.lower() == ".png" else 100
    draw(recording, target, kind=kind, n_frames=n_frames, rate_hz=rate)
    click.echo(str(target))


@events.command()
@_source
@_target
@click.option("--to", "to_format", default=None, help="Format of OUT where its ending does not tell.")
@_size
@click.option("--rate", type=float, default=None, help="Images per second, for a folder.")
@click.option(
    "--slow-down", type=float, default=1.0, show_default=True, help="0.1: the film is ten times slow."
)
@click.option(
    "--threshold", type=float, default=0.2, show_default=True, help="Change of log intensity per event."
)
@click.option("--cutoff", type=float, default=None, help="Cutoff of the photoreceptor in Hz at full light.")
@click.option(
    "--noise", type=float, default=1.0, show_default=True, help="Shot noise of a dark pixel, in Hz."
)
@click.option("--leak", type=float, default=0.1, show_default=True, help="Leakage of a pixel, in Hz.")
@click.option("--hot", type=float, default=0.0, show_default=True, help="Share of hot pixels.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of noise and pixels."
)
@json_option
@debug_option
def emulate(  # noqa: PLR0917
    source: Path,
    target: Path,
    to_format: str | None,
    size: Size,
    rate: float | None,
    slow_down: float,
    threshold: float,
    cutoff: float | None,
    noise: float,
    leak: float,
    hot: float,
    seed: int,
    as_json: bool,
) -> None:
    """Show the film or the folder of images IN to an emulated event camera; write its events as OUT.

    --size scales the pictures, which all lie in memory at once.
    """
    import eventio

    film = _film(source, size, rate, slow_down)
    model = eventio.DvsModel(
        on_threshold=threshold,
        off_threshold=threshold,
        cutoff_hz=float("inf") if cutoff is None else cutoff,
        shot_noise_rate_hz=noise,
        leak_rate_hz=leak,
        hot_share=hot,
        pattern_seed=seed,
    )
    recording = eventio.emulate_dvs(film.frames, film.times_us, model=model, seed=seed)
    eventio.write(target, recording, format=to_format)
    seconds = float(film.times_us[-1]) / 1e6
    size_px = {"width": recording.width, "height": recording.height}
    answer = {"frames": len(film.frames), "events": len(recording), **size_px, "seconds": seconds}
    if as_json:
        write_json(answer)
        return
    from spikeloom.console import print_table

    print_table(f"{source} -> {target}", [(name, f"{value:,}") for name, value in answer.items()])


def _film(source: Path, size: Size, rate: float | None, slow_down: float) -> Film:
    """Read a film, or a folder of images, which must be told how many a second has."""
    import eventio
    from spikeloom.errors import UserError

    width, height = size
    if not source.is_dir():
        return eventio.read_film(source, width=width, height=height, slow_down=slow_down)
    if rate is None:
        raise UserError(f"{source}: say how many images a second has, --rate N")
    return eventio.read_pictures(source, rate_hz=rate, width=width, height=height)


@events.command()
@_source
@_format
@_size
@click.option(
    "--rate",
    "rates",
    type=float,
    multiple=True,
    default=(1.0, 5.0, 10.0),
    show_default=True,
    help="Shot noise to mix in, events per second and pixel.",
)
@click.option(
    "--leak", type=float, default=0.1, show_default=True, help="Leakage, ON events per second and pixel."
)
@click.option(
    "--hot", type=float, default=0.0, show_default=True, help="Share of hot pixels, at 100 events a second."
)
@click.option(
    "--measured",
    nargs=2,
    type=click.Path(path_type=Path),
    default=None,
    metavar="ON.npy OFF.npy",
    help="Measured intervals to mix in, too: cumulative counts, shape (..., 72).",
)
@click.option("--weights", type=click.Path(path_type=Path), default=None, help="A perceptron's .h5 or .pb.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Folder for roc.csv and roc.png.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the noise.")
@json_option
@debug_option
def bench(  # noqa: PLR0917
    source: Path,
    format_name: str | None,
    size: Size,
    rates: tuple[float, ...],
    leak: float,
    hot: float,
    measured: tuple[Path, Path] | None,
    weights: Path | None,
    out: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Mix noise into the clean recording IN and compare filters: area under the ROC curve.

    What IN holds counts as signal. Each filter runs at many settings; 1 is perfect, 0.5 is chance.
    """
    import eventio
    from eventio import denoising
    from spikeloom.cleaning import areas, compare
    from spikeloom.console import print_table, progress

    noises: dict[str, denoising.NoiseModel | denoising.MeasuredNoise] = {
        f"{rate:g} Hz": denoising.NoiseModel(rate, leak, hot_share=hot) for rate in rates
    }
    if measured is not None:
        noises["measured"] = denoising.MeasuredNoise.load(*measured)
    perceptron = None if weights is None else denoising.Perceptron.load(weights)
    recording = eventio.sort_by_time(eventio.read(source, format=format_name, width=size[0], height=size[1]))
    with progress("comparing filters") as advance:
        curves = compare(recording, noises, perceptron=perceptron, out=out, seed=seed, on_progress=advance)
    found = areas(curves)
    if as_json:
        write_json({"areas": found, "out": None if out is None else str(out)})
        return
    for noise, by_filter in found.items():
        n_noise = next(each.n_noise for each in curves if each.noise_name == noise)
        best_first = sorted(by_filter.items(), key=lambda pair: -pair[1])
        title = f"{source} and {n_noise:,} noise events ({noise}): area under the ROC curve"
        print_table(title, [(name, f"{area:.4f}") for name, area in best_first])
