"""`spikeloom demo`: recognise the test digits with the model that comes along."""

from __future__ import annotations

from pathlib import Path

import click

from spikeloom.commands.options import debug_option, json_option, write_json


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("spikeloom-demo"),
    show_default=True,
    metavar="DIR",
    help="Folder for the report.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=None,
    help="Another model of the digits; by default the one that comes along.",
)
@json_option
@debug_option
def demo(out: Path, model: Path | None, as_json: bool) -> None:
    """Recognise 360 held-out recorded digits with a trained network and write a report.

    The report is one HTML file without outside parts: pictures of the events, spikes of every layer,
    attention, confidence, confusions and cost.
    """
    from eventio.datasets import digits
    from spikeloom.console import print_table, progress
    from spikeloom.evaluation import evaluate
    from spikeloom.model_file import shipped_model
    from spikeloom.recognizer import Recognizer
    from spikeloom.report import write_report
    from spikeloom.storage import prepared_folder
    from spikeloom.summary import summary_rows

    recognizer = Recognizer.load(model or shipped_model())
    report = prepared_folder(out) / "report.html"
    if not as_json:
        click.echo(
            "preparing the recordings and the engine (the first run compiles; later ones do not)", err=True
        )
    with progress("showing digits to the emulated camera") as advance:
        collection = digits("test", on_progress=advance)
    with progress("recognising digits") as advance:
        evaluation = evaluate(recognizer, collection, on_progress=advance)
    write_report(report, recognizer=recognizer, collection=collection, evaluation=evaluation)
    if as_json:
        write_json(evaluation.to_json() | {"report": str(report)})
        return
    print_table("Spikeloom demo: held-out digits", [*summary_rows(evaluation), ("report", str(report))])
