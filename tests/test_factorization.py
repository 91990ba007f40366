"""Factorisation: the optimum is one, one domain is plain factorisation, planted maps are found again."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from headstart.errors import NeedsError
from headstart.recommend import (
    CollectiveMF,
    EmbeddingMapping,
    Histories,
    MatrixFactorization,
    ratings_domain,
    ratings_domains,
)
from headstart.recommend.base import Arrived
from headstart.recommend.least_squares import explicit_solution, implicit_half, implicit_solution


def events(seed=0, n=30, m=20, density=0.3):
    rng = np.random.default_rng(seed)
    C = csr_matrix(((rng.random((n, m)) < density) * rng.uniform(1, 20, (n, m))).astype(np.float32))
    return C, rng.normal(size=(m, 4)).astype(np.float32)


def implicit_objective(X, C, V, penalty):
    dense = C.toarray()
    return ((1 + dense) * ((dense > 0) - X @ V.T) ** 2).sum() + penalty * (X**2).sum()


def test_conjugate_gradients_end_at_the_exact_solution():
    C, V = events()
    exact = implicit_solution(C, V, 2.0)
    found = implicit_half(C, V, np.zeros((30, 4), np.float32), 2.0, steps=8)
    active = np.diff(C.indptr) > 0
    np.testing.assert_allclose(found[active], exact[active], rtol=1e-3, atol=1e-4)


def test_the_exact_solution_has_no_gradient():
    C, V = events()
    X = implicit_solution(C, V, 2.0)
    dense, V = C.toarray().astype(float), V.astype(float)
    gradient = -2 * ((1 + dense) * ((dense > 0) - X @ V.T)) @ V + 4.0 * X
    assert np.abs(gradient[np.diff(C.indptr) > 0]).max() < 1e-8


def test_a_centre_is_where_someone_without_events_stays():
    C, V = events()
    C = csr_matrix(C.toarray() * (np.arange(30) > 0)[:, None])
    centre = np.ones((30, 4))
    assert (implicit_solution(C, V, 2.0, centre)[0] == 1).all()
    far = implicit_solution(C, V, 1e9, centre)
    np.testing.assert_allclose(far, 1, atol=1e-4)


def test_ratings_are_fitted_as_by_ridge_regression_row_by_row():
    rng = np.random.default_rng(0)
    R = csr_matrix(np.where(rng.random((10, 15)) < 0.5, rng.normal(size=(10, 15)), 0))
    V, w = rng.normal(size=(15, 3)), rng.uniform(0.5, 2, 15)
    X = explicit_solution(R, V, 0.1, w)
    for row in range(10):
        at = R.indices[R.indptr[row] : R.indptr[row + 1]]
        A = V[at].T @ (w[at][:, None] * V[at]) + 0.1 * len(at) * np.eye(3)
        np.testing.assert_allclose(X[row], np.linalg.solve(A, V[at].T @ (w[at] * R[row].toarray()[0, at])), rtol=1e-8)


def two_domains(seed=0, users=60, items=25, rating=False):
    rng = np.random.default_rng(seed)
    P = rng.normal(size=(users, 3))
    tables = []
    for name in ("game", "video"):
        Q = rng.normal(size=(items, 3))
        S = P @ Q.T
        mask = rng.random(S.shape) < 0.5 if rating else (S > 0.7)
        user, item = np.nonzero(mask)
        table = pd.DataFrame({"user": user, "item": item, "domain": name})
        if rating:
            table["rating"] = np.round(S[user, item], 2)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("rating", [False, True])
def test_joint_factorisation_of_one_domain_is_plain_factorisation(rating):
    table = two_domains(rating=rating)
    video = ratings_domains(table)["video"]
    histories = Histories.of([video])
    learner = MatrixFactorization(4, iterations=5)
    joint = CollectiveMF().scorer(Arrived(histories, {}), learner)
    plain = learner.scorer(histories)
    assert (joint.item_vectors == plain.item_vectors).all()
    assert (joint.item_bias == plain.item_bias).all()


def test_a_source_of_no_weight_changes_nothing_but_how_vectors_begin():
    table = two_domains(rating=True)
    domains = ratings_domains(table)
    both = Histories.of([domains["game"], domains["video"]])
    learner = MatrixFactorization(3, iterations=40, penalty=0.1)
    joint = CollectiveMF(source_weight=1e-9).scorer(Arrived(both, {}), learner)
    alone = learner.scorer(both.only("video"))
    U, W = (
        s.queries(h, np.full(60, -1)) @ s.item_vectors.T + s.item_bias
        for s, h in ((joint, without_source(both)), (alone, both.part("video")))
    )
    known = both.part("video").nonzero()
    assert np.abs(U[known] - W[known]).mean() < 0.15 * np.abs(W[known]).mean()


def without_source(both):
    kept = both.matrix.copy().tolil()
    kept[:, : both.span("video").start] = 0
    return kept.tocsr()


def test_planted_ratings_are_foretold():
    table = two_domains(rating=True, users=200)
    video = table[table["domain"] == "video"]
    held = np.random.default_rng(1).random(len(video)) < 0.2
    domain = ratings_domain(video[~held], rating="rating")
    recommender = MatrixFactorization(3, penalty=0.01, iterations=30).recommender(Histories.of([domain]))
    test = ratings_domain(video[held], rating="rating")
    error = np.abs(recommender.predict(test) - test.labels).mean()
    assert error < 0.15 * np.abs(test.labels - domain.labels.mean()).mean()


def test_a_planted_linear_map_of_tastes_is_found_again():
    """Tastes in the target are a linear map of those in the source: cold users' ratings follow."""
    rng = np.random.default_rng(0)
    users, k = 300, 3
    P = rng.normal(size=(users, k))
    A = rng.normal(size=(k, k))
    tables = []
    truth = {}
    for name, taste in (("game", P), ("video", P @ A)):
        S = taste @ rng.normal(size=(60, k)).T
        truth[name] = S
        mask = rng.random(S.shape) < 0.6
        if name == "video":
            mask[250:] = False
        user, item = np.nonzero(mask)
        tables.append(pd.DataFrame({"user": user, "item": item, "domain": name, "rating": S[user, item]}))
    learner = MatrixFactorization(k, penalty=1e-3, iterations=60)
    mapping = EmbeddingMapping(alpha=1e-6)
    found = mapping.fit(pd.concat(tables), target="video", learner=learner).recommender()
    S = found.scores(np.arange(250, 300))
    error = np.abs(S - truth["video"][250:]).mean() / np.abs(truth["video"][250:]).mean()
    assert error < 0.02


def test_too_few_shared_users_are_told_of():
    table = two_domains()
    table["user"] += 1000 * (table["domain"] == "game")
    with pytest.raises(NeedsError, match="CodebookTransfer needs no shared user"):
        EmbeddingMapping().fit(table, target="video")


def test_vectors_begin_where_the_seed_says():
    histories = Histories.of([ratings_domains(two_domains())["video"]])
    first, again = (MatrixFactorization(4, iterations=3).scorer(histories).item_vectors for _ in range(2))
    other = MatrixFactorization(4, iterations=3, random_state=1).scorer(histories).item_vectors
    assert (first == again).all()
    assert (first != other).any()
