"""Strategies that listen to an old head, to other rows, to a teacher, or to each other."""

import copy
from dataclasses import replace
from itertools import permutations
from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.base import clone
from test_fine_tuning import pictures, small, state
from torch import nn

from headstart import Domain
from headstart.errors import InputError, NeedsError, StoreError
from headstart.mapping import Coupling
from headstart.mapping.label_maps import fit_classes
from headstart.method import four_steps
from headstart.models.fine_tuning import L2SP, LPFT, FineTune, LinearProbe
from headstart.models.fine_tuning.bi_tuning import BiTuning
from headstart.models.fine_tuning.bi_tuning_losses import Contrasts, categorical_contrast, contrastive_cross_entropy
from headstart.models.fine_tuning.co_tuning import (
    CoTuning,
    direct_relationship,
    fit_temperature,
    reverse_relationship,
)
from headstart.models.fine_tuning.distill import Distill
from headstart.models.fine_tuning.distill_losses import Taught, angle_loss, answers_loss, distance_loss
from headstart.models.fine_tuning.lwf import LwF
from headstart.models.fine_tuning.old_head import OldHead, tempered
from headstart.models.fine_tuning.soup import Soup, averaged
from headstart.models.fine_tuning.training import Rows, Step
from headstart.models.fine_tuning.tuned import TunedNetwork


def headed(seed=0, classes=5):
    """Return the small network of pictures with a head of its own."""
    plain = small(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed + 100)
        head = nn.Linear(12, classes)
    return replace(plain, network=replace(plain.network, head=head), label_names=tuple("abcdefgh"[:classes]))


def same(one, other):
    """Say whether two strategies came to the same weights, bit for bit."""
    a, b = state(one.network_), state(other.network_)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def named(strategy):
    """Return a short name of a strategy in a test."""
    return f"{type(strategy).__name__}-{getattr(strategy, 'kind', '')}"


def step_of(features, scores, y, at=None, network=None):
    y = torch.tensor(y)
    at = torch.arange(len(y)) if at is None else torch.tensor(at)
    return Step(network, {}, features, scores, y, at, nn.functional.cross_entropy(scores, y))


@pytest.mark.parametrize(
    "still",
    [
        CoTuning(trade_off=0),
        LwF(trade_off=0),
        BiTuning(cross_entropy=0, contrast=0),
        Distill(teacher="nobody", weight=0),
        Distill(teacher="nobody", kind="hints", weight=0),
    ],
    ids=named,
)
def test_without_its_own_part_a_strategy_is_fine_tuning(still):
    X, y = pictures()
    settings = {"model": headed(), "epochs": 2, "random_state": 3}
    assert same(clone(still).set_params(**settings).fit(X, y), FineTune(**settings).fit(X, y))


@pytest.mark.parametrize(
    "strategy",
    [
        CoTuning(),
        CoTuning(kind="reverse", temperature="auto"),
        LwF(),
        BiTuning(),
        *(Distill(kind=kind) for kind in ("logits", "hints", "distance", "angle")),
        Soup(ingredients=[{"lr": 3e-3}, {"lr": 1e-3}]),
    ],
    ids=named,
)
def test_all_learn_give_a_plain_network_and_repeat_themselves(strategy):
    X, y = pictures()
    settings = {"model": headed(), "epochs": 8, "lr": 5e-3, "head_lr": 3e-2}
    if isinstance(strategy, Distill):
        settings["teacher"] = LPFT(headed(1), epochs=8, lr=3e-3).fit(X, y)
    before = torch.random.get_rng_state()
    one, two = (clone(strategy).set_params(**settings).fit(X, y) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(one, two)
    assert one.score(*pictures(seed=1)) > 0.85
    assert state(one.network_).keys() == state(FineTune(headed(), epochs=0).fit(X, y).network_).keys()
    assert not same(one, FineTune(headed(), epochs=8, lr=5e-3, head_lr=3e-2).fit(X, y))


def test_the_direct_relationship_is_the_label_map_of_rows_that_meet_themselves():
    X, y = pictures()
    tuned = CoTuning(headed(), epochs=1).fit(X, y)
    P = headed().probabilities(X).astype(float)
    P /= P.sum(axis=1, keepdims=True)
    codes = np.searchsorted(tuned.classes_, y)
    rows = Coupling.from_pairs(np.column_stack([np.arange(36)] * 2), 36, 36)
    np.testing.assert_allclose(tuned.relationship_.matrix, fit_classes(rows.joint(np.eye(3)[codes], P)), atol=1e-12)
    means = [np.mean([P[i] for i in range(36) if y[i] == colour], axis=0) for colour in tuned.classes_]
    np.testing.assert_allclose(tuned.relationship_.matrix, means, atol=1e-12)
    assert tuned.relationship_.target_classes.tolist() == list("abcde")
    assert tuned.relationship_.source_classes.tolist() == tuned.classes_.tolist()


def test_sure_source_labels_give_the_confusion_matrix_either_way():
    # Both ways agree where each row is of one source class for sure, up to the regression's weak penalty.
    rng = np.random.default_rng(0)
    source, codes = rng.integers(0, 4, 4000), rng.integers(0, 3, 4000)
    codes = np.where(rng.random(4000) < 0.5, source % 3, codes)
    P = np.eye(4)[source]
    count = np.array([[np.sum((source == s) & (codes == t)) for s in range(4)] for t in range(3)])
    share = count / count.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(direct_relationship(P, codes, 3), share, atol=1e-12)
    np.testing.assert_allclose(reverse_relationship(P, codes, 3), share, atol=5e-3)


def test_the_reverse_relationship_turns_a_regression_round_by_bayes_rule():
    rng = np.random.default_rng(1)
    P = rng.dirichlet(np.full(4, 0.3), 90)
    codes = (P[:, 0] + 0.3 * rng.normal(size=90) > 0.3).astype(int)
    found = reverse_relationship(P, codes, 2)

    def regression(C):
        def loss(w):
            signed = np.where(codes == 1, P @ w, -(P @ w))
            return C * np.logaddexp(0, -signed).sum() + 0.5 * w @ w

        return minimize(loss, np.zeros(4), tol=1e-12).x

    def turned(w):
        joint = np.array([[(1 if t else exp(-w[s])) / (1 + exp(-w[s])) * P[:, s].mean() for s in range(4)]
                          for t in range(2)])  # fmt: skip
        return joint / joint.sum(axis=1, keepdims=True)

    nearest = min(np.abs(found - turned(regression(C))).max() for C in (0.1, 1.0, 10.0, 100.0, 1000.0))
    assert nearest < 1e-3
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("learn", [direct_relationship, reverse_relationship])
def test_a_class_without_rows_is_as_all_rows_together(learn):
    P = np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    R = learn(P, np.array([0, 2, 0, 2]), 4)
    np.testing.assert_allclose(R[[1, 3]], [[0.5, 0.5]] * 2, atol=1e-12)
    assert np.isfinite(learn(P[:1], np.array([2]), 4)).all()
    assert np.isfinite(learn(P[:2], np.array([0, 1]), 2)).all()


def test_a_temperature_that_was_turned_up_is_found_and_turned_down():
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.full(3, 0.5), 1500)
    codes = np.array([rng.choice(3, p=row) for row in true])
    assert fit_temperature(true, codes, 3) == 1.0
    # Too sure of itself: scores twice as large as they should be. And the other way round.
    assert fit_temperature(tempered(true, 0.5), codes, 3) == 2.0
    assert fit_temperature(tempered(true, 2.0), codes, 3) == 0.5
    assert fit_temperature(true[:1], codes[:1], 3) == 1.0


def test_tempering_divides_the_scores():
    scores = np.random.default_rng(0).normal(size=(4, 3))
    P = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wanted = np.exp(scores / 2) / np.exp(scores / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tempered(P, 2.0), wanted, atol=1e-12)
    with pytest.raises(InputError, match="above zero"):
        tempered(P, 0)


def test_the_old_heads_part_of_the_loss_as_worked_by_hand():
    # Scores of the old head are the features themselves: (0, log 3) has probabilities 1/4 and 3/4.
    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    told = lambda objective, step: objective(step).item()  # noqa: E731
    features = torch.tensor([[0.0, log(3)], [0.0, 0.0]])
    scores = torch.zeros(2, 3)
    by_class = OldHead(head, np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]), "class", 2.0)
    part = (-(log(1 / 4) + log(3 / 4)) / 2 - log(1 / 2)) / 2
    assert told(by_class, step_of(features, scores, [0, 1])) == pytest.approx(log(3) + 2 * part, abs=1e-6)
    # At temperature 2 the scores are (0, log 3 / 2): weights 1 and root of 3. Answers are looked up by position.
    by_row = OldHead(head, np.array([[0.0, 1.0], [1.0, 0.0]]), "row", 1.0, temperature=2.0)
    part = (-log(1 / (1 + sqrt(3))) - log(1 / 2)) / 2
    found = told(by_row, step_of(features, scores, [0, 1], at=[1, 0]))
    assert found == pytest.approx(log(3) + part, abs=1e-6)


def test_a_larger_trade_off_keeps_the_old_heads_answers():
    X, y = pictures()
    base = headed()
    before = base.probabilities(X)

    def forgotten(trade_off):
        tuned = LwF(headed(), epochs=10, lr=3e-3, head_lr=1e-3, trade_off=trade_off).fit(X, y)
        body, head = tuned.network_.body, copy.deepcopy(base.network.head)
        with torch.no_grad():
            after = torch.log_softmax(head(body(pixels=torch.from_numpy(base.preparation(X)["pixels"]))), dim=1)
        return float((before * (np.log(before) - after.numpy())).sum(axis=1).mean())

    free, held, hard = forgotten(0.0), forgotten(3.0), forgotten(30.0)
    assert free > 1.5 * held > 1.5 * hard


def test_before_training_the_old_heads_answers_are_the_recorded_ones():
    # Then the cross-entropy of the two, which is least where they agree, is the entropy of the answers.
    X, y = pictures()
    strategy = LwF(headed(), trade_off=0.7, temperature=2.0)
    strategy.backbone_ = headed()
    codes = np.unique(y, return_inverse=True)[1]
    objective = strategy._objective(None, Rows(X, codes))
    at = [5, 0, 17]
    with torch.no_grad():
        features = headed().network.body(pixels=torch.from_numpy(headed().preparation([X[i] for i in at])["pixels"]))
        step = step_of(features, torch.zeros(3, 3), codes[at], at=at)
        found = (objective(step) - step.loss).item()
    P = np.sqrt(headed().probabilities([X[i] for i in at]).astype(float))
    P /= P.sum(axis=1, keepdims=True)
    assert found == pytest.approx(0.7 * -(P * np.log(P)).sum(axis=1).mean(), abs=1e-5)


def test_the_old_head_goes_on_learning_and_does_not_come_out(monkeypatch):
    X, y = pictures()
    made = []
    plain = OldHead.__init__

    def noted(self, *given):
        plain(self, *given)
        made.append((self, copy.deepcopy(self.head.state_dict())))

    monkeypatch.setattr(OldHead, "__init__", noted)
    base = headed()
    began = {name: value.clone() for name, value in base.network.head.state_dict().items()}
    tuned = CoTuning(base, epochs=2).fit(X, y)
    ((objective, first),) = made
    assert torch.equal(first["weight"], began["weight"])
    assert not torch.equal(objective.head.weight, began["weight"])
    assert torch.equal(base.network.head.weight, began["weight"])
    assert tuned.network_.head.weight.shape == (3, 12)
    assert not any("answers" in name for name in objective.state_dict())


@pytest.mark.parametrize("strategy", [CoTuning, LwF])
def test_a_network_without_a_head_of_its_own_is_refused_in_one_line(strategy):
    with pytest.raises(NeedsError, match=f"{strategy.__name__} needs a network with a head of its own") as raised:
        strategy(small(), epochs=1).fit(*pictures())
    assert "\n" not in str(raised.value)


def test_contrastive_cross_entropy_as_worked_by_hand():
    # Without offsets, h = (f, 1) and v = (w, 0); at temperature 1.
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    W, b = torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.zeros(2)
    a = 1 / sqrt(2)
    # Class 0 has the rows 0 and 2, with cosines a, 0, a; class 1 has row 1, with cosines 0, a, 0.
    first = -log(exp(a) / (2 * exp(a) + 1))
    second = -log(exp(a) / (exp(a) + 2))
    found = float(contrastive_cross_entropy(features, W, b, torch.tensor([0, 1, 0]), 1.0))
    assert found == pytest.approx((2 * first + second) / 3, abs=1e-6)


def test_the_categorical_contrast_as_worked_by_hand():
    z = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    # Row 0 finds row 1 (cosine 1) among cosines 1, 0, -1; row 1 likewise; the two others have no partner.
    T = 0.5
    one = -log(exp(1 / T) / (exp(1 / T) + 1 + exp(-1 / T)))
    assert float(categorical_contrast(z, torch.tensor([0, 0, 1, 2]), T)) == pytest.approx(one, abs=1e-6)
    assert float(categorical_contrast(z, torch.tensor([0, 1, 2, 3]), T)) == 0.0
    assert float(categorical_contrast(z[:1], torch.tensor([0]), T)) == 0.0


def test_both_contrasts_are_added_with_their_factors():
    head = nn.Linear(4, 3)
    features, y = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), [0, 1, 2, 0, 1, 2]
    network = nn.Module()
    network.head = head
    step = step_of(features, head(features), y, network=network)
    loss = Contrasts(4, 2, 0.3, 0.7, 0.5)
    first = contrastive_cross_entropy(features, head.weight, head.bias, step.y, 0.5)
    second = categorical_contrast(loss.projection(features), step.y, 0.5)
    assert loss(step).item() == pytest.approx((step.loss + 0.3 * first + 0.7 * second).item(), abs=1e-6)


def test_hard_batches_give_finite_losses_and_gradients():
    teacher = torch.tensor([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0], [1e3, 0.0]])
    cases = [torch.zeros(4, 3), torch.ones(4, 3), torch.eye(4)[:, :3], 1e-30 * torch.eye(4)[:, :3], torch.zeros(1, 3)]
    for rows in cases:
        losses = (
            lambda f: contrastive_cross_entropy(f, torch.zeros(2, 3), torch.zeros(2), torch.arange(len(f)) % 2, 0.07),
            lambda f: categorical_contrast(f, torch.arange(len(f)) % 2, 0.07),
            lambda f: distance_loss(f, teacher[: len(f)]),
            lambda f: angle_loss(f, teacher[: len(f)]),
        )
        for loss in losses:
            f = rows.clone().requires_grad_(True)
            found = loss(f)
            found.backward()
            assert torch.isfinite(found)
            assert torch.isfinite(f.grad).all()


def huber(x):
    return 0.5 * x * x if abs(x) <= 1 else abs(x) - 0.5


def test_distances_are_compared_as_worked_by_hand():
    # Teacher: distances 3, 4, 5 with mean 4. Student: 1, 1, 1 with mean 1, a triangle of equal sides.
    teacher = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    student = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, sqrt(3) / 2]])
    wanted = (0.5 * 0.25**2 + 0.0 + 0.5 * 0.25**2) / 3
    assert float(distance_loss(student, teacher)) == pytest.approx(wanted, abs=1e-6)
    # Beyond a difference of one the loss is linear: distances 0, 3/2 and 3/2 of the mean against about 3/2, 3/2 and 0.
    rows = torch.tensor([[0.0], [0.0], [1.0]])
    far = torch.tensor([[0.0], [200.0], [200.5]])
    mu = (200 + 200.5 + 0.5) / 3
    wanted = (huber(0 - 200 / mu) + huber(1.5 - 200.5 / mu) + huber(1.5 - 0.5 / mu)) / 3
    assert abs(0 - 200 / mu) > 1
    assert float(distance_loss(rows, far)) == pytest.approx(wanted, abs=1e-6)


def test_angles_are_compared_as_worked_by_hand_and_by_plain_loops():
    # Teacher: a right angle at the first row, cosines 0, 3/5 and 4/5. Student: cosines of one half everywhere.
    teacher = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    student = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, sqrt(3) / 2]])
    wanted = (0.5 * 0.5**2 + 0.5 * 0.1**2 + 0.5 * 0.3**2) / 3
    assert float(angle_loss(student, teacher)) == pytest.approx(wanted, abs=1e-6)

    rng = np.random.default_rng(0)
    f, g = rng.normal(size=(6, 3)), rng.normal(size=(6, 5))

    def cosine(rows, i, j, k):
        a, b = rows[i] - rows[j], rows[k] - rows[j]
        return a @ b / sqrt(a @ a) / sqrt(b @ b)

    found = [huber(cosine(f, *three) - cosine(g, *three)) for three in permutations(range(6), 3)]
    assert float(angle_loss(torch.tensor(f), torch.tensor(g))) == pytest.approx(np.mean(found), abs=1e-10)
    # A row given twice has no angle seen from its double; the other triplets count.
    f[1], g[1] = f[0], g[0]
    twins = {0, 1}
    kept = [t for t in permutations(range(6), 3) if not (t[1] in twins and twins & {t[0], t[2]})]
    found = [huber(cosine(f, *three) - cosine(g, *three)) for three in kept]
    assert float(angle_loss(torch.tensor(f), torch.tensor(g))) == pytest.approx(np.mean(found), abs=1e-10)


def test_a_teachers_answers_as_worked_by_hand():
    # At temperature 2 the scores (0, 2 log 3) are (0, log 3): 1/4 and 3/4; the teacher says a half each.
    scores = torch.tensor([[0.0, 2 * log(3)]])
    divergence = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75)
    told = torch.tensor([[0.5, 0.5]])
    assert float(answers_loss(scores, told, 2.0)) == pytest.approx(4 * divergence, abs=1e-6)
    loss = Taught("logits", told.numpy(), 0.3, 2.0, 1)
    step = step_of(torch.zeros(1, 1), scores, [0])
    assert float(loss(step)) == pytest.approx(0.7 * log(1 + 9) + 0.3 * 4 * divergence, abs=1e-6)


def test_hints_are_squared_distances_from_what_the_regressor_says():
    loss = Taught("hints", np.array([[1.0, 0.0], [0.0, 2.0]]), 0.5, 1.0, 1)
    loss.regressor.weight.data, loss.regressor.bias.data = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 1.0])
    # Features 1 and 2 become (1, 3) and (2, 5); the rows are looked up the other way round.
    step = step_of(torch.tensor([[1.0], [2.0]]), torch.zeros(2, 2), [0, 1], at=[1, 0])
    wanted = (1**2 + 1**2 + 1**2 + 5**2) / 4
    assert loss(step).item() == pytest.approx(log(2) + 0.5 * wanted, abs=1e-6)


def test_a_student_told_answers_only_says_what_its_teacher_says():
    X, y = pictures()
    teacher = LPFT(headed(1), epochs=10, lr=3e-3).fit(X, y)

    def apart(weight):
        student = Distill(
            headed(), teacher=teacher, weight=weight, temperature=1.0, epochs=20, lr=3e-3, head_lr=1e-2
        ).fit(X, y)
        P, Q = teacher.predict_proba(X).astype(float), student.predict_proba(X).astype(float)
        return float((P * np.log(P / Q)).sum(axis=1).mean())

    assert apart(1.0) < 0.5 * apart(0.0)


def test_a_fitted_teacher_its_network_and_a_copy_of_the_strategy_teach_alike():
    X, y = pictures()
    teacher = LPFT(headed(1), epochs=2).fit(X, y)
    by_strategy = Distill(headed(), teacher=teacher, epochs=2)
    by_network = Distill(headed(), teacher=teacher.tuned_, epochs=2).fit(X, y)
    assert same(clone(by_strategy).fit(X, y), by_network)
    assert clone(by_strategy).teacher is teacher
    # One that was not fitted, and a network by itself, are fitted first.
    named = Distill(headed(), teacher=headed(1), epochs=2).fit(X, y)
    unfitted = Distill(headed(), teacher=LPFT(headed(1), epochs=2), epochs=2)
    assert same(named, by_network)
    assert same(unfitted.fit(X, y), by_network)
    assert not hasattr(unfitted.teacher, "tuned_")


def test_a_training_is_not_gone_on_with_under_another_teacher(tmp_path):
    X, y = pictures()

    class StopError(Exception):
        pass

    def stop(done, total):
        if done == 4:
            raise StopError

    settings = {"epochs": 3, "checkpoint": str(tmp_path)}
    one, other = (LPFT(headed(seed), epochs=0).fit(X, y) for seed in (1, 2))
    with pytest.raises(StopError):
        Distill(headed(), teacher=one, **settings).fit(X, y, progress=stop)
    with pytest.raises(StoreError, match="another folder"):
        Distill(headed(), teacher=other, **settings).fit(X, y)
    assert same(
        Distill(headed(), teacher=one, **settings).fit(X, y), Distill(headed(), teacher=one, epochs=3).fit(X, y)
    )


def test_what_distillation_can_not_do_is_one_line():
    X, y = pictures()
    teacher = LPFT(small(), epochs=0).fit(X, np.where(y == "red", "black", y))
    for wrong, kind, said in [
        (Distill(small()), NeedsError, "needs a teacher"),
        (Distill(small(), teacher=teacher), InputError, "the teacher knows 'black', 'blue', 'green'"),
        (Distill(small(), teacher=teacher, kind="logit"), InputError, "did you mean 'logits'"),
        (Distill(small(), teacher=teacher, weight=1.5), InputError, "1 at most"),
        (Distill(small(), teacher=teacher, temperature=0), InputError, "above zero"),
        (CoTuning(headed(), kind="revers"), InputError, "did you mean 'reverse'"),
        (CoTuning(headed(), temperature="warm"), InputError, "number or 'auto'"),
        (BiTuning(small(), temperature=0), InputError, "above zero"),
        (Soup(small(), validation=None), InputError, "set validation"),
        (Soup(small(), ingredients=[]), InputError, "at least one ingredient"),
    ]:
        with pytest.raises(kind, match=said) as raised:
            wrong.fit(X, y)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="holds out none"):
        Soup(small()).fit(X[:3], y[:3])


def test_a_soup_of_one_ingredient_is_that_ingredient():
    X, y = pictures()
    soup = Soup(headed(), epochs=3, ingredients=[{"lr": 1e-3, "head_lr": 1e-3}]).fit(X, y)
    rest = np.setdiff1d(np.arange(36), soup.held_out_)
    alone = LPFT(headed(), epochs=3, lr=1e-3).fit([X[i] for i in rest], y[rest])
    assert same(soup, alone)
    assert averaged([alone.tuned_]).values.keys() == alone.tuned_.values.keys()
    (only,) = soup.ingredients_
    assert only.taken
    assert only.score == soup.score_ == (alone.predict([X[i] for i in soup.held_out_]) == y[soup.held_out_]).mean()
    assert str(only) == f"+ {only.score:.3f} lr=0.001, head_lr=0.001"


def test_a_soup_is_what_a_plain_greedy_search_finds():
    X, y = pictures(60)
    # Some labels are wrong, so that ingredients differ.
    y = np.where(np.random.default_rng(0).random(60) < 0.3, "red", y)
    settings = [{"lr": lr, "head_lr": lr, "random_state": s} for lr in (3e-4, 3e-2, 0.1, 3e-3) for s in (0, 1)]
    soup = Soup(small(), epochs=2, ingredients=settings, validation=0.3).fit(X, y)
    held = soup.held_out_
    rest = np.setdiff1d(np.arange(60), held)
    rows, test = [X[i] for i in rest], [X[i] for i in held]
    # All begin from one head: the probe's.
    probe = LinearProbe(small()).fit(rows, y[rest]).tuned_
    cooked = [FineTune(small(), epochs=2).set_params(**s).fit(rows, y[rest], start=probe).tuned_ for s in settings]
    right = [(one.predict(test) == y[held]).sum() for one in cooked]
    order = sorted(range(len(settings)), key=lambda i: -right[i])
    full = [{n: v.numpy().astype(float) for n, v in one.module().state_dict().items()} for one in cooked]

    def scored(chosen):
        mean = {name: sum(full[i][name] for i in chosen) / len(chosen) for name in full[0]}
        network = small().module(3)
        network.load_state_dict({name: torch.tensor(value) for name, value in mean.items()})
        with torch.no_grad():
            scores = network.eval()(pixels=torch.from_numpy(small().preparation(test)["pixels"]))
        return (soup.classes_[scores.argmax(dim=1).numpy()] == y[held]).sum(), mean

    chosen = [order[0]]
    for i in order[1:]:
        if scored([*chosen, i])[0] >= scored(chosen)[0]:
            chosen.append(i)
    assert 1 < len(chosen) < len(settings), "a search that takes all, or one, tells little"
    assert [settings.index(one.settings) for one in soup.ingredients_] == order
    assert [settings.index(one.settings) for one in soup.ingredients_ if one.taken] == chosen
    count, mean = scored(chosen)
    assert soup.score_ == pytest.approx(count / len(held))
    for name, value in state(soup.network_).items():
        np.testing.assert_allclose(value.numpy(), mean[name], atol=1e-6, err_msg=name)


def test_what_one_network_did_not_move_counts_as_it_was_pretrained():
    base = small()
    reader = FineTune(base, epochs=0).fit(*pictures()).tuned_.reader
    head = {"head.weight": np.ones((3, 12), np.float32), "head.bias": np.zeros(3, np.float32)}
    kernel = base.network.body.state_dict()["network.0.weight"].numpy()
    seen = {"body.network.1.num_batches_tracked": np.array(5)}
    one = TunedNetwork(reader, np.arange(3), {**head, "body.network.0.weight": kernel + 1, **seen})
    other = TunedNetwork(reader, np.arange(3), {**head, "head.bias": np.full(3, 2.0, np.float32)})
    mean = averaged([one, other]).values
    np.testing.assert_allclose(mean["body.network.0.weight"], kernel + 0.5, atol=1e-6)
    np.testing.assert_array_equal(mean["head.bias"], 1.0)
    assert mean["body.network.0.weight"].dtype == np.float32
    assert mean["body.network.1.num_batches_tracked"] == 2
    assert "body.network.4.weight" not in mean


def test_which_rows_a_soup_holds_out_does_not_depend_on_their_order():
    X, y = pictures()
    order = np.random.default_rng(0).permutation(36)
    settings = {"model": small(), "epochs": 0, "ingredients": [{}], "validation": 0.3}
    one, two = Soup(**settings).fit(X, y), Soup(**settings).fit([X[i] for i in order], y[order])
    assert set(one.held_out_) == set(order[two.held_out_])
    assert np.unique(y[one.held_out_], return_counts=True)[1].tolist() == [3, 4, 3]


def test_a_soup_cooks_other_strategies_with_their_own_settings(tmp_path):
    X, y = pictures()
    calls = []
    soup = Soup(
        small(),
        strategy=L2SP(epochs=1, alpha=0.5),
        ingredients=[{"lr": 1e-3}, {"alpha": 5.0}],
        epochs=9,
        checkpoint=str(tmp_path),
    )
    soup.fit(X, y, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 4) for i in range(1, 5)]
    assert len(soup.ingredients_) == 2
    assert len(soup.history_.loss) == 1
    default = Soup(small(), epochs=1, lr=1e-3).fit(X, y)
    rates = [one.settings["lr"] for one in default.ingredients_]
    np.testing.assert_allclose(sorted(rates), sorted([1e-3 / 3, 1e-3, 3e-3] * 2))


@pytest.mark.parametrize(
    "strategy",
    [CoTuning(), CoTuning(kind="reverse"), LwF(), BiTuning(), Distill(), Soup(ingredients=[{"lr": 1e-3}])],
    ids=named,
)
def test_all_go_the_four_steps_with_a_class_missing_in_the_target(strategy):
    X, y = pictures(60)
    source = Domain(items_as_rows(X[:40]), y[:40], name="source", items=as_column(X[:40]))
    few = [i for i in range(40, 60) if y[i] != "red"][:8]
    target = Domain(items_as_rows([X[i] for i in few]), y[few], items=as_column([X[i] for i in few]))
    method = clone(strategy).set_params(model=headed(), epochs=2)
    if isinstance(strategy, Distill):
        method.set_params(teacher=headed(1))
    journey = four_steps(method, source, target, None)
    assert journey.predictor.classes_.tolist() == ["blue", "green", "red"]
    P = journey.predictor.predict_proba(X)
    assert P.shape == (60, 3)
    assert np.isfinite(P).all()
    assert set(journey.knowledge.arrays) >= {"head.weight", "head.bias"}
    assert not any("projection" in name or "answers" in name for name in journey.knowledge.arrays)


def items_as_rows(X):
    return np.stack([item.reshape(-1)[:4].astype(float) for item in X])


def as_column(X):
    column = np.empty(len(X), dtype=object)
    column[:] = X
    return column
