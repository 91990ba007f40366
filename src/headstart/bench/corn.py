"""Calibration transfer on real spectra: 80 samples of corn on three near-infrared instruments.

A calibration for protein is made on one instrument, the master, and used for spectra of another, the slave, with ten
samples measured on both. No label of the slave is used but to score.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import KFold

from headstart.bench.trials import Line
from headstart.errors import InputError, unknown_name
from headstart.evidence.gain import paired_interval
from headstart.features.direct_standardization import DirectStandardization
from headstart.features.per_domain_standardization import PerDomainStandardization
from headstart.features.piecewise_direct_standardization import PiecewiseDirectStandardization

INSTRUMENTS = ("m5", "mp5", "mp6")
#: Master to slave.
INSTRUMENT_TASKS = tuple(f"{master}->{slave}" for master, slave in permutations(INSTRUMENTS, 2))
#: What is predicted, in the order of the columns of the file.
PROPERTIES = ("moisture", "oil", "protein", "starch")
#: Samples that are measured on both instruments, and samples to test on.
TRANSFER_SAMPLES, TEST_SAMPLES = 10, 20
SPLITS = 20
PROTOCOL = (
    "Corn: root mean squared error of protein (% of mass), a calibration by partial least squares on one instrument, "
    "used on another with ten samples measured on both and no label; 20 test samples, 60 for the calibration, means "
    "over the splits. A gain is a smaller error."
)
#: Components among which the calibration chooses, and its folds.
MOST_COMPONENTS, FOLDS = 15, 10
FLOOR, NO_TRANSFER = "master on its own spectra", "no transfer"
METHODS = (
    FLOOR,
    NO_TRANSFER,
    "slope and bias",
    "per-domain-standardization",
    "direct-standardization",
    "piecewise-direct-standardization",
)


def corn(folder: Path, target: str = "protein") -> dict[str, np.ndarray]:
    """Return the spectra of each instrument, shape (80, 700), 1100 to 2498 nm by 2 nm, and "y", shape (80,), in %.

    Raises
    ------
    InputError
        When there is no such property.
    """
    if target not in PROPERTIES:
        raise InputError(unknown_name("property", target, PROPERTIES, "corn"))
    tables = {name: pd.read_csv(folder / "corn_nir" / f"{name}spec.csv").to_numpy(float) for name in INSTRUMENTS}
    values = pd.read_csv(folder / "corn_nir" / "propvals.csv").to_numpy(float)
    return {**tables, "y": values[:, PROPERTIES.index(target)]}


def calibration_transfer(
    folder: Path,
    target: str = "protein",
    splits: int = 20,
    tick: Callable[[str], None] = lambda said: None,
) -> dict[str, dict[str, np.ndarray]]:
    """Return the error on the slave's test samples (RMSE, in % of mass), by task and method, one number a split.

    In each split 20 samples, drawn by the split's number, are for testing, and 60 for the calibration: partial least
    squares on the master's centred spectra, with as many components (15 at most) as predict best in 10 folds of these
    60. The ten samples of them that lie farthest apart on the master (Kennard & Stone) are measured on both
    instruments.

    - "master on its own spectra": the test samples as the master sees them; what transfer can hope for.
    - "no transfer": the calibration on the slave's spectra as they are.
    - "slope and bias": its predictions corrected by a line, fitted on the ten samples to the predictions from the
      master's spectra.
    - "per-domain-standardization": z-scores of each channel by the ten samples' mean and deviation on each
      instrument; the calibration is made on the master's.
    - "direct-standardization" by the pseudo-inverse, and "piecewise-direct-standardization" with windows of 5 channels
      (10 nm), whose components are chosen by leaving out one of the ten samples. The calibration stays as it is.

    Parameters
    ----------
    folder : path
        The data folder.
    target : {"moisture", "oil", "protein", "starch"}
    splits : int
    tick : callable
        Is told each master and split when it is done.
    """
    data = corn(folder, target)
    errors = {task: {method: np.empty(splits) for method in METHODS} for task in INSTRUMENT_TASKS}
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(data["y"]))
        test, calibration = order[:TEST_SAMPLES], order[TEST_SAMPLES:]
        for master in INSTRUMENTS:
            for slave, found in errors_of(data, master, calibration, test).items():
                for method, error in found.items():
                    errors[f"{master}->{slave}"][method][split] = error
            tick(f"corn: {master}, split {split + 1} of {splits}")
    return errors


def lines(folder: Path, splits: int, tick: Callable[[str], None]) -> list[Line]:
    """Return one line a method: its error by task, and what it gains over no transfer, with the tasks as units."""
    started = time.perf_counter()
    errors = calibration_transfer(folder, splits=splits, tick=tick)
    seconds = (time.perf_counter() - started) / (splits * len(INSTRUMENT_TASKS) * len(METHODS))
    none = np.array([errors[task][NO_TRANSFER].mean() for task in INSTRUMENT_TASKS])
    found = []
    for method in METHODS:
        of_task = {task: errors[task][method] for task in INSTRUMENT_TASKS}
        means = np.array([error.mean() for error in of_task.values()])
        found.append(
            Line(
                table="corn",
                trial=method,
                settings="see the protocol",
                score="RMSE of protein in %",
                tasks={task: float(error.mean()) for task, error in of_task.items()},
                sds={task: float(error.std(ddof=1)) if splits > 1 else 0.0 for task, error in of_task.items()},
                mean=float(means.mean()),
                printed=None,
                printed_mean=None,
                difference=None,
                within=None,
                tasks_within_sd=None,
                gain=None if method == NO_TRANSFER else paired_interval(none - means),
                seconds=seconds,
            )
        )
    return found


def errors_of(
    data: dict[str, np.ndarray], master: str, calibration: np.ndarray, test: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return the RMSE of every method for each slave of a master, in one split."""
    X, y = data[master], data["y"]
    both = calibration[kennard_stone(X[calibration], TRANSFER_SAMPLES)]
    scaled = PerDomainStandardization().fit(X[both], X[both]).transform_source(X)
    model = calibrated(X[calibration], y[calibration])
    scaled_model = calibrated(scaled[calibration], y[calibration])

    def error(predicted: np.ndarray) -> float:
        return float(np.sqrt(np.mean((predicted - y[test]) ** 2)))

    found = {}
    for slave in INSTRUMENTS:
        if slave == master:
            continue
        Z = data[slave]
        slope, bias = np.polyfit(model.predict(Z[both]), model.predict(X[both]), 1)
        ds = DirectStandardization().fit(X[both], Z[both])
        pds = PiecewiseDirectStandardization().fit(X[both], Z[both])
        z_scores = PerDomainStandardization().fit(X[both], Z[both])
        predictions = (
            model.predict(X[test]),
            model.predict(Z[test]),
            slope * model.predict(Z[test]) + bias,
            scaled_model.predict(z_scores.transform(Z[test])),
            model.predict(ds.transform(Z[test])),
            model.predict(pds.transform(Z[test])),
        )
        found[slave] = {method: error(of_method) for method, of_method in zip(METHODS, predictions, strict=True)}
    return found


def calibrated(X: np.ndarray, y: np.ndarray) -> Any:
    """Return partial least squares with the components that predict best in 10 folds."""
    squares = np.zeros(MOST_COMPONENTS)
    for train, held in KFold(FOLDS, shuffle=True, random_state=0).split(X):
        most = PLSRegression(MOST_COMPONENTS, scale=False).fit(X[train], y[train])
        scores = (X[held] - X[train].mean(axis=0)) @ most.x_rotations_
        # The first k components of many are those of k.
        predicted = y[train].mean() + np.cumsum(scores * most.y_loadings_[0], axis=1)
        squares += ((predicted - y[held, None]) ** 2).sum(axis=0)
    return PLSRegression(int(np.argmin(squares)) + 1, scale=False).fit(X, y)


def kennard_stone(X: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of k rows spread evenly: the two farthest apart, then always the one farthest from those.

    Kennard, Stone: Computer Aided Design of Experiments. Technometrics 11, 1969.

    >>> kennard_stone(np.array([[0.0], [1.0], [4.0], [9.0], [10.0]]), 3).tolist()
    [0, 4, 2]
    """
    D = np.linalg.norm(X[:, None, :] - X[None, :, :], axis=2)
    chosen = [int(i) for i in np.unravel_index(np.argmax(D), D.shape)]
    while len(chosen) < k:
        nearest = D[:, chosen].min(axis=1)
        nearest[chosen] = -1.0
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen[:k])
