"""The model card: what a delivered model is, what it learned from, and what was measured, as a page in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.domain import ITEMS


def model_card(document: dict[str, Any], network: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the card of a result's model.

    Parameters
    ----------
    document : dict
        `Result.document()`, in plain JSON types.
    network : dict of str to lines, optional
        Further sections, where the model is a network that was trained.
    """
    model, domains = document["model"], document["domains"]
    sections = {
        "What it is": _what(document, bool(network)),
        "What it learned from": _domains(domains),
        "What was measured": _measured(document),
        **(network or {}),
        "Limits": _limits(document),
        "How to use it": _use(model),
        "Versions": [f"- {name} {number}" for name, number in document["versions"].items()],
    }
    pages = [f"# {document['delivered']} for {_code(domains['target']['name'])}"]
    pages += [f"## {name}\n\n" + "\n".join(lines) for name, lines in sections.items()]
    return "\n\n".join(pages) + "\n"


def _what(document: dict[str, Any], network: bool) -> list[str]:
    model, classes = document["model"], document["domains"]["classes"]
    reads = model.get("reads")
    takes = f"tables with {model['columns']} columns" if reads is None else ITEMS[reads["modality"]]
    if model.get("rows") == "ratings":
        takes = "users and items"
    gives = "a number" if classes is None else "one of " + ", ".join(_code(name) for name in classes)
    lines = [
        f"- takes: {takes}",
        f"- gives: {gives}" + (f" ({_code(model['label'])})" if model.get("label") else ""),
        f"- method: {document['delivered']}, {model['family']}",
        *([] if network else [f"- learner: {_code(document['settings']['learner'])}"]),
        f"- seed: {document['settings']['random_state']}",
    ]
    if reads is not None:
        lines.insert(1, f"- read by: {_code(reads['model'])}, SHA-256 of its weights {_code(reads['weights'])}")
    return lines


def _domains(domains: dict[str, Any]) -> list[str]:
    named = [*((domain, "source") for domain in domains["sources"]), (domains["target"], "target")]
    if domains["test"] is not None:
        named.append((domains["test"], "test rows, not learned from"))
    told = lambda value: "not here" if value is None else f"{value:,}"  # noqa: E731
    return [
        "| domain | part | rows | labelled |",
        "|---|---|---:|---:|",
        *(f"| {_cell(d['name'])} | {part} | {told(d['rows'])} | {told(d['labelled'])} |" for d, part in named),
    ]


def _measured(document: dict[str, Any]) -> list[str]:
    gain, metric = document["gain"], document["metric"]
    lines = [document["sentence"][:1].upper() + document["sentence"][1:] + "."]
    if gain is not None:
        lines += ["", f"How: {gain['how']}."]
    if document["tried"]:
        lines += ["", f"| tried | {metric['name']} |", "|---|---:|"]
        lines += [f"| {_cell(line['name'])} | {metric['sign'] * line['score']:.3f} |" for line in document["tried"]]
    return [*lines, "", f"Delivered is {document['delivered']}: {document['why']}."]


def _limits(document: dict[str, Any]) -> list[str]:
    target = _code(document["domains"]["target"]["name"])
    lines = [
        f"- It is for rows such as those of {target}; on rows of other origin nothing was measured.",
        "- The figures above are of models learned in the same way from part of the labelled rows; the delivered one "
        "learned from all of them."
        if document["gain"] is not None and document["domains"]["test"] is None
        else "- The figures above hold for rows drawn as the measured ones were.",
    ]
    return lines + [f"- {note[:1].upper()}{note[1:]}." for note in document["notes"]]


def _use(model: dict[str, Any]) -> list[str]:
    reads = model.get("reads")
    rows = "FOLDER" if model.get("rows") in ("facts", "graph") else "new.csv"
    if reads is not None:
        rows = {"image": "new/*.jpg", "text": "new.csv --text COLUMN"}[reads["modality"]]
    return ["```sh", f"headstart predict model {rows} -o predictions.csv", "```"]


def _code(text: object) -> str:
    return f"`{text}`"


def _cell(text: object) -> str:
    return str(text).replace("|", "&#124;")
