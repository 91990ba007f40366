"""Training of a network on pictures or texts: one loop, that can be killed and goes on as if it had not been."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from headstart.backbones.preparation import Preparation
from headstart.backbones.torch_network import tensors_of
from headstart.errors import InputError, StoreError
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.store.folder import staged_file

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        Passes over the rows.
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

    epochs: int = 5
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


def train(
    network: nn.Module,
    rows: Rows,
    preparation: Preparation,
    plan: FreezePlan,
    settings: Settings,
    *,
    validation: Rows | None = None,
    penalty: Callable[[nn.Module], torch.Tensor] | None = None,
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
    plan : FreezePlan
        Applied at the beginning, verified at the end.
    penalty : callable, optional
        What is added to the loss, from the network.
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
        return _train(network, rows, preparation, plan, settings, validation, penalty, progress)


def _train(
    network: nn.Module,
    rows: Rows,
    preparation: Preparation,
    plan: FreezePlan,
    settings: Settings,
    validation: Rows | None,
    penalty: Callable[[nn.Module], torch.Tensor] | None,
    progress: Callable[[int, int], None],
) -> History:
    plan.apply(network)
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    optimizer = torch.optim.AdamW(_groups(network, settings), weight_decay=settings.weight_decay)
    prepared, optimizer = accelerator.prepare(network, optimizer)
    loss_of = nn.CrossEntropyLoss(weight=_class_weights(rows.y, settings.balanced, accelerator.device))
    batches = -(-len(rows.items) // settings.batch_size)
    total = settings.epochs * -(-batches // settings.accumulate)
    heights = [group["lr"] for group in optimizer.param_groups]
    before = {name: value.detach().clone() for name, value in network.named_parameters() if value.requires_grad}
    state = _State(History(), None, 0, 0, 0, 0.0)
    place = None if settings.checkpoint is None else Path(settings.checkpoint) / CHECKPOINT
    if place is not None and place.is_file():
        state = _restored(place, network, optimizer, plan, settings, len(rows.items))
    for epoch in range(state.epoch, settings.epochs):
        order = np.random.default_rng([settings.random_state, epoch]).permutation(len(rows.items))
        prepared.train()
        for i, at in _batches(order, settings.batch_size, state.batch):
            tensors = {
                k: v.to(accelerator.device) for k, v in tensors_of(preparation([rows.items[j] for j in at])).items()
            }
            y = torch.from_numpy(rows.y[at]).to(accelerator.device)
            with accelerator.autocast():
                loss = loss_of(prepared(**tensors), y)
                if penalty is not None:
                    loss = loss + penalty(network)
            accelerator.backward(loss / settings.accumulate)
            state.running += loss.item() * len(at)
            state.batch = i + 1
            if state.batch % settings.accumulate and state.batch < batches:
                continue
            rate = _rate(state.step, total, settings.warm_up)
            for group, height in zip(optimizer.param_groups, heights, strict=True):
                group["lr"] = height * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state.step += 1
            progress(state.step, total)
            if place is not None and state.step % settings.every == 0:
                _save(place, network, optimizer, plan, settings, state, len(rows.items))
        state.history.loss.append(state.running / len(rows.items))
        state.epoch, state.batch, state.running = epoch + 1, 0, 0.0
        if validation is not None and _ended(prepared, network, validation, preparation, settings, state, loss_of):
            break
        if place is not None:
            _save(place, network, optimizer, plan, settings, state, len(rows.items))
    if settings.keep == "best" and state.best is not None:
        network.load_state_dict(state.best, strict=False)
    network.eval().cpu()
    plan.verify(network)
    after = dict(network.named_parameters())
    unmoved = [name for name, value in before.items() if torch.equal(after[name], value.cpu())]
    if unmoved and state.step and state.history.best_epoch != 0:
        warnings.warn(f"{len(unmoved)} trained parameters did not move, {unmoved[0]} first; raise lr?", stacklevel=3)
    if place is not None:
        place.unlink(missing_ok=True)
    return state.history


@dataclass
class _State:
    history: History
    best: dict[str, torch.Tensor] | None
    epoch: int
    batch: int
    step: int
    running: float


def _batches(order: np.ndarray, size: int, done: int) -> Iterator[tuple[int, np.ndarray]]:
    for i in range(done, -(-len(order) // size)):
        yield i, order[i * size : (i + 1) * size]


def _rate(step: int, total: int, warm_up: float) -> float:
    """Return the share of the learning rate's height: up a line, then down a cosine."""
    rising = max(1, round(warm_up * total))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + float(np.cos(np.pi * (step - rising) / max(1, total - rising))))


def _groups(network: nn.Module, settings: Settings) -> list[dict[str, Any]]:
    """Return the trained parameters with their learning rates; what is no matrix does not decay."""
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, value in network.named_parameters():
        if value.requires_grad:
            head, decays = name.startswith("head."), value.ndim > 1
            group = groups.setdefault((head, decays), {"params": [], "lr": settings.head_lr if head else settings.lr})
            group["params"].append(value)
            if not decays:
                group["weight_decay"] = 0.0
    return list(groups.values())


def _class_weights(y: np.ndarray, balanced: bool, device: Any) -> torch.Tensor | None:
    if not balanced:
        return None
    count = np.bincount(y)
    share = len(y) / (np.count_nonzero(count) * np.maximum(count, 1))
    return torch.tensor(np.where(count > 0, share, 0.0), dtype=torch.float32, device=device)


def _ended(
    prepared: nn.Module,
    network: nn.Module,
    validation: Rows,
    preparation: Preparation,
    settings: Settings,
    state: _State,
    loss_of: nn.Module,
) -> bool:
    """Measure the validation loss, keep the best weights, and say whether patience is at an end."""
    prepared.eval()
    device = next(network.parameters()).device
    found = 0.0
    with torch.no_grad():
        for _, at in _batches(np.arange(len(validation.items)), settings.batch_size, 0):
            batch = tensors_of(preparation([validation.items[j] for j in at]))
            scores = prepared(**{name: value.to(device) for name, value in batch.items()})
            found += loss_of(scores, torch.from_numpy(validation.y[at]).to(device)).item() * len(at)
    history = state.history
    history.validation.append(found / len(validation.items))
    best = int(np.argmin(history.validation))
    if best == len(history.validation) - 1:
        history.best_epoch = best
        moved = {name for name, value in network.named_parameters() if value.requires_grad}
        moved |= {name for name, _ in network.named_buffers()}
        state.best = {name: v.detach().clone() for name, v in network.state_dict().items() if name in moved}
    return settings.patience is not None and len(history.validation) - 1 - best >= settings.patience


def _save(
    place: Path, network: nn.Module, optimizer: Any, plan: FreezePlan, settings: Settings, state: _State, n: int
) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "about": _about(settings, plan, n),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "chance": torch.random.get_rng_state(),
        "state": {**vars(state), "history": vars(state.history)},
    }
    with staged_file(place) as stage:
        torch.save(content, stage)


def _about(settings: Settings, plan: FreezePlan, n: int) -> dict[str, Any]:
    """Return what a checkpoint and a training must have in common."""
    kept = {name: value for name, value in vars(settings).items() if name not in ("checkpoint", "every")}
    return {"settings": kept, "trained": list(plan.trained), "rows": n}


def _restored(place: Path, network: nn.Module, optimizer: Any, plan: FreezePlan, settings: Settings, n: int) -> _State:
    content = torch.load(place, weights_only=True)
    if content["about"] != _about(settings, plan, n):
        raise StoreError(f"{place}: is of a training with other rows or settings; name another folder, or remove it")
    network.load_state_dict(content["network"])
    optimizer.load_state_dict(content["optimizer"])
    torch.random.set_rng_state(content["chance"])
    plan.apply(network)
    saved = content["state"]
    return _State(**{**saved, "history": History(**saved["history"])})
