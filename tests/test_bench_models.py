"""The benchmark of fine-tuning: its exams are fair, its figures are kept and summarised as said."""

import json

import numpy as np
import pytest
from test_pictures import COLOURS, draw, save_vit

from headstart.bench import Asked, models
from headstart.bench.exams import EXAMS
from headstart.bench.models import Cell, measure, summarise, wide

pytest.importorskip("PIL.Image")
pytest.importorskip("transformers")

DOMAINS = {"amazon": 9, "dslr": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two domains of pictures, one of them small."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for domain, n in DOMAINS.items():
        for name, colour in COLOURS.items():
            for i in range(n):
                draw(root / "office_caltech10_images" / domain / name / f"{i}.png", colour, rng)
    return root


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    save_vit(root / "vit", seed=0)
    return root


def test_no_test_row_is_learned_from_and_fewer_labels_are_among_more(data):
    exams = list(EXAMS["office"].make(data, 1))
    assert [exam.place for exam in exams] == list(DOMAINS)
    for exam in exams:
        own, y = exam.tests[exam.place]
        assert not set(own) & set(exam.items)
        assert len(own) + len(exam.items) == 2 * DOMAINS[exam.place]
        assert set(y) == set(COLOURS)
        assert all(f"/{label}/" in path for path, label in zip(exam.items, exam.y, strict=True))
        for fewer, more in zip(exam.sizes, exam.sizes[1:], strict=False):
            assert set(exam.first(fewer)) < set(exam.first(more))
        for size in exam.sizes:
            assert np.unique(exam.y[exam.first(size)], return_counts=True)[1].tolist() == [size, size]
    assert [list(exam.sizes) for exam in exams] == [[1, 3, 5], [1, 3]]
    again, other = next(EXAMS["office"].make(data, 1)), next(EXAMS["office"].make(data, 2))
    assert again.items == exams[0].items != other.items


def test_figures_are_kept_as_they_come_and_not_measured_again(data, networks, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "PICTURE_MODELS", {"vit": 16})
    said = []
    asked = Asked(
        data, ["office"], ["linear_probe", "fine-tune"], 1, models=networks, cells=tmp_path / "cells", say=said.append
    )
    shown = []
    figures = measure(asked, shown.append)
    assert len(figures["cells"]) == len(said) == 2 * 5
    assert len((tmp_path / "cells").read_text().splitlines()) == 2 * 5
    # As after an interruption: what is missing is measured, and only that.
    lines = (tmp_path / "cells").read_text().splitlines(keepends=True)
    (tmp_path / "cells").write_text("".join(lines[:-2]))
    said.clear()
    again = measure(asked, shown.append)
    assert len(said) == 2
    for one, two in zip(figures["cells"], again["cells"], strict=True):
        assert one["accuracy"] == two["accuracy"]
    assert {table.title.split(":")[0] for table in shown} == {"office, vit"}


def test_lines_are_means_over_places_and_pairs_with_draws_averaged_first():
    def cell(place, draw, strategy, inside, outside):
        other = "b" if place == "a" else "a"
        return Cell("office", place, draw, "net", strategy, 3, {place: inside, other: outside}, 1.0)

    cells = [
        cell("a", 0, "fine-tune", 0.5, 0.2),
        cell("a", 1, "fine-tune", 0.7, 0.4),
        cell("b", 0, "fine-tune", 0.9, 0.1),
        cell("a", 0, "lp-ft", 0.6, 0.4),
        cell("a", 1, "lp-ft", 0.8, 0.6),
        cell("b", 0, "lp-ft", 1.0, 0.2),
    ]
    lines = {(line.strategy, line.labels): line for line in summarise(cells)}
    line = lines["lp-ft", 3]
    assert line.units == 2
    assert line.inside[0] == pytest.approx((70 + 100) / 2)
    assert line.outside[0] == pytest.approx((50 + 20) / 2)
    assert line.inside_over["fine-tune"] == pytest.approx((10, 10, 10))
    # Differences of 20 and 10: their mean, and Student's interval with one degree of freedom.
    half = 12.706204736 * np.std([20, 10], ddof=1) / np.sqrt(2)
    assert line.outside_over["fine-tune"] == pytest.approx((15, 15 - half, 15 + half))
    assert lines["lp-ft", 0].outside == line.outside
    assert wide(list(lines.values()), "outside", "fine-tune") == [
        {"data": "office", "model": "net", "strategy": "lp-ft", "3": line.outside_over["fine-tune"],
         "all": line.outside_over["fine-tune"]}
    ]  # fmt: skip


def test_a_mistake_is_one_line(data):
    from headstart.errors import InputError

    with pytest.raises(InputError, match="did you mean 'lp-ft'"):
        measure(Asked(data, ["office"], ["lpft"]), print)
    with pytest.raises(InputError, match="--models"):
        measure(Asked(data, ["office"], ["lp-ft"]), print)
    assert json.dumps({name: kind.protocol for name, kind in EXAMS.items()})
