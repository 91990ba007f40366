"""Fine-tuning: the pretrained weights go on learning. What every strategy has in common stands here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
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
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.models.fine_tuning.tuned import TunedNetwork, opened

Progress = Callable[[int, int], None]


def untold(done: int, total: int) -> None:
    """Tell nobody how far training is."""


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

    def fit(self, X: Any, y: Any, *, start: TunedNetwork | None = None, progress: Progress = untold) -> Self:
        """Learn from pictures or texts and their classes.

        Parameters
        ----------
        X : sequence
            Paths, pictures or texts.
        y : array-like of shape (n,)
        start : TunedNetwork, optional
            Where to begin instead of the pretrained weights; its head too is gone on with.
        progress : callable
            Called with (steps done, steps in all).

        Raises
        ------
        InputError
            When there is nothing to learn from, or a picture can't be read.
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
        self._learn(items, np.searchsorted(self.classes_, labels), start, progress)
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
        tuned: TunedNetwork = clone(self).fit(_items(rows), rows.labels).tuned_
        return tuned

    def extract(self, learned: TunedNetwork, source: Domain) -> Knowledge:
        """Step 2: the weights that tuning changed, and the head, are the knowledge."""
        return Knowledge(
            method=type(self).__name__,
            holds_source_rows=False,
            arrays=dict(learned.values),
            parts={"network": learned.reader},
            facts={"rows": source.n_labelled, "classes": learned.classes_.tolist()},
        )

    def carry(self, knowledge: Knowledge, target: Domain) -> TunedNetwork:
        """Step 3: put the weights into the pretrained network."""
        return TunedNetwork(knowledge.parts["network"], np.array(knowledge.facts["classes"]), knowledge.arrays)

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

        from headstart.models.fine_tuning.training import Rows, Settings, epochs_of, train

        rows = Rows(items, codes)
        with torch.random.fork_rng():
            # The new head, and what a strategy draws, come from the seed, and nothing global is changed.
            torch.manual_seed(self.random_state)
            network = self.backbone_.module(len(self.classes_)) if start is None else start.module()
            self._begin(network, items, codes, start)
            network = self._altered(network)
            objective = self._objective(network, rows)
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
        plans = self._plans(network, epochs_of(settings, len(items)))
        self.plan_ = plans[-1]
        self.history_ = train(
            network,
            rows,
            self.backbone_.preparation,
            plans,
            settings,
            objective=objective,
            rate_of=self._rates(network),
            progress=progress,
        )
        self.tuned_ = TunedNetwork.of(self.backbone_, self._settled(network), self.classes_)

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
