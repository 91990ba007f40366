"""How a network was trained, as data."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

#: Packages that a training depends on, and the modules that they bring.
PACKAGES = {
    "numpy": "numpy",
    "scikit-learn": "sklearn",
    "torch": "torch",
    "transformers": "transformers",
    "accelerate": "accelerate",
    "peft": "peft",
}
#: Parameters that say nothing of the network that came out.
UNTOLD = ("model", "checkpoint", "logger", "log_folder")


def trained(strategy: Any, y: Any, start: Any = None) -> dict[str, Any]:
    """Return how a network was trained, in plain JSON types, for `TunedNetwork.about`.

    Parameters
    ----------
    strategy : FineTune
        Whose training is at its end: its `plan_` and `history_` are read, where it has them.
    y : array-like of shape (n,)
        Labels of the rows that it was given, those included that it held out.
    start : TunedNetwork, optional
        Where it began.
    """
    from headstart.version import __version__

    classes, counts = np.unique(np.asarray(y), return_counts=True)
    parameters = {
        name: value
        for name, value in strategy.get_params(deep=False).items()
        if name not in UNTOLD and isinstance(value, bool | int | float | str | None)
    }
    about: dict[str, Any] = {
        "strategy": type(strategy).__name__,
        "parameters": parameters,
        "rows": [[str(name), int(count)] for name, count in zip(classes, counts, strict=True)],
        "versions": {
            "headstart": __version__,
            **{name: version(name) for name, module in PACKAGES.items() if find_spec(module)},
        },
    }
    if start is not None:
        first = start.about or {}
        about["began"] = {"strategy": first.get("strategy"), "rows": sum(count for _, count in first.get("rows", []))}
    if hasattr(strategy, "plan_"):
        about["plan"] = str(strategy.plan_)
    if hasattr(strategy, "history_"):
        history = strategy.history_
        about["loss"] = [float(value) for value in history.loss]
        about["validation"] = [float(value) for value in history.validation]
        about["best_epoch"] = history.best_epoch
    return about
