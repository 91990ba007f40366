"""Distillation: a network learns from labels and from another that knows the task."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from headstart.backbones import Backbone
from headstart.backbones.transformer import BackboneFeatures
from headstart.errors import InputError, NeedsError, listed, unknown_name
from headstart.models.fine_tuning.fine_tune import FineTune
from headstart.models.fine_tuning.lp_ft import LPFT
from headstart.models.fine_tuning.tuned import HEAD, TunedNetwork

#: How much the teacher counts where nothing else is said.
WEIGHTS = {"logits": 0.5, "hints": 1.0, "distance": 1.0, "angle": 1.0}


class Distill(FineTune):
    r"""Fine-tuning of a student that a teacher helps: with its answers, its features, or how rows lie to each other.

    .. math:: (1 - a)\, \ell + a\, T^2\, KL(p \| q) \quad (logits), \qquad \ell + \lambda\, r \quad (all others)

    with :math:`p` and :math:`q` the probabilities of teacher and student at temperature T, and :math:`r`:

    - "hints": the mean squared distance from the teacher's features to a linear regression on the student's, which
      learns as fast as the head,
    - "distance": how differently rows of a batch lie apart for both, and
    - "angle": how differently they stand to each other seen from a third; see
      `headstart.models.fine_tuning.distill_losses`.

    With weight zero it is `FineTune`.

    Parameters
    ----------
    model : str or Backbone, default "bundled:efficientnet-lite0"
        The student.
    teacher : FineTune, TunedNetwork, Backbone or str
        A strategy that was fitted, or the network that came out of one; a strategy that was not, or a pretrained
        network, is first fitted on the same rows, the latter by `LPFT` with this one's epochs, batches and seed.
    kind : {"logits", "hints", "distance", "angle"}, default "logits"
    weight : float, optional
        a, between 0 and 1, by default 0.5; or the factor lambda, by default 1. Long trainings on many rows bear much
        larger ones of "distance" and "angle".
    temperature : float, default 4
        T. Other parameters as in `FineTune`.

    Attributes
    ----------
    teacher_ : TunedNetwork
        With weight zero there is none.

    Raises
    ------
    InputError
        When a teacher that was fitted before tells other classes apart than there are.
    NeedsError
        When no teacher is named.

    Notes
    -----
    The teacher sees each row once, before training. Between domains the student goes on from what came over, and the
    teacher is the same for source and target; one that is fitted first is fitted in each of both.

    References
    ----------
    Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network. NIPS workshop 2014; arXiv 2015.
    Romero, Ballas, Kahou, Chassang, Gatta, Bengio: FitNets: Hints for Thin Deep Nets. ICLR 2015.
    Park, Kim, Lu, Cho: Relational Knowledge Distillation. CVPR 2019.

    Examples
    --------
    >>> student = Distill(teacher="timm:resnet50").fit(["cat.jpg", "cup.jpg"], ["cat", "cup"])      # doctest: +SKIP
    >>> student.predict(["other.jpg"])                                                             # doctest: +SKIP
    array(['cup'])
    """

    def __init__(
        self,
        model: Any = "bundled:efficientnet-lite0",
        *,
        teacher: FineTune | TunedNetwork | Backbone | BackboneFeatures | str | None = None,
        kind: str = "logits",
        weight: float | None = None,
        temperature: float = 4.0,
        **shared: Any,
    ) -> None:
        super().__init__(model, **shared)
        self.teacher = teacher
        self.kind = kind
        self.weight = weight
        self.temperature = temperature

    def __sklearn_clone__(self) -> Self:
        """Return a copy that was not fitted, with the same teacher: scikit-learn would make it forget."""
        settings = self.get_params(deep=False)
        teacher = settings.pop("teacher")
        return type(self)(teacher=teacher, **{name: clone(value, safe=False) for name, value in settings.items()})

    def refuses(self, learner: Any) -> str | None:
        """Say that there is no teacher, before anything is trained."""
        if self.teacher is not None:
            return None
        return "needs a teacher: name a pretrained network (distill:teacher=hf:FOLDER), or give a fitted strategy"

    def _facts(self) -> dict[str, Any]:
        told = getattr(self, "teacher_", None)
        return {**super()._facts(), "teacher": None if told is None else _hash_of(told)}

    def _objective(self, network: Any, rows: Any) -> Any:
        if self.kind not in WEIGHTS:
            raise InputError(unknown_name("kind of distillation", self.kind, WEIGHTS, "Distill"))
        if not self.temperature > 0:
            raise InputError(f"Distill: temperature must be above zero, not {self.temperature}")
        weight = WEIGHTS[self.kind] if self.weight is None else self.weight
        if weight < 0 or (self.kind == "logits" and weight > 1):
            raise InputError(f"Distill: weight must be zero or more, and 1 at most for logits, not {weight}")
        if weight == 0:
            return None
        from headstart.models.fine_tuning.distill_losses import Taught

        self.teacher_ = self._taught_by(rows.items, rows.y)
        told = self.teacher_.features(rows.items)
        if self.kind == "logits":
            told = self._answers(told)
        return Taught(self.kind, told, weight, self.temperature, network.head.in_features)

    def _taught_by(self, items: Sequence[Any], codes: np.ndarray) -> TunedNetwork:
        """Return the teacher, fitted on the rows where it was not before."""
        teacher = self.teacher
        if teacher is None:
            raise NeedsError("Distill needs a teacher: name a pretrained network, or give a fitted strategy")
        if isinstance(teacher, TunedNetwork):
            found = teacher
        elif isinstance(teacher, FineTune) and hasattr(teacher, "tuned_"):
            found = teacher.tuned_
        else:
            if isinstance(teacher, FineTune):
                learner: FineTune = clone(teacher)
            else:
                shared = {name: getattr(self, name) for name in ("epochs", "batch_size", "balanced", "random_state")}
                learner = LPFT(teacher, **shared)
            return learner.fit(items, self.classes_[codes]).tuned_
        if not np.array_equal(found.classes_, self.classes_):
            raise InputError(
                f"the teacher knows {listed(found.classes_)}, and the rows are of {listed(self.classes_)}; give a "
                "teacher of the same classes"
            )
        return found

    def _answers(self, F: np.ndarray) -> np.ndarray:
        """Return the teacher's probabilities at the temperature; a class that it does not know has none."""
        from scipy.special import softmax

        W, b = (self.teacher_.values[name].astype(float) for name in HEAD)
        P = np.zeros((len(F), len(self.classes_)))
        P[:, np.searchsorted(self.classes_, self.teacher_.classes_)] = softmax((F @ W.T + b) / self.temperature, axis=1)
        return P


def _hash_of(network: TunedNetwork) -> str:
    """Return SHA-256 over what tells a tuned network from others."""
    found = sha256(f"{network.reader.weights_} {network.classes_.tolist()}".encode())
    for name, value in sorted(network.values.items()):
        found.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return found.hexdigest()
