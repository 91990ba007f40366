"""The head of the page: the verdict's words, the figures to take along, and the ruler of the gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.report.figures import Figures, count

WORDS = {
    "helps": "Transfer helps",
    "hurts": "Transfer hurts",
    "no evidence": "No evidence that transfer helps",
    "cannot be proven": "A gain cannot be proven",
}
#: What to do with the verdict, for one who reads no further.
MEANING = {
    "helps": "Learning from the source as well as the target gives a better model than the target alone, beyond what "
    "chance would explain.",
    "hurts": "Learning from this source makes the model worse than the target alone, beyond what chance would explain. "
    "Better leave it out.",
    "no evidence": "The measured difference could be chance, so it is not known whether this source is of use.",
    "cannot be proven": "There are too few labelled target rows to compare models on, so it is not known whether this "
    "source is of use.",
}
GUARDS = {
    "strict": "target-only is delivered unless the transfer is shown to help",
    "warn": "a transfer that looks like helping and is not shown to hurt is delivered, with a warning; "
    "else target-only",
    "off": "the best-looking transfer is delivered, whatever the evidence",
}


@dataclass(frozen=True)
class Tile:
    """A figure to take along; `then` is what the value becomes."""

    label: str
    value: str
    more: str
    unit: str = ""
    then: str = ""


def tiles(document: dict[str, Any], figures: Figures) -> list[Tile]:
    """Return the figures that a reader in a hurry should take along."""
    gain, target = document["gain"], document["domains"]["target"]
    card = document["model"]
    delivered = Tile("delivered", document["delivered"], f"{card.get('family')}, {card.get('learner')}")
    if gain is None:
        labelled = f"{count(target['labelled'])} of {count(target['rows'])}"
        return [
            Tile("gain", "not measured", "it takes labelled target rows"),
            *_estimated(document.get("estimated")),
            Tile("labelled target rows", labelled, f"in {target['name']}"),
            delivered,
        ]
    reading = "" if figures.sign > 0 else "; less is better"
    sense = "" if figures.points else "; positive is better"
    return [
        Tile(
            figures.name,
            figures.score(gain["target_only"]),
            f"target-only → transfer ({document['choice']}){reading}",
            then=figures.score(gain["transfer"]),
        ),
        Tile(
            "gain",
            figures.gain(gain["gain"]),
            f"95% CI {figures.interval(gain['low'], gain['high'])}{sense}",
            unit="points" if figures.points else "",
        ),
        *_rows(document, gain),
        delivered,
    ]


def _estimated(estimated: dict[str, Any] | None) -> list[Tile]:
    if estimated is None:
        return []
    told = f"{estimated['low']:.2f} to {estimated['high']:.2f}"
    return [Tile("estimated accuracy", told, "if a row's label means the same in both domains")]


def _rows(document: dict[str, Any], gain: dict[str, Any]) -> list[Tile]:
    """Return what the gain is worth in labelled rows, or how many would settle it."""
    curve = document["curve"]
    if document["verdict"] == "helps" and curve is not None and curve["worth"] is not None:
        worth = f"{'more than' if curve['beyond'] else 'about'} {count(curve['worth'])}"
        return [Tile("worth in rows", worth, f"labelled target rows, at {count(curve['rows'])}")]
    if gain["rows_to_settle"] is not None:
        more = f"labelled target rows, for a gain of this size; now {count(gain['rows'])}"
        return [Tile("rows to settle it", f"about {count(gain['rows_to_settle'])}", more)]
    return []


def ruler(gain: dict[str, Any] | None) -> dict[str, float] | None:
    """Return where the interval, its middle and zero lie on a ruler, in percent."""
    if gain is None or None in (gain["low"], gain["gain"], gain["high"]):
        return None
    left, right = min(gain["low"], 0.0), max(gain["high"], 0.0)
    room = 0.08 * (right - left) or 1.0

    def at(value: float) -> float:
        return round(100 * (value - left + room) / (right - left + 2 * room), 2)

    return {"zero": at(0.0), **{key: at(gain[key]) for key in ("low", "gain", "high")}}
