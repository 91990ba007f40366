"""Fine-tuning: the pretrained weights go on learning. What every strategy has in common stands here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from headstart.backbones import Backbone
from headstart.backbones.backbone import items_of
from headstart.backbones.transformer import BackboneFeatures
from headstart.domain import Domain
from headstart.errors import InputError
from headstart.method import Family, Knowledge, Method, Needs
from headstart.models.fine_tuning.about import trained
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.models.fine_tuning.held_out import held_out
from headstart.models.fine_tuning.progress_bar import Progress, shown, untold
from headstart.models.fine_tuning.settings import Settings, epochs_of
from headstart.models.fine_tuning.tuned import TunedNetwork, opened

#: Parameters that are told as settings, or otherwise.
SHARED = frozenset({"model", *(setting.name for setting in fields(Settings))})


class FineTune(ClassifierMixin, Method):
    """Full fine-tuning: a new head, and all weights go on learning from where they were.

    By itself a classifier of pictures or texts. Between domains: the network is tuned on the source, its weights are
    the knowledge, and it is tuned further on the target's labelled rows; without any, it is taken as it arrives.

    Parameters
    ----------
    model : str or Backbone, default "bundled:efficientnet-lite0"
        See `headstart.backbone`.
    epochs : int or "auto", default "auto"
        Passes over the rows; "auto" makes about 100 steps of them, with 3 passes at least and 30 at most.
    lr : float, default 5e-5
        Learning rate of the pretrained weights.
    head_lr : float, default 1e-2
        Learning rate of the new head, which has everything to learn.
    weight_decay : float, default 0.01
    batch_size : int, default 16
    norms_move : bool, default False
        Whether batch norms go on averaging what passes. On few rows, and in networks whose norms were folded away, they
        should stand still. Where a batch could be a single row they do, with a warning.
    balanced : bool, default False
        Rare classes count more, so that all weigh the same.
    checkpoint : str, optional
        A folder from which an interrupted training goes on.
    random_state : int, default 0
    accumulate : int, default 1
        Batches whose gradients are added before a step: the step of a batch that many times as large, in the memory of
        one.
    mixed_precision : {"no", "fp16", "bf16"}, default "no"
        In what the network computes while it is trained. "fp16" needs a GPU.
    patience : int, optional
        Epochs without a better loss on held out rows after which training ends.
    validation : float, optional
        Share of the rows that are held out of training, of each class alike; which ones depends on the seed and on what
        they are, not on their order. None are by default.
    keep : {"best", "last"}, default "best"
        Which weights are kept where rows are held out: those with the least loss on them, or those at the end.
    logger : {"tensorboard", "mlflow", "wandb"}, optional
        What is told losses, learning rates and settings. TensorBoard writes files. MLflow writes where
        MLFLOW_TRACKING_URI says, by default beside the program. Weights & Biases sends them to its server, unless
        WANDB_MODE=offline is set before the start.
    log_folder : str, default "logs"
        Where TensorBoard and Weights & Biases write; give each training one of its own.

    Attributes
    ----------
    classes_ : array of shape (k,)
    tuned_ : TunedNetwork
        What came out.
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

    family: ClassVar[Family] = Family.MODELS
    needs: ClassVar[Needs] = Needs(source_rows=False, items=True, learner="any", tasks=("classification",))

    def __init__(
        self,
        model: str | Backbone | BackboneFeatures = "bundled:efficientnet-lite0",
        epochs: int | str = "auto",
        lr: float = 5e-5,
        head_lr: float = 1e-2,
        weight_decay: float = 0.01,
        batch_size: int = 16,
        norms_move: bool = False,
        balanced: bool = False,
        checkpoint: str | None = None,
        random_state: int = 0,
        accumulate: int = 1,
        mixed_precision: str = "no",
        patience: int | None = None,
        validation: float | None = None,
        keep: str = "best",
        logger: str | None = None,
        log_folder: str = "logs",
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
        self.accumulate = accumulate
        self.mixed_precision = mixed_precision
        self.patience = patience
        self.validation = validation
        self.keep = keep
        self.logger = logger
        self.log_folder = log_folder

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """Return the parameters of a strategy: its own, and those that it hands on with ``**shared``."""
        own = (
            name
            for kind in cls.__mro__
            if "__init__" in vars(kind) and issubclass(kind, FineTune)
            for name, parameter in signature(kind.__init__).parameters.items()
            if name != "self" and parameter.kind != Parameter.VAR_KEYWORD
        )
        return sorted(set(own))

    def fit(self, X: Any, y: Any, *, start: TunedNetwork | None = None, progress: Progress | bool = untold) -> Self:
        """Learn from pictures or texts and their classes.

        Parameters
        ----------
        X : sequence
            Paths, pictures or texts.
        y : array-like of shape (n,)
        start : TunedNetwork, optional
            Where to begin instead of the pretrained weights; its head too is gone on with.
        progress : callable or bool
            Called with (steps done, steps in all); True shows a bar on standard error, with the time left.

        Raises
        ------
        InputError
            When there is nothing to learn from, a picture can't be read, or the loss is no longer finite.
        NeedsError
            When the device can't compute as asked, or a logger's package is missing.
        """
        items = items_of(X)
        labels = np.asarray(y)
        if len(labels) != len(items):
            raise InputError(f"{len(items)} pictures or texts but {len(labels)} labels")
        self.classes_ = np.unique(labels)
        if start is not None:
            self.classes_ = np.union1d(start.classes_, self.classes_)
            start = start.with_classes(self.classes_)
        if len(self.classes_) < 2:
            raise InputError("one class only: there is nothing to tell apart; add rows of another class")
        self.backbone_ = opened(self.model) if start is None else start.base
        with shown(progress, type(self).__name__) as told:
            self._learn(items, np.searchsorted(self.classes_, labels), start, told)
        self.tuned_.about = trained(self, labels, start)
        return self

    @property
    def network_(self) -> Any:
        """A copy of the tuned network as a torch module, from a batch's tensors to scores."""
        check_is_fitted(self, "tuned_")
        return self.tuned_.module()

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each picture or text, shape (n,)."""
        check_is_fitted(self, "tuned_")
        return self.tuned_.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, shape (n, k)."""
        check_is_fitted(self, "tuned_")
        return self.tuned_.predict_proba(X)

    def learn_source(self, source: Domain, learner: Any) -> TunedNetwork:
        """Step 1: tune the network on the labelled source pictures or texts."""
        rows = source.labelled_rows()
        learner_of_source = clone(self)
        if self.checkpoint is not None:
            # A training of its own, with a checkpoint of its own.
            learner_of_source.set_params(checkpoint=str(Path(self.checkpoint) / "source"))
        tuned: TunedNetwork = learner_of_source.fit(_items(rows), rows.labels).tuned_
        return tuned

    def extract(self, learned: TunedNetwork, source: Domain) -> Knowledge:
        """Step 2: the weights that tuning changed, and the head, are the knowledge."""
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            arrays=dict(learned.values),
            parts={"network": learned.reader},
            facts={"rows": source.n_labelled, "classes": learned.classes_.tolist(), "trained": learned.about},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> TunedNetwork | None:
        """Step 3: put the weights into the pretrained network; without any, training begins with that."""
        if not knowledge.parts:
            return None
        classes, about = np.array(knowledge.facts["classes"]), knowledge.facts.get("trained")
        return TunedNetwork(knowledge.parts["network"], classes, knowledge.arrays, about)

    def learn_target(self, carried: TunedNetwork | None, target: Domain, learner: Any) -> TunedNetwork:
        """Step 4: tune it further on the labelled target pictures or texts."""
        rows = target.labelled_rows()
        if not len(rows) and carried is not None:
            return carried
        tuned: TunedNetwork = self.fit(_items(rows), rows.labels, start=carried).tuned_
        return tuned

    def _learn(self, items: Sequence[Any], codes: np.ndarray, start: TunedNetwork | None, progress: Progress) -> None:
        """Train the network and keep it."""
        import torch

        from headstart.models.fine_tuning.training import Rows, standing, train

        settings = Settings(
            epochs=self.epochs,
            lr=self.lr,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            patience=self.patience,
            keep=self.keep,
            balanced=self.balanced,
            accumulate=self.accumulate,
            mixed_precision=self.mixed_precision,
            logger=self.logger,
            log_folder=self.log_folder,
            checkpoint=self.checkpoint,
            random_state=self.random_state,
        )
        settings.check()
        items, codes, aside = self._parted(items, codes)
        rows = Rows(items, codes)
        with torch.random.fork_rng():
            # The new head, and what a strategy draws, come from the seed, and nothing global is changed.
            torch.manual_seed(self.random_state)
            network = self.backbone_.module(len(self.classes_)) if start is None else start.module()
            self._begin(network, items, codes, start)
            network = self._altered(network)
            objective = self._objective(network, rows)
        plans = standing(self._plans(network, epochs_of(settings, len(items))), len(items), self.batch_size)
        self.plan_ = plans[-1]
        self.history_ = train(
            network,
            rows,
            self.backbone_.preparation,
            plans,
            replace(settings, head_lr=self._head_rate()),
            validation=None if aside is None else Rows(*aside),
            objective=objective,
            rate_of=self._rates(network),
            progress=progress,
            facts=self._facts(),
        )
        self.tuned_ = TunedNetwork.of(self.backbone_, self._settled(network), self.classes_)

    def _parted(
        self, items: Sequence[Any], codes: np.ndarray
    ) -> tuple[Sequence[Any], np.ndarray, tuple[Sequence[Any], np.ndarray] | None]:
        """Return the rows to train on, and those held out of it."""
        if self.validation is None:
            if self.patience is not None:
                raise InputError("patience needs rows held out of training; set validation, such as validation=0.2")
            return items, codes, None
        held = held_out(items, codes, self.validation, self.random_state)
        kept, aside = np.flatnonzero(~held).tolist(), np.flatnonzero(held).tolist()
        return [items[i] for i in kept], codes[kept], ([items[i] for i in aside], codes[aside])

    def _facts(self) -> dict[str, Any]:
        """Return what tells this training from others, beside rows and settings: plain values by name."""
        own = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in SHARED and isinstance(value, bool | int | float | str | None)
        }
        card = self.backbone_.card
        return {"strategy": type(self).__name__, "model": card.name, "weights": card.weights, **own}

    def _begin(self, network: Any, items: Sequence[Any], codes: np.ndarray, start: TunedNetwork | None) -> None:
        """Bring the weights to where training begins."""

    def _altered(self, network: Any) -> Any:
        """Return the network as it is trained: with other or more modules."""
        return network

    def _settled(self, network: Any) -> Any:
        """Return the trained network in the form it had before `_altered`."""
        return network

    def _trains(self, name: str) -> bool:
        """Say whether a parameter is trained."""
        return True

    def _plans(self, network: Any, epochs: int) -> list[FreezePlan]:
        """Return what is trained in each epoch."""
        return [FreezePlan.of(network, self._trains, norms_move=self.norms_move)] * max(epochs, 1)

    def _head_rate(self) -> float:
        """Return the head's learning rate."""
        return self.head_lr

    def _rates(self, network: Any) -> Callable[[str], float] | None:
        """Return what gives each parameter, by its name, a learning rate; None for those of head and body."""
        return None

    def _objective(self, network: Any, rows: Any) -> Any:
        """Return what makes the loss of a step; None for its cross-entropy."""
        return None

    def _features(self, items: Sequence[Any], start: TunedNetwork | None) -> np.ndarray:
        """Return what the head would get before training."""
        return self.backbone_.features(items) if start is None else start.features(items)


def _items(rows: Domain) -> Sequence[Any]:
    """Return the pictures or texts of a domain's rows."""
    return list(rows.items if rows.items is not None else rows.X[:, 0])
