"""SER and STRUT on trees worked out by hand, against a recursive SER and brute force, and on known shifts; forests."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier

from headstart import Domain, Transfer
from headstart.checks import check_method
from headstart.delivery import Plan
from headstart.errors import InputError, NeedsError
from headstart.method import carry_and_learn, learn_and_extract
from headstart.models.transfer_forest import TransferForest
from headstart.models.transfer_tree import TransferTree, best_threshold, ser, strut
from headstart.models.trees import Growing, Tree, as_tree, labelled_rows
from headstart.parcel import pack, read_parcel, unpack

GROWING = Growing(max_depth=None, min_samples_leaf=1, max_features=None)
CLASSIFIER = LogisticRegression()
MADE = {"TransferTree": TransferTree, "TransferForest": TransferForest}


def stump(threshold, left, right, root=(0.5, 0.5)):
    """Return a tree of one column and one split, with shares of two classes at its nodes."""
    return Tree(
        np.array([1, -1, -1]),
        np.array([2, -1, -1]),
        np.zeros(3, int),
        np.array([threshold, 0.0, 0.0]),
        np.array([root, left, right], dtype=float),
    )


def target(x, y, task="classification", weight=None):
    X = np.asarray(x, dtype=float)
    domain = Domain(X[:, None] if X.ndim == 1 else X, np.asarray(y), task=task, weight=weight)
    return labelled_rows(domain, None if task == "regression" else np.arange(2), "test")


def refined(tree, labelled, growing=GROWING):
    return ser(tree, labelled, growing, np.random.default_rng(0))


def leaves(tree):
    return tree.value[tree.left == -1].tolist()


def three_classes(n=120, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(n, d)), 2)
    y = np.where(X[:, 0] + 0.5 * rng.normal(size=n) < 0, 0, np.where(X[:, 1] + 0.5 * rng.normal(size=n) < 0, 1, 2))
    return X, y


def domains(Xs, ys, Xt, yt, **kind):
    return Domain(Xs, ys, name="source", **kind), Domain(Xt, yt, name="target", **kind)


def tree_of(method, source, learner=CLASSIFIER):
    return method.learn_source(source, learner)[0]


# SER, by hand


def test_ser_expands_a_leaf_that_the_target_splits():
    # Left of 0 the source says class 0; the target has class 1 there too, above -1.5. On the right they agree.
    grown = refined(stump(0.0, (1, 0), (0, 1)), target([-2, -1, 1, 2], [0, 1, 1, 1]))
    assert grown.left.tolist() == [1, 2, -1, -1, -1]
    assert grown.right.tolist() == [4, 3, -1, -1, -1]
    assert grown.threshold[:2].tolist() == [0.0, -1.5]
    assert leaves(grown) == [[1, 0], [0, 1], [0, 1]]


def test_ser_reduces_a_split_that_the_target_does_not_need():
    grown = refined(stump(0.0, (1, 0), (0, 1)), target([-2, -1, 1, 2], [1, 1, 1, 1]))
    assert len(grown.left) == 1
    assert grown.value.tolist() == [[0, 1]]


def test_ser_relabels_leaves_by_the_target():
    grown = refined(stump(0.0, (1, 0), (0, 1)), target([-2, -1, 1, 2], [1, 1, 0, 0]))
    assert grown.threshold[0] == 0.0
    assert leaves(grown) == [[0, 1], [1, 0]]


def test_where_no_target_row_comes_ser_leaves_one_leaf_with_the_shares_of_the_source():
    # Right of 0 the source splits at 5; no target row is there: errors are 0 and 0, and the split goes.
    tree = Tree(
        np.array([1, -1, 3, -1, -1]),
        np.array([2, -1, 4, -1, -1]),
        np.zeros(5, int),
        np.array([0.0, 0, 5, 0, 0]),
        np.array([[0.5, 0.5], [1, 0], [0.25, 0.75], [1, 0], [0, 1]]),
    )
    grown = refined(tree, target([-3, -2, -1], [0, 1, 1]))
    assert leaves(grown) == [[1, 0], [0, 1], [0.25, 0.75]]
    assert grown.values(np.array([[4.0], [6.0]], np.float32)).tolist() == [[0.25, 0.75], [0.25, 0.75]]


def test_ser_counts_weights():
    # Left of 0 two classes at the same place: the heavier row decides, and the root keeps its split because of it.
    grown = refined(stump(0.0, (1, 0), (0, 1)), target([-1, -1, 1], [0, 1, 1], weight=np.array([3.0, 1.0, 1.0])))
    assert leaves(grown) == [[0.75, 0.25], [0, 1]]
    light = refined(stump(0.0, (1, 0), (0, 1)), target([-1, -1, 1], [0, 1, 1], weight=np.array([1.0, 3.0, 1.0])))
    np.testing.assert_allclose(light.value, [[0.2, 0.8]])


def test_ser_for_regression_expands_and_reduces_by_squared_errors():
    tree = Tree(
        np.array([1, -1, -1]),
        np.array([2, -1, -1]),
        np.zeros(3, int),
        np.array([0.0, 0, 0]),
        np.array([[1.5], [1.0], [2.0]]),
    )
    grown = refined(tree, target([-2, -1, 1, 2], [7.0, 9.0, 4.0, 4.0], task="regression"))
    assert grown.threshold[:2].tolist() == [0.0, -1.5]
    assert leaves(grown) == [[7], [9], [4]]
    flat = refined(tree, target([-2, -1, 1, 2], [0.1, 0.1, 0.1, 0.1], task="regression"))
    assert len(flat.left) == 1


# SER against a recursive one


def recursive_ser(tree, node, x, y, depth):
    """Return (predicting function, error) of SER at a node of a tree over one column, by the definition."""
    shares = np.bincount(y, minlength=2)
    if not len(y):
        return lambda v: tree.value[node].argmax(), 0
    majority = shares.argmax()
    as_leaf = len(y) - shares.max()
    if tree.left[node] == -1:
        inner = DecisionTreeClassifier(criterion="entropy", max_depth=depth).fit(x[:, None], y)
        tree, node = as_tree(inner, 2), 0
        return recursive_reduction(tree, 0, x, y)
    cut = tree.threshold[node]
    left, right = x <= cut, x > cut
    f, f_error = recursive_ser(tree, tree.left[node], x[left], y[left], depth)
    g, g_error = recursive_ser(tree, tree.right[node], x[right], y[right], depth)
    if as_leaf <= f_error + g_error:
        return lambda v: majority, as_leaf
    return lambda v: f(v) if v <= cut else g(v), f_error + g_error


def recursive_reduction(tree, node, x, y):
    shares = np.bincount(y, minlength=2)
    as_leaf, majority = len(y) - shares.max(), shares.argmax()
    if tree.left[node] == -1:
        return lambda v: majority, as_leaf
    cut = tree.threshold[node]
    left, right = x <= cut, x > cut
    f, f_error = recursive_reduction(tree, tree.left[node], x[left], y[left])
    g, g_error = recursive_reduction(tree, tree.right[node], x[right], y[right])
    if as_leaf <= f_error + g_error:
        return lambda v: majority, as_leaf
    return lambda v: f(v) if v <= cut else g(v), f_error + g_error


@pytest.mark.parametrize("depth", [1, 2, None])
@pytest.mark.parametrize("seed", range(6))
def test_ser_equals_a_recursive_one(seed, depth):
    rng = np.random.default_rng(seed)
    xs, xt = rng.integers(0, 30, size=60).astype(float), rng.integers(-5, 25, size=40).astype(float)
    ys, yt = ((x // 7 % 2 == 0) ^ (rng.random(len(x)) < 0.2) for x in (xs, xt))
    source = DecisionTreeClassifier(criterion="entropy", max_depth=4).fit(xs[:, None], ys.astype(int))
    tree = as_tree(source, 2)
    grown = refined(tree, target(xt, yt.astype(int)), Growing(depth, 1, None))
    predict, _ = recursive_ser(tree, 0, xt, yt.astype(int), depth)
    grid = np.arange(-6.0, 32.0, 0.25)
    np.testing.assert_array_equal(grown.values(grid[:, None].astype(np.float32)).argmax(1), [predict(v) for v in grid])


# STRUT


def test_strut_finds_a_moved_threshold():
    moved = strut(stump(0.0, (1, 0), (0, 1)), target([6, 7, 8, 9], [0, 0, 0, 1]))
    assert moved.threshold[0] == 8.5
    assert leaves(moved) == [[1, 0], [0, 1]]


def test_strut_swaps_the_children_where_the_target_is_inverted():
    moved = strut(stump(0.0, (1, 0), (0, 1)), target([-2, -1, 1, 2], [1, 1, 0, 0]))
    assert leaves(moved) == [[0, 1], [1, 0]]
    tree = Tree(
        np.array([1, -1, 3, -1, -1]),
        np.array([2, -1, 4, -1, -1]),
        np.array([0, 0, 1, 0, 0]),
        np.array([0.0, 0, 0, 0, 0]),
        np.array([[0.7, 0.3], [1, 0], [0.5, 0.5], [1, 0], [0, 1]]),
    )
    # In the source the mixed half is right of 0 in column 0; in the target it is left: its split comes along.
    inverted = strut(tree, target([[-1, -3], [-2, -3], [-1, 3], [-2, 3], [1, 0], [2, 0]], [0, 0, 1, 1, 0, 0]))
    assert inverted.feature[inverted.left != -1].tolist() == [0, 1]
    assert inverted.left[0] == 1
    assert inverted.left[1] == 2
    assert leaves(inverted) == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_strut_on_the_sources_own_rows_moved_gives_the_sources_tree_moved(seed):
    X, y = three_classes(seed=seed)
    shift = np.array([8.0, -4.0, 16.0])
    source, moved = domains(X, y, X + shift, y)
    (tree,) = tree_of(TransferTree("strut"), source)
    new = strut(tree, labelled_rows(moved, np.arange(3), "test"))
    np.testing.assert_array_equal(new.feature, tree.feature)
    inner = tree.left != -1
    np.testing.assert_allclose((new.threshold - tree.threshold)[inner], shift[tree.feature[inner]], atol=1e-5)
    np.testing.assert_allclose(new.value, tree.value, atol=1e-12)


@pytest.mark.parametrize(
    "change", [lambda X: np.exp(2 * X), lambda X: -X, lambda X: np.column_stack([X[:, 0], -X[:, 1:]])]
)
def test_strut_undoes_any_monotone_change_of_a_column(change):
    X, y = three_classes()
    source, changed = domains(X, y, change(X), y)
    (tree,) = tree_of(TransferTree("strut"), source)
    new = strut(tree, labelled_rows(changed, np.arange(3), "test"))
    np.testing.assert_array_equal(new.values(np.float32(change(X))).argmax(1), y)
    assert len(new.left) <= len(tree.left)


@pytest.mark.parametrize("seed", range(8))
def test_the_threshold_has_the_largest_divergence_gain_among_the_peaks_of_information(seed):
    rng = np.random.default_rng(seed)
    n, k = 25, 3
    x = rng.integers(0, 12, size=n).astype(float)
    y, weight = rng.integers(0, k, size=n), rng.uniform(0.5, 2, size=n)
    S_l, S_r = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(k))
    cuts = (np.unique(x)[1:] + np.unique(x)[:-1]) / 2
    gains = {}
    information = [0.0]
    for cut in cuts:
        parts = [np.bincount(y[at], weight[at], minlength=k) for at in (x <= cut, x > cut)]
        p = [part.sum() / weight.sum() for part in parts]
        whole = entropy(sum(parts), base=2)
        information.append(whole - sum(share * entropy(part, base=2) for share, part in zip(p, parts, strict=True)))
        for swaps, S in ((False, (S_l, S_r)), (True, (S_r, S_l))):
            apart = [jensenshannon(part / part.sum(), s, base=2) ** 2 for part, s in zip(parts, S, strict=True)]
            gains[cut, swaps] = 1 - p[0] * apart[0] - p[1] * apart[1]
    information.append(0.0)
    peaks = [c for i, c in enumerate(cuts, 1) if information[i] >= max(information[i - 1], information[i + 1]) - 1e-12]
    best = max((key for key in gains if key[0] in peaks), key=gains.get)
    assert best_threshold(x, np.eye(k)[y], weight, S_l, S_r) == best


def test_strut_makes_leaves_where_there_is_no_threshold_to_choose():
    tree = stump(0.0, (1, 0), (0, 1))
    for x, y in (([3], [1]), ([3, 4, 5], [1, 1, 1]), ([3, 3, 3], [0, 1, 1])):
        leaf = strut(tree, target(x, y))
        assert len(leaf.left) == 1
        np.testing.assert_allclose(leaf.value[0, 1], np.mean(y))


# Both, as methods


def test_the_sources_tree_is_scikit_learns():
    X, y = three_classes()
    (tree,) = tree_of(TransferTree(), Domain(X, y))
    learner = DecisionTreeClassifier(criterion="entropy", random_state=0).fit(X, y)
    rows = np.random.default_rng(1).normal(size=(500, 3))
    assert len(tree.left) == learner.tree_.node_count
    assert (tree.values(np.float32(rows)).argmax(1) == learner.predict(rows)).mean() > 0.97
    np.testing.assert_array_equal(tree.values(np.float32(X)), learner.predict_proba(X))


@pytest.mark.parametrize("algorithm", ["ser", "strut"])
def test_a_class_that_only_the_target_knows_is_learned(algorithm):
    X, y = three_classes()
    names = np.array(["a", "b", "c"])[y]
    known = y < 2
    X, y = np.vstack([X[known], X]), np.append(names[known], names)
    domain = np.repeat(["source", "target"], [known.sum(), len(names)])
    fitted = Transfer(TransferTree(algorithm), CLASSIFIER).fit(X, y, domain=domain)
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    assert "c" in fitted.predict(X)
    forest = Transfer(TransferForest(algorithm, n_estimators=3), CLASSIFIER).fit(X, y, domain=domain)
    assert "c" in forest.predict(X)


def test_the_learner_says_only_whether_classes_are_predicted():
    X, y = three_classes()
    domain = np.repeat(["source", "target"], 60)
    answers = [
        Transfer(TransferTree(), learner).fit(X, y, domain=domain).predict(X)
        for learner in (LogisticRegression(C=1e-5), DecisionTreeClassifier(max_depth=1))
    ]
    np.testing.assert_array_equal(*answers)


def test_mix_is_half_ser_and_half_strut():
    X, y = three_classes()
    source, moved = domains(X[:80], y[:80], X[80:] + 1, y[80:])
    grown = {}
    for algorithm in ("ser", "strut", "mix"):
        method = TransferForest(algorithm, n_estimators=5)
        knowledge, _ = learn_and_extract(method, source, CLASSIFIER)
        grown[algorithm] = carry_and_learn(method, knowledge, moved, CLASSIFIER)[0]
    rows = np.random.default_rng(0).normal(size=(50, 3))
    halves = [*grown["ser"].trees[:3], *grown["strut"].trees[3:]]
    for mine, theirs in zip(grown["mix"].trees, halves, strict=True):
        np.testing.assert_array_equal(mine.threshold, theirs.threshold)
    mean = np.mean([tree.values(np.float32(rows)) for tree in halves], axis=0)
    np.testing.assert_allclose(grown["mix"].predict_proba(rows), mean)


def test_a_forests_trees_differ_and_a_seed_repeats_them():
    X, y = three_classes()
    source = Domain(X, y)
    first, again, other = (
        tree_of(TransferForest(n_estimators=3, random_state=seed), source, CLASSIFIER) for seed in (1, 1, 2)
    )
    assert not np.array_equal(first[0].threshold, first[1].threshold)
    np.testing.assert_array_equal(first[2].threshold, again[2].threshold)
    assert not np.array_equal(first[0].threshold, other[0].threshold)


def test_a_forest_for_regression_averages_its_trees():
    X, _ = three_classes()
    y = X[:, 0] + 0.1 * X[:, 1]
    domain = np.repeat(["source", "target"], 60)
    fitted = Transfer(TransferForest(n_estimators=4), Ridge()).fit(X, y, domain=domain)
    mean = np.mean([tree.values(np.float32(X))[:, 0] for tree in fitted.predictor_.trees], axis=0)
    np.testing.assert_allclose(fitted.predict(X), mean)


@pytest.mark.parametrize(
    "method",
    [
        TransferTree(),
        TransferTree("strut"),
        TransferTree(max_depth=2, min_samples_leaf=3),
        TransferForest(n_estimators=3),
        TransferForest("strut", n_estimators=3),
        TransferForest("mix", n_estimators=3),
    ],
    ids=repr,
)
def test_the_common_checks_pass(method):
    check_method(method)


def test_knowledge_travels_in_a_file_without_source_rows(tmp_path, monkeypatch):
    X, y = three_classes()
    source, moved = domains(X[:80], np.array(["a", "b", "c"])[y[:80]], X[80:], np.array(["a", "b", "c"])[y[80:]])
    module = "headstart.models.trees."
    trusted = {module + name for name in ("Tree", "TreesClassifier", "TreesRegressor")}
    from headstart.store import parts

    monkeypatch.setattr(parts, "TRUSTED", parts.TRUSTED | trusted)
    for method in (TransferTree(), TransferForest("mix", n_estimators=4)):
        plan = Plan("classification")
        parcel = pack(method, CLASSIFIER, source, plan)
        assert not parcel.holds_row_of(source)
        path = tmp_path / f"{type(method).__name__}.knowledge"
        parcel.save(path)
        made = read_parcel(path, lambda name, parameters: MADE[name](**parameters))
        here, there = unpack(parcel, moved, plan)[0], unpack(made, moved, plan)[0]
        np.testing.assert_array_equal(here.predict_proba(X), there.predict_proba(X))
        there.save(tmp_path / type(method).__name__, check_on=X)


def test_what_suits_no_tree_is_refused_in_one_line():
    X, y = three_classes()
    domain = np.repeat(["source", "target"], 60)
    with pytest.raises(InputError, match="must be one of ser, strut, not 'mix'"):
        Transfer(TransferTree("mix"), CLASSIFIER).fit(X, y, domain=domain)
    with pytest.raises(InputError, match="is not for regression"):
        Transfer(TransferTree("strut"), Ridge()).fit(X, X[:, 0], domain=domain)
    with pytest.raises(InputError, match="take algorithm='ser'"):
        TransferForest("mix").learn_source(Domain(X, X[:, 0], task="regression"), Ridge())
    with pytest.raises(InputError, match="1 trees are too few for 'mix'"):
        Transfer(TransferForest("mix", n_estimators=1), CLASSIFIER).fit(X, y, domain=domain)
    with pytest.raises(InputError, match="too large for trees"):
        Transfer(TransferTree(), CLASSIFIER).fit(X * 1e300, y, domain=domain)
    with pytest.raises(NeedsError, match="weight above zero"):
        labelled_rows(Domain(X, y, weight=np.zeros(len(X))), np.arange(3), "test")


def test_rows_beyond_float32_are_predicted_at_the_edge():
    X, y = three_classes()
    fitted = Transfer(TransferTree(), CLASSIFIER).fit(X, y, domain=np.repeat(["source", "target"], 60))
    with np.errstate(all="raise"):
        far = fitted.predict(np.full((1, 3), 1e300))
    np.testing.assert_array_equal(far, fitted.predict(np.full((1, 3), 1e30)))
