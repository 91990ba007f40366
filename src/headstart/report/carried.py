"""What was carried: which predicate took which part, what was taken, and the clauses before and after."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from headstart.report.charts import WIDTHS, mapping_chart

TAKEN = {
    "mapped": "the source's trees in the target's words, with leaves fitted to the target",
    "revised": "the source's trees in the target's words, pruned and expanded on the target",
    "scratch": "trees learned from the target alone: nothing of the source is in the delivered trees",
}


def charts(found: dict[str, Any] | None) -> list[str]:
    """Draw the mapping, for a page and for a phone."""
    if not found or not found["mapping"]:
        return []
    mapped = sum(part["target"] is not None for part in found["mapping"])
    label = (
        f"Which target predicate plays the part of which source predicate: {mapped} of {len(found['mapping'])} mapped"
    )
    told = ". ".join([*map(line, found["mapping"]), *(f"{name}: new in the target's trees" for name in found["new"])])
    return [mapping_chart(found["mapping"], found["new"], width=width, label=label, told=told) for width in WIDTHS]


def line(part: dict[str, Any]) -> str:
    """Say in words what became of a predicate.

    >>> line({"source": "movie(A, B)", "target": "wrote(B, A)", "inverted": True, "head": False})
    'movie(A, B) becomes wrote(B, A), its arguments in another order'
    """
    if part["target"] is None:
        return f"nothing plays the part of {part['source']}"
    return f"{part['source']} becomes {part['target']}{', its arguments in another order' if part['inverted'] else ''}"


def sentence(found: dict[str, Any] | None) -> str:
    """Say how much of the source's words the target has, and what was taken."""
    if not found or not found["mapping"]:
        return ""
    asked = [part for part in found["mapping"] if not part["head"]]
    mapped = sum(part["target"] is not None for part in asked)
    taken = TAKEN.get(found["variant"] or "", "")
    end = f" Taken: {taken}." if taken else ""
    return (
        f"Of the {len(asked)} source predicates that the trees ask about, {mapped} have one that plays their part.{end}"
    )


def likelihoods(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what each variant reached out of fold, the best first."""
    if not found:
        return []
    rows = [
        {"name": name, "value": value, "taken": name == found["variant"]}
        for name, value in found["likelihoods"].items()
    ]
    return sorted(rows, key=lambda row: -row["value"])


def trees(found: dict[str, Any] | None) -> list[tuple[list[str], list[str]]]:
    """Return the clauses of each tree, before and after."""
    if not found:
        return []
    return list(zip_longest(found["before"], found["after"], fillvalue=[]))
