"""Training of a network on pictures or texts: one loop, that can be killed and goes on as if it had not been."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from headstart.backbones.preparation import PicturePreparation, Preparation
from headstart.backbones.torch_network import tensors_of
from headstart.errors import InputError, StoreError
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.store.folder import staged_file

CHECKPOINT = "checkpoint.pt"
#: Prepared pictures are kept in memory up to so many bytes; beyond, they are prepared anew in each epoch.
MOST_KEPT = 2**29
#: With "auto", as many epochs as make about so many steps, within these bounds.
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 100, 3, 30


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Parameters
    ----------
    epochs : int or "auto"
        Passes over the rows; "auto" makes about 100 steps of them, with 3 passes at least and 30 at most.
    lr, head_lr : float
        Learning rates of the body and of the head, at their height.
    weight_decay : float
    batch_size : int
    warm_up : float
        Share of the steps in which the learning rate rises; then it falls along a cosine to zero.
    patience : int or None
        Epochs without a better validation loss after which training ends.
    keep : {"best", "last"}
        Which weights are kept where there are validation rows.
    balanced : bool
        Rare classes count more, so that all weigh the same.
    accumulate : int
        Batches whose gradients are added before a step.
    mixed_precision : {"no", "fp16", "bf16"}
    random_state : int
        New head, order of the rows, dropout.
    checkpoint : str or None
        A folder in which to keep where the training stands, so that it can go on after an interruption.
    every : int
        Steps between two checkpoints.
    """

    epochs: int | str = "auto"
    lr: float = 1e-4
    head_lr: float = 1e-3
    weight_decay: float = 0.01
    batch_size: int = 16
    warm_up: float = 0.1
    patience: int | None = None
    keep: str = "best"
    balanced: bool = False
    accumulate: int = 1
    mixed_precision: str = "no"
    random_state: int = 0
    checkpoint: str | None = None
    every: int = 50


@dataclass
class History:
    """Losses of each epoch, and where training ended."""

    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int | None = None


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures or texts, and the numbers of their classes."""

    items: Sequence[Any]
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class Step:
    """One batch on its way through the network: what an objective sees.

    Attributes
    ----------
    network : torch module
        With a `body` and a `head`.
    batch : dict of str to tensor
        What the body took.
    features, scores : tensors of shape (n, d) and (n, k)
        What body and head gave.
    y : tensor of shape (n,)
        Numbers of the classes.
    at : tensor of shape (n,)
        Positions among the rows that are trained on.
    loss : tensor
        Cross-entropy of the scores.
    """

    network: Any
    batch: dict[str, torch.Tensor]
    features: torch.Tensor
    scores: torch.Tensor
    y: torch.Tensor
    at: torch.Tensor
    loss: torch.Tensor


#: From a step to the loss that is descended; a torch module where it has parameters of its own.
Objective = Callable[[Step], torch.Tensor]


class Lesson(nn.Module):
    """A network and its objective, as one module from a batch to the loss: what is handed to several devices."""

    def __init__(self, network: nn.Module, objective: Objective | None, weight: torch.Tensor | None) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.cross_entropy = nn.CrossEntropyLoss(weight)

    def forward(self, y: torch.Tensor, at: torch.Tensor, **batch: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch."""
        network: Any = self.network
        features = network.body(**batch)
        scores = network.head(features)
        loss: torch.Tensor = self.cross_entropy(scores, y)
        return loss if self.objective is None else self.objective(Step(network, batch, features, scores, y, at, loss))


def train(
    network: nn.Module,
    rows: Rows,
    preparation: Preparation,
    plan: FreezePlan | Sequence[FreezePlan],
    settings: Settings,
    *,
    validation: Rows | None = None,
    objective: Objective | None = None,
    rate_of: Callable[[str], float] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> History:
    """Train a network in place, on an accelerator where there is one; afterwards it is on the processor again.

    Rows come in an order drawn anew for each epoch from the seed and the epoch's number, and the state of chance is
    part of a checkpoint: a training that was killed and begun again from its checkpoint ends with the same weights, bit
    for bit on the same machine. Nothing global is seeded.

    Parameters
    ----------
    network : torch module
        From a batch's tensors to scores.
    rows, validation : Rows
    preparation : Preparation
    plan : FreezePlan, or one for each epoch
        Applied at the beginning, verified at the end.
    objective : callable, optional
        From a `Step` to the loss; by default its cross-entropy. Where it is a torch module, its parameters learn as
        fast as the head.
    rate_of : callable, optional
        From the name of a parameter to its learning rate at its height; by default `settings.head_lr` for the head and
        `settings.lr` for the body.
    progress : callable
        Called with (steps done, steps in all).

    Raises
    ------
    StoreError
        When the checkpoint is of another training.
    """
    if not len(rows.items):
        raise InputError("there is no row to train on")
    with torch.random.fork_rng():
        torch.manual_seed(settings.random_state)
        return _Training(network, rows, preparation, plan, settings, validation, objective, rate_of).run(progress)


def epochs_of(settings: Settings, n: int) -> int:
    """Return the number of passes over n rows.

    >>> epochs_of(Settings(), 30), epochs_of(Settings(), 320), epochs_of(Settings(), 5000), epochs_of(Settings(7), 30)
    (30, 5, 3, 7)
    """
    if isinstance(settings.epochs, int):
        return settings.epochs
    if settings.epochs != "auto":
        raise InputError(f"epochs must be a number or 'auto', not {settings.epochs!r}")
    steps = ceil(ceil(n / settings.batch_size) / settings.accumulate)
    return int(np.clip(ceil(STEPS / steps), FEWEST_EPOCHS, MOST_EPOCHS))


class _Training:
    """One training on its way."""

    def __init__(
        self,
        network: nn.Module,
        rows: Rows,
        preparation: Preparation,
        plan: FreezePlan | Sequence[FreezePlan],
        settings: Settings,
        validation: Rows | None,
        objective: Objective | None,
        rate_of: Callable[[str], float] | None,
    ) -> None:
        self.network, self.rows, self.settings, self.validation = network, rows, settings, validation
        self.epochs = epochs_of(settings, len(rows.items))
        self.plans = [plan] * max(self.epochs, 1) if isinstance(plan, FreezePlan) else list(plan)
        if len(self.plans) < self.epochs:
            raise InputError(f"{self.epochs} epochs, and plans for {len(self.plans)}; give one for each")
        self.prepared = _Prepared(preparation)
        self.accelerator = Accelerator(mixed_precision=settings.mixed_precision)
        self.device = self.accelerator.device
        lesson = Lesson(network, objective, _class_weights(rows.y, settings.balanced))
        # The optimiser holds all that is ever trained; what is frozen for a time has no gradient then.
        for each in self.plans:
            each.apply(network)
            lesson.train()
        ever = {name for each in self.plans for name in each.trained}
        groups = _groups(lesson, ever, rate_of or partial(_rate_by_part, settings))
        self.lesson, self.optimizer = self.accelerator.prepare(
            lesson, torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        )
        self.plain: Lesson = lesson
        self.heights = [group["lr"] for group in self.optimizer.param_groups]
        self.before = {name: value.detach().clone() for name, value in network.named_parameters() if name in ever}
        self.state = _State(History(), None, 0, 0, 0, 0.0)
        self.place = None if settings.checkpoint is None else Path(settings.checkpoint) / CHECKPOINT
        if self.place is not None and self.place.is_file():
            self._restore(self.place)

    def run(self, progress: Callable[[int, int], None]) -> History:
        settings, state, n = self.settings, self.state, len(self.rows.items)
        batches = ceil(n / settings.batch_size)
        total = self.epochs * ceil(batches / settings.accumulate)
        for epoch in range(state.epoch, self.epochs):
            self.plans[epoch].apply(self.network)
            self.lesson.train()
            order = np.random.default_rng([settings.random_state, epoch]).permutation(n)
            for i, at in _batches(order, settings.batch_size, state.batch):
                loss = self._loss(self.rows, at)
                self.accelerator.backward(loss / settings.accumulate)
                state.running += loss.item() * len(at)
                state.batch = i + 1
                if state.batch % settings.accumulate and state.batch < batches:
                    continue
                rate = _rate(state.step, total, settings.warm_up)
                for group, height in zip(self.optimizer.param_groups, self.heights, strict=True):
                    group["lr"] = height * rate
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
                state.step += 1
                progress(state.step, total)
                if self.place is not None and state.step % settings.every == 0:
                    self._save(self.place)
            state.history.loss.append(state.running / n)
            state.epoch, state.batch, state.running = epoch + 1, 0, 0.0
            self.plans[epoch].verify(self.network)
            if self.validation is not None and self._ended(self.validation):
                break
            if self.place is not None:
                self._save(self.place)
        return self._finished()

    def _loss(self, rows: Rows, at: np.ndarray) -> torch.Tensor:
        tensors = {name: value.to(self.device) for name, value in self.prepared.batch(rows, at).items()}
        y = torch.from_numpy(rows.y[at]).to(self.device)
        with self.accelerator.autocast():
            loss: torch.Tensor = self.lesson(y, torch.from_numpy(at).to(self.device), **tensors)
        return loss

    def _ended(self, validation: Rows) -> bool:
        """Measure the validation loss, keep the best weights, and say whether patience is at an end."""
        self.lesson.eval()
        found = 0.0
        with torch.no_grad():
            for _, at in _batches(np.arange(len(validation.items)), self.settings.batch_size, 0):
                batch = {name: value.to(self.device) for name, value in self.prepared.batch(validation, at).items()}
                y = torch.from_numpy(validation.y[at]).to(self.device)
                found += self.plain.cross_entropy(self.network(**batch), y).item() * len(at)
        history = self.state.history
        history.validation.append(found / len(validation.items))
        best = int(np.argmin(history.validation))
        if best == len(history.validation) - 1:
            history.best_epoch = best
            moved = set(self.before) | {name for name, _ in self.network.named_buffers()}
            self.state.best = {n: v.detach().clone() for n, v in self.network.state_dict().items() if n in moved}
        patience = self.settings.patience
        return patience is not None and len(history.validation) - 1 - best >= patience

    def _finished(self) -> History:
        state, network = self.state, self.network
        if self.settings.keep == "best" and state.best is not None:
            network.load_state_dict(state.best, strict=False)
        self.plain.eval().cpu()
        after = dict(network.named_parameters())
        unmoved = [name for name, value in self.before.items() if torch.equal(after[name], value.cpu())]
        if unmoved and state.step and state.history.best_epoch != 0:
            warnings.warn(
                f"{len(unmoved)} trained parameters did not move, {unmoved[0]} first; raise lr?", stacklevel=4
            )
        if self.place is not None:
            self.place.unlink(missing_ok=True)
        return state.history

    def _save(self, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "about": self._about(),
            "lesson": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "chance": torch.random.get_rng_state(),
            "state": {**vars(self.state), "history": vars(self.state.history)},
        }
        with staged_file(place) as stage:
            torch.save(content, stage)

    def _about(self) -> dict[str, Any]:
        """Return what a checkpoint and a training must have in common."""
        kept = {name: value for name, value in vars(self.settings).items() if name not in ("checkpoint", "every")}
        return {"settings": kept, "plans": [list(plan.trained) for plan in self.plans], "rows": len(self.rows.items)}

    def _restore(self, place: Path) -> None:
        content = torch.load(place, weights_only=True)
        if content["about"] != self._about():
            raise StoreError(
                f"{place}: is of a training with other rows or settings; name another folder, or remove it"
            )
        self.plain.load_state_dict(content["lesson"])
        self.optimizer.load_state_dict(content["optimizer"])
        torch.random.set_rng_state(content["chance"])
        saved = content["state"]
        self.state = _State(**{**saved, "history": History(**saved["history"])})


class _Prepared:
    """Batches of tensors; pictures are prepared once, as far as they fit into memory."""

    def __init__(self, preparation: Preparation) -> None:
        self.preparation = preparation
        self.kept: dict[int, dict[int, np.ndarray]] = {}
        self.bytes = 0

    def batch(self, rows: Rows, at: np.ndarray) -> dict[str, torch.Tensor]:
        if not isinstance(self.preparation, PicturePreparation):
            return tensors_of(self.preparation([rows.items[i] for i in at]))
        kept = self.kept.setdefault(id(rows), {})
        return tensors_of({"pixels": np.stack([self._pixels(rows, kept, int(i)) for i in at])})

    def _pixels(self, rows: Rows, kept: dict[int, np.ndarray], i: int) -> np.ndarray:
        found = kept.get(i)
        if found is None:
            found = self.preparation([rows.items[i]])["pixels"][0]
            if self.bytes + found.nbytes <= MOST_KEPT:
                kept[i] = found
                self.bytes += found.nbytes
        return found


@dataclass
class _State:
    history: History
    best: dict[str, torch.Tensor] | None
    epoch: int
    batch: int
    step: int
    running: float


def _batches(order: np.ndarray, size: int, done: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the batches after the first `done`; all are about as large, for a norm can't learn from a single row."""
    if len(order):
        parts = np.array_split(order, ceil(len(order) / size))
        yield from enumerate(parts[done:], start=done)


def _rate(step: int, total: int, warm_up: float) -> float:
    """Return the share of the learning rate's height: up a line, then down a cosine."""
    rising = max(1, round(warm_up * total))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + float(np.cos(np.pi * (step - rising) / max(1, total - rising))))


def _rate_by_part(settings: Settings, name: str) -> float:
    return settings.head_lr if name.startswith("head.") else settings.lr


def _groups(lesson: Lesson, ever: set[str], rate_of: Callable[[str], float]) -> list[dict[str, Any]]:
    """Return the trained parameters with their learning rates; what is no matrix does not decay."""
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    parts = [(rate_of(name), value) for name, value in lesson.network.named_parameters() if name in ever]
    if isinstance(lesson.objective, nn.Module):
        parts += [(rate_of("head."), value) for value in lesson.objective.parameters() if value.requires_grad]
    for rate, value in parts:
        decays = value.ndim > 1
        group = groups.setdefault((rate, decays), {"params": [], "lr": rate})
        group["params"].append(value)
        if not decays:
            group["weight_decay"] = 0.0
    return list(groups.values())


def _class_weights(y: np.ndarray, balanced: bool) -> torch.Tensor | None:
    if not balanced:
        return None
    count = np.bincount(y)
    share = len(y) / (np.count_nonzero(count) * np.maximum(count, 1))
    return torch.tensor(np.where(count > 0, share, 0.0), dtype=torch.float32)
