"""Popularity, means, and EASE against its closed form and against least squares with a constraint."""

import warnings

import numpy as np
import pandas as pd
import pytest

from headstart.errors import NeedsError
from headstart.recommend import EASE, Histories, ItemMean, Popularity, Ratings, UserMean, ratings_domains
from headstart.recommend.ease import ease_weights
from headstart.store.parts import dump_part, load_part


@pytest.fixture(scope="module")
def rated():
    rng = np.random.default_rng(0)
    kind, level = rng.normal(0, 0.8, 60), {"game": 4.0, "film": 2.5}
    rows = []
    for domain in ("game", "film"):
        quality = rng.normal(0, 0.5, 30)
        for user in range(60):
            for item in rng.choice(30, 12, replace=False):
                if domain == "film" and user >= 50:
                    continue
                rating = level[domain] + kind[user] + quality[item] + rng.normal(0, 0.2)
                rows.append((user, int(item), domain, float(rating)))
    rows += [(60, 3, "film", 2.0)]
    return pd.DataFrame(rows, columns=["user", "item", "domain", "rating"])


@pytest.fixture(scope="module")
def events(rated):
    return rated[["user", "item", "domain"]]


def test_popularity_counts_users_and_is_the_same_for_everybody(events):
    found = Popularity().fit(events).recommender_
    counts = events[events.domain == "film"].groupby("item").user.nunique().sort_index()
    np.testing.assert_array_equal(found.scores([1, 2, 3]), np.tile(counts, (3, 1)))
    assert Popularity().fit(ratings_domains(events)).recommender_.recommend(1, k=5).scores[0] <= counts.max()


def test_popularity_counts_ratings_whatever_they_are(rated):
    low = rated.assign(rating=-rated.rating)
    one, other = (Popularity().fit(each).recommender_.scores([0]) for each in (rated, low))
    np.testing.assert_array_equal(one, other)


def test_item_mean_is_drawn_to_the_mean_of_all_as_by_five_ratings(rated):
    film = rated[rated.domain == "film"]
    by_item = film.groupby("item").rating.agg(["sum", "count"])
    expected = (by_item["sum"] + 5 * film.rating.mean()) / (by_item["count"] + 5)
    np.testing.assert_allclose(ItemMean().fit(rated).recommender_.scores([0])[0], expected, rtol=1e-5)


def test_user_mean_is_its_formula_over_all_domains(rated):
    found = UserMean().fit(rated).recommender_
    level = {}
    for domain, part in rated.groupby("domain"):
        for item, of_item in part.groupby("item"):
            level[domain, item] = (of_item.rating.sum() + 5 * part.rating.mean()) / (len(of_item) + 5)
    for user in (0, 55):
        own = rated[rated.user == user]
        kind = sum(r - level[d, i] for i, d, r in zip(own.item, own.domain, own.rating, strict=True)) / (len(own) + 5)
        expected = [level["film", i] + kind for i in found.items.tolist()]
        np.testing.assert_allclose(found.scores([user])[0], expected, atol=1e-5)


def test_user_mean_carries_kindness_to_a_domain_that_is_rated_lower(rated):
    """Users 50 to 59 rated games only, whose mean is 1.5 higher: a plain mean would be that far off."""
    found, plain = UserMean().fit(rated).recommender_, ItemMean().fit(rated).recommender_
    S = found.scores(np.arange(50, 60))
    spread = S.mean(axis=1) - plain.scores([50]).mean()
    own = rated[(rated.user >= 50) & (rated.domain == "game")].groupby("user").rating.mean() - 4.0
    assert np.corrcoef(spread, own)[0, 1] > 0.95
    assert abs(S.mean() - 2.5 - own.mean()) < 0.5


def test_a_user_who_did_nothing_gets_the_mean_of_each_item(rated):
    found = UserMean().fit(rated).recommender_
    np.testing.assert_array_equal(found.scores(["nobody"]), ItemMean().fit(rated).recommender_.scores(["nobody"]))


@pytest.mark.parametrize("learner", [ItemMean(), UserMean()])
def test_means_of_ratings_refuse_events(learner, events):
    with pytest.raises(NeedsError, match="only events; give a column of ratings"):
        learner.fit(events)


def test_ease_refuses_ratings(rated):
    with pytest.raises(NeedsError, match="leave the ratings out"):
        EASE().fit(rated)


def test_ease_is_each_items_ridge_regression_on_all_others(events):
    """Brute force: for each column least squares without the item itself."""
    histories = Histories.of(list(ratings_domains(events).values()))
    X, penalty = histories.matrix.toarray().astype(float), 7.0
    span = histories.span("film")
    B = ease_weights(histories.matrix, np.arange(span.start, span.stop), penalty)
    assert B.dtype == np.float32
    for column in range(span.start, span.stop):
        others = np.delete(np.arange(X.shape[1]), column)
        A = X[:, others]
        w = np.linalg.solve(A.T @ A + penalty * np.eye(len(others)), A.T @ X[:, column])
        np.testing.assert_allclose(B[others, column - span.start], w, atol=2e-5)
        assert B[column, column - span.start] == 0


def test_ease_scores_are_the_history_times_its_weights(events):
    found = EASE(penalty=7.0).fit(ratings_domains(events)["film"])
    histories = found.recommender_.histories
    B = ease_weights(histories.matrix, np.arange(histories.matrix.shape[1]), 7.0)
    S = found.recommender_.scores([0, 1, 2])
    np.testing.assert_allclose(S, histories.matrix[:3].toarray() @ B, atol=1e-6)
    assert S.dtype == np.float32


def test_ease_uses_what_was_done_in_the_other_domain():
    rng = np.random.default_rng(1)
    rows = [(u, int(i), d) for d in ("game", "film") for u in range(80) for i in 2 * rng.choice(10, 4, False) + u % 2]
    rows += [(100, 0, "game"), (100, 2, "game"), (101, 1, "game"), (101, 3, "game")]
    table = pd.DataFrame(rows, columns=["user", "item", "domain"])
    found = EASE(penalty=5.0).recommender(Histories.of(list(ratings_domains(table).values())))
    for user in (100, 101):
        assert set(found.recommend(user, k=8).items % 2) == {user % 2}


def test_ease_leaves_out_the_least_popular_and_says_so(events):
    with pytest.warns(UserWarning, match=r"of 60 items the 40 most popular are taken .* raise max_items"):
        small = EASE(penalty=5.0, max_items=40).fit(events).recommender_
    counts = np.asarray(small.histories.matrix.sum(axis=0)).ravel()
    kept = np.sort(np.argsort(-counts, kind="stable")[:40])
    span = small.histories.span("film")
    lost = ~np.isin(np.arange(span.start, span.stop), kept)
    S = small.scores(np.arange(60))
    assert lost.any()
    assert (S[:, lost] == 0).all()
    assert (S[:, ~lost] != 0).any(axis=0).all()
    X = small.histories.matrix[:, kept].toarray().astype(float)
    P = np.linalg.inv(X.T @ X + 5.0 * np.eye(40))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    np.testing.assert_allclose(S[:, ~lost], (X @ B)[:60, kept >= span.start], atol=2e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EASE(max_items=60).fit(events)


def test_items_that_are_shared_are_one_thing_to_ease(events):
    both = ratings_domains(events, shared="both")
    found = EASE(penalty=5.0).recommender(Histories.of(list(both.values())))
    union = events.assign(domain="film").drop_duplicates()
    one = EASE(penalty=5.0).fit(union).recommender_
    users = np.arange(60)
    np.testing.assert_allclose(found.scores(users), one.scores(users), atol=1e-5)


@pytest.mark.parametrize("learner", [Popularity(), EASE(penalty=5.0)])
def test_what_learns_from_events_holds_its_promises(learner, events):
    promises(learner, events)


@pytest.mark.parametrize("learner", [ItemMean(), UserMean()])
def test_what_learns_from_ratings_holds_its_promises(learner, rated):
    promises(learner, rated)


def promises(learner, table):
    """Seen items stay away; order and saving change nothing; a guest is who has the same history; float32."""
    found = learner.fit(table).recommender_
    users = np.arange(60)
    listed = found.recommend_all(users, k=30)
    seen = set(table[table.domain == "film"][["user", "item"]].itertuples(index=False, name=None))
    assert not seen & set(listed[["user", "item"]].itertuples(index=False, name=None))
    shuffled = table.sample(frac=1, random_state=3)
    names = [name for name in ("game", "film") if name in set(table.domain)]
    again = ratings_domains(shuffled)
    other = learner.recommender(Histories.of([again[name] for name in names]))
    pd.testing.assert_frame_equal(other.recommend_all(users, k=10), found.recommend_all(users, k=10))
    loaded = load_part(dump_part(found), "test")
    pd.testing.assert_frame_equal(loaded.recommend_all(users, k=10), found.recommend_all(users, k=10))
    own = table[table.user == 2].drop(columns="user")
    guest, user = found.recommend(found.fold_in(own), k=5), found.recommend(2, k=5)
    np.testing.assert_array_equal(guest.items, user.items)
    np.testing.assert_allclose(guest.scores, user.scores, rtol=1e-6)
    assert found.scores(users).dtype == np.float32
    rows = Ratings.of(table.user[:5], table.item[:5])
    assert np.isfinite(found.predict(rows)).all()
