"""BiGraphTransfer: propagation by hand, and camps that stand in both domains."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from headstart.errors import NeedsError
from headstart.recommend import BiGraphTransfer, MatrixFactorization, Popularity, ratings_domains
from headstart.recommend.graph_training import Side, mix, trained_tables
from headstart.store.parts import dump_part, load_part

torch = pytest.importorskip("torch")

METHOD = BiGraphTransfer(epochs=8, batch=500, rate=0.02)
LEARNER = MatrixFactorization(n_factors=8, penalty=5.0, iterations=5)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    rows = []
    for user in range(160):
        for domain, does in (("game", user < 130), ("video", user < 90 or user >= 130)):
            if does:
                rows += [(user, f"{user % 4} {item}", domain) for item in rng.choice(12, 5, replace=False)]
    return pd.DataFrame(rows, columns=["user", "item", "domain"])


@pytest.fixture(scope="module")
def fitted(table):
    return METHOD.fit(table, target="video", learner=LEARNER).recommender()


@pytest.mark.parametrize("users", [np.arange(90), np.arange(90, 130), np.arange(130, 160)])
def test_users_of_both_domains_and_of_either_get_the_items_of_their_camp(fitted, table, users):
    listed = fitted.recommend_all(users, k=5)
    assert (listed.item.str[0].astype(int) == listed.user % 4).mean() > 0.9
    plain = Popularity().fit(table).recommender_.recommend_all(users, k=5)
    assert (plain.item.str[0].astype(int) == plain.user % 4).mean() < 0.5


def test_a_side_is_the_graph_divided_by_the_roots_of_both_degrees():
    X = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1.0]])
    side = Side.of(csr_matrix(X))
    degree, count = X.sum(axis=1), X.sum(axis=0)
    expected = X / np.sqrt(np.maximum(degree, 1)[:, None] * count)
    np.testing.assert_allclose(side.graph().toarray(), expected, rtol=1e-6)
    left = side.without(np.array([0]))
    X[0, 0] = 0
    np.testing.assert_array_equal(left.graph().toarray() > 0, X > 0)
    assert left.degree.tolist() == [1, 1, 0, 3]


def test_a_shared_user_is_mixed_by_lambda_and_by_degree():
    w, other = mix(np.array([3, 0, 5, 0]), np.array([1, 2, 0, 0]), 0.8)
    np.testing.assert_allclose(w[:3], [(0.8 + 0.75) / 2, 0, 1])
    np.testing.assert_allclose(w + other, 1)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_tables_are_the_mean_of_all_layers(layers):
    """Without an epoch I_0 is what was given, and the rest is products of dense matrices by hand."""
    rng = np.random.default_rng(1)
    parts = [csr_matrix((rng.random((30, m)) < 0.3).astype(np.float32)) for m in (9, 7)]
    sides = [Side.of(part) for part in parts]
    start = [rng.normal(size=(m, 4)) for m in (9, 7)]
    found = trained_tables(*sides, start, layers, 0.8, 0, 100, 0.01, 0.0, np.random.default_rng(5))

    again = np.random.default_rng(5)
    whole = sides[1]
    out = again.permutation(np.flatnonzero(whole.degree[whole.users] > 1))[: max(1, int(0.03 * len(whole.users)))]
    sides = [sides[0], whole.without(out)]
    A = [side.graph().toarray() for side in sides]
    weights = [mix(sides[d].degree, sides[1 - d].degree, 0.8) for d in (0, 1)]
    items = start
    total = [each.copy() for each in items]
    for _ in range(layers):
        U = [A[d] @ items[d] for d in (0, 1)]
        items = [A[d].T @ (weights[d][0][:, None] * U[d] + weights[d][1][:, None] * U[1 - d]) for d in (0, 1)]
        total = [total[d] + items[d] for d in (0, 1)]
    for d in (0, 1):
        np.testing.assert_allclose(found[d], total[d] / (layers + 1), atol=1e-5)


def test_training_finds_the_camps_from_vectors_at_random(table):
    histories = METHOD.fit(table, target="video", learner=LEARNER).recommender().histories
    columns = histories.span("video")
    H = histories.matrix
    sides = [Side.of(csr_matrix(H[:, : columns.start])), Side.of(csr_matrix(H[:, columns]))]
    rng = np.random.default_rng(2)
    start = [rng.normal(0, 0.1, (side.shape[1], 8)) for side in sides]
    camp = [np.array([int(item[0]) for item in histories.ids(name)]) for name in ("game", "video")]
    alike = {}
    for epochs in (0, 30):
        game, video = trained_tables(*sides, start, 1, 0.8, epochs, 500, 0.03, 1e-4, np.random.default_rng(3))
        S = game @ video.T
        same = camp[0][:, None] == camp[1][None, :]
        alike[epochs] = (S[same].mean() - S[~same].mean()) / S.std()
    assert alike[30] > 1.5
    assert alike[0] < 1.0


def test_queries_are_the_mixed_sums_of_what_was_done(fitted):
    scorer, H = fitted.scorer, fitted.histories.matrix.toarray()
    start = scorer.columns.start
    for user in (0, 100, 140):
        parts = [H[user, start:], H[user, :start]]
        vectors = [scorer.vectors[start:], scorer.vectors[:start]]
        scale = [scorer.scale[start:], scorer.scale[:start]]
        sums = [(x * s / np.sqrt(max(x.sum(), 1))) @ V for x, s, V in zip(parts, scale, vectors, strict=True)]
        w, other = mix(np.array([parts[0].sum()]), np.array([parts[1].sum()]), 0.8)
        expected = w[0] * sums[0] + other[0] * sums[1]
        found = scorer.queries(fitted.histories.matrix[[user]], np.array([user]))[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ratings_and_too_few_shared_users_are_refused(table):
    with pytest.raises(NeedsError, match="leave the ratings out"):
        METHOD.fit(table.assign(rating=np.arange(len(table)) % 5), target="video", learner=LEARNER)
    few = table[(table.domain == "game") | (table.user >= 121)]
    with pytest.raises(NeedsError, match="there are 0; it takes 10"):
        METHOD.fit(few, target="video", learner=LEARNER)


def test_the_same_seed_gives_the_same_and_nothing_global_is_touched(table):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    method = BiGraphTransfer(epochs=2, batch=500)
    one, same = (method.fit(table, target="video", learner=LEARNER).recommender() for _ in range(2))
    other = (
        BiGraphTransfer(epochs=2, batch=500, random_state=1).fit(table, target="video", learner=LEARNER).recommender()
    )
    np.testing.assert_array_equal(one.scores([1, 100]), same.scores([1, 100]))
    assert not np.array_equal(one.scores([1, 100]), other.scores([1, 100]))
    assert torch.equal(before, torch.get_rng_state())
    assert threads == torch.get_num_threads()


def test_it_holds_the_promises_of_a_recommender(table, fitted):
    """Seen items stay away; order and saving change nothing; a guest is who has the same history; float32."""
    users = np.arange(160)
    listed = fitted.recommend_all(users, k=48)
    seen = set(table[table.domain == "video"][["user", "item"]].itertuples(index=False, name=None))
    assert not seen & set(listed[["user", "item"]].itertuples(index=False, name=None))
    domains = ratings_domains(table.sample(frac=1, random_state=0))
    again = METHOD.fit([domains["game"], domains["video"]], target="video", learner=LEARNER).recommender()
    pd.testing.assert_frame_equal(again.recommend_all(users, k=5), fitted.recommend_all(users, k=5))
    data = dump_part(fitted)
    assert b"torch" not in data
    pd.testing.assert_frame_equal(load_part(data, "test").recommend_all(users, k=5), fitted.recommend_all(users, k=5))
    for user in (3, 100, 140):
        guest = fitted.fold_in(table[table.user == user].drop(columns="user"))
        np.testing.assert_allclose(fitted.scores([guest]), fitted.scores([user]), atol=1e-6)
    assert fitted.scores(users).dtype == np.float32
