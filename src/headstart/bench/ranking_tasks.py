"""What the ranking of models is asked: target tasks of pictures with few labels, and what a user gets from a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.domain import Domain
from headstart.readers.pictures import read_folder

if TYPE_CHECKING:
    from headstart.backbones import Backbone

OFFICE, PACS, DIGITS = "office_caltech10_images", "pacs", "digits"
#: Tasks that are reported, and the data set of each: pictures of things in shops, on the net and on a desk, paintings,
#: sketches, written digits.
TASKS = {
    "amazon": OFFICE,
    "caltech10": OFFICE,
    "webcam": OFFICE,
    "art_painting": PACS,
    "sketch": PACS,
    "mnist": DIGITS,
}
#: Tasks on which the first default score, ridge, was settled; their figures stand apart.
SETTLING = {"dslr": OFFICE, "photo": PACS, "cartoon": PACS, "usps": DIGITS}
#: Rows of a task that are used, labelled rows of a class, and draws of these.
MOST_ROWS, LABELLED, DRAWS = 500, 10, 10
#: Labelled rows of a class that were not yet tried when the present default was picked; their draws are others too.
FRESH = (3, 30)
#: Where two networks come from one training they count once: the second stands for both.
ONE_TRAINING = {"mobilenet_v2_1.0_224": "tf2_mobilenet_v2_1.0_224"}
BUNDLED = "bundled:efficientnet-lite0"
#: What a user gets from a model: a classifier on its frozen features, or the model trained further.
TRUTHS = ("probe", "lp-ft")
#: Fine-tuning on two cores: pictures of this side in pixels, and passes over the labelled rows.
SIDE, EPOCHS = 96, 8


@dataclass(frozen=True, eq=False)
class Draw:
    """The labelled rows of one draw, and those that are tested."""

    task: str
    number: int
    budget: int
    labelled: np.ndarray
    tested: np.ndarray


def networks(folder: Path) -> Iterator[tuple[str, Backbone]]:
    """Yield the networks of a folder, one a folder in it, and the bundled one."""
    from headstart import backbone

    for place in sorted(folder.iterdir()):
        if (place / "config.json").is_file():
            yield place.name, backbone(f"hf:{place}")
    yield BUNDLED, backbone(BUNDLED)


def independent(models: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Return the models of which no two come from one training."""
    return [name for name in models if ONE_TRAINING.get(name) not in models]


def pool_of(data: Path, task: str) -> Domain:
    """Return the pictures of a task, 500 at most, dealt out evenly over its classes."""
    of = {**TASKS, **SETTLING}[task]
    whole = _digits(data / DIGITS / f"{task}.npz", task) if of == DIGITS else read_folder(data / of, domain=task)
    order = np.random.default_rng(0).permutation(len(whole))
    turn = _turns(whole.labels[order])
    return whole.rows(order[np.sort(np.argsort(turn, kind="stable")[:MOST_ROWS])])


def draws_of(pool: Domain, numbers: Sequence[int], budget: int = LABELLED) -> Iterator[Draw]:
    """Yield draws of `budget` labelled rows a class, half of a class at most; the others are tested."""
    y = pool.labels
    count = dict(zip(*np.unique(y, return_counts=True), strict=True))
    for number in numbers:
        order = np.random.default_rng(number).permutation(len(y))
        turn = np.empty(len(y), dtype=int)
        turn[order] = _turns(y[order])
        chosen = turn < np.array([min(budget, count[name] // 2) for name in y])
        yield Draw(pool.name, number, budget, np.flatnonzero(chosen), np.flatnonzero(~chosen))


def _turns(y: np.ndarray) -> np.ndarray:
    """Return of each row how many of its class come before it."""
    turn = np.empty(len(y), dtype=int)
    for name in np.unique(y):
        turn[y == name] = np.arange((y == name).sum())
    return turn


def _digits(place: Path, name: str) -> Domain:
    with np.load(place) as file:
        X, y = file["X"].astype(float), file["y"].astype(int)
    column = np.empty((len(X), 1), dtype=object)
    for row, pixels in enumerate(X):
        column[row, 0] = pixels.reshape(16, 16)
    return Domain(column, y, name=name, modality="image")


def probed(pool: Domain, F: np.ndarray, draw: Draw) -> float:
    """Return the accuracy of what `headstart run` learns from the labelled rows alone."""
    from headstart.catalogue import make
    from headstart.delivery import Plan, fit_target_only
    from headstart.learners import make_learner

    rows = replace(pool, X=F, modality="table")
    learner = make_learner("auto", "classification", draw.number)
    model, _ = fit_target_only(make("target-only"), learner, rows.rows(draw.labelled), Plan("classification"))
    return float((model.predict(F[draw.tested]) == pool.labels[draw.tested]).mean())


def tuned(pool: Domain, model: Backbone, draw: Draw) -> float:
    """Return the accuracy of the network after a probe and training of all its weights, on small pictures."""
    from headstart.models.fine_tuning import LPFT

    preparation = replace(model.preparation, height=SIDE, width=SIDE, resize=(SIDE, SIDE), crop=False)  # type: ignore[type-var]
    strategy: Any = LPFT(replace(model, preparation=preparation), epochs=EPOCHS, random_state=draw.number)
    items = pool.X[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strategy.fit(list(items[draw.labelled]), pool.labels[draw.labelled])
        said = strategy.tuned_.predict(list(items[draw.tested]), runtime="torch")
    return float((np.asarray(said) == pool.labels[draw.tested]).mean())


def needed() -> dict[str, str]:
    """Return the file or folder of each task."""
    return {task: f"{of}/{task}.npz" if of == DIGITS else f"{of}/{task}" for task, of in {**TASKS, **SETTLING}.items()}
