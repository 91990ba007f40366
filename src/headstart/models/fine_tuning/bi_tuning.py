"""Bi-Tuning: rows of a class are drawn together, at the head and in a projection."""

from __future__ import annotations

from typing import Any

from headstart.errors import InputError
from headstart.models.fine_tuning.fine_tune import FineTune


class BiTuning(FineTune):
    r"""Fine-tuning with two contrasts between the rows of a batch: one at the head, one in a projection.

    .. math:: \ell + \lambda_1 \ell_1 + \lambda_2 \ell_2

    with the contrastive cross-entropy :math:`\ell_1` and the categorical contrastive loss :math:`\ell_2` of
    `headstart.models.fine_tuning.bi_tuning_losses`. The linear projection learns as fast as the head and is no part of
    what comes out. With both factors zero it is `FineTune`.

    Parameters
    ----------
    cross_entropy, contrast : float, default 1 and 1
        The factors lambda.
    projection : int, default 128
        Columns of the projection.
    temperature : float, default 0.07
        Other parameters as in `FineTune`.

    Notes
    -----
    The rows that each row is held against are those of its batch, as they are now. The authors hold it against a queue
    of former rows, seen by a second network that lags behind; with few rows of a class in a batch theirs sees more. A
    larger `batch_size` helps.

    References
    ----------
    Zhong, Ma, Wang, Kou, Long: Bi-tuning: Efficient Transfer from Pre-trained Models. ECML-PKDD 2023.

    Examples
    --------
    >>> BiTuning(batch_size=32).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])     # doctest: +SKIP
    array(['cup'])
    """

    def __init__(
        self,
        model: Any = "bundled:efficientnet-lite0",
        *,
        cross_entropy: float = 1.0,
        contrast: float = 1.0,
        projection: int = 128,
        temperature: float = 0.07,
        **shared: Any,
    ) -> None:
        super().__init__(model, **shared)
        self.cross_entropy = cross_entropy
        self.contrast = contrast
        self.projection = projection
        self.temperature = temperature

    def _objective(self, network: Any, rows: Any) -> Any:
        if not self.temperature > 0:
            raise InputError(f"BiTuning: temperature must be above zero, not {self.temperature}")
        if self.cross_entropy == 0 and self.contrast == 0:
            return None
        from headstart.models.fine_tuning.bi_tuning_losses import Contrasts

        return Contrasts(network.head.in_features, self.projection, self.cross_entropy, self.contrast, self.temperature)
