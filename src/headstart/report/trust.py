"""How far to trust the model: reliability of its probabilities, accuracy estimated without labels, validators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.report.charts import reliability_panel
from headstart.report.figures import count
from headstart.report.worth import TARGET_ONLY


@dataclass(frozen=True)
class Reliability:
    """The reliability of one model: its chart and its figures."""

    title: str
    word: str
    chart: str
    document: dict[str, Any]


def reliabilities(document: dict[str, Any]) -> list[Reliability]:
    """Return the reliability of target-only and of what is delivered, as far as known."""
    found = document.get("calibration") or {}
    known = [
        (which, title, found[which])
        for which, title in (("before", "Target-only"), ("after", f"Delivered: {document['delivered']}"))
        if found.get(which) and (which == "after" or document["delivered"] != TARGET_ONLY)
    ]
    if not known:
        return []
    least = min(value for _, _, each in known for b in each["bins"] for value in (b["confidence"], b["accuracy"]))
    low = max(round(least - 0.05, 1), 0.0)
    return [
        Reliability(
            title,
            _word(each),
            reliability_panel(each["bins"], low=low, name=f"reliability-{which}", label=_label(title, each)),
            each,
        )
        for which, title, each in known
    ]


def _mean(bins: list[dict[str, Any]], key: str) -> float:
    return float(sum(b["rows"] * b[key] for b in bins) / sum(b["rows"] for b in bins))


def _word(found: dict[str, Any]) -> str:
    """Say whether a model is too sure of itself, beyond chance."""
    sure, right = (_mean(found["bins"], key) for key in ("confidence", "accuracy"))
    if found["p"] > 0.05:
        return "Its probabilities agree with how often it is right, as far as these rows show"
    if sure > right:
        return f"It is too sure of itself: it claims to be right in {sure:.0%} of rows and is in {right:.0%}"
    return f"It is not sure enough: it claims to be right in {sure:.0%} of rows and is in {right:.0%}"


def _label(title: str, found: dict[str, Any]) -> str:
    sure, right = (_mean(found["bins"], key) for key in ("confidence", "accuracy"))
    return (
        f"Reliability diagram of {title} on {count(found['rows'])} rows: mean confidence {sure:.2f}, accuracy "
        f"{right:.2f}; in the table below"
    )


@dataclass(frozen=True)
class Judged:
    """What validators said of one candidate: each number, and whether it is the best of its kind."""

    name: str
    consensus: float | None
    scores: list[tuple[float | None, bool]]


@dataclass(frozen=True)
class Validation:
    """What validators said of each candidate, where no target label is known; the first of them vote."""

    voters: list[str]
    others: list[str]
    rows: list[Judged]


def validation(document: dict[str, Any]) -> Validation | None:
    """Return the table of candidates by validators, as `headstart.choose.Validation` writes it, the best first."""
    found = document.get("validation")
    if not found:
        return None
    candidates, voters = found["candidates"], list(found["voters"])
    others = [name for name in candidates[0]["scores"] if name not in voters]
    asked = [*voters, *others]
    best = {
        name: max((each["scores"][name] for each in candidates if each["scores"][name] is not None), default=None)
        for name in asked
    }
    rows = [
        Judged(
            each["name"],
            each["consensus"],
            [(score, score is not None and score == best[name]) for name in asked for score in [each["scores"][name]]],
        )
        for each in candidates
    ]
    rows.sort(key=lambda row: (row.consensus is None, -(row.consensus or 0.0)))
    return Validation(voters, others, rows)
