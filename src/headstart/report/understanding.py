"""What helped and what hurt: the sources, their rows, the columns that were moved, what became of the labels."""

from __future__ import annotations

from typing import Any

from headstart.report.charts import WIDTHS, gain_chart
from headstart.report.figures import Figures
from headstart.report.worth import interval, role_of

#: What the section tells of.
PARTS = ("sources", "rows", "columns", "labels")
VERDICTS = {"helps": "shown to help", "hurts": "shown to hurt", "no evidence": "not shown to help or to hurt"}


def source_charts(found: dict[str, Any] | None, figures: Figures) -> list[str]:
    """Draw what each source adds, for a page and for a phone."""
    if not found:
        return []
    ranked = sorted(found["sources"], key=lambda each: -each["value"])
    lines = [interval(each["name"], each, figures, role_of(each), "value") for each in ranked]
    axis = f"what the source adds, {figures.unit}"
    label = f"What each of {len(ranked)} sources adds, with its interval, as in the table below"
    return [gain_chart(lines, axis=axis, width=width, label=label, name="sources") for width in WIDTHS]


def sources_sentence(found: dict[str, Any] | None) -> str:
    """Say which sources help and which are better left out."""
    if not found:
        return ""
    said = {verdict: [each["name"] for each in found["sources"] if each["verdict"] == verdict] for verdict in VERDICTS}
    told = [f"{', '.join(names)}: {VERDICTS[verdict]}" for verdict, names in said.items() if names]
    end = f" Better leave out {', '.join(found['left_out'])}." if found["left_out"] else ""
    return f"{'; '.join(told)}.{end}"


def source_groups(rows: dict[str, Any] | None) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return what groups of source rows are worth together: by domain where there are several, by class."""
    if not rows:
        return []
    groups = []
    if len(rows["by_domain"]) > 1:
        groups.append(("Source", rows["by_domain"]))
    if rows["by_class"]:
        groups.append(("Class", rows["by_class"]))
    return groups


def has_any(found: dict[str, Any]) -> bool:
    """Tell whether there is anything to tell."""
    return any(found.get(key) for key in PARTS)
