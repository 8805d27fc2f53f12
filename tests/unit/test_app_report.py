"""The report: complete, self-contained, honest about what it shows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from eventio.datasets import Collection, Sample
from neuro import graph as g
from spikeloom import Evaluation, Recognizer, evaluate
from spikeloom.report import write_report
from spikeloom.report.cost import dense_operations, layer_costs
from spikeloom.report.figures import polarity_picture
from spikeloom.report.traces import telling_positions
from tests.app_models import CLASS_NAMES, random_events, small_recognizer, write_recording


def collection_in(folder: Path, *, n: int = 10) -> Collection:
    samples = tuple(Sample(write_recording(folder / f"{k}.bin", seed=k), k % 10) for k in range(n))
    return Collection("a <small> set", CLASS_NAMES, samples, 34, 34)


def report(folder: Path, recognizer: Recognizer) -> tuple[str, Evaluation]:
    collection = collection_in(folder)
    evaluation = evaluate(recognizer, collection)
    write_report(folder / "report.html", recognizer=recognizer, collection=collection, evaluation=evaluation)
    return (folder / "report.html").read_text(encoding="utf-8"), evaluation


@pytest.fixture(scope="module")
def with_attention(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Evaluation]:
    return report(tmp_path_factory.mktemp("report"), small_recognizer())


class Page(HTMLParser):
    """Collect tags and attributes, and check that tags close."""

    void = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_comes_from_elsewhere(with_attention: tuple[str, Evaluation]) -> None:
    text, _ = with_attention
    page = Page(text)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "action", "data", "poster"):
            assert value.startswith(("data:", "#")), (tag, name, value[:80])
    assert "@import" not in text
    assert re.findall(r"url\((?!#)[^)]*\)", text) == []
    assert not any(tag in ("script", "link", "iframe") for tag, _, _ in page.attributes)
    assert len(text) < 3_000_000


def test_identifiers_are_unique_and_references_resolve(with_attention: tuple[str, Evaluation]) -> None:
    page = Page(with_attention[0])
    identifiers = [value for _, name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    references = {
        value[1:] for _, name, value in page.attributes if name.endswith("href") and value[0] == "#"
    }
    assert references <= set(identifiers)
    assert set(re.findall(r"url\(#([^)]*)\)", with_attention[0])) <= set(identifiers)


def test_figures_take_the_colours_of_the_page(with_attention: tuple[str, Evaluation]) -> None:
    text, _ = with_attention
    for stand_in in ("#010203", "#040506", "#070809"):
        assert stand_in not in text
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text


def test_the_page_tells_what_it_must(with_attention: tuple[str, Evaluation]) -> None:
    text, evaluation = with_attention[0].replace("\N{NO-BREAK SPACE}", " "), with_attention[1]
    for words in (
        "A few recordings",
        "ON: brightness rose",
        "OFF: brightness fell",
        "Attention: score of each frame",
        "threshold",
        "dropped",
        "Confidence: running probability",
        "Spikes, layer by layer",
        "Confusions",
        "Cost",
        "How to get this again",
        "spikeloom demo",
        f"{100 * evaluation.accuracy:.1f} %",
    ):
        assert words in text, words
    assert "a &lt;small&gt; set" in text
    assert "a <small> set" not in text


def test_a_network_without_attention_has_a_report_too(tmp_path: Path) -> None:
    text, evaluation = report(tmp_path, small_recognizer(attention=False))
    assert "Attention" not in text
    assert "with every frame" not in text
    assert evaluation.frames_kept == 1.0
    Page(text)


def test_long_windows_and_many_classes_have_a_report(tmp_path: Path) -> None:
    names = tuple(f"gesture number {n}" for n in range(12))
    recognizer = small_recognizer(n_frames=3, bin_us=7_000, class_names=names)
    sample = Sample(write_recording(tmp_path / "a.bin"), 3)
    collection = Collection("one", names, (sample,), 34, 34)
    evaluation = evaluate(recognizer, collection)
    assert evaluation.decisions[0].windows > 1
    write_report(tmp_path / "r.html", recognizer=recognizer, collection=collection, evaluation=evaluation)
    Page((tmp_path / "r.html").read_text())


def test_pictures_mix_the_polarities() -> None:
    events = random_events(4)
    events["x"], events["y"], events["p"] = [1, 1, 1, 2], [0, 0, 0, 3], [True, True, False, False]
    picture = polarity_picture(events, width=5, height=4)
    assert picture.shape == (4, 5, 4)
    assert np.count_nonzero(picture[..., 3]) == 2
    on, off = np.array([232, 89, 12]) / 255, np.array([28, 126, 214]) / 255
    assert np.allclose(picture[0, 1, :3], on * 2 / 3 + off / 3)
    assert np.allclose(picture[3, 2, :3], off)
    assert picture[0, 1, 3] > picture[3, 2, 3]


def test_the_recordings_shown_are_different_classes_and_a_mistake(
    with_attention: tuple[str, Evaluation],
) -> None:
    _, evaluation = with_attention
    chosen = telling_positions(evaluation)
    labels = np.asarray(evaluation.labels)
    right = [n for n in chosen if evaluation.predictions[n] == labels[n]]
    wrong = [n for n in chosen if evaluation.predictions[n] != labels[n]]
    assert len({int(labels[n]) for n in right}) == len(right) <= 3
    assert len(wrong) == 1
    others = np.flatnonzero(evaluation.predictions != labels)
    assert evaluation.decisions[wrong[0]].confidence == max(
        evaluation.decisions[n].confidence for n in others
    )


def test_costs_add_up(with_attention: tuple[str, Evaluation]) -> None:
    _, evaluation = with_attention
    graph = small_recognizer().graph
    costs = layer_costs(graph, evaluation)
    assert sum(cost.operations for cost in costs) == evaluation.synaptic_operations
    assert sum(cost.operations_without_attention for cost in costs) == (
        evaluation.synaptic_operations_without_attention
    )
    assert [cost.name for cost in costs] == ["conv", "linear"]
    assert dense_operations(graph, "conv") == 6 * 9 * 9 * 2 * 5 * 5
    assert dense_operations(graph, "linear") == 10 * 6 * 9 * 9
    assert costs[0].dense_operations == 10 * 8 * dense_operations(graph, "conv")
    pooled = g.Graph({"in": g.Input((2, 4, 4)), "pool": g.SumPool2d(2)}, [("in", "pool")], g.clocked(0.001))
    assert dense_operations(pooled, "pool") == 2 * 2 * 2 * 4
    assert dense_operations(pooled, "in") == 0
