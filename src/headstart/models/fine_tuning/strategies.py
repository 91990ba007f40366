"""Fine-tuning strategies: what is trained, from where, and what holds it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from headstart.backbones import Backbone
from headstart.backbones.backbone import items_of
from headstart.errors import InputError
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.models.fine_tuning.linear_probe import as_head, fit_probe, opened


class FineTune(ClassifierMixin, BaseEstimator):
    """Full fine-tuning: a new head, and all weights go on learning from where they were.

    Parameters
    ----------
    model : str or Backbone, default "bundled:efficientnet-lite0"
        See `headstart.backbone`.
    epochs : int, default 5
    lr : float, default 1e-4
        Learning rate of the pretrained weights.
    head_lr : float, default 1e-3
        Learning rate of the new head.
    weight_decay : float, default 0.01
    batch_size : int, default 16
    norms_move : bool, default False
        Whether batch norms go on averaging what passes. On few rows, and in networks whose norms were folded away, they
        should stand still.
    balanced : bool, default False
        Rare classes count more, so that all weigh the same.
    checkpoint : str, optional
        A folder from which an interrupted training goes on.
    random_state : int, default 0

    Attributes
    ----------
    classes_ : array of shape (k,)
    network_ : torch module
    plan_ : FreezePlan
        What was trained.
    history_ : History
        Losses by epoch.

    Examples
    --------
    >>> tuned = FineTune(epochs=3).fit(["cat.jpg", "cup.jpg"], ["cat", "cup"])      # doctest: +SKIP
    >>> print(tuned.plan_)                                                         # doctest: +SKIP
    trains 3,411,558 of 3,411,558 numbers (body, head); 49 of 49 batch norms stand still
    """

    def __init__(
        self,
        model: str | Backbone = "bundled:efficientnet-lite0",
        epochs: int = 5,
        lr: float = 1e-4,
        head_lr: float = 1e-3,
        weight_decay: float = 0.01,
        batch_size: int = 16,
        norms_move: bool = False,
        balanced: bool = False,
        checkpoint: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.lr = lr
        self.head_lr = head_lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.norms_move = norms_move
        self.balanced = balanced
        self.checkpoint = checkpoint
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, progress: Callable[[int, int], None] = lambda done, total: None) -> Self:
        """Learn from pictures or texts and their classes.

        Parameters
        ----------
        X : sequence
            Paths, pictures or texts.
        y : array-like of shape (n,)
        progress : callable
            Called with (steps done, steps in all).
        """
        import torch

        from headstart.models.fine_tuning.training import Rows, Settings, train

        items = items_of(X)
        labels = np.asarray(y)
        if len(labels) != len(items):
            raise InputError(f"{len(items)} pictures or texts but {len(labels)} labels")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("one class only: there is nothing to tell apart; add rows of another class")
        self.backbone_ = opened(self.model)
        with torch.random.fork_rng():
            # The new head is drawn from the seed, and nothing global is changed.
            torch.manual_seed(self.random_state)
            network = self.backbone_.module(len(self.classes_))
        self._begin(network, items, codes)
        self.plan_ = FreezePlan.of(network, self._trains, norms_move=self.norms_move)
        settings = Settings(
            epochs=self.epochs,
            lr=self.lr,
            head_lr=self._head_rate(),
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            balanced=self.balanced,
            checkpoint=self.checkpoint,
            random_state=self.random_state,
        )
        self.history_ = train(
            network,
            Rows(items, codes),
            self.backbone_.preparation,
            self.plan_,
            settings,
            penalty=self._penalty(network),
            progress=progress,
        )
        self.network_ = network
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each picture or text, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, shape (n, k)."""
        import torch

        from headstart.backbones.torch_network import tensors_of

        check_is_fitted(self, "network_")
        items, parts = items_of(X), []
        with torch.inference_mode():
            for start in range(0, len(items), self.batch_size):
                batch = tensors_of(self.backbone_.preparation(items[start : start + self.batch_size]))
                parts.append(torch.softmax(self.network_(**batch).float(), dim=1).numpy())
        return np.concatenate(parts)

    def _begin(self, network: Any, items: Any, codes: np.ndarray) -> None:
        """Bring the network to where training begins."""

    def _head_rate(self) -> float:
        """Return the head's learning rate."""
        return self.head_lr

    def _trains(self, name: str) -> bool:
        """Say whether a parameter is trained."""
        return True

    def _penalty(self, network: Any) -> Callable[[Any], Any] | None:
        """Return what is added to the loss."""
        return None


class LPFT(FineTune):
    """Linear probe, then fine-tuning: the new head begins where a probe of the frozen network ends.

    A random head sends large gradients into the body and bends features that were good; one that already fits does not
    (Kumar, Raghunathan, Jones, Ma, Liang: Fine-Tuning Can Distort Pretrained Features and Underperform
    Out-of-Distribution. ICLR 2022). Parameters as in `FineTune`, but `head_lr`: the head learns as fast as the body.
    """

    def _head_rate(self) -> float:
        return self.lr

    def _begin(self, network: Any, items: Any, codes: np.ndarray) -> None:
        import torch

        W, b = as_head(fit_probe(self.backbone_.features(items), codes, 1.0))
        with torch.no_grad():
            network.head.weight.copy_(torch.from_numpy(W))
            network.head.bias.copy_(torch.from_numpy(b))


class L2SP(FineTune):
    r"""Fine-tuning held back to where it began.

    .. math:: \frac{\alpha}{2} \|w - w^0\|^2 + \frac{\beta}{2} \|v\|^2

    is added to the loss, with :math:`w` the pretrained weights, :math:`w^0` what they were, and :math:`v` the new head
    (Li, Grandvalet, Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional Networks. ICML 2018).
    With both zero it is `FineTune`.

    Parameters
    ----------
    alpha, beta : float, default 0.1 and 0.01
        Other parameters as in `FineTune`.
    """

    def __init__(
        self,
        model: str | Backbone = "bundled:efficientnet-lite0",
        epochs: int = 5,
        lr: float = 1e-4,
        head_lr: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 16,
        norms_move: bool = False,
        balanced: bool = False,
        checkpoint: str | None = None,
        random_state: int = 0,
        alpha: float = 0.1,
        beta: float = 0.01,
    ) -> None:
        super().__init__(
            model, epochs, lr, head_lr, weight_decay, batch_size, norms_move, balanced, checkpoint, random_state
        )
        self.alpha = alpha
        self.beta = beta

    def _penalty(self, network: Any) -> Callable[[Any], Any] | None:
        if self.alpha == 0 and self.beta == 0:
            return None
        began = {name: value.detach().clone() for name, value in network.body.named_parameters()}

        def pulled(network: Any) -> Any:
            body = sum(
                ((value - began[name].to(value.device)) ** 2).sum() for name, value in network.body.named_parameters()
            )
            head = sum((value**2).sum() for value in network.head.parameters())
            return 0.5 * self.alpha * body + 0.5 * self.beta * head

        return pulled


class BitFit(FineTune):
    """Fine-tuning of the biases, and of the new head: everything else stays.

    Zaken, Ravfogel, Goldberg: BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
    Language-models. ACL 2022. Parameters as in `FineTune`; a larger `lr` suits it.
    """

    def _trains(self, name: str) -> bool:
        return name.startswith("head.") or name.endswith(".bias")
