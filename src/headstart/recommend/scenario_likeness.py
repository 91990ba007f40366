"""Which categories of a column are alike, from what they occur with: correspondence analysis."""

from __future__ import annotations

import numpy as np
from scipy.sparse import block_diag, csr_matrix
from scipy.sparse.linalg import LinearOperator, svds

#: Up to so many singular values of a table all of them are computed at once.
FEW = 100


def likeness_factors(codes: np.ndarray, starts: np.ndarray, width: int) -> csr_matrix:
    r"""Return factors F of all categories, shape (categories, m), of which those of like categories are alike.

    For each column of more than `width` categories let P be the table of which of its categories (rows) occur with
    which categories of the other columns, zeros and ones, divided by their sum. With the sums r of its rows and c of
    its columns,

    .. math:: D_r^{-1/2} (P - r c^\top) D_c^{-1/2} \approx U \Sigma V^\top, \qquad F = U \Sigma / \rho

    with rho such that the mean square length of a row of F is 1. Items that the same users have seen are alike then,
    and users who have seen the same items. Rare categories have short rows. No label is looked at.

    Columns of fewer categories, and categories that do not occur, have rows of zeros. m is the sum of the ranks over
    columns: `width` for each, or what its table has.

    Parameters
    ----------
    codes : int array of shape (n, fields)
        As `Columns.read` gives them.
    starts : int array of shape (fields + 1,)
        Where each column's categories begin; the first of each is the unknown one.
    width : int
        Factors of a column, at most.

    References
    ----------
    Greenacre: Correspondence Analysis in Practice. 3rd edition, Chapman & Hall 2017.

    Examples
    --------
    Users 1 and 2 see the first two films, users 3 and 4 the others.

    >>> codes = np.array([[1, 6], [1, 7], [2, 6], [2, 7], [3, 8], [3, 9], [4, 8], [4, 9], [4, 7]])
    >>> F = likeness_factors(codes, np.array([0, 5, 10]), 1).toarray()
    >>> np.sign(F[1:5, 0] * F[1, 0]).tolist(), np.sign(F[6:, 1] * F[6, 1]).tolist()
    ([1.0, 1.0, -1.0, -1.0], [1.0, 1.0, -1.0, -1.0])
    """
    fields = codes.shape[1]
    blocks = []
    for j in range(fields):
        size = int(starts[j + 1] - starts[j])
        others = [k for k in range(fields) if k != j]
        if size - 1 <= width or width < 1 or not others:
            blocks.append(csr_matrix((size, 0)))
            continue
        at = np.repeat(codes[:, j] - starts[j], len(others))
        table = csr_matrix((np.ones(len(at)), (at, codes[:, others].ravel())), shape=(size, int(starts[-1])))
        blocks.append(csr_matrix(_factors(table, width)))
    return csr_matrix(block_diag(blocks, format="csr"))


def _factors(table: csr_matrix, width: int) -> np.ndarray:
    """Return the scaled left singular vectors, shape (rows, at most width); of empty rows zeros."""
    table.sum_duplicates()
    table.data[:] = 1.0
    # Only what occurs: an empty row or column has no share to divide by.
    occurs, with_it = np.flatnonzero(table.getnnz(axis=1)), np.flatnonzero(table.getnnz(axis=0))
    part = table[occurs][:, with_it]
    # Only what is left when the sums of rows and columns are known.
    r, c = (np.sqrt(np.asarray(part.sum(axis=axis), float).ravel() / part.sum()) for axis in (1, 0))
    part = csr_matrix(part.multiply(1 / r[:, None]).multiply(1 / c).multiply(1 / part.sum()))
    smaller = min(part.shape)
    if smaller <= max(FEW, width + 1):
        U, sigma, _ = np.linalg.svd(part.toarray() - np.outer(r, c), full_matrices=False)
    else:
        left = LinearOperator(
            part.shape,
            matvec=lambda v: part @ v.ravel() - r * (c @ v.ravel()),
            rmatvec=lambda v: part.T @ v.ravel() - c * (r @ v.ravel()),
            dtype=float,
        )
        U, sigma, _ = svds(left, k=width, return_singular_vectors="u", rng=np.random.default_rng(0))
        U, sigma = U[:, ::-1], sigma[::-1]
    # All singular values are one at most.
    kept = np.flatnonzero(sigma[:width] > 1e-9)
    F = np.zeros((table.shape[0], len(kept)))
    F[occurs] = U[:, kept] * sigma[kept]
    length = np.sqrt((F[occurs] ** 2).sum(axis=1).mean()) if len(kept) else 1.0
    return F / length
