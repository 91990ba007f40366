"""Kernel mean matching over labels."""

import warnings
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain, Task, task_of
from headstart.draws import canonical_order
from headstart.errors import InputError
from headstart.instances.base import InstanceMethod, WeightedRows
from headstart.instances.box_sum_qp import project_box_sum, solve_box_sum_qp
from headstart.instances.gram import LowRankGram
from headstart.instances.label_shift import AssumptionTest, assumption_test, checked_assumption, source_labels
from headstart.kernels import median_gamma, nystroem_map, rbf, rbf_sums
from headstart.method import Knowledge, Needs

#: Rows of a domain up to which the kernel on rows is exact, and the landmarks used beyond.
MOST_EXACT_ROWS = 10_000
AUTO_RANK = 500
BLOCK = 1024
#: Columns of the factor of the kernel on labels, at most, and what it may miss of the kernel's trace.
MOST_LABEL_RANK, LABEL_LOSS = 200, 1e-10
#: The mean weight is never allowed to be further from 1 than this, however few rows there are.
MOST_EPS = 0.9


class MMDTargetShift(InstanceMethod):
    r"""Kernel mean matching over labels: weights beta(y) under which the source's rows look like the target's.

    Under target shift p(x | y) is the same in both domains, so that weighting the source's *labels* right yields the
    target's rows. With feature maps phi of rows and psi of labels, and the embedding of p(x | y) estimated as
    :math:`\hat U = \Phi (L + \lambda n_s I)^{-1} \Psi^\top`,

    .. math:: \min_\beta \tfrac12 \Bigl\| \hat U\, \tfrac{1}{n_s} \textstyle\sum_i \beta_i \psi(y_i)
              - \tfrac{1}{n_t} \sum_j \phi(x'_j) \Bigr\|^2 + \frac{\rho}{2 n_s} \sum_i (\beta_i - 1)^2
              \quad\text{s.t.}\quad 0 \le \beta_i \le B,\ \bigl|\textstyle\sum_i \beta_i - n_s\bigr| \le n_s\epsilon .

    *Classes* have the kernel L_ij = 1 where labels are equal, so beta is one number a class, and rho is 0: the problem
    is that of the paper. *Quantities* have a Gaussian kernel, whose matrix is G G' with few columns in G. The
    objective then sees no more of beta than G'beta, and the paper's problem has many solutions, most of them
    rugged. The paper restricts beta to a smooth function, beta = R alpha; here rho > 0 selects the solution nearest
    to 1, which is clip(s(y), 0, B) for a smooth function s, and damps the noise where hardly anything is known.

    Parameters
    ----------
    gamma, gamma_y : float, optional
        Widths of the kernels exp(-gamma ||x - x'||^2) on rows and on quantities; by default 1 / median squared
        distance.
    reg : float, default 1e-3
        lambda. A class's share p counts as p / (p + lambda): keep it well below the rarest class's.
    B : float, default 10
        Upper bound of a weight.
    eps : float, optional
        How far the mean weight may be from 1; by default B / (4 sqrt(n_s)), 0.9 at most.
    ridge : float, optional
        rho, for quantities only; by default 0.1 sqrt((1 / n_s + 1 / n_t) / 2), in step with the noise of the means.
    rank : int, None or "auto", default "auto"
        Use a Nystroem approximation of the kernel on rows with so many landmarks: time then grows with the number of
        rows instead of its square. None keeps the kernel exact; "auto" does so up to 10,000 rows a domain and uses 500
        landmarks beyond.
    tol : float, default 1e-6
        Stop when the duality gap is below tol times the objective's size.
    max_iter : int, default 20000
        Stop after so many steps in any case, with a warning.
    check : bool, default True
        With classes, test whether the target looks like the source with other class shares, and warn when it clearly
        does not. There is no such test for quantities.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts when the learner is fitted, where source weights add up to the effective
        size; "balanced" lets them together count as much as all source rows, and each at least 1.
    random_state : int, optional, default 0
        Landmarks and the test of the assumption.

    Attributes
    ----------
    classes_, source_priors_, target_priors_, class_weights_
        Classes, their shares in both domains (those in the target scaled to a sum of 1), and beta; shape (k,) each.
        None for quantities.
    gamma_, gamma_y_, rank_, ridge_
        What was used; gamma_y_ is None for classes.
    objective_, gap_, n_iter_
        Objective reached, without its constant part; no weights are better by more than the gap.
    assumption_ : AssumptionTest or None
    effective_size_ : float

    References
    ----------
    Zhang, Schoelkopf, Muandet, Wang: Domain Adaptation under Target and Conditional Shift. ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ys, yt = rng.normal(0, 1, 1000), rng.normal(1, 0.5, 1000)
    >>> Xs, Xt = ys[:, None] + 0.3 * rng.normal(size=(1000, 2)), yt[:, None] + 0.3 * rng.normal(size=(1000, 2))
    >>> w = MMDTargetShift().weigh(Xs, Xt, ys)
    >>> bool(0.9 < np.average(ys, weights=w) < 1.1)
    True
    """

    needs: ClassVar[Needs] = Needs(target_rows=True)

    def __init__(
        self,
        gamma: float | None = None,
        gamma_y: float | None = None,
        reg: float = 1e-3,
        B: float = 10.0,
        eps: float | None = None,
        ridge: float | None = None,
        rank: int | str | None = "auto",
        tol: float = 1e-6,
        max_iter: int = 20000,
        check: bool = True,
        target_weight: float | str = "balanced",
        random_state: int | None = 0,
    ) -> None:
        self.gamma = gamma
        self.gamma_y = gamma_y
        self.reg = reg
        self.B = B
        self.eps = eps
        self.ridge = ridge
        self.rank = rank
        self.tol = tol
        self.max_iter = max_iter
        self.check = check
        self.target_weight = target_weight
        self.random_state = random_state

    def carry(self, knowledge: Knowledge, target: Domain) -> WeightedRows:
        """Step 3: weigh the source rows, as classes or as quantities according to the target's task."""
        Xs, ys, own = (knowledge.arrays[name] for name in ("X", "y", "weight"))
        weight = self.weigh(Xs, target.X, ys, target.y, task=target.task)
        return WeightedRows(Xs, ys, weight if own is None else own * weight)

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None, task: Task | None = None) -> np.ndarray:
        """Return the weight of each source row, beta(y_i).

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows.
        ys : array of shape (n_s,)
            The source rows' labels.
        yt : array of shape (n_t,), optional
            Not used.
        task : "classification" or "regression", optional
            Whether labels are classes or quantities; read off the labels when not given.

        Returns
        -------
        w : array of shape (n_s,), between 0 and B.

        Raises
        ------
        InputError
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        ys = source_labels("MMDTargetShift", Xs, ys, Xt, yt, classes=task != "regression")
        classes = (task_of(ys) if task is None else task) == "classification"
        # Rows in an order of their own, so that sums and the solver's steps come out alike.
        order = canonical_order(Xs, ys)
        beta = np.empty(len(order))
        beta[order] = self._solve(Xs[order].astype(float), Xt[canonical_order(Xt)].astype(float), ys[order], classes)
        self.assumption_ = (
            checked_assumption("MMDTargetShift", Xs, Xt, ys, self.random_state) if self.check and classes else None
        )
        return self.finished(beta, Xs)

    def test_assumption(self, Xs: Any, Xt: Any, ys: Any) -> AssumptionTest:
        """Test whether the target's rows are distributed as the source's, reweighted by class (not for quantities)."""
        return assumption_test(Xs, Xt, ys, random_state=self.random_state)

    def _solve(self, Xs: Any, Xt: Any, ys: np.ndarray, classes: bool) -> np.ndarray:
        n_s, n_t = Xs.shape[0], Xt.shape[0]
        eps = min(self.B / (4 * np.sqrt(n_s)), MOST_EPS) if self.eps is None else self.eps
        if self.reg <= 0 or (self.ridge is not None and self.ridge <= 0):
            raise InputError("MMDTargetShift: reg and ridge must be above 0")
        if not 0 <= eps < 1 or 1 - eps > self.B:
            raise InputError("MMDTargetShift: eps must be between 0 and 1, and B at least 1 - eps")
        self.gamma_ = median_gamma(Xs, Xt) if self.gamma is None else self.gamma
        self.rank_ = self._rank(max(n_s, n_t))
        self.classes_ = self.gamma_y_ = None
        if classes:
            self.classes_, code = np.unique(ys, return_inverse=True)
            G = np.eye(len(self.classes_))[code]
            self.ridge_ = 0.0
        else:
            column = ys.astype(float)[:, None]
            self.gamma_y_ = median_gamma(column, column) if self.gamma_y is None else self.gamma_y
            G = gaussian_factor(column[:, 0], self.gamma_y_)
            self.ridge_ = float(0.1 * np.sqrt((1 / n_s + 1 / n_t) / 2)) if self.ridge is None else self.ridge
        if self.rank_ is None:
            inner, outer = exact_means(G, Xs, Xt, self.gamma_)
        else:
            inner, outer = landmark_means(G, Xs, Xt, self.gamma_, self.rank_, self.random_state)
        F, kappa = embedded_problem(G, inner, outer, self.reg)
        total = (n_s * (1 - eps), n_s * (1 + eps))
        if classes:
            K = LowRankGram(F, np.zeros(n_s))
            # This solver may stall on the last digit, so it is asked for one more than needed.
            solved = solve_box_sum_qp(K, kappa, self.B, total, tol=0.1 * self.tol, max_iter=self.max_iter)
        else:
            solved = solve_with_ridge(F, kappa, self.ridge_, self.B, total, tol=self.tol, max_iter=self.max_iter)
        beta, self.objective_, self.gap_, self.n_iter_ = solved
        if self.gap_ > self.tol * abs(self.objective_):
            warnings.warn(
                f"MMDTargetShift stopped after {self.n_iter_} iterations with a duality gap of {self.gap_:.2g} "
                f"(objective {self.objective_:.6g}); raise max_iter",
                stacklevel=4,
            )
        self.source_priors_ = self.target_priors_ = self.class_weights_ = None
        if classes:
            # The objective sees class means of beta only, and these respect bounds and sum as well.
            counts = np.bincount(code)
            self.source_priors_ = counts / n_s
            self.class_weights_ = np.clip(np.bincount(code, weights=beta) / counts, 0.0, self.B)
            self.target_priors_ = self.source_priors_ * self.class_weights_
            self.target_priors_ /= self.target_priors_.sum()
            beta = self.class_weights_[code]
        return beta

    def _rank(self, n: int) -> int | None:
        if isinstance(self.rank, str):
            if self.rank != "auto":
                raise InputError(f"MMDTargetShift: rank must be a number, None or 'auto', not {self.rank!r}")
            return AUTO_RANK if n > MOST_EXACT_ROWS else None
        return self.rank


def embedded_problem(G: np.ndarray, inner: np.ndarray, outer: np.ndarray, reg: float) -> tuple[np.ndarray, np.ndarray]:
    """Return F and kappa of the objective |F'beta|^2 / 2 - kappa'beta.

    With L = G G' and A = G'G / n_s, U E_s[beta psi] = Phi G (A + reg I)^-1 G'beta / n_s^2: the objective is
    c'W c / 2 - v'c in c = G'beta / n_s, with W = (A + reg I)^-1 inner (A + reg I)^-1 and v = (A + reg I)^-1 outer.
    """
    n = len(G)
    A = G.T @ G / n + reg * np.eye(G.shape[1])
    W = np.linalg.solve(A, np.linalg.solve(A, inner).T)
    values, vectors = np.linalg.eigh(0.5 * (W + W.T))
    keep = values > values[-1] * len(values) * np.finfo(float).eps
    return G @ (vectors[:, keep] * np.sqrt(values[keep])) / n, G @ np.linalg.solve(A, outer) / n


def solve_with_ridge(
    F: np.ndarray,
    kappa: np.ndarray,
    ridge: float,
    upper: float,
    total: tuple[float, float],
    *,
    tol: float,
    max_iter: int,
) -> tuple[np.ndarray, float, float, int]:
    """Minimise |F'b|^2 / 2 - kappa'b + ridge |b - 1|^2 / (2 n) over 0 <= b <= upper and total[0] <= sum b <= total[1].

    The dual problem has as many variables z as F has columns: given z, the best b is the projection of
    1 + n (kappa - F z) / ridge on the constraints, the dual objective's gradient is F'b - z, and half its square is the
    duality gap. Newton's method on it ends after a few steps, for the projection is piecewise linear (semismooth
    Newton: Qi & Sun, Mathematical Programming 1993).

    Returns
    -------
    b, objective, gap, iterations
    """
    n = len(kappa)
    stiff = n / ridge

    def at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        b = project_box_sum(1.0 + stiff * (kappa - F @ z), upper, total)
        seen = F.T @ b
        return b, seen, float(z @ seen - 0.5 * z @ z - kappa @ b + 0.5 * ((b - 1.0) ** 2).sum() / stiff)

    z = F.sum(axis=0)
    b, seen, dual = at(z)
    for iteration in range(max_iter + 1):
        gap = 0.5 * float((seen - z) @ (seen - z))
        if gap <= tol * abs(dual + gap) or iteration == max_iter:
            break
        free = F[(b > 0) & (b < upper)]
        H = np.eye(len(z)) + stiff * free.T @ free
        if len(free) and min(abs(b.sum() - bound) for bound in total) <= 1e-9 * n:
            H -= stiff * np.outer(free.sum(axis=0), free.sum(axis=0)) / len(free)
        step = np.linalg.solve(H, seen - z)
        slope, length = float((seen - z) @ step), 1.0
        new = at(z + step)
        while new[2] < dual + 1e-4 * length * slope and length > 1e-10:
            length *= 0.5
            new = at(z + length * step)
        z, (b, seen, dual) = z + length * step, new
    return b, dual + gap, gap, iteration


def exact_means(G: np.ndarray, Xs: Any, Xt: Any, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return G'K G / n_s^2 and G'K_st 1 / (n_s n_t), summed in blocks of the kernels."""
    n_s, n_t = Xs.shape[0], Xt.shape[0]
    inner = np.zeros((G.shape[1], G.shape[1]))
    for start in range(0, n_s, BLOCK):
        block = slice(start, start + BLOCK)
        inner += G[block].T @ (rbf(Xs[block], Xs, gamma) @ G)
    return inner / n_s**2, G.T @ rbf_sums(Xs, Xt, gamma) / (n_s * n_t)


def landmark_means(
    G: np.ndarray, Xs: Any, Xt: Any, gamma: float, rank: int, random_state: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `exact_means` does, with kernels that are inner products of Nystroem features."""
    n_s, n_t = Xs.shape[0], Xt.shape[0]
    features = nystroem_map(Xs, Xt, gamma, rank, random_state)
    starts_s, starts_t = range(0, n_s, BLOCK), range(0, n_t, BLOCK)
    mean_s = sum(G[start : start + BLOCK].T @ features(Xs[start : start + BLOCK]) for start in starts_s) / n_s
    mean_t = sum(features(Xt[start : start + BLOCK]).sum(axis=0) for start in starts_t) / n_t
    return mean_s @ mean_s.T, mean_s @ mean_t


def gaussian_factor(y: np.ndarray, gamma: float) -> np.ndarray:
    """Return G of shape (n, r) with G G' = exp(-gamma (y_i - y_j)^2) but for LABEL_LOSS of the trace.

    Cholesky factorisation with diagonal pivoting, column by column; Fine & Scheinberg, JMLR 2001. At most 200 columns
    are taken: what they miss are labels far from all others.

    >>> y = np.linspace(-1, 1, 50)
    >>> G = gaussian_factor(y, 1.0)
    >>> G.shape[1] < 20, np.abs(G @ G.T - rbf(y[:, None], y[:, None], 1.0)).max() < 1e-8
    (True, np.True_)
    """
    most = min(len(y), MOST_LABEL_RANK)
    G, left = np.zeros((len(y), most)), np.ones(len(y))
    for r in range(most):
        if left.sum() <= LABEL_LOSS * len(y):
            return G[:, :r]
        pivot = int(np.argmax(left))
        column = np.exp(-gamma * (y - y[pivot]) ** 2)
        G[:, r] = (column - G[:, :r] @ G[pivot, :r]) / np.sqrt(left[pivot])
        left = np.maximum(left - G[:, r] ** 2, 0.0)
        left[pivot] = 0.0
    return G
