"""SFA: spectral feature alignment."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_matrix, diags

from headstart.domain import stack_rows
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.moments import total_variance
from headstart.features.new_features import NewFeaturesMap, with_fixed_signs
from headstart.features.occurrence import counts, mutual_information, occurrences
from headstart.mapping import Map
from headstart.method import Needs

#: Singular values below this, beside the largest, which is 1, are rounding errors.
LEAST_VALUE = 1e-6


class SFA(FeatureMethod):
    r"""Spectral feature alignment: clusters of domain-specific features that keep company with the same shared ones.

    Features that are common in both domains and say little about the domain are shared, the others specific. Shared
    and specific features are the two sides of a graph, whose edges count the rows in which both are on (above their
    mean: for words, that both occur):

    .. math:: A = \left[ 0, M;\; M^\top, 0 \right], \quad L = D^{-1/2} A D^{-1/2}, \quad
              x \mapsto [x,\; \gamma\, \varphi(x)], \quad \varphi(x) = x_{\mathrm{specific}}\, U

    with U the rows, for specific features, of the K eigenvectors of L with the largest eigenvalues. Specific words
    of one domain and of the other that go along with the same shared words come to the same new feature. Labels are
    not used. Target rows are mapped as source rows are; sparse rows stay sparse, with K dense columns more.

    Parameters
    ----------
    n_independent : int, default 500
        How many features are shared, at most half of all; the paper's l. Of twice as many features, the most
        frequent ones in both domains, those with the least mutual information with the domain are taken.
    n_components : int, default 100
        K; the paper's number. Fewer where the graph has fewer dimensions.
    gamma : float, default 0.6
        :math:`\gamma`; the paper's value. How much the new features vary, all together, beside the old ones: U is
        scaled such that their total variance is :math:`\gamma^2` times that of the old ones, since the length of
        eigenvectors says nothing about the rows. Larger: the learner leans more on the new features.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.

    Attributes
    ----------
    independent_ : int array
        Columns of the shared features, those that say least about the domain first.
    values_, residual_, n_components_
        Eigenvalues of L; the largest norm of L u - value u; number of new features.

    References
    ----------
    Pan, Ni, Sun, Yang, Chen: Cross-Domain Sentiment Classification via Spectral Feature Alignment. WWW 2010.

    Examples
    --------
    "good" and "bad" are words of both domains. One says "gripping" and "dull", the other "sturdy" and "broken".

    >>> import numpy as np
    >>> word = np.eye(6)
    >>> Xs = np.repeat([word[0] + word[2], word[1] + word[3]], 5, axis=0)
    >>> Xt = np.repeat([word[0] + word[4], word[1] + word[5]], 5, axis=0)
    >>> method = SFA(n_independent=2, n_components=2).fit(Xs, Xt)
    >>> gripping, dull, sturdy, broken = method.transform(word)[2:, 6:]
    >>> bool(np.allclose(gripping, sturdy)), bool(np.allclose(dull, broken)), bool(np.allclose(dull, sturdy))
    (True, True, False)
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_independent: int = 500,
        n_components: int = 100,
        gamma: float = 0.6,
        target_weight: float | str = "balanced",
    ) -> None:
        self.n_independent = n_independent
        self.n_components = n_components
        self.gamma = gamma
        self.target_weight = target_weight

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of both domains' rows, twice. Labels are not used."""
        d = Xs.shape[1]
        on_s, on_t = occurrences(Xs, Xt)
        self.independent_ = independent_features(on_s, on_t, min(self.n_independent, d // 2))
        specific = np.setdiff1d(np.arange(d), self.independent_)
        on = stack_rows([on_s, on_t])
        M = (on[:, specific].T @ on[:, self.independent_]).tocsr()
        if not M.nnz:
            raise InputError("SFA: no two features are present in the same row; there is no graph to cluster")
        U, self.values_, self.residual_ = bipartite_eigenvectors(M, self.n_components)
        self.n_components_ = U.shape[1]
        A = np.zeros((d, self.n_components_))
        A[specific] = U
        X = stack_rows([Xs, Xt])
        v = total_variance(X)
        A *= self.gamma * np.sqrt(v / max(total_variance(np.asarray(X @ A)), LEAST_VALUE**2 * v))
        found = NewFeaturesMap(A.astype(X.dtype), np.zeros(self.n_components_, dtype=X.dtype))
        return found, found


def independent_features(on_s: csr_matrix, on_t: csr_matrix, most: int) -> np.ndarray:
    """Return the columns that are frequent in both domains and say least about the domain, shape (most,) or fewer.

    Raises
    ------
    InputError
        When no feature is present in both domains.
    """
    on, size = np.array([counts(on_s), counts(on_t)]), np.array([on_s.shape[0], on_t.shape[0]])
    frequency = (on / size[:, None]).min(axis=0)
    frequent = np.argsort(-frequency, kind="stable")[: 2 * most]
    frequent = frequent[frequency[frequent] > 0]
    if not len(frequent):
        raise InputError("SFA: of two features at least, one must be present in both domains; there is none")
    tells = mutual_information(on[:, frequent], size)
    return frequent[np.argsort(tells, kind="stable")[:most]]


def bipartite_eigenvectors(M: csr_matrix, k: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the first side's rows of the k top eigenvectors of the normalised graph, its eigenvalues, the residual.

    The eigenvectors of [0, N; N', 0], with N = D1^(-1/2) M D2^(-1/2), are [u; v] / sqrt(2) for each pair of singular
    vectors of N: those of the small N'N are enough, and no matrix is as large as the graph.

    Parameters
    ----------
    M : CSR matrix of shape (a, b)
        Weights of the edges, b few.
    k : int
        Number of eigenvectors; fewer come back at lower rank.
    """
    N = diags(_inverse_roots(M.sum(axis=1))) @ M @ diags(_inverse_roots(M.sum(axis=0)))
    b = N.shape[1]
    values, V = eigh((N.T @ N).toarray(), subset_by_index=(max(b - k, 0), b - 1))
    s, V = np.sqrt(np.maximum(values[::-1], 0.0)), V[:, ::-1]
    s, V = s[s > LEAST_VALUE], V[:, s > LEAST_VALUE]
    U = N @ V / s
    residual = float(np.linalg.norm(N.T @ U - V * s, axis=0).max() / np.sqrt(2))
    return with_fixed_signs(U) / np.sqrt(2), s, residual


def _inverse_roots(degrees: Any) -> np.ndarray:
    degrees = np.asarray(degrees, dtype=float).ravel()
    return np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1.0)), 0.0)
