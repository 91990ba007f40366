"""Picture features of the published tables of domain adaptation, preprocessed as there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

#: Office-Caltech10 in the order of the tables: Caltech, Amazon, Webcam, DSLR.
OFFICE = {"C": "caltech10", "A": "amazon", "W": "webcam", "D": "dslr"}
OFFICE_TASKS = tuple(f"{source}->{target}" for source, target in permutations(OFFICE, 2))
DIGITS_TASKS = ("U->M", "M->U")


@dataclass(frozen=True, eq=False)
class Pictures:
    """One domain: features of shape (n, d), and classes of shape (n,)."""

    X: np.ndarray
    y: np.ndarray


def office_surf(folder: Path) -> dict[str, Pictures]:
    """Return Office-Caltech10 with SURF histograms: each row divided by its sum, then z-scores within each domain."""
    found = {}
    for letter, name in OFFICE.items():
        with np.load(folder / "office_caltech10_surf" / f"{name}.npz") as file:
            counts, y = file["X"].astype(float), file["y"].astype(int)
        shares = counts / counts.sum(axis=1, keepdims=True)
        found[letter] = Pictures(z_scores(shares), y)
    return found


def digits(folder: Path) -> dict[str, Pictures]:
    """Return USPS and MNIST at 16 x 16 pixels, each picture scaled to length 1, as in the JDA paper."""
    found = {}
    for letter, name in (("U", "usps"), ("M", "mnist")):
        with np.load(folder / "digits" / f"{name}.npz") as file:
            X, y = file["X"].astype(float), file["y"].astype(int)
        found[letter] = Pictures(X / np.linalg.norm(X, axis=1, keepdims=True), y)
    return found


def z_scores(X: np.ndarray) -> np.ndarray:
    """Return columns with mean 0 and standard deviation 1 (n - 1 in the denominator); constant ones are 0."""
    sd = X.std(axis=0, ddof=1)
    return (X - X.mean(axis=0)) / np.where(sd > 0, sd, 1.0)


def pair_of(task: str, domains: dict[str, Pictures]) -> tuple[Pictures, Pictures]:
    """Return source and target of a task such as "C->A"."""
    source, target = task.split("->")
    return domains[source], domains[target]
