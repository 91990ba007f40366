"""How a network is trained, and how training went."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import numpy as np

from headstart.errors import InputError, unknown_name
from headstart.models.fine_tuning.logbook import require_logger

#: With "auto", as many epochs as make about so many steps, within these bounds.
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 100, 3, 30
PRECISIONS = ("no", "fp16", "bf16")
KEPT = ("best", "last")


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
        Batches whose gradients are added before a step, as if they were one.
    mixed_precision : {"no", "fp16", "bf16"}
        In what the network computes; the weights, and the loss, stay float32.
    logger : {None, "tensorboard", "mlflow", "wandb"}
        What is told how training goes.
    log_folder : str
        Where it writes.
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
    logger: str | None = None
    log_folder: str = "logs"
    random_state: int = 0
    checkpoint: str | None = None
    every: int = 50

    def check(self) -> None:
        """Refuse what can't be, before anything is computed.

        Raises
        ------
        InputError
            When a value is not one of those above.
        NeedsError
            When the logger's package is not installed.
        """
        for name in ("batch_size", "accumulate", "every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"patience must be 1 epoch or more, or None, not {self.patience}")
        if self.mixed_precision not in PRECISIONS:
            raise InputError(unknown_name("mixed precision", self.mixed_precision, PRECISIONS))
        if self.keep not in KEPT:
            raise InputError(f"keep must be 'best' or 'last', not {self.keep!r}")
        require_logger(self.logger)


@dataclass
class History:
    """Losses of each epoch, and where training ended."""

    loss: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int | None = None


def epochs_of(settings: Settings, n: int) -> int:
    """Return the number of passes over n rows.

    >>> epochs_of(Settings(), 30), epochs_of(Settings(), 320), epochs_of(Settings(), 5000), epochs_of(Settings(7), 30)
    (30, 5, 3, 7)
    """
    if isinstance(settings.epochs, str):
        if settings.epochs != "auto":
            raise InputError(f"epochs must be a number or 'auto', not {settings.epochs!r}")
        steps = ceil(ceil(n / settings.batch_size) / settings.accumulate)
        return int(np.clip(ceil(STEPS / steps), FEWEST_EPOCHS, MOST_EPOCHS))
    if settings.epochs < 0:
        raise InputError(f"epochs must be 0 or more, or 'auto', not {settings.epochs}")
    return int(settings.epochs)
