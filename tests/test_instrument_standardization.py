"""Direct and piecewise direct standardization against instruments made by rule, and regressions written out."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge

from headstart import Transfer
from headstart.errors import InputError
from headstart.features.direct_standardization import DirectStandardization, FactoredMap
from headstart.features.instruments import partial_least_squares, principal_components
from headstart.features.piecewise_direct_standardization import BandedMap, PiecewiseDirectStandardization
from headstart.store import parts
from headstart.store.parts import dump_part, load_part


def banded_instrument(p=12, d=40, w=2, seed=0):
    """Spectra on a slave instrument, and what the master sees: each channel from 2 w + 1 of the slave's, exactly."""
    rng = np.random.default_rng(seed)
    F = sum(np.diag(rng.normal(size=d - abs(k)), k) for k in range(-w, w + 1))
    slave = rng.normal(size=(p + 30, d))
    master = slave @ F + rng.normal(size=d)
    return master, slave, F


def smooth_instruments(p=60, d=50, seed=0):
    """Spectra of three substances on two instruments that differ by gain, offset, blur and noise."""
    rng = np.random.default_rng(seed)
    content = rng.uniform(size=(p, 3))
    bands = np.exp(-((np.arange(d) - np.array([[10], [25], [38]])) ** 2) / 30)
    master = content @ bands
    slave = 0.8 * (0.7 * master + 0.3 * np.roll(master, 1, axis=1)) + 0.2
    noise = 2e-3 * rng.normal(size=(2, p, d))
    return master + noise[0], slave + noise[1], content


def test_ds_is_the_pseudo_inverse_of_the_paper():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(8, 20)), rng.normal(size=(8, 15))
    plain = DirectStandardization(background=False).fit(Xs, Xt)
    np.testing.assert_allclose(plain.transform(Xt), Xt @ np.linalg.pinv(Xt) @ Xs, atol=1e-10)
    new = rng.normal(size=(5, 15))
    np.testing.assert_allclose(plain.transform(new), new @ np.linalg.pinv(Xt) @ Xs, atol=1e-10)
    centred = DirectStandardization().fit(Xs, Xt)
    F = np.linalg.pinv(Xt - Xt.mean(axis=0)) @ (Xs - Xs.mean(axis=0))
    np.testing.assert_allclose(centred.transform(new), (new - Xt.mean(axis=0)) @ F + Xs.mean(axis=0), atol=1e-10)
    assert centred.n_components_ == 7
    assert centred.transform_source(Xs) is Xs


def test_ds_with_more_pairs_than_channels_is_least_squares():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(50, 4)), rng.normal(size=(50, 6))
    by_hand = LinearRegression().fit(Xt, Xs)
    np.testing.assert_allclose(DirectStandardization().fit(Xs, Xt).transform(Xt), by_hand.predict(Xt), atol=1e-10)


def test_ds_on_some_components_is_principal_component_regression():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(30, 4)), rng.normal(size=(30, 6))
    pca = PCA(3).fit(Xt)
    by_hand = LinearRegression().fit(pca.transform(Xt), Xs).predict(pca.transform(Xt))
    np.testing.assert_allclose(DirectStandardization(3).fit(Xs, Xt).transform(Xt), by_hand, atol=1e-10)


def test_the_penalty_is_ridge_regressions_in_units_of_the_largest_squared_singular_value():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(30, 4)), rng.normal(size=(30, 6))
    largest = np.linalg.norm(Xt - Xt.mean(axis=0), 2) ** 2
    by_hand = Ridge(alpha=0.3 * largest).fit(Xt, Xs).predict(Xt)
    np.testing.assert_allclose(DirectStandardization(reg=0.3).fit(Xs, Xt).transform(Xt), by_hand, atol=1e-10)


@pytest.mark.parametrize("n_components", [None, "cv"])
@pytest.mark.parametrize("regression", ["pcr", "pls"])
def test_pds_recovers_an_exactly_banded_instrument_from_few_pairs(n_components, regression):
    master, slave, F = banded_instrument()
    method = PiecewiseDirectStandardization(2, n_components, regression)
    method.fit(master[:12], slave[:12])
    np.testing.assert_allclose(method.target_map_.A.toarray(), F, atol=1e-8)
    np.testing.assert_allclose(method.transform(slave[12:]), master[12:], atol=1e-8)
    assert method.n_components_ == 5
    # Twelve pairs say nothing of all 40 channels at once.
    ds = DirectStandardization().fit(master[:12], slave[:12])
    assert np.abs(ds.transform(slave[12:]) - master[12:]).max() > 1


@pytest.mark.parametrize("settings", [{"n_components": 2}, {"n_components": 2, "regression": "pls"}, {"reg": 0.2}])
@pytest.mark.parametrize("background", [True, False])
def test_pds_is_a_regression_a_channel_on_its_window(settings, background):
    master, slave, _ = smooth_instruments(p=20, d=12)
    if settings.get("regression") == "pls" and not background:
        master, slave = master - master.mean(axis=0), slave - slave.mean(axis=0)  # scikit-learn's PLS always centres
    method = PiecewiseDirectStandardization(3, background=background, **{"n_components": None, **settings})
    method.fit(master, slave)
    expected = np.empty_like(master)
    for j in range(12):
        Z, y = slave[:, max(0, j - 3) : j + 4], master[:, j]
        if "reg" in settings:
            C = Z - Z.mean(axis=0) if background else Z
            alpha = 0.2 * np.linalg.norm(C, 2) ** 2
            expected[:, j] = Ridge(alpha=alpha, fit_intercept=background).fit(Z, y).predict(Z)
        elif "regression" in settings:
            expected[:, j] = PLSRegression(2, scale=False).fit(Z, y).predict(Z).ravel()
        else:
            center = Z.mean(axis=0) if background else 0.0
            T = (Z - center) @ np.linalg.svd(Z - center, full_matrices=False)[2][:2].T
            expected[:, j] = LinearRegression(fit_intercept=background).fit(T, y).predict(T)
    np.testing.assert_allclose(method.transform(slave), expected, atol=1e-8)


def test_a_window_of_all_channels_is_direct_standardization():
    rng = np.random.default_rng(0)
    Xs, Xt, new = (rng.normal(size=(n, 9)) for n in (6, 6, 4))
    for settings in ({"n_components": None}, {"n_components": 3}, {"n_components": None, "reg": 0.1}):
        piecewise = PiecewiseDirectStandardization(window=8, **settings).fit(Xs, Xt)
        direct = DirectStandardization(**settings).fit(Xs, Xt)
        np.testing.assert_allclose(piecewise.transform(new), direct.transform(new), atol=1e-10)


def test_the_map_is_a_band_and_a_window_of_zero_is_a_gain_and_an_offset_a_channel():
    master, slave, _ = smooth_instruments()
    A = PiecewiseDirectStandardization(window=3).fit(master, slave).target_map_.A
    rows, columns = A.nonzero()
    assert isinstance(A, csr_matrix)
    assert np.abs(rows - columns).max() == 3
    assert A.nnz == 50 * 7 - 2 * (1 + 2 + 3)
    narrow = PiecewiseDirectStandardization(window=0).fit(master, slave).transform(slave)
    for j in (0, 17, 49):
        gain, offset = np.polyfit(slave[:, j], master[:, j], 1)
        np.testing.assert_allclose(narrow[:, j], gain * slave[:, j] + offset, atol=1e-10)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_partial_least_squares_is_that_of_scikit_learn(k):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 6)) @ np.diag([5, 3, 1, 1, 0.3, 0.1]), rng.normal(size=20)
    W, Q = partial_least_squares(X - X.mean(axis=0), (y - y.mean())[:, None])
    other = PLSRegression(k, scale=False).fit(X, y)
    np.testing.assert_allclose((W[:, :k] @ Q[:k])[:, 0], other.coef_.ravel(), atol=1e-8)
    T = (X - X.mean(axis=0)) @ W
    np.testing.assert_allclose(T.T @ T, np.eye(6), atol=1e-8)


def test_components_end_where_the_rank_does():
    rng = np.random.default_rng(0)
    C = rng.normal(size=(10, 2)) @ rng.normal(size=(2, 5))
    C -= C.mean(axis=0)
    y = C @ rng.normal(size=(5, 1))
    for W, Q in (principal_components(C, y, 0.0), partial_least_squares(C, y)):
        assert W.shape[1] == 2
        np.testing.assert_allclose(C @ W @ Q, y, atol=1e-10)
    assert principal_components(0 * C, y, 0.1)[0].shape == partial_least_squares(0 * C, y)[0].shape == (5, 0)


def test_components_are_chosen_by_held_out_pairs_as_written():
    master, slave, _ = smooth_instruments(p=9, d=40)
    method = PiecewiseDirectStandardization(window=2).fit(master, slave)
    missed = np.empty((5, 9))
    for k in range(5):
        for i in range(9):
            rest = np.arange(9) != i
            left_out = PiecewiseDirectStandardization(2, k + 1).fit(master[rest], slave[rest])
            missed[k, i] = ((left_out.transform(slave[[i]]) - master[[i]]) ** 2).mean()
    np.testing.assert_allclose(method.errors_, np.sqrt(missed.mean(axis=1)), rtol=1e-8)
    more = missed - missed[missed.mean(axis=1).argmin()]
    within = more.mean(axis=1) <= more.std(axis=1, ddof=1) / 3
    assert method.n_components_ == np.flatnonzero(within)[0] + 1 == 2


@pytest.mark.parametrize(("p", "tried"), [(6, 4), (10, 8), (30, 26)])
def test_three_substances_make_three_components(p, tried):
    master, slave, _ = smooth_instruments(p)
    method = DirectStandardization("cv").fit(master, slave)
    assert method.n_components_ == 3
    assert method.errors_.shape == (tried,)


@pytest.mark.parametrize("method", [PiecewiseDirectStandardization(), DirectStandardization("cv")])
def test_a_calibration_serves_another_instrument_by_pairs_without_a_label(method):
    master, slave, content = smooth_instruments(p=90)
    X, y = np.vstack([master[:40], slave[30:40]]), np.append(content[:40, 1], np.full(10, np.nan))
    domain, sample = np.repeat(["source", "target"], [40, 10]), np.append(np.arange(40), np.arange(30, 40))
    order = np.random.default_rng(0).permutation(50)
    fitted = Transfer(method, Ridge(1e-2)).fit(X[order], y[order], domain=domain[order], pair=sample[order])
    missed = np.abs(fitted.predict(slave[40:]) - content[40:, 1])
    unmapped = np.abs(Ridge(1e-2).fit(master[:40], content[:40, 1]).predict(slave[40:]) - content[40:, 1])
    assert 10 * missed.mean() < unmapped.mean()
    own = np.abs(Ridge(1e-2).fit(master[:40], content[:40, 1]).predict(master[40:]) - content[40:, 1])
    np.testing.assert_allclose(fitted.predictor_.predict_source(master), fitted.predictor_.model.predict(master))
    assert missed.mean() < 3 * own.mean()


@pytest.mark.parametrize("method", [PiecewiseDirectStandardization, DirectStandardization])
def test_what_does_not_fit_is_refused_in_a_line(method):
    X = np.eye(4)
    for settings, said in (
        ({"n_components": 0}, "n_components must be a positive number, None or 'cv'"),
        ({"n_components": "all"}, "n_components must be"),
        ({"reg": -1.0}, "reg must be zero or more"),
    ):
        with pytest.raises(InputError, match=said):
            method(**settings).fit(X, X)
    with pytest.raises(InputError, match="one pair can't tell signal from background"):
        method().fit(X[:1], X[:1])
    assert np.isfinite(method(background=False).fit(X[:1], X[:1]).transform(X)).all()


def test_pds_refuses_windows_and_regressions_that_are_none():
    X = np.eye(4)
    for settings, said in (
        ({"window": -1}, "window must be zero or more channels"),
        ({"regression": "svm"}, "regression must be 'pcr' or 'pls'"),
        ({"regression": "pls", "reg": 0.1}, "leave it at 0 with 'pls'"),
    ):
        with pytest.raises(InputError, match=said):
            PiecewiseDirectStandardization(**settings).fit(X, X)
    with pytest.raises(InputError, match="columns"):
        PiecewiseDirectStandardization().fit(X, X[:, :3])


@pytest.mark.parametrize("method", [PiecewiseDirectStandardization(), DirectStandardization()])
def test_a_saved_predictor_predicts_the_same(method, monkeypatch):
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in (BandedMap, FactoredMap, csr_matrix)}
    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | names)
    master, slave, content = smooth_instruments(p=20)
    X, y = np.vstack([master, slave]).astype(np.float32), np.append(content[:, 0], np.full(20, np.nan))
    fitted = Transfer(method, Ridge()).fit(
        X, y, domain=np.repeat(["source", "target"], 20), pair=np.tile(np.arange(20), 2)
    )
    again = load_part(dump_part(fitted.predictor_), "test")
    assert fitted.method_.transform(X).dtype == np.float32
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
