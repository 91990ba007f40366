"""KLIEP against its own problem, general solvers, and known ratios."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.stats import norm

from headstart.draws import folds
from headstart.errors import InputError
from headstart.instances.kernel_ratio import AROUND_MEDIAN, draw_centers
from headstart.instances.kliep import KLIEP
from headstart.instances.mixture_weights import least_quadratic, solve_mixture
from headstart.kernels import median_gamma, rbf


def shifted(n_s=150, n_t=120, d=3, seed=0, shift=0.7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)), shift + 0.8 * rng.normal(size=(n_t, d))


def by_slsqp(phi_s, phi_t, start):
    """Solve the published problem, in the coefficients a themselves, by a general solver."""
    mean = phi_s.mean(axis=0)
    solved = minimize(
        lambda a: -np.log(phi_t @ a).mean(),
        start,
        jac=lambda a: -(phi_t / (phi_t @ a)[:, None]).mean(axis=0),
        constraints={"type": "eq", "fun": lambda a: mean @ a - 1, "jac": lambda a: mean},
        bounds=[(0, None)] * len(mean),
        method="SLSQP",
        options={"maxiter": 2000, "ftol": 1e-12},
    )
    return -solved.fun


def by_em(Psi, rounds=5000):
    """Fixed-point steps p <- p * mean_j Psi_l / (p'Psi), thousands of them."""
    p = np.full(len(Psi), 1 / len(Psi))
    for _ in range(rounds):
        p = p * (Psi @ (1 / (p @ Psi))) / Psi.shape[1]
    return p


def normalised_error(w, ratio):
    """Return mean (w / sum w - r / sum r)^2 over mean (r / sum r)^2, with the true ratio r at the source rows."""
    return np.mean((w / w.sum() - ratio / ratio.sum()) ** 2) / np.mean((ratio / ratio.sum()) ** 2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("d", "factor"), [(1, 0.3), (2, 1.0), (3, 5.0), (10, 2.0)])
def test_kliep_reaches_the_optimum_of_its_objective(d, factor, seed):
    Xs, Xt = shifted(n_s=50, n_t=12, d=d, seed=seed)
    gamma = factor * median_gamma(Xs, Xt)
    method = KLIEP(gamma=gamma)
    method.weigh(Xs, Xt)
    phi_s, phi_t = rbf(Xs, Xt, gamma), rbf(Xt, Xt, gamma)
    uniform = 1 / phi_s.mean(axis=0) / len(Xt)
    best = by_slsqp(phi_s, phi_t, uniform)
    assert method.objective_ == pytest.approx(np.log(method.ratio_(Xt)).mean(), rel=1e-9)
    assert method.objective_ >= best - 1e-4 * abs(best)
    # The bound is true: no solver gets further than the gap.
    assert best <= method.objective_ + method.gap_ + 1e-7


def test_kliep_moves_far_from_where_it_starts():
    Xs, Xt = shifted(n_s=400, n_t=300, d=5, shift=0.5)
    gamma = 3 * median_gamma(Xs, Xt)
    method = KLIEP(gamma=gamma, n_centers=300)
    method.weigh(Xs, Xt)
    uniform = np.log(rbf(Xt, Xt, gamma) @ (1 / rbf(Xs, Xt, gamma).mean(axis=0)) / len(Xt)).mean()
    psi = rbf(Xt, Xt, gamma) / rbf(Xs, Xt, gamma).mean(axis=0)
    by_steps = np.log(by_em(psi.T, 2000) @ psi.T).mean()
    assert method.objective_ > uniform + 0.1
    assert method.objective_ >= by_steps - method.gap_ - 1e-12


def test_kliep_gap_is_the_duality_gap_of_the_published_problem():
    Xs, Xt = shifted(n_s=300, n_t=90)
    method = KLIEP(gamma=0.5)
    method.weigh(Xs, Xt)
    psi = rbf(Xt, Xt, 0.5) / rbf(Xs, Xt, 0.5).mean(axis=0)
    gap = (psi / method.ratio_(Xt)[:, None]).mean(axis=0).max() - 1
    assert method.gap_ == pytest.approx(gap, abs=1e-9)
    assert gap <= method.tol


@pytest.mark.parametrize("gamma", [0.01, 0.3, 5.0, "cv", None])
def test_kliep_weights_have_mean_one_and_no_negative_coefficient(gamma):
    Xs, Xt = shifted(n_s=213, n_t=170)
    method = KLIEP(gamma=gamma)
    w = method.weigh(Xs, Xt)
    assert w.mean() == pytest.approx(1.0, abs=1e-12)
    assert w.min() >= 0
    assert method.ratio_.coefficients.min() > 0


def test_kliep_cross_validation_takes_the_width_with_the_highest_likelihood_of_rows_held_out():
    Xs, Xt = shifted(n_s=80, n_t=60, d=2, seed=3)
    method = KLIEP(folds=3, n_centers=20, random_state=5)
    method.weigh(Xs, Xt)
    rng = np.random.default_rng(5)
    drawn = draw_centers(Xt, 20, rng)
    of_row = folds(Xt, 3, rng)
    scores = []
    for gamma in [factor * median_gamma(Xs, Xt) for factor in AROUND_MEDIAN]:
        likelihoods = []
        for fold in range(3):
            centers = Xt[[row for row in drawn if of_row[row] != fold]]
            mean = rbf(Xs, centers, gamma).mean(axis=0)
            a = by_em((rbf(Xt[of_row != fold], centers, gamma) / mean).T) / mean
            likelihoods.extend(np.log(rbf(Xt[of_row == fold], centers, gamma) @ a))
        scores.append(np.mean(likelihoods))
        alone = KLIEP(gamma="cv", gammas=[gamma, 1e4], folds=3, n_centers=20, random_state=5)
        alone.weigh(Xs, Xt)
        assert alone.gamma_ == gamma  # far too narrow a width never wins
    assert method.gamma_ == pytest.approx(AROUND_MEDIAN[int(np.argmax(scores))] * median_gamma(Xs, Xt))
    assert np.ptp(scores) > 0.05


def test_kliep_folds_hold_out_rows_that_the_draw_names():
    # Two widths of nearly equal worth: which of them wins depends on the folds, so the draw must be used.
    Xs, Xt = shifted(n_s=60, n_t=40, d=2, seed=1)
    chosen = set()
    for seed in range(12):
        method = KLIEP(gammas=[0.25, 0.3, 0.35, 0.4, 0.5, 0.6], n_centers=40, random_state=seed)
        method.weigh(Xs, Xt)
        chosen.add(method.gamma_)
    assert len(chosen) > 1


def test_kliep_fit_leaves_its_parameters():
    method = KLIEP()
    before = method.get_params()
    method.weigh(*shifted())
    assert method.get_params() == before
    assert method.gamma == "cv"


def test_kliep_does_not_depend_on_the_order_of_rows():
    Xs, Xt = shifted(n_s=400, n_t=350)
    order = np.random.default_rng(1).permutation(400)
    shuffled = KLIEP().weigh(Xs[order], Xt[np.random.default_rng(2).permutation(350)])
    np.testing.assert_allclose(shuffled, KLIEP().weigh(Xs, Xt)[order], rtol=1e-5, atol=1e-8)


def test_kliep_weights_follow_a_known_density_ratio_more_closely_with_more_rows():
    def error(n):
        errors = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            Xs, Xt = rng.normal(0, 1, (n, 1)), rng.normal(0.5, 0.7, (n, 1))
            ratio = norm.pdf(Xs[:, 0], 0.5, 0.7) / norm.pdf(Xs[:, 0])
            errors.append(normalised_error(KLIEP().weigh(Xs, Xt), ratio))
        return np.mean(errors)

    few, many = error(200), error(4000)
    assert many < few / 4
    assert many < 0.01


def test_kliep_weights_are_flat_without_a_shift():
    rng = np.random.default_rng(0)
    w = KLIEP().weigh(rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2)))
    assert w.std() < 0.1


@pytest.mark.parametrize(("n_s", "n_t"), [(30, 500), (500, 30), (2, 7), (9, 2)])
def test_kliep_ratio_at_the_source_rows_is_the_weights(n_s, n_t):
    Xs, Xt = shifted(n_s=n_s, n_t=n_t)
    method = KLIEP(gamma=0.2)
    w = method.weigh(Xs, Xt)
    np.testing.assert_allclose(method.ratio_(Xs), w, rtol=1e-12)
    by_hand = [
        sum(
            a * np.exp(-method.gamma_ * ((x - c) ** 2).sum())
            for a, c in zip(method.ratio_.coefficients, method.ratio_.centers, strict=True)
        )
        for x in Xs[:5] + 0.1
    ]
    np.testing.assert_allclose(method.ratio_(Xs[:5] + 0.1), by_hand, rtol=1e-9)


def test_kliep_rows_given_twice_change_nothing():
    Xs, Xt = shifted(n_s=90, n_t=40)
    once = KLIEP(gamma=0.5).weigh(Xs, Xt)
    twice = KLIEP(gamma=0.5).weigh(np.repeat(Xs, 2, axis=0), np.repeat(Xt, 2, axis=0))
    np.testing.assert_allclose(twice[::2], once, rtol=1e-3, atol=1e-4)


def test_kliep_without_overlap_gives_zero_weights_and_says_so():
    Xs, Xt = shifted(n_s=40, n_t=30, shift=100.0)
    method = KLIEP(gamma=1.0)
    with pytest.warns(UserWarning, match="all weights are zero") as said:
        w = method.weigh(Xs, Xt)
    assert sorted("hardly overlap" in str(warning.message) for warning in said) == [False, True]
    assert not w.any()
    assert not method.ratio_(Xt).any()
    assert method.ratio_(csr_matrix(Xt)).shape == (30,)


def test_kliep_drops_centres_that_no_source_row_is_near():
    Xs, Xt = shifted(n_s=40, n_t=30)
    far = np.vstack([Xt, Xt + 1000.0])
    method = KLIEP(gamma=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w = method.weigh(Xs, far)
    assert np.abs(method.ratio_.centers).max() < 10
    np.testing.assert_allclose(w, KLIEP(gamma=0.5).weigh(Xs, Xt), rtol=1e-2, atol=1e-3)


def test_kliep_takes_the_widest_kernel_where_only_that_reaches_the_source():
    Xs, Xt = shifted(n_s=40, n_t=30, shift=30.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        method = KLIEP(gammas=[10.0, 1.0, 1e-3])
        w = method.weigh(Xs, Xt)
    assert method.gamma_ == 1e-3
    assert w.mean() == pytest.approx(1.0)


def test_kliep_with_one_target_row_says_that_no_width_was_validated():
    Xs, Xt = shifted(n_s=40, n_t=1)
    method = KLIEP()
    with pytest.warns(UserWarning, match="unvalidated"):
        w = method.weigh(Xs, Xt)
    assert method.gamma_ == pytest.approx(median_gamma(Xs, Xt))
    np.testing.assert_allclose(w, rbf(Xs, Xt, method.gamma_)[:, 0] / rbf(Xs, Xt, method.gamma_).mean(), rtol=1e-9)


def test_kliep_keeps_float32_and_sparse_rows_give_the_dense_answer():
    Xs, Xt = shifted(n_s=300, n_t=250)
    Xs, Xt = np.where(np.abs(Xs) < 0.5, 0, Xs), np.where(np.abs(Xt) < 0.5, 0, Xt)
    method = KLIEP()
    dense = method.weigh(Xs, Xt)
    sparse = KLIEP().weigh(csr_matrix(Xs), csr_matrix(Xt))
    np.testing.assert_allclose(sparse, dense, rtol=1e-5)
    single = method.weigh(Xs.astype(np.float32), Xt.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, dense, rtol=1e-2, atol=1e-3)


def test_kliep_warns_when_it_is_stopped_early():
    with pytest.warns(UserWarning, match="raise max_iter"):
        KLIEP(gamma=2.0, max_iter=1).weigh(*shifted())


def test_kliep_never_holds_source_rows_times_target_rows():
    Xs, Xt = shifted(n_s=20_000, n_t=10_000, d=2)
    tracemalloc.start()
    KLIEP(gamma=1.0, n_centers=20).weigh(Xs, Xt)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # the kernel of all pairs takes 1,600 MB


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"gamma": -1.0}, "gamma"),
        ({"gamma": "median"}, "gamma"),
        ({"gammas": []}, "gammas"),
        ({"gammas": [1.0, np.nan]}, "gammas"),
        ({"folds": 1}, "folds"),
        ({"n_centers": 0}, "n_centers"),
    ],
)
def test_kliep_refuses_settings_that_mean_nothing(setting, word):
    with pytest.raises(InputError, match=word):
        KLIEP(**setting).weigh(*shifted())


@pytest.mark.parametrize("seed", range(10))
def test_mixture_solver_closes_the_gap_in_few_steps(seed):
    rng = np.random.default_rng(seed)
    # Nearly equal and quite equal components, scales far apart, rows that only one component explains.
    Psi = np.exp(-(10 ** rng.uniform(-3, 2)) * (rng.normal(size=(30, 1)) - rng.normal(size=(1, 200))) ** 2)
    Psi = np.vstack([Psi, Psi[:5], np.eye(3, 200)])
    Psi /= Psi.max(axis=0)
    p, gap, n_iter = solve_mixture(Psi, tol=1e-8)
    assert gap <= 1e-8
    assert n_iter <= 40
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert (Psi @ (1 / (p @ Psi)) / 200).max() - 1 == pytest.approx(gap, abs=1e-9)


def test_mixture_solver_finds_the_same_weights_from_any_start():
    rng = np.random.default_rng(0)
    Psi = np.exp(-3 * (rng.normal(size=(20, 1)) - rng.normal(size=(1, 300))) ** 2)
    Psi /= Psi.max(axis=0)
    best = np.log(solve_mixture(Psi, tol=1e-10)[0] @ Psi).mean()
    for start in (np.eye(20)[3], rng.exponential(size=20), np.zeros(20)):
        p, _, _ = solve_mixture(Psi, start, tol=1e-10)
        assert np.log(p @ Psi).mean() == pytest.approx(best, abs=1e-9)


def test_quadratic_step_meets_its_optimality_conditions():
    rng = np.random.default_rng(0)
    for _ in range(30):
        A = rng.normal(size=(20, 9))
        H, c = A.T @ A / 20, rng.normal(size=9)
        q = least_quadratic(H, c, rng.exponential(size=9))
        gradient = H @ q - c
        assert q.min() >= 0
        assert gradient.min() >= -1e-6
        assert np.abs(gradient * q).max() <= 1e-6
