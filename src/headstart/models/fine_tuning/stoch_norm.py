"""Stochastic normalisation: batch norms that lean on what they learned in pretraining."""

from __future__ import annotations

from typing import Any

from headstart.errors import InputError, NeedsError
from headstart.models.fine_tuning.fine_tune import FineTune


class StochNorm(FineTune):
    r"""Fine-tuning in which each channel of a batch norm is normalised now by the batch, now by running statistics.

    .. math:: \hat x_c = (1 - s_c) \frac{x_c - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}}
              + s_c \frac{x_c - \tilde \mu_c}{\sqrt{\tilde \sigma_c^2 + \epsilon}}, \quad s_c \sim B(p)

    with :math:`\mu_c, \sigma_c^2` of the batch and :math:`\tilde \mu_c, \tilde \sigma_c^2` the running statistics,
    which begin as pretraining left them and move. :math:`s_c` is drawn anew for each channel and batch. The statistics
    of few rows are fitted to easily; mixed with others they are not. Afterwards the network has plain batch norms.

    On few rows it can do worse than `FineTune`, whose norms stand still: compare the two.

    Parameters
    ----------
    p : float, default 0.5
        Probability of the running statistics. With 0 it is `FineTune` with moving norms. Other parameters as in
        `FineTune`; `norms_move` is True by default. Norms that stand still know running statistics only.

    Raises
    ------
    NeedsError
        When the network has no batch norm.

    References
    ----------
    Kou, You, Long, Wang: Stochastic Normalization. NeurIPS 2020.

    Examples
    --------
    >>> StochNorm(p=0.3).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def __init__(self, model: Any = "bundled:efficientnet-lite0", *, p: float = 0.5, **shared: Any) -> None:
        super().__init__(model, **{"norms_move": True, **shared})
        self.p = p

    def _altered(self, network: Any) -> Any:
        from headstart.models.fine_tuning.stoch_norm_modules import stochastic

        if not 0 <= self.p <= 1:
            raise InputError(f"p is a probability, from 0 to 1, not {self.p!r}")
        if not stochastic(network, self.p):
            raise NeedsError(f"{self.backbone_.card.name} has no batch norm for StochNorm to change; take FineTune")
        return network

    def _settled(self, network: Any) -> Any:
        from headstart.models.fine_tuning.stoch_norm_modules import plain

        plain(network)
        return network
