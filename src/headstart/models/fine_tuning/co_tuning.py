"""Co-Tuning: the old head is tuned together with the new one, on what the new classes are among the old."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.draws import folds
from headstart.errors import InputError, unknown_name
from headstart.mapping.label_maps import LabelMap, fit_classes
from headstart.models.fine_tuning.fine_tune import FineTune

KINDS = ("direct", "reverse")
#: Penalties tried for the reverse way, the strongest first, and temperatures tried by "auto", the plain one first.
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
TEMPERATURES = (1.0, 0.8, 1.25, 0.65, 1.6, 0.5, 2.0, 2.5, 3.2, 4.0)
#: Rounds of expectation and maximisation; a rough map is enough to compare temperatures by.
ROUNDS = 30
#: What a probability counts as at least, where its logarithm is taken.
LEAST = 1e-12


class CoTuning(FineTune):
    r"""Fine-tuning of the new head and the old one together: the old learns what a new class is among its classes.

    .. math:: \ell + \lambda \, \frac{1}{n} \sum_i \left( -\sum_s p(s \mid y_i) \log \hat p_s(x_i) \right)

    with :math:`\hat p(x)` the old head's probabilities of the current features, and :math:`p(s \mid t)` how likely
    source class s is where the target class is t: learned from what the pretrained network says of the rows, before
    training. The old head goes on learning and is no part of what comes out. With the factor zero it is `FineTune`.

    "direct" takes the mean of the source probabilities over the rows of each target class. "reverse" fits
    :math:`p(t \mid s)` by logistic regression on the source probabilities, its penalty chosen by cross-validation, and
    turns it round by Bayes' rule with the mean source probabilities as prior. Both are the empirical conditional of
    `headstart.mapping.label_maps.fit_classes`, from target to source.

    Parameters
    ----------
    trade_off : float, default 2.3
        The factor lambda; the default is the one of the authors' program.
    kind : {"direct", "reverse"}, default "direct"
        How the relationship is learned.
    temperature : float or "auto", default 1
        Calibrates the source probabilities before the relationship is learned: scores are divided by it. The authors
        find it on rows of the source. "auto" takes that under which, in cross-validation on the rows at hand, the
        source probabilities say most of the target labels (see `fit_temperature`). Other parameters as in `FineTune`.

    Attributes
    ----------
    relationship_ : LabelMap
        From target classes to source classes; with a factor of zero there is none.
    temperature_ : float

    Raises
    ------
    NeedsError
        When the pretrained network has no head of its own.

    Notes
    -----
    Where training begins from a tuned network, the old head and its probabilities are still those of the pretrained
    network. The old head learns as fast as the new one.

    References
    ----------
    You, Kou, Long, Wang: Co-Tuning for Transfer Learning. NeurIPS 2020.

    Examples
    --------
    >>> tuned = CoTuning().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"])      # doctest: +SKIP
    >>> tuned.relationship_.transform(["cat"])                             # doctest: +SKIP
    array(['tiger cat'], dtype='<U30')
    """

    def __init__(
        self,
        model: Any = "bundled:efficientnet-lite0",
        *,
        trade_off: float = 2.3,
        kind: str = "direct",
        temperature: float | str = 1.0,
        **shared: Any,
    ) -> None:
        super().__init__(model, **shared)
        self.trade_off = trade_off
        self.kind = kind
        self.temperature = temperature

    def _objective(self, network: Any, rows: Any) -> Any:
        if self.kind not in KINDS:
            raise InputError(unknown_name("kind of relationship", self.kind, KINDS, "CoTuning"))
        if isinstance(self.temperature, str) and self.temperature != "auto":
            raise InputError(f"CoTuning: temperature must be a number or 'auto', not {self.temperature!r}")
        if self.trade_off == 0:
            return None
        from headstart.models.fine_tuning.old_head import OldHead, own_head, tempered

        head = own_head(self.backbone_, type(self).__name__)
        k = len(self.classes_)
        P = tempered(self.backbone_.probabilities(rows.items), 1.0)
        chosen = self.temperature
        self.temperature_ = fit_temperature(P, rows.y, k) if isinstance(chosen, str) else float(chosen)
        learn = direct_relationship if self.kind == "direct" else reverse_relationship
        R = learn(tempered(P, self.temperature_), rows.y, k)
        self.relationship_ = LabelMap(self.classes_, np.array(self.backbone_.label_names), R)
        return OldHead(head, R, "class", self.trade_off)


def direct_relationship(P: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    r"""Return p(s | t), shape (k, m): the mean of the source probabilities over the rows of each target class.

    .. math:: p(s \mid t) = \sum_{i: y_i = t} P_{is} \; / \; |\{i: y_i = t\}|

    A class without a row has the mean over all rows.

    Parameters
    ----------
    P : array of shape (n, m)
        Source probabilities of the rows.
    codes : int array of shape (n,)
        Numbers of their target classes, below `k`.

    Examples
    --------
    >>> direct_relationship(np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]), np.array([0, 0, 1]), 2).tolist()
    [[0.75, 0.25], [0.2, 0.8]]
    """
    return fit_classes(_met(P, codes, k))


def reverse_relationship(P: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    r"""Return p(s | t), shape (k, m), turned round from a logistic regression of target classes on P.

    .. math:: p(s \mid t) = p(t \mid s)\, p(s) \; / \; \sum_u p(t \mid u)\, p(u), \quad
              p(s) = \frac{1}{n} \sum_i P_{is}

    with :math:`p(t \mid s)` what the regression says of a row that is of source class s for sure. Parameters as in
    `direct_relationship`.

    >>> R = reverse_relationship(np.repeat([[0.9, 0.1], [0.1, 0.9]], 20, axis=0), np.repeat([0, 1], 20), 2)
    >>> bool(R[0, 0] > 0.9 and R[1, 1] > 0.9)
    True
    """
    m = P.shape[1]
    given = np.zeros((m, k))
    known = np.unique(codes)
    if len(known) > 1:
        given[:, known] = _regression(_best_strength(P, codes)).fit(P, codes).predict_proba(np.eye(m))
    else:
        given[:, known] = 1.0
    return fit_classes((given * P.mean(axis=0)[:, None]).T)


def fit_temperature(P: np.ndarray, codes: np.ndarray, k: int) -> float:
    r"""Return the temperature T under which source probabilities say most of target labels that were held out.

    .. math:: \max_T \sum_i \log \sum_s G_{s y_i} P^{(T)}_{is}

    with :math:`G` the map p(t | s) that is likeliest without the fold of row i, at the same temperature. Of equals the
    one nearest to 1 is taken. Parameters as in `direct_relationship`.
    """
    from headstart.models.fine_tuning.old_head import tempered

    of_row = folds(P, 5, 0, codes)
    if of_row.max() == 0:
        return 1.0
    found = []
    for temperature in TEMPERATURES:
        Q = tempered(P, temperature)
        said = np.empty(len(codes))
        for fold in range(int(of_row.max()) + 1):
            held = of_row == fold
            G = likeliest_map(Q[~held], codes[~held], k)
            said[held] = (Q[held] * G.T[codes[held]]).sum(axis=1)
        found.append(-np.log(np.maximum(said, LEAST)).mean())
    return TEMPERATURES[int(np.argmin(np.round(found, 9)))]


def likeliest_map(P: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    r"""Return p(t | s), shape (m, k), under which the labels are likeliest where P is what is known of the source's.

    .. math:: \max_G \sum_i \log \sum_s G_{s y_i} P_{is}

    by expectation and maximisation, with one row's worth of the target classes' shares to begin each source class
    with. Means of P, as the direct way takes them, would be blurred by what P is not sure of, and call for sharper
    probabilities than are true. Parameters as in `direct_relationship`.

    >>> P = np.repeat([[0.75, 0.25], [0.25, 0.75]], 4000, axis=0)
    >>> labels = np.repeat([0, 0, 0, 1, 1, 1, 1, 0], 1000)
    >>> likeliest_map(P, labels, 2).round(2).tolist()
    [[0.97, 0.03], [0.03, 0.97]]
    """
    G = fit_classes(_met(P, codes, k).T)
    for _ in range(ROUNDS):
        share = P * G.T[codes]
        total = share.sum(axis=1, keepdims=True)
        joint = _met(share / np.where(total > 0, total, 1.0), codes, k).T
        G = fit_classes(joint, "smoothed", strength=1 / len(codes))
    return G


def _met(P: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Return the mass at which target and source classes meet, shape (k, m): each row meets itself."""
    return np.asarray(np.eye(k)[codes].T @ P / len(codes))


def _regression(C: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    # Source probabilities sum to one: an offset would say nothing more.
    return LogisticRegression(C=C, fit_intercept=False, max_iter=2000)


def _best_strength(P: np.ndarray, codes: np.ndarray) -> float:
    """Return the inverse penalty with the least cross-validated loss, of equals the strongest penalty."""
    of_row = folds(P, 5, 0, codes)
    losses = np.zeros(len(STRENGTHS))
    for fold in range(int(of_row.max()) + 1):
        held = of_row == fold
        # What is left without two classes teaches nothing.
        if len(np.unique(codes[~held])) < 2:
            continue
        for i, C in enumerate(STRENGTHS):
            model = _regression(C).fit(P[~held], codes[~held])
            hit = model.classes_[None, :] == codes[held][:, None]
            likely = (model.predict_proba(P[held]) * hit).sum(axis=1)
            losses[i] -= np.log(np.maximum(likely, LEAST)).sum()
    return STRENGTHS[int(np.argmin(np.round(losses, 9)))]
