"""The benchmark of published tables: the arithmetic of its lines, its protocol, and its command."""

import json

import numpy as np
import pytest

from headstart.bench import amazon, features, printed, trials
from headstart.bench.pictures import OFFICE, office_surf, z_scores
from headstart.bench.trials import Rows, Score, Table, Trial, lines_of
from headstart.cli import run_command


@pytest.fixture
def office(tmp_path):
    """A folder in the layout of Office-Caltech10, made by rule: ten classes, 110 counts a picture, four domains."""
    folder = tmp_path / "office_caltech10_surf"
    folder.mkdir()
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(1, 11), 22)
    for shift, name in enumerate(OFFICE.values()):
        rates = 2 + 8 * np.eye(10, 110)[y - 1] + shift * np.linspace(0, 1, 110)
        np.savez(folder / f"{name}.npz", X=rng.poisson(rates).astype(np.uint8), y=y)
    return tmp_path


def table(**about):
    return Table(
        **{
            "protocol": "made",
            "needed": "made",
            "tasks": ("a->b", "b->a"),
            "draws": 1,
            "rows": lambda folder, task, draw: Rows(np.eye(2), np.array([0, 1]), np.eye(2), np.array([0, 1])),
            "trials": (),
            "learners": features.LEARNERS,
            "printed": {},
            **about,
        }
    )


def scores(trial, *accuracies):
    return [Score(trial, task, 0, accuracy, 1.0) for task, accuracy in zip(("a->b", "b->a"), accuracies, strict=True)]


def test_a_line_is_within_when_its_mean_is_at_most_a_point_and_a_half_below_print():
    lines = lines_of(
        "made",
        table(printed={"1NN": (50.0, 60.0), "CORAL": (70.0, 70.0)}),
        [Trial("1NN"), Trial("CORAL", "coral")],
        [*scores("1NN", 49.0, 58.1), *scores("CORAL", 60.0, 76.9)],
    )
    assert [line.difference for line in lines] == pytest.approx([-1.45, -1.55])
    assert [line.within for line in lines] == [True, False]


def test_a_gain_is_over_the_line_without_transfer_of_the_same_learner():
    which = [Trial("1NN"), Trial("SVM", learner=features.SVM), Trial("CORAL", "coral", learner=features.SVM)]
    found = [*scores("1NN", 10.0, 20.0), *scores("SVM", 40.0, 50.0), *scores("CORAL", 41.0, 53.0)]
    lines = lines_of("made", table(), which, found)
    assert [line.gain is None for line in lines] == [True, True, False]
    assert lines[2].gain[0] == pytest.approx(2.0)


def test_with_draws_a_task_counts_when_it_is_at_most_the_printed_standard_deviation_below():
    of = table(draws=2, printed={"NA": (50.0, 60.0)}, sds={"NA": (2.0, 2.0)})
    found = [Score("NA", task, draw, value + draw, 1.0) for task, value in of_pairs() for draw in (0, 1)]
    line = lines_of("made", of, [Trial("NA")], found)[0]
    assert line.tasks_within_sd == 1
    assert line.within is None
    assert line.sds["a->b"] == pytest.approx(np.std([0, 1], ddof=1))


def of_pairs():
    return (("a->b", 47.6), ("b->a", 57.0))  # means 48.1 (within 2) and 57.5 (not)


def test_printed_means_are_those_of_the_papers():
    means = {name: round(float(np.mean(values)), 1) for name, values in printed.MEDA_TABLE_2.items()}
    in_print = {"1NN": 31.4, "TCA": 46.2, "GFK": 43.1, "JDA": 46.8, "TJM": 46.3, "CORAL": 48.8, "SCA": 45.2}
    in_print |= {"JGSA": 50.0, "MEDA": 52.7, "ARTL": 44.3}
    for name, mean in in_print.items():
        assert means[name] == pytest.approx(mean, abs=0.11), name


def test_no_target_label_reaches_a_method(office, monkeypatch):
    seen = []

    class Spy(trials.Transfer):
        def fit(self, X, y, *, domain):
            seen.append(np.isnan(y[domain == "target"]).all())
            return super().fit(X, y, domain=domain)

    monkeypatch.setattr(trials, "Transfer", Spy)
    some = trials.scores_of(features.TABLES["office"], office, [Trial("CORAL", "coral")], 1, 1, lambda score: None)
    assert len(some) == 12
    assert len(seen) == 12
    assert all(seen)


def test_sampled_rows_are_so_many_a_class_and_drawn_anew(office):
    first, second = (features.sampled_rows(office, "C->D", draw) for draw in (0, 1))
    assert np.bincount(first.ys)[1:].tolist() == [20] * 10
    assert np.bincount(features.sampled_rows(office, "D->C", 0).ys)[1:].tolist() == [8] * 10
    assert not np.array_equal(first.Xs, second.Xs)
    np.testing.assert_array_equal(first.Xs, features.sampled_rows(office, "C->D", 0).Xs)


def test_domains_are_standardised_each_by_itself(office):
    for domain in office_surf(office).values():
        np.testing.assert_allclose(domain.X.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(domain.X.std(axis=0, ddof=1), 1)
    assert not z_scores(np.ones((3, 2))).any()


def test_reviews_are_counted_over_both_domains_and_brought_to_axes(tmp_path):
    folder = tmp_path / "amazon_reviews"
    folder.mkdir()
    for name, good in (("books", "gripping plot"), ("dvd", "great acting")):
        lines = [f"{good} so good,1" if i % 2 else "dull and bad,0" for i in range(20)]
        (folder / f"{name}.csv").write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    Xs, ys, Xt, yt = amazon.reviews(tmp_path, "B->D")
    assert Xs.shape == Xt.shape
    assert Xs.dtype == np.float32
    np.testing.assert_allclose(np.asarray(Xs.multiply(Xs).sum(axis=1)).ravel(), 1, rtol=1e-5)
    assert ys.tolist() == yt.tolist() == [0, 1] * 10
    Zs, Zt = amazon.latent_axes(2)(Xs, Xt)
    for Z in (Zs, Zt):
        np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-7)
        assert Z.shape == (20, 2)


def test_a_grid_is_chosen_on_held_out_source_rows():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    Xs = rng.normal(size=(80, 3)) + np.outer(y, [4.0, 0.0, 0.0])
    Xt = Xs + np.array([9.0, 0.0, 0.0])
    grid = {"n_features": (1, 3), "relevance": (0.0,)}  # by stability alone, one column is one that tells nothing
    learner = features.LEARNERS["1NN"]()
    chosen = trials.chosen_on_source(trials.make("feature-selection"), grid, learner, Xs, y, Xt)
    assert chosen == {"n_features": 3, "relevance": 0.0}


def test_the_command_shows_ours_beside_print(office, capsys):
    figures = office / "figures.json"
    command = ["bench", "features", "--data", str(office), "--only", "office", "-m", "coral", "-o", str(figures), "-q"]
    assert run_command(command) == 0
    shown = capsys.readouterr()
    assert "Office-Caltech10" in shown.out
    assert "print" in shown.out
    document = json.loads(figures.read_text(encoding="utf-8"))
    lines = {line["trial"]: line for line in document["lines"]}
    assert lines["CORAL"]["settings"].startswith("CORAL(")
    assert lines["1NN"]["printed_mean"] == pytest.approx(31.375, abs=0.01)
    assert set(lines["1NN"]["tasks"]) == set(printed.TASKS)
    assert {"versions", "machine", "date"} <= set(document)


def test_data_that_is_not_there_is_skipped_and_said(office, capsys):
    assert run_command(["bench", "features", "--data", str(office), "--only", "digits"]) == 2
    assert "holds none of the data sets" in capsys.readouterr().err
