"""The gain and its interval: formulas, and how often the interval holds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student_t
from scipy.stats import ttest_1samp

from headstart.choose import Trial, decide
from headstart.errors import InputError
from headstart.evidence import METRICS, Gain
from headstart.evidence.gain import corrected_interval, metric_for, paired_interval


def test_corrected_interval_equals_the_published_formula():
    d = np.array([0.02, 0.05, -0.01, 0.03, 0.04, 0.00])
    mean, low, high = corrected_interval(d, 0.25)
    half = student_t.ppf(0.975, 5) * np.sqrt((1 / 6 + 0.25) * d.var(ddof=1))
    assert (mean, low, high) == pytest.approx((d.mean(), d.mean() - half, d.mean() + half))


def test_paired_interval_equals_the_t_interval():
    d = np.random.default_rng(0).normal(0.1, 1, 50)
    interval = ttest_1samp(d, 0).confidence_interval(0.95)
    assert paired_interval(d)[1:] == pytest.approx((interval.low, interval.high))


def test_one_split_proves_nothing():
    assert corrected_interval(np.array([0.3]), 0.25)[1:] == (-np.inf, np.inf)


def trial_of(utilities, folds):
    names = ["target-only", *(f"m{i}" for i in range(1, len(utilities)))]
    return Trial(names, utilities, folds, [0.0] * len(names), METRICS["accuracy"])


def test_gain_of_choice_is_made_without_the_held_out_fold():
    # Each of ten candidates is right on one fold only: whoever picks with the fold in hand sees a gain.
    folds = np.repeat(np.arange(10), 5)[None, :]
    utilities = np.zeros((11, 1, 50))
    for fold in range(10):
        utilities[1 + fold, 0, folds[0] == fold] = 1.0
    # Without the fold, the first of the others is chosen, which is wrong on the held-out fold.
    assert trial_of(utilities, folds).gain_of_choice().gain == 0.0


def test_gain_of_choice_equals_the_gain_of_a_clear_winner():
    rng = np.random.default_rng(0)
    folds = np.stack([rng.permutation(np.arange(40) % 5) for _ in range(3)])
    utilities = rng.integers(0, 2, (4, 3, 40)).astype(float)
    utilities[2] = 1.0
    trial = trial_of(utilities, folds)
    assert trial.choice() == "m2"
    chosen, alone = trial.gain_of_choice(), trial.gain("m2")
    assert (chosen.gain, chosen.low, chosen.high) == (alone.gain, alone.low, alone.high)


def test_choosing_among_equals_does_not_pass_for_a_gain():
    # Candidates without any gain, in 400 studies: picking the luckiest shows one, choosing per fold does not.
    rng = np.random.default_rng(0)
    folds = np.arange(60)[None, :] % 5
    honest, lucky, claims = [], [], 0
    for _ in range(400):
        utilities = rng.integers(0, 2, (7, 1, 60)).astype(float)
        trial = trial_of(utilities, folds)
        gain = trial.gain_of_choice()
        honest.append(gain.gain)
        lucky.append(trial.gain(trial.choice()).gain)
        claims += gain.verdict == "helps"
    assert np.mean(lucky) > 0.05
    assert abs(np.mean(honest)) < 0.02
    assert claims / 400 <= 0.05


def test_what_a_user_is_lucky_with_does_not_pass_for_a_gain_where_the_users_are_in_all_folds():
    # By the other rows of the same users the candidate would be chosen that they happen to like.
    rng = np.random.default_rng(0)
    user, claims = np.repeat(np.arange(60), 6), 0
    for _ in range(200):
        utilities = np.repeat(rng.normal(size=(9, 1, 60)), 6, axis=2) + rng.normal(size=(9, 3, 360))
        folds = np.array([rng.permutation(360) % 5 for _ in range(3)])
        claims += replace(trial_of(utilities, folds), clusters=user).gain_of_choice().verdict == "helps"
    assert claims / 200 <= 0.06


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.01, 0.2, "helps"), (-0.2, -0.01, "hurts"), (-0.1, 0.1, "no evidence")]
)
def test_the_verdict_says_which_side_of_zero_the_interval_is_on(low, high, verdict):
    gain = Gain("accuracy", 0.8, 0.8 + (low + high) / 2, (low + high) / 2, low, high, "", 100)
    assert gain.verdict == verdict
    assert decide(gain, "coral", "strict").delivered == ("coral" if verdict == "helps" else "target-only")
    assert decide(gain, "coral", "off").delivered == "coral"


def test_rows_to_settle_grow_with_the_square_of_the_uncertainty():
    gain = Gain("accuracy", 0.80, 0.82, 0.02, -0.02, 0.06, "", 100)
    assert gain.rows_to_settle == 400


def test_losses_are_told_with_less_is_better():
    gain = Gain("mean absolute error", -44.1, -42.0, 2.1, 0.4, 3.8, "", 100)
    assert str(gain) == "mean absolute error (less is better) 44.1 -> 42 (+2.100, 95% CI +0.400 to +3.800)"


def test_a_wrong_metric_names_the_right_ones():
    assert metric_for("classification", "log-loss").name == "log loss"
    with pytest.raises(InputError, match="accuracy"):
        metric_for("classification", "accurcy")
