"""Ranking: which pretrained model, or which source, serves a target best, and which of them can't be told apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from headstart.domain import Domain
from headstart.errors import InputError, unknown_name
from headstart.evidence.gain import LEVEL

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Ranked:
    """One model or source, and where it stands.

    Attributes
    ----------
    name : str
    score : float
        More is better.
    low, high : float or None
        Its 95 % interval; None where there are too few rows for one.
    behind : tuple of three floats or Nones
        How much less than the first it scores, with the 95 % interval of the difference.
    tied : bool
        Whether it can't be told apart from the first: the interval of the difference holds zero.
    scores : dict
        Every score by name.
    about : dict
        What it is: task, licence and parameters of a model, rows of a source.
    """

    name: str
    score: float
    low: float | None
    high: float | None
    behind: tuple[float, float | None, float | None]
    tied: bool
    scores: dict[str, float]
    about: dict[str, Any]


@dataclass(frozen=True)
class Ranking:
    """Models or sources for a target, the most promising first.

    Attributes
    ----------
    what : {"models", "sources"}
    target : str
    rows : int
        Labelled target rows that it rests on.
    by : str
        The score that orders them.
    how : str
        How scores and intervals were made.
    order : tuple of Ranked
        The best first.
    ties : tuple of pairs of str
        Those that can't be told apart, pair by pair.
    static : dict of str to tuple of str
        Orders that don't look at the target, by name, the best first.
    notes : tuple of str
    """

    what: str
    target: str
    rows: int
    by: str
    how: str
    order: tuple[Ranked, ...]
    ties: tuple[tuple[str, str], ...]
    static: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The name of the most promising."""
        return self.order[0].name

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        equals = [one.name for one in self.order[1:] if one.tied]
        lead = f"{self.first} promises most for {self.target}"
        if equals:
            lead += f"; can't be told apart from it: {', '.join(equals)}"
        for name, others in self.static.items():
            if others[0] == self.first:
                lead += f"; by {name} alone it would be the same"
            else:
                equal = " (no worse, as far as can be told)" if others[0] in equals else ""
                lead += f"; by {name} alone it would be {others[0]}{equal}"
        return lead

    def ranks_by(self, score: str) -> dict[str, int]:
        """Return the rank of each by one of its scores, 1 for the best; those without it are left out.

        Raises
        ------
        InputError
            When there is no such score.
        """
        known = {one.name: one.scores[score] for one in self.order if score in one.scores}
        if not known:
            raise InputError(unknown_name("score", score, dict.fromkeys(n for one in self.order for n in one.scores)))
        return {name: 1 + sum(other > value for other in known.values()) for name, value in known.items()}

    def __str__(self) -> str:
        width = max(len(one.name) for one in self.order)
        lines = [f"{self.what} for {self.target}, by {self.by} on {self.rows} labelled rows:"]
        for place, one in enumerate(self.order, start=1):
            interval = "" if one.low is None or one.high is None else f" ({one.low:.3f} to {one.high:.3f})"
            mark = "  tied with the first" if one.tied and place > 1 else ""
            lines.append(f"{place:>3} {one.name:<{width}} {one.score:.3f}{interval}{mark}")
        return "\n".join([*lines, self.sentence, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__

    def document(self) -> dict[str, Any]:
        """Return the ranking in plain types."""
        return {
            **asdict(self),
            "order": [asdict(one) | {"behind": list(one.behind)} for one in self.order],
            "ties": [list(pair) for pair in self.ties],
            "static": {name: list(order) for name, order in self.static.items()},
            "notes": list(self.notes),
            "sentence": self.sentence,
        }


def half_samples(y: np.ndarray | None, n: int, draws: int, random_state: Any) -> tuple[list[np.ndarray], float]:
    """Return halves of the rows, drawn within each class, and m / (n - m), which makes their spread a variance.

    Of each class two rows stay at least, for scores that leave one out. Where nothing can be left away, there are
    no halves.

    Examples
    --------
    >>> halves, scale = half_samples(np.repeat([0, 1], 4), 8, 3, 0)
    >>> [len(half) for half in halves], scale
    ([4, 4, 4], 1.0)
    """
    groups = [np.arange(n)] if y is None else [np.flatnonzero(y == name) for name in np.unique(y)]
    kept = [max(len(group) - len(group) // 2, min(len(group), 2)) for group in groups]
    m = sum(kept)
    if m == n:
        return [], np.inf
    rng = np.random.default_rng(random_state)
    halves = [
        np.sort(np.concatenate([rng.choice(group, k, replace=False) for group, k in zip(groups, kept, strict=True)]))
        for _ in range(draws)
    ]
    return halves, m / (n - m)


def interval_of(value: float, again: np.ndarray, scale: float) -> tuple[float, float | None, float | None]:
    """Return a value with its 95 % interval, from the same value of half-samples; no bounds without these."""
    if not len(again):
        return float(value), None, None
    reach = float(norm.ppf(0.5 + LEVEL / 2) * np.sqrt(scale * np.var(again)))
    return float(value), float(value) - reach, float(value) + reach


def holds_zero(interval: tuple[float, float | None, float | None]) -> bool:
    """Tell whether the interval of a difference leaves open which is better."""
    _, low, high = interval
    return low is None or high is None or low <= 0 <= high


def require_rankable(target: Domain) -> None:
    """Refuse a target whose labels can't tell what serves it.

    Raises
    ------
    InputError
        When no label is known, there is one class, or no two classes have two rows.
    """
    if not target.n_labelled:
        raise InputError(f"{target.name}: no label is known; a ranking rests on a few labelled rows (--label)")
    if target.task != "classification":
        if target.n_labelled < 4:
            raise InputError(f"{target.name}: {target.n_labelled} labelled rows are too few to rank by; label four")
        return
    classes, counts = np.unique(target.labels, return_counts=True)
    if len(classes) < 2:
        raise InputError(f"{target.name}: one class only ({classes[0]}); label rows of another class too")
    if (counts >= 2).sum() < 2:
        raise InputError(f"{target.name}: one labelled row a class is too few to rank by; label two or more")
