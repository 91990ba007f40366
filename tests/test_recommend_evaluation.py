"""Evaluation agrees with brute force, chance and plain loops; the verdict is not fooled by choice or order."""

import json

import numpy as np
import pandas as pd
import pytest

from headstart.errors import InputError, NeedsError
from headstart.recommend import (
    CrossDomainItemKNN,
    Histories,
    ItemKNN,
    MatrixFactorization,
    RatingLearner,
    ratings_domains,
)
from headstart.recommend.contenders import Contender, contender, contenders
from headstart.recommend.evaluation import compare, evaluate
from headstart.recommend.judgement import Evaluation, Measured
from headstart.recommend.protocols import leave_one_out, split
from headstart.recommend.scorers import Constant
from headstart.recommend.twins import Twins, find_twins
from headstart.recommend.user_bootstrap import bootstrap_means, spread, spread_of_choice
from headstart.recommend.user_scores import draw_negatives, ranking_scores, ranks_among, ranks_among_unseen

FEW = {"n_factors": 4, "penalty": 1.0, "iterations": 5}


def tastes(n=120, seed=0, rated=False, signal=True):
    """Users of two domains with one taste in both (or another in each), each with about half of what they like."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n):
        for domain in ("game", "video"):
            if (domain == "video" and user < 20) or (domain == "game" and user >= n - 20):
                continue
            taste = user % 3 if signal else rng.integers(3)
            for item in range(30):
                liked = item % 3 == taste
                if rng.random() < (0.5 if liked else 0.08):
                    stars = np.clip(round(rng.normal(4.5 if liked else 2.0, 0.7)), 1, 5)
                    rows.append((user, f"{domain} {item}", domain, stars, rng.integers(1000)))
    table = pd.DataFrame(rows, columns=["user", "item", "domain", "rating", "timestamp"])
    return table if rated else table.drop(columns="rating")


@pytest.fixture(scope="module")
def parted():
    domains = ratings_domains(tastes())
    train, test = leave_one_out(domains["video"])
    extra = domains["video"].rows(np.isin(domains["video"].X.users, test.X.users[:25]))
    # Some users lose several rows, so that other held-out rows matter.
    held = np.isin(train.X.users, extra.X.users[:60]) & (np.arange(len(train)) % 2 == 0)
    from headstart.domain import stack

    several = stack([test, train.rows(held)])
    return domains["game"], train.rows(~held), type(test)(several.X, several.y, "video", task="ranking")


@pytest.fixture(scope="module")
def fitted(parted):
    return CrossDomainItemKNN().fit([parted[0], parted[1]], "video").recommender()


def test_ranks_are_those_of_a_plain_count_among_items_not_met(parted, fitted):
    _, train, test = parted
    found = ranks_among_unseen(fitted, test)
    items = fitted.items.tolist()
    for row in range(len(test)):
        user, item = test.X.users[row], test.X.items[row]
        scores = dict(zip(items, fitted.scores([user])[0].tolist(), strict=True))
        met = set(train.X.items[train.X.users == user]) | set(test.X.items[test.X.users == user]) - {item}
        others = [score for name, score in scores.items() if name not in met and name != item]
        rank = 1 + sum(s > scores[item] for s in others) + sum(s == scores[item] for s in others) / 2
        assert found[row] == rank


def test_an_item_that_training_never_saw_is_never_found(parted, fitted):
    test = parted[2].rows(np.array([0, 1]))
    items = test.X.items.astype("U20")
    items[0] = "video unheard of"
    unheard = type(test)(type(test.X)(test.X.users, items, test.X.domains), test.y, "video", task="ranking")
    ranks = ranks_among_unseen(fitted, unheard)
    assert np.isinf(ranks[0])
    assert np.isfinite(ranks[1])
    assert all(values[0] == 0 for values in ranking_scores(ranks, np.array([0, 1]), 10).values())


def test_metrics_are_means_over_a_users_rows_then_over_users():
    rng = np.random.default_rng(0)
    user = np.sort(np.append(np.arange(20), rng.integers(20, size=80)))
    ranks = rng.integers(1, 40, size=100).astype(float)
    scores = ranking_scores(ranks, user, 10)
    for each in range(20):
        own = ranks[user == each]
        assert scores["MRR"][each] == pytest.approx(np.mean([1 / r for r in own]))
        assert scores["HR@10"][each] == pytest.approx(np.mean([r <= 10 for r in own]))
        assert scores["NDCG@10"][each] == pytest.approx(np.mean([1 / np.log2(1 + r) if r <= 10 else 0 for r in own]))


def test_a_sample_holds_neither_what_was_met_nor_what_is_held_out(parted, fitted):
    _, train, test = parted
    drawn = draw_negatives(fitted, test, 8, 0)
    users = np.unique(test.X.users)
    assert drawn.shape == (len(users), 8)
    for user, places in zip(users.tolist(), drawn, strict=True):
        met = set(train.X.items[train.X.users == user]) | set(test.X.items[test.X.users == user])
        there = places[places >= 0]
        assert len(set(there.tolist())) == len(there)
        assert not met & set(fitted.items[there])
    ranks = ranks_among(fitted, test, drawn)
    for row in range(0, len(test), 7):
        scores = fitted.scores([test.X.users[row]])[0]
        own = scores[np.searchsorted(fitted.items, test.X.items[row])]
        others = scores[drawn[np.searchsorted(users, test.X.users[row])]]
        assert ranks[row] == 1 + (others > own).sum() + (others == own).sum() / 2
    everything = draw_negatives(fitted, test, 10_000, 0)
    np.testing.assert_array_equal(ranks_among(fitted, test, everything), ranks_among_unseen(fitted, test))


class Blind(RatingLearner):
    """Scores at random, other ones for each user."""

    def scorer(self, histories):
        rng = np.random.default_rng(1)
        found = Constant(np.zeros(len(histories.ids(histories.target)), dtype=np.float32))
        vectors = rng.normal(size=(len(found.item_bias), 40)).astype(np.float32)
        return RandomQueries(vectors, found.item_bias)


class RandomQueries:
    def __init__(self, item_vectors, item_bias):
        self.item_vectors, self.item_bias = item_vectors, item_bias

    def queries(self, history, users):
        return np.stack([np.random.default_rng(u + 1).normal(size=40) for u in users.tolist()]).astype(np.float32)


def test_a_blind_recommender_gets_what_chance_gives_and_an_undecided_one_no_more():
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame({"user": np.repeat(np.arange(800), 3), "item": rng.integers(60, size=2400)}).drop_duplicates()
    domains = ratings_domains(pd.concat([pairs.assign(domain="a"), pairs.assign(domain="b")]))
    sources, train, test = split("leave-one-out", [domains["a"]], domains["b"])
    undecided = type(
        "Undecided", (RatingLearner,), {"scorer": lambda self, h: Constant(np.zeros(60, dtype=np.float32))}
    )
    told = compare([Contender("blind", Blind()), Contender("undecided", undecided())], sources, train, test)
    free = 60 - np.bincount(train.X.users, minlength=800)[np.unique(test.X.users)]
    chance = np.mean([sum(1 / np.log2(1 + r) for r in range(1, 11)) / m for m in free])
    score = told.score("blind")
    assert score.low < chance < score.high
    assert score.high - score.low < 0.5 * chance
    assert told.score("undecided").value == 0
    assert told.score("undecided", "MRR").value == pytest.approx(np.mean(2 / (1 + free)))


def test_the_interval_is_that_of_a_plain_loop_over_draws():
    rng = np.random.default_rng(3)
    values = rng.exponential(size=(57, 2))
    means = bootstrap_means(values, 300, random_state=9)
    draws = np.random.default_rng(9)
    for row in means:
        users = np.repeat(np.arange(57), draws.multinomial(57, np.full(57, 1 / 57)))
        np.testing.assert_allclose(row, values[users].mean(axis=0))
    plain = [values[rng.integers(57, size=57), 0].mean() for _ in range(20_000)]
    many = spread(values[:, 0].mean(), bootstrap_means(values, 20_000, 1)[:, 0])
    np.testing.assert_allclose([many.low, many.high], np.quantile(plain, [0.025, 0.975]), rtol=0.02)


def by_hand(scores, transfers, seed=0, warm=None, metric="NDCG@10", draws=200):
    """An evaluation of scores that are given, by name."""
    n = len(next(iter(scores.values())))
    measured = [Measured(name, name in transfers, {metric: values}, 0.5, 0.0) for name, values in scores.items()]
    warm = np.ones(n, dtype=bool) if warm is None else warm
    twins = Twins(1, 0, n, 0)
    return Evaluation(
        "video", ["game"], "given", metric, np.arange(n), warm, measured, n, 100, None, 10, seed, draws, twins, []
    )


def test_choosing_among_many_that_are_worth_the_same_passes_for_no_gain():
    rng = np.random.default_rng(0)
    honest, hindsight = [], []
    for seed in range(150):
        scores = {name: rng.normal(size=80) for name in ("b", *(f"t{i}" for i in range(8)))}
        told = by_hand(scores, set(scores) - {"b"}, seed)
        honest.append(told.verdict)
        hindsight.append(told.difference(told.choice).low > 0)
    # 2.5 in a hundred are allowed to either side; looking at the best alone would claim many more.
    assert max(honest.count("helps"), honest.count("hurts")) <= 9
    assert sum(hindsight) > 18


def test_of_one_each_the_interval_of_the_choice_is_the_plain_one():
    rng = np.random.default_rng(0)
    told = by_hand({"alone": rng.random(50), "carry": rng.random(50)}, {"carry"})
    plain = told.difference("carry")
    assert (told.gain.value, told.gain.low, told.gain.high) == pytest.approx((plain.value, plain.low, plain.high))


def test_the_interval_of_the_choice_covers_the_difference_of_the_best():
    rng = np.random.default_rng(0)
    transfers, baselines = np.array([0.5, 0.45, 0.1]), np.array([0.4, 0.38])
    covered = []
    for _ in range(300):
        error = rng.normal(scale=0.05, size=5)
        means = np.concatenate([transfers, baselines]) + error
        drawn = means + rng.normal(scale=0.05, size=(400, 5))
        found = spread_of_choice(means[:3], drawn[:, :3], means[3:], drawn[:, 3:])
        covered.append(found.low <= 0.1 <= found.high)
        assert found.low <= found.value <= found.high
    assert np.mean(covered) >= 0.94


def test_a_transfer_is_delivered_only_when_it_is_shown_to_help():
    rng = np.random.default_rng(0)
    base = rng.random(100)
    better, luckier, worse = (
        base + 0.1 + 0.1 * rng.normal(size=100),
        base + 0.5 * rng.normal(size=100) + 0.02,
        base - 0.3,
    )
    assert by_hand({"alone": base, "carry": better}, {"carry"}).delivered == "carry"
    told = by_hand({"alone": base, "carry": luckier}, {"carry"})
    assert (told.verdict, told.delivered) == ("no evidence", "alone")
    assert told.sentence.startswith("no evidence that transfer helps: ")
    hurt = by_hand({"alone": base, "carry": worse}, {"carry"})
    assert (hurt.verdict, hurt.delivered) == ("hurts", "alone")
    lost = by_hand({"alone": base, "carry": worse}, {"carry"}, metric="MAE")
    assert (lost.verdict, lost.delivered) == ("helps", "carry")
    assert lost.gain.value == pytest.approx(0.3)
    nothing = by_hand({"carry": base}, {"carry"})
    assert nothing.gain is None
    assert "can't be told" in nothing.sentence


def test_figures_are_paired_and_the_root_is_taken_of_the_mean():
    rng = np.random.default_rng(0)
    base = rng.random(60)
    told = by_hand({"alone": base, "carry": base + 0.25}, {"carry"})
    gain = told.difference("carry")
    assert (gain.low, gain.value, gain.high) == pytest.approx((0.25, 0.25, 0.25))
    squared = by_hand({"alone": base, "carry": base / 4}, {"carry"}, metric="RMSE")
    assert squared.score("alone").value == pytest.approx(np.sqrt(base.mean()))
    assert squared.difference("carry").value == pytest.approx(np.sqrt(base.mean()) / 2)


def test_warm_and_cold_users_are_told_apart():
    base, warm = np.random.default_rng(0).random(60), np.arange(60) < 40
    told = by_hand({"alone": base, "carry": base + np.where(warm, 0, 0.4)}, {"carry"}, warm=warm)
    assert told.groups == ["warm", "cold"]
    assert (told.only("warm").verdict, told.only("cold").verdict) == ("no evidence", "helps")
    assert told.only("cold").score("alone").value == pytest.approx(base[40:].mean())
    few = by_hand({"alone": base}, set(), warm=np.arange(60) < 55)
    assert few.groups == []
    with pytest.raises(InputError, match="5 cold users are too few"):
        few.only("cold")


METHODS = ["item-knn", "cross-domain-item-knn", "collective-mf"]


def test_shuffled_rows_give_the_same_answer():
    table = tastes()
    first, second = (
        evaluate(METHODS, rows, "video", learner=MatrixFactorization(**FEW)).document()
        for rows in (table, table.sample(frac=1.0, random_state=4).sort_values("domain", kind="stable"))
    )
    for told in (first, second):
        for each in told["methods"]:
            each.pop("seconds")
        told["twins"].pop("examples")
    assert first == second
    assert json.loads(json.dumps(first)) == first


def test_a_taste_that_is_shared_helps_newcomers_and_one_that_is_not_does_not():
    helped = evaluate(METHODS, tastes(), "video", learner=MatrixFactorization(**FEW), k=5)
    assert helped.verdict == "helps"
    assert helped.delivered in helped.transfers
    assert not helped.warm.any()
    without = evaluate(METHODS, tastes(signal=False), "video", learner=MatrixFactorization(**FEW), k=5)
    assert without.verdict != "helps"
    assert without.delivered == "item-knn"


def test_a_sample_is_said_loudly_and_flatters():
    table = tastes()
    full, sampled = (evaluate(METHODS[:2], table, "video", k=3, negatives=n) for n in (None, 5))
    assert sampled.among.startswith("SAMPLED: 5 random items instead of all 30")
    assert sampled.document()["ranked_among"] == "sample"
    assert full.document()["ranked_among"] == "all"
    assert sampled.score("item-knn").value > full.score("item-knn").value


def test_errors_of_ratings_are_those_of_the_predictions():
    domains = ratings_domains(tastes(rated=True))
    sources, train, test = split("random", [domains["game"]], domains["video"], 0.2)
    found = contenders(["global-mean", "collective-mf"], rated=True, learner=MatrixFactorization(**FEW))
    told = compare(found, sources, train, test)
    assert told.metric == "MAE"
    for each in found:
        error = each.recommender(sources, train).predict(test.X) - test.labels
        by_user = pd.DataFrame({"user": test.X.users, "a": np.abs(error), "s": error**2}).groupby("user").mean()
        assert told.score(each.name).value == pytest.approx(by_user["a"].mean())
        assert told.score(each.name, "RMSE").value == pytest.approx(np.sqrt(by_user["s"].mean()))
    mean = train.labels.mean()
    assert told.score("global-mean").value == pytest.approx(
        pd.Series(np.abs(test.labels - mean)).groupby(test.X.users).mean().mean(), rel=1e-5
    )


def test_test_rows_reach_no_method(monkeypatch):
    seen = []
    of = Histories.of.__func__
    monkeypatch.setattr(Histories, "of", classmethod(lambda cls, parts: seen.append(of(cls, parts)) or seen[-1]))
    domains = ratings_domains(tastes(60))
    _, _, test = split("cold", [domains["game"]], domains["video"])
    evaluate(METHODS, domains, "video", learner=MatrixFactorization(**FEW))
    assert len(seen) > 3
    for histories in (each for each in seen if "video" in each.domains):
        rows = histories.positions(np.unique(test.X.users))
        assert histories.part("video")[rows[rows >= 0]].nnz == 0


def test_planted_twins_are_found_and_nothing_else():
    table = tastes()
    clean = ratings_domains(table)
    _, train, test = split("random", [], clean["video"], 0.3)
    assert find_twins([clean["game"]], train, test).with_twin == 0
    again = table[(table["domain"] == "video") & table["item"].isin(["video 4", "video 8"])]
    planted = pd.concat([table, again.assign(domain="game", item="copy of " + again["item"])])
    sources, train, test = split("random", [ratings_domains(planted)["game"]], clean["video"], 0.1)
    found = find_twins(sources, train, test)
    assert found.with_twin == 2
    assert {pair[0] for pair in found.examples} == {"video 4", "video 8"}
    assert all(pair[1] == f"copy of {pair[0]}" for pair in found.examples)
    given_away = np.isin(test.X.items, ["video 4", "video 8"]).sum()
    assert (found.given_away, found.share) == (given_away, given_away / len(test))


def test_what_can_not_work_is_left_out_and_says_so():
    table = tastes(60)
    table.loc[table["domain"] == "game", "user"] += 1000
    told = evaluate(METHODS, table, "video", protocol="random", learner=MatrixFactorization(**FEW))
    assert told.transfers == []
    assert told.delivered == "item-knn"
    assert any("no user of video stands in game" in note and "codebook-transfer" in note for note in told.notes)
    with pytest.raises(NeedsError, match="no method is left"):
        evaluate(["collective-mf"], table, "video", protocol="random")
    with pytest.raises(NeedsError, match="no user of video stands in game"):
        evaluate(METHODS, table, "video")


def test_mistakes_are_refused():
    table = tastes(60)
    with pytest.raises(InputError, match="did you mean 'video'"):
        evaluate(METHODS, table, "vidio")
    with pytest.raises(InputError, match="nothing to carry"):
        evaluate(METHODS, table[table["domain"] == "video"], "video")
    with pytest.raises(NeedsError, match="no recommender 'cross-domain-knn'"):
        evaluate(["cross-domain-knn"], table, "video")
    with pytest.raises(InputError, match="is named twice"):
        evaluate([ItemKNN(), "item-knn"], table, "video")
    with pytest.raises(InputError, match="no metric"):
        evaluate(METHODS[:2], table, "video", metric="AUC")
    with pytest.raises(InputError, match="negatives are for events"):
        evaluate(METHODS[:2], tastes(60, rated=True), "video", negatives=9)


def test_names_of_methods_and_classes_agree():
    assert contender(CrossDomainItemKNN()).name == "cross-domain-item-knn"
    named = contenders({"short": CrossDomainItemKNN(), "alone": "item-knn"}, rated=False)
    assert [(each.name, each.method is None) for each in named] == [("short", False), ("alone", True)]
    assert type(contender("pooled-item-knn").learner) is ItemKNN


def test_what_only_orders_items_is_not_judged_by_its_errors():
    told = evaluate(
        ["global-mean", "item-knn", "cross-domain-item-knn"], tastes(60, rated=True), "video", protocol="random"
    )
    assert [each.name for each in told.measured] == ["global-mean"]
    assert sum("tells no ratings" in note for note in told.notes) == 2
