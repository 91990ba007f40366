"""validate: each candidate fitted once a fold, one table, and a choice that leaves source-only for a reason."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC

from headstart import Domain
from headstart.choose.candidates import shortlist
from headstart.choose.unlabelled import Validation, validate
from headstart.choose.validators import VALIDATORS
from headstart.delivery import Plan
from headstart.errors import InputError

LEARNERS = {"classification": LogisticRegression(), "regression": Ridge()}


def domains(task="classification", n=60, shift=3.0):
    rng = np.random.default_rng(0)
    centres = np.array([[2.0, 0.0], [-2.0, 0.0]])
    y = np.arange(n) % 2
    Xs, Xt = (centres[y] + 0.7 * rng.normal(size=(n, 2)) for _ in range(2))
    ys = y if task == "classification" else Xs @ [1.0, 0.5]
    return Domain(Xs, ys, "source", task=task), Domain(Xt + np.array([shift, 0.0]), name="target", task=task)


def validated(source, target, names=("source-only", "per-domain-standardization", "coral"), learner=None, **options):
    plan = Plan(source.task, None, "passthrough")
    found, _ = shortlist(list(names), learner or LEARNERS[source.task], source, target, plan)
    return validate(sorted(found, key=lambda c: c.name != "source-only"), source, target, plan, **options)


def test_the_method_that_takes_the_shift_back_is_chosen():
    found = validated(*domains())
    assert found.names[0] == "source-only"
    assert found.choice() == "per-domain-standardization"
    assert found.score("per-domain-standardization", "class-silhouette") > found.score(
        "source-only", "class-silhouette"
    )


def test_every_validator_has_a_finite_score_in_both_tasks():
    for task in ("classification", "regression"):
        names = [name for name, each in VALIDATORS.items() if task in each.tasks]
        found = validated(*domains(task), validators=names)
        assert np.isfinite(found.scores).all()
        assert found.choice() in found.names
        assert found.document()["choice"] == found.choice()
        assert found.choice() in str(found)


def test_each_candidate_is_fitted_once_a_fold(monkeypatch):
    from headstart.choose.candidates import Candidate

    fits, fit = [], Candidate.fit
    monkeypatch.setattr(Candidate, "fit", lambda self, target: fits.append(self.name) or fit(self, target))
    validated(*domains())
    assert sorted(fits) == sorted(["source-only", "per-domain-standardization", "coral"] * 3)


def test_the_order_of_rows_does_not_matter():
    source, target = domains()
    rng = np.random.default_rng(1)
    names = [*VALIDATORS]
    one = validated(source, target, validators=names)
    other = validated(source.rows(rng.permutation(60)), target.rows(rng.permutation(60)), validators=names)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def test_without_probabilities_certainty_has_no_score_and_the_choice_is_still_made():
    found = validated(*domains(), learner=SVC())
    assert np.isnan(found.score("source-only", "entropy"))
    assert found.choice() in found.names
    with pytest.raises(InputError, match="can't score every candidate"):
        found.choice(by="entropy")


def test_sparse_rows_are_validated():
    source, target = domains()
    sparse = (replace(each, X=csr_matrix(each.X)) for each in (source, target))
    found = validated(*sparse, names=("source-only", "kmm"))
    assert np.isfinite(found.scores).all()


def table(scores, voters=("class-clusters", "class-silhouette", "stability")):
    names = ["source-only", *"abcdefgh"[: len(scores) - 1]]
    return Validation(names, list(voters), np.array(scores), voters, 10.0, [0.0] * len(names))


def test_the_reference_is_left_only_where_more_voters_are_for_the_other():
    assert table([[0.1, 0.1, 0.9], [0.2, 0.2, 0.8]]).choice() == "a"
    assert table([[0.1, 0.2, 0.9], [0.2, 0.1, 0.8]]).choice() == "source-only"
    assert table([[0.1, 0.1, 0.1], [0.1, 0.1, 0.1]]).choice() == "source-only"


def test_ten_rows_one_column_and_a_class_missing_give_finite_scores():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [5, 4, 1])
    source, target = Domain(rng.normal(size=(10, 1)), y, "s"), Domain(rng.normal(size=(10, 1)), name="t")
    with np.errstate(all="raise"):
        found = validated(source, target, names=("source-only",), validators=[*VALIDATORS])
    assert np.isfinite(found.scores).all()
    assert found.choice() == "source-only"


def test_refusals_say_what_to_do():
    source, target = domains()
    with pytest.raises(InputError, match="add source-only"):
        validate([], source, target, Plan("classification"))
    with pytest.raises(InputError, match="did you mean 'entropy'"):
        validated(source, target, validators=["entropie"])
    with pytest.raises(InputError, match="no validator for regression: 'entropy'"):
        validated(*domains("regression"), validators=["entropy"])
    with pytest.raises(InputError, match="no validator 'reverse'"):
        validated(source, target).score("source-only", "reverse")
