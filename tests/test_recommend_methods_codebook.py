"""CodebookTransfer on ratings that are planted in blocks."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, random_array

from headstart.errors import NeedsError
from headstart.recommend import CodebookTransfer, ItemMean, Ratings, ratings_domain, ratings_domains
from headstart.recommend.codebook import co_clusters, codebook, densest, filled, membership_costs, memberships
from headstart.store.parts import dump_part, load_part

B = np.array([[5, 1, 3, 1, 4], [1, 5, 2, 4, 1], [3, 3, 5, 1, 2], [2, 1, 1, 5, 5]], dtype=float)


def planted(rng, domain, n, m, share, noise=0.3, names="{}"):
    U, V = rng.integers(4, size=n), rng.integers(5, size=m)
    cells = np.argwhere(rng.random((n, m)) < share)
    ratings = B[U[cells[:, 0]], V[cells[:, 1]]] + rng.normal(0, noise, len(cells))
    users = [names.format(user) for user in cells[:, 0].tolist()]
    table = pd.DataFrame({"user": users, "item": cells[:, 1], "rating": np.clip(ratings, 1, 5), "domain": domain})
    return table, U, V


@pytest.fixture(scope="module")
def shops():
    rng = np.random.default_rng(0)
    book, _, _ = planted(rng, "book", 120, 80, 0.5)
    film, U, V = planted(rng, "film", 90, 60, 0.12)
    return book, film, U, V


@pytest.fixture(scope="module")
def domains(shops):
    book, film, _, _ = shops
    return [
        ratings_domain(each, rating="rating", shared="none", name=name)
        for name, each in (("book", book), ("film", film))
    ]


@pytest.fixture(scope="module")
def method():
    return CodebookTransfer(user_groups=4, item_groups=5)


@pytest.fixture(scope="module")
def fitted(method, domains):
    return method.fit(domains, target="film").recommender()


def test_the_planted_codebook_is_found_up_to_the_order_of_its_rows_and_columns(fitted):
    found = fitted.scorer.codebook
    assert found.shape == B.shape
    assert found.dtype == np.float32
    off = min(
        np.abs(found[list(rows)][:, list(columns)] - B).max()
        for rows in permutations(range(4))
        for columns in permutations(range(5))
    )
    # Noise is cut at 1 and 5, which moves a mean by no more than this.
    assert off < 0.25


def test_ratings_are_foretold_better_than_by_item_means_with_no_shared_user_or_item(shops, fitted, domains):
    _, film, U, V = shops
    rest = np.argwhere(np.ones((90, 60), dtype=bool))
    given = set(film[["user", "item"]].astype(int).itertuples(index=False, name=None))
    rest = np.array([cell for cell in rest.tolist() if tuple(cell) not in given])
    rest = rest[np.isin(rest[:, 1], film.item.unique())]
    truth = B[U[rest[:, 0]], V[rest[:, 1]]]
    rows = Ratings.of([str(u) for u in rest[:, 0].tolist()], rest[:, 1])
    own = np.abs(fitted.predict(rows) - truth).mean()
    mean = np.abs(ItemMean().fit(domains[1]).predict(rows) - truth).mean()
    assert own < 0.5 * mean, (own, mean)


@pytest.mark.parametrize("seed", range(5))
def test_the_objective_never_rises_and_is_what_it_says(seed):
    rng = np.random.default_rng(seed)
    R = csr_matrix(random_array((40, 30), density=0.2, rng=rng))
    R.data = rng.uniform(1, 5, R.nnz)
    U, V, objective = memberships(R, B, rng.integers(5, size=30))
    assert (np.diff(objective) <= 1e-9).all()
    X, W = R.toarray(), R.toarray() > 0
    assert objective[-1] == pytest.approx((W * (X - B[U][:, V]) ** 2).sum())


def test_a_membership_is_the_cheapest_by_brute_force():
    rng = np.random.default_rng(2)
    R = csr_matrix(random_array((20, 15), density=0.4, rng=rng))
    groups = rng.integers(5, size=15)
    X, W = R.toarray(), R.toarray() != 0
    brute = np.array([[(W[i] * (X[i] - B[a, groups]) ** 2).sum() for a in range(4)] for i in range(20)])
    costs = membership_costs(R, groups, B) + (X**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(costs, brute, atol=1e-10)


def test_co_clusters_find_planted_blocks():
    rng = np.random.default_rng(3)
    U, V = rng.integers(4, size=60), rng.integers(5, size=50)
    rows, columns = co_clusters(B[U][:, V] + rng.normal(0, 0.3, (60, 50)), 4, 5, 100, 0)
    assert len(set(zip(U, rows, strict=True))) == 4
    assert len(set(zip(V, columns, strict=True))) == 5


def test_gaps_are_filled_with_means_and_what_was_given_stays():
    R = csr_matrix(([5.0, 1.0, 3.0], ([0, 0, 1], [0, 1, 0])), shape=(2, 2))
    np.testing.assert_allclose(filled(R), [[5, 1], [3, 1]])


def test_the_codebook_is_the_mean_of_what_was_given():
    R = csr_matrix(([5.0, 1.0, 3.0], ([0, 0, 1], [0, 1, 0])), shape=(2, 2))
    np.testing.assert_allclose(codebook(R, np.array([0, 1]), np.array([0, 1])), [[5, 1], [3, 3]])


def test_the_densest_part_is_of_the_items_and_then_of_the_users_with_most_ratings():
    R = csr_matrix([[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1], [0, 1, 0, 0.0]])
    users, items = densest(R, 2, 2)
    assert (users.tolist(), items.tolist()) == ([0, 1], [0, 1])


def test_a_shared_user_who_did_nothing_in_the_target_is_of_the_group_found_in_the_source(method):
    rng = np.random.default_rng(4)
    book, groups, _ = planted(rng, "book", 120, 80, 0.5)
    film, _, V = planted(rng, "film", 90, 60, 0.2)
    film["user"] = [f"other {user}" for user in film.user]
    found = method.fit(ratings_domains(pd.concat([book, film])), target="film").recommender()
    users = np.arange(120)
    S = found.scores([str(user) for user in users])
    assert np.abs(S - B[groups][:, V[found.items]]).mean() < 0.3
    assert found.recommend("0").how == "history in book, carried to film"


def test_who_fits_no_group_gets_groups_by_their_share(fitted):
    width = fitted.histories.matrix.shape[1]
    unknown = np.flatnonzero(fitted.scorer.groups < 0)
    history = csr_matrix(([4.0] * len(unknown), ([0] * len(unknown), unknown)), shape=(1, width))
    q = fitted.scorer.queries(history, np.array([-1]))
    np.testing.assert_allclose(q[0], fitted.scorer.share)
    assert q.sum() == pytest.approx(1)


def test_events_without_ratings_are_refused(shops):
    book, film, _, _ = shops
    table = pd.concat([book, film]).drop(columns="rating")
    with pytest.raises(NeedsError, match="CodebookTransfer learns from ratings"):
        CodebookTransfer().fit(table, target="film")


def test_more_groups_than_there_are_users_are_no_error(shops):
    book, film, _, _ = shops
    few = pd.concat([book[book.user.isin(["0", "1", "2"]) & (book.item < 4)], film])
    found = CodebookTransfer().fit(ratings_domains(few, shared="none"), target="film").recommender()
    assert found.scorer.codebook.shape[0] <= 3
    assert np.isfinite(found.scores(found.histories.users)).all()


def test_it_holds_the_promises_of_a_recommender(method, fitted, shops, domains):
    """Seen items stay away; order and saving change nothing; a guest is who has the same history; float32."""
    book, film, _, _ = shops
    users = np.unique(film.user)
    listed = fitted.recommend_all(users, k=60)
    seen = set(film[["user", "item"]].itertuples(index=False, name=None))
    assert not seen & set(listed[["user", "item"]].itertuples(index=False, name=None))
    shuffled = [
        ratings_domain(each.sample(frac=1, random_state=1), rating="rating", shared="none", name=name)
        for name, each in (("book", book), ("film", film))
    ]
    again = method.fit(shuffled, target="film").recommender()
    pd.testing.assert_frame_equal(again.recommend_all(users, k=5), fitted.recommend_all(users, k=5))
    loaded = load_part(dump_part(fitted), "test")
    pd.testing.assert_frame_equal(loaded.recommend_all(users, k=5), fitted.recommend_all(users, k=5))
    own = film[film.user == "2"].drop(columns="user")
    np.testing.assert_allclose(fitted.scores(["2"]), fitted.scores([fitted.fold_in(own)]), rtol=1e-6)
    assert fitted.scores(users).dtype == np.float32
