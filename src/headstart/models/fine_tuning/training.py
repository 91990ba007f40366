"""Training of a network on pictures or texts: one loop, that can be killed and goes on as if it had not been."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from threadpoolctl import threadpool_limits
from torch import nn

from headstart.backbones.preparation import Preparation
from headstart.errors import InputError
from headstart.models.fine_tuning.batches import Prepared, batches_of, smallest_batch, steps_of
from headstart.models.fine_tuning.checkpoint import CHECKPOINT, State, restore, save
from headstart.models.fine_tuning.freeze_plan import FreezePlan
from headstart.models.fine_tuning.held_out import rows_hash
from headstart.models.fine_tuning.lesson import Lesson, Objective, Rows, Step, class_weights
from headstart.models.fine_tuning.logbook import Logbook
from headstart.models.fine_tuning.processes import Processes, precision_of
from headstart.models.fine_tuning.settings import History, Settings, epochs_of

__all__ = ["CHECKPOINT", "History", "Lesson", "Objective", "Rows", "Settings", "Step", "epochs_of", "train"]

#: Settings that a checkpoint and what goes on from it need not have in common.
BESIDE = ("checkpoint", "every", "logger", "log_folder")


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
    facts: Mapping[str, Any] | None = None,
) -> History:
    """Train a network in place, on an accelerator where there is one; afterwards it is on the processor again.

    Rows come in an order drawn anew for each epoch, and chance begins anew with each batch, from the seed and the
    numbers of epoch and batch: a training that was killed and begun again from its checkpoint ends with the same
    weights, bit for bit on the same machine. Nothing global is seeded. An objective that remembers something from step
    to step goes on only if it is a torch module and keeps it in parameters or buffers.

    Started in several processes (`torchrun`, or `accelerate launch` on GPUs), each takes its share of the rows of every
    batch, and all take the step that one process would take. What looks at a whole batch, an objective or a batch norm
    that moves, sees the share of its process. Checkpoints and logs are written, and progress is told, by the main
    process; the folder of checkpoints must be one that all can read.

    Parameters
    ----------
    network : torch module
        From a batch's tensors to scores.
    rows, validation : Rows
    preparation : Preparation
    plan : FreezePlan, or one for each epoch
        Applied at the beginning, verified at the end of each epoch. Where a process would get single rows, batch norms
        stand still whatever it says, with a warning: see `standing`.
    objective : callable, optional
        From a `Step` to the loss; by default its cross-entropy. Where it is a torch module, its parameters learn as
        fast as the head.
    rate_of : callable, optional
        From the name of a parameter to its learning rate at its height; by default `settings.head_lr` for the head and
        `settings.lr` for the body.
    progress : callable
        Called with (steps done, steps in all).
    facts : mapping, optional
        What the logger is told, and a checkpoint must have in common with what goes on from it, beside the settings:
        plain values by name.

    Raises
    ------
    InputError
        When a setting is none, or the loss is no longer finite; a checkpoint is left as it was.
    NeedsError
        When the device can't compute as asked, or a logger's package is missing.
    StoreError
        When the checkpoint is of another training.
    """
    settings.check()
    if not len(rows.items):
        raise InputError("there is no row to train on")
    with torch.random.fork_rng(), threadpool_limits(limits=own_threads(), user_api="openmp"):
        training = _Training(
            network, rows, preparation, plan, settings, validation, objective, rate_of, dict(facts or {})
        )
        try:
            return training.run(progress)
        finally:
            training.logbook.end()


def own_threads() -> int:
    """Return how many threads torch takes where nobody limited them: as the environment or torch itself was told.

    Under `threadpoolctl.threadpool_limits` torch has as few as all others. That limit is of the thread it was set in,
    so a new one is asked.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def standing(plans: Sequence[FreezePlan], n: int, batch_size: int) -> list[FreezePlan]:
    """Return the plans with all batch norms standing still, where a batch's share has less than two rows.

    A batch norm can't learn how much rows vary from a single one.
    """
    processes = Accelerator().num_processes
    least = smallest_batch(n, batch_size) // processes
    if least >= 2 or not any(plan.moving for plan in plans):
        return list(plans)
    shared = f" for each of {processes} processes" if processes > 1 else ""
    warnings.warn(
        f"{n} rows in batches of {batch_size} leave a batch norm less than two rows{shared}: batch norms stand still; "
        "give more rows or another batch_size, or set norms_move=False",
        stacklevel=3,
    )
    return [replace(plan, moving=(), still=(*plan.moving, *plan.still)) for plan in plans]


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
        facts: dict[str, Any],
    ) -> None:
        self.network, self.rows, self.settings, self.validation = network, rows, settings, validation
        n = len(rows.items)
        self.epochs = epochs_of(settings, n)
        plans = [plan] * max(self.epochs, 1) if isinstance(plan, FreezePlan) else list(plan)
        if len(plans) < self.epochs:
            raise InputError(f"{self.epochs} epochs, and plans for {len(plans)}; give one for each")
        self.plans = standing(plans, n, settings.batch_size)
        self.prepared = Prepared(preparation)
        accelerator = Accelerator(log_with=settings.logger, project_dir=settings.log_folder)
        self.processes = Processes(accelerator)
        self.device = self.processes.device
        self.logbook = Logbook(accelerator, settings.logger, settings.log_folder)
        weight = class_weights(rows.y, settings.balanced)
        self.lesson = Lesson(network, objective, weight, precision_of(settings.mixed_precision, self.device))
        self.weights = np.ones(n) if weight is None else weight.numpy().astype(float)[rows.y]
        # The optimiser holds all that is ever trained; what is frozen for a time has no gradient then.
        for each in self.plans:
            each.apply(network)
            self.lesson.train()
        ever = {name for each in self.plans for name in each.trained}
        self.before = {name: value.detach().clone() for name, value in network.named_parameters() if name in ever}
        self.lesson.to(self.device)
        groups = _groups(self.lesson, ever, rate_of or partial(_rate_by_part, settings))
        self.optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
        # Half precision has no small gradients: the loss is scaled, and gradients back before a step.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.lesson.precision == torch.float16)
        self.heights = [group["lr"] for group in self.optimizer.param_groups]
        self.facts = facts
        self.state = State(History())
        self.place = None if settings.checkpoint is None else Path(settings.checkpoint) / CHECKPOINT
        self.about = {} if self.place is None else self._about()
        if self.place is not None and self.place.is_file():
            self.state = restore(self.place, self.about, self._parts())
        kept = {name: value for name, value in vars(settings).items() if name not in BESIDE}
        self.logbook.begin({**kept, **facts, "rows": n, "trained": sum(v.numel() for v in self.before.values())})

    def run(self, progress: Callable[[int, int], None]) -> History:
        settings, state, n = self.settings, self.state, len(self.rows.items)
        total = self.epochs * ceil(ceil(n / settings.batch_size) / settings.accumulate)
        for epoch in range(state.epoch, self.epochs):
            self.plans[epoch].apply(self.network)
            self.lesson.train()
            order = np.random.default_rng([settings.random_state, epoch]).permutation(n)
            for batches in steps_of(batches_of(order, settings.batch_size), settings.accumulate, state.batch):
                loss = self._step(batches, epoch, total)
                if self.processes.main:
                    progress(state.step, total)
                rates = [group["lr"] for group in self.optimizer.param_groups]
                self.logbook.tell({"loss": loss, "lr": max(rates), "lr_least": min(rates)}, state.step)
                if state.step % settings.every == 0:
                    self._save()
            state.history.loss.append(state.running / float(self.weights.sum()))
            state.epoch, state.batch, state.running = epoch + 1, 0, 0.0
            self.plans[epoch].verify(self.network)
            ended = self.validation is not None and self._ended(self.validation)
            self._tell_epoch()
            if ended:
                break
            self._save()
        return self._finished()

    def _step(self, batches: list[np.ndarray], epoch: int, total: int) -> float:
        """Add up the gradients of some batches, over all processes, take a step, and return the mean loss."""
        state = self.state
        rows = np.concatenate(batches)
        whole = float(self.weights[rows].sum())
        found = 0.0
        for at in batches:
            share = self.processes.share(at)
            # A mean over a share is weighed by what its rows count, so that all together are the mean over all.
            counts = float(self.weights[share].sum())
            own = 0.0
            if len(share):
                torch.manual_seed(_seed(self.settings.random_state, epoch, state.batch, self.processes.index))
                loss = self._loss(self.rows, share)
                own = loss.item() * counts
                if isfinite(own):
                    self.scaler.scale(loss * (counts / whole)).backward()
            (own,) = self.processes.total([own])
            if not isfinite(own):
                self._refuse("loss", total)
            found += own
            state.batch += 1
        parameters = [value for group in self.optimizer.param_groups for value in group["params"]]
        self.processes.add_gradients(parameters)
        if not self.scaler.is_enabled() and not _finite([v.grad for v in parameters if v.grad is not None]):
            self._refuse("gradient", total)
        rate = _rate(state.step, total, self.settings.warm_up)
        for group, height in zip(self.optimizer.param_groups, self.heights, strict=True):
            group["lr"] = height * rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        moving = self.plans[epoch].moving
        self.processes.average([value for name in moving for value in self.network.get_submodule(name).buffers()])
        state.running += found
        state.step += 1
        return found / whole

    def _refuse(self, what: str, total: int) -> None:
        precision = ", or mixed_precision='no'" if self.settings.mixed_precision != "no" else ""
        raise InputError(
            f"the {what} is not finite at step {self.state.step + 1} of {total}; try a smaller lr and head_lr "
            f"({self.settings.lr:g} and {self.settings.head_lr:g} now){precision}"
        )

    def _loss(self, rows: Rows, at: np.ndarray) -> torch.Tensor:
        loss: torch.Tensor = self.lesson(self._y(rows, at), torch.from_numpy(at).to(self.device), **self._on(rows, at))
        return loss

    def _on(self, rows: Rows, at: np.ndarray) -> dict[str, torch.Tensor]:
        return {name: value.to(self.device) for name, value in self.prepared.batch(rows, at).items()}

    def _y(self, rows: Rows, at: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows.y[at]).to(self.device)

    def _ended(self, validation: Rows) -> bool:
        """Measure the validation loss, keep the best weights, and say whether patience is at an end."""
        self.lesson.eval()
        loss, count = 0.0, 0.0
        with torch.no_grad():
            for batch in batches_of(np.arange(len(validation.items)), self.settings.batch_size):
                at = self.processes.share(batch)
                if not len(at):
                    continue
                y = self._y(validation, at)
                scores = self.lesson.run(self._on(validation, at))[1]
                counts = self.lesson.counts(y, scores.shape[1])
                loss += self.lesson.cross_entropy(scores, y).item() * counts
                count += counts
        loss, count = self.processes.total([loss, count])
        if not isfinite(loss):
            self._refuse("validation loss", self.state.step + 1)
        history = self.state.history
        history.validation.append(loss / count)
        best = int(np.argmin(history.validation))
        if best == len(history.validation) - 1:
            history.best_epoch = best
            moved = set(self.before) | {name for name, _ in self.network.named_buffers()}
            self.state.best = {n: v.detach().clone() for n, v in self.network.state_dict().items() if n in moved}
        patience = self.settings.patience
        return patience is not None and len(history.validation) - 1 - best >= patience

    def _tell_epoch(self) -> None:
        state = self.state
        told = {"epoch": float(state.epoch), "epoch_loss": state.history.loss[-1]}
        if state.history.validation:
            told["validation_loss"] = state.history.validation[-1]
        self.logbook.tell(told, state.step)

    def _finished(self) -> History:
        state, network = self.state, self.network
        if self.settings.keep == "best" and state.best is not None:
            network.load_state_dict(state.best, strict=False)
        self.lesson.eval().cpu()
        after = dict(network.named_parameters())
        unmoved = [name for name, value in self.before.items() if torch.equal(after[name], value)]
        if unmoved and state.step and state.history.best_epoch != 0:
            warnings.warn(
                f"{len(unmoved)} trained parameters did not move, {unmoved[0]} first; raise lr?", stacklevel=4
            )
        if self.place is not None:
            if self.processes.main:
                self.place.unlink(missing_ok=True)
            self.processes.wait()
        return state.history

    def _parts(self) -> dict[str, Any]:
        return {"lesson": self.lesson, "optimizer": self.optimizer, "scaler": self.scaler}

    def _save(self) -> None:
        if self.place is None:
            return
        if self.processes.main:
            save(self.place, self.about, self._parts(), self.state)
        self.processes.wait()

    def _about(self) -> dict[str, Any]:
        """Return what a checkpoint and a training must have in common."""
        held = self.validation
        return {
            "settings": {name: value for name, value in vars(self.settings).items() if name not in BESIDE},
            "network": [plan.to_dict() for plan in self.plans],
            "rows": rows_hash(self.rows.items, self.rows.y),
            "validation": None if held is None else rows_hash(held.items, held.y),
            "processes": self.processes.count,
            "strategy": self.facts,
        }


def _seed(random_state: int, epoch: int, batch: int, process: int) -> int:
    return int(np.random.SeedSequence([random_state, epoch, batch, process]).generate_state(1, np.uint64)[0])


def _finite(values: Sequence[torch.Tensor]) -> bool:
    """Say whether all numbers are finite; a sum of absolute values is, only if all are."""
    return not values or bool(torch.stack([value.abs().sum() for value in values]).isfinite().all())


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
