"""How well a classifier tells the domains apart on rows that it has not seen: as an AUC, and as a distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from headstart.domain import stack_rows
from headstart.draws import folds, pick
from headstart.evidence.measured import Measured, beside_chance, two_samples

#: Rows of each domain that a classifier looks at.
MOST_ROWS = 2000
#: With fewer rows of a domain there is nothing to learn from and test on.
LEAST_ROWS = 4


def classifier_two_sample_test(Xs: Any, Xt: Any, permutations: int = 999, random_state: int = 0) -> Measured:
    """Return the AUC with which a classifier tells source rows from target rows, and its permutation p-value.

    A random forest is fitted on a random half of the rows and scored on the other half. Given the forest, the
    domains of the held-out rows are exchangeable when there is no shift, so the p-value is the share of
    permutations of them (the identity included) with an AUC at least as high: exact, without refitting.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
        At most 2,000 rows of each are looked at. With fewer than four rows the answer is 0.5, p = 1.

    Raises
    ------
    InputError
        When the samples differ in columns.

    References
    ----------
    Lopez-Paz & Oquab: Revisiting Classifier Two-Sample Tests. ICLR 2017.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> far = classifier_two_sample_test(rng.normal(0, 1, (100, 2)), rng.normal(2, 1, (100, 2)))
    >>> far.value > 0.9, far.p
    (True, 0.001)
    """
    forest = RandomForestClassifier(200, min_samples_leaf=3, class_weight="balanced", random_state=random_state)
    halves = _halves(Xs, Xt, "classifier_two_sample_test", random_state)
    if halves is None:
        return Measured(0.5, 1.0, "too few rows to learn from and test on", 0.5)
    X, z, held_X, held = halves
    score = forest.fit(X, z).predict_proba(held_X)[:, 1]
    # The AUC is the rank sum of the target rows, so a permutation is one sum.
    ranks, n_t = np.asarray(rankdata(score)), int(held.sum())
    rng = np.random.default_rng(random_state)
    sums = np.array([ranks[rng.permutation(len(ranks))[:n_t]].sum() for _ in range(permutations)])
    chance = (sums - n_t * (n_t + 1) / 2) / (n_t * (len(held) - n_t))
    how = f"a forest of 200 trees, {len(z)} rows learned, {len(held)} held out, {permutations} permutations"
    return beside_chance(float(roc_auc_score(held, score)), chance, how)


def proxy_a_distance(
    Xs: Any, Xt: Any, *, classifier: Any = None, permutations: int = 999, random_state: int = 0
) -> Measured:
    r"""Return the proxy A-distance: how much better than a coin a classifier tells the domains of held-out rows.

    .. math:: \hat{d}_A = 2 (1 - 2 \epsilon)

    with the balanced error :math:`\epsilon`, the mean of both domains' errors, on the half of the rows that the
    classifier did not see. 2 when the domains are always told apart. Without a shift it is around 0 and may be
    negative; reckoned on the rows learned from, as is often done, it would be far above 0 when there are many
    columns. `noise` says what chance alone gives, and the p-value is that of permuted held-out domains.

    Parameters
    ----------
    Xs, Xt : array or sparse matrix of shape (n_s, d) and (n_t, d)
        At most 2,000 rows of each are looked at. With fewer than four rows the answer is 0, p = 1.
    classifier : scikit-learn classifier, optional
        By default logistic regression with balanced classes. The distance is that of its family of functions.

    Raises
    ------
    InputError
        When the samples differ in columns.

    References
    ----------
    Ben-David, Blitzer, Crammer, Pereira: Analysis of Representations for Domain Adaptation. NIPS 2006.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> proxy_a_distance(rng.normal(0, 1, (400, 2)), rng.normal(9, 1, (400, 2))).value
    2.0
    """
    halves = _halves(Xs, Xt, "proxy_a_distance", random_state)
    if halves is None:
        return Measured(0.0, 1.0, "too few rows to learn from and test on", 0.0)
    X, z, held_X, held = halves
    if classifier is None:
        classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    said = clone(classifier).fit(X, z).predict(held_X) == 1
    n_t, n_s = int(held.sum()), int((held == 0).sum())
    # Target rows called target, among all that are: a permutation draws them, which is one hypergeometric number.
    rng = np.random.default_rng(random_state)
    hits = rng.hypergeometric(int(said.sum()), int((~said).sum()), n_t, permutations)

    def distance(hit: Any) -> Any:
        return 2 * (hit / n_t + 1 - (int(said.sum()) - hit) / n_s) - 2

    how = f"{type(classifier).__name__}, {len(z)} rows learned, {len(held)} held out, {permutations} permutations"
    return beside_chance(float(distance(int(said[held == 1].sum()))), distance(hits), how)


def _halves(Xs: Any, Xt: Any, name: str, random_state: int) -> tuple[Any, np.ndarray, Any, np.ndarray] | None:
    """Return rows and domains (0 source, 1 target) to learn from, and those held out; None with too few rows.

    Halves hang on the contents of the rows and on chance, not on their order.
    """
    Xs, Xt = two_samples(Xs, Xt, name, least=1)
    if min(Xs.shape[0], Xt.shape[0]) < LEAST_ROWS:
        return None
    # Each domain draws for itself: with the same draws, rows of like rank would fall into like halves, and the
    # held-out domains would no longer be exchangeable.
    Xs, Xt = (X[pick(X, MOST_ROWS, [random_state, domain])] for domain, X in enumerate((Xs, Xt)))
    half = [folds(X, 2, [random_state, domain]) for domain, X in enumerate((Xs, Xt))]
    blocks = []
    for part in (0, 1):
        rows = [X[of_row == part] for X, of_row in zip((Xs, Xt), half, strict=True)]
        blocks += [stack_rows(rows), np.repeat([0, 1], [block.shape[0] for block in rows])]
    return blocks[0], blocks[1], blocks[2], blocks[3]
