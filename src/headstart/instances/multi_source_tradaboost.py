"""TrAdaBoost with several sources."""

from typing import Any

import numpy as np

from headstart.domain import Domain
from headstart.fitting import as_worth, fit_learner
from headstart.instances.boosting import BothDomains, SourceRows, WeightedVote, class_losses
from headstart.instances.tradaboost import TrAdaBoost


class MultiSourceTrAdaBoost(TrAdaBoost):
    r"""TrAdaBoost that asks in every round anew which of several sources helps the target most.

    A round fits one candidate :math:`h_t^k` on each source :math:`S_k` together with the target and keeps the one with
    the least error on the target, :math:`\varepsilon_t = \min_k \varepsilon_t^k`. With

    .. math:: \alpha_t = \tfrac12 \ln\frac{1 - \varepsilon_t}{\varepsilon_t},\qquad
              \alpha_S = \tfrac12 \ln\Bigl(1 + \sqrt{2 \ln n_S / N}\Bigr)

    (:math:`n_S` rows of all sources, :math:`N` rounds, labels -1 and 1) rows change by

    .. math:: w_i \leftarrow w_i\,e^{-\alpha_S |h_t(x_i) - y_i|} \text{ (all sources)},\qquad
              w_i \leftarrow w_i\,e^{\alpha_t |h_t(x_i) - y_i|} \text{ (target)}

    and all rounds vote, :math:`\mathrm{sign} \sum_t \alpha_t h_t(x)`. Since :math:`|h - y|` is 0 or 2, these are the
    updates of `TrAdaBoost`, with :math:`\beta = e^{-2\alpha_S}` and :math:`\beta_t = e^{-2\alpha_t}`, and are
    generalised to more classes, and to probabilities, as there. Where candidates err alike, the source that comes
    first by name is kept. A bad source's rows fall even while it is not chosen; once they weigh next to nothing its
    candidate learns from the target alone, and may be chosen in late rounds as that. With one source this is
    TrAdaBoost in which all rounds vote.

    Parameters
    ----------
    n_rounds : int, default 10
        Rounds of boosting, N.
    soft : bool, default True
        Whether losses and votes follow the learner's probabilities, as in `TrAdaBoost`; with False a row is right or
        wrong, as in the paper.
    target_weight : float or "balanced", default 1
        What a target row weighs in the first round beside a source row; "balanced" gives the target the same total as
        all sources together.

    Attributes
    ----------
    chosen_sources_ : array of str of shape (N,)
        The source kept in each round ("source", where there is one without a name).
    errors_, betas_, beta_, source_weights_, effective_size_
        As in `TrAdaBoost`; the source rows are in the order in which they came.

    References
    ----------
    Yao, Doretto: Boosting for Transfer Learning with Multiple Sources. CVPR 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from headstart import Transfer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(420, 2))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> y[:200] = 1 - y[:200]                                  # the first source has it all wrong
    >>> domain = np.repeat(["contrary", "friendly", "target"], [200, 200, 20])
    >>> fitted = Transfer(MultiSourceTrAdaBoost(5), LogisticRegression()).fit(X, y, domain=domain)
    >>> fitted.method_.chosen_sources_.tolist()
    ['friendly', 'friendly', 'friendly', 'friendly', 'friendly']
    """

    def learn_target(self, carried: SourceRows, target: Domain, learner: Any) -> WeightedVote:
        """Step 4: boost the learner on the sources' rows and the labelled target rows."""
        self.chosen_sources_: Any = []
        vote = super().learn_target(carried, target, learner)
        self.chosen_sources_ = np.array(self.chosen_sources_)
        return vote

    def hypothesis(self, learner: Any, both: BothDomains, w: np.ndarray, classes: np.ndarray, at: np.ndarray) -> Any:
        """Return h_t: the candidate of the source that serves the target best."""
        n_s = both.n_source
        Xt, wt = both.X[n_s:], w[n_s:]
        least = np.inf
        for name, (positions, X, y) in both.by_source.items():
            candidate = fit_learner(learner, X, y, as_worth(w[positions]))
            error = np.average(class_losses(candidate, Xt, at[n_s:], classes, self.soft), weights=wt)
            if error < least:
                best, chosen, least = candidate, name, error
        self.chosen_sources_.append(chosen)
        return best

    def first_voter(self) -> int:
        """Return the first round that votes, counted from 1: all do."""
        return 1
