"""What a pretrained model is, in plain words and numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Modality = Literal["image", "text"]


@dataclass(frozen=True)
class Card:
    """What is known of a pretrained model.

    Parameters
    ----------
    name : str
        What it is asked for by, such as "bundled:efficientnet-lite0".
    modality : {"image", "text"}
    source_task : str
        What it was trained for.
    licence : str
        As its authors say, or "not stated".
    parameters : int
    width : int
        Columns of its features.
    classes : int or None
        Of its own head; None without one.
    preparation : dict
        How a picture or text becomes numbers.
    weights : str
        SHA-256 of names, shapes and values of all weights: two models with the same hash are the same.
    """

    name: str
    modality: Modality
    source_task: str
    licence: str
    parameters: int
    width: int
    classes: int | None
    preparation: dict[str, Any] = field(default_factory=dict)
    weights: str = ""

    def __str__(self) -> str:
        head = f"{self.classes} classes" if self.classes else "no head"
        return (
            f"{self.name}: {self.modality}s, {self.parameters / 1e6:.2f} million parameters, {self.width} features, "
            f"{head}; trained for {self.source_task}; licence: {self.licence}; weights {self.weights[:12]}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the card in plain JSON types."""
        return asdict(self)
