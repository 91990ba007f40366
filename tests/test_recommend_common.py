"""The common checks of methods that read ratings."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from headstart.catalogue import ENTRIES
from headstart.domain import Domain
from headstart.errors import HeadstartError, InputError
from headstart.method import four_steps, unmet_needs
from headstart.recommend import MatrixFactorization, Ratings, ratings_domain
from headstart.store import dump_part, load_part

METHODS = [entry for entry in ENTRIES if entry.load().needs.reads == ("ratings",)]
TASKS = ("ranking", "regression")
CASES = [(entry, task) for entry in METHODS for task in TASKS if task in entry.load().needs.tasks]
LEARNER = MatrixFactorization(n_factors=4, iterations=5, random_state=0)
every_case = pytest.mark.parametrize(("entry", "task"), CASES, ids=lambda value: getattr(value, "name", value))


def town(task, shared="users", seed=0):
    """Sixty users of two camps in a source; the last forty of them and ten others in a target."""
    rng = np.random.default_rng(seed)
    tables = {}
    for name, users, items in (("there", range(60), 16), ("here", range(20, 70), 12)):
        rows = []
        for user in users:
            for item in rng.choice(items, size=items // 2, replace=False):
                liked = (user + item) % 2 == 0
                if task == "regression":
                    rows.append((user, f"{name}{item}", 3 + liked + rng.integers(-1, 2)))
                elif liked or rng.random() < 0.1:
                    rows.append((user, f"{name}{item}", 1))
        tables[name] = pd.DataFrame(rows, columns=["user", "item", "rating"])
    return [
        ratings_domain(table, rating="rating" if task == "regression" else None, name=name, shared=shared)
        for name, table in tables.items()
    ]


def fitted(entry, source, target, method=None):
    return four_steps(method or entry.load()(), source, target, LEARNER).predictor


def test_there_are_methods_for_ratings_and_some_are_tried_by_themselves():
    assert len(METHODS) >= 3
    assert any(entry.standard for entry in METHODS)


@every_case
def test_parameters_and_rows_are_left_alone(entry, task):
    source, target = town(task)
    method, rows = entry.load()(), copy.deepcopy((source.X, source.y, target.X, target.y))
    before = repr(method)
    assert method.get_params() == clone(method).get_params()
    fitted(entry, source, target, method)
    assert repr(method) == before
    for given, kept in zip((source.X, target.X), (rows[0], rows[2]), strict=True):
        assert np.array_equal(given.users, kept.users)
        assert np.array_equal(given.items, kept.items)
    assert np.array_equal(source.y, rows[1])
    assert np.array_equal(target.y, rows[3])


@every_case
def test_rows_in_another_order_and_a_second_fit_give_the_same_answer(entry, task):
    source, target = town(task)
    first = fitted(entry, source, target).scores(target.X.users[:20])
    assert np.array_equal(first, fitted(entry, source, target).scores(target.X.users[:20]))
    rng = np.random.default_rng(1)
    mixed = fitted(entry, source.rows(rng.permutation(len(source))), target.rows(rng.permutation(len(target))))
    np.testing.assert_allclose(mixed.scores(target.X.users[:20]), first, atol=1e-3)


@every_case
def test_a_row_alone_is_predicted_and_ranked_as_among_others(entry, task):
    source, target = town(task)
    model = fitted(entry, source, target)
    some = target.X[np.arange(30)]
    np.testing.assert_allclose(model.predict(some[[7]]), model.predict(some)[[7]], rtol=1e-5)
    np.testing.assert_allclose(model.ranks(some[[7]]), model.ranks(some)[[7]])


@every_case
def test_strangers_get_what_everybody_likes_and_strange_items_come_last(entry, task):
    source, target = town(task)
    model = fitted(entry, source, target)
    one, other = (model.recommend(user, k=5) for user in ("nobody", 12345))
    assert one.items.tolist() == other.items.tolist()
    assert "for want of a history" in one.how
    strange = Ratings.of([30, 12345], ["no such item", "here1"], "here")
    assert np.isfinite(model.predict(strange)).all()
    assert model.ranks(strange)[0] == len(model.items) + 1
    assert 1 <= model.ranks(strange)[1] <= len(model.items)


@every_case
def test_rows_without_a_label_count_as_if_they_were_not_there(entry, task):
    source, target = town(task)
    y = target.y.astype(float).copy()
    y[::4] = np.nan
    some, alone = replace(target, y=y, task=task), target.rows(~np.isnan(y))
    users = target.X.users[:10]
    np.testing.assert_allclose(
        fitted(entry, source, some).scores(users), fitted(entry, source, alone).scores(users), atol=1e-6
    )


@every_case
def test_what_is_saved_recommends_the_same(entry, task):
    source, target = town(task)
    model = fitted(entry, source, target)
    again = load_part(dump_part(model), "test")
    assert np.array_equal(model.predict(target.X), again.predict(target.X))
    assert model.recommend(40).items.tolist() == again.recommend(40).items.tolist()
    assert repr(model.recommend(5)) == repr(again.recommend(5))


@every_case
def test_a_method_that_lives_on_shared_users_says_so_where_there_are_none(entry, task):
    method = entry.load()()
    if not method.least_shared and entry.name != "collective-mf":
        pytest.skip("needs no shared user")
    lack = method.lacks(*town(task, shared="none"))
    assert lack is not None
    assert "here" in lack
    assert "there" in lack
    assert method.lacks(*town(task)) is None


@every_case
def test_what_is_no_rating_is_refused(entry, task):
    source, _ = town(task)
    table = Domain(np.eye(4), [0, 1, 0, 1], name="table")
    assert "ratings" in unmet_needs(entry.load()(), LEARNER, task=task, source=source, target=table)
    with pytest.raises(HeadstartError):
        fitted(entry, source, table)


def test_domains_with_and_without_ratings_are_refused():
    source, target = town("regression")[0], town("ranking")[1]
    with pytest.raises(InputError, match="ratings"):
        fitted(METHODS[0], source, target)
