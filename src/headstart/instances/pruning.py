"""Instance pruning: source rows whose labels mislead are dropped."""

from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import is_classifier

from headstart.domain import Domain, Task
from headstart.draws import canonical_order
from headstart.errors import InputError
from headstart.fitting import fit_learner, fit_on_both, held_out_loss, to_mean_one
from headstart.instances.base import InstanceMethod, WeightedRows, labelled_pair
from headstart.learners import make_learner
from headstart.method import Knowledge, Needs

#: Shares of the source rows that "cv" tries to drop.
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


class InstancePruning(InstanceMethod):
    r"""Instance pruning: drop the source rows whose label a model of the target contradicts most confidently.

    A judge is fitted on the labelled target rows, with :math:`p_t` its probabilities or :math:`f_t` its predictions.
    It doubts a source row by

    .. math:: \delta_i = \max_y p_t(y \mid x_i) - p_t(y_i \mid x_i) \quad\text{(classes)}, \qquad
              \delta_i = |y_i - f_t(x_i)| \quad\text{(numbers)}

    and of the rows with :math:`\delta_i > 0`, those that it contradicts, the most doubted go: at most a given share of
    all source rows. With two classes they are the rows with the smallest probability of their own label. The learner
    is then fitted on the source rows that are kept and the labelled target rows.

    A class without a labelled target row is one that the judge does not know. Its source rows are not judged; they
    are kept.

    Parameters
    ----------
    share : float or "cv", default "cv"
        Share of the source rows to drop at most, from 0 to below 1; "cv" chooses among 0, 0.05, 0.1, 0.2, 0.3, 0.5
        and 0.7 by cross-validation within the labelled target rows (Brier score, share of errors or squared error),
        where the judge is fitted without the held-out rows too; of equals the smallest. A single labelled target row
        can't be held out; then nothing is dropped.
    judge : estimator, optional
        What is fitted on the labelled target rows to judge by: a classifier with probabilities, or a regressor. By
        default the learner; where that is a classifier without probabilities, logistic regression.
    target_weight : float or "balanced", default "balanced"
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets all
        labelled target rows together count as much as all source rows that are kept.
    folds : int, default 5
        Folds of the cross-validation.
    random_state : int, default 0
        Deals the rows out to the folds.

    Attributes
    ----------
    kept_ : array of bool of shape (n_s,)
        Which source rows were kept.
    share_ : float
        The share as used; fewer rows go where the judge contradicts fewer.
    losses_ : dict of float to float
        The cross-validated loss of each share that was tried; empty where none was.
    effective_size_ : float
        How many source rows were kept.

    References
    ----------
    Jiang & Zhai: Instance Weighting for Domain Adaptation in NLP. ACL 2007 (the removal of misleading instances).

    Examples
    --------
    >>> import numpy as np
    >>> Xs, ys = np.array([[-3.0], [-1.0], [1.0], [3.0]]), np.array([0, 0, 1, 0])     # the last label misleads
    >>> Xt, yt = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    >>> InstancePruning(share=0.25).weigh(Xs, Xt, ys, yt)
    array([1., 1., 1., 0.])
    """

    needs: ClassVar[Needs] = Needs(target_labels=True)

    def __init__(
        self,
        share: float | str = "cv",
        judge: Any = None,
        target_weight: float | str = "balanced",
        folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.share = share
        self.judge = judge
        self.target_weight = target_weight
        self.folds = folds
        self.random_state = random_state

    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return 1 for each source row to keep and 0 for each to drop.

        The judge (by default logistic or ridge regression) is also the learner that "cv" tries the shares with.

        Parameters
        ----------
        Xs, Xt : arrays of shape (n_s, d) and (n_t, d)
            Source and target rows.
        ys, yt : array-likes of shape (n_s,) and (n_t,)
            Their labels; of the target's some may be missing.

        Returns
        -------
        w : array of shape (n_s,), of zeros and ones.
        """
        Xs, Xt = self.rows_of_both(Xs, Xt)
        source, target = labelled_pair("InstancePruning", Xs, ys, Xt, yt)
        task: Task = "classification" if source.task == "classification" else "regression"
        learner = make_learner("auto" if self.judge is None else self.judge, task, self.random_state)
        return self._keep(WeightedRows(Xs, source.labels, np.ones(len(source))), target, learner)

    def carry(self, knowledge: Knowledge, target: Domain) -> WeightedRows:
        """Step 3: the source rows arrive as they are; they are judged in step 4, with the learner."""
        Xs, ys, own = (knowledge.arrays[name] for name in ("X", "y", "weight"))
        return WeightedRows(Xs, ys, np.ones(len(ys)) if own is None else own)

    def learn_target(self, carried: WeightedRows, target: Domain, learner: Any) -> Any:
        """Step 4: judge the source rows, then fit the learner on those kept and the labelled target rows."""
        self._keep(carried, target, learner)
        return fit_on_kept(learner, carried, self.kept_, target, self.target_weight)

    def _keep(self, source: WeightedRows, target: Domain, learner: Any) -> np.ndarray:
        """Set `share_` and `kept_`; return a weight, 1 or 0, for each source row."""
        judge = judge_for(learner, self.judge, self.random_state)
        self.share_ = self._share(source, target, learner, judge)
        self.kept_ = kept_rows(source, target, judge, self.share_)
        return self.finished(self.kept_.astype(float), source.X)

    def _share(self, source: WeightedRows, target: Domain, learner: Any, judge: Any) -> float:
        self.losses_: dict[float, float] = {}
        if not isinstance(self.share, str):
            if not 0 <= self.share < 1:
                raise InputError(f"InstancePruning: share must be from 0 to below 1, not {self.share}")
            return float(self.share)
        if self.share != "cv":
            raise InputError(f"InstancePruning: share must be a number or 'cv', not {self.share!r}")
        if target.n_labelled < 2:
            return 0.0

        def fit(part: Domain, share: float) -> Any:
            return fit_on_kept(learner, source, kept_rows(source, part, judge, share), part, self.target_weight)

        for share in SHARES:
            self.losses_[share] = held_out_loss(partial(fit, share=share), target, self.folds, self.random_state)
        return min(SHARES, key=lambda share: (self.losses_[share], share))


def fit_on_kept(
    learner: Any, source: WeightedRows, kept: np.ndarray, target: Domain, target_weight: float | str
) -> Any:
    """Fit the learner on the source rows that were kept and the labelled target rows."""
    own = to_mean_one(source.weight[kept])
    return fit_on_both(learner, source.X[kept], source.y[kept], own, target, target_weight)


def judge_for(learner: Any, judge: Any, random_state: int) -> Any:
    """Return what judges: the judge if one is given, else the learner, if that gives probabilities.

    Raises
    ------
    InputError
        When a judge is given that is not for the learner's task, or gives no probabilities.
    """
    task: Task = "classification" if is_classifier(learner) else "regression"
    if judge is not None:
        judge = make_learner(judge, task, random_state)
        if task == "classification" and not hasattr(judge, "predict_proba"):
            raise InputError(f"{type(judge).__name__} gives no probabilities to judge by; take another judge")
        return judge
    if task == "regression" or hasattr(learner, "predict_proba"):
        return learner
    return make_learner("auto", task, random_state)


def kept_rows(source: WeightedRows, target: Domain, judge: Any, share: float) -> np.ndarray:
    """Return the mask of the source rows to keep, shape (n_s,): all but the share that is contradicted most.

    Of equally doubted rows at the edge, the order that rows have by their contents decides.
    """
    n = len(source.y)
    most = int(share * n + 1e-9)
    kept = np.ones(n, dtype=bool)
    if most == 0:
        return kept
    labelled = target.labelled_rows()
    doubt = doubts(fit_learner(judge, labelled.X, labelled.labels, labelled.weight), source.X, source.y)
    order = canonical_order(source.X, source.y)
    worst = order[np.argsort(-doubt[order], kind="stable")][:most]
    kept[worst] = doubt[worst] <= 0
    return kept


def doubts(judge: Any, X: Any, y: np.ndarray) -> np.ndarray:
    """Return how much a fitted judge contradicts each row's label, shape (n,); 0 where it agrees or can't judge."""
    if not is_classifier(judge):
        return np.abs(y - np.asarray(judge.predict(X), dtype=float))
    probability = np.asarray(judge.predict_proba(X), dtype=float)
    own = y[:, None] == judge.classes_[None, :]
    doubt = probability.max(axis=1) - np.where(own, probability, 0.0).sum(axis=1)
    return np.where(own.any(axis=1), doubt, 0.0)
