"""Inputs on which two networks, or two forms of one, are compared."""

from __future__ import annotations

import numpy as np

from headstart.backbones.network import probes
from headstart.backbones.preparation import PicturePreparation, Preparation


def probes_of(preparation: Preparation) -> dict[str, np.ndarray]:
    """Return two prepared pictures, or two prepared texts of unequal length, on which networks are compared."""
    if isinstance(preparation, PicturePreparation):
        return {"pixels": probes(preparation.height, preparation.width)}
    return preparation(["a short text", "a text that is somewhat longer than the other one"])
