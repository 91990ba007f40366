"""TrAdaBoost with dynamic updates."""

import numpy as np

from headstart.instances.tradaboost import TrAdaBoost


class DynamicTrAdaBoost(TrAdaBoost):
    r"""TrAdaBoost whose source rows don't lose weight merely because the target's rows gain it.

    In TrAdaBoost a round multiplies the target's total weight by
    :math:`(1 - \varepsilon_t) + \varepsilon_t / \beta_t = 2 (1 - \varepsilon_t)`, so that, after normalising, even
    source rows that are always right fade away. Here they are multiplied by the same factor:

    .. math:: w_i \leftarrow w_i\,C_t\,\beta^{|h_t(x_i) - c(x_i)|},\qquad C_t = 2 (1 - \varepsilon_t)

    A source row loses weight beside the target only by being wrong. With :math:`k` classes the same sum is
    :math:`(1 - \varepsilon_t) + \varepsilon_t (1 - \varepsilon_t)(k - 1) / \varepsilon_t = k (1 - \varepsilon_t)`.
    Where losses are soft, or :math:`\varepsilon_t` had to be moved away from zero, neither formula is the target's
    factor any more; :math:`C_t` is then computed as what it stands for,
    :math:`\sum_{i \in T} w_i \beta_t^{-|h_t(x_i) - c(x_i)|} / \sum_{i \in T} w_i`, which is the formula in all other
    cases.

    Parameters
    ----------
    n_rounds : int, default 10
        Rounds of boosting, N.
    soft : bool, default True
        Whether losses and votes follow the learner's probabilities, as in `TrAdaBoost`; with False a row is right or
        wrong, as in the paper.
    target_weight : float or "balanced", default 1
        What a target row weighs in the first round beside a source row; "balanced" gives both domains the same total.

    Attributes
    ----------
    corrections_ : array of shape (N,)
        C_t of each round.
    errors_, betas_, beta_, source_weights_, effective_size_
        As in `TrAdaBoost`.

    References
    ----------
    Al-Stouhi, Reddy: Adaptive Boosting for Transfer Learning Using Dynamic Updates. ECML PKDD 2011.

    Examples
    --------
    The source is right everywhere, the target has one wrong label: source rows keep their weight, here at least.

    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from headstart import Transfer
    >>> from headstart.instances.tradaboost import TrAdaBoost
    >>> x = np.linspace(-1, 1, 20)
    >>> X = np.append(x, x[::2])[:, None]
    >>> y = np.append(x > 0, x[::2] > 0).astype(int)
    >>> y[20] = 1
    >>> domain = np.repeat(["source", "target"], [20, 10])
    >>> stump = DecisionTreeClassifier(max_depth=1, random_state=0)
    >>> for method in (TrAdaBoost(1, soft=False), DynamicTrAdaBoost(1, soft=False)):
    ...     fitted = Transfer(method, stump).fit(X, y, domain=domain)
    ...     print(fitted.method_.source_weights_.mean().round(2))
    0.79
    1.0
    """

    def correction(self, rise: np.ndarray, wt: np.ndarray) -> float:
        """Return C_t, the factor by which the target's total weight grows."""
        return float(np.average(rise, weights=wt))
