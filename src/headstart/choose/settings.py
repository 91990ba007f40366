"""Settings of methods, other than their own defaults, that are worth a trial where a method does well."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from headstart.catalogue import name_of
from headstart.method import Method

#: Few of each, and far from the default: what a method's paper says matters most.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "pooled": [{"target_weight": 1.0}],
    "kmm": [{"B": 10.0}, {"target_weight": 1.0}],
    "nearest-neighbor-weighting": [{"n_neighbors": 5}],
    "tradaboost": [{"n_rounds": 30}],
    "coral": [{"reg": 0.01}, {"align_means": False}],
    "subspace-alignment": [{"n_components": 10}, {"n_components": 40}],
    "gfk": [{"n_components": 10}, {"n_components": 40}],
    "tca": [{"n_components": 50}, {"kernel": "rbf"}],
    "tjm": [{"n_components": 50}, {"kernel": "rbf"}],
    "jda": [{"n_components": 50}, {"kernel": "rbf"}],
    "bda": [{"n_components": 50}, {"kernel": "rbf"}],
    "artl": [{"mmd_weight": 1.0}, {"kernel": "linear"}],
    "meda": [{"n_components": 40}, {"mmd_weight": 1.0}],
    "easytl": [{"alignment": None}],
    "discriminant-transfer": [{"shrinkage": 0.2}, {"shrinkage": 0.9}],
    "ot-mapping": [{"transport": "linear"}, {"reg": 1.0}],
    "feature-augmentation": [{"unlabelled": True}],
    "fine-tune": [{"lr": 1e-5}, {"lr": 2e-4}],
    "lp-ft": [{"lr": 1e-5}, {"lr": 2e-4}],
    "lora": [{"lr": 2e-3}, {"rank": 32}],
    "l2-sp": [{"alpha": 0.01}, {"alpha": 1.0}],
}


def others_like(method: Method, trials: int) -> list[tuple[str, Method]]:
    """Return the method with other settings that are worth a trial, by names such as "tca:kernel=rbf".

    Parameters
    ----------
    trials : int
        Settings of a method, the one at hand among them.

    Examples
    --------
    >>> from headstart.features import CORAL
    >>> others_like(CORAL(), trials=2)
    [('coral:reg=0.01', CORAL(reg=0.01))]
    """
    name = name_of(method)
    return [
        (
            f"{name}:{','.join(f'{key}={value}' for key, value in settings.items())}",
            clone(method).set_params(**settings),
        )
        for settings in SETTINGS.get(name, [])[: max(trials - 1, 0)]
    ]
