"""What a logger is told of a training: TensorBoard, MLflow or Weights & Biases, through accelerate's trackers."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError, NeedsError, unknown_name

if TYPE_CHECKING:
    from accelerate import Accelerator

#: Loggers, each named as its package.
LOGGERS = ("tensorboard", "mlflow", "wandb")
PROJECT = "headstart"


def require_logger(name: str | None) -> None:
    """Refuse a logger that is not known or not installed.

    Raises
    ------
    InputError, NeedsError
        With what to install.
    """
    if name is None:
        return
    if name not in LOGGERS:
        raise InputError(unknown_name("logger", name, LOGGERS))
    if find_spec(name) is None:
        raise NeedsError(f"logger={name!r} needs a package; install it: python -m pip install {name}")


class Logbook:
    """Tells the logger of an accelerator how training goes; nobody, where it has none. Only the main process writes.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        Made with ``log_with`` and ``project_dir``.
    name : str or None
        The logger.
    folder : str
        Where TensorBoard and Weights & Biases write. MLflow writes where MLFLOW_TRACKING_URI says.
    """

    def __init__(self, accelerator: Accelerator, name: str | None, folder: str) -> None:
        self.accelerator = accelerator
        self.name = name
        self.folder = folder

    def begin(self, config: dict[str, Any]) -> None:
        """Open a run, with what training was asked for."""
        if self.name is None:
            return
        if self.accelerator.is_main_process:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        own = {"wandb": {"dir": self.folder}} if self.name == "wandb" else {}
        self.accelerator.init_trackers(PROJECT, {key: _plain(value) for key, value in config.items()}, own)

    def tell(self, values: dict[str, float], step: int) -> None:
        """Write values at a step."""
        if self.name is not None:
            self.accelerator.log(values, step=step)

    def end(self) -> None:
        """Close the run."""
        # Not by `end_training`: that would part the processes, and another training may follow.
        for tracker in self.accelerator.trackers:
            tracker.finish()


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)
