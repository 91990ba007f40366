"""Two-stage TrAdaBoost for regression."""

import warnings
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain, take
from headstart.draws import folds
from headstart.errors import InputError
from headstart.fitting import as_worth, fit_learner
from headstart.instances.boosting import (
    BothDomains,
    SourceRows,
    TransferBoosting,
    WeightedMedian,
    adjusted_errors,
    require_loss,
    round_beta,
    vote_weights,
)
from headstart.method import Needs

#: -ln(beta) at which every row with an error has fallen to nothing.
MOST_FALL = 2.0**60


class TwoStageTrAdaBoostR2(TransferBoosting):
    r"""Two-stage TrAdaBoost for regression: the source gives way step by step; the target's rows say how far.

    In `TrAdaBoostR2` source rows fall and target rows rise at once, and soon a few hard target rows have all the
    weight. Here the two are kept apart. For each of :math:`S` steps :math:`t`

    1. AdaBoost.R2' makes a model of the weights :math:`w^t`: AdaBoost.R2 on all rows, in which source rows keep their
       weight and target rows share theirs out anew in each round (:math:`w_i \leftarrow w_i \beta^{1 - e_i}`, scaled
       to the same total). Its error is cross-validated over the target's rows.
    2. The learner is fitted once with :math:`w^t`; with its errors :math:`e_i = |y_i - h_t(x_i)| / D`, source weights
       become :math:`w_i \beta_t^{e_i}`, where :math:`\beta_t` is such that the target's share of the weight is

    .. math:: \frac{m}{n + m} + \frac{t}{S - 1} \Bigl(1 - \frac{m}{n + m}\Bigr)

    (:math:`n` source and :math:`m` target rows; with weights or `target_weight`, the target's share at the start
    stands for :math:`m/(n+m)`). In the last step the source has no weight left. The model of the step with the least
    cross-validated error is the answer, and predicts by its rounds' weighted median.

    Parameters
    ----------
    n_steps : int, default 6
        Steps from both domains to the target alone, S.
    n_rounds : int, default 5
        Rounds of AdaBoost.R2', N. In all, the learner is fitted about S * N * (folds + 1) times.
    loss : {"linear", "square", "exponential"}, default "linear"
        With :math:`a = |y_i - h_t(x_i)| / D`, :math:`e_i` is :math:`a`, :math:`a^2` or :math:`1 - e^{-a}`.
    folds : int, default 5
        Folds of the cross-validation; the target's share is kept while a fold is held out.
    target_weight : float or "balanced", default 1
        What a target row weighs in the first step beside a source row; the rows' own weights multiply that.
        "balanced" gives both domains the same total.
    random_state : int, default 0
        Which target rows form the folds.

    Attributes
    ----------
    step_ : int
        The chosen step, counted from 1.
    step_errors_ : array of shape (S,)
        Cross-validated mean squared error of each step.
    target_shares_ : array of shape (S,)
        The target's share of the weight in each step.
    errors_, betas_ : arrays of shape (rounds,)
        Error and beta of each round of the chosen model.
    source_weights_ : array of shape (n_s,)
        Weights of the source rows in the chosen step, where rows of both domains weigh 1 on average.
    effective_size_ : float
        (sum w)^2 / sum w^2 of these; 0 when the last step was chosen.

    References
    ----------
    Pardoe, Stone: Boosting for Regression Transfer. ICML 2010.
    Drucker: Improving Regressors Using Boosting Techniques. ICML 1997.

    Examples
    --------
    The source tells of another slope; it is found out that it should count little.

    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from headstart import Transfer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(230, 1))
    >>> y = np.append(-X[:200, 0], X[200:, 0]) + 0.1 * rng.normal(size=230)
    >>> domain = np.repeat(["source", "target"], [200, 30])
    >>> method = TwoStageTrAdaBoostR2(n_steps=5, n_rounds=5, random_state=0)
    >>> fitted = Transfer(method, Ridge()).fit(X, y, domain=domain)
    >>> fitted.method_.step_, fitted.method_.target_shares_.round(2)
    (4, array([0.13, 0.35, 0.57, 0.78, 1.  ]))
    >>> fitted.predict([[2.0]]).round(1)
    array([1.9])
    """

    needs: ClassVar[Needs] = Needs(target_labels=True, tasks=("regression",))

    def __init__(
        self,
        n_steps: int = 6,
        n_rounds: int = 5,
        loss: str = "linear",
        folds: int = 5,
        target_weight: float | str = 1.0,
        random_state: int | None = 0,
    ) -> None:
        self.n_steps = n_steps
        self.n_rounds = n_rounds
        self.loss = loss
        self.folds = folds
        self.target_weight = target_weight
        self.random_state = random_state

    def learn_target(self, carried: SourceRows, target: Domain, learner: Any) -> WeightedMedian:
        """Step 4: find how much the source may count, then boost the learner on both domains with such weights."""
        require_loss("TwoStageTrAdaBoostR2", self.loss)
        for name, value, least in (("n_steps", self.n_steps, 1), ("folds", self.folds, 2)):
            if value < least:
                raise InputError(f"TwoStageTrAdaBoostR2: {name} must be {least} or more, not {value}")
        both = self.stacked(carried, target)
        w = both.weight / both.weight.sum()
        start = float(w[both.n_source :].sum())
        self.target_shares_ = np.linspace(start, 1.0, self.n_steps)
        steps = [w]
        for share in self.target_shares_[1:]:
            h = fit_learner(learner, both.X, both.y, as_worth(steps[-1]))
            e = adjusted_errors(both.y - h.predict(both.X), self.loss)
            steps.append(with_target_share(steps[-1], e[: both.n_source], float(share)))
        self.step_errors_ = self._step_errors(learner, both, steps)
        best = int(np.argmin(self.step_errors_))
        self.step_ = best + 1
        model, self.errors_, self.betas_ = adaboost_r2_frozen(learner, both, steps[best], self.n_rounds, self.loss)
        self.surviving(steps[best], both)
        return model

    def _step_errors(self, learner: Any, both: BothDomains, steps: list[np.ndarray]) -> np.ndarray:
        n_s, n = both.n_source, len(both.y)
        if n - n_s == 1:
            warnings.warn(
                "TwoStageTrAdaBoostR2: one labelled target row can't be held out, so the source keeps its weight",
                stacklevel=3,
            )
            return np.zeros(len(steps))
        of_row = folds(both.X[n_s:], self.folds, self.random_state)
        squared = np.empty((len(steps), n - n_s))
        for fold in range(int(of_row.max()) + 1):
            held = np.append(np.zeros(n_s, dtype=bool), of_row == fold)
            for step, w in enumerate(steps):
                left = np.where(held, 0.0, w)
                left[n_s:] *= w[n_s:].sum() / left[n_s:].sum()
                model, *_ = adaboost_r2_frozen(learner, both, left, self.n_rounds, self.loss)
                squared[step, of_row == fold] = (model.predict(both.X[held]) - both.y[held]) ** 2
        return np.average(squared, axis=1, weights=both.weight[n_s:])


def adaboost_r2_frozen(
    learner: Any, both: BothDomains, w: np.ndarray, n_rounds: int, loss: str
) -> tuple[WeightedMedian, np.ndarray, np.ndarray]:
    """Boost by AdaBoost.R2', in which source rows keep their weight; return the model, errors and betas.

    Rows of weight zero take no part. Boosting stops before a round with an error of 0.5 or more, save the first.
    """
    rows = np.flatnonzero(w)
    X, y, w = (both.X, both.y, w) if len(rows) == len(w) else (take(both.X, rows), both.y[rows], w[rows])
    n_s = int((rows < both.n_source).sum())
    total = w[n_s:].sum()
    models: list[Any] = []
    errors, betas = [], []
    for _ in range(n_rounds):
        h = fit_learner(learner, X, y, as_worth(w))
        e = adjusted_errors(y - h.predict(X), loss)
        error = float(np.average(e, weights=w))
        if error >= 0.5 and models:
            break
        beta_t = round_beta(error)
        raised = w[n_s:] * beta_t ** (1 - e[n_s:])
        w = np.concatenate([w[:n_s], raised * (total / raised.sum())])
        models.append(h)
        errors.append(error)
        betas.append(beta_t)
    return WeightedMedian(models, vote_weights(betas)), np.array(errors), np.array(betas)


def with_target_share(w: np.ndarray, e: np.ndarray, share: float) -> np.ndarray:
    """Return weights that sum to 1, of which the target has `share`, with source weights times beta^e.

    `e` are the errors of the source rows, which come first; beta is found by bisection of -ln(beta). Where rows
    without error weigh more than the source may, no beta does; they alone stay, scaled to what is left.
    """
    n_s = len(e)
    ws, wt = w[:n_s], w[n_s:] * (share / w[n_s:].sum())
    if share == 1:
        return np.concatenate([np.zeros(n_s), wt])
    goal = 1 - share
    ws = ws * (share / w[n_s:].sum())
    low, high = 0.0, 1.0
    while ws @ np.exp(-high * e) > goal and high < MOST_FALL:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if ws @ np.exp(-middle * e) > goal else (low, middle)
    fallen = ws * np.exp(-low * e)
    return np.concatenate([fallen * (goal / fallen.sum()), wt])
