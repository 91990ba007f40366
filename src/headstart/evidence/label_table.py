"""What source labels became in the target: the label map of a fitted method as a small table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.mapping.label_maps import LabelMap, LinearLabelMap

#: Where fitted objects keep their label map, or what they were fitted with that does.
PLACES = ("g_", "relationship_", "mapping_", "model", "method")
#: Classes that a document shows on each side: the first by name.
MOST_CLASSES = 50


@dataclass(frozen=True, eq=False)
class LabelTable:
    """A label map to be read: for each class the one it most likely becomes, or the line of quantities.

    Attributes
    ----------
    rows, columns : list of str
        Classes that are mapped, and those they are mapped to; empty for quantities.
    matrix : array of shape (len(rows), len(columns))
        Each row sums to 1.
    line : tuple of float or None
        Slope and offset, for quantities.
    """

    rows: list[str]
    columns: list[str]
    matrix: np.ndarray
    line: tuple[float, float] | None = None

    @property
    def likeliest(self) -> list[tuple[str, str, float]]:
        """Each class, what it most likely becomes, and how likely."""
        best = self.matrix.argmax(axis=1) if self.rows else np.empty(0, dtype=int)
        return [
            (row, self.columns[j], float(self.matrix[i, j]))
            for i, (row, j) in enumerate(zip(self.rows, best, strict=True))
        ]

    @property
    def one_to_one(self) -> bool:
        """Whether every class most likely becomes another one."""
        found = [column for _, column, _ in self.likeliest]
        return len(set(found)) == len(found)

    def __str__(self) -> str:
        if self.line is not None:
            return str(LinearLabelMap(*self.line))
        told = [f"{row} -> {column} ({share:.0%})" for row, column, share in self.likeliest]
        return ", ".join(told[:8]) + (f" and {len(told) - 8} more" if len(told) > 8 else "")

    def document(self) -> dict[str, Any]:
        """Return the table in plain types."""
        shown = self.matrix[:MOST_CLASSES, :MOST_CLASSES]
        return {
            "summary": str(self),
            "rows": self.rows[:MOST_CLASSES],
            "columns": self.columns[:MOST_CLASSES],
            "matrix": [[round(float(share), 4) for share in row] for row in shown],
            "likeliest": [
                {"from": row, "to": column, "share": round(share, 4)} for row, column, share in self.likeliest
            ][:MOST_CLASSES],
            "one_to_one": self.one_to_one,
            "line": None if self.line is None else {"slope": self.line[0], "offset": self.line[1]},
            "classes": [len(self.rows), len(self.columns)],
        }


def label_table(fitted: Any) -> LabelTable | None:
    """Return the label map that a fitted object holds as a table; None where it has none.

    Parameters
    ----------
    fitted : object
        A `LabelMap` or `LinearLabelMap`, a `MappingLearner` (its `g_`), a `MappingTransfer` that maps labels, a
        `CoTuning` (its `relationship_`, from the target's classes to the old head's), or what holds one of these.

    Examples
    --------
    >>> g = LabelMap(np.array(["cat", "dog"]), np.array(["dog", "pet"]), np.array([[0.1, 0.9], [0.8, 0.2]]))
    >>> print(label_table(g), label_table("nothing"))
    cat -> pet (90%), dog -> dog (80%) None
    """
    if isinstance(fitted, LabelMap):
        rows, columns = fitted.source_classes.astype(str).tolist(), fitted.target_classes.astype(str).tolist()
        return LabelTable(rows, columns, np.asarray(fitted.matrix, dtype=float))
    if isinstance(fitted, LinearLabelMap):
        return LabelTable([], [], np.empty((0, 0)), (float(fitted.slope), float(fitted.offset)))
    for place in PLACES:
        held = getattr(fitted, place, None)
        # A method that was asked to leave labels alone maps them to themselves: there is nothing to tell.
        if held is not None and not isinstance(held, str) and getattr(fitted, "relabel", True):
            found = label_table(held)
            if found is not None:
                return found
    return None
