"""How far apart the domains are: the kind of shift in words, the distances, the classes, the maps before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.report.charts import evenly, map_panel

#: What a kind of shift means, for one who has never heard of it.
KINDS = {
    "covariate": (
        "Covariate shift",
        "the rows look different in the two domains, but rows that look alike have the same labels. What the source "
        "knows holds, once its rows are weighted or moved to look like the target's",
    ),
    "label": (
        "Label shift",
        "the labels come in other proportions, but rows with the same label look alike in both domains. What the "
        "source knows holds, once the proportions are set right",
    ),
    "concept": (
        "Concept shift",
        "rows that look alike have other labels in the other domain. Part of what the source knows is wrong here, so "
        "that it can do harm",
    ),
    "none": ("No shift is seen", "the tests do not tell the domains apart, so the source can be used as it is"),
    "unsure": (
        "The kind of shift is not clear",
        "these rows do not say whether it is the rows, the labels, or what the labels mean",
    ),
}
TESTS = {
    "p(x)": "Do the rows look different?",
    "p(y)": "Do the labels come in other proportions?",
    "p(x | y)": "Do rows with the same label look different?",
    "p(y | x)": "Do rows that look alike have other labels?",
}
#: What each distance sees.
DISTANCES = {
    "MMD": "any difference of the rows, seen through a smooth kernel",
    "energy": "any difference of the rows, by the distances between them",
    "sliced Wasserstein": "how far rows would have to move, along random directions",
    "CORAL": "spreads and correlations of the columns, not their means",
    "Fréchet": "means, spreads and correlations of the columns together",
    "proxy A": "how well a classifier tells the domains apart: 0 not at all, 2 always",
    "OTDD": "how far rows would have to move, their labels with them",
}


#: Weights that differ by less are told as one.
SAME_SIZE = 0.01


@dataclass(frozen=True)
class Kind:
    """The diagnosis in words; `share` is how often random halves of the rows said the same."""

    title: str
    meaning: str
    share: float | None
    speaks: str
    tests: list[tuple[str, str, float | None]]
    unknown: list[str]


def kind_of_shift(shift: dict[str, Any] | None) -> Kind | None:
    """Say what kind of shift was found, and what that means."""
    found = None if shift is None else shift.get("diagnosis")
    if not found:
        return None
    title, meaning = KINDS.get(found["kind"], (found["kind"], found.get("summary", "")))
    family, methods = found.get("family"), found.get("methods") or []
    named = f", such as {', '.join(methods)}" if methods else ""
    tests = found.get("tests") or {}
    return Kind(
        title,
        meaning,
        found.get("sure"),
        "" if family is None else f"It speaks for {family} methods{named}",
        [(name, TESTS.get(name, ""), test["p"]) for name, test in tests.items()],
        list(found.get("unknown") or []),
    )


def distances(shift: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return each distance with what it sees."""
    found = {} if shift is None else shift.get("distances") or {}
    return [
        {"name": name, "sees": DISTANCES.get(name, ""), "noise": None, **measured} for name, measured in found.items()
    ]


def classes(shift: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return each class with its share in both domains; a regression's means likewise."""
    labels = None if shift is None else shift["labels"]
    if labels is None:
        return []
    names = dict.fromkeys([*labels["source"], *labels["target"]])
    return [
        {"name": name, **{domain: labels[domain].get(name, 0.0) for domain in ("source", "target")}} for name in names
    ]


@dataclass(frozen=True)
class MapPanel:
    """One of two maps, with its heading."""

    title: str
    chart: str


def map_panels(found: dict[str, Any] | None, method: str) -> list[MapPanel]:
    """Draw the map of both domains as they are, and as the method sees them: moved, or weighted."""
    if found is None:
        return []
    before, after, size = found["before"], found.get("after"), found.get("size")
    shared = [before, after] if after is not None and found.get("same_axes") else [before]
    drawn = [MapPanel("As they are", _map(before, shared, None, "map-before"))]
    if after is not None:
        drawn.append(MapPanel(f"As {method} brings them together", _map(after, [*shared, after], size, "map-after")))
    elif size and max(size) - min(size) > SAME_SIZE:
        drawn.append(MapPanel(f"As {method} weighs the source", _map(before, [before], size, "map-after")))
    return drawn


def _map(plane: dict[str, Any], shared: list[dict[str, Any]], size: list[float] | None, name: str) -> str:
    n_s, n_t = len(plane["source"]), len(plane["target"])
    label = (
        f"Map of {n_s} source rows (hollow circles) and {n_t} target rows (filled triangles): "
        f"the domains' centres lie {plane['apart']:.2f} standard deviations apart"
    )
    points = [point for each in shared for domain in ("source", "target") for point in evenly(each[domain])]
    return map_panel(plane["source"], plane["target"], size, among=np.array(points), name=name, label=label)
