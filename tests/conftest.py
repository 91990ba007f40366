"""Data that several tests share: small, real or made by rule, and never from outside the packages."""

import numpy as np
import pandas as pd
import pytest

from headstart import Domain


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep features of pictures and texts in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def patients():
    """Scikit-learn's diabetes patients: numbers, a category, a yes/no label, younger and older."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame
    frame["sex"] = frame["sex"].map({1.0: "f", 2.0: "m"})
    frame["group"] = np.where(frame["age"] >= 50, "older", "younger")
    frame["progressed"] = np.where(frame.pop("target") > 140, "yes", "no")
    return frame


@pytest.fixture(scope="session")
def helpful():
    """A source that helps: the same task, shifted rows, ten times the labels."""
    return pair(noise=0.2, seed=3)


def pair(noise, seed, n_source=300, n_labelled=40, n_rest=300, flipped=False):
    """Return source, target and test rows of a linear task; `flipped` permutes the source's labels."""
    rng = np.random.default_rng(seed)
    beta = np.array([1.0, -1.0, 0.8, 0.6, -0.5, 0.4, 0, 0, 0, 0])
    Xs = rng.normal(size=(n_source, 10))
    Xt = 0.3 + rng.normal(size=(n_labelled + n_rest, 10))
    ys = (Xs @ beta + noise * rng.normal(size=len(Xs)) > 0).astype(int)
    yt = (Xt @ beta + noise * rng.normal(size=len(Xt)) > 0).astype(int)
    if flipped:
        ys = rng.permutation(ys)
    source = Domain(Xs, ys, name="source")
    target = Domain(Xt[:n_labelled], yt[:n_labelled], name="target")
    return source, target, Domain(Xt[n_labelled:], yt[n_labelled:], name="test")


@pytest.fixture
def mixed_files(tmp_path, patients):
    """Two CSV files, younger.csv and older.csv, and one with both, patients.csv."""
    for group, rows in patients.groupby("group"):
        rows.drop(columns="group").to_csv(tmp_path / f"{group}.csv", index=False)
    patients.to_csv(tmp_path / "patients.csv", index=False)
    return tmp_path


@pytest.fixture
def frame():
    """A small table with numbers, text, dates and gaps."""
    return pd.DataFrame(
        {
            "age": [63, 41, None, 58],
            "town": ["Ulm", None, "Bonn", "Ulm"],
            "seen": ["2024-01-01", "2024-03-05", None, "2023-12-31"],
            "site": ["a", "b", "a", "b"],
            "ill": [1, 0, None, 1],
        }
    )
