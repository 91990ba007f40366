"""Balanced weighting: a share of the say for the source, a share for the target."""

from functools import partial
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain, stack_labels, stack_rows
from headstart.errors import InputError
from headstart.fitting import fit_learner, held_out_loss
from headstart.method import Family, Knowledge, Needs, RowMethod

#: Balances tried by "cv", from the source alone to the target alone.
BALANCES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class BalancedWeighting(RowMethod):
    r"""Balanced weighting: minimise a mixture of the mean loss on the source and the mean loss on the target.

    .. math:: \min_h\; (1 - g)\,\frac1{n_s}\sum_{i=1}^{n_s} \ell(h(x_i), y_i)
              + g\,\frac1{n_t}\sum_{j=1}^{n_t} \ell(h(x'_j), y'_j)

    over the labelled rows; where rows have weights of their own, the means are weighted. A source row then weighs
    (1 - g) m / n_s and a labelled target row g m / n_t, with the total

    .. math:: m = \Bigl(\frac{(1-g)^2}{n_s} + \frac{g^2}{n_t}\Bigr)^{-1},

    as many rows as such weights are worth, (sum w)^2 / sum w^2. A learner without a penalty does not notice the
    total. One with a penalty does, and this total makes three familiar models exact points of the path, with every
    learner: g = 0 is source-only, g = n_t / (n_s + n_t) is every row alike, g = 1 is target-only. (A constant total
    of n_s + n_t would take the penalty away from a few target rows that are nearly all that counts.)

    Parameters
    ----------
    balance : float or "cv", default "cv"
        g, the target's share, from 0 to 1; "cv" chooses among 0, 0.1, 0.25, 0.5, 0.75, 0.9 and 1 by cross-validation
        within the labelled target rows (Brier score, share of errors or squared error). Of equals it takes the
        largest, for the target's rows are the only ones known to be from the target. A single labelled row can't be
        held out; then every row counts the same.
    folds : int, default 5
        Folds of that cross-validation.
    random_state : int, default 0
        Deals the rows out to the folds.

    Attributes
    ----------
    balance_ : float
        g as used.
    losses_ : dict of float to float
        The cross-validated loss of each balance that was tried; empty where none was.

    References
    ----------
    Wu & Dietterich: Improving SVM Accuracy by Training on Auxiliary Data Sources. ICML 2004.
    Blitzer, Crammer, Kulesza, Pereira, Wortman: Learning Bounds for Domain Adaptation. NIPS 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from headstart import Transfer
    >>> X = np.array([[1.0], [2.0], [1.0], [2.0]])
    >>> y = np.array([1.0, 2.0, 3.0, 6.0])                 # slope 1 at the source, 3 at the target
    >>> domain = ["source", "source", "target", "target"]
    >>> for balance in (0.0, 0.5, 1.0):
    ...     fitted = Transfer(BalancedWeighting(balance), LinearRegression(fit_intercept=False))
    ...     print(fitted.fit(X, y, domain=domain).predict([[1.0]]).round(12))
    [1.]
    [2.]
    [3.]
    """

    family: ClassVar[Family] = Family.INSTANCES
    needs: ClassVar[Needs] = Needs(target_labels=True)

    def __init__(self, balance: float | str = "cv", folds: int = 5, random_state: int = 0) -> None:
        self.balance = balance
        self.folds = folds
        self.random_state = random_state

    def carry(self, knowledge: Knowledge, target: Domain) -> Knowledge:
        """Step 3: the source rows arrive as they are; what they count beside the target's is learned in step 4."""
        return knowledge

    def learn_target(self, carried: Knowledge, target: Domain, learner: Any) -> Any:
        """Step 4: fit the learner on both domains' rows, each domain with its share."""
        Xs, ys, own = (carried.arrays[name] for name in ("X", "y", "weight"))
        self.balance_ = self._balance(Xs, ys, own, target, learner)
        return fit_balanced(learner, Xs, ys, own, target, self.balance_)

    def _balance(self, Xs: Any, ys: np.ndarray, own: np.ndarray | None, target: Domain, learner: Any) -> float:
        self.losses_: dict[float, float] = {}
        if not isinstance(self.balance, str):
            if not 0 <= self.balance <= 1:
                raise InputError(f"BalancedWeighting: balance must be from 0 to 1, not {self.balance}")
            return float(self.balance)
        if self.balance != "cv":
            raise InputError(f"BalancedWeighting: balance must be a number or 'cv', not {self.balance!r}")
        if target.n_labelled < 2:
            return 1 / (len(ys) + 1)
        for g in BALANCES:
            fit = partial(fit_balanced, learner, Xs, ys, own, balance=g)
            self.losses_[g] = held_out_loss(fit, target, self.folds, self.random_state)
        return min(BALANCES, key=lambda g: (self.losses_[g], -g))


def fit_balanced(learner: Any, Xs: Any, ys: np.ndarray, own: np.ndarray | None, target: Domain, balance: float) -> Any:
    """Fit the learner on source rows and labelled target rows with the shares 1 - balance and balance."""
    labelled = target.labelled_rows()
    if balance == 0:
        return fit_learner(learner, Xs, ys, own)
    if balance == 1:
        return fit_learner(learner, labelled.X, labelled.labels, labelled.weight)
    ws = np.ones(len(ys)) if own is None else own
    wt = np.ones(len(labelled)) if labelled.weight is None else labelled.weight
    X = stack_rows([Xs, labelled.X])
    y = stack_labels([ys, labelled.labels], [len(ys), len(labelled)])
    return fit_learner(learner, X, np.asarray(y), np.concatenate(balanced_weights(ws, wt, balance)))


def balanced_weights(ws: np.ndarray, wt: np.ndarray, g: float) -> tuple[np.ndarray, np.ndarray]:
    """Scale the rows' own weights so that the source has the share 1 - g of the total and the target the share g.

    The total, 1 / ((1 - g)^2 / sum ws + g^2 / sum wt), leaves the weights as they are at g = 0 (the source's), at
    g = 1 (the target's) and at g = sum wt / (sum ws + sum wt) (both).

    >>> balanced_weights(np.ones(3), np.ones(1), 0.25)
    (array([1., 1., 1.]), array([1.]))
    >>> balanced_weights(np.ones(4), np.ones(2), 0.5)
    (array([0.66666667, 0.66666667, 0.66666667, 0.66666667]), array([1.33333333, 1.33333333]))
    """
    a, b = ws.sum(), wt.sum()
    below = (1 - g) ** 2 * b + g**2 * a
    return (1 - g) * b / below * ws, g * a / below * wt
