"""Like categories: correspondence analysis by hand, and offsets that are alike for them."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from headstart.errors import InputError
from headstart.recommend import ScenarioNet, scenario_likeness
from headstart.recommend.scenario_likeness import likeness_factors
from headstart.recommend.scenario_offsets import fit_offsets, sums_of


def seen(n=600, users=40, items=30, seed=0):
    """Codes of users (unknown: 0) and items (unknown: users + 1), each user seeing items near his own number."""
    rng = np.random.default_rng(seed)
    user = rng.integers(users, size=n)
    item = (np.round(user * items / users + rng.normal(scale=4, size=n)) % items).astype(int)
    return np.column_stack([1 + user, users + 2 + item]), np.array([0, users + 1, users + items + 2])


def by_hand(P, width):
    """Correspondence analysis as in the books: the singular vectors of standardised residuals."""
    P = P / P.sum()
    r, c = P.sum(axis=1), P.sum(axis=0)
    U, sigma, _ = np.linalg.svd((P - np.outer(r, c)) / np.sqrt(np.outer(r, c)), full_matrices=False)
    F = U[:, :width] * sigma[:width]
    return F / np.sqrt((F**2).sum(axis=1).mean())


@pytest.mark.parametrize("few", [100, 0])
def test_factors_are_those_of_correspondence_analysis(few, monkeypatch):
    monkeypatch.setattr(scenario_likeness, "FEW", few)
    codes, starts = seen()
    F = likeness_factors(codes, starts, 5).toarray()
    assert F.shape == (starts[-1], 10)
    P = np.zeros((40, 30))
    P[codes[:, 0] - 1, codes[:, 1] - starts[1] - 1] = 1
    users, items = F[1:41, :5], F[42:, 5:]
    np.testing.assert_allclose(users @ users.T, by_hand(P, 5) @ by_hand(P, 5).T, atol=1e-8)
    np.testing.assert_allclose(items @ items.T, by_hand(P.T, 5) @ by_hand(P.T, 5).T, atol=1e-8)
    assert not F[[0, 41]].any()
    assert not F[1:41, 5:].any()


def test_neither_the_order_of_rows_nor_how_often_they_occur_matters():
    codes, starts = seen()
    F = likeness_factors(codes, starts, 4)
    again = likeness_factors(np.vstack([codes[::-1], codes[:99]]), starts, 4)
    np.testing.assert_allclose((F @ F.T).toarray(), (again @ again.T).toarray(), atol=1e-8)


def test_columns_of_few_categories_and_tables_of_one_column_have_no_factors():
    codes, starts = seen()
    assert likeness_factors(codes[:, :1], starts[:2], 4).shape == (41, 0)
    assert likeness_factors(codes, starts, 0).shape == (starts[-1], 0)
    # 40 users have factors, 30 items none.
    assert likeness_factors(codes, starts, 30).shape == (starts[-1], 29)
    kind = np.column_stack([codes, starts[-1] + 1 + codes[:, 0] % 2])
    F = likeness_factors(kind, np.append(starts, starts[-1] + 3), 5)
    assert F.shape == (starts[-1] + 3, 10)
    assert not F[starts[-1] :].toarray().any()


def test_a_category_that_does_not_occur_is_like_none():
    codes, starts = seen()
    codes = codes[codes[:, 0] != 7]
    F = likeness_factors(codes, starts, 5).toarray()
    assert not F[7].any()
    assert np.isfinite(F).all()
    assert (F[[*range(1, 7), *range(8, 41)]] ** 2).sum(axis=1).mean() == pytest.approx(1.0)


def test_one_row_and_all_alike_give_nothing_and_no_error():
    starts = np.array([0, 5, 10])
    for codes in ([[1, 6]], [[a, 6 + b] for a in range(4) for b in range(4)]):
        F = likeness_factors(np.array(codes), starts, 2)
        assert F.shape[1] == 0


@pytest.mark.parametrize("penalty", [30.0, 0.1])
def test_offsets_are_where_the_likelihood_and_their_normal_prior_are_greatest(penalty):
    rng = np.random.default_rng(0)
    codes, s = np.column_stack([rng.integers(0, 5, 400), rng.integers(5, 9, 400)]), rng.integers(2, size=400)
    y, base = rng.integers(2, size=400), rng.normal(size=400)
    F = np.zeros((9, 3))
    F[:5, :2], F[5:, 2:] = rng.normal(size=(5, 2)), rng.normal(size=(4, 1))
    K = np.linalg.inv(np.eye(9) + F @ F.T)
    u = fit_offsets(codes, s, y, base, (2, 9), penalty, F)

    def loss(u):
        u = u.reshape(2, 9)
        return np.logaddexp(0, (1 - 2 * y) * (base + sums_of(u, codes, s))).sum() + penalty / 2 * np.sum((u @ K) * u)

    best = minimize(loss, np.zeros(18), method="BFGS", options={"gtol": 1e-6})
    assert loss(u.ravel()) == pytest.approx(best.fun, rel=1e-6)
    np.testing.assert_allclose(u.ravel(), best.x, atol=2e-3)
    assert best.fun < loss(np.zeros(18)) - 0.1


def test_what_is_seen_of_some_items_is_expected_of_those_like_them():
    rng = np.random.default_rng(1)
    n, items = 2400, 200
    user = rng.integers(500, size=n)
    # Even users see even items; the phone likes these, the desk the others.
    item = 2 * rng.integers(items // 2, size=n) + user % 2
    device = rng.choice(["phone", "desk"], size=n)
    X = pd.DataFrame({"user": user, "item": item, "device": device})
    y = (rng.random(n) < np.where((device == "phone") == (item % 2 == 0), 0.75, 0.25)).astype(int)
    train = np.arange(n) < n // 2
    areas = {}
    for factors in (0, 4):
        net = ScenarioNet(factors=factors, epochs=2).fit(X[train], y[train], scenario="device")
        areas[factors] = roc_auc_score(y[~train], net.decision_function(X[~train]))
    assert areas[4] > areas[0] + 0.03
    assert areas[4] > 0.7


def test_wrong_settings_are_refused():
    X, y = pd.DataFrame({"a": ["x", "y"] * 10, "s": ["p", "q"] * 10}), [0, 1] * 10
    with pytest.raises(InputError, match="factors must be 0 or more"):
        ScenarioNet(factors=-1).fit(X, y, scenario="s")
    with pytest.raises(InputError, match="offset_penalty must be above 0"):
        ScenarioNet(offset_penalty=0.0).fit(X, y, scenario="s")
