"""CodebookTransfer: patterns of groups of users and groups of items, found in one domain and used in another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from headstart.method import Family, Needs
from headstart.recommend.base import Arrived, CrossDomainMethod
from headstart.recommend.baselines import require_ratings
from headstart.recommend.histories import Histories

#: What a denominator is at least.
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Groups:
    """Scores of the group of users that a history fits best.

    Parameters
    ----------
    codebook : array of shape (k, l)
        B: how each group of users rates each group of items.
    groups : int array of shape (columns,)
        Of which group of items each column of a history is, -1 where it is not known.
    columns : slice
        Of the target's items.
    share : array of shape (k,)
        How much of the target's users each group is; what someone gets who fits none.
    item_vectors : array of shape (m, k)
        The columns of the codebook, one for each item of the target.
    item_bias : array of shape (m,)
    """

    codebook: np.ndarray
    groups: np.ndarray
    columns: slice
    share: np.ndarray
    item_vectors: np.ndarray
    item_bias: np.ndarray

    def queries(self, history: csr_matrix, users: np.ndarray) -> np.ndarray:
        """Return the group of each user as a row of one 1, shape (n, k).

        What was done in the target decides; of who did nothing there, what was done in the source.
        """
        found = np.tile(self.share, (history.shape[0], 1)).astype(np.float32)
        for side in (slice(0, self.columns.start), self.columns):
            groups = self.groups[side]
            known = np.flatnonzero(groups >= 0)
            part = csr_matrix(history[:, side][:, known])
            at = np.flatnonzero(np.diff(part.indptr))
            best = membership_costs(part[at], groups[known], self.codebook).argmin(axis=1)
            found[at] = np.eye(len(self.codebook), dtype=np.float32)[best]
        return found


class CodebookTransfer(CrossDomainMethod):
    r"""Groups of users rate groups of items alike in both domains; no user and no item need be shared.

    The densest part of the source's ratings X, its gaps filled with means, is factorised into
    :math:`X \approx U S V^\top` with non-negative U and V of orthonormal columns. The largest number of each row of U
    and V says to which group a user or an item belongs, and the codebook B (k x l) holds the mean rating of each
    group of items by each group of users. In the target the groups are found in turns:

    .. math:: \min_{U, V} \| W \circ (X - U B V^\top) \|^2, \qquad U, V \in \{0, 1\},\ U 1 = 1,\ V 1 = 1

    with W of ones where there is a rating. What is predicted is the codebook's entry. The ratings of both domains
    must be on one scale.

    Who did nothing in the target is of the group that their ratings in the source fit, if they are the same user there;
    a guest is of the group that their history fits. It is for ratings: of events alone every mean is one.

    Parameters
    ----------
    user_groups, item_groups : int, default 10
        k and l; no more than there are dense users and items. The paper has 50; where users have given ten ratings or
        fewer, many groups fit by chance and foretell worse.
    dense_users, dense_items : int, default 500
        How much of the source the codebook is made of.
    iterations : int, default 100
        Of the factorisation.
    starts : int, default 10
        From how many random groups of the target's items it begins; the best end counts.
    random_state : int, default 0

    Raises
    ------
    NeedsError
        When there are no ratings.

    References
    ----------
    Li, Yang, Xue: Can Movies and Books Collaborate? Cross-Domain Collaborative Filtering for Sparsity Reduction.
    IJCAI 2009.
    Ding, Li, Peng, Park: Orthogonal Nonnegative Matrix Tri-Factorizations for Clustering. KDD 2006.

    Examples
    --------
    Two kinds of readers and two kinds of books; films are rated by other people, in the same two ways.

    >>> import pandas as pd
    >>> from headstart.recommend import ratings_domains
    >>> rows = [
    ...     (user, item, domain, 5.0 if (user + item) % 2 else 2.0)
    ...     for domain, n, gap in (("book", 12, 5), ("film", 9, 3))
    ...     for user in range(n) for item in range(8) if (user + item * gap) % 4
    ... ]
    >>> domains = ratings_domains(pd.DataFrame(rows, columns=["user", "item", "domain", "rating"]), shared="none")
    >>> fitted = CodebookTransfer(user_groups=2, item_groups=2).fit(domains, target="film")
    >>> guest = fitted.fold_in([("film", 1, 5.0), ("film", 2, 2.0)])
    >>> fitted.recommend(guest, k=3).items.tolist()
    [3, 5, 7]
    """

    family: ClassVar[Family] = Family.FEATURES
    needs: ClassVar[Needs] = Needs(
        target_labels=True, same_features=False, learner="any", tasks=("regression",), reads=("ratings",)
    )

    def __init__(
        self,
        user_groups: int = 10,
        item_groups: int = 10,
        dense_users: int = 500,
        dense_items: int = 500,
        iterations: int = 100,
        starts: int = 10,
        random_state: Any = 0,
    ) -> None:
        self.user_groups = user_groups
        self.item_groups = item_groups
        self.dense_users = dense_users
        self.dense_items = dense_items
        self.iterations = iterations
        self.starts = starts
        self.random_state = random_state

    def at_source(self, histories: Histories, learner: Any) -> dict[str, Any]:
        """Make the codebook."""
        require_ratings(histories, type(self).__name__)
        users, items = densest(histories.matrix, self.dense_users, self.dense_items)
        R = csr_matrix(histories.matrix[users][:, items])
        U, V = co_clusters(
            filled(R),
            min(self.user_groups, len(users)),
            min(self.item_groups, len(items)),
            self.iterations,
            int(np.random.default_rng(self.random_state).integers(2**31)),
        )
        groups = np.full(histories.matrix.shape[1], -1)
        groups[items] = V
        return {"codebook": codebook(R, U, V), "groups": groups}

    def scorer(self, arrived: Arrived, learner: Any) -> Groups:
        """Find the groups of the target's users and items."""
        histories, B = arrived.histories, arrived.learned["codebook"]
        require_ratings(histories, type(self).__name__)
        span = histories.span(histories.target)
        R = csr_matrix(histories.part(histories.target))
        R = csr_matrix(R[np.flatnonzero(np.diff(R.indptr))])
        rng = np.random.default_rng(self.random_state)
        runs = [memberships(R, B, rng.integers(B.shape[1], size=R.shape[1])) for _ in range(self.starts)]
        U, V, _ = min(runs, key=lambda run: run[2][-1])
        share = np.bincount(U, minlength=len(B)) / len(U)
        groups = np.concatenate([arrived.learned["groups"], V])
        vectors = np.ascontiguousarray(B[:, V].T)
        return Groups(B, groups, span, share.astype(np.float32), vectors, np.zeros(len(V), dtype=np.float32))


def densest(R: csr_matrix, n_users: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the items with most ratings, and of their users those who gave most of them: sorted positions."""
    items = np.sort(np.argsort(-R.getnnz(axis=0), kind="stable")[:n_items])
    counts = np.diff(csr_matrix(R[:, items]).indptr)
    users = np.argsort(-counts, kind="stable")[:n_users]
    return np.sort(users[counts[users] > 0]), items


def filled(R: csr_matrix) -> np.ndarray:
    """Return ratings with every gap filled by what the user's and the item's mean say, shape (n, m)."""
    mean, low, high = float(R.data.mean()), float(R.data.min()), float(R.data.max())
    given = csr_matrix((np.ones_like(R.data, dtype=float), R.indices, R.indptr), shape=R.shape).toarray()
    X = R.toarray().astype(float)
    n_u, n_i = given.sum(axis=1, keepdims=True), given.sum(axis=0, keepdims=True)
    of_users = np.where(n_u, X.sum(axis=1, keepdims=True) / np.maximum(n_u, 1), mean)
    of_items = np.where(n_i, X.sum(axis=0, keepdims=True) / np.maximum(n_i, 1), mean)
    return np.where(given > 0, X, np.clip(of_users + of_items - mean, low, high))


def co_clusters(
    X: np.ndarray, n_row_groups: int, n_column_groups: int, iterations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return groups of rows and of columns, shape (n,) and (m,), by orthogonal non-negative tri-factorisation.

    It begins at k-means of rows and of columns, as Ding et al. advise. Groups that end without a member are left out.
    """
    from sklearn.cluster import KMeans

    X = X - min(float(X.min()), 0.0)
    rows = KMeans(n_row_groups, n_init=3, random_state=seed).fit(X).labels_
    columns = KMeans(n_column_groups, n_init=3, random_state=seed).fit(X.T).labels_
    U, V = np.eye(n_row_groups)[rows] + 0.2, np.eye(n_column_groups)[columns] + 0.2
    S = np.maximum(np.linalg.pinv(U) @ X @ np.linalg.pinv(V).T, TINY)
    for _ in range(iterations):
        XtUS = X.T @ U @ S
        V *= np.sqrt(XtUS / np.maximum(V @ (V.T @ XtUS), TINY))
        XVSt = X @ V @ S.T
        U *= np.sqrt(XVSt / np.maximum(U @ (U.T @ XVSt), TINY))
        S *= np.sqrt((U.T @ X @ V) / np.maximum((U.T @ U) @ S @ (V.T @ V), TINY))
    found = [np.unique(groups.argmax(axis=1), return_inverse=True)[1] for groups in (U, V)]
    return found[0], found[1]


def codebook(R: csr_matrix, U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the mean rating of each group of items by each group of users, shape (k, l), float32.

    Where there is none it is the mean of all.
    """
    rows, columns = np.repeat(U, np.diff(R.indptr)), V[R.indices]
    shape = (int(U.max()) + 1, int(V.max()) + 1)
    sums = csr_matrix((R.data.astype(float), (rows, columns)), shape=shape).toarray()
    counts = csr_matrix((np.ones(R.nnz), (rows, columns)), shape=shape).toarray()
    return np.where(counts > 0, sums / np.maximum(counts, 1), R.data.mean()).astype(np.float32)


def memberships(R: csr_matrix, B: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return groups of users and of items, and the objective after each sweep, which never rises.

    Parameters
    ----------
    R : csr_matrix of shape (n, m)
        What is stored is given.
    B : array of shape (k, l)
    V : int array of shape (m,)
        The groups of items to begin with.
    """
    across = csr_matrix(R.T)
    squares = float((R.data.astype(float) ** 2).sum())
    objective: list[float] = []
    while len(objective) < 2 or objective[-1] < objective[-2]:
        U = membership_costs(R, V, B).argmin(axis=1)
        costs = membership_costs(across, U, np.ascontiguousarray(B.T))
        V = costs.argmin(axis=1)
        objective.append(squares + float(costs[np.arange(len(V)), V].sum()))
    return U, V, objective


def membership_costs(R: csr_matrix, groups: np.ndarray, B: np.ndarray) -> np.ndarray:
    r"""Return what each row costs in each group of rows, less the squares of its ratings, shape (n, k).

    .. math:: \sum_j w_{ij} (B_{a g(j)}^2 - 2 x_{ij} B_{a g(j)})

    Parameters
    ----------
    R : csr_matrix of shape (n, m)
    groups : int array of shape (m,)
        g, of the columns.
    B : array of shape (k, l)
    """
    B = B.astype(float)
    to_group = csr_matrix((np.ones(len(groups)), (np.arange(len(groups)), groups)), shape=(len(groups), B.shape[1]))
    given = csr_matrix((np.ones(R.nnz), R.indices, R.indptr), shape=R.shape)
    return np.asarray((given @ to_group) @ (B**2).T - 2 * ((R.astype(float) @ to_group) @ B.T))
