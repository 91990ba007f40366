"""The benchmarks of choice and of the guard: fair cases, figures as said, and choices that see no test label."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.bench import Asked, apart, cases, choice, guard
from headstart.bench.cases import Pair, by_class, components, kept, unpacked, with_rows
from headstart.bench.instances import REVIEWS
from headstart.choose import candidates, shortlist, try_all
from headstart.domain import Domain
from headstart.errors import InputError
from headstart.evidence.gain import METRICS
from headstart.learners import make_learner


def FEW(different=False, reads="table"):  # noqa: N802  (stands for the standard names)
    return ["target-only", "source-only", "pooled"]


def made_up(n=120, classes=2, seed=0, shift=0.5):
    """Two domains of the same classes, the second moved."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(classes, 4))
    domains = []
    for name, move in (("near", 0.0), ("far", shift)):
        y = rng.integers(classes, size=n)
        domains.append(Domain(centres[y] + rng.normal(size=(n, 4)) + move, y, name))
    return domains


def pairs(folder):
    """Two pairs."""
    one, other = made_up()
    yield Pair("heart", one, other)
    yield Pair("heart", other, one)


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """One data set of two pairs, and two methods beside the baselines."""
    for module in (cases, choice, guard):
        monkeypatch.setattr(module, "PAIRS", {"heart": (pairs, "heart.csv")}, raising=False)
    monkeypatch.setattr(choice, "standard_names", FEW)
    monkeypatch.setattr(choice, "MORE", ("coral",))
    monkeypatch.setattr(guard, "CHOSEN", {"heart": ("near -> far", "far -> near")})
    monkeypatch.setattr(guard, "LABELS", (20,))
    monkeypatch.setattr(candidates, "standard_names", FEW)
    (tmp_path / "heart.csv").touch()
    return Asked(tmp_path, cells=tmp_path / "cells")


def test_so_many_rows_of_each_class_come_first_and_every_row_comes_once():
    domain = made_up(classes=3)[0]
    order = by_class(domain, 3, 1)
    assert np.unique(domain.labels[order[:9]], return_counts=True)[1].tolist() == [3, 3, 3]
    assert sorted(order) == list(range(len(domain)))
    assert order.tolist() != by_class(domain, 3, 2).tolist()
    with pytest.raises(InputError, match="fewer than 90"):
        by_class(domain, 90, 1)


def test_no_test_row_is_among_the_targets_rows_and_only_the_first_are_labelled():
    source, target = made_up()
    numbered = replace(target, X=np.column_stack([np.arange(len(target)), target.X]))
    order = by_class(target, 3, 0)
    case = with_rows(Pair("made up", replace(source, X=np.column_stack([source.X, source.y])), numbered), order, 6, 0)
    assert case.target.n_labelled == 6
    assert len(case.target) + len(case.test) == len(target)
    assert case.target.labels.tolist() == target.labels[order[:6]].tolist()
    assert case.test.labels.tolist() == target.labels[order[len(case.target) :]].tolist()
    both = np.vstack([case.target.X, case.test.X])
    assert len(np.unique(both.round(9), axis=0)) == len(target)


def test_components_keep_distances_and_see_no_label():
    source, target = made_up()
    project = components(source.X, target.X)
    before = np.linalg.norm(source.X[:5, None] - target.X[None, :5], axis=2)
    after = np.linalg.norm(project(source.X)[:5, None] - project(target.X)[None, :5], axis=2)
    np.testing.assert_allclose(after / before, after[0, 0] / before[0, 0])


def test_a_cell_holds_what_a_fit_by_hand_gives(quick):
    pair = next(pairs(None))
    case = with_rows(pair, by_class(pair.target, 3, 0), 6, 0)
    cell = choice.measured(case, 3)
    known = case.target.labelled_rows()
    model = LogisticRegression(max_iter=2000).fit(known.X, known.labels)
    half = np.random.default_rng([0, len(case.test)]).permutation(len(case.test)) % 2
    right = model.predict(case.test.X) == case.test.labels
    assert cell.accuracy["target-only"] == pytest.approx([right[half == h].mean() for h in (0, 1)], abs=1e-5)
    folds, hits = unpacked(cell.folds[0]), unpacked(cell.hits["target-only"][0])
    for fold in np.unique(folds):
        held = folds == fold
        model = LogisticRegression(max_iter=2000).fit(known.X[~held], known.labels[~held])
        assert hits[held].tolist() == (model.predict(known.X[held]) == known.labels[held]).astype(int).tolist()
    assert cell.utilities.shape == (4, choice.REPEATS, 6)
    assert set(cell.without_labels[choice.WEIGHTED]) == {"source-only", "pooled", "coral"}


def test_choices_are_measured_once_and_told_in_a_table(quick):
    shown, said = [], []
    figures = choice.measure(replace(quick, say=said.append), shown.append)
    assert len(said) == 4
    assert "cells" not in figures
    assert {(cell.pair, cell.labels) for cell in kept(quick.cells, choice.Cell)} == {
        (pair, labels) for pair in ("near -> far", "far -> near") for labels in (0, 3)
    }
    assert len(shown) == 2
    again = choice.measure(replace(quick, say=said.append), shown.append)
    assert len(said) == 4
    assert again["3 labels"] == figures["3 labels"]
    assert len(again["0 labels"]) > 1
    no_labels = next(cell for cell in kept(quick.cells, choice.Cell) if cell.labels == 0)
    assert "target-only" not in no_labels.accuracy
    assert no_labels.folds == []


def cell_of(data, pair, accuracy, hits, labels=3, draw=0):
    names = list(accuracy)
    validated = {choice.WEIGHTED: {name: 0.1 * i for i, name in enumerate(names) if name != "target-only"}}
    lines = {name: [hits[name]] for name in names}
    halves = {name: value if isinstance(value, tuple) else (value, value) for name, value in accuracy.items()}
    return choice.Cell(data, pair, draw, labels, 10, halves, lines, {}, ["0123"], validated, "source-only")


def test_regrets_are_those_worked_by_hand():
    hits = {"target-only": "1111", "source-only": "0000", "coral": "0011"}
    cells = [
        cell_of("heart", "a -> b", {"target-only": 0.9, "source-only": 0.8, "coral": 0.5}, hits),
        cell_of("wine", "c -> d", {"target-only": 0.5, "source-only": 0.6, "coral": 0.7}, hits),
    ]
    lines = {line.rule: line for line in choice.lines_of(cells)}
    assert lines["cross-validation"].of_data == pytest.approx({"heart": 40.0, "wine": 0.0})
    assert lines["cross-validation, target-only too"].of_data == pytest.approx({"heart": 0.0, "wine": 20.0})
    assert lines["always source-only"].regret[0] == pytest.approx(10.0)
    # The best single method is the first of two with a mean regret of 10; source-only's is the same.
    assert lines["always target-only"].over_single[0] == pytest.approx(0.0)
    assert lines["cross-validation"].over_single[0] == pytest.approx(10.0)


def test_an_honest_oracle_picks_by_one_half_and_is_judged_on_the_other():
    hits = {"target-only": "1111", "source-only": "0000", "coral": "0011"}
    reached = {"target-only": (0.5, 0.5), "source-only": (0.9, 0.4), "coral": (0.4, 0.8)}
    (line,) = [
        found for found in choice.lines_of([cell_of("heart", "a", reached, hits)]) if found.rule == "always coral"
    ]
    # By the first half source-only is best, with 0.4 on the second; by the second coral, with 0.4 on the first.
    assert line.honest[0] == pytest.approx(100 * (0.4 - 0.6))
    assert line.regret[0] == pytest.approx(100 * (0.65 - 0.6))


def test_three_oracles_differ_where_the_best_method_changes_from_draw_to_draw():
    hits = {"source-only": "0000", "pooled": "0001", "coral": "0011"}
    draws = [(0.6, 0.5, 0.3), (0.6, 0.2, 0.8), (0.6, 0.5, 0.5)]
    cells = [cell_of("heart", "a", dict(zip(hits, of, strict=True)), hits, 0, draw=k) for k, of in enumerate(draws)]
    lines = {line.rule: line for line in choice.lines_of(cells)}
    line = lines["always coral"]
    assert (line.cases, line.draws) == (1, 3)
    # The method of the case is source-only, with 0.6 on average; coral has 0.533.
    assert line.regret[0] == pytest.approx(100 * (0.6 - 1.6 / 3))
    assert line.of_data == pytest.approx({"heart": line.regret[0]})
    # The best of each draw have 0.6, 0.8 and 0.6.
    assert line.of_draw[0] == pytest.approx(100 * (2.0 - 1.6) / 3)
    # By the other two draws it is coral in the first, with 0.3, and source-only after.
    assert line.honest[0] == pytest.approx(100 * (1.5 - 1.6) / 3)
    assert lines["always source-only"].regret[0] == pytest.approx(0.0)
    assert lines["always source-only"].over_single[0] == pytest.approx(0.0)


def test_draws_count_once_a_case_and_a_rule_must_have_chosen_in_all():
    hits = {"source-only": "0000", "coral": "0011"}
    one = [cell_of("heart", "a", {"source-only": 0.6, "coral": 0.4}, hits, 0, draw=k) for k in range(3)]
    other = [cell_of("wine", "b", {"source-only": 0.5, "coral": 0.9}, hits, 0)]
    lines = {line.rule: line for line in choice.lines_of([*one, *other])}
    assert lines["always source-only"].regret[0] == pytest.approx((0.0 + 40.0) / 2)
    assert lines["always coral"].regret[0] == pytest.approx((20.0 + 0.0) / 2)
    assert lines["always coral"].draws == 1
    missing = [*one[:2], cell_of("heart", "a", {"source-only": 0.6}, {"source-only": "0000"}, 0, draw=2)]
    assert "always coral" not in {line.rule for line in choice.lines_of(missing)}


def test_sets_kept_apart_are_told_in_a_table_of_their_own(quick, monkeypatch):
    def others(folder):
        one, other = made_up(seed=5)
        yield Pair("apart", one, other)

    monkeypatch.setattr(choice, "APART", {"apart": (others, "apart.csv")})
    (quick.data / "apart.csv").touch()
    shown = []
    figures = choice.measure(quick, shown.append)
    assert [found.title.split(":")[0] for found in shown] == [
        "0 labels",
        "3 labels",
        "0 labels, kept apart",
        "3 labels, kept apart",
    ]
    assert {line["cases"] for line in figures["3 labels"]} == {2}
    assert {line["cases"] for line in figures["3 labels, kept apart"]} == {1}
    assert set(figures["data"]) == {"heart", "apart"}


def test_sets_kept_apart_are_read(tmp_path):
    rng = np.random.default_rng(0)
    table = [f"{'ep'[k % 2]},{rng.choice(list('xyz'))},{'et'[k // 2 % 2]}" for k in range(40)]
    (tmp_path / "mushroom.csv").write_text("class,a1,stalk_shape\n" + "\n".join(table) + "\n")
    one, other = apart.mushrooms(tmp_path)
    assert (one.name, other.name) == ("e -> t", "t -> e")
    assert one.tables
    assert list(one.source.X.columns) == ["a1"]
    (tmp_path / "sst2").mkdir()
    (tmp_path / "amazon_reviews").mkdir()
    texts = "text,label\n" + "".join(f"a {'good' if k % 2 else 'bad'} thing,{k % 2}\n" for k in range(8))
    for place in ("sst2/train", *(f"amazon_reviews/{name}" for name in REVIEWS)):
        (tmp_path / f"{place}.csv").write_text(texts)
    pairs = list(apart.films(tmp_path))
    assert [pair.name for pair in pairs] == [f"{name} -> films" for name in REVIEWS]
    # One letter is no word.
    assert pairs[0].source.X.shape == pairs[0].target.X.shape == (8, 3)


def test_standing_is_never_of_the_data_set_that_is_chosen_in():
    hits = {"target-only": "1111", "source-only": "0000"}
    mine = cell_of("office-surf", "a -> b", {"target-only": 0.9, "source-only": 0.1}, hits)
    twin = cell_of("office-backbone", "a -> b", {"target-only": 0.9, "source-only": 0.1}, hits)
    other = cell_of("heart", "c -> d", {"target-only": 0.4, "source-only": 0.6}, hits)
    assert choice.standing_elsewhere(mine, [mine, twin]).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(choice.standing_elsewhere(mine, [mine, twin, other]), [-0.1, 0.1])


def test_harm_is_done_to_labels_or_columns_and_never_to_the_rest():
    source = made_up(classes=3)[0]
    rng = np.random.default_rng(0)
    dealt = guard.permuted(source, rng)
    assert sorted(dealt.labels) == sorted(source.labels)
    assert (dealt.labels == source.labels).mean() < 0.6
    ruled = guard.another_rule(source, rng)
    assert not (ruled.labels == source.labels).any()
    assert len(set(zip(source.labels.tolist(), ruled.labels.tolist(), strict=True))) == 3
    moved = guard.far_away(source, rng)
    assert sorted(moved.X[0]) == sorted(source.X[0])
    assert moved.labels.tolist() == source.labels.tolist()
    for harmed in (dealt, ruled):
        assert harmed.X is source.X


def test_a_cell_gives_back_the_trial_that_a_run_decides_by(quick):
    pair = next(pairs(None))
    case = with_rows(pair, by_class(pair.target, 10, 0), 20, 0)
    cell = guard.measured(case, guard.AS_IT_COMES, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner = make_learner("auto", "classification", 0)
        found, _ = shortlist(None, learner, case.source, case.target, case.plan, 0)
        trial = try_all(found, case.target, METRICS["accuracy"], folds=5, repeats=guard.REPEATS)
    assert cell.trial.names == trial.names
    np.testing.assert_array_equal(cell.trial.utilities, trial.utilities)
    assert cell.trial.gain_of_choice() == trial.gain_of_choice()


def test_what_a_guard_delivers_is_compared_with_target_only():
    rows = ["1" * 20, "0" * 20]
    folds = ["01234" * 4] * 2
    good, bad = [rows[0]] * 2, [rows[1]] * 2
    reached = {"target-only": 0.5, "coral": 0.6}, {"target-only": 0.5, "coral": 0.4}
    helps = guard.Cell("d", "p", guard.AS_IT_COMES, 0, 20, 9, reached[0], {"target-only": bad, "coral": good}, folds)
    hurts = guard.Cell("d", "q", "far domain", 0, 20, 9, reached[1], {"target-only": good, "coral": bad}, folds)
    assert [helps.change(name) for name in ("strict", "warn", "off")] == pytest.approx([10, 10, 10])
    assert [hurts.change(name) for name in ("strict", "warn", "off")] == pytest.approx([0, 0, -10])
    line = guard.line_of("off", "all", [helps, hurts])
    assert (line.n, line.change[0], line.much_worse, line.transfers) == (2, pytest.approx(0.0), 0.5, 2)
    strict = guard.line_of("strict", "all", [helps, hurts])
    assert (strict.much_worse, strict.helping, strict.delivered_of_helping) == (0.0, 1, 1)


def test_the_guard_is_measured_once_and_told_in_a_table(quick):
    shown, said = [], []
    figures = guard.measure(replace(quick, say=said.append), shown.append)
    # One pair comes as it is and harmed in three ways, the other as it is.
    assert len(said) == 4 + 1
    guard.measure(replace(quick, say=said.append), shown.append)
    assert len(said) == 5
    assert {line["guard"] for line in figures["lines"]} == {*guard.GUARDS, "always pooled"}
    assert len(shown) == 2
