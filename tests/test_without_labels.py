"""A run on a target without a single label: what is tried, what is delivered, and what it says of why."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

import headstart
from headstart import Domain
from headstart.errors import NeedsError

NAMED = ["source-only", "pooled", "coral"]


@pytest.fixture(scope="module")
def unlabelled(helpful):
    """A source, and a target of whose rows the consensus has another opinion than the blend's."""
    source, _, test = helpful
    return source, Domain(test.X, name="target")


def without_labels():
    """The standard methods that need no target label."""
    table = headstart.methods()
    here = table["tried by itself"] & ~table["target labels"] & table["reads"].str.contains("table")
    return set(table.index[here])


def test_an_unlabelled_target_is_told_that_nothing_can_be_proven(helpful):
    source, target, _ = helpful
    result = headstart.run(source, replace(target, y=None))
    assert result.verdict == "cannot be proven"
    assert "a gain cannot be proven: target has no labelled rows" in result.sentence
    assert "labelled target rows would show" in result.sentence
    assert result.gain is None
    assert without_labels() >= {"source-only", "pooled", "kmm", "coral"}
    assert {line.name for line in result.tried} == without_labels()
    assert (result.choice, result.decision.delivered) == ("blend", "blend")
    assert len(result.predictions) == len(target)


def test_the_blend_is_delivered_whoever_the_consensus_is_for(unlabelled):
    source, target = unlabelled
    result = headstart.run(source, target, methods=[*NAMED, "blend"])
    validation = result.findings.validation
    assert validation.choice() != "blend"
    assert (result.choice, result.decision.delivered) == ("blend", "blend")
    assert (
        "blend chosen as what serves best without labels elsewhere; "
        f"the consensus here is for {validation.choice()} (" in result.sentence
    )
    assert set(validation.names) == {*NAMED, "blend"}
    alone = headstart.run(source, target, methods=["blend"])
    np.testing.assert_array_equal(result.model.predict(target.X), alone.model.predict(target.X))


def test_the_accuracy_to_expect_of_a_blend_is_told_and_near_the_truth(helpful):
    source, target, test = helpful
    result = headstart.run(source, replace(target, y=None), methods=["source-only", "blend"])
    told = result.findings.estimated
    truth = (result.model.predict(test.X) == test.labels).mean()
    assert told.low < truth < told.high
    assert told.high - told.low < 0.4
    # Source rows are aligned first, so their own accuracy is not weighted to look like the target's.
    assert set(told.estimates) == {"average confidence", "difference of confidences", "thresholded confidence"}


@pytest.mark.parametrize("name", ["coral", "easytl", "discriminant-transfer", "blend"])
def test_probabilities_of_source_rows_go_the_way_of_source_rows(helpful, name):
    source, target, _ = helpful
    model = headstart.run(source, replace(target, y=None), methods=[name]).model
    if name == "blend":
        assert len(model.predictor.predictors) == 3
    P = model.predict_source_proba(source.X)
    np.testing.assert_allclose(P.sum(axis=1), 1.0)
    assert np.abs(P - model.predict_proba(source.X)).max() > 0.01
    if name != "blend":
        # Of a blend the mean counts here, there the vote.
        np.testing.assert_array_equal(model.classes_[P.argmax(axis=1)], model.predict_source(source.X))
    assert (model.classes_[P.argmax(axis=1)] == model.predict_source(source.X)).mean() > 0.9


def test_a_model_without_probabilities_for_source_rows_says_so(helpful):
    source, target, _ = helpful
    model = headstart.run(source, replace(target, y=None), methods=["source-only"], learner=LinearSVC()).model
    with pytest.raises(NeedsError, match="gives no probabilities for source rows"):
        model.predict_source_proba(source.X)


def test_of_named_methods_without_the_blend_the_consensus_chooses(unlabelled):
    result = headstart.run(*unlabelled, methods=NAMED)
    assert {line.name for line in result.tried} == set(NAMED)
    chosen = result.findings.validation.choice()
    assert (result.choice, result.decision.delivered) == (chosen, chosen)
    assert f"{chosen} chosen by the consensus of class-clusters, class-silhouette, stability (" in result.sentence


def test_of_sparse_rows_the_consensus_chooses_and_the_blend_is_left_out_with_the_reason(unlabelled):
    source, target = (replace(domain, X=csr_matrix(domain.X)) for domain in unlabelled)
    result = headstart.run(source, target)
    assert result.left_out["blend"] == "takes no sparse rows"
    tried = {line.name for line in result.tried}
    assert tried == without_labels() - set(result.left_out)
    assert len(tried) > 1
    assert result.choice == result.decision.delivered == result.findings.validation.choice()
    assert "chosen by the consensus" in result.sentence


def test_of_numbers_the_consensus_chooses(unlabelled):
    source, target = unlabelled
    numbers = source.X[:, 0] + 0.1 * np.random.default_rng(0).normal(size=len(source))
    result = headstart.run(replace(source, y=numbers, task="regression"), target)
    assert {line.name for line in result.tried} == without_labels()
    assert result.choice == result.findings.validation.choice()
    assert "chosen by the consensus of importance-weighted, stability, crowd (" in result.sentence


def test_with_a_few_labels_the_standard_methods_are_as_they_were(helpful):
    source, target, _ = helpful
    result = headstart.run(source, target.rows(np.arange(8)), repeats=1, curve_draws=0)
    assert {line.name for line in result.tried} >= without_labels()
    assert result.choice == "blend"


def test_importance_weighting_prefers_the_model_that_fits_where_the_target_is():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(0, 1.5, (600, 1)), rng.normal(2.0, 0.4, (400, 1))
    ys = np.where(Xs[:, 0] < 1, Xs[:, 0], 6 - 5 * Xs[:, 0]) + 0.1 * rng.normal(size=600)
    result = headstart.run(Domain(Xs, ys, "s"), Domain(Xt, None, "t"), methods=["source-only", "kmm"])
    assert result.choice == "kmm"
