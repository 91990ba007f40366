"""Ranking of models and sources: who is first, who can't be told apart, and what the benchmark calls regret."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from test_pictures import photos, save_vit

from headstart import Domain
from headstart.backbones import Backbone, Card, backbone
from headstart.backbones.preparation import PicturePreparation
from headstart.bench.ranking import (
    CHANCE,
    OTHER_SETS,
    OTHER_TASKS,
    PARAMETERS,
    Cell,
    _draws,
    _kept,
    _lines,
    judged,
    summarise,
)
from headstart.bench.ranking_tasks import draws_of, independent
from headstart.choose.model_ranking import rank_models
from headstart.choose.ranking import half_samples, interval_of
from headstart.choose.source_ranking import rank_sources
from headstart.cli.rank import models_in, rank
from headstart.errors import InputError
from headstart.evidence.model_scores import (
    CONSENSUS,
    consensus_among,
    head_probabilities,
    mean_ranks,
    names_of_scores,
    names_of_voters,
    score_models,
)

pytest.importorskip("PIL.Image")
pytest.importorskip("transformers")


@dataclass(frozen=True)
class Eye:
    """A network whose features are the mean colour of a picture, blurred by noise that each picture brings anew."""

    noise: float
    seed: int
    width: int = 3
    layers: tuple = ()
    parameters: int = 100

    def features(self, batch, layer=None):
        colour = batch["pixels"].mean(axis=(2, 3))
        rows = []
        for one in colour:
            rng = np.random.default_rng([self.seed, int(1e6 * abs(one.sum()))])
            rows.append(np.resize(one, self.width) + self.noise * rng.normal(size=self.width))
        return np.array(rows, dtype=np.float32)

    def probabilities(self, batch):
        raise AssertionError("a headless network is not asked")

    def fingerprint(self):
        return f"{self.noise} {self.seed} {self.width}"

    identity = fingerprint


def eye(name, noise, seed=0, parameters=100, width=3):
    network = Eye(noise, seed, width, parameters=parameters)
    card = Card(name, "image", "nothing", "MIT", parameters, width, None, weights=network.fingerprint())
    preparation = PicturePreparation(8, 8, (8, 8), mean=(0.0,) * 3, std=(255.0,) * 3)
    return Backbone(card, preparation, network)


@pytest.fixture(scope="module")
def target():
    """Two classes of small pictures that differ in their colour."""
    rng = np.random.default_rng(0)
    pictures = np.empty((60, 1), dtype=object)
    y = np.tile([0, 1], 30)
    for row, label in enumerate(y):
        colour = np.array([100, 100, 60 + 80 * label]) + rng.normal(0, 15, 3)
        pictures[row, 0] = np.clip(colour + rng.normal(0, 5, (8, 8, 3)), 0, 255).astype(np.uint8)
    return Domain(pictures, y, "colours", "image")


SEES, BLURRED, BLIND = eye("sees", 0.01), eye("blurred", 0.3, 1, 500), eye("blind", 50.0, 2, 900)


@pytest.fixture(scope="module")
def ranking(target):
    return rank_models([BLIND, SEES, BLURRED], target, draws=30)


def test_the_model_that_sees_the_classes_is_first_and_blind_ones_are_told_from_it(ranking):
    assert [one.name for one in ranking.order] == ["sees", "blurred", "blind"]
    assert [one.tied for one in ranking.order] == [True, False, False]
    assert ("sees", "blind") not in ranking.ties
    assert ranking.static["parameters"] == ("blind", "blurred", "sees")
    assert "by parameters alone it would be blind" in ranking.sentence


def test_every_score_of_the_task_stands_beside_and_ranks_agree_with_it(ranking):
    headless = {name for name in names_of_scores("classification") if name not in ("leep", "nce")}
    assert set(ranking.order[0].scores) == headless
    ranks = ranking.ranks_by("knn")
    best = max(ranking.order, key=lambda one: one.scores["knn"])
    assert ranks[best.name] == 1
    with pytest.raises(InputError, match="no score 'leep'"):
        ranking.ranks_by("leep")


def test_models_are_ranked_by_the_consensus_of_the_scores_shown(ranking):
    assert ranking.by == CONSENSUS
    assert "consensus of 13 scores" in ranking.how
    places = {name: ranking.ranks_by(name) for name in names_of_voters("classification")}
    for one in ranking.order:
        # No two models are equal by a score here, so ranks are whole.
        mean = np.mean([of[one.name] for of in places.values()])
        assert one.score == pytest.approx((3 - mean) / 2)


def test_the_order_of_rows_and_of_models_makes_no_difference(ranking, target):
    shuffled = target.rows(np.random.default_rng(5).permutation(60))
    again = rank_models([BLURRED, SEES, BLIND], shuffled, draws=30)
    assert [one.name for one in again.order] == [one.name for one in ranking.order]
    for one, other in zip(again.order, ranking.order, strict=True):
        assert (one.score, one.low) == pytest.approx((other.score, other.low), rel=1e-6)
    assert again.ties == ranking.ties


def test_a_model_and_its_twin_are_tied_and_told_to_be_one(target):
    twin = replace(SEES, card=replace(SEES.card, name="twin"))
    found = rank_models([SEES, twin, BLIND], target, scores=["knn"], draws=20)
    assert ("sees", "twin") in found.ties
    assert found.order[1].behind == (0.0, 0.0, 0.0)
    assert any("same weights: one model" in note for note in found.notes)


def test_more_features_than_rows_are_warned_of_and_fewer_are_not(target, ranking):
    assert not any("no more labelled rows" in note for note in ranking.notes)
    wide = rank_models([SEES, eye("wide", 0.1, width=60)], target, scores=["knn"], draws=5)
    assert any("no more labelled rows (60) than features in 'wide'" in note for note in wide.notes)


def test_rows_without_a_label_are_not_looked_at(ranking, target):
    lost = np.empty((3, 1), dtype=object)
    lost[:, 0] = ["no-such.png"] * 3
    more = Domain(np.concatenate([target.X, lost]), [*target.y.tolist(), None, None, None], "colours", "image")
    found = rank_models([BLIND, SEES, BLURRED], more, draws=30)
    assert [one.score for one in found.order] == pytest.approx([one.score for one in ranking.order])


def test_half_samples_are_halves_of_every_class_and_their_spread_is_the_variance_of_a_mean():
    y = np.repeat([0, 1], [30, 10])
    halves, scale = half_samples(y, 40, 4000, 0)
    assert all(np.bincount(y[half]).tolist() == [15, 5] and len(set(half)) == 20 for half in halves)
    values = np.random.default_rng(1).normal(size=40) + 3 * y
    means = np.array([values[half].mean() for half in halves])
    # Of a stratified mean: the variances within, weighted with the squared shares of the classes.
    truth = sum((n / 40) ** 2 * values[y == c].var(ddof=1) / n for c, n in ((0, 30), (1, 10)))
    assert scale * means.var() == pytest.approx(truth, rel=0.08)
    value, low, high = interval_of(values.mean(), means, scale)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(truth), rel=0.05)
    assert low < value < high


def test_two_rows_a_class_leave_no_halves_so_that_all_are_tied(target):
    few = target.rows(np.arange(4))
    assert half_samples(few.labels, 4, 9, 0)[0] == []
    found = rank_models([SEES, BLIND], few, scores=["knn"])
    assert found.order[0].low is None
    assert all(one.tied for one in found.order)
    assert json.loads(json.dumps(found.document()))["order"][0]["low"] is None


def test_what_was_reached_elsewhere_gives_an_order_without_the_target_itself(target, tmp_path):
    known = {"other": {"sees": 0.5, "blind": 0.9}, "colours": {"sees": 1.0, "blind": 0.0}}
    path = tmp_path / "known.json"
    path.write_text(json.dumps({"accuracies": known}))
    for static in (known, path):
        found = rank_models([SEES, BLIND], target, scores=["knn"], static=static, draws=5)
        assert found.static["other tasks"] == ("blind", "sees")
    for content, said in (("no json", "is no JSON"), ('{"a": 1}', "must hold numbers"), ("{}", "no other task")):
        path.write_text(content)
        with pytest.raises(InputError, match=said):
            rank_models([SEES, BLIND], target, scores=["knn"], static=path, draws=5)


def test_what_cannot_be_ranked_is_refused_in_one_line(target):
    one_class, nothing = replace(target, y=np.zeros(60, dtype=int)), replace(target, y=None)
    table = Domain(np.eye(4), [0, 1, 0, 1], "table")
    for models, domain, settings, said in (
        ([SEES], target, {}, "two models or more"),
        ([SEES, SEES], target, {}, "two models are called 'sees'"),
        ([SEES, BLIND], one_class, {}, "one class only"),
        ([SEES, BLIND], nothing, {}, "no label is known"),
        ([SEES, BLIND], table, {}, "is a table"),
        ([SEES, BLIND], target.rows(np.arange(2)), {}, "one labelled row a class"),
        ([SEES, BLIND], target, {"score": "ridg"}, "did you mean 'ridge'"),
        ([SEES, BLIND], target, {"score": "leep"}, "model's own head"),
    ):
        with pytest.raises(InputError, match=said) as error:
            rank_models(models, domain, **settings)
        assert "\n" not in str(error.value)


def test_a_head_on_kept_features_says_what_the_whole_network_says(tmp_path):
    save_vit(tmp_path / "vit", seed=0)
    model = backbone(f"hf:{tmp_path / 'vit'}")
    pictures = list(np.random.default_rng(0).integers(0, 256, (5, 20, 20, 3), dtype=np.uint8))
    said = head_probabilities(model, pictures, model.features(pictures))
    if not model.label_names:
        assert said is None
        model = backbone("bundled:efficientnet-lite0")
        said = head_probabilities(model, pictures, model.features(pictures))
    np.testing.assert_allclose(said, model.probabilities(pictures), atol=1e-5)


def test_scores_of_the_head_are_there_for_models_with_one_only():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    F = {"a": rng.normal(size=(40, 3)), "b": rng.normal(size=(40, 3))}
    found = score_models(F, y, probabilities={"a": rng.dirichlet(np.ones(4), 40)}, names=["leep", "nce", "knn"])
    assert (set(found["a"]), set(found["b"])) == ({"leep", "nce", "knn"}, {"knn"})


def test_the_consensus_is_the_mean_place_over_the_scores_that_need_features_only():
    voters = names_of_voters("classification")
    assert set(names_of_scores("classification")) - set(voters) == {"leep", "nce", "consensus"}
    a, b, c = ({name: float(value) for name in voters} for value in (3, 2, 1))
    assert consensus_among([a, b, c]).tolist() == [1.0, 0.5, 0.0]
    # First by one score and last by the twelve others; what a head says does not count.
    found = consensus_among([{**a, "knn": 0.0}, {**b, "leep": -9.0}, {**c, "knn": 9.0, "leep": 9.0}])
    assert found == pytest.approx([12 / 13, 0.5, 1 / 13])
    # Equals share their place, also where only rounding tells them apart.
    near = {name: value + 1e-13 for name, value in b.items()}
    assert consensus_among([a, b, near]) == pytest.approx([1.0, 0.25, 0.25])
    with pytest.raises(InputError, match="relative to other candidates"):
        consensus_among([a])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_consensus_alone_is_that_beside_the_scores_and_no_head_changes_it(task):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 10)
    F = {name: rng.normal(size=(30, 5)) + size * y[:, None] for name, size in (("a", 2), ("b", 0.5), ("c", 0))}
    heads = {"a": rng.dirichlet(np.ones(4), 30)}
    alone = score_models(F, y, task=task, names=[CONSENSUS])
    beside = score_models(F, y, probabilities=heads if task == "classification" else None, task=task)
    assert {name: set(of) for name, of in alone.items()} == {name: {CONSENSUS} for name in F}
    for name in F:
        assert alone[name][CONSENSUS] == beside[name][CONSENSUS]
    assert alone["a"][CONSENSUS] > alone["b"][CONSENSUS] > alone["c"][CONSENSUS]


def test_a_score_that_is_perfect_but_for_rounding_favours_no_model():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 10)
    with pytest.warns(UserWarning, match="too few"):
        found = score_models({name: rng.normal(size=(20, 50)) for name in "abcdef"}, y, names=["h-score"])
    values = [of["h-score"] for of in found.values()]
    assert np.ptp(values) < 1e-12 < min(values)
    assert mean_ranks([{name: of["h-score"] for name, of in found.items()}], list(found)).tolist() == [3.5] * 6


def test_regret_and_tau_are_those_worked_by_hand():
    reached = np.array([0.6, 0.9, 0.7])
    tau, regret, first, three = judged(np.array([1.0, 3.0, 2.0]), reached)
    assert (tau, regret, first, three) == (pytest.approx(1.0), 0.0, 100.0, 100.0)
    assert judged(np.array([3.0, 1.0, 2.0]), reached)[1] == pytest.approx(30.0)
    # Of two firsts one is picked at random.
    assert judged(np.array([5.0, 5.0, 0.0]), reached)[1:3] == (pytest.approx(15.0), 50.0)
    assert judged(np.zeros(3), reached)[1] == pytest.approx(100 * (0.9 - 2.2 / 3))


def cells_of(table, truth="probe"):
    return [Cell(task, 0, model, truth, value, 0.0) for task, of in table.items() for model, value in of.items()]


def scores_of(table):
    """Return scores that all say what was reached."""
    voters = names_of_voters("classification")
    return {(task, 0): {model: dict.fromkeys(voters, v) for model, v in of.items()} for task, of in table.items()}


def test_orders_that_do_not_look_at_a_task_never_use_it():
    table = {
        "amazon": {"a": 0.9, "b": 0.1},
        "webcam": {"a": 0.2, "b": 0.8},
        "sketch": {"a": 0.4, "b": 0.6},
    }
    scores = scores_of(table)
    lines = {line.order: line for line in summarise(cells_of(table), scores, {"a": 1, "b": 2}, "probe", ["a", "b"])}
    assert lines["ridge"].regret[0] == lines[CONSENSUS].regret[0] == 0.0
    # b is better on both others for amazon (wrong by 80); a and b tie for webcam and sketch (wrong by half).
    assert lines[OTHER_TASKS].regret[0] == pytest.approx((80 + 30 + 10) / 3)
    # amazon is judged by sketch alone, webcam too, sketch by both of office, which tie.
    assert lines[OTHER_SETS].regret[0] == pytest.approx((80 + 0 + 10) / 3)
    assert lines[PARAMETERS].regret[0] == pytest.approx(80 / 3)
    assert lines[CHANCE].tau is None
    assert lines[OTHER_TASKS].over[0] == pytest.approx(40.0)


def test_equals_share_their_rank_and_one_training_counts_once():
    assert mean_ranks([{"a": 1.0, "b": 1.0, "c": 0.0}], ["a", "b", "c"]).tolist() == [1.5, 1.5, 3.0]
    pair = ["mobilenet_v2_1.0_224", "tf2_mobilenet_v2_1.0_224", "other"]
    assert independent(pair) == pair[1:]
    assert independent(pair[::2]) == pair[::2]


def test_draws_label_ten_of_a_class_or_half_of_it_and_test_the_others():
    y = np.repeat(["many", "few"], [40, 6])
    pool = Domain(np.zeros((46, 1)), y, "pool")
    first, second = draws_of(pool, [0, 1])
    for draw in (first, second):
        assert dict(zip(*np.unique(y[draw.labelled], return_counts=True), strict=True)) == {"few": 3, "many": 10}
        assert sorted([*draw.labelled, *draw.tested]) == list(range(46))
    assert set(first.labelled) != set(second.labelled)


def test_fresh_draws_are_others_of_other_sizes_and_only_probed():
    y = np.repeat([0, 1], 80)
    for task, truths, expected in (
        ("amazon", ["probe", "lp-ft"], [(10, 0), (10, 1), (3, 10), (3, 11), (30, 10), (30, 11)]),
        ("amazon", ["lp-ft"], [(10, 0), (10, 1)]),
        ("usps", ["probe"], [(10, 0), (10, 1)]),
    ):
        found = list(_draws(Domain(np.zeros((160, 1)), y, task), 2, truths))
        assert [(draw.budget, draw.number) for draw, _ in found] == expected
        for draw, wanted in found:
            assert len(draw.labelled) == 2 * draw.budget
            assert wanted == (truths if draw.budget == 10 else ["probe"])


def test_fresh_figures_stand_apart_and_figures_kept_before_are_of_ten_a_class(tmp_path):
    kept = tmp_path / "cells"
    kept.write_text('{"task": "amazon", "draw": 0, "model": "a", "truth": "probe", "accuracy": 0.5, "seconds": 1.0}\n')
    (old,) = _kept(kept)
    assert old.key == ("amazon", 10, 0, "a", "probe")
    best, worst = {"amazon": {"a": 0.9, "b": 0.1}}, {"amazon": {"a": 0.1, "b": 0.9}}
    cells = [*cells_of(best), *(replace(cell, labelled=3) for cell in cells_of(worst))]
    found = _lines(cells, {10: scores_of(best), 3: scores_of(best), 30: {}}, {"a": 1, "b": 2}, ["probe"], print)
    regrets = {
        group: {line["order"]: line["regret"][0] for line in lines}[CONSENSUS]
        for group, lines in found.items()
        if "every" not in group
    }
    assert regrets == {"reported, probe": 0.0, "fresh, 3 a class, probe": 80.0}


def linear(n, seed, flip=False, noise=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 12))
    y = (X @ np.linspace(1, -1, 12) + noise * rng.normal(size=n) > 0).astype(int)
    return X, 1 - y if flip else y


def test_of_sources_the_one_of_the_same_task_is_first_and_the_wrong_one_is_told_to_harm():
    same, wrong = Domain(*linear(200, 1), "same"), Domain(*linear(400, 2, flip=True), "wrong")
    found = rank_sources([wrong, same], Domain(*linear(80, 3), "target"), repeats=3)
    assert [one.name for one in found.order] == ["same", "wrong"]
    assert found.order[0].score > 0 > found.order[1].high
    assert not found.ties
    assert found.static["rows"] == ("wrong", "same")
    assert any(note == "worse than the target alone: 'wrong'" for note in found.notes)


def test_two_sources_that_are_copies_are_tied():
    X, y = linear(150, 1)
    found = rank_sources([Domain(X, y, "b"), Domain(X.copy(), y, "a")], Domain(*linear(30, 3), "target"), repeats=1)
    assert found.ties == (("a", "b"),)
    assert found.order[0].score == found.order[1].score


def test_sources_that_cannot_be_ranked_are_refused_in_one_line():
    good, target = Domain(*linear(50, 1), "good"), Domain(*linear(20, 3), "target")
    for sources, to, said in (
        ([good], target, "two sources or more"),
        ([good, good], target, "two domains are called 'good'"),
        ([good, replace(good, y=None, name="bare")], target, "bare: no label is known"),
        ([good, replace(good, name="more")], replace(target, y=None), "target: no label is known"),
    ):
        with pytest.raises(InputError, match=said):
            rank_sources(sources, to)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("rank")
    for seed in (0, 1):
        save_vit(root / "models" / f"vit{seed}", seed=seed)
    photos(root / "photos", 6, 0)
    photos(root / "one" / "only", 3, 0)
    return root


def asked(**arguments):
    settings = dict.fromkeys(
        ("things", "models", "target", "label", "domain_column", "category", "picture", "text", "task", "score")
    )
    return rank(**{**settings, "known": None, "model": None, "output": None, "quiet": True, **arguments})


def test_the_command_ranks_a_folder_of_models_and_writes_what_it_prints(folders, tmp_path, capsys):
    out = tmp_path / "ranking.json"
    asked(models=[str(folders / "models")], target=str(folders / "photos"), json=True, output=out)
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(out.read_text())
    assert {one["name"] for one in json.loads(printed)["order"]} == {"vit0", "vit1"}
    asked(models=[str(folders / "models")], target=str(folders / "photos"), score="knn", quiet=False)
    shown = capsys.readouterr().out
    assert "parameters alone" in shown
    assert "promises most for photos" in shown


def test_the_command_ranks_source_files(tmp_path, capsys):
    import pandas as pd

    for name, (X, y) in {"same": linear(120, 1), "wrong": linear(120, 2, flip=True), "t": linear(80, 3)}.items():
        frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(12)]).assign(y=y)
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    files = [str(tmp_path / f"{name}.csv") for name in ("wrong", "same")]
    asked(things=files, target=str(tmp_path / "t.csv"), label="y", repeats=3, quiet=False)
    shown = capsys.readouterr().out
    assert "same promises most for t" in shown
    assert "worse than the target alone: 'wrong'" in shown


def test_mistakes_on_the_command_line_are_one_line(folders):
    photos_, models = str(folders / "photos"), [str(folders / "models")]
    for arguments, said in (
        ({"models": models}, "--target"),
        ({"models": [str(folders / "photos")], "target": photos_}, "holds no model"),
        ({"models": ["nowhere"], "target": photos_}, "is no model and no folder"),
        ({"models": models, "target": str(folders / "one")}, "folders of folders"),
        ({"models": models, "target": photos_, "learner": "svm"}, "--learner is about sources"),
        ({"things": ["a.csv"], "target": photos_, "score": "knn"}, "about models"),
    ):
        with pytest.raises(InputError, match=said):
            asked(**{"learner": "auto", **arguments})


def test_models_are_named_as_they_are_or_by_folders_of_them(folders):
    found = models_in([str(folders / "models"), "bundled:efficientnet-lite0"])
    assert found == [*(f"hf:{folders / 'models' / name}" for name in ("vit0", "vit1")), "bundled:efficientnet-lite0"]
