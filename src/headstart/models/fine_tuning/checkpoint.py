"""Where a training stands, in a file: written whole or not at all, and read back by the same training only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headstart.errors import StoreError
from headstart.models.fine_tuning.settings import History
from headstart.store.folder import staged_file

CHECKPOINT = "checkpoint.pt"


@dataclass
class State:
    """Where a training stands beside its weights.

    Attributes
    ----------
    history : History
    best : dict of str to tensor, or None
        The weights with the least validation loss so far.
    epoch, batch, step : int
        Epochs done, batches done of the next, and steps done in all.
    running : float
        Sum of the losses of this epoch's rows so far.
    """

    history: History
    best: dict[str, torch.Tensor] | None = None
    epoch: int = 0
    batch: int = 0
    step: int = 0
    running: float = 0.0


def save(place: Path, about: dict[str, Any], parts: dict[str, Any], state: State) -> None:
    """Write a checkpoint: what it is about, the state of lesson, optimiser and scaler, and where training stands."""
    place.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "about": about,
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "state": {**vars(state), "history": vars(state.history)},
    }
    with staged_file(place) as stage:
        torch.save(content, stage)


def restore(place: Path, about: dict[str, Any], parts: dict[str, Any]) -> State:
    """Bring lesson, optimiser and scaler to where a checkpoint left them.

    Raises
    ------
    StoreError
        When the checkpoint is of another training, with the first thing that differs.
    """
    content = torch.load(place, weights_only=True, map_location="cpu")
    kept = content.get("about", {})
    differs = next((name for name in about if kept.get(name) != about[name]), None)
    if differs is not None:
        raise StoreError(
            f"{place}: is of a training with other rows or settings ({differs}); name another folder, or remove it"
        )
    for name, part in parts.items():
        part.load_state_dict(content["parts"][name])
    saved = content["state"]
    return State(**{**saved, "history": History(**saved["history"])})
