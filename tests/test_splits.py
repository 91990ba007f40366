"""Splitters and scorers: what is learned from and what is scored, in cross_val_score and GridSearchCV."""

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from headstart import Transfer
from headstart.baselines import SourceOnly
from headstart.checks import example
from headstart.choose.scorers import target_accuracy, validator_scorer
from headstart.choose.splits import (
    LeaveOneSourceOut,
    RepeatedTargetKFold,
    SourceKFold,
    TargetKFold,
    pseudo_targets,
)
from headstart.choose.validators import VALIDATORS
from headstart.errors import InputError, NeedsError
from headstart.features import CORAL

OF_ONE_MODEL = sorted(set(VALIDATORS) - {"crowd", "stability", "circular"})


def two_sources():
    """Rows of two sources and a target without labels."""
    X, y, domain = example(labelled=0)
    return X, y, np.where((domain == "source") & (np.arange(110) % 2 == 0), "other", domain)


def test_repeats_score_every_labelled_target_row_once_each_and_cut_differently():
    X, y, domain = example(labelled=30)
    splits = list(RepeatedTargetKFold(3, 4).split(X, y, domain))
    labelled = np.flatnonzero((domain == "target") & ~np.isnan(y))
    assert len(splits) == RepeatedTargetKFold(3, 4).get_n_splits() == 12
    parts = []
    for repeat in range(4):
        tests = [test for _, test in splits[3 * repeat : 3 * repeat + 3]]
        np.testing.assert_array_equal(np.sort(np.concatenate(tests)), labelled)
        parts.append(tuple(sorted(tuple(test) for test in tests)))
    assert len(set(parts)) == 4
    assert all(set(train) | set(test) == set(range(110)) and not set(train) & set(test) for train, test in splits)


def test_source_folds_hold_out_source_rows_and_always_learn_from_the_target():
    X, y, domain = example(labelled=12)
    unlabelled, of_target = np.flatnonzero(np.isnan(y)), np.flatnonzero(domain == "target")
    held = []
    for train, test in SourceKFold(3).split(X, y, domain):
        assert set(of_target) <= set(train)
        assert set(unlabelled) <= set(test)
        assert not set(test) & set(of_target) - set(unlabelled)
        held.append(np.setdiff1d(test, unlabelled))
        assert not set(held[-1]) & set(train)
    np.testing.assert_array_equal(np.sort(np.concatenate(held)), np.flatnonzero(domain == "source"))


def test_one_source_is_left_out_after_the_other():
    X, y, domain = two_sources()
    splitter = LeaveOneSourceOut()
    assert splitter.get_n_splits(X, y, domain) == 2
    for name, (train, test) in zip(["other", "source"], splitter.split(X, y, domain), strict=True):
        assert set(domain[test]) == {name}
        assert name not in domain[train]
        assert "target" in domain[train]
    score = cross_val_score(
        Transfer(SourceOnly(), LogisticRegression()), X, y, groups=domain, cv=splitter, params={"domain": domain}
    )
    assert score.shape == (2,)
    assert (score > 0.8).all()


def test_a_pseudo_target_is_adapted_to_without_its_labels():
    X, y, domain = two_sources()
    before = X.copy(), y.copy(), domain.copy()
    plays = pseudo_targets(X, y, domain)
    for name, (train, test) in zip(plays.sources, plays.cv, strict=True):
        own = domain == name
        played = train[plays.domain[train] == "target"]
        assert np.isnan(plays.y[played]).all()
        np.testing.assert_array_equal(plays.X[played], X[own])
        np.testing.assert_array_equal(plays.y[test], y[own])
        assert not set(train) & set(test)
    search = GridSearchCV(
        Transfer(CORAL(), LogisticRegression()),
        {"method__reg": [0.1, 1.0]},
        cv=plays.cv,
        scoring=target_accuracy,
        refit=False,
    )
    search.fit(plays.X, plays.y, domain=plays.domain)
    by_hand = Transfer(CORAL(reg=0.1), LogisticRegression())
    train, test = plays.cv[0]
    by_hand.fit(plays.X[train], plays.y[train], domain=plays.domain[train])
    assert search.cv_results_["split0_test_score"][0] == by_hand.score(plays.X[test], plays.y[test])
    for given, kept in zip(before, (X, y, domain), strict=True):
        np.testing.assert_array_equal(given, kept)


def test_pseudo_targets_keep_labels_that_are_text():
    plays = pseudo_targets(np.eye(4), ["yes", "no", "yes", "no"], ["a", "a", "b", "b"])
    train, test = plays.cv[0]
    assert plays.y[train].tolist() == ["yes", "no", None, None]
    assert plays.y[test].tolist() == ["yes", "no"]


@pytest.mark.parametrize("name", OF_ONE_MODEL)
def test_every_validator_of_one_model_scores_a_grid_search(name):
    X, y, domain = example(labelled=0)
    search = GridSearchCV(
        Transfer(CORAL(), LogisticRegression()),
        {"learner__C": [1e-3, 1.0]},
        cv=SourceKFold(3),
        scoring=validator_scorer(name),
        error_score="raise",
    )
    search.fit(X, y, groups=domain, domain=domain)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(X).shape == (110,)


def test_the_importance_weighted_scorer_is_what_it_says():
    X, y, domain = example(labelled=0)
    train, test = next(SourceKFold(3).split(X, y, domain))
    fitted = Transfer(SourceOnly(), LogisticRegression()).fit(X[train], y[train], domain=domain[train])
    source, target = test[~np.isnan(y[test])], test[np.isnan(y[test])]
    from headstart.instances import DomainClassifierWeighting

    w = DomainClassifierWeighting(random_state=0).weigh(X[source], X[target])
    expected = np.average(fitted.predict(X[source]) == y[source], weights=w)
    assert validator_scorer("importance-weighted")(fitted, X[test], y[test]) == pytest.approx(expected)


def test_held_out_source_rows_go_the_sources_way():
    X, y, domain = example(labelled=0)
    train, test = next(SourceKFold(3).split(X, y, domain))
    fitted = Transfer(CORAL(), LogisticRegression()).fit(X[train], y[train], domain=domain[train])
    source = test[~np.isnan(y[test])]
    expected = (fitted.predictor_.predict_source(X[source]) == y[source]).mean()
    assert validator_scorer("source-risk")(fitted, X[test], y[test]) == pytest.approx(expected)


def test_scorers_work_in_pipelines_in_regression_and_as_copies():
    X, y, domain = example("regression", labelled=0)
    pipeline = make_pipeline(StandardScaler(), Transfer(CORAL(), Ridge()))
    scorer = copy.deepcopy(validator_scorer("dev"))
    params = {"transfer__domain": domain}
    scores = cross_val_score(pipeline, X, y, groups=domain, cv=SourceKFold(3), scoring=scorer, params=params)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    assert (scores < 0).all()


def test_target_accuracy_scores_repeated_folds():
    X, y, domain = example(labelled=30)
    transfer, cv = clone(Transfer(CORAL(), LogisticRegression())), RepeatedTargetKFold(3, 2)
    given = {"groups": domain, "cv": cv, "params": {"domain": domain}}
    ours = cross_val_score(transfer, X, y, scoring=target_accuracy, **given)
    np.testing.assert_array_equal(ours, cross_val_score(transfer, X, y, **given))


@pytest.mark.parametrize("cv", [TargetKFold(3), RepeatedTargetKFold(2, 2), SourceKFold(2), LeaveOneSourceOut()])
def test_splitters_need_labels_and_domains(cv):
    X, y, _ = example()
    with pytest.raises(InputError, match=f"{type(cv).__name__} needs the labels"):
        next(cv.split(X, y))


def test_refusals_say_what_to_do():
    X, y, domain = example(labelled=0)
    with pytest.raises(InputError, match="no validator 'information-maximization'; did you mean"):
        validator_scorer("information-maximization")
    for name in ("crowd", "stability", "circular"):
        with pytest.raises(NeedsError, match=r"use headstart\.choose\.validate"):
            validator_scorer(name)
    with pytest.raises(InputError, match="for a labelled target take TargetKFold"):
        next(SourceKFold(2).split(X, np.zeros(110), domain))
    with pytest.raises(InputError, match="too few for 61 folds"):
        next(SourceKFold(61).split(X, y, domain))
    with pytest.raises(InputError, match="two sources"):
        pseudo_targets(X, y, domain)
    with pytest.raises(InputError, match="take SourceKFold"):
        target_accuracy(None, X, np.full(110, np.nan))
    fitted = Transfer(SourceOnly(), SVC()).fit(X, y, domain=domain)
    with pytest.raises(NeedsError, match="needs probabilities"):
        validator_scorer("entropy")(fitted, X, y)
    with pytest.raises(InputError, match="cv=SourceKFold"):
        validator_scorer("dev")(fitted, X, np.zeros(110))
