"""Result: what a run found out, and the folder it is delivered in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.choose.guard import Decision
from headstart.delivery import Model
from headstart.domain import Domain
from headstart.evidence import METRICS, Curve, Gain, Shift
from headstart.findings import Findings
from headstart.report import model_card, render
from headstart.store import staged

if TYPE_CHECKING:
    import pandas as pd

#: Raised when a reader of result.json would be misled by the change.
RESULT_SCHEMA = 1
#: Settings that a run is given as they stand.
AGAIN = ("metric", "guard", "folds", "repeats", "curve_draws", "budget", "trials", "random_state")


@dataclass(frozen=True)
class Tried:
    """One candidate's line in the table of everything tried."""

    name: str
    family: str
    score: float
    gain: float | None
    low: float | None
    high: float | None
    seconds: float | None


@dataclass(frozen=True, eq=False)
class Result:
    """What a run found out.

    Attributes
    ----------
    verdict : {"helps", "hurts", "no evidence", "cannot be proven"}
    sentence : str
        The verdict in words.
    gain : Gain or None
        The gain of the chosen transfer over target-only; None for a target without labels.
    decision : Decision
        What is delivered, and why.
    choice : str
        The best transfer found.
    tried : list of Tried
    left_out : dict of method name to reason
    shift : Shift or None
    curve : Curve or None
    findings : Findings
        What else there is to tell: gains by class and column, calibration, forgetting, what moved, which rows helped.
    model : Model
        The delivered model.
    command : str or None
        The command line, where there was one.
    steps : dict of step to seconds
        Of the delivered model's last fit.
    domains : dict
        Rows, labelled rows and columns of each domain.
    settings : dict
        Seed, learner, metric, guard: what it takes to run it again.
    notes : list of str
        What a careful reader should know.
    """

    verdict: str
    sentence: str
    gain: Gain | None
    decision: Decision
    choice: str
    metric: str
    tried: list[Tried]
    left_out: dict[str, str]
    shift: Shift | None
    curve: Curve | None
    findings: Findings
    model: Model
    steps: dict[str, float]
    domains: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    target: Domain = field(repr=False)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    command: str | None = None

    def __repr__(self) -> str:
        return self.sentence

    @property
    def predictions(self) -> pd.DataFrame:
        """Predictions of the delivered model for every row of the target, in order."""
        table = prediction_table(self.model, self.target, self.target)
        items, reader = self.target.items, self.model.reader
        if reader is not None and reader.modality_ == "image" and items is not None:
            table.insert(1, "picture", [item if isinstance(item, str) else None for item in items])
        return table

    def document(self) -> dict[str, Any]:
        """Return everything but the model in plain JSON types."""
        metric = METRICS[self.metric]
        return {
            "schema": RESULT_SCHEMA,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "gain": None if self.gain is None else self.gain.document(),
            "choice": self.choice,
            "delivered": self.decision.delivered,
            "why": self.decision.why,
            "metric": {"name": metric.name, "sign": metric.sign, "points": metric.points},
            "reproduce": self.reproduce(),
            "tried": [vars(line) for line in self.tried],
            "left_out": self.left_out,
            "shift": None if self.shift is None else self.shift.document(),
            "curve": None if self.curve is None else self.curve.document(),
            **self.findings.document(),
            "steps": self.steps,
            "domains": self.domains,
            "model": self.model.card,
            "settings": self.settings,
            "versions": self.versions,
            "notes": self.notes,
            "seconds": self.seconds,
        }

    def reproduce(self) -> dict[str, str | None]:
        """Return what runs it again: a line of Python, and the command line if it was run from one."""
        names = ", ".join(each["name"] for each in self.domains["sources"])
        told = {name: value for name, value in self.settings.items() if name in AGAIN and value is not None}
        methods = list(self.settings.get("methods", {}))
        if methods:
            told = {"methods": [name for name in methods if not name.startswith("target-only")], **told}
        arguments = ", ".join(f"{name}={value!r}" for name, value in told.items())
        python = f"headstart.run([{names}], {self.domains['target']['name']}, {arguments})"
        return {"python": python, "command": self.command}

    def json(self) -> str:
        """Return `document()` as text."""
        return json.dumps(_plain(self.document()), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write report, result.json, model card, predictions.csv and model/ into a folder; all of it, or nothing.

        Parameters
        ----------
        folder : path
            A folder that does not exist, or is empty.
        force : bool
            Replace what an earlier run wrote there; other files are kept.

        Returns
        -------
        Path
            The folder.
        """
        folder = Path(folder)
        with staged(folder, replace=force) as stage:
            text = self.json()
            (stage / "result.json").write_text(text, encoding="utf-8")
            (stage / "report.html").write_text(render(json.loads(text)), encoding="utf-8")
            (stage / "model_card.md").write_text(self._card(json.loads(text)), encoding="utf-8")
            self.predictions.to_csv(stage / "predictions.csv", index=False)
            self.model.save(stage / "model", check_on=self.target)
        return folder

    def _card(self, document: dict[str, Any]) -> str:
        if not self.model.takes_items:
            return model_card(document)
        from headstart.models.fine_tuning.model_card import network_sections

        return model_card(document, network_sections(self.model.predictor))


def prediction_table(model: Model, rows: Any, domain: Domain | None = None) -> pd.DataFrame:
    """Return predictions as a table: row (from 1), label where known, prediction, a probability for each class."""
    import pandas as pd

    predicted, probabilities = model.predictions(rows)
    table: dict[str, Any] = {"row": np.arange(1, len(predicted) + 1)}
    if domain is not None and domain.y is not None and domain.n_labelled:
        known = np.full(len(domain), None, dtype=object)
        known[domain.labelled] = domain.labels.tolist()
        table["label"] = known
    if domain is not None and domain.modality == "ratings":
        table |= {"user": domain.X.users, "item": domain.X.items}
        table["rating"] = table.pop("label", None)
        if domain.task == "ranking":
            del table["rating"]
    if domain is not None and domain.modality == "facts":
        table |= {f"argument {i + 1}": column for i, column in enumerate(domain.X.constants.T)}
    table["prediction"] = predicted
    if probabilities is not None:
        table |= {f"p({name})": probabilities[:, i] for i, name in enumerate(model.classes_)}
    return pd.DataFrame(table)


def _plain(value: Any) -> Any:
    """Bring numpy scalars and infinities into JSON: what is not a number is null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
