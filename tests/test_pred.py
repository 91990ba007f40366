"""PRED against the same thing done by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from headstart import Domain, Transfer
from headstart.checks import check_method, example
from headstart.errors import InputError, NeedsError
from headstart.features.pred import PRED, PredictionMap
from headstart.method import carry_and_learn, learn_and_extract
from headstart.store import parts
from headstart.store.parts import dump_part, load_part


def split(task="classification", labelled=12):
    X, y, domain = example(task, labelled)
    of_source, known = domain == "source", (domain == "target") & ~np.isnan(y)
    kind = int if task == "classification" else float
    return (X, y, domain), (X[of_source], y[of_source].astype(kind)), (X[known], y[known].astype(kind))


@pytest.mark.parametrize("output", ["decision", "probabilities"])
def test_the_learner_sees_target_rows_only_with_what_the_source_model_says(output):
    (X, y, domain), (Xs, ys), (Xl, yl) = split()
    fitted = Transfer(PRED(output), LogisticRegression()).fit(X, y, domain=domain)
    source = LogisticRegression().fit(Xs, ys)
    said = source.decision_function if output == "decision" else lambda rows: source.predict_proba(rows)[:, 1]
    by_hand = LogisticRegression().fit(np.column_stack([Xl, said(Xl)]), yl)
    np.testing.assert_allclose(fitted.predict_proba(X), by_hand.predict_proba(np.column_stack([X, said(X)])))


def test_a_regression_says_its_prediction():
    (X, y, domain), (Xs, ys), (Xl, yl) = split("regression")
    fitted = Transfer(PRED(), Ridge()).fit(X, y, domain=domain)
    source = Ridge().fit(Xs, ys)
    by_hand = Ridge().fit(np.column_stack([Xl, source.predict(Xl)]), yl)
    np.testing.assert_allclose(fitted.predict(X), by_hand.predict(np.column_stack([X, source.predict(X)])))


@pytest.mark.parametrize(
    ("learner", "output", "k", "columns"),
    [
        (LogisticRegression(), "decision", 2, 1),
        (LogisticRegression(), "decision", 3, 3),
        (LogisticRegression(), "probabilities", 2, 1),
        (LogisticRegression(), "probabilities", 3, 3),
        (DecisionTreeClassifier(), "decision", 3, 3),  # gives probabilities only
        (LinearSVC(), "probabilities", 2, 1),  # gives decision values only
        (None, "decision", 2, 1),
    ],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_a_column_for_two_classes_and_one_a_class_for_more(learner, output, k, columns, sparse):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4)).astype(np.float32), np.arange(30) % k
    rows = csr_matrix(X) if sparse else X
    method = PRED(output, learner).fit(rows, rows, y)
    mapped = method.transform(rows)
    assert mapped.shape == (30, 4 + columns)
    assert mapped.dtype == np.float32
    mapped = mapped.toarray() if sparse else mapped
    np.testing.assert_array_equal(mapped[:, :4], X)
    says_decision = hasattr(method.source_model_, "decision_function") and (
        output == "decision" or not hasattr(method.source_model_, "predict_proba")
    )
    ask = method.source_model_.decision_function if says_decision else method.source_model_.predict_proba
    np.testing.assert_allclose(mapped[:, 4:], ask(rows).reshape(30, -1)[:, -columns:], rtol=1e-5, atol=1e-6)


def test_an_only_class_says_nothing():
    X = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(PRED().fit(X, X, ["a", "a", "a"]).transform(X), X)


def test_the_model_travels_and_the_source_rows_do_not():
    (X, y, domain), _, _ = split()
    of_source = domain == "source"
    learner, method = LogisticRegression(), PRED()
    knowledge, _ = learn_and_extract(method, Domain(X[of_source], y[of_source], name="source"), learner)
    assert (knowledge.holds_source_rows, knowledge.arrays, list(knowledge.parts)) == (False, {}, ["model"])
    target = Domain(X[~of_source], y[~of_source], task="classification")
    arrived, _ = carry_and_learn(PRED(), knowledge, target, learner)
    together = Transfer(PRED(), learner).fit(X, y, domain=domain)
    np.testing.assert_array_equal(arrived.predict_proba(X), together.predict_proba(X))


def test_the_source_may_have_a_learner_of_its_own():
    (X, y, domain), (Xs, ys), _ = split()
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    method = Transfer(PRED(learner=tree), LogisticRegression()).fit(X, y, domain=domain).method_
    np.testing.assert_array_equal(method.transform(X)[:, 4:], tree.fit(Xs, ys).predict_proba(X)[:, 1:])


def test_what_pred_can_not_use_is_refused():
    X = np.eye(3)
    with pytest.raises(NeedsError, match="source labels"):
        PRED().fit(X, X)
    with pytest.raises(InputError, match="output must be 'decision' or 'probabilities', not 'votes'"):
        PRED("votes").fit(X, X, [0, 1, 1])


def test_a_saved_predictor_predicts_the_same(monkeypatch):
    name = f"{PredictionMap.__module__}.{PredictionMap.__qualname__}"
    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | {name})
    X, y, domain = example()
    predictor = Transfer(PRED(), LogisticRegression()).fit(X, y, domain=domain).predictor_
    again = load_part(dump_part(predictor), "test")
    np.testing.assert_array_equal(again.predict_proba(X), predictor.predict_proba(X))


def test_pred_passes_the_common_checks():
    check_method(PRED())
