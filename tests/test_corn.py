"""The benchmark of calibration transfer, on spectra made by rule."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import KFold

from headstart.bench import corn as module
from headstart.bench.corn import INSTRUMENT_TASKS, METHODS, calibrated, calibration_transfer, corn, kennard_stone
from headstart.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Files in the layout of the corn data: 80 samples, 40 channels, three instruments."""
    rng = np.random.default_rng(0)
    content = rng.uniform(size=(80, 4))
    bands = np.exp(-((np.arange(40) - np.array([[6], [15], [24], [33]])) ** 2) / 40)
    clean = content @ bands
    (tmp_path / "corn_nir").mkdir()
    for name, gain, offset in (("m5", 1.0, 0.0), ("mp5", 0.8, 0.3), ("mp6", 0.82, 0.28)):
        spectra = gain * clean + offset + 0.01 * rng.normal(size=clean.shape)
        pd.DataFrame(spectra, columns=range(40)).to_csv(tmp_path / "corn_nir" / f"{name}spec.csv", index=False)
    names = ["Moisture", "Oil", "Protein", "Starch"]
    pd.DataFrame(content, columns=names).to_csv(tmp_path / "corn_nir" / "propvals.csv", index=False)
    return tmp_path


def test_corn_reads_spectra_and_the_property_that_is_asked_for(folder):
    data = corn(folder, "oil")
    assert {name: array.shape for name, array in data.items()} == {
        "m5": (80, 40),
        "mp5": (80, 40),
        "mp6": (80, 40),
        "y": (80,),
    }
    np.testing.assert_allclose(data["y"], pd.read_csv(folder / "corn_nir" / "propvals.csv")["Oil"])
    with pytest.raises(InputError, match="no property 'protien'; did you mean 'protein'"):
        corn(folder, "protien")


def test_every_task_and_method_has_an_error_a_split(folder):
    told = []
    found = calibration_transfer(folder, splits=2, tick=told.append)
    assert tuple(found) == INSTRUMENT_TASKS
    assert len(told) == 6
    for task, errors in found.items():
        assert tuple(errors) == METHODS
        assert all(of_splits.shape == (2,) and np.ptp(of_splits) > 0 for of_splits in errors.values())
        floor, none, *with_transfer = (errors[method].mean() for method in METHODS)
        assert floor < none
        # m5 is far from the others, and those are near each other.
        assert (none > 8 * max(with_transfer)) == ("m5" in task)


def test_transfer_samples_are_no_test_samples_and_tests_are_not_learned_from(folder, monkeypatch):
    seen = []
    true = module.kennard_stone
    monkeypatch.setattr(module, "kennard_stone", lambda X, k: seen.append(len(X)) or true(X, k))
    data = corn(folder)
    order = np.random.default_rng(0).permutation(80)
    before = module.errors_of(data, "m5", order[20:], order[:20])
    spoilt = data["y"].copy()
    spoilt[order[:20]] += 5.0
    after = module.errors_of({**data, "y": spoilt}, "m5", order[20:], order[:20])
    assert seen == [60, 60]
    # Wrong test labels change the score and nothing of what is predicted: all predictions are now 5 too low.
    assert all(4 < after["mp5"][method] < 6 for method in METHODS if before["mp5"][method] < 0.5)


def test_the_components_are_those_of_cross_validation_done_one_by_one():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 20)) @ rng.normal(size=(20, 20)), rng.normal(size=40)
    y = y + X[:, :4].sum(axis=1)
    squares = [
        sum(
            ((PLSRegression(k, scale=False).fit(X[a], y[a]).predict(X[b]) - y[b]) ** 2).sum()
            for a, b in KFold(10, shuffle=True, random_state=0).split(X)
        )
        for k in range(1, 16)
    ]
    assert calibrated(X, y).n_components == int(np.argmin(squares)) + 1


def test_kennard_and_stone_take_the_ends_and_then_the_widest_gaps():
    X = np.array([[3.0], [0.0], [10.0], [9.0], [5.0]])
    assert kennard_stone(X, 4).tolist() == [1, 2, 4, 0]
