"""Batch spectral shrinkage: directions in which the features of a batch hardly vary are held down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.errors import InputError
from headstart.models.fine_tuning.fine_tune import FineTune

if TYPE_CHECKING:
    from headstart.models.fine_tuning.training import Step


class BSS(FineTune):
    r"""Fine-tuning in which the weakest directions of the features are shrunk, for they carry over badly.

    .. math:: \eta \sum_{i=1}^k \sigma_{-i}^2

    is added to the loss, with :math:`\sigma_{-i}` the i-th smallest singular value of a batch's features, shape (n, d).
    With :math:`\eta = 0` it is `FineTune`.

    Parameters
    ----------
    eta : float, default 0.001
    k : int, default 1
        How many singular values are shrunk; a batch has min(n, d) of them, and all are shrunk where k is larger. Other
        parameters as in `FineTune`.

    References
    ----------
    Chen, Wang, Fu, Long, Wang: Catastrophic Forgetting Meets Negative Transfer: Batch Spectral Shrinkage for Safe
    Transfer Learning. NeurIPS 2019.

    Examples
    --------
    >>> BSS(eta=0.01).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def __init__(
        self, model: Any = "bundled:efficientnet-lite0", *, eta: float = 1e-3, k: int = 1, **shared: Any
    ) -> None:
        super().__init__(model, **shared)
        self.eta = eta
        self.k = k

    def _objective(self, network: Any, rows: Any) -> Any:
        if self.k < 1:
            raise InputError(f"k must be at least 1, not {self.k!r}")
        if self.eta == 0:
            return None

        def shrunk(step: Step) -> Any:
            return step.loss + self.eta * weakest(step.features, self.k)

        return shrunk


def weakest(features: Any, k: int) -> Any:
    """Return the sum of the squares of the k smallest singular values of a tensor of shape (n, d).

    Of what is not finite it is NaN.

    >>> import torch
    >>> weakest(torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), 1)
    tensor(4.)
    """
    import torch

    if not torch.isfinite(features).all():
        # Such features have no singular values; that training diverges is said where the loss is looked at.
        return features.new_tensor(float("nan"))
    # Half precision, in which a network may run, has no singular values either.
    return (torch.linalg.svdvals(features.float())[-k:] ** 2).sum()
