"""The tests behind a diagnosis: of p(x), p(y), p(x | y) and p(y | x), on all rows and on random parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.stats import chi2, ks_2samp
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from headstart.domain import Task, stack_rows
from headstart.draws import pick
from headstart.evidence.columns import label_shift
from headstart.evidence.conditional import (
    held_out_means,
    held_out_probabilities,
    largest_mean,
    largest_of_chance,
    residual_products,
)
from headstart.evidence.measured import Measured, beside_chance
from headstart.evidence.mmd import pooled_gamma, unbiased
from headstart.kernels import rbf

#: Rows of each domain that are looked at.
MOST_ROWS = 1000
#: Random parts of the rows, and their share of the rows.
PARTS, PART = 100, 0.7
#: Strata that a quantity is cut into.
STRATA = 10

ROWS, LABELS, GIVEN_LABELS, GIVEN_ROWS = "p(x)", "p(y)", "p(x | y)", "p(y | x)"


@dataclass(frozen=True, eq=False)
class SomeRows:
    """Scaled rows of both domains, their domain (0 source, 1 target), and random parts of each as 0/1 columns."""

    X: Any
    z: np.ndarray
    parts: np.ndarray
    positions: tuple[np.ndarray, np.ndarray]

    @classmethod
    def drawn(cls, Xs: Any, Xt: Any, random_state: int) -> SomeRows:
        """Draw at most `MOST_ROWS` rows of each domain, in an order of their own."""
        positions = pick(Xs, MOST_ROWS, [random_state, 0]), pick(Xt, MOST_ROWS, [random_state, 1])
        X = stack_rows([Xs[positions[0]], Xt[positions[1]]])
        # Of sparse rows only the scale is changed, so that they stay sparse.
        X = (MaxAbsScaler() if issparse(X) else StandardScaler()).fit_transform(X)
        z = np.repeat([0, 1], [len(each) for each in positions])
        rng = np.random.default_rng(random_state)
        blocks = []
        for n in (len(each) for each in positions):
            part = np.zeros((n, PARTS))
            part[: max(round(PART * n), 1)] = 1.0
            blocks.append(rng.permuted(part, axis=0))
        return cls(X, z, np.concatenate(blocks), positions)


def _of_masks(K: np.ndarray, A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the unbiased squared MMD between the rows of each column of A and of B, shape (m,); 0 with one row.

    K has a diagonal of zeros; A and B hold 0 and 1, shape (n, m).
    """
    KA, KB = K @ A, K @ B
    a, b = A.sum(axis=0), B.sum(axis=0)
    sums = np.stack([np.einsum("ij,ij->j", A, KA), np.einsum("ij,ij->j", B, KB), np.einsum("ij,ij->j", B, KA)])
    enough = (a > 1) & (b > 1)
    return np.where(enough, unbiased(sums, np.where(enough, a, 2.0), np.where(enough, b, 2.0)), 0.0)


def _kernel(X: Any) -> np.ndarray:
    K = rbf(X, X, pooled_gamma(X))
    np.fill_diagonal(K, 0.0)
    return K


def _permuted(z: np.ndarray, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Return 0/1 columns of permuted domains, the observed first, shape (n, 1 + permutations)."""
    Z = np.repeat(z.astype(float)[:, None], 1 + permutations, axis=1)
    Z[:, 1:] = rng.permuted(Z[:, 1:], axis=0)
    return Z


def _part_p(values: np.ndarray, chance: np.ndarray, scale: float) -> np.ndarray:
    """Return p-values of parts by the chance of all rows, `scale` times as wide."""
    larger = len(chance) - np.searchsorted(np.sort(chance * scale), values, side="left")
    return np.asarray((1 + larger) / (1 + len(chance)))


def rows_test(rows: SomeRows, permutations: int, random_state: int) -> tuple[Measured, np.ndarray]:
    """Test p(x), on all rows and on parts of them."""
    Z = _permuted(rows.z, permutations, np.random.default_rng(random_state))
    K = _kernel(rows.X)
    found = _of_masks(K, 1 - Z, Z)
    parts = _of_masks(K, rows.parts * (rows.z == 0)[:, None], rows.parts * (rows.z == 1)[:, None])
    how = f"MMD of {int((rows.z == 0).sum())} and {int(rows.z.sum())} rows, {permutations} permutations"
    return beside_chance(float(found[0]), found[1:], how), _part_p(parts, found[1:], 1 / PART)


def effective_share(target: np.ndarray, z: np.ndarray) -> float:
    """Return (sum w)^2 / (n sum w^2) of the source rows' density ratios w."""
    w = target[z == 0] / (1 - target[z == 0])
    return float(w.sum() ** 2 / (len(w) * np.square(w).sum()))


def label_tests(
    rows: SomeRows,
    F: np.ndarray,
    domain: np.ndarray,
    ys: np.ndarray,
    yt: np.ndarray,
    task: Task | None,
    permutations: int,
    random_state: int,
) -> tuple[dict[str, Measured], dict[str, np.ndarray]]:
    """Test p(y), p(x | y) and p(y | x), on all labelled rows and on parts of them."""
    ys, yt = ys[rows.positions[0]], yt[rows.positions[1]]
    y = np.concatenate([ys, yt])
    shifted = label_shift(ys, yt, task=task)
    assert shifted is not None  # noqa: S101  (the caller has counted the labels)
    tests = {LABELS: Measured(shifted.size, shifted.p, f"{len(ys)} and {len(yt)} labels")}
    parts = {LABELS: _label_parts(y, rows, task)}
    if task == "regression":
        y = y.astype(float)
        cuts = np.unique(np.quantile(y, np.linspace(0, 1, STRATA + 1)[1:-1]))
        strata = np.searchsorted(cuts, y, side="right")
    else:
        strata = np.unique(y, return_inverse=True)[1]
    tests[GIVEN_LABELS], parts[GIVEN_LABELS] = _within_strata(rows, strata, permutations, random_state)
    if task == "regression":
        R = (y - held_out_means(F, y, random_state))[:, None]
    else:
        R = np.eye(strata.max() + 1)[strata] - held_out_probabilities(F, strata, random_state)
    S = residual_products(F, R, rows.z - domain)
    chance = largest_of_chance(S, permutations, random_state)
    value = float(largest_mean(S, np.ones((len(S), 1)))[0])
    how = f"the largest of {S.shape[1]} means of residual products in standard errors, {permutations} draws"
    tests[GIVEN_ROWS] = beside_chance(value, chance, how)
    parts[GIVEN_ROWS] = _part_p(largest_mean(S, rows.parts), chance, 1.0)
    return tests, parts


def _label_parts(y: np.ndarray, rows: SomeRows, task: Task | None) -> np.ndarray:
    """Return the p-value of the labels in each part of the rows, as `label_shift` has it for all of them."""
    source, target = rows.z == 0, rows.z == 1
    if task == "regression":
        masks = rows.parts.T > 0
        return np.array([ks_2samp(y[mask & source], y[mask & target]).pvalue for mask in masks])
    of_class = np.unique(y, return_inverse=True)[1]
    if of_class.max() == 0:
        return np.ones(PARTS)
    classes = np.eye(of_class.max() + 1)[of_class]
    counts = np.stack([classes[side].T @ rows.parts[side] for side in (source, target)])
    expected = counts.sum(axis=0) * counts.sum(axis=1, keepdims=True) / counts.sum(axis=(0, 1))
    terms = np.divide(np.square(counts - expected), expected, out=np.zeros_like(counts), where=expected > 0)
    return np.asarray(chi2.sf(terms.sum(axis=(0, 1)), (counts.sum(axis=0) > 0).sum(axis=0) - 1))


def _within_strata(
    rows: SomeRows, strata: np.ndarray, permutations: int, random_state: int
) -> tuple[Measured, np.ndarray]:
    """Test that rows of one label look alike in both domains: MMDs of the strata, permuted within each."""
    rng = np.random.default_rng(random_state)
    found, parts, compared = np.zeros(1 + permutations), np.zeros(PARTS), 0
    for stratum in range(strata.max() + 1):
        own = strata == stratum
        n_t = int(rows.z[own].sum())
        n_s = int(own.sum()) - n_t
        if min(n_s, n_t) < 2:
            continue
        compared += 1
        # A stratum counts by how well it can be compared: its chance is about as wide as 1 / n_s + 1 / n_t.
        counts = n_s * n_t / (n_s + n_t)
        K, z, part = _kernel(rows.X[own]), rows.z[own], rows.parts[own]
        Z = _permuted(z, permutations, rng)
        found += counts * _of_masks(K, 1 - Z, Z)
        parts += counts * _of_masks(K, part * (z == 0)[:, None], part * (z == 1)[:, None])
    how = f"MMDs within {compared} strata of the labels, {permutations} permutations within each"
    return beside_chance(float(found[0]), found[1:], how), _part_p(parts, found[1:], 1 / PART)


def rows_as_label_shift(Xs: Any, Xt: Any, ys: np.ndarray, permutations: int, random_state: int) -> Measured:
    """Test that the target's rows are as source rows with other class shares."""
    rows = SomeRows.drawn(Xs, Xt, random_state)
    classes, codes = np.unique(ys[rows.positions[0]], return_inverse=True)
    K, source = _kernel(rows.X), rows.z == 0
    counts = np.bincount(codes)
    M = np.eye(len(classes))[codes] / counts
    shares = _nearest_shares(M.T @ K[np.ix_(source, source)] @ M, M.T @ K[np.ix_(source, ~source)].mean(axis=1))
    # As many source rows as there are with these shares, half of them at most, so that chance has a say.
    rng = np.random.default_rng(random_state)
    wanted = shares > 0
    n = int(min((counts[wanted] / shares[wanted]).min(), len(codes)))
    drawn = np.concatenate(
        [rng.permutation(np.flatnonzero(codes == c))[: round(n * shares[c])] for c in range(len(classes))]
    )
    kept = np.sort(np.concatenate([drawn, np.flatnonzero(~source)]))
    if len(drawn) < 2:
        return Measured(0.0, None, "too few source rows of the classes that the target seems to have")
    Z = _permuted(rows.z[kept], permutations, rng)
    found = _of_masks(K[np.ix_(kept, kept)], 1 - Z, Z)
    told = ", ".join(f"{name!s} {share:.0%}" for name, share in zip(classes, shares, strict=True))
    how = f"MMD of {len(drawn)} source rows drawn with the shares {told} and the target, {permutations} permutations"
    return beside_chance(float(found[0]), found[1:], how)


def _nearest_shares(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the w >= 0 that sum to 1 with the least w'Aw - 2 b'w."""
    from scipy.optimize import minimize

    k = len(b)
    solved = minimize(
        lambda w: (w @ A @ w - 2 * b @ w, 2 * (A @ w - b)),
        np.full(k, 1 / k),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(k)},
        options={"ftol": 1e-10},
    )
    w = np.maximum(solved.x, 0.0)
    w[w < 1e-3] = 0.0
    return np.asarray(w / w.sum())
