"""Benchmarks on real data: the arithmetic of their tables, and what they say where the data is not there."""

import json

import numpy as np
import pytest

from headstart import Domain
from headstart.bench import Score, compare, summarise
from headstart.bench.comparison import Case, with_labels
from headstart.cli import run_command
from headstart.delivery import Plan


@pytest.fixture
def heart(tmp_path):
    """A file in the layout of the heart disease data, made by rule: four hospitals, the last with gaps."""
    rng = np.random.default_rng(0)
    lines = ["age,chol,hospital,disease"]
    for shift, hospital in enumerate(("cleveland", "hungarian", "switzerland", "va")):
        for _ in range(60):
            age, chol = rng.normal(50 + shift, 10), rng.normal(200, 40)
            ill = int(age + 0.1 * chol + rng.normal(0, 3) > 70)
            lines.append(f"{age:.1f},{'' if hospital == 'va' and chol > 240 else f'{chol:.0f}'},{hospital},{ill}")
    (tmp_path / "heart_disease.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def score(pair, draw, method, utility):
    return Score("hearts", pair, draw, method, "accuracy", utility, 1.0)


def test_gains_are_means_over_pairs_with_draws_averaged_first():
    scores = [
        score(pair, draw, method, base + extra + 0.01 * draw)
        for pair, base in (("a -> b", 0.6), ("b -> a", 0.8))
        for draw in (0, 1)
        for method, extra in (("target-only", 0.0), ("source-only", -0.1), ("kmm", 0.2 if pair == "a -> b" else 0.1))
    ]
    kmm = next(line for line in summarise(scores) if line.method == "kmm")
    assert kmm.units == 2
    assert kmm.score == pytest.approx((0.805 + 0.905) / 2)
    mean, low, high = kmm.over_target_only
    # Two differences, 0.2 and 0.1: mean 0.15, standard error 0.05, Student's t with one degree of freedom 12.706.
    assert (mean, low, high) == pytest.approx((0.15, 0.15 - 12.706 * 0.05, 0.15 + 12.706 * 0.05), abs=1e-4)
    assert kmm.over_source_only[0] == pytest.approx(0.25)
    assert kmm.units_worse_than_target_only == 0


def test_with_one_pair_the_draws_are_the_units():
    scores = [
        score("a -> b", draw, method, 0.5 + extra * draw)
        for draw in range(4)
        for method, extra in (("target-only", 0.0), ("source-only", 0.0), ("kmm", -0.1))
    ]
    kmm = next(line for line in summarise(scores) if line.method == "kmm")
    assert (kmm.units, kmm.units_worse_than_target_only) == (4, 3)


def test_test_rows_are_neither_labelled_nor_unlabelled_rows_of_the_target():
    domain = Domain(np.arange(50.0)[:, None], np.arange(50) % 2, name="here")
    target, test = with_labels(domain, 10, 0.4, draw=3)
    assert (len(target), target.n_labelled, len(test)) == (30, 10, 20)
    assert not set(target.X.ravel()) & set(test.X.ravel())
    assert set(target.classes) == {0, 1}
    again, _ = with_labels(domain, 10, 0.4, draw=3)
    np.testing.assert_array_equal(again.X, target.X)


def test_a_method_that_cannot_work_in_a_case_is_left_out_with_the_reason():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    domain = Domain(X, X[:, 0] + X[:, 1], name="here", task="regression")
    target, test = with_labels(domain, 10, 20, draw=0)
    case = Case("made", "a -> b", 0, domain, target, test, Plan("regression"))
    scores = compare([case], ["target-only", "source-only", "bbse"])
    assert [s.utility is None for s in scores] == [False, False, True]
    assert scores[2].left_out == "is not for regression"


def test_the_command_compares_methods_and_writes_its_figures(heart, capsys):
    figures = heart / "figures.json"
    command = ["bench", "instances", "--data", str(heart), "--draws", "1", "-m", "kmm", "-o", str(figures), "-q"]
    assert run_command(command) == 0
    shown = capsys.readouterr()
    assert "heart disease: Every hospital to every other" in shown.out
    assert "skipped: wine" in shown.err
    document = json.loads(figures.read_text(encoding="utf-8"))
    assert {line["method"] for line in document["lines"]} == {"target-only", "source-only", "pooled", "kmm"}
    drawn = document["utilities"]["heart disease"]
    assert len(drawn) == 12
    assert all(len(of_pair["kmm"]) == 1 for of_pair in drawn.values())
    assert document["protocols"]["heart"]["seeds"] == [0]
    assert {"versions", "machine", "date"} <= set(document)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["instances", "--data", "nowhere"], "no such folder"),
        (["instences", "--data", "."], "did you mean 'instances'"),
        (["instances", "--data", ".", "--only", "hart"], "did you mean 'heart'"),
        (["instances", "--data", "."], "holds none of the data sets"),
        (["instances", "--data", ".", "-m", "corall"], "did you mean 'coral'"),
    ],
)
def test_a_mistake_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["bench", *arguments]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
