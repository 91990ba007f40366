"""The benchmark of relations: fair folds, labels that no fact tells, and figures as said."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.bench import Asked, relations
from headstart.bench.relations import Cell, measure
from headstart.bench.relations_data import (
    random_world,
    read_tuples,
    whole,
    with_labels_dealt_anew,
    with_positives,
    world,
)
from headstart.bench.relations_tables import curve_lines, mapping_lines, mean_of_folds, wrong_lines
from headstart.errors import InputError

WORDS = {
    "imdb": ("workedunder", "director", "actor", "movie"),
    "uwcse": ("advisedby", "professor", "student", "publication"),
}


@pytest.fixture
def folder(tmp_path):
    """Two worlds of one rule, in two folds: whoever made something with a boss works under it."""
    for name, (target, boss, helper, made) in WORDS.items():
        for fold in (1, 2):
            place = tmp_path / "relational" / name / f"fold_{fold}"
            place.mkdir(parents=True)
            for part in ("train", "test"):
                lines = {"facts": [], "pos": [], "neg": []}
                at = f"{fold}{part}"
                lines["facts"] += [f"{boss}(b{at}{i})." for i in range(4)] + [f"{helper}(h{at}{i})." for i in range(12)]
                for i in range(12):
                    lines["facts"] += [f"{made}(m{at}{i},h{at}{i}).", f"{made}(m{at}{i},b{at}{i % 4})."]
                    lines["facts"].append(f"recursion_{target}(h{at}{i},b{at}{i % 4}).")
                    for boss_of in range(4):
                        kind = "pos" if boss_of == i % 4 else "neg"
                        lines[kind].append(f"{target}(h{at}{i},b{at}{boss_of}).")
                for kind, said in lines.items():
                    (place / f"{part}_{kind}.txt").write_text("\n".join(said) + "\n", encoding="utf-8")
    return tmp_path


def cell(source, method, fold, draw=0, auc_pr=0.5, cll=-0.5, positives=5, **more):
    return Cell(source, "uwcse", positives, draw, fold, method, 0.9, auc_pr, cll, 1.0, 2.0, 2.5, **more)


def test_no_fact_tells_the_label(folder):
    rows = world(folder / "relational", "imdb", [(1, "test")])
    assert sorted(rows.X.facts.schema) == ["actor", "director", "movie"]
    assert (len(rows), rows.labels.sum()) == (48, 12)


def test_the_source_is_the_whole_world_and_a_fold_is_apart_from_the_others(folder):
    place = folder / "relational"
    here, there = (world(place, "imdb", [(1, part)]) for part in ("test", "train"))
    assert not set(here.X.facts.constants) & set(there.X.facts.constants)
    assert len(whole(place, "imdb")) == len(here) + len(there)


def test_what_one_part_knows_to_be_true_is_no_negative_of_another(folder):
    place = folder / "relational" / "imdb" / "fold_1"
    with (place / "train_neg.txt").open("a", encoding="utf-8") as file:
        file.write((place / "test_pos.txt").read_text(encoding="utf-8"))
    assert whole(folder / "relational", "imdb").labels.sum() == 24


def test_a_line_that_is_no_fact_is_named(tmp_path):
    (tmp_path / "facts.txt").write_text("actor(pete).\n\nactor pete\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"facts\.txt, line 3: 'actor pete' is no fact"):
        read_tuples(tmp_path / "facts.txt")


def test_few_positives_come_with_negatives_in_proportion(folder):
    rows = world(folder / "relational", "imdb", [(1, "test")])
    few = with_positives(rows, 5, draw=0)
    assert (few.labels.sum(), len(few)) == (5, 5 + 15)
    again, other = with_positives(rows, 5, draw=0), with_positives(rows, 5, draw=1)
    assert few.X.constants.tolist() == again.X.constants.tolist() != other.X.constants.tolist()
    assert len(with_positives(rows, 100, draw=0)) == len(rows)


def test_dealing_labels_anew_keeps_their_number(folder):
    rows = whole(folder / "relational", "imdb")
    dealt = with_labels_dealt_anew(rows, 0)
    assert dealt.labels.sum() == rows.labels.sum()
    assert (dealt.labels != rows.labels).any()


def test_the_random_world_is_another_one_in_every_draw():
    one, again, other = random_world(0), random_world(0), random_world(1)
    assert one.labels.tolist() == again.labels.tolist()
    assert one.X.constants.tolist() != other.X.constants.tolist()
    assert 0.05 < one.labels.mean() < 0.15


def test_draws_are_averaged_within_a_fold_and_folds_are_the_units():
    # Two folds with means 0.2 and 0.1: mean 0.15, standard error 0.05, Student's t with one degree of freedom 12.706.
    found = mean_of_folds({1: [0.1, 0.3], 2: [0.1, 0.1]})
    assert found == pytest.approx([0.15, 0.15 - 12.706 * 0.05, 0.15 + 12.706 * 0.05], abs=1e-4)


def test_gains_are_over_scratch_on_the_same_rows():
    cells = [
        cell("imdb", method, fold, draw, auc_pr=0.1 * fold + 0.01 * draw + extra, cll=-0.5 + extra / 10)
        for fold in (1, 2)
        for draw in (0, 1)
        for method, extra in (("scratch", 0.0), ("mapped", 0.2 if fold == 1 else 0.1))
    ]
    (line,) = curve_lines(cells)
    assert (line["positives"], line["method"]) == (5, "mapped")
    assert line["over_auc_pr"][0] == pytest.approx(0.15)
    assert line["over_auc_roc"] == [0.0, 0.0, 0.0]
    assert line["printed"] == [0.923, 0.282, -0.320]
    assert line["harmed"] == [0, 4]


def test_harm_is_counted_case_by_case_and_scratch_when_taken():
    alone = [cell("random", "scratch", fold) for fold in (1, 2)]
    best = [
        cell("random", "best", 1, cll=-0.515, taken="mapped"),
        cell("random", "best", 2, cll=-0.505, taken="scratch"),
    ]
    (line,) = wrong_lines([*alone, *best])
    assert line["harmed"] == [1, 2]
    assert line["worst_cll"] == pytest.approx(-0.015)
    assert line["took_scratch"] == [1, 2]
    assert line["over_cll"][0] == pytest.approx(-0.01)


def test_published_figures_stand_beside_the_same_variant():
    lines = mapping_lines(
        cell("imdb", method, fold, positives=None, taken="mapped") for method in ("mapped", "best") for fold in (1, 2)
    )
    assert [line["printed"] for line in lines] == [[0.930, 0.293, -0.267], None]
    assert lines[1]["taken"] == {"mapped": 2}
    assert [line["most_seconds"] for line in lines] == [3.0, 3.0]


def test_measuring_keeps_every_cell_and_measures_none_again(folder, monkeypatch):
    monkeypatch.setattr(relations, "FOLDS", (1, 2))
    monkeypatch.setattr(relations, "DIRECTIONS", (("imdb", "uwcse"),))
    monkeypatch.setattr(relations, "POSITIVES", (5,))
    asked = Asked(folder, only=("mapping", "curve"), methods=("mapped", "best"), draws=1, cells=folder / "cells")
    shown = []
    found = measure(asked, shown.append)
    assert len(shown) == 2
    assert [line["method"] for line in found["mapping"]] == ["scratch", "mapped", "best"]
    # The rule is the same in both worlds, and nothing else is in them.
    mapped = found["mapping"][1]
    assert mapped["auc_roc"][0] == 1.0
    assert found["mapping"][2]["mappings"]["1"][0] == "workedunder(A, B) -> advisedby(A, B)"
    monkeypatch.setattr(relations._Bench, "_measured", None)
    again = measure(asked, lambda table: None)
    assert again == found


def test_an_unknown_method_or_part_is_refused(folder):
    with pytest.raises(InputError, match="method"):
        measure(Asked(folder, methods=("mappd",)), lambda table: None)
    with pytest.raises(InputError, match="data set"):
        measure(replace(Asked(folder), only=("curves",)), lambda table: None)


def test_likelihoods_are_of_the_true_label(folder):
    class Sure:
        def predict_proba(self, X):
            return np.tile([0.75, 0.25], (len(X), 1))

    rows = world(folder / "relational", "imdb", [(1, "test")])
    roc, pr, cll = relations.figures(Sure(), rows)
    assert (roc, pr) == (0.5, 0.25)
    assert cll == pytest.approx(0.25 * np.log(0.25) + 0.75 * np.log(0.75), abs=1e-5)
