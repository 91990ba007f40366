"""Fine-tuning of pretrained networks with few labels: in the domain that was learned from, and out of it.

Every strategy learns from the same rows, begins at the same network, and is asked about the same test rows, which
nobody learned from. Learning rates were settled once, on validation rows of one domain (pictures of amazon, questions
of TREC) that are no test rows here; nothing is chosen by test labels.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.bench.asked import Asked, Shown
from headstart.bench.exams import EXAMS, Exam
from headstart.errors import InputError, unknown_name
from headstart.evidence.gain import paired_interval

#: Networks of pictures, folders of `--models`, and the side in pixels at which they are given pictures.
PICTURE_MODELS = {"mobilenet_v1_0.25_128": 128, "mobilenet_v1_0.5_160": 96, "mobilenet_v1_0.75_192": 96}
#: The network whose frozen features others have measured on whole domains.
WIDEST = "mobilenet_v1_1.0_224"
TEXT_MODEL, TOKENS = "bundled:minilm-l6", 64
#: Strategies of each modality with what they are set to, see the note above.
STRATEGIES: dict[str, dict[str, dict[str, Any]]] = {
    "image": {
        "linear-probe": {},
        "fine-tune": {"lr": 3e-5, "head_lr": 1e-2},
        "lp-ft": {"lr": 3e-5},
        "l2-sp": {"lr": 3e-5, "head_lr": 1e-2},
        "lora": {"lr": 1e-3, "head_lr": 1e-2},
        "from-scratch": {"lr": 1e-2, "head_lr": 1e-2},
    },
    "text": {
        "linear-probe": {},
        "lp-ft": {"lr": 1e-4},
        "lora": {"lr": 1e-3, "head_lr": 1e-2},
        "bit-fit": {"lr": 3e-3, "head_lr": 1e-2},
        "from-scratch": {"lr": 1e-4, "head_lr": 1e-3},
    },
}
#: Steps that training makes of as many epochs as it takes, 20 at most.
STEPS, MOST_EPOCHS, BATCH = 60, 20, 16
#: Stands for all numbers of labels.
ALL_SIZES = 0
#: What the others are compared with, pair by pair.
REFERENCES = ("linear-probe", "fine-tune")


@dataclass(frozen=True)
class Cell:
    """What one strategy reached in one exam with so many labels: accuracy by the domain of the test rows."""

    data: str
    place: str
    draw: int
    model: str
    strategy: str
    labels: int
    accuracy: dict[str, float]
    seconds: float

    @property
    def key(self) -> tuple[str, str, int, str, str, int]:
        """What tells it from every other cell."""
        return self.data, self.place, self.draw, self.model, self.strategy, self.labels


@dataclass(frozen=True)
class Line:
    """One strategy with so many labels, over places and draws: accuracies and differences with 95 % intervals.

    With `labels` 0 the mean over all numbers of labels, of which a small domain may lack the larger ones.

    The units are places in the domain and pairs of places out of it, each averaged over its draws; where there is one
    place, the draws. Units share rows and networks, so the intervals are somewhat too narrow.
    """

    data: str
    model: str
    strategy: str
    labels: int
    units: int
    inside: tuple[float, float, float] | None
    outside: tuple[float, float, float] | None
    inside_over: dict[str, tuple[float, float, float]]
    outside_over: dict[str, tuple[float, float, float]]
    seconds: float


def measure(asked: Asked, show: Callable[[Shown], None]) -> dict[str, Any]:
    """Fit every strategy in every exam, show the tables, and return the figures."""
    known = list(dict.fromkeys(name for of in STRATEGIES.values() for name in of))
    for name in asked.methods:
        if name.replace("_", "-") not in known:
            raise InputError(unknown_name("strategy", name, known))
    wanted = [name.replace("_", "-") for name in asked.methods] or known
    cells = _kept(asked.cells)
    done = {cell.key for cell in cells}
    sets = list(asked.sets({name: exam.needs for name, exam in EXAMS.items()}))
    draws = range(asked.draws or 3)
    # Draw by draw, so that what is there after an interruption is all of some draws.
    for draw in draws:
        for name in sets:
            for model, base in _models(EXAMS[name].modality, asked):
                for exam in EXAMS[name].make(asked.data, draw):
                    for cell in _sat(exam, model, base, [s for s in wanted if s in STRATEGIES[exam.modality]], done):
                        cells.append(cell)
                        _keep(asked.cells, cell)
                        asked.say(f"{' '.join(map(str, cell.key))}: {_short(cell.accuracy)}, {cell.seconds:.0f} s")
    cells = [cell for cell in cells if cell.data in sets and cell.draw in draws and cell.strategy in wanted]
    lines = summarise(cells)
    for data, model in dict.fromkeys((line.data, line.model) for line in lines):
        of = [line for line in lines if (line.data, line.model) == (data, model)]
        for side in ("inside", "outside"):
            if any(getattr(line, side) for line in of):
                show(_table(of, side))
    return {
        **_frozen(asked, show, sets),
        "settings": {"strategies": STRATEGIES, "steps": STEPS, "most_epochs": MOST_EPOCHS, "batch": BATCH},
        "models": {**PICTURE_MODELS, TEXT_MODEL: TOKENS},
        "protocols": {name: EXAMS[name].protocol for name in sets},
        "lines": [vars(line) for line in lines],
        **{side: wide(lines, side) for side in ("inside", "outside")},
        **{
            f"{side} over {reference}": wide(lines, side, reference)
            for side in ("inside", "outside")
            for reference in REFERENCES
        },
        "cells": [asdict(cell) for cell in cells],
    }


def _frozen(asked: Asked, show: Callable[[Shown], None], sets: Sequence[str]) -> dict[str, Any]:
    """Measure a probe of the widest network, frozen, learned from all rows of a domain: what others have measured."""
    from headstart import backbone
    from headstart.models.fine_tuning import LinearProbe
    from headstart.readers.pictures import read_folders

    if "office" not in sets or asked.models is None or not (asked.models / WIDEST).is_dir():
        return {}
    domains = read_folders(asked.data / EXAMS["office"].needs)
    base = backbone(f"hf:{asked.models / WIDEST}")
    found = {}
    for source, rows in domains.items():
        probe = LinearProbe(base).fit(list(rows.X[:, 0]), rows.labels)
        for target, others in domains.items():
            if target != source:
                right = probe.predict(list(others.X[:, 0])) == others.labels
                found[f"{source} -> {target}"] = 100 * float(right.mean())
    mean = float(np.mean(list(found.values())))
    title = f"office, {WIDEST}: frozen, a probe learned from the whole source, accuracy in %; mean {mean:.1f}"
    show(Shown(title, ["pair", "accuracy"], [[pair, f"{value:.1f}"] for pair, value in found.items()]))
    return {"frozen": {"model": WIDEST, "mean": mean, "pairs": found}}


def summarise(cells: Sequence[Cell]) -> list[Line]:
    """Return one line a data set, model, strategy and number of labels."""
    found: dict[tuple[str, str, str, int], list[Cell]] = {}
    for cell in cells:
        for labels in (cell.labels, ALL_SIZES):
            found.setdefault((cell.data, cell.model, cell.strategy, labels), []).append(cell)
    sides = {key: (_units(of, inside=True), _units(of, inside=False)) for key, of in found.items()}
    lines = []
    for key, of in found.items():
        data, model, strategy, labels = key
        over: list[dict[str, tuple[float, float, float]]] = [{}, {}]
        for reference in REFERENCES:
            other = sides.get((data, model, reference, labels))
            for side in (0, 1):
                shared = [] if other is None else [unit for unit in sides[key][side] if unit in other[side]]
                if reference != strategy and shared and other is not None:
                    differences = [sides[key][side][unit] - other[side][unit] for unit in shared]
                    over[side][reference] = paired_interval(np.array(differences))
        inside, outside = (_accuracy(list(side.values())) if side else None for side in sides[key])
        units = max(len(side) for side in sides[key])
        seconds = float(np.median([cell.seconds for cell in of]))
        lines.append(Line(data, model, strategy, labels, units, inside, outside, over[0], over[1], seconds))
    return lines


def wide(lines: Sequence[Line], side: str, reference: str | None = None) -> list[dict[str, Any]]:
    """Return a row for each data set, model and strategy: accuracies, or differences, by number of labels."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        found = getattr(line, side) if reference is None else getattr(line, f"{side}_over").get(reference)
        if found is not None:
            names = {"data": line.data, "model": line.model, "strategy": line.strategy}
            rows.setdefault((line.data, line.model, line.strategy), names)[str(line.labels or "all")] = found
    return list(rows.values())


def _accuracy(values: list[float]) -> tuple[float, float, float]:
    """Return the mean with its interval; few places leave a wide one, but none beyond 0 and 100."""
    mean, low, high = paired_interval(np.array(values))
    return mean, max(low, 0.0), min(high, 100.0)


def _units(cells: Sequence[Cell], *, inside: bool) -> dict[object, float]:
    """Return the mean accuracy of each unit, in %, over its draws."""
    places = {cell.place for cell in cells}
    found: dict[object, list[float]] = {}
    for cell in cells:
        for domain, accuracy in cell.accuracy.items():
            if (domain == cell.place) == inside:
                unit = (cell.place, domain) if len(places) > 1 else cell.draw
                found.setdefault(unit, []).append(100 * accuracy)
    return {unit: float(np.mean(values)) for unit, values in found.items()}


def _sat(exam: Exam, model: str, base: Any, strategies: Sequence[str], done: set[tuple[Any, ...]]) -> Iterator[Cell]:
    """Yield what each strategy reaches with ever more labels, but for the cells that are there already."""
    from headstart.catalogue import find

    for labels in exam.sizes:
        at = exam.first(labels)
        for name in strategies:
            if (exam.data, exam.place, exam.draw, model, name, labels) in done:
                continue
            epochs = int(np.clip(np.ceil(STEPS / np.ceil(len(at) / BATCH)), 3, MOST_EPOCHS))
            strategy: Any = find(name).load()(
                base, epochs=epochs, batch_size=BATCH, random_state=exam.draw, **STRATEGIES[exam.modality][name]
            )
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                strategy.fit([exam.items[i] for i in at], exam.y[at])
                seconds = time.perf_counter() - start
                accuracy = {
                    domain: float((_answers(strategy.tuned_, items) == y).mean())
                    for domain, (items, y) in exam.tests.items()
                }
            yield Cell(exam.data, exam.place, exam.draw, model, name, labels, accuracy, seconds)


def _answers(tuned: Any, items: list[Any]) -> np.ndarray:
    """Return predictions; a network that moved is used once, so it is not worth writing down for a faster runtime."""
    how = {"runtime": "torch"} if tuned.moved else {}
    return np.asarray(tuned.predict(items, **how))


def _models(modality: str, asked: Asked) -> Iterator[tuple[str, Any]]:
    """Yield the networks of a modality, as they are given pictures or texts here."""
    from headstart import backbone

    if modality == "text":
        found = backbone(TEXT_MODEL)
        yield TEXT_MODEL, replace(found, preparation=replace(found.preparation, max_length=TOKENS))  # type: ignore[type-var]
        return
    if asked.models is None:
        raise InputError("pictures need the networks' folder; name it with --models")
    for name, side in PICTURE_MODELS.items():
        found = backbone(f"hf:{asked.models / name}")
        # The whole picture, brought to the square at once.
        preparation = replace(found.preparation, height=side, width=side, resize=(side, side), crop=False)  # type: ignore[type-var]
        yield name, replace(found, preparation=preparation)


def _kept(place: Path | None) -> list[Cell]:
    if place is None or not place.exists():
        return []
    return [Cell(**json.loads(line)) for line in place.read_text(encoding="utf-8").splitlines()]


def _keep(place: Path | None, cell: Cell) -> None:
    if place is not None:
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell)) + "\n")


def _short(accuracy: dict[str, float]) -> str:
    return ", ".join(f"{domain} {100 * value:.1f}" for domain, value in accuracy.items())


def _table(lines: Sequence[Line], side: str) -> Shown:
    sizes = list(dict.fromkeys(line.labels for line in lines if line.labels != ALL_SIZES))
    rows = []
    for strategy in dict.fromkeys(line.strategy for line in lines):
        of = {line.labels: getattr(line, side) for line in lines if line.strategy == strategy}
        cells = ["-" if of.get(n) is None else f"{of[n][0]:.1f} ({of[n][1]:.1f} to {of[n][2]:.1f})" for n in sizes]
        rows.append([strategy, *cells])
    where = "the domain that was learned from" if side == "inside" else "other domains"
    what = "labels a class" if EXAMS[lines[0].data].by_class else "labels"
    title = f"{lines[0].data}, {lines[0].model}: accuracy in % on {where} (95 % intervals), by number of {what}"
    return Shown(title, ["strategy", *map(str, sizes)], rows)
