"""The whole road, on data made by rule and on real data: verdict, guard, delivery, knowledge that travels."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import pair
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import headstart
from headstart import Domain
from headstart.errors import InputError, NeedsError
from headstart.instances import KMM
from headstart.models import RegularTransfer

QUICK = {"repeats": 2, "curve_draws": 0}


def test_a_helpful_source_is_shown_to_help_on_test_rows(helpful):
    source, target, test = helpful
    result = headstart.run(source, target, test=test, repeats=2, curve_draws=3)
    assert result.verdict == "helps"
    assert result.sentence.startswith("transfer helps: accuracy")
    assert "worth" in result.sentence
    assert result.decision.delivered == result.choice != "target-only"
    scored = (result.model.predict(test.X) == test.labels).mean()
    assert scored == pytest.approx(result.gain.transfer)


def test_a_harmful_source_is_guarded_against():
    source, target, test = pair(0.2, 3, n_labelled=120, flipped=True)
    result = headstart.run(source, target, **QUICK)
    assert result.verdict in ("hurts", "no evidence")
    assert result.decision.delivered == "target-only"
    only = headstart.run(source, target, methods=["target-only", "pooled"], guard="strict", **QUICK)
    np.testing.assert_array_equal(result.model.predict(test.X), only.model.predict(test.X))
    # The delivered model is the learner on the standardised target rows, nothing else.
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    by_hand = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(target.X, target.labels)
    np.testing.assert_array_equal(result.model.predict(test.X), by_hand.predict(test.X))


def test_a_source_shown_to_hurt_is_said_to_hurt():
    source, target, test = pair(0.2, 3, n_labelled=60)
    upside_down = Domain(source.X, 1 - source.labels, name="source")
    result = headstart.run(upside_down, target, test=test, methods=["source-only"], **QUICK)
    assert result.verdict == "hurts"
    assert result.sentence.startswith("transfer hurts")
    assert result.decision.delivered == "target-only"


def test_the_same_seed_gives_the_same_result(helpful):
    source, target, _ = helpful
    first, second = (headstart.run(source, target, random_state=5, **QUICK).document() for _ in range(2))
    for document in (first, second):
        for timing in ("seconds", "steps"):
            document.pop(timing)
        for line in document["tried"]:
            line.pop("seconds")
    assert first == second


def test_threads_do_not_change_the_result(helpful):
    source, target, _ = helpful
    one, two = (headstart.run(source, target, n_jobs=n, **QUICK) for n in (1, 2))
    assert one.sentence == two.sentence


def test_inputs_are_not_edited(helpful):
    source, target, _ = helpful
    X, y = source.X.copy(), target.y.copy()
    headstart.run(source, target, **QUICK)
    np.testing.assert_array_equal(source.X, X)
    np.testing.assert_array_equal(target.y, y)


def test_held_out_rows_are_never_seen_in_fitting(helpful):
    source, target, _ = helpful
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(X.copy())
            return super().fit(X, y, sample_weight)

    marked = target.X.copy()
    marked[:, 9] = 1000.0 + np.arange(len(marked))
    tried = []
    headstart.run(
        source,
        replace(target, X=marked),
        learner=Spy(),
        methods=["pooled"],
        vectorizer="passthrough",
        folds=5,
        progress=lambda stage, done, total: tried.append(len(seen)) if stage == "try" else None,
        **QUICK,
    )
    # Every fit of the trial saw four fifths of the labelled rows.
    sizes = [int((X[:, 9] >= 1000).sum()) for X in seen[: tried[-1]]]
    assert len(sizes) == 2 * 5 * QUICK["repeats"]
    assert set(sizes) == {32}


def test_regression_is_measured_in_mean_absolute_error():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(420, 6))
    y = X @ [3.0, -2.0, 1.0, 0.5, 0, 0] + 0.3 * rng.normal(size=420)
    source, target = Domain(X[:300], y[:300], "s"), Domain(X[300:315], y[300:315], "t")
    test = Domain(X[315:], y[315:], "test")
    result = headstart.run(source, target, test=test, **QUICK)
    assert result.metric == "mean absolute error"
    assert result.verdict == "helps"


def test_log_loss_can_be_the_metric(helpful):
    source, target, test = helpful
    result = headstart.run(source, target, test=test, metric="log-loss", methods=["pooled"], **QUICK)
    P = result.model.predict_proba(test.X)
    by_hand = -np.log(P[np.arange(len(test)), test.labels]).mean()
    if result.decision.delivered == "pooled":
        assert -result.gain.transfer == pytest.approx(by_hand)


def test_two_sources_are_better_than_one_name(helpful):
    source, target, _ = helpful
    first, second = source.rows(np.arange(150)), replace(source.rows(np.arange(150, 300)), name="second")
    both = headstart.run([first, second], target, **QUICK)
    whole = headstart.run(source, target, **QUICK)
    assert both.gain == whole.gain
    assert [part["name"] for part in both.domains["sources"]] == ["source", "second"]


def test_methods_that_can_not_work_are_left_out_with_the_reason(helpful):
    source, target, _ = helpful
    result = headstart.run(source, target, learner=SVC(), **QUICK)
    assert "linear learner" in result.left_out["regular-transfer"]
    with pytest.raises(NeedsError, match="linear learner"):
        headstart.run(source, target, learner=SVC(), methods=["regular-transfer"])


def test_a_budget_ends_the_trial_and_says_so(helpful):
    source, target, _ = helpful
    result = headstart.run(source, target, budget=0.001, repeats=50, curve_draws=0)
    assert any("budget ended" in note for note in result.notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guard": "stric"}, "did you mean 'strict'"),
        ({"budget": "soon"}, "budget must be a time"),
        ({"methods": ["corla"]}, "did you mean 'coral'"),
        ({"learner": "logistik"}, "did you mean 'logistic'"),
        ({"folds": 1}, "folds must be 2"),
        ({"methods": ["target-only"]}, "no transfer"),
        ({"methods": ["coral", "coral"]}, "once"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(helpful, settings, message):
    source, target, _ = helpful
    with pytest.raises((InputError, NeedsError), match=message) as caught:
        headstart.run(source, target, **settings)
    assert "\n" not in str(caught.value)


# ---- delivery ----------------------------------------------------------------------------------------------


def test_a_saved_model_predicts_the_same_to_the_last_digit_in_a_fresh_process(patients, tmp_path):
    source = headstart.read(patients, label="progressed", domain_column="group", domain="younger")
    target = headstart.read(patients, label="progressed", domain_column="group", domain="older")
    out = headstart.run(source, target, guard="off", **QUICK).save(tmp_path / "out")
    rows = patients[patients["group"] == "older"].drop(columns=["group", "progressed"])
    rows.to_csv(tmp_path / "new.csv", index=False)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "headstart",
            "predict",
            out / "model",
            tmp_path / "new.csv",
            "-o",
            tmp_path / "p.csv",
        ],
        check=True,
        capture_output=True,
    )
    run_lines = (out / "predictions.csv").read_text().splitlines()
    new_lines = (tmp_path / "p.csv").read_text().splitlines()
    without_label = [",".join(line.split(",")[:1] + line.split(",")[2:]) for line in run_lines]
    assert without_label == new_lines


SAVED = [
    *itertools.product(
        ["target-only", "source-only", "pooled", "kmm", "coral"], ["logistic", "svm", "forest", "boosting"]
    ),
    ("regular-transfer", "logistic"),
]


@pytest.mark.parametrize(("method", "learner"), SAVED)
def test_every_method_and_learner_can_be_saved_and_loaded(patients, tmp_path, method, learner):
    from headstart.choose import shortlist
    from headstart.delivery import Plan
    from headstart.learners import make_learner
    from headstart.readers import align

    source = headstart.read(patients, label="progressed", domain_column="group", domain="younger")
    target = headstart.read(patients, label="progressed", domain_column="group", domain="older")
    aligned = align([source], target)
    plan = Plan("classification", aligned.kinds)
    chosen = make_learner(learner, "classification", 0)
    (*_, candidate), _ = shortlist([method], chosen, aligned.sources[0], aligned.target, plan)
    model = candidate.fit(aligned.target)
    model.save(tmp_path / "model", check_on=target.X)
    again = headstart.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(target.X), model.predict(target.X))
    assert not [file for file in (tmp_path / "model").iterdir() if b"pickle" in file.read_bytes()]


def test_result_json_is_plain_and_has_a_schema(helpful, tmp_path):
    source, target, _ = helpful
    out = headstart.run(source, target, methods=["pooled"], **QUICK).save(tmp_path / "out")
    document = json.loads((out / "result.json").read_text())
    assert document["schema"] == 1
    assert document["settings"]["random_state"] == 0
    assert document["versions"]["headstart"] == headstart.__version__
    assert set(document["steps"]) == set(headstart.method.STEPS[2:]) or len(document["steps"]) == 4
    assert "<svg" in (out / "report.html").read_text()


# ---- knowledge travels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["regular-transfer", "source-only"])
def test_learn_then_carry_equals_run(patients, tmp_path, method):
    source = headstart.read(patients, label="progressed", domain_column="group", domain="younger")
    target = headstart.read(patients, label="progressed", domain_column="group", domain="older")
    settings = {"random_state": 3, "guard": "off", "repeats": 2, "curve_draws": 2}
    whole = headstart.run(source, target, methods=[method], **settings)
    headstart.learn(source, method, random_state=3).save(tmp_path / "k.knowledge")
    halves = headstart.carry(tmp_path / "k.knowledge", target, **settings)
    assert halves.sentence == whole.sentence
    assert halves.gain == whole.gain
    pd.testing.assert_frame_equal(halves.predictions, whole.predictions)


def test_knowledge_of_regular_transfer_holds_no_source_row(helpful, tmp_path):
    source, _, _ = helpful
    path = tmp_path / "k.knowledge"
    parcel = headstart.learn(source)
    parcel.save(path)
    data = path.read_bytes()
    vectors = parcel.vectorizer.transform(source.X)
    for rows in (source.X, vectors, source.X.astype(np.float32), vectors.astype(np.float32)):
        assert not any(row.tobytes() in data for row in rows)
    twice = replace(source, X=np.tile(source.X, (20, 1)), y=np.tile(source.y, 20))
    headstart.learn(twice).save(tmp_path / "k20.knowledge")
    # Twenty times the rows, the same size: nothing inside grows with them.
    size = (tmp_path / "k20.knowledge").stat().st_size
    assert abs(size - len(data)) < 200
    assert size < twice.X.nbytes / 10


def test_a_learner_that_keeps_rows_is_found_out(helpful, tmp_path):
    source, target, _ = helpful
    with pytest.raises(NeedsError, match="keeps rows of source inside"):
        headstart.learn(source, "source-only", learner="svm")
    parcel = headstart.learn(source, "source-only", learner="svm", allow_source_rows=True)
    assert parcel.knowledge.holds_source_rows
    parcel.save(tmp_path / "k.knowledge")
    assert headstart.carry(tmp_path / "k.knowledge", target, **QUICK).choice == "source-only"


def test_infinite_parameters_survive_the_journey(helpful, tmp_path):
    source, target, _ = helpful
    headstart.learn(source, RegularTransfer(pull=np.inf)).save(tmp_path / "k.knowledge")
    result = headstart.carry(tmp_path / "k.knowledge", target, guard="off", **QUICK)
    assert "pull=inf" in result.settings["methods"]["regular-transfer"]


def test_a_method_that_needs_rows_can_not_travel(helpful):
    source, _, _ = helpful
    with pytest.raises(InputError, match="can travel: source-only, pred, regular-transfer"):
        headstart.learn(source, KMM())


def test_regression_knowledge_travels(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 4))
    y = X @ [1.0, 2.0, 0.0, -1.0] + rng.normal(size=240)
    source, target = Domain(X[:200], y[:200], "s"), Domain(X[200:], y[200:], "t")
    headstart.learn(source).save(tmp_path / "k.knowledge")
    halves = headstart.carry(tmp_path / "k.knowledge", target, **QUICK)
    assert halves.sentence == headstart.run(source, target, methods=["regular-transfer"], **QUICK).sentence


@pytest.mark.parametrize("as_frame", [False, True])
def test_rows_hidden_in_a_vectoriser_are_found_out(helpful, as_frame):
    from sklearn.impute import KNNImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    source, _, _ = helpful
    gaps = source.X.copy()
    gaps[::7, 2] = np.nan
    rows = pd.DataFrame(gaps, columns=[f"c{i}" for i in range(10)]) if as_frame else gaps
    with pytest.raises(NeedsError, match="keeps rows of source inside"):
        headstart.learn(replace(source, X=rows), vectorizer=make_pipeline(KNNImputer(), StandardScaler()))


def test_the_seed_reaches_the_methods_of_the_catalogue(helpful):
    from headstart.choose import shortlist
    from headstart.delivery import Plan

    source, target, _ = helpful
    candidates, _ = shortlist(None, LogisticRegression(), source, target, Plan("classification"), random_state=11)
    assert [c.method.random_state for c in candidates if c.name == "kmm"] == [11]
    chosen, _ = shortlist([KMM(random_state=3)], LogisticRegression(), source, target, Plan("classification"))
    assert chosen[-1].method.random_state == 3


def test_one_test_row_proves_nothing_and_breaks_nothing(helpful):
    source, target, test = helpful
    result = headstart.run(source, target, test=test.rows(np.arange(1)), methods=["pooled"], **QUICK)
    assert result.verdict == "no evidence"
    json.loads(result.json())


def test_too_few_labelled_rows_prove_nothing_by_themselves(helpful):
    source, target, test = helpful
    few = target.rows(np.arange(8))
    alone = headstart.run(source, few, **QUICK)
    assert alone.verdict == "cannot be proven"
    assert "only 8 labelled rows" in alone.sentence
    assert headstart.run(source, few, test=test, **QUICK).verdict in ("helps", "no evidence", "hurts")


def test_knowledge_can_be_carried_to_a_target_with_few_labels(helpful):
    source, target, _ = helpful
    result = headstart.carry(headstart.learn(source), target.rows(np.arange(6)), **QUICK)
    assert (result.verdict, result.decision.delivered) == ("cannot be proven", "regular-transfer")


def test_a_run_tries_the_standard_methods_unless_others_are_named(helpful):
    source, target, _ = helpful
    standard = headstart.methods()
    standard = standard.index[standard["tried by itself"] & standard["reads"].str.contains("table")]
    result = headstart.run(source, target, repeats=1, curve_draws=0)
    assert {*(line.name for line in result.tried), *result.left_out} == set(standard)


def test_a_family_stands_for_its_methods_that_can_work_here(helpful):
    source, target, _ = helpful
    result = headstart.run(source, target, methods=["feature-based", "pooled"], repeats=1, curve_draws=0)
    family = headstart.methods("feature-based")
    family = family[family["reads"].str.contains("table")]
    unpaired = family.index[~family["pairs"]]
    assert {line.name for line in result.tried} == {"target-only", "pooled", *unpaired} - set(result.left_out)
    assert {name for name in family.index if name in result.left_out} >= set(family.index[family["pairs"]])
    assert "--pair" in result.left_out["direct-standardization"]
    asked = ["model-based", "pooled"]
    left = headstart.run(source, target, methods=asked, learner=SVC(), repeats=1, curve_draws=0)
    assert "needs a linear learner" in left.left_out["regular-transfer"]
    assert "can't go on with SVC" in left.left_out["warm-start"]
    trees = headstart.run(source, target, methods=asked, learner="forest", repeats=1, curve_draws=0)
    assert "corrects decision values" in trees.left_out["adaptive-svm"]


def test_a_method_with_parameters_stands_in_for_the_one_of_its_family(helpful):
    source, target, _ = helpful
    result = headstart.run(source, target, methods=[KMM(B=5.0), "instance-based"], repeats=1, curve_draws=0)
    assert result.document()["settings"]["methods"]["kmm"] == "KMM(B=5.0)"
