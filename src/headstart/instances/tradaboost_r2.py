"""TrAdaBoost for regression."""

import warnings
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.fitting import as_worth, fit_learner
from headstart.instances.boosting import (
    SourceRows,
    TransferBoosting,
    WeightedMedian,
    adjusted_errors,
    require_loss,
    round_beta,
    source_beta,
    vote_weights,
)
from headstart.method import Needs


class TrAdaBoostR2(TransferBoosting):
    r"""TrAdaBoost for regression: rows rise and fall by their error relative to the largest one.

    In each of :math:`N` rounds the learner is fitted on all rows with weights :math:`w`. With :math:`D` the largest
    error of any row,

    .. math:: e_i = |y_i - h_t(x_i)| / D,\qquad
              \varepsilon_t = \frac{\sum_{i \in T} w_i e_i}{\sum_{i \in T} w_i},\qquad
              \beta_t = \frac{\varepsilon_t}{1 - \varepsilon_t},\qquad \beta = \frac1{1 + \sqrt{2 \ln n_s / N}}

    and :math:`w_i \leftarrow w_i\,\beta^{e_i}` for source rows, :math:`w_i \leftarrow w_i\,\beta_t^{-e_i}` for target
    rows. Boosting stops before a round with :math:`\varepsilon_t \ge 1/2`; the first is kept in any case, with hardly
    any say when others follow. The prediction is the weighted median of the second half of the rounds, with weights
    :math:`\ln(1/\beta_t)`.

    Parameters
    ----------
    n_rounds : int, default 10
        Rounds of boosting, N.
    loss : {"linear", "square", "exponential"}, default "linear"
        With :math:`a = |y_i - h_t(x_i)| / D`, :math:`e_i` is :math:`a`, :math:`a^2` or :math:`1 - e^{-a}`.
    target_weight : float or "balanced", default 1
        What a target row weighs in the first round beside a source row; the rows' own weights multiply that.
        "balanced" gives both domains the same total.

    Attributes
    ----------
    errors_, betas_ : arrays of shape (rounds,)
        Each kept round's error on the target, and beta_t.
    beta_ : float
        The factor of the source row with the largest error.
    source_weights_ : array of shape (n_s,)
        Weights of the source rows after the last round, where rows of both domains weigh 1 on average.
    effective_size_ : float
        (sum w)^2 / sum w^2 of these.

    References
    ----------
    Pardoe, Stone: Boosting for Regression Transfer. ICML 2010.
    Drucker: Improving Regressors Using Boosting Techniques. ICML 1997.

    Examples
    --------
    Source rows right of 0 tell of another line; they lose weight.

    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from headstart import Transfer
    >>> x = np.linspace(-1, 1, 101)
    >>> X = np.append(x, x[::5])[:, None]
    >>> y = np.append(np.abs(x), x[::5])
    >>> domain = np.repeat(["source", "target"], [101, 21])
    >>> learner = DecisionTreeRegressor(max_depth=3, random_state=0)
    >>> fitted = Transfer(TrAdaBoostR2(20), learner).fit(X, y, domain=domain)
    >>> w = fitted.method_.source_weights_
    >>> bool(w[x < -0.5].mean() < 0.5 * w[x > 0.5].mean())
    True
    """

    needs: ClassVar[Needs] = Needs(target_labels=True, tasks=("regression",))

    def __init__(self, n_rounds: int = 10, loss: str = "linear", target_weight: float | str = 1.0) -> None:
        self.n_rounds = n_rounds
        self.loss = loss
        self.target_weight = target_weight

    def learn_target(self, carried: SourceRows, target: Domain, learner: Any) -> WeightedMedian:
        """Step 4: boost the learner on the source rows and the labelled target rows."""
        require_loss(type(self).__name__, self.loss)
        both = self.stacked(carried, target)
        n_s, w = both.n_source, both.weight
        models: list[Any] = []
        errors, betas = [], []
        self.beta_ = source_beta(n_s, self.n_rounds)
        for _ in range(self.n_rounds):
            w = w / w.mean()
            h = fit_learner(learner, both.X, both.y, as_worth(w))
            e = adjusted_errors(both.y - h.predict(both.X), self.loss)
            error = float(np.average(e[n_s:], weights=w[n_s:]))
            if error >= 0.5 and models:
                break
            beta_t = round_beta(error)
            w = w * np.concatenate([self.beta_ ** e[:n_s], beta_t ** -e[n_s:]])
            models.append(h)
            errors.append(error)
            betas.append(beta_t)
        self.errors_, self.betas_ = np.array(errors), np.array(betas)
        self.surviving(w, both)
        if errors[-1] >= 0.5:
            warnings.warn(
                f"TrAdaBoostR2: the first rounds err by half the largest error and more on the target's rows "
                f"({errors[0]:.2f}), so boosting stops: the source misleads; raise target_weight, or leave it out",
                stacklevel=2,
            )
        first = -(-len(models) // 2) - 1
        return WeightedMedian(models[first:], vote_weights(betas[first:]))
