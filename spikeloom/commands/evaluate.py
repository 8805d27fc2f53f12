"""`spikeloom evaluate`: how well a model recognises a collection, and at what cost."""

from __future__ import annotations

from pathlib import Path

import click

from spikeloom.commands.options import damage_options, data_option, debug_option, json_option, write_json


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("dataset")
@data_option
@damage_options
@json_option
@debug_option
def evaluate(
    *, model: Path, dataset: str, data: Path | None, allow_damaged: bool, sort: bool, as_json: bool
) -> None:
    """Recognise the test recordings of DATASET with MODEL.

    DATASET is digits, the name of a downloaded data set (with --data DIR) or its folder, of which the
    test part is used, or a folder LABEL/recording, which is evaluated whole. Names: nmnist, ncaltech101,
    ncars, cifar10_dvs, dvs_gesture, dvs_sign, asl_dvs, shd, ssc; where the authors made no split, a fixed
    tenth of each class is the test part. Synaptic operations are sums over all recordings.
    """
    from spikeloom.console import print_table, progress
    from spikeloom.datasets import evaluation_part
    from spikeloom.evaluation import evaluate as run
    from spikeloom.recognizer import Recognizer
    from spikeloom.recordings import DamagePolicy
    from spikeloom.summary import summary_rows

    recognizer = Recognizer.load(model)
    collection = evaluation_part(dataset, data=data)
    damage = DamagePolicy(allow_damaged=allow_damaged, sort=sort)
    with progress(f"recognising {collection.name}") as advance:
        evaluation = run(recognizer, collection, damage=damage, on_progress=advance)
    if as_json:
        write_json(evaluation.to_json())
        return
    print_table(f"{model} on {collection.name}", summary_rows(evaluation))
