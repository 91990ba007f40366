"""The loop that trains networks: steps, processes, checkpoints, loggers, and what can go wrong."""

import os
import socket
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_fine_tuning import pictures, small, state
from threadpoolctl import threadpool_limits
from torch import nn

from headstart.errors import InputError, NeedsError, StoreError
from headstart.models.fine_tuning import FineTune, FreezePlan, FromScratch
from headstart.models.fine_tuning.held_out import held_out
from headstart.models.fine_tuning.lesson import Lesson, class_weights
from headstart.models.fine_tuning.training import Rows, Settings, own_threads, train

TESTS = str(Path(__file__).parent)


def quiet(n_classes=3, seed=0):
    """Return the small network, without chance, and with a head that is the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = small().module(n_classes)
    network.body.network[3].p = 0.0
    return network


def rows_of(n=36, seed=0):
    X, y = pictures(n, seed)
    return Rows(X, np.unique(y, return_inverse=True)[1])


def trained(network, rows, settings, **how):
    plan = FreezePlan.of(network, lambda name: True, norms_move=how.pop("norms_move", False))
    return train(network, rows, small().preparation, how.pop("plan", plan), settings, **how)


def largest_difference(one, other):
    other = state(other)
    return max(float((value - other[name]).abs().max()) for name, value in state(one).items())


class StopError(Exception):
    pass


def stop_at(step):
    def progress(done, total):
        if done == step:
            raise StopError

    return progress


# Steps.


@pytest.mark.parametrize("balanced", [False, True])
def test_batches_that_are_accumulated_are_one_batch(balanced):
    rows = rows_of(45)
    rows = Rows(rows.items[:32], np.where(rows.y[:32] == 1, 0, rows.y[:32]))
    one, other = quiet(), quiet()
    settings = Settings(epochs=2, lr=1e-3, batch_size=8, balanced=balanced)
    first = trained(one, rows, settings)
    second = trained(other, rows, replace(settings, batch_size=2, accumulate=4))
    assert largest_difference(one, other) < 1e-5
    np.testing.assert_allclose(first.loss, second.loss, atol=1e-5)


def test_the_loss_of_an_epoch_is_the_weighted_mean_over_its_rows():
    rows = rows_of(20)
    rows = Rows(rows.items, np.where(rows.y == 2, 0, rows.y))
    network = quiet(2)
    settings = Settings(epochs=1, lr=0.0, head_lr=0.0, weight_decay=0.0, batch_size=6, balanced=True)
    history = trained(network, rows, settings, validation=rows)
    with torch.no_grad():
        scores = network(pixels=torch.from_numpy(small().preparation(rows.items)["pixels"])).numpy().astype(float)
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(20), rows.y]
    weight = 20 / (2 * np.bincount(rows.y))[rows.y]
    assert history.loss[0] == pytest.approx((weight * losses).sum() / weight.sum(), abs=1e-5)
    assert history.validation[0] == pytest.approx(history.loss[0], abs=1e-5)


def test_a_class_that_has_no_row_does_not_break_balance():
    start = FineTune(small(), epochs=1).fit(*pictures()).tuned_
    X, y = pictures()
    some = [i for i in range(36) if y[i] != "red"]
    # Red is the last class, so that the rows' classes are fewer than the head's.
    tuned = FineTune(small(), epochs=1, balanced=True).fit([X[i] for i in some], y[some], start=start)
    assert tuned.classes_.tolist() == ["blue", "green", "red"]
    assert np.isfinite(tuned.predict_proba(X)).all()
    assert class_weights(np.array([0, 0, 0, 2]), True).tolist() == pytest.approx([4 / 6, 1.0, 2.0])


# Rows held out.


def test_held_out_rows_are_drawn_of_each_class_and_whatever_their_order():
    rng = np.random.default_rng(0)
    items = [f"picture-{i}.png" for i in range(100)]
    y = np.repeat([0, 1, 2], [60, 30, 10])
    held = held_out(items, y, 0.2, 7)
    assert np.bincount(y[held]).tolist() == [12, 6, 2]
    order = rng.permutation(100)
    again = held_out([items[i] for i in order], y[order], 0.2, 7)
    np.testing.assert_array_equal(again, held[order])
    assert not np.array_equal(held_out(items, y, 0.2, 8), held)


def test_each_class_keeps_a_row_to_train_on():
    y = np.array([0] * 6 + [1, 2, 2])
    items = [f"text {i}" for i in range(9)]
    for seed in range(20):
        held = held_out(items, y, 0.8, seed)
        assert np.bincount(y[~held], minlength=3).min() >= 1
        assert held.any()
    with pytest.raises(InputError, match="holds out none"):
        held_out(items[5:7], y[5:7], 0.5, 0)
    for share in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="between 0 and 1"):
            held_out(items, y, share, 0)


def test_a_strategy_ends_early_and_never_trains_on_what_is_held_out():
    X, y = pictures()
    seen = []

    class Watched(FineTune):
        def _begin(self, network, items, codes, start):
            seen.append(("began", len(items)))

        def _objective(self, network, rows):
            seen.append(("rows", len(rows.items)))

    tuned = Watched(small(), epochs=20, lr=0.05, head_lr=0.2, validation=0.25, patience=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuned.fit(X, y)
    assert seen == [("began", 27), ("rows", 27)]
    history = tuned.history_
    assert len(history.validation) == len(history.loss) == history.best_epoch + 1 + 2 < 20
    held = held_out(X, np.unique(y, return_inverse=True)[1], 0.25, 0)
    P = tuned.predict_proba([X[i] for i in np.flatnonzero(held)])
    loss = -np.log(P[np.arange(9), np.searchsorted(tuned.classes_, y[held])]).mean()
    assert loss == pytest.approx(min(history.validation), abs=1e-4)


# Precision.


def test_bf16_trains_nearly_as_float32_does_and_leaves_float32():
    X, y = pictures()
    losses = {}
    # One after the other in one process: nothing of the first is left for the second.
    for precision in ("bf16", "no", "bf16"):
        tuned = FineTune(small(), epochs=6, lr=3e-3, head_lr=1e-2, mixed_precision=precision).fit(X, y)
        losses[precision] = tuned.history_.loss
        assert all(value.dtype != torch.bfloat16 for value in tuned.network_.state_dict().values())
    assert losses["bf16"] != losses["no"]
    np.testing.assert_allclose(losses["bf16"], losses["no"], atol=0.05)


def test_an_objective_sees_float32_in_mixed_precision_too():
    kinds = []

    def objective(step):
        kinds.extend([step.features.dtype, step.scores.dtype, step.loss.dtype])
        return step.loss + torch.linalg.svdvals(step.features).sum() * 1e-6

    trained(quiet(), rows_of(), Settings(epochs=1, mixed_precision="bf16"), objective=objective)
    assert set(kinds) == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device here can compute in fp16")
def test_what_the_device_cannot_compute_is_one_line():
    with pytest.raises(NeedsError, match=r"mixed_precision='fp16'.*take 'no'") as caught:
        FineTune(small(), epochs=1, mixed_precision="fp16").fit(*pictures())
    assert "\n" not in str(caught.value)


# Wrong settings.


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"mixed_precision": "fp8"}, "no mixed precision 'fp8'"),
        ({"keep": "worst"}, "'best' or 'last'"),
        ({"accumulate": 0}, "accumulate must be 1 or more"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"patience": 3}, "set validation"),
        ({"patience": 0, "validation": 0.2}, "patience must be 1"),
        ({"validation": 2.0}, "between 0 and 1"),
        ({"epochs": -1}, "epochs must be 0 or more"),
        ({"logger": "tensorbord"}, "did you mean 'tensorboard'"),
    ],
)
def test_a_wrong_setting_is_one_line(setting, said):
    with pytest.raises(InputError, match=said) as caught:
        FineTune(small(), **setting).fit(*pictures())
    assert "\n" not in str(caught.value)


# Loggers.


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_back_what_was_told(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    X, y = pictures()
    tuned = FineTune(
        small(),
        epochs=2,
        lr=1e-3,
        head_lr=1e-3,
        batch_size=9,
        validation=0.25,
        logger="tensorboard",
        log_folder=str(tmp_path),
    ).fit(X, y)
    events = EventAccumulator(str(tmp_path / "headstart")).Reload()
    steps = events.Scalars("loss")
    assert [event.step for event in steps] == [1, 2, 3, 4, 5, 6]
    for name, known in (("epoch_loss", tuned.history_.loss), ("validation_loss", tuned.history_.validation)):
        np.testing.assert_allclose([event.value for event in events.Scalars(name)], known, rtol=1e-6)
    # Three equal batches an epoch: the mean over their losses is the epoch's.
    assert np.mean([event.value for event in steps[:3]]) == pytest.approx(tuned.history_.loss[0], rel=1e-5)
    # The head's rate, at its height in the first step.
    assert events.Scalars("lr")[0].value == pytest.approx(1e-3)
    (config,) = tmp_path.rglob("hparams.yml")
    for line in ("batch_size: 9", "strategy: FineTune", "model: small", "validation: 0.25", "rows: 27"):
        assert line in config.read_text()


FAKE = """
called = []
class Thing:
    def __init__(self, name): self.name = name
    def __getattr__(self, part): return Thing(f"{self.name}.{part}")
    def __call__(self, *args, **kwargs):
        called.append((self.name, args, kwargs))
        return self
init, config = Thing("init"), Thing("config")
"""


def test_wandb_is_told_through_its_tracker(tmp_path, monkeypatch):
    from accelerate import tracking
    from accelerate.utils import LoggerType

    # A fake of the package: what of it is called, with what.
    (tmp_path / "wandb.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tracking, "_available_trackers", [LoggerType.WANDB])
    folder = str(tmp_path / "logs")
    FineTune(small(), epochs=1, batch_size=12, logger="wandb", log_folder=folder).fit(*pictures())
    called = sys.modules.pop("wandb").called
    names = [name for name, _, _ in called]
    assert names[:2] == ["init", "config.update"]
    assert called[0][2] == {"project": "headstart", "dir": folder}
    assert called[1][1][0]["strategy"] == "FineTune"
    told = [(args[0], kwargs["step"]) for name, args, kwargs in called if name == "init.log"]
    assert [step for _, step in told] == [1, 2, 3, 3]
    assert all(set(values) == {"loss", "lr", "lr_least"} for values, _ in told[:3])
    assert set(told[3][0]) == {"epoch", "epoch_loss"}
    assert names[-1] == "init.finish"


def test_a_logger_that_is_not_installed_is_one_line_before_training(monkeypatch):
    from headstart.models.fine_tuning import logbook

    monkeypatch.setattr(logbook, "find_spec", lambda name: None)
    told = []
    with pytest.raises(NeedsError, match="python -m pip install mlflow") as caught:
        FineTune(small(), logger="mlflow").fit(*pictures(), progress=lambda done, total: told.append(done))
    assert "\n" not in str(caught.value)
    assert not told


# Several processes.


class Pulled(nn.Module):
    """An objective with a parameter of its own, and a penalty that is no mean over rows."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, step):
        self.steps += 1
        penalty = sum((value**2).sum() for value in step.network.head.parameters())
        return step.loss * self.scale.exp() / 2 + 0.01 * penalty + 0.1 * (self.scale**2).sum()


def cases(folder):
    """Return what some trainings come to, by name: weights, losses, validation losses."""
    some = rows_of(29)
    # Classes that weigh differently, shares that differ, batches with fewer rows than there are processes.
    y = np.where(np.arange(29) < 9, some.y, 0)
    kept = {"checkpoint": folder, "every": 2, "logger": "tensorboard", "log_folder": folder}
    found = {}
    for name, n, settings in (
        ("plain", 29, Settings(epochs=2, lr=1e-3, batch_size=7)),
        ("balanced", 29, Settings(epochs=2, lr=1e-3, batch_size=5, balanced=True, accumulate=2)),
        ("single", 3, Settings(epochs=1, lr=1e-3, batch_size=1)),
        ("kept", 29, Settings(epochs=2, lr=1e-3, batch_size=7, **kept)),
    ):
        network = quiet()
        history = trained(network, Rows(some.items[:n], y[:n]), settings, validation=rows_of(7, 1), objective=Pulled())
        found[name] = (network.state_dict(), history.loss, history.validation)
    return found


CHILD = """
import sys
sys.path.insert(0, {tests!r})
import torch
from test_training import cases
found = cases({folder!r})
torch.save(found, {folder!r} + f"/{{torch.distributed.get_rank()}}.pt")
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without processes")
@pytest.mark.skipif(torch.cuda.is_available(), reason="checked on the processor alone")
def test_two_processes_train_as_one_does(tmp_path):
    pytest.importorskip("tensorboard")
    one, two = (tmp_path / name for name in ("one", "two"))
    two.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # What `torchrun --nproc-per-node 2` sets, without the seconds that it takes.
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), "ACCELERATE_USE_CPU": "true"}
    env |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD.format(tests=TESTS, folder=str(two))],
            env={**env, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    try:
        known = cases(str(one))
        for child in running:
            said = child.communicate(timeout=90)[1]
            assert child.returncode == 0, said[-3000:]
    finally:
        for child in running:
            child.kill()
            child.wait()
    for rank in "01":
        found = torch.load(two / f"{rank}.pt", weights_only=True)
        for name, (weights, loss, validation) in known.items():
            others, other_loss, other_validation = found[name]
            for part, value in weights.items():
                np.testing.assert_allclose(others[part], value, atol=1e-5, err_msg=f"{name} {part}")
            np.testing.assert_allclose(other_loss, loss, atol=1e-5)
            np.testing.assert_allclose(other_validation, validation, atol=1e-5)
    # The main process alone wrote, and took its checkpoint away at the end.
    assert sorted(path.name for path in two.iterdir()) == ["0.pt", "1.pt", "headstart"]
    assert len(list((two / "headstart").glob("events*"))) == 1


# Progress.


def test_a_bar_is_shown_only_when_asked_for(capsys):
    X, y = pictures()
    FineTune(small(), epochs=2).fit(X, y)
    FineTune(small(), epochs=2).fit(X, y, progress=False)
    assert capsys.readouterr() == ("", "")
    FineTune(small(), epochs=2).fit(X, y, progress=True)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "FineTune: 6 steps done\n")


def test_on_a_terminal_the_bar_shows_steps_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    FineTune(small(), epochs=2).fit(*pictures(), progress=True)
    out, err = capsys.readouterr()
    assert not out
    assert "FineTune" in err
    assert "6/6" in err
    assert "0:00:00" in err


# Few rows.


@pytest.mark.parametrize(("n", "size"), [(36, 1), (2, 1), (3, 2), (2, 16), (7, 3)])
def test_batch_norms_survive_single_rows(n, size):
    X, y = pictures(36)
    X, y = X[:n], y[:n]
    tuned = FineTune(small(), epochs=1, lr=1e-3, batch_size=size, norms_move=True)
    if n // -(-n // size) < 2:
        with pytest.warns(UserWarning, match="batch norms stand still"):
            tuned.fit(X, y)
        assert tuned.plan_.moving == ()
    else:
        tuned.fit(X, y)
        assert len(tuned.plan_.moving) == 2
    assert np.isfinite(tuned.predict_proba(X)).all()


def test_one_row_is_enough_to_go_on_from_a_tuned_network():
    X, y = pictures()
    start = FineTune(small(), epochs=1).fit(X, y).tuned_
    with pytest.warns(UserWarning, match="1 rows in batches of 16 leave a batch norm less than two rows"):
        tuned = FromScratch(small(), epochs=2).fit(X[:1], y[:1], start=start)
    assert np.isfinite(tuned.predict_proba(X)).all()


def test_without_epochs_nothing_is_trained(tmp_path):
    X, y = pictures()
    tuned = FineTune(small(), epochs=0, checkpoint=str(tmp_path), validation=0.2).fit(X, y)
    assert tuned.history_.loss == []
    began, after = small().network.body.state_dict(), tuned.network_.body.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in began.items())
    assert not list(tmp_path.iterdir())


# What goes wrong.


def test_a_loss_that_is_not_finite_ends_training_and_leaves_the_checkpoint(tmp_path):
    rows = rows_of()

    def objective(step):
        return step.loss * (float("nan") if objective.broken else 1.0)

    objective.broken = False
    settings = Settings(epochs=4, lr=1e-3, batch_size=6, checkpoint=str(tmp_path), every=2)
    with pytest.raises(StopError):
        trained(quiet(), rows, settings, objective=objective, progress=stop_at(9))
    before = (tmp_path / "checkpoint.pt").read_bytes()
    objective.broken = True
    with pytest.raises(InputError, match="the loss is not finite at step 9 of 24; try a smaller lr") as caught:
        trained(quiet(), rows, replace(settings, every=100), objective=objective)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    objective.broken = False
    trained(quiet(), rows, settings, objective=objective)


def test_a_gradient_that_is_not_finite_never_reaches_the_weights():
    network = quiet()

    def objective(step):
        return step.loss + (step.network.head.bias * 0).abs().sqrt().sum()

    with pytest.raises(InputError, match="the gradient is not finite at step 1 of"):
        trained(network, rows_of(), Settings(epochs=1), objective=objective)
    assert all(bool(value.isfinite().all()) for value in network.state_dict().values())


def test_a_learning_rate_that_is_far_too_large_is_one_line():
    with pytest.raises(InputError, match=r"not finite at step .* try a smaller lr"):
        FineTune(small(), epochs=20, lr=1e30, head_lr=1e30).fit(*pictures())


@pytest.mark.parametrize("step", [3, 6, 8, 12])
def test_a_training_that_is_interrupted_goes_on_bit_for_bit_also_its_objective(tmp_path, step):
    rows, settings = rows_of(), Settings(epochs=3, lr=1e-3, batch_size=4, accumulate=2, every=2)
    networks = []
    for _ in range(3):
        # With dropout, so that chance too must go on.
        with torch.random.fork_rng():
            torch.manual_seed(0)
            networks.append(small().module(3))
    whole, cut, again = networks
    one, two, three = Pulled(), Pulled(), Pulled()
    history = trained(whole, rows, settings, objective=one, validation=rows_of(12, 1))
    kept = replace(settings, checkpoint=str(tmp_path))
    with pytest.raises(StopError):
        trained(cut, rows, kept, objective=two, validation=rows_of(12, 1), progress=stop_at(step))
    firsts = []
    later = trained(
        again, rows, kept, objective=three, validation=rows_of(12, 1), progress=lambda done, total: firsts.append(done)
    )
    # Five steps an epoch, of which the second, the fourth and the last are kept.
    assert firsts[0] == {3: 3, 6: 6, 8: 7, 12: 11}[step]
    assert later == history
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    assert torch.equal(one.scale, three.scale)
    assert torch.equal(one.steps, three.steps)
    assert not torch.equal(one.scale, torch.ones(1))


def test_an_epoch_whose_steps_were_all_done_goes_on_with_the_next(tmp_path, monkeypatch):
    rows = rows_of()
    settings = Settings(epochs=2, lr=1e-3, batch_size=12, checkpoint=str(tmp_path), every=3)
    whole, cut = quiet(), quiet()
    history = trained(whole, rows, replace(settings, checkpoint=None))

    def interrupted(plan, network):
        raise StopError

    with monkeypatch.context() as patch:
        # Between the last step's checkpoint and the epoch's end.
        patch.setattr(FreezePlan, "verify", interrupted)
        with pytest.raises(StopError):
            trained(cut, rows, settings)
    steps = []
    later = trained(cut, rows, settings, progress=lambda done, total: steps.append(done))
    assert steps == [4, 5, 6]
    assert later == history
    assert largest_difference(whole, cut) == 0


def test_a_checkpoint_is_of_these_rows_and_this_network(tmp_path):
    rows = rows_of()
    settings = Settings(epochs=2, lr=1e-3, batch_size=12, checkpoint=str(tmp_path), every=1)
    with pytest.raises(StopError):
        trained(quiet(), rows, settings, progress=stop_at(3))
    other = rows.y.copy()
    other[0] = (other[0] + 1) % 3
    changed = [rows.items[0] // 2, *rows.items[1:]]
    swapped = [rows.items[1], rows.items[0], *rows.items[2:]]
    for strange in (Rows(rows.items, other), Rows(changed, rows.y), Rows(swapped, rows.y), rows_of(33)):
        with pytest.raises(StoreError, match=r"\(rows\); name another folder"):
            trained(quiet(), strange, settings)
    with pytest.raises(StoreError, match=r"\(network\)"):
        trained(quiet(4), rows, settings)
    network = quiet()
    head = FreezePlan.of(network, lambda name: name.startswith("head."))
    with pytest.raises(StoreError, match=r"\(network\)"):
        trained(network, rows, settings, plan=head)
    with pytest.raises(StoreError, match=r"\(strategy\)"):
        trained(quiet(), rows, settings, facts={"alpha": 1.0})
    # What is only told or kept may differ.
    trained(quiet(), rows, replace(settings, every=7))


def test_source_and_target_have_checkpoints_of_their_own(tmp_path):
    from headstart import Domain

    X, y = pictures()
    items = np.empty((36, 1), dtype=object)
    items[:, 0] = X
    seen = []

    class Watched(FineTune):
        def _plans(self, network, epochs):
            seen.append(self.checkpoint)
            return super()._plans(network, epochs)

    source = Domain(items, y, name="source", modality="image", task="classification")
    method = Watched(small(), epochs=1, checkpoint=str(tmp_path))
    method.learn_target(method.learn_source(source, None), source, None)
    assert seen == [str(tmp_path / "source"), str(tmp_path)]


# Threads.


def test_training_has_torchs_threads_back_under_a_limit():
    own = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []
    try:
        with threadpool_limits(1):
            assert torch.get_num_threads() == 1
            assert own_threads() == 2
            trained(quiet(), rows_of(), Settings(epochs=1), progress=lambda *_: seen.append(torch.get_num_threads()))
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(own)
    assert set(seen) == {2}


def test_a_lesson_pads_weights_to_the_heads_classes():
    lesson = Lesson(quiet(), None, torch.tensor([2.0, 4.0]))
    scores, y = torch.zeros(3, 3), torch.tensor([0, 1, 2])
    assert float(lesson.cross_entropy(scores, y)) == pytest.approx(np.log(3))
    assert lesson.counts(y, 3) == 7
