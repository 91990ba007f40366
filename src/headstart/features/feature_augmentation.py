"""Feature augmentation: what the domains share, beside what each has for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import is_classifier

from headstart.domain import Domain, stack_labels, stack_rows
from headstart.draws import pick
from headstart.features.base import AlignedPredictor, AlignedRows
from headstart.features.sources import SourcesMethod
from headstart.fitting import counts_each, fit_on_both, to_mean_one
from headstart.mapping import Map
from headstart.method import Needs

#: Unlabelled target rows that take part, at most; of more, so many are drawn.
MOST_UNLABELLED = 20_000


@dataclass(frozen=True)
class _UnlessUnlabelled(Needs):
    """Needs labelled target rows, or, with `unlabelled=True`, target rows of any kind."""

    def __get__(self, method: Any, owner: Any = None) -> Needs:
        if method is None or not method.unlabelled:
            return self
        return replace(self, target_labels=False, target_rows=True)


@dataclass(frozen=True, eq=False)
class BlocksMap:
    """The map x -> (f_0 x, f_1 x, ...): copies of a row, each times a factor; rows may be sparse.

    Examples
    --------
    >>> import numpy as np
    >>> BlocksMap(np.array([1.0, 0.0, -1.0])).transform(np.array([[2.0, 3.0]]))
    array([[ 2.,  3.,  0.,  0., -2., -3.]])
    """

    factors: np.ndarray

    def transform(self, X: Any) -> Any:
        """Return the mapped rows, shape (n, blocks * d), sparse where the rows are."""
        factors = self.factors.astype(X.dtype)[None, :]
        if isinstance(X, np.ndarray):
            return np.kron(factors, X)
        from scipy.sparse import csr_matrix, kron

        return kron(csr_matrix(factors), X, format="csr")


class FeatureAugmentation(SourcesMethod):
    r"""Feature augmentation: copy the features into a block that the domains share, and a block for each domain.

    .. math:: x_s \mapsto (x_s,\; x_s,\; 0),\qquad x_t \mapsto (x_t,\; 0,\; x_t)

    A linear learner then has weights :math:`w_0 + w_s` at the source and :math:`w_0 + w_t` at the target, with a
    penalty on each of the three: what holds in both domains is cheapest to say in :math:`w_0`. A kernel k becomes 2k
    within a domain and k across. With several sources, each has a block of its own.

    With `unlabelled=True` (EA++) target rows without a label ask both domains' models to agree on them:
    :math:`x_u \mapsto (0,\; x_u,\; -x_u)`, on which the learner returns :math:`(w_s - w_t)^\top x_u`, enters once with
    every class, for numbers once with the label zero.

    Parameters
    ----------
    unlabelled : bool, default False
        Learn from unlabelled target rows as well; then no target label is needed. Of more than 20,000, as many are
        drawn.
    unlabelled_weight : float or "balanced", default "balanced"
        What an unlabelled target row, all its copies together, counts beside a source row; "balanced" lets all of
        them together count as much as all source rows, and each at most 1. The more, the less may the models of
        source and target differ.
    target_weight : float or "balanced", default 1
        What a labelled target row counts beside a source row when the learner is fitted; "balanced" lets
        them together count as much as all source rows, and each at least 1. The target's own block learns from target
        rows alone, so that heavy rows take its penalty away; every row counts 1 in the paper.
    random_state : int, optional, default 0
        Draws the unlabelled rows where there are more than 20,000.

    Notes
    -----
    A learner's intercept is shared, and sees the unlabelled rows too. So that they do not pull it away, their copies
    count in proportion to the classes' shares among the labelled rows (the paper's are equal, as for classes of equal
    size), and for numbers "zero" is the mean label, which is zero where labels are centred.

    With several sources an unlabelled row is compared with each of them. New source rows without a name of their
    source are mapped to the shared block alone.

    References
    ----------
    Daume III: Frustratingly Easy Domain Adaptation. ACL 2007.
    Daume III, Kumar, Saha: Frustratingly Easy Semi-Supervised Domain Adaptation. ACL workshop DANLP 2010.

    Examples
    --------
    >>> import numpy as np
    >>> method = FeatureAugmentation().fit(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    >>> method.transform_source(np.array([[1.0, 2.0]]))
    array([[1., 2., 1., 2., 0., 0.]])
    >>> method.transform(np.array([[3.0, 4.0]]))
    array([[3., 4., 0., 0., 3., 4.]])
    """

    needs: ClassVar[Needs] = _UnlessUnlabelled(target_labels=True, learner="any")

    def __init__(
        self,
        unlabelled: bool = False,
        unlabelled_weight: float | str = "balanced",
        target_weight: float | str = 1.0,
        random_state: int | None = 0,
    ) -> None:
        self.unlabelled = unlabelled
        self.unlabelled_weight = unlabelled_weight
        self.target_weight = target_weight
        self.random_state = random_state

    def align_sources(self, sources: dict[str, Any], Xt: Any) -> tuple[dict[str, Map], Map, Map]:
        """Return the maps of each source, of source rows that name no source, and of target rows."""
        shared, *own, of_target = np.eye(len(sources) + 2)
        maps: dict[str, Map] = {name: BlocksMap(shared + block) for name, block in zip(sources, own, strict=True)}
        unnamed = BlocksMap(shared) if len(maps) > 1 else next(iter(maps.values()))
        return maps, unnamed, BlocksMap(shared + of_target)

    def learn_target(self, carried: AlignedRows, target: Domain, learner: Any) -> AlignedPredictor:
        """Step 4: fit the learner on the augmented rows, with the unlabelled ones if they are to take part."""
        known, unknown = target.labelled_rows(), target.rows(~target.labelled)
        if not self.unlabelled or not len(unknown):
            return super().learn_target(carried, target, learner)
        ws = _own_weights(carried.weight, len(carried.y))
        each = counts_each(self.target_weight, ws.sum(), len(known), least=1.0)
        labels = [carried.y, known.labels] if len(known) else [carried.y]
        y = np.asarray(stack_labels(labels, [len(of_domain) for of_domain in labels]))
        answers, shares = _answers(y, np.append(ws, each * _own_weights(known.weight, len(known))), learner)

        unknown = unknown.rows(pick(unknown.X, MOST_UNLABELLED, self.random_state))
        rows = self._differences(unknown.X)
        wu = counts_each(self.unlabelled_weight, ws.sum(), len(unknown), most=1.0, name="unlabelled_weight")
        of_row = wu * _own_weights(unknown.weight, len(unknown)) / len(self.source_maps_)
        of_copy = np.tile(of_row, len(self.source_maps_))
        n = len(of_copy)
        model = fit_on_both(
            learner,
            stack_rows([carried.X, *[rows] * len(answers)]),
            np.asarray(stack_labels([carried.y, np.repeat(answers, n)], [len(carried.y), len(answers) * n])),
            np.concatenate([ws, *(share * of_copy for share in shares)]),
            target.with_rows(carried.target_map.transform(target.X)),
            each,
        )
        return AlignedPredictor(model, carried.source_map, carried.target_map)

    def _differences(self, X: Any) -> Any:
        """Return rows that ask each source's weights to agree with the target's, one block a source."""
        _, *own, of_target = np.eye(len(self.source_maps_) + 2)
        return stack_rows([BlocksMap(block - of_target).transform(X) for block in own])


def _own_weights(weight: np.ndarray | None, n: int) -> np.ndarray:
    return np.ones(n) if weight is None else np.asarray(to_mean_one(weight))


def _answers(y: np.ndarray, weight: np.ndarray, learner: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels with which an unlabelled row enters, and their shares: all classes, or the mean number."""
    if not is_classifier(learner):
        return np.array([np.average(y, weights=weight)]), np.ones(1)
    classes, of_row = np.unique(y, return_inverse=True)
    return classes, np.bincount(of_row, weight) / weight.sum()
