"""scenario_evidence: do scenarios differ, beyond what a pooled network knows?"""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import kstest
from sklearn.base import BaseEstimator
from sklearn.metrics import roc_auc_score

from headstart.bench.cases import keep, kept
from headstart.bench.scenario_signal import Signal, signal_lines, signal_table
from headstart.errors import InputError
from headstart.recommend import ScenarioNet, scenario_evidence
from headstart.recommend.scenario_offsets import fit_offsets, sums_of
from headstart.recommend.shuffled_scenarios import ScenarioEvidence, _areas, nested_log_odds

pytest.importorskip("torch")

TINY = ScenarioNet(width=2, hidden=(4,), epochs=2, batch=64, learning_rate=0.02)


def rows(n, seed, effect, users=40):
    """The old like long films and the young short ones, by as much as the effect; users like different films too."""
    rng = np.random.default_rng(seed)
    user, film = rng.integers(users, size=n), rng.integers(12, size=n)
    # Who is old is drawn.
    old = (rng.permutation(users) % 2)[user]
    taste = rng.normal(0, 1.0, (users, 2))
    sign = np.where((film % 2 == 1) == (old == 1), 1.0, -1.0)
    y = (effect * sign + taste[user, film % 2] + rng.logistic(size=n) > 0).astype(int)
    X = pd.DataFrame({"user": user, "film": film, "length": film % 2, "age": np.where(old, "old", "young")})
    return X, y


@pytest.fixture(scope="module")
def planted():
    X, y = rows(1200, 0, 1.0)
    return scenario_evidence(X, y, "age", unit="user", n_shuffles=19, parts=3, net=TINY)


def test_scenarios_that_differ_are_found(planted):
    assert planted.p == 1 / 20
    assert planted.verdict == "differ"
    assert planted.sds > 3
    assert planted.gain > planted.shuffled.max()
    assert set(planted.by_scenario) == {"old", "young"}
    assert min(planted.by_scenario.values()) > 0.02
    assert planted.auc_gain == pytest.approx(np.mean(list(planted.by_scenario.values())))
    assert planted.auc_gain > planted.auc_shuffled.max()
    assert (planted.rows, planted.units) == (1200, 40)


def test_rows_as_units_find_scenarios_that_change_from_row_to_row():
    X, y = rows(1000, 1, 0.0)
    device = np.random.default_rng(2).choice(["phone", "desk"], len(y))
    flip = (device == "phone") == (X["length"] == 1)
    y = np.where(np.random.default_rng(3).random(len(y)) < 0.5, flip, y)
    found = scenario_evidence(X.drop(columns="age"), y, device, n_shuffles=19, parts=3, net=TINY)
    assert found.p == 1 / 20
    assert (found.name, found.units) == ("scenario", 1000)


def test_of_scenarios_that_say_nothing_p_is_uniform():
    """Users differ in taste, so rows of one user go together; that shuffling among users must bear."""
    net = ScenarioNet(width=2, hidden=(2,), epochs=1, batch=256, learning_rate=0.02)
    found = []
    for seed in range(40):
        X, y = rows(240, 100 + seed, 0.0, users=24)
        told = scenario_evidence(X, y, "age", unit="user", n_shuffles=19, parts=3, net=net, random_state=seed)
        found.append(told.p)
    # p comes in steps of 1/20; a jitter below makes it uniform on (0, 1) under the null.
    jittered = np.array(found) - np.random.default_rng(0).random(40) / 20
    assert kstest(jittered, "uniform").pvalue > 0.01
    assert np.mean(found) == pytest.approx(0.525, abs=0.14)


def test_areas_are_those_under_the_roc_curve_ties_and_all():
    rng = np.random.default_rng(0)
    y, z, s = rng.integers(2, size=300), rng.integers(9, size=300).astype(float), rng.integers(3, size=300)
    y[s == 1] = 1
    expected = [roc_auc_score(y[s == k], z[s == k]) if k != 1 else np.nan for k in range(3)]
    np.testing.assert_allclose(_areas(y, z, s), expected)


@pytest.mark.parametrize(("penalty", "far"), [(30.0, 1.0), (0.01, 1.0), (0.01, 12.0)])
def test_offsets_are_where_the_penalised_likelihood_is_greatest(penalty, far):
    rng = np.random.default_rng(0)
    codes, s = np.column_stack([rng.integers(0, 5, 400), rng.integers(5, 9, 400)]), rng.integers(2, size=400)
    y, base = rng.integers(2, size=400), far * rng.normal(size=400)
    u = fit_offsets(codes, s, y, base, (2, 9), penalty)

    def loss(u):
        z = base + sums_of(u.reshape(2, 9), codes, s)
        return np.logaddexp(0, (1 - 2 * y) * z).sum() + penalty / 2 * (u**2).sum()

    best = minimize(loss, np.zeros(18), method="BFGS", options={"gtol": 1e-6})
    assert loss(u) == pytest.approx(best.fun, rel=1e-6)
    assert best.fun < loss(np.zeros(18)) - 0.1


class PartsSeen(BaseEstimator):
    """Answers with the parts that it has learned from, as bits."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y, scenario):
        assert len(set(scenario)) == 1
        self.seen_ = set(X["part"])
        return self

    def decision_function(self, X, scenario):
        return np.full(len(X), float(sum(2**p for p in self.seen_)))


def test_no_network_behind_a_log_odds_has_seen_the_tested_part_or_the_row():
    part = np.random.default_rng(0).permutation(22) % 4
    base = nested_log_odds(pd.DataFrame({"part": part}), part % 2, part, PartsSeen(), list(range(6)))
    for a in range(4):
        for i, b in enumerate(part):
            without = [{a, b}] if a != b else [{a, other} for other in range(4) if other != a]
            answers = [sum(2**p for p in range(4) if p not in pair) for pair in without]
            assert base[a, i] == pytest.approx(np.mean(answers))


def test_units_are_shuffled_whole_and_the_gain_is_learned_anew(monkeypatch):
    from headstart.recommend import shuffled_scenarios as module

    X, y = rows(300, 5, 1.0, users=20)
    seen = []
    fit_offsets = module.fit_offsets

    def spied(codes, s, *rest):
        seen.append((codes, s))
        return fit_offsets(codes, s, *rest)

    monkeypatch.setattr(module, "fit_offsets", spied)
    scenario_evidence(X, y, "age", unit="user", n_shuffles=19, parts=3, net=TINY)
    assert len(seen) == 20 * 3
    labels = []
    for first in range(0, len(seen), 3):
        of_user = {}
        for codes, s in seen[first : first + 3]:
            for user, scenario in zip(codes[:, 0].tolist(), s.tolist(), strict=True):
                assert of_user.setdefault(user, scenario) == scenario
        assert sorted(of_user.values()) == [0] * 10 + [1] * 10
        labels.append(tuple(of_user[user] for user in sorted(of_user)))
    assert len(set(labels)) > 15


def test_what_is_shuffled_is_the_scenario_alone(planted):
    """Base and rows stay, so the same draw of users gives the same figures, whatever else is drawn in between."""
    X, y = rows(1200, 0, 1.0)
    np.random.seed(4)
    again = scenario_evidence(X, y, X["age"].to_numpy(), unit=X["user"], n_shuffles=19, parts=3, net=TINY)
    # The scenario as an array leaves its column in the table, where the network sees it.
    assert again.gain != planted.gain
    again = scenario_evidence(X, y, "age", unit=X["user"].to_numpy(), n_shuffles=19, parts=3, net=TINY)
    assert again.gain == planted.gain
    np.testing.assert_array_equal(again.shuffled, planted.shuffled)
    other = scenario_evidence(X, y, "age", unit="user", n_shuffles=19, parts=3, net=TINY, random_state=1)
    assert other.gain != planted.gain


def test_labels_of_any_two_values_are_clicks(planted):
    X, y = rows(1200, 0, 1.0)
    words = np.where(y == 1, "yes", "no")
    found = scenario_evidence(X, words, "age", unit="user", n_shuffles=19, parts=3, net=TINY)
    assert found.gain == planted.gain


def test_net_and_table_are_not_changed():
    X, y = rows(200, 0, 1.0)
    before, settings = X.copy(), TINY.get_params()
    scenario_evidence(X, y, "age", unit="user", n_shuffles=19, parts=3, net=TINY)
    pd.testing.assert_frame_equal(X, before)
    assert TINY.get_params() == settings
    assert not hasattr(TINY, "networks_")


def a_result(gain):
    shuffled = np.array([0.1, 0.3, 0.2])
    p = (1 + (shuffled >= gain).sum()) / 4
    return ScenarioEvidence("age", gain, shuffled, float(p), {"old": 0.02}, 0.02, np.zeros(3), 90, 9)


def test_a_result_is_one_sentence_with_its_figures():
    said = str(a_result(0.15))
    assert said.startswith("nothing shown: scenarios by age do no better than shuffled ones")
    assert "log-likelihood +0.15 per 1,000 rows (shuffled +0.20 on average, sd 0.10: -0.5 sds away)" in said
    assert "p = 0.750" in said
    found = ScenarioEvidence("age", 1.2, np.array([0.1, 0.3, 0.2]), 0.005, {"old": 0.02}, 0.02, np.zeros(3), 90, 9)
    assert found.sds == pytest.approx(10.0)
    assert str(found).startswith("scenarios by age differ: ")
    assert str(found).endswith("about +0.0200 of AUC is there for glmix and the like")
    assert "\n" not in str(found)


def test_p_of_exactly_the_level_differs():
    found = ScenarioEvidence("age", 1.2, np.array([0.1, 0.3]), 0.05, {}, 0.0, np.zeros(2), 90, 9)
    assert found.verdict == "differ"


def test_what_cannot_be_tested_is_refused_in_one_line():
    X, y = rows(200, 0, 1.0)
    few = X.assign(age=X["user"] % 2, user=X["user"] % 4)

    def told(X=X, y=y, scenario="age", unit="user", net=TINY, **given):
        return lambda: scenario_evidence(X, y, scenario, unit=unit, net=net, **given)

    for wrong, say in (
        (told(scenario="length"), "rows in several scenarios; leave unit out"),
        (told(X.assign(age="old")), "one scenario, 'old'"),
        (told(X.head(30), y[:30]), "30 rows are too few for 4 parts; give 40"),
        (told(few), "4 units of 2 scenarios can be dealt out in too few ways to show anything .3."),
        (told(unit="age"), "2 units of 2 scenarios .* .1."),
        (told(y=np.zeros(200)), "y has 1 classes"),
        (told(y=np.arange(200) % 3), "y has 3 classes"),
        (told(y=y[:-1]), "X has 200 rows, y 199"),
        (told(unit="usr"), "did you mean 'user'"),
        (told(unit=np.arange(7)), "unit names 7 rows"),
        (told(scenario="agee"), "did you mean 'age'"),
        (told(parts=2), "parts must be 3 or more"),
        (told(n_shuffles=18), "n_shuffles must be 19 or more"),
        (told(offset_penalty=0.0), "offset_penalty must be above 0"),
        (told(X[["age"]].assign(price=1.5), unit=X["user"]), "numbers only"),
    ):
        with pytest.raises(InputError, match=say) as refused:
            wrong()
        assert "\n" not in str(refused.value)


def test_a_kept_signal_gives_the_same_line_and_table(tmp_path):
    signal = Signal("age", 943, 1.83, [0.7, 0.8, 0.9], 0.005, 0.0019, [0.0007, 0.0009], {"old": 0.0019}, 104.2)
    keep(tmp_path / "cells", signal)
    assert kept(tmp_path / "cells", Signal) == [signal]
    (line,) = signal_lines({"age": {"evidence": signal.figures}})
    assert line["units"] == "943 users"
    assert (line["shuffled_mean"], line["shuffled_sd"], line["sds"]) == (0.8, 0.1, 10.3)
    shown = signal_table({"age": {"evidence": signal.figures}})
    assert [len(row) for row in shown.rows] == [len(shown.columns)]
    assert "0.005" in shown.rows[0]
