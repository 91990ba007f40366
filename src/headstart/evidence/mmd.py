"""Maximum mean discrepancy, and its permutations from one pass over one kernel matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.domain import stack_rows
from headstart.draws import canonical_order
from headstart.errors import InputError
from headstart.evidence.measured import Measured, beside_chance, two_samples
from headstart.kernels import median_gamma, rbf

ESTIMATORS = ("auto", "full", "block", "linear")
#: Rows of both samples together up to which every pair of rows is looked at.
MOST_FULL_ROWS = 10_000
#: Rows of the kernel that are held at a time.
ROWS_A_BLOCK = 1024
#: Rows from which the width of the kernel is taken.
ROWS_OF_WIDTH = 2000

#: From two blocks of rows to an array of kernel values.
Kernel = Callable[[Any, Any], np.ndarray]


def mmd(
    Xs: Any,
    Xt: Any,
    *,
    gamma: float | None = None,
    estimator: str = "auto",
    block_size: int | None = None,
    permutations: int = 999,
    random_state: int = 0,
) -> Measured:
    r"""Return the squared maximum mean discrepancy of two samples, with the p-value of a permutation test.

    .. math::
        \widehat{MMD}^2 = \frac{1}{n_s(n_s-1)} \sum_{i \ne j} k(x_i, x_j)
            + \frac{1}{n_t(n_t-1)} \sum_{i \ne j} k(x'_i, x'_j) - \frac{2}{n_s n_t} \sum_{i, j} k(x_i, x'_j),
        \quad k(a, b) = e^{-\gamma \|a - b\|^2}

    It is unbiased, so without a shift it lies around 0 and may be negative. All permutations come from one kernel
    matrix K, of which `ROWS_A_BLOCK` rows are held at a time: with a 0/1 column for the source rows of each
    permutation in Z, the sums within the source are diag(Z' K Z), and the other sums follow from those of K's rows.

    "block" pairs the rows at random, cuts the pairs into blocks, and averages the statistic
    sum_{i != j} h_ij / (m (m - 1)) of each, with h_ij = k(x_i, x_j) + k(x'_i, x'_j) - k(x_i, x'_j) - k(x_j, x'_i).
    "linear" is the same with blocks of two pairs. Their time grows with n times the size of a block, and their
    power is less. Without a shift the rows of a pair may be swapped, which turns h_ij into s_i s_j h_ij with signs
    s: their p-value comes from random signs and is exact, without an appeal to large n. Of the larger sample only as
    many rows as the smaller has are used.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
    gamma : float, optional
        By default 1 / median squared distance between the rows of both samples together (of 2,000 of them).
    estimator : {"auto", "full", "block", "linear"}
        auto: full up to 10,000 rows together, block beyond.
    block_size : int, optional
        Pairs a block; by default the root of the number of pairs.
    permutations : int
        With 0, the p-value is None.

    Returns
    -------
    Measured

    Raises
    ------
    InputError
        When the samples differ in columns, have fewer than two rows, or an argument is not what it should be.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf, Smola: A Kernel Two-Sample Test. JMLR 13, 2012. Blocks: Zaremba, Gretton,
    Blaschko: B-tests: Low Variance Kernel Two-Sample Tests. NIPS 2013.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = mmd(rng.normal(0, 1, (100, 2)), rng.normal(1, 1, (80, 2)))
    >>> found.value > found.noise, found.p
    (True, 0.001)
    """
    Xs, Xt = two_samples(Xs, Xt, "mmd")
    if estimator not in ESTIMATORS:
        raise InputError(f"mmd: estimator must be one of {', '.join(ESTIMATORS)}, not {estimator!r}")
    if gamma is None:
        gamma = pooled_gamma(stack_rows([Xs, Xt]))
    elif not gamma > 0:
        raise InputError(f"mmd: gamma={gamma}; take a number above zero, or leave it out")

    def kernel(A: Any, B: Any) -> np.ndarray:
        return rbf(A, B, gamma)

    n_s, n_t = Xs.shape[0], Xt.shape[0]
    if estimator == "full" or (estimator == "auto" and n_s + n_t <= MOST_FULL_ROWS):
        observed, chance = permuted_sums(Xs, Xt, kernel, permutations, random_state)
        how = f"every pair of {n_s} and {n_t} rows, {permutations} permutations"
        return beside_chance(float(unbiased(observed, n_s, n_t)[0]), unbiased(chance, n_s, n_t), how)
    pairs = min(n_s, n_t)
    size = 2 if estimator == "linear" else max(2, int(np.sqrt(pairs)) if block_size is None else block_size)
    size = min(size, pairs)
    value, swapped = _of_blocks(Xs, Xt, kernel, size, permutations, random_state)
    how = f"{pairs // size} blocks of {size} pairs of rows, {permutations} random swaps"
    return beside_chance(value, swapped, how)


def pooled_gamma(rows: Any) -> float:
    """Return 1 / median squared distance of the rows of both samples together.

    A width that does not know which row is whose: so the permutation test stays exact.
    """
    return median_gamma(rows, rows[:0], most=ROWS_OF_WIDTH)


def permuted_sums(
    Xs: Any, Xt: Any, kernel: Kernel, permutations: int, random_state: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel's sums within the source, within the target and across, as they are and permuted.

    Pairs of a row with itself are left out. The kernel is read once, in blocks above its diagonal.

    Returns
    -------
    observed : array of shape (3, 1)
    chance : array of shape (3, permutations)
        In float32 products, of the kernel less a constant, which is put back: the sums stay small, and so their
        rounding does.

    Examples
    --------
    >>> Xs, Xt = np.array([[0.0], [1.0]]), np.array([[3.0], [4.0]])
    >>> permuted_sums(Xs, Xt, lambda A, B: np.abs(A - B.T), 0, 0)[0].ravel().tolist()
    [2.0, 2.0, 12.0]
    """
    n_s, n_t = Xs.shape[0], Xt.shape[0]
    rows = stack_rows([Xs, Xt])
    order = canonical_order(rows)
    rows = rows[order]
    own = (order < n_s).astype(float)
    Z = np.zeros((len(order), permutations), dtype=np.float32)
    Z[:n_s] = 1.0
    # One shuffle a column, in place: chance acts on rows in an order of their own.
    np.random.default_rng(random_state).permuted(Z, axis=0, out=Z)
    within, row_sums, observed, constant = np.zeros(permutations), np.zeros(len(order)), 0.0, None
    for start in range(0, len(order), ROWS_A_BLOCK):
        stop = min(start + ROWS_A_BLOCK, len(order))
        K = kernel(rows[start:stop], rows[start:])
        if constant is None:
            constant = float(K.mean())
        K -= constant
        # Above the diagonal each pair stands once; within the block it is halved below.
        square = K[:, : stop - start]
        np.fill_diagonal(square, 0.0)
        row_sums[start:stop] += K.sum(axis=1)
        row_sums[stop:] += K[:, stop - start :].sum(axis=0)
        square *= 0.5
        observed += 2 * float(own[start:stop] @ (K @ own[start:]))
        if permutations:
            products = K.astype(np.float32) @ Z[start:]
            within += 2 * np.einsum("ij,ij->j", Z[start:stop], products, dtype=float)
    total = float(row_sums.sum())
    back = np.array([n_s * (n_s - 1), n_t * (n_t - 1), n_s * n_t], dtype=float)[:, None] * (constant or 0.0)

    def three(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.stack([a, total - 2 * b + a, b - a]) + back

    by_rows = np.array([row_sums @ Z[:, j] for j in range(permutations)])
    return three(np.array([observed]), np.array([own @ row_sums])), three(within, by_rows)


def unbiased(sums: np.ndarray, n_s: Any, n_t: Any) -> np.ndarray:
    """Return the squared discrepancy of sums without pairs of a row with itself."""
    return np.asarray(sums[0] / (n_s * (n_s - 1)) + sums[1] / (n_t * (n_t - 1)) - 2 * sums[2] / (n_s * n_t))


def _of_blocks(
    Xs: Any, Xt: Any, kernel: Kernel, size: int, permutations: int, random_state: int
) -> tuple[float, np.ndarray]:
    """Return the mean statistic of blocks of pairs, and that of randomly swapped pairs."""
    rng = np.random.default_rng(random_state)
    blocks = min(Xs.shape[0], Xt.shape[0]) // size
    Xs, Xt = (X[canonical_order(X)[rng.permutation(X.shape[0])[: blocks * size]]] for X in (Xs, Xt))
    value, swapped = 0.0, np.zeros(permutations)
    for start in range(0, blocks * size, size):
        A, B = Xs[start : start + size], Xt[start : start + size]
        across = kernel(A, B)
        H = kernel(A, A) + kernel(B, B) - across - across.T
        np.fill_diagonal(H, 0.0)
        value += float(H.sum())
        signs = 2.0 * rng.integers(0, 2, (size, permutations)) - 1.0
        swapped += np.einsum("ij,ij->j", signs, H @ signs)
    each = blocks * size * (size - 1)
    return value / each, swapped / each
