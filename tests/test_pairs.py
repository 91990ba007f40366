"""Pairs of rows: how they are named, found, read from files, and used in a run."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import headstart
from headstart import Domain, Transfer
from headstart.cli import run_command
from headstart.domain import paired_rows, stack
from headstart.errors import InputError, NeedsError
from headstart.features import DirectStandardization, PiecewiseDirectStandardization


def instruments(n=60, seed=0):
    """Spectra of the same samples on two instruments, and what they contain."""
    rng = np.random.default_rng(seed)
    content = rng.uniform(size=(n, 3))
    bands = np.exp(-((np.arange(20) - np.array([[4], [10], [16]])) ** 2) / 8)
    here = content @ bands
    return here, 0.7 * here + 0.2 * np.roll(here, 1, axis=1) + 0.1, content[:, 0]


def test_rows_with_the_same_name_are_a_pair_whatever_their_order():
    pairs = paired_rows(np.array(["c", None, "a", "d"], dtype=object), np.array(["a", "b", "c"], dtype=object), "here")
    assert pairs.tolist() == [[2, 0], [0, 2]]
    assert paired_rows(np.array([np.nan]), np.array([1.0]), "here").shape == (0, 2)


def test_a_name_that_stands_twice_in_a_domain_is_refused():
    with pytest.raises(InputError, match="twice in the target"):
        paired_rows(np.array([1.0]), np.array([1.0, 1.0]), "here")


def test_pairs_follow_their_rows():
    one = Domain(np.eye(3), [0, 1, 0], name="one", pair=["a", "b", None])
    assert one.rows(np.array([1, 0])).pair.tolist() == ["b", "a"]
    both = stack([one, Domain(np.eye(3), [0, 1, 1], name="other")])
    assert both.pair.tolist() == ["a", "b", None, None, None, None]
    with pytest.raises(InputError, match="3 rows but 2 values of pair"):
        Domain(np.eye(3), pair=[1, 2])


def test_transfer_learns_from_named_pairs_as_fit_does_from_positions():
    here, there, content = instruments()
    X = np.vstack([here[:40], there[:8]])
    y = np.append(content[:40], np.full(8, np.nan))
    domain, sample = np.repeat(["source", "target"], [40, 8]), np.append(np.arange(40), np.arange(8))
    order = np.random.default_rng(1).permutation(48)
    fitted = Transfer(DirectStandardization(), Ridge(1e-3)).fit(
        X[order], y[order], domain=domain[order], pair=sample[order]
    )
    pairs = np.column_stack([np.arange(8), np.arange(8)])
    alone = DirectStandardization().fit(here[:40], there[:8], pairs=pairs)
    by_hand = Ridge(1e-3).fit(here[:40], content[:40]).predict(alone.transform(there[40:]))
    np.testing.assert_allclose(fitted.predict(there[40:]), by_hand, atol=1e-8)


def test_without_pairs_a_paired_method_says_what_it_needs():
    here, there, content = instruments()
    X, y = np.vstack([here, there]), np.append(content, np.full(60, np.nan))
    domain = np.repeat(["source", "target"], 60)
    with pytest.raises(NeedsError, match="say with pair="):
        Transfer(DirectStandardization(), Ridge()).fit(X, y, domain=domain)
    with pytest.raises(NeedsError, match="no value of pair stands in both"):
        Transfer(DirectStandardization(), Ridge()).fit(X, y, domain=domain, pair=np.arange(120))
    with pytest.raises(InputError, match="are not pairs"):
        DirectStandardization().fit(here, there[:5])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two files with a column `sample`; of the target's thirty samples, all measured on both, twenty have a label."""
    here, there, content = instruments()
    columns = [f"w{i}" for i in range(20)]
    for name, X, known, count in (("master", here, 60, 60), ("slave", there, 20, 30)):
        table = pd.DataFrame(X[:count], columns=columns)
        table["sample"] = [f"s{i}" for i in range(count)]
        table["content"] = np.where(np.arange(count) < known, content[:count], np.nan)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return there, content


def test_the_pair_column_is_read_and_is_no_feature(files):
    domain = headstart.read("slave.csv", label="content", pair="sample")
    assert domain.pair.tolist()[:2] == ["s0", "s1"]
    assert "sample" not in domain.X.columns
    assert domain.X.shape == (30, 20)
    with pytest.raises(InputError, match="did you mean 'sample'"):
        headstart.read("slave.csv", label="content", pair="sampel")
    with pytest.raises(InputError, match="both as label and as pair"):
        headstart.read("slave.csv", label="content", pair="content")


def test_a_run_learns_from_pairs_and_its_model_maps_new_spectra(files, capsys):
    there, content = files
    command = ["run", "master.csv", "slave.csv", "--label", "content", "--pair", "sample", "-q"]
    command += ["-m", "piecewise-direct-standardization", "--guard", "off", "--repeats", "2"]
    assert run_command(command) == 0
    assert "piecewise-direct-standardization is delivered" in capsys.readouterr().out
    model = headstart.load("out/model")
    new = pd.DataFrame(there[40:], columns=[f"w{i}" for i in range(20)])
    assert np.sqrt(np.mean((model.predict(new) - content[40:]) ** 2)) < 0.1 * content.std()


def test_a_run_without_pairs_says_how_to_name_them(files, capsys):
    command = ["run", "master.csv", "slave.csv", "--label", "content", "-q", "-m", "direct-standardization"]
    assert run_command(command) == 2
    assert "--pair" in capsys.readouterr().err


def test_piecewise_maps_survive_saving(files, tmp_path):
    here, there, content = instruments()
    source = Domain(here, content, name="source", task="regression", pair=np.arange(60))
    target = Domain(there[:10], name="target", task="regression", pair=np.arange(10))
    from headstart.delivery import Plan, fit_together

    model, _ = fit_together(PiecewiseDirectStandardization(), Ridge(), source, target, Plan("regression"))
    model.save(tmp_path / "model", check_on=there)
    np.testing.assert_array_equal(headstart.load(tmp_path / "model").predict(there), model.predict(there))
