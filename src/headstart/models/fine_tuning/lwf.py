"""Learning without Forgetting: what the old head says of the new rows stays what it was."""

from __future__ import annotations

from typing import Any

from headstart.models.fine_tuning.fine_tune import FineTune


class LwF(FineTune):
    r"""Fine-tuning under which the old head goes on answering as it did.

    .. math:: \ell + \lambda \, \frac{1}{n} \sum_i \left( -\sum_s q_{is} \log \hat q_s(x_i) \right), \quad
              q_{is} = \frac{p_{is}^{1/T}}{\sum_u p_{iu}^{1/T}}

    with :math:`p_i` what the pretrained network said of row i, recorded before training, and :math:`\hat q(x)` the same
    of the old head on the current features. The old head goes on learning and is no part of what comes out. With the
    factor zero it is `FineTune`.

    Parameters
    ----------
    trade_off : float, default 1
        The factor lambda.
    temperature : float, default 2
        T: above 1, small probabilities count more. Other parameters as in `FineTune`.

    Raises
    ------
    NeedsError
        When the pretrained network has no head of its own.

    Notes
    -----
    Where training begins from a tuned network, the answers to keep are still those of the pretrained network. The old
    head learns as fast as the new one.

    References
    ----------
    Li, Hoiem: Learning without Forgetting. IEEE Transactions on Pattern Analysis and Machine Intelligence, 2018.

    Examples
    --------
    >>> LwF().fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def __init__(
        self,
        model: Any = "bundled:efficientnet-lite0",
        *,
        trade_off: float = 1.0,
        temperature: float = 2.0,
        **shared: Any,
    ) -> None:
        super().__init__(model, **shared)
        self.trade_off = trade_off
        self.temperature = temperature

    def _objective(self, network: Any, rows: Any) -> Any:
        if self.trade_off == 0:
            return None
        from headstart.models.fine_tuning.old_head import OldHead, own_head, tempered

        head = own_head(self.backbone_, type(self).__name__)
        answers = tempered(self.backbone_.probabilities(rows.items), self.temperature)
        return OldHead(head, answers, "row", self.trade_off, self.temperature)
