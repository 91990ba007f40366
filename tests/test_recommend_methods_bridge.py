"""PersonalizedBridge on users whose map depends on what they liked."""

import numpy as np
import pandas as pd
import pytest

from headstart.errors import NeedsError
from headstart.recommend import EmbeddingMapping, MatrixFactorization, PersonalizedBridge, ratings_domains
from headstart.recommend.bridge_training import SharedUsers, _loss_of
from headstart.recommend.personalized_bridge import liked
from headstart.store.parts import dump_part, load_part

torch = pytest.importorskip("torch")

LEARNER = MatrixFactorization(n_factors=6, penalty=2.0, iterations=8)
METHOD = PersonalizedBridge(hidden=16, epochs=80, rate=3e-3)


def camps(rng, n, rated=False, cold=40):
    """Four camps: what is liked in the video is the exclusive or of two likings in the game, which is not linear."""
    rows = []
    for user in range(n):
        a, b = user % 2, user // 2 % 2
        for item in rng.choice(12, 6, replace=False):
            rows.append((user, f"a{a} {item}", "game", 5.0))
            rows.append((user, f"b{b} {item}", "game", 5.0))
        if rated:
            rows += [(user, f"{c}{1 - v} {item}", "game", 1.0) for c, v in (("a", a), ("b", b)) for item in range(4)]
        if user < n - cold:
            for item in rng.choice(20, 6, replace=False):
                rows.append((user, f"{a ^ b} {item}", "video", 5.0))
            if rated:
                rows += [(user, f"{1 - (a ^ b)} {item}", "video", 1.0) for item in rng.choice(20, 6, replace=False)]
    table = pd.DataFrame(rows, columns=["user", "item", "domain", "rating"])
    return table if rated else table.drop(columns="rating")


def right(found, users):
    """Return the share of recommended items that are of the camp."""
    listed = found.recommend_all(users, k=10)
    return ((listed.item.str[0].astype(int)) == (listed.user % 2) ^ (listed.user // 2 % 2)).mean()


@pytest.fixture(scope="module")
def table():
    return camps(np.random.default_rng(0), 360)


@pytest.fixture(scope="module")
def fitted(table):
    return METHOD.fit(table, target="video", learner=LEARNER).recommender()


def test_a_map_of_ones_own_finds_what_no_common_map_can(table, fitted):
    cold = np.arange(320, 360)
    common = EmbeddingMapping(neighbors=0).fit(table, target="video", learner=LEARNER).recommender()
    assert right(fitted, cold) > 0.95
    assert right(common, cold) < 0.75


def test_ratings_of_new_users_are_foretold_from_their_likings():
    table = camps(np.random.default_rng(1), 280, rated=True)
    learner = MatrixFactorization(n_factors=4, iterations=8)
    found = METHOD.fit(table, target="video", learner=learner).recommender()
    users = np.arange(240, 280)
    S = found.scores(users)
    camp = (users % 2) ^ (users // 2 % 2)
    own = np.char.startswith(found.items[None, :], camp.astype(str)[:, None])
    assert S[own].mean() > 4.3
    assert S[~own].mean() < 1.7


def test_without_an_epoch_it_is_the_map_of_the_users_who_are_not_held_out(table):
    """Nothing is personal then but weights near zero; EmbeddingMapping differs by the tenth that is held out."""
    users = np.arange(320, 360)
    own = PersonalizedBridge(epochs=0).fit(table, target="video", learner=LEARNER).recommender().scores(users)
    common = EmbeddingMapping(neighbors=0).fit(table, target="video", learner=LEARNER).recommender().scores(users)
    assert np.corrcoef(own.ravel(), common.ravel())[0, 1] > 0.8


def test_the_loss_of_events_is_that_of_every_cell():
    rng = np.random.default_rng(2)
    from scipy.sparse import csr_matrix

    X = (rng.random((5, 7)) < 0.4).astype(np.float32)
    X[:, 0] = 1
    Q, c, P = rng.normal(size=(7, 3)), rng.uniform(1, 20, 7), rng.normal(size=(5, 3))
    shared = SharedUsers(P, csr_matrix(X), Q, csr_matrix(X), Q, np.zeros(7), c)
    found = float(_loss_of(shared)(torch.tensor(P, dtype=torch.float32), np.arange(5)))
    assert found == pytest.approx(((1 + c * X) * (X - P @ Q.T) ** 2).sum() / X.sum(), rel=1e-5)


def test_liked_is_what_is_no_lower_than_the_own_mean():
    from scipy.sparse import csr_matrix

    history = csr_matrix([[5.0, 3.0, 4.0, 0.0], [0.0, 2.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(liked(history, True).toarray(), [[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]])
    assert liked(history, False).nnz == 5


def test_fewer_than_ten_shared_users_are_refused(table):
    few = table[(table.domain == "game") | (table.user < 9)]
    with pytest.raises(NeedsError, match="there are 9; it takes 10"):
        METHOD.fit(few, target="video", learner=LEARNER)


def test_the_same_seed_gives_the_same_and_nothing_global_is_touched(table):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    state = np.random.get_state()[1].copy()
    method = PersonalizedBridge(hidden=8, epochs=2)
    one, same = (method.fit(table, target="video", learner=LEARNER).recommender() for _ in range(2))
    other = PersonalizedBridge(hidden=8, epochs=2, random_state=1).fit(table, target="video", learner=LEARNER)
    np.testing.assert_array_equal(one.scores([1, 330]), same.scores([1, 330]))
    assert not np.array_equal(one.scores([1, 330]), other.recommender().scores([1, 330]))
    assert torch.equal(before, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    np.testing.assert_array_equal(state, np.random.get_state()[1])


def test_it_holds_the_promises_of_a_recommender(table, fitted):
    """Seen items stay away; order and saving change nothing; a guest is who has the same history; float32."""
    users = np.arange(360)
    listed = fitted.recommend_all(users, k=20)
    seen = set(table[table.domain == "video"][["user", "item"]].itertuples(index=False, name=None))
    assert not seen & set(listed[["user", "item"]].itertuples(index=False, name=None))
    domains = ratings_domains(table.sample(frac=1, random_state=0))
    again = METHOD.fit([domains["game"], domains["video"]], target="video", learner=LEARNER).recommender()
    pd.testing.assert_frame_equal(again.recommend_all(users, k=5), fitted.recommend_all(users, k=5))
    data = dump_part(fitted)
    assert b"torch" not in data
    pd.testing.assert_frame_equal(load_part(data, "test").recommend_all(users, k=5), fitted.recommend_all(users, k=5))
    for user in (3, 350):
        guest = fitted.fold_in(table[table.user == user].drop(columns="user"))
        np.testing.assert_allclose(fitted.scores([guest]), fitted.scores([user]), atol=1e-6)
    assert fitted.scores(users).dtype == np.float32
