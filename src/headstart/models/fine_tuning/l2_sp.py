"""L2-SP: fine-tuning that is pulled back to where it began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.fine_tuning.fine_tune import FineTune

if TYPE_CHECKING:
    from headstart.models.fine_tuning.training import Step


class L2SP(FineTune):
    r"""Fine-tuning held back to where it began.

    .. math:: \frac{\alpha}{2} \|w - w^0\|^2 + \frac{\beta}{2} \|v\|^2

    is added to the loss, with :math:`w` the weights of the body, :math:`w^0` what they were, and :math:`v` the head.
    With both zero it is `FineTune`.

    Parameters
    ----------
    alpha, beta : float, default 0.1 and 0.01
        Other parameters as in `FineTune`; `weight_decay` is 0 by default.

    References
    ----------
    Li, Grandvalet, Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional Networks. ICML 2018.

    Examples
    --------
    >>> L2SP(alpha=0.5).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"]).predict(["other.jpg"])      # doctest: +SKIP
    array(['cup'])
    """

    def __init__(
        self, model: Any = "bundled:efficientnet-lite0", *, alpha: float = 0.1, beta: float = 0.01, **shared: Any
    ) -> None:
        super().__init__(model, **{"weight_decay": 0.0, **shared})
        self.alpha = alpha
        self.beta = beta

    def _objective(self, network: Any, rows: Any) -> Any:
        if self.alpha == 0 and self.beta == 0:
            return None
        began = {name: value.detach().clone() for name, value in network.body.named_parameters()}

        def pulled(step: Step) -> Any:
            body = sum(
                ((value - began[name].to(value.device)) ** 2).sum()
                for name, value in step.network.body.named_parameters()
            )
            head = sum((value**2).sum() for value in step.network.head.parameters())
            return step.loss + 0.5 * self.alpha * body + 0.5 * self.beta * head

        return pulled
