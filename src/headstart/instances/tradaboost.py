"""TrAdaBoost."""

import warnings
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.fitting import as_worth, fit_learner
from headstart.instances.boosting import (
    BothDomains,
    SourceRows,
    TransferBoosting,
    WeightedVote,
    class_losses,
    round_beta,
    source_beta,
    vote_weights,
)
from headstart.method import Needs


class TrAdaBoost(TransferBoosting):
    r"""TrAdaBoost: boost on both domains; target rows that are learned badly rise, such source rows fall.

    In each of :math:`N` rounds the learner is fitted on all rows with weights :math:`w`; its error on the target is

    .. math:: \varepsilon_t = \frac{\sum_{i \in T} w_i\,|h_t(x_i) - c(x_i)|}{\sum_{i \in T} w_i},\qquad
              \beta_t = \frac{\varepsilon_t}{1 - \varepsilon_t},\qquad \beta = \frac1{1 + \sqrt{2 \ln n_s / N}}

    Then :math:`w_i \leftarrow w_i\,\beta^{|h_t(x_i) - c(x_i)|}` for source rows and
    :math:`w_i \leftarrow w_i\,\beta_t^{-|h_t(x_i) - c(x_i)|}` for target rows. Rounds :math:`\lceil N/2 \rceil` to
    :math:`N` vote, each with weight :math:`\ln(1/\beta_t)`.

    With :math:`k` classes guessing errs in :math:`(k-1)/k` of the rows, so, as in SAMME,
    :math:`\beta_t = \varepsilon_t / ((1 - \varepsilon_t)(k - 1))`; for two classes that is the paper's. The paper asks
    for :math:`\varepsilon_t < 1/2`; here boosting goes on with :math:`\varepsilon_t` counted as 0.98 of the error of
    guessing at most (and as 1e-6 at least), so that a useless round has hardly any say, and a faultless one no
    infinite one. The learner sees weights with the total that they are worth in rows, (sum w)^2 / sum w^2, so that its
    own penalties mean what they mean elsewhere.

    Parameters
    ----------
    n_rounds : int, default 10
        Rounds of boosting, N.
    soft : bool, default True
        :math:`|h_t(x) - c(x)|` is 1 minus the probability of the true class, where the learner gives probabilities,
        and votes are shared out by probability. The paper has :math:`h_t` with values in [0, 1] and states its bounds
        for such losses. With False, or a learner without probabilities, a row is right or wrong; then the target's
        weights stand still once the learner gets all its few rows right, and nearly so when it finds the same
        hypothesis again (its error is 1/2 the second time).
    target_weight : float or "balanced", default 1
        What a target row weighs in the first round beside a source row; the rows' own weights multiply that. The
        paper leaves the first weights to the user; 1 makes them equal, "balanced" gives both domains the same total.

    Attributes
    ----------
    errors_, betas_ : arrays of shape (N,)
        Each round's error on the target, and beta_t.
    beta_ : float
        The factor of a source row that a round gets wrong.
    corrections_ : array of shape (N,)
        A further factor of all source rows in each round: 1 here, see `DynamicTrAdaBoost`.
    source_weights_ : array of shape (n_s,)
        Weights of the source rows after the last round, where rows of both domains weigh 1 on average.
    effective_size_ : float
        (sum w)^2 / sum w^2 of these.

    References
    ----------
    Dai, Yang, Xue, Yu: Boosting for Transfer Learning. ICML 2007.
    Zhu, Zou, Rosset, Hastie: Multi-class AdaBoost. Statistics and Its Interface 2, 2009.

    Examples
    --------
    Source rows right of 0.5 have the wrong labels; they lose their weight.

    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from headstart import Transfer
    >>> x = np.linspace(-1, 1, 200)
    >>> X = np.append(x, x[::8])[:, None]
    >>> y = np.append((x > 0) & (x < 0.5), x[::8] > 0).astype(int)
    >>> domain = np.repeat(["source", "target"], [200, 25])
    >>> stump = DecisionTreeClassifier(max_depth=1, random_state=0)
    >>> fitted = Transfer(TrAdaBoost(), stump).fit(X, y, domain=domain)
    >>> fitted.predict([[-0.7], [0.2], [0.9]])
    array([0, 1, 1])
    >>> w = fitted.method_.source_weights_
    >>> bool(w[x > 0.5].max() < 0.1 * w[x < 0.5].min())
    True
    """

    needs: ClassVar[Needs] = Needs(target_labels=True, tasks=("classification",))

    def __init__(self, n_rounds: int = 10, soft: bool = True, target_weight: float | str = 1.0) -> None:
        self.n_rounds = n_rounds
        self.soft = soft
        self.target_weight = target_weight

    def learn_target(self, carried: SourceRows, target: Domain, learner: Any) -> WeightedVote:
        """Step 4: boost the learner on the source rows and the labelled target rows."""
        both = self.stacked(carried, target)
        classes, at = np.unique(both.y, return_inverse=True)
        k, n_s, w = max(len(classes), 2), both.n_source, both.weight
        models, errors, betas, corrections = [], [], [], []
        self.beta_ = source_beta(n_s, self.n_rounds)
        for _ in range(self.n_rounds):
            w = w / w.mean()
            h = self.hypothesis(learner, both, w, classes, at)
            loss = class_losses(h, both.X, at, classes, self.soft)
            error = float(np.average(loss[n_s:], weights=w[n_s:]))
            beta_t = round_beta(error, k)
            rise = beta_t ** -loss[n_s:]
            correction = self.correction(rise, w[n_s:])
            w = w * np.concatenate([correction * self.beta_ ** loss[:n_s], rise])
            models.append(h)
            errors.append(error)
            betas.append(beta_t)
            corrections.append(correction)
        self.errors_, self.betas_, self.corrections_ = np.array(errors), np.array(betas), np.array(corrections)
        self.surviving(w, both)
        first = self.first_voter() - 1
        if self.errors_.min() >= (k - 1) / k:
            warnings.warn(
                f"{type(self).__name__}: no round did better than guessing on the target's rows (least error "
                f"{self.errors_.min():.2f}): the source misleads; raise target_weight, or leave the source out",
                stacklevel=2,
            )
        return WeightedVote(models[first:], vote_weights(betas[first:]), classes, self.soft)

    def hypothesis(self, learner: Any, both: BothDomains, w: np.ndarray, classes: np.ndarray, at: np.ndarray) -> Any:
        """Return h_t: the learner, fitted on all rows."""
        return fit_learner(learner, both.X, both.y, as_worth(w))

    def correction(self, rise: np.ndarray, wt: np.ndarray) -> float:
        """Return what the source's weights are multiplied by beside the powers of beta: nothing here."""
        return 1.0

    def first_voter(self) -> int:
        """Return the first round that votes, counted from 1."""
        return -(-self.n_rounds // 2)
