"""What instance-based methods share: weigh the source rows, then learn on both domains."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from headstart.domain import Domain
from headstart.method import Family, Knowledge, RowMethod, fit_on_both


@dataclass(frozen=True)
class WeightedRows:
    """What arrives: source rows, their labels, and a weight for each."""

    X: Any
    y: np.ndarray
    weight: np.ndarray


class InstanceMethod(RowMethod):
    """A method that writes `weigh(Xs, Xt, ys, yt) -> w (n_s,)` and stores a parameter `target_weight`."""

    family: ClassVar[Family] = Family.INSTANCES
    target_weight: float | str

    @abstractmethod
    def weigh(self, Xs: Any, Xt: Any, ys: Any = None, yt: Any = None) -> np.ndarray:
        """Return a weight, zero or more, for each source row."""

    def carry(self, knowledge: Knowledge, target: Domain) -> WeightedRows:
        """Step 3: weigh the source rows by how much they look like the target's."""
        Xs, ys = knowledge.arrays["X"], knowledge.arrays["y"]
        return WeightedRows(Xs, ys, self.weigh(Xs, target.X, ys, target.y))

    def learn_target(self, carried: WeightedRows, target: Domain, learner: Any) -> Any:
        """Step 4: fit the learner on the weighted source rows and the labelled target rows."""
        return fit_on_both(learner, carried.X, carried.y, carried.weight, target, self.target_weight)
