"""What is to be known of a tuned network, as a page in Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from headstart.domain import ITEMS

if TYPE_CHECKING:
    from headstart.models.fine_tuning.tuned import TunedNetwork


def model_card(tuned: TunedNetwork, *, measured: dict[str, str] | None = None) -> str:
    """Return a model card in Markdown, written from a tuned network.

    Parameters
    ----------
    tuned : TunedNetwork
    measured : dict of str to str, optional
        What was measured on rows that it was not trained on, and how it came out, such as
        {"accuracy on 120 test pictures": "0.91 (0.85 to 0.95)"}. Nothing is measured here.
    """
    card, about = tuned.base.card, tuned.about or {}
    items = ITEMS[card.modality]
    sections = {
        f"{card.name}, tuned": [
            f"Takes {items}, gives one of {len(tuned.classes_)} classes: "
            + ", ".join(f"`{name}`" for name in tuned.classes_.tolist())
            + "."
        ],
        **network_sections(tuned),
        "What was measured": _measured(measured, about),
        "How to load it": [
            "The folder holds what differs from the pretrained model; that model is looked for by its name, and "
            "refused if its weights are others.",
            "",
            "```python",
            "from headstart.models.fine_tuning import TunedNetwork",
            "",
            'tuned = TunedNetwork.load("FOLDER")',
            f"tuned.predict({['picture.jpg'] if card.modality == 'image' else ['a text']!r})",
            "```",
        ],
        "Versions": [f"- {name} {number}" for name, number in about.get("versions", {}).items()] or ["Not recorded."],
    }
    (title, first), *rest = sections.items()
    pages = [f"# {title}\n\n" + "\n".join(first)]
    pages += [f"## {name}\n\n" + "\n".join(lines) for name, lines in rest]
    return "\n\n".join(pages) + "\n"


def network_sections(tuned: TunedNetwork) -> dict[str, list[str]]:
    """Return the sections of a card that tell what a network is and how it was trained, as lines by title."""
    card, about = tuned.base.card, tuned.about or {}
    return {
        "Pretrained model": [
            f"- name: `{tuned.reader.model}`",
            f"- licence: {card.licence}",
            f"- trained for: {card.source_task}",
            f"- parameters: {card.parameters:,}",
            f"- SHA-256 of its weights: `{tuned.reader.weights_}`",
        ],
        "Training": _training(tuned, about),
        "Losses": _losses(about),
        "Preparation": [
            f"How {ITEMS[card.modality]} become numbers:",
            "",
            "```json",
            json.dumps(card.preparation, indent=2),
            "```",
        ],
    }


def _training(tuned: TunedNetwork, about: dict[str, Any]) -> list[str]:
    moved = sum(value.size for name, value in tuned.values.items() if not name.startswith("head."))
    other = (
        f"{moved:,} numbers of the body differ from the pretrained ones" if moved else "the body is the pretrained one"
    )
    if not about:
        return [f"How it was trained was not recorded; {other}, and the head is new."]
    parameters = ", ".join(f"{name}={value!r}" for name, value in about["parameters"].items())
    rows = about["rows"]
    return [
        f"- strategy: {about['strategy']} ({parameters})",
        f"- plan: {about.get('plan', 'not recorded')}",
        f"- began at: {_began(about.get('began'))}",
        f"- outcome: {other}",
        f"- rows: {sum(count for _, count in rows):,} labelled, where they come from is not recorded",
        "",
        "| class | rows |",
        "|---|---:|",
        *(f"| {name.replace('|', '&#124;')} | {count:,} |" for name, count in rows),
    ]


def _began(began: dict[str, Any] | None) -> str:
    if began is None:
        return "the pretrained model"
    if began["strategy"] is None:
        return "a network that was tuned before; how was not recorded"
    return f"the network that {began['strategy']} had tuned on {began['rows']:,} rows"


def _losses(about: dict[str, Any]) -> list[str]:
    loss, validation = about.get("loss", []), about.get("validation", [])
    if not loss:
        return ["Not recorded."]
    best = about.get("best_epoch")
    kept = [] if best is None else ["", f"The best validation loss was that of epoch {best + 1}."]
    if not validation:
        return [
            "| epoch | training |",
            "|---:|---:|",
            *(f"| {number} | {value:.4f} |" for number, value in enumerate(loss, start=1)),
            "",
            "There were no validation rows.",
        ]
    return [
        "| epoch | training | validation |",
        "|---:|---:|---:|",
        *(
            f"| {number} | {value:.4f} | {other:.4f} |"
            for number, (value, other) in enumerate(zip(loss, validation, strict=True), start=1)
        ),
        *kept,
    ]


def _measured(measured: dict[str, str] | None, about: dict[str, Any]) -> list[str]:
    unseen = "How it does on rows of other origin than those it learned from was not measured."
    if measured:
        return [*(f"- {name}: {value}" for name, value in measured.items()), "", unseen]
    found = "Nothing was measured on rows that had no part in training."
    if about.get("validation"):
        found += " By the validation losses above training was ended or weights were chosen, so that they flatter it."
    elif about.get("loss"):
        found += " The losses above are of the rows it learned from: they do not say how good it is."
    return [found, "", unseen]
