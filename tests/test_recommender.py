"""Recommenders of every kind: what was seen stays away, guests are users, answers are explained."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import vstack

from headstart.errors import InputError
from headstart.recommend import (
    CollectiveMF,
    CrossDomainItemKNN,
    EmbeddingMapping,
    Histories,
    MatrixFactorization,
    Ratings,
    ratings_domains,
)
from headstart.recommend.scorers import products

METHODS = [CrossDomainItemKNN(), CollectiveMF(), EmbeddingMapping(), EmbeddingMapping(neighbors=0)]


def world(seed=0, users=80, items=40, rating=False):
    """Two domains whose items are of four kinds; each user likes two. Users from 70 on are new to the target."""
    rng = np.random.default_rng(seed)
    likes = np.array([rng.choice(4, 2, replace=False) for _ in range(users)])
    rows = []
    for name in ("game", "video"):
        for user in range(users):
            if name == "video" and user >= 70:
                continue
            for item in rng.choice(items, 12, replace=False):
                fits = item % 4 in likes[user]
                if rating:
                    rows.append((user, f"{name} {item}", name, 4.0 * fits + rng.integers(0, 2)))
                elif fits:
                    rows.append((user, f"{name} {item}", name))
    columns = ["user", "item", "domain", "rating"] if rating else ["user", "item", "domain"]
    return pd.DataFrame(rows, columns=columns), likes


def fitted(method, table):
    penalty = 0.05 if "rating" in table else 1.0
    return method.fit(table, target="video", learner=MatrixFactorization(8, penalty=penalty)).recommender()


@pytest.fixture(scope="module", params=METHODS, ids=repr)
def found(request):
    table, likes = world()
    return fitted(request.param, table), table, likes


def test_what_was_seen_never_comes_again(found):
    recommender, table, _ = found
    best = recommender.recommend_all(k=40)
    seen = set(zip(table["user"], table["item"], strict=True))
    assert not seen & set(zip(best["user"], best["item"], strict=True))
    again = recommender.recommend_all(k=40, exclude_seen=False)
    assert seen & set(zip(again["user"], again["item"], strict=True))


def test_cold_users_get_the_kinds_that_they_like_elsewhere(found):
    recommender, _, likes = found
    fits = []
    for user in range(70, 80):
        best = recommender.recommend(user, 5)
        assert best.how == "history in game, carried to video"
        fits += [int(item.split()[1]) % 4 in likes[user] for item, _ in best]
    # Two kinds of four: chance is a half.
    assert np.mean(fits) >= 0.85


def test_one_by_one_is_as_all_together(found):
    recommender, _, _ = found
    together = recommender.recommend_all([3, 75, "nobody"], k=4)
    for user in (3, 75, "nobody"):
        alone = recommender.recommend(user, 4)
        rows = together[together["user"].astype(str) == str(user)]
        assert rows["item"].tolist() == alone.items.tolist()
        np.testing.assert_allclose(rows["score"], alone.scores, rtol=1e-4)
    for each, user in zip(recommender.recommend_each([3, 75, "nobody"], 4), (3, 75, "nobody"), strict=True):
        assert each.items.tolist() == recommender.recommend(user, 4).items.tolist()
        assert each.how == recommender.recommend(user, 4).how


def test_a_guest_with_a_users_history_gets_what_the_user_gets(found):
    recommender, table, _ = found
    for user in (3, 75):
        own = table[table["user"] == user]
        guest = recommender.fold_in(list(zip(own["domain"], own["item"], strict=True)))
        assert recommender.recommend(guest, 5).items.tolist() == recommender.recommend(user, 5).items.tolist()


def test_someone_unknown_gets_what_is_popular_and_is_told(found):
    recommender, table, _ = found
    best = recommender.recommend("nobody", 1)
    assert best.how == "popularity, for want of a history"
    counts = table[table["domain"] == "video"]["item"].value_counts()
    assert counts[best.items[0]] == counts.max()


def test_candidates_are_the_only_ones_that_come(found):
    recommender, _, _ = found
    wanted = recommender.items[[4, 9, 1]].tolist()
    best = recommender.recommend(75, 10, candidates=[*wanted, "no such thing"])
    assert set(best.items.tolist()) == set(wanted)
    assert len(recommender.recommend(75, 10, candidates=["no such thing"])) == 0


def test_ranks_are_those_of_a_plain_sort(found):
    recommender, table, _ = found
    rows = Ratings.of([75, 75, 3], recommender.items[[0, 5, 7]], "video")
    ranks = recommender.ranks(rows)
    for row, rank in enumerate(ranks):
        user, item = rows.users[row], rows.items[row]
        seen = set(table[(table["user"] == user) & (table["domain"] == "video")]["item"]) - {item}
        scores = dict(zip(recommender.items, recommender.scores([user])[0], strict=True))
        others = [score for name, score in scores.items() if name not in seen and name != item]
        above, equal = sum(s > scores[item] for s in others), sum(s == scores[item] for s in others)
        assert rank == 1 + above + equal / 2


def test_an_item_that_is_not_known_comes_last(found):
    recommender, _, _ = found
    assert recommender.ranks(Ratings.of([75], ["no such thing"], "video"))[0] == len(recommender.items) + 1


def test_an_explanation_is_the_score_that_would_be_lost(found):
    recommender, table, _ = found
    best = recommender.recommend(75, 1)
    told = recommender.explain(75, best.items[0], k=3)
    assert set(told["domain"]) == {"game"}
    own = table[table["user"] == 75]
    events = list(zip(own["domain"], own["item"], strict=True))
    first = told.iloc[0]
    without = [event for event in events if event != (first["domain"], first["item"])]
    at = recommender.items.tolist().index(best.items[0])
    scorer = recommender.scorer
    both = vstack([recommender.fold_in(history).history for history in (events, without)]).tocsr()
    # Where scores are brought to a spread of one, both are on the scale of the first.
    ask = getattr(scorer, "queries_on_one_scale", lambda rows: scorer.queries(rows, np.array([-1, -1])))
    one, other = products(ask(both), scorer.item_vectors, scorer.item_bias)[:, at]
    assert one == pytest.approx(recommender.scores([75])[0, at], rel=1e-4)
    assert first["effect"] == pytest.approx(one - other, rel=1e-3, abs=1e-5)
    assert told["effect"].is_monotonic_decreasing


def test_items_like_one_are_of_its_kind_also_across_domains(found):
    recommender, _, _ = found
    for item, domain in ((recommender.items[0], None), ("game 3", "game")):
        best = recommender.similar_items(item, 4, domain)
        assert item not in best.items.tolist()
        kinds = [int(other.split()[1]) % 4 for other, _ in best]
        assert np.mean(np.array(kinds) == int(item.split()[1]) % 4) >= 0.5


def test_a_shuffled_table_gives_the_same_answer(found):
    recommender, table, _ = found
    shuffled = table.sample(frac=1, random_state=3)
    method = next(each for each in METHODS if type(each).__name__ == recommender.name)
    if repr(method) == "EmbeddingMapping()" and not hasattr(recommender.scorer, "neighbors"):
        method = EmbeddingMapping(neighbors=0)
    again = fitted(method, shuffled)
    np.testing.assert_allclose(again.scores([3, 75]), recommender.scores([3, 75]), rtol=1e-3, atol=1e-4)


def test_wrong_questions_are_answered_in_a_line(found):
    recommender, _, _ = found
    for ask, says in (
        (lambda: recommender.recommend(3, 0), "k must be 1 or more"),
        (lambda: recommender.recommend(3, 5, "game"), "game"),
        (lambda: recommender.similar_items("no such thing"), "no item 'no such thing'"),
        (lambda: recommender.explain(3, "no such thing"), "no item 'no such thing'"),
    ):
        with pytest.raises(InputError) as told:
            ask()
        assert says in str(told.value)


@pytest.mark.parametrize("method", [CollectiveMF(), EmbeddingMapping()], ids=repr)
def test_ratings_of_cold_users_are_foretold_better_than_by_the_mean_of_the_item(method):
    table, likes = world(rating=True)
    recommender = fitted(method, table)
    cold = np.repeat(np.arange(70, 80), 40)
    names = np.tile([f"video {i}" for i in range(40)], 10)
    truth = 4.0 * np.array([int(n.split()[1]) % 4 in likes[u] for u, n in zip(cold, names, strict=True)]) + 0.5
    rows = Ratings.of(cold, names, "video")
    error = np.abs(recommender.predict(rows) - truth).mean()
    items = np.searchsorted(recommender.items, names)
    assert error < 0.7 * np.abs(recommender.fallback[items] - truth).mean()


def test_each_domain_is_once_the_target_unless_one_is_named():
    table, _ = world()
    both = CrossDomainItemKNN().fit(table)
    assert both.recommend(3, 2, "game").items[0].startswith("game")
    assert both.recommend(3, 2, "video").items[0].startswith("video")
    with pytest.raises(InputError, match="domain"):
        both.recommend(3, 2)


def test_a_thing_met_on_one_device_is_not_recommended_on_the_other():
    table = pd.DataFrame(
        {
            "user": [1, 1, 2, 2, 3],
            "item": ["a", "b", "a", "b", "a"],
            "domain": ["phone", "desk", "desk", "desk", "phone"],
        }
    )
    both = CrossDomainItemKNN().fit(list(ratings_domains(table, shared="both").values()), target="desk")
    assert "a" not in both.recommend(3, 5).items.tolist()
    assert both.recommend(3, 1).items.tolist() == ["b"]


def test_one_domain_is_not_enough():
    table, _ = world()
    with pytest.raises(InputError, match="there is one"):
        CollectiveMF().fit(table[table["domain"] == "video"])


def test_histories_without_the_target_of_a_user_are_the_source():
    table, _ = world()
    histories = Histories.of(list(ratings_domains(table).values()))
    assert not histories.active("video")[histories.positions([75])[0]]


def test_what_someone_did_of_another_kind_is_no_reason():
    table, _ = world()
    recommender = fitted(EmbeddingMapping(), table)
    for user in range(70, 75):
        best = recommender.recommend(user, 1).items[0]
        kinds = [int(item.split()[1]) % 4 for item in recommender.explain(user, best, k=2)["item"]]
        assert int(best.split()[1]) % 4 in kinds
