"""SCL: structural correspondence learning."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.sparse import csr_matrix

from headstart.domain import stack_rows
from headstart.draws import pick
from headstart.errors import InputError
from headstart.features.base import FeatureMethod
from headstart.features.moments import column_means, mean_squares, products, total_variance
from headstart.features.new_features import NewFeaturesMap, with_fixed_signs
from headstart.features.occurrence import counts, counts_by_group, label_groups, mutual_information, occurrences
from headstart.mapping import Map
from headstart.method import Needs

#: Features, or else rows, up to which the pivot predictors are learned on all rows (0.8 GB then).
MOST_EXACT = 10_000
#: Singular values below this share of the largest are rounding errors.
LEAST_SHARE = 1e-6


class SCL(FeatureMethod):
    r"""Structural correspondence learning: new features from what the others say about pivot features.

    Pivots are features that are common in both domains and, where source labels are given, tell about these. What
    predicts the same pivots plays the same part in its domain, though it be another word there:

    .. math:: w_l = \arg\min_{w,\, w_l = 0} \sum_i (p_{il} - w^\top x_i)^2 + \lambda \|w\|^2, \quad
              [w_1, \ldots, w_m] = U D V^\top, \quad
              x \mapsto [x,\; \alpha\, \theta x], \quad \theta = U_{1:h}^\top

    with :math:`p_{il}` saying whether pivot l is on in row i (above its mean: for a word, that it occurs), over the
    rows of both domains, without their labels. The new features are centred and scaled to one standard deviation.
    Target rows are mapped as source rows are; sparse rows stay sparse, with h dense columns more.

    The paper's pivot predictors are linear classifiers (modified Huber loss). Here they are least squares on the
    indicator, scaled to variance 1, with an intercept: then one factorisation serves all pivots, and each leaves out
    its own pivot exactly.

    Parameters
    ----------
    n_pivots : int, default 1000
        m; the paper's number. Fewer where fewer features are common.
    n_components : int, default 50
        h; the paper's number for reviews. Fewer where the predictors span fewer directions.
    pivots : {"mutual-information", "frequency"}, default "mutual-information"
        Of the common features, take those whose presence tells most about the source labels (Blitzer et al. 2007;
        labels of a regression are cut into quarters), or the most frequent ones (2006). Without labels in `fit`, the
        most frequent ones are taken in any case.
    min_count : int, default 5
        In how many rows of each domain a pivot must be on.
    scale : float, default 1.0
        How much the new features vary, all together, beside the old ones: their standard deviation is
        :math:`\alpha = \mathrm{scale} \cdot \sqrt{v / h}`, with v the total variance of the old features. In the
        paper alpha is chosen on held-out source rows. Larger: the learner leans more on the new features.
    reg : float, default 2.0
        :math:`\lambda`, in units of the total variance v of the rows, so that it does not hang on their scale.
        Larger: smoother predictors. On reviews, the default predicts the pivots of held-out rows best.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Draws the 10,000 rows on which the predictors are learned where there are more than 10,000 features and rows.

    Attributes
    ----------
    pivots_, values_, n_components_
        Columns of the pivots, most telling first; singular values of the predictors' weights; number of new features.

    References
    ----------
    Blitzer, McDonald, Pereira: Domain Adaptation with Structural Correspondence Learning. EMNLP 2006.
    Blitzer, Dredze, Pereira: Biographies, Bollywood, Boom-boxes and Blenders: Domain Adaptation for Sentiment
    Classification. ACL 2007.

    Examples
    --------
    "good" is a word of both domains; one domain says "gripping" where the other says "sturdy".

    >>> import numpy as np
    >>> good = np.tile([1.0, 0.0], 50)
    >>> none = np.zeros(100)
    >>> Xs, Xt = np.column_stack([good, good, none]), np.column_stack([good, none, good])
    >>> method = SCL(n_components=1).fit(Xs, Xt)
    >>> new = method.transform(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))[:, 3]
    >>> bool(np.isclose(new[0], new[1]))
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True, learner="any")

    def __init__(
        self,
        n_pivots: int = 1000,
        n_components: int = 50,
        pivots: str = "mutual-information",
        min_count: int = 5,
        scale: float = 1.0,
        reg: float = 2.0,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.n_pivots = n_pivots
        self.n_components = n_components
        self.pivots = pivots
        self.min_count = min_count
        self.scale = scale
        self.reg = reg
        self.target_weight = target_weight
        self.random_state = random_state

    def align(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> tuple[Map, Map]:
        """Return the map of both domains' rows, twice. Source labels choose the pivots; target labels are not used."""
        if self.reg <= 0:
            raise InputError(f"SCL: reg must be more than 0, not {self.reg}")
        on_s, on_t = occurrences(Xs, Xt)
        self.pivots_ = self._pivots(on_s, on_t, ys)
        X, P = stack_rows([Xs, Xt]), stack_rows([on_s[:, self.pivots_], on_t[:, self.pivots_]])
        rows = pick(X, MOST_EXACT, self.random_state) if min(X.shape) > MOST_EXACT else slice(None)
        W = pivot_predictors(X[rows], P[rows], self.pivots_, self.reg)
        theta, values = left_singular_vectors(W, self.n_components)
        center = column_means(X)
        variance = total_variance(X)
        of_new = mean_squares(np.asarray(X @ theta - center @ theta))
        varies = of_new > LEAST_SHARE**2 * variance
        theta, self.values_, self.n_components_ = theta[:, varies], values[varies], int(varies.sum())
        if not self.n_components_:
            raise InputError("SCL: no feature says anything about another one; there is nothing to learn from pivots")
        A = theta * (self.scale * np.sqrt(variance / self.n_components_ / of_new[varies]))
        found = NewFeaturesMap(A.astype(X.dtype), -(center @ A).astype(X.dtype))
        return found, found

    def _pivots(self, on_s: csr_matrix, on_t: csr_matrix, ys: np.ndarray | None) -> np.ndarray:
        if self.pivots not in ("mutual-information", "frequency"):
            raise InputError(f"SCL: pivots must be 'mutual-information' or 'frequency', not {self.pivots!r}")
        shares, common = [], np.ones(on_s.shape[1], dtype=bool)
        for on in (on_s, on_t):
            count = counts(on)
            common &= (count >= self.min_count) & (count < on.shape[0])
            shares.append(count / on.shape[0])
        if not common.any():
            raise InputError(
                f"SCL: no feature is present in {self.min_count} rows of each domain and absent in others; "
                "lower min_count, or bring the domains to common columns"
            )
        frequency = np.minimum(*shares)
        tells = np.zeros(len(frequency))
        if self.pivots == "mutual-information" and ys is not None:
            known, group = label_groups(ys)
            tells = mutual_information(*counts_by_group(on_s[known], group)) if known.any() else tells
        order = np.lexsort((-frequency, -tells, ~common))
        return order[: min(self.n_pivots, int(common.sum()))]


def pivot_predictors(X: Any, P: Any, pivots: np.ndarray, reg: float) -> np.ndarray:
    r"""Return the weights of the linear predictors of all pivots, shape (d, m), each with a zero at its own pivot.

    With :math:`A = (X^\top X + \lambda I)^{-1}` of the centred rows, :math:`B = A X^\top P` are the predictors that
    may look at their own pivot l. Holding the weight of l at zero takes a multiple of the column l of A away:
    :math:`w_l = B_l - A_l B_{ll} / A_{ll}`. Where there are fewer rows than features, A is had from the rows' inner
    products.

    Parameters
    ----------
    X : array or CSR matrix of shape (n, d)
    P : CSR matrix of shape (n, m)
        Where the pivots are on.
    pivots : int array of shape (m,)
        Their columns in X.
    reg : float
        lambda, in units of the total variance of the rows.
    """
    n, d = X.shape
    m = len(pivots)
    mean, share = column_means(X), column_means(P)
    sd = np.sqrt(np.maximum(share * (1 - share), np.finfo(float).tiny))
    penalty = reg * max(total_variance(X), np.finfo(float).tiny)
    if d <= n:
        G = products(X, X)
        G -= n * np.outer(mean, mean)
        G[np.diag_indices(d)] += penalty
        right = np.zeros((d, 2 * m), order="F")
        right[:, :m] = (products(X, P.toarray() if isinstance(X, np.ndarray) else P) - n * np.outer(mean, share)) / sd
        right[pivots, m + np.arange(m)] = 1.0
        # LAPACK works in place on columns, and G' = G.
        solved = cho_solve(cho_factor(G.T, lower=True, overwrite_a=True), right, overwrite_b=True)
        B, A = solved[:, :m], solved[:, m:]
    else:
        XT = X.T
        K = products(XT, XT)
        K -= K.mean(axis=0) + K.mean(axis=1)[:, None] - K.mean()
        K[np.diag_indices(n)] += penalty
        columns = X[:, pivots]
        columns = columns if isinstance(columns, np.ndarray) else columns.toarray()
        right = np.hstack([(P.toarray() - share) / sd, columns - mean[pivots]])
        solved = cho_solve(cho_factor(K.T, lower=True, overwrite_a=True), right, overwrite_b=True)
        B, A = np.split(np.asarray(X.T @ solved - np.outer(mean, solved.sum(axis=0))), 2, axis=1)
        A = -A / penalty
        A[pivots, np.arange(m)] += 1 / penalty
    own = pivots, np.arange(m)
    W = B - A * (B[own] / A[own])
    W[own] = 0.0
    return np.asarray(W)


def left_singular_vectors(W: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first k left singular vectors, with fixed signs, and the singular values; fewer at lower rank."""
    m = W.shape[1]
    values, V = eigh(W.T @ W, subset_by_index=(max(m - k, 0), m - 1))
    s = np.sqrt(np.maximum(values[::-1], 0.0))
    kept = s > max(float(s[0]) * LEAST_SHARE, np.finfo(float).tiny)
    return with_fixed_signs(W @ V[:, ::-1][:, kept] / s[kept]), s[kept]
