"""Source and target with other columns: what can work between them, how it is said, and what is delivered."""

import json
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge

import headstart
from headstart import Domain, Transfer, catalogue
from headstart.catalogue import Entry
from headstart.choose import shortlist
from headstart.cli import run_command
from headstart.delivery import Plan
from headstart.domain import missing
from headstart.errors import InputError, NeedsError, StoreError
from headstart.evidence import measure_shift
from headstart.features import CORAL, DirectStandardization
from headstart.features.base import FeatureMethod
from headstart.mapping import AffineMap
from headstart.method import Needs, unmet_needs
from headstart.parcel import read_parcel

QUICK = {"repeats": 2, "curve_draws": 0}
PAIRED = "direct-standardization"


class ClassDirection(FeatureMethod):
    """Map each domain on the line through its two class means, which is all that the domains share.

    With `sign=-1` the target's line points backwards, so that every row is taken for one of the other class.
    """

    needs: ClassVar[Needs] = Needs(
        target_labels=True, same_features=False, dense=True, learner="any", tasks=("classification",)
    )

    def __init__(self, sign=1.0, target_weight=0.0):
        self.sign = sign
        self.target_weight = target_weight

    def align(self, Xs, Xt, ys=None, yt=None):
        return class_line(Xs, ys, 1.0), class_line(Xt, yt, self.sign)


def class_line(X, y, sign):
    known = ~missing(y)
    low, high = (X[known][y[known] == label].mean(axis=0) for label in np.unique(y[known]))
    step = (high - low)[:, None]
    return AffineMap((low + high) / 2, sign * step / (step**2).sum(), np.zeros(1))


@pytest.fixture
def with_class_direction(monkeypatch):
    """The catalogue with the method above in it."""
    entry = Entry("class-direction", "ClassDirection", __name__)
    monkeypatch.setattr(catalogue, "ENTRIES", (*catalogue.ENTRIES, entry))


def two_instruments(n=150, n_target=50, n_labelled=16, seed=0):
    """Samples of twelve substances seen through 14 channels, and the first of them through 20 others; no shared name.

    Both tables have more than numbers in them. Returns source, target and 400 more samples as the target sees them.
    """
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(n + 400, 12))
    y = content @ rng.normal(size=12)
    here, there = content @ rng.normal(size=(12, 14)), 50 + 9 * content @ rng.normal(size=(12, 20))
    source = pd.DataFrame(here, columns=[f"a{j}" for j in range(14)])
    source["site"] = np.where(np.arange(len(y)) % 2, "Ulm", "Bonn")
    target = pd.DataFrame(there, columns=[f"b{j}" for j in range(20)])
    target["seen"] = "2024-05-01"
    names = np.array([f"s{i}" for i in range(len(y))])
    return (
        Domain(source[:n], y[:n], "source", label="y", pair=names[:n]),
        Domain(
            target[:n_target],
            np.where(np.arange(n_target) < n_labelled, y[:n_target], np.nan),
            "target",
            task="regression",
            label="y",
            pair=names[:n_target],
        ),
        Domain(target[n:].reset_index(drop=True), y[n:], "test", task="regression", pair=names[n:]),
    )


def two_languages(n=200, n_target=60, seed=0):
    """Two classes, told apart by three columns here and by five others there."""
    rng = np.random.default_rng(seed)
    ys, yt = rng.integers(0, 2, n), rng.integers(0, 2, n_target)
    Xs = rng.normal(size=(n, 3)) + 2 * ys[:, None]
    Xt = rng.normal(size=(n_target, 5)) + 1.5 * yt[:, None]
    names = np.array(["no", "yes"], dtype=object)
    return Domain(Xs, names[ys], "source"), Domain(Xt, names[yt], "target")


def test_fit_domains_is_fit_where_the_columns_are_the_same(helpful):
    source, target, test = helpful
    X, y = np.vstack([source.X, target.X]), np.append(source.y, target.y)
    domain = np.repeat(["source", "target"], [len(source), len(target)])
    weight = np.tile([1.0, 0.0, 2.0], len(X))[: len(X)]
    by_rows = Transfer(CORAL(), LogisticRegression()).fit(X, y, domain=domain, sample_weight=weight)
    by_domains = Transfer(CORAL(), LogisticRegression()).fit_domains(
        Domain(source.X, source.y, "here", weight=weight[: len(source)]),
        Domain(target.X, target.y, "there", weight=weight[len(source) :]),
    )
    np.testing.assert_array_equal(by_rows.predict_proba(test.X), by_domains.predict_proba(test.X))
    kept = weight > 0
    here, there = source.rows(kept[: len(source)]), target.rows(kept[len(source) :])
    without = Transfer(CORAL(), LogisticRegression()).fit_domains(
        replace(here, weight=weight[: len(source)][kept[: len(source)]]),
        replace(there, weight=weight[len(source) :][kept[len(source) :]]),
    )
    np.testing.assert_array_equal(without.predict_proba(test.X), by_domains.predict_proba(test.X))


def test_tables_with_the_same_names_in_another_order_have_the_same_columns(helpful):
    source, target, test = helpful
    names = [f"c{i}" for i in range(10)]
    mixed = np.random.default_rng(0).permutation(names)
    tables = Domain(pd.DataFrame(source.X, columns=names)[mixed], source.y, "source")
    fitted = Transfer(CORAL(), LogisticRegression()).fit_domains(
        tables, Domain(pd.DataFrame(target.X, columns=names), target.y)
    )
    plain = Transfer(CORAL(), LogisticRegression()).fit_domains(source, target)
    np.testing.assert_allclose(fitted.predict_proba(test.X), plain.predict_proba(test.X), atol=1e-12)


def test_fit_domains_learns_between_other_columns_as_the_method_does_by_hand():
    source, target, test = two_instruments()
    here, there, new = (domain.X.select_dtypes("number").to_numpy() for domain in (source, target, test))
    fitted = Transfer(DirectStandardization(), Ridge(1e-3)).fit_domains(
        Domain(here, source.y, "a", pair=source.pair), Domain(there, name="b", pair=target.pair)
    )
    alone = DirectStandardization().fit(here[:50], there)
    by_hand = Ridge(1e-3).fit(here, source.y).predict(alone.transform(new))
    np.testing.assert_allclose(fitted.predict(new), by_hand, atol=1e-6)
    assert fitted.n_features_in_ == 20
    assert fitted.score(new, test.y) > 0.99
    with pytest.raises(InputError, match=r"rows have 14 columns; the model was fitted on 20"):
        fitted.predict(here)


def test_fit_domains_refuses_what_can_not_work_in_one_line():
    source, target = two_languages()
    with pytest.raises(NeedsError, match=r"^CORAL needs source and target rows with the same columns$"):
        Transfer(CORAL(), LogisticRegression()).fit_domains(source, target)
    with pytest.raises(InputError, match="takes two domains, not ndarray"):
        Transfer(CORAL(), LogisticRegression()).fit_domains(source.X, target)
    named = [
        Domain(pd.DataFrame(domain.X[:, :3], columns=list(names)), domain.y, names)
        for domain, names in ((source, "abc"), (target, "abd"))
    ]
    with pytest.raises(NeedsError, match="same columns"):
        Transfer(CORAL(), LogisticRegression()).fit_domains(*named)
    with pytest.raises(InputError, match=r"^empty: Found array with 0 sample"):
        Transfer(ClassDirection(), LogisticRegression()).fit_domains(Domain(np.empty((0, 3)), [], "empty"), target)
    with pytest.raises(NeedsError, match="ClassDirection takes no sparse rows"):
        Transfer(ClassDirection(), LogisticRegression()).fit_domains(
            Domain(csr_matrix(source.X), source.y, "sparse"), target
        )


def test_a_method_says_that_it_needs_the_same_columns_only_where_it_takes_something_from_the_source():
    learner = LogisticRegression()
    assert unmet_needs(CORAL(), learner, different=True) == "needs source and target rows with the same columns"
    assert unmet_needs(CORAL(), learner) is None
    assert unmet_needs(ClassDirection(), learner, different=True) is None
    assert unmet_needs(catalogue.make("target-only"), learner, different=True) is None


def test_a_source_with_other_columns_is_shown_to_help(tmp_path):
    source, target, test = two_instruments()
    result = headstart.run(source, target, test=test, methods=[PAIRED, "baseline"], **QUICK)
    assert (result.verdict, result.choice, result.decision.delivered) == ("helps", PAIRED, PAIRED)
    assert {line.name for line in result.tried} == {"target-only", PAIRED}
    reason = "needs source and target rows with the same columns"
    assert {result.left_out[name] for name in ("source-only", "pooled")} == {reason}
    assert result.shift is None
    assert result.notes[0].startswith("target and source share no columns, so each keeps its own")
    assert result.settings["spaces"] == "different"
    # The delivered model reads target rows by a vectoriser that has seen no other rows.
    scaler = result.model.vectorizer.numbers.named_steps["standardscaler"]
    np.testing.assert_allclose(scaler.mean_[:20], target.X.iloc[:, :20].mean())
    page = (result.save(tmp_path / "out") / "report.html").read_text()
    assert "there is no shift to measure between them" in page
    assert "21 columns in the target" in page
    document = json.loads((tmp_path / "out/result.json").read_text())
    assert (document["shift"], document["model"]["spaces"]) == (None, "different")
    loaded = headstart.load(tmp_path / "out/model")
    np.testing.assert_array_equal(loaded.predict(test.X), result.model.predict(test.X))
    np.testing.assert_array_equal(loaded.predict_source(source.X), result.model.predict_source(source.X))
    assert np.corrcoef(loaded.predict_source(source.X), source.y)[0, 1] > 0.99
    with pytest.raises(InputError, match="no column 'a0'"):
        loaded.predict_source(target.X)


def test_the_guard_delivers_target_only_where_a_source_with_other_columns_hurts(with_class_direction):
    source, target = two_languages()
    result = headstart.run(source, target, methods=[ClassDirection(sign=-1.0)], **QUICK)
    assert (result.verdict, result.decision.delivered) == ("hurts", "target-only")
    learner = LogisticRegression(max_iter=2000)
    Z = (target.X - target.X.mean(axis=0)) / target.X.std(axis=0)
    np.testing.assert_array_equal(result.model.predict(target.X), learner.fit(Z, target.labels).predict(Z))
    with pytest.raises(NeedsError, match="TargetOnly reads target rows only; the source's have other columns"):
        result.model.predict_source(source.X)


def test_what_is_tried_between_other_columns_when_nothing_is_named(with_class_direction):
    source, target = two_languages()
    result = headstart.run(source, target, guard="off", **QUICK)
    assert {"target-only", "class-direction"} <= {line.name for line in result.tried}
    standard = set(catalogue.standard_names(different=True))
    assert {*(line.name for line in result.tried), *result.left_out} == standard
    assert standard >= {"target-only", "source-only", "pooled", PAIRED, "class-direction"}
    assert not standard & {"coral", "kmm", "regular-transfer"}
    assert "--pair" in result.left_out[PAIRED]
    assert result.gain.transfer > 0.8


def test_a_family_leaves_out_the_methods_that_need_the_same_columns(with_class_direction):
    source, target = two_languages()
    result = headstart.run(source, target, methods=["feature-based"], **QUICK)
    assert "class-direction" in {line.name for line in result.tried}
    assert result.left_out["coral"] == "needs source and target rows with the same columns"


def test_equal_widths_may_be_other_columns_all_the_same(with_class_direction):
    source, target = two_languages()
    narrow = Domain(target.X[:, :3], target.y, "target")
    asked = {"methods": [ClassDirection()], "repeats": 1, "curve_draws": 0}
    same = headstart.run(source, narrow, **asked)
    assert same.settings["spaces"] == "same"
    assert same.shift is not None
    apart = headstart.run(source, narrow, spaces="different", **asked)
    assert (apart.settings["spaces"], apart.shift) == ("different", None)
    assert apart.notes[0].startswith("spaces='different': each keeps its own")


def test_shared_columns_are_all_that_is_used_unless_asked_otherwise(with_class_direction):
    source, target = two_languages()
    here = Domain(pd.DataFrame(source.X, columns=["a", "b", "c"]), source.y, "source")
    there = Domain(pd.DataFrame(target.X, columns=["c", "d", "e", "f", "g"]), target.y, "target")
    asked = {"methods": [ClassDirection()], "repeats": 1, "curve_draws": 0}
    shared = headstart.run(here, there, **asked)
    assert list(shared.model.vectorizer.kinds) == ["c"]
    assert shared.notes[0] == "left out, not in every domain: 'a', 'b', 'd', 'e', 'f', 'g'"
    own = headstart.run(here, there, spaces="different", guard="off", **asked)
    assert list(own.model.vectorizer.kinds) == ["c", "d", "e", "f", "g"]
    assert list(own.model.source_vectorizer.kinds) == ["a", "b", "c"]


def test_a_table_and_an_array_are_other_columns_where_that_is_said(with_class_direction):
    source, target = two_languages()
    table = Domain(pd.DataFrame(target.X, columns=list("abcde")), target.y, "target")
    with pytest.raises(InputError, match=r"source has no column names.*--spaces"):
        headstart.run(source, table)
    result = headstart.run(source, table, spaces="different", **QUICK)
    assert result.settings["spaces"] == "different"


def test_several_sources_agree_on_columns_among_themselves(with_class_direction):
    source, target = two_languages()
    one = Domain(pd.DataFrame(source.X[:100], columns=["a", "b", "c"]), source.y[:100], "one")
    two = Domain(pd.DataFrame(source.X[100:, ::-1], columns=["c", "b", "a"]), source.y[100:], "two")
    table = Domain(pd.DataFrame(target.X, columns=list("vwxyz")), target.y, "target")
    asked = {"methods": [ClassDirection()], "guard": "off", **QUICK}
    both = headstart.run([one, two], table, **asked)
    assert [part["rows"] for part in both.domains["sources"]] == [100, 100]
    whole = Domain(pd.DataFrame(source.X, columns=["a", "b", "c"]), source.y, "whole")
    np.testing.assert_array_equal(
        both.model.predict(table.X), headstart.run(whole, table, **asked).model.predict(table.X)
    )
    strange = Domain(one.X.rename(columns=str.upper), one.y, "strange")
    with pytest.raises(InputError, match="no shared columns: strange has 'A', 'B', 'C', two has 'c', 'b', 'a'"):
        headstart.run([strange, two], table)
    with pytest.raises(InputError, match="one has 2 columns and two 3"):
        headstart.run([Domain(source.X[:, :2], source.y, "one"), Domain(source.X, source.y, "two")], target)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"methods": ["coral"]}, NeedsError, "^coral needs source and target rows with the same columns$"),
        ({"methods": [PAIRED]}, NeedsError, f"^{PAIRED} learns from paired rows; say with pair="),
        ({"spaces": "same"}, InputError, "no shared columns: source has 'a', 'b', 'c', target has 'v', 'w'"),
        ({"spaces": "diferent"}, InputError, "no spaces 'diferent'; did you mean 'different'"),
        ({"methods": ["model-based"]}, InputError, "no shared columns: .*; rename them alike, or name a method"),
    ],
)
def test_wrong_settings_between_other_columns_are_refused_in_one_line(settings, error, message):
    source, target = two_languages()
    here = Domain(pd.DataFrame(source.X, columns=list("abc")), source.y, "source")
    there = Domain(pd.DataFrame(target.X, columns=list("vwxyz")), target.y, "target")
    with pytest.raises(error, match=message) as refused:
        headstart.run(here, there, **settings)
    assert "\n" not in str(refused.value)


def test_pairs_that_never_meet_are_said_before_anything_is_tried():
    source, target, _ = two_instruments()
    strangers = Domain(target.X, target.y, "target", task="regression", pair=[f"t{i}" for i in range(50)])
    with pytest.raises(NeedsError, match="no value of pair stands in both domains"):
        headstart.run(source, strangers, methods=[PAIRED])
    plan = Plan("regression", different=True)
    _, left_out = shortlist(["feature-based"], Ridge(), source, strangers, plan)
    assert left_out[PAIRED] == "learns from paired rows, and no value of pair stands in both domains"


def test_where_no_method_can_work_the_reasons_are_told(monkeypatch):
    source, target, _ = two_instruments()
    here, there = (Domain(domain.X, domain.y, domain.name, task="regression") for domain in (source, target))
    few = [entry for entry in catalogue.ENTRIES if entry.name in ("target-only", "pooled", PAIRED)]
    monkeypatch.setattr(catalogue, "ENTRIES", few)
    with pytest.raises(InputError, match=f"rename them alike, or name .* none; {PAIRED} learns from paired .*--pair"):
        headstart.run(here, there)


def test_a_target_without_labels_gets_the_method_that_is_named():
    source, target, test = two_instruments(n_labelled=0)
    result = headstart.run(source, target, methods=[PAIRED], **QUICK)
    assert (result.verdict, result.decision.delivered) == ("cannot be proven", PAIRED)
    assert np.corrcoef(result.model.predict(test.X), test.y)[0, 1] > 0.99


def test_without_target_labels_two_methods_can_not_be_compared(with_class_direction):
    source, target = two_languages()
    few = Domain(target.X, [*target.y[:6], *[None] * 54], "target", pair=np.arange(60))
    source = Domain(source.X, source.y, "source", pair=np.arange(200))
    with pytest.raises(InputError, match=f"only 6 labelled rows.*name one of '{PAIRED}', 'class-direction'"):
        headstart.run(source, few, methods=[PAIRED, ClassDirection()])


def test_a_shift_is_measured_in_the_same_columns_only():
    source, target = two_languages()
    with pytest.raises(InputError, match="source has 3 columns and target 5; a shift is measured in the same columns"):
        measure_shift(source, target)


def test_knowledge_with_rows_travels_to_a_target_with_other_columns(tmp_path, with_class_direction):
    source, target = two_languages()
    settings = {"guard": "off", **QUICK}
    headstart.learn(source, ClassDirection(), allow_source_rows=True).save(tmp_path / "k.knowledge")
    halves = headstart.carry(tmp_path / "k.knowledge", target, **settings)
    whole = headstart.run(source, target, methods=[ClassDirection()], **settings)
    assert halves.sentence == whole.sentence
    assert "target keeps columns of its own, other than those of source" in halves.notes
    np.testing.assert_array_equal(halves.model.predict_proba(target.X), whole.model.predict_proba(target.X))
    np.testing.assert_array_equal(halves.model.predict_source(source.X), whole.model.predict_source(source.X))
    halves.save(tmp_path / "out")
    loaded = headstart.load(tmp_path / "out/model")
    np.testing.assert_array_equal(loaded.predict(target.X), whole.model.predict(target.X))


def test_pairs_labels_and_gaps_survive_the_journey_of_a_file(tmp_path):
    source, target, test = two_instruments()
    known = np.where(np.arange(150) < 140, source.y, np.nan)
    pairs = np.array([*source.pair[:-1], None], dtype=object)
    some = Domain(source.X, known, "source", task="regression", weight=np.linspace(1, 2, 150), pair=pairs)
    parcel = headstart.learn(some, PAIRED, allow_source_rows=True)
    parcel.save(tmp_path / "k.knowledge")
    again = read_parcel(tmp_path / "k.knowledge", catalogue.make)
    assert again.knowledge.arrays.keys() == parcel.knowledge.arrays.keys()
    assert again.knowledge.arrays["origin"] is None
    for name in ("X", "y", "weight", "pair"):
        np.testing.assert_array_equal(again.knowledge.arrays[name], parcel.knowledge.arrays[name])
    assert again.knowledge.holds_source_rows
    result = headstart.carry(again, target, test=test, **QUICK)
    assert (result.verdict, result.decision.delivered) == ("helps", PAIRED)


def test_rows_that_may_not_travel_or_can_not_are_refused_in_one_line(tmp_path, with_class_direction, monkeypatch):
    source, target = two_languages()
    with pytest.raises(NeedsError, match=r"ClassDirection needs the source rows at the target.*--allow-source-rows"):
        headstart.learn(source, ClassDirection())
    with pytest.raises(NeedsError, match="DirectStandardization learns from paired rows"):
        headstart.learn(source, PAIRED, allow_source_rows=True)
    with pytest.raises(InputError, match="CORAL needs the source rows at the target; methods whose"):
        headstart.learn(source, CORAL(), allow_source_rows=True)
    parcel = headstart.learn(source, "regular-transfer")
    with pytest.raises(InputError, match="target: the knowledge is about rows with 3 columns, not 5"):
        headstart.carry(parcel, target)
    with pytest.raises(NeedsError, match="RegularTransfer needs source and target rows with the same columns"):
        headstart.carry(parcel, target, spaces="different")
    odd = np.array([pd.Timestamp(day, unit="D") for day in range(200)], dtype=object)
    dated = headstart.learn(Domain(source.X, source.y, "source", pair=odd), ClassDirection(), allow_source_rows=True)
    with pytest.raises(StoreError, match=r"pair holds Timestamp.*write it as text"):
        dated.save(tmp_path / "dated.knowledge")
    monkeypatch.setattr(ClassDirection, "needs", replace(ClassDirection.needs, dense=False))
    sparse = headstart.learn(Domain(csr_matrix(source.X), source.y, "source"), ClassDirection(), allow_source_rows=True)
    with pytest.raises(StoreError, match="holds sparse rows"):
        sparse.save(tmp_path / "sparse.knowledge")


def test_knowledge_with_rows_meets_a_target_with_the_same_columns_in_the_sources_scale(with_class_direction):
    source, target = two_languages()
    narrow = Domain(target.X[:, :3], target.y, "target")
    parcel = headstart.learn(source, ClassDirection(), allow_source_rows=True)
    result = headstart.carry(parcel, narrow, guard="off", **QUICK)
    assert result.settings["spaces"] == "same"
    means = result.model.vectorizer.numbers.named_steps["standardscaler"].mean_
    np.testing.assert_allclose(means, source.X.mean(axis=0))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two files without a shared column but the label's and the pairs', and a test file."""
    for domain in two_instruments():
        table = domain.X.assign(id=domain.pair, y=domain.y)
        table.to_csv(tmp_path / f"{domain.name}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_line_runs_between_files_with_other_columns(files, capsys):
    command = ["run", "source.csv", "--target", "target.csv", "--test", "test.csv", "--label", "y", "--pair", "id"]
    assert run_command([*command, "-m", PAIRED, "-m", "baseline", "--repeats", "2"]) == 0
    printed = capsys.readouterr().out
    assert "left out: pooled needs source and target rows with the same columns" in printed
    assert "note: target and source share no columns" in printed
    assert "transfer helps: mean absolute error" in printed
    assert f"{PAIRED} is delivered" in printed
    assert {path.name for path in (files / "out").iterdir()} == {
        "model",
        "model_card.md",
        "predictions.csv",
        "report.html",
        "result.json",
    }
    assert run_command(["predict", "out/model", "test.csv", "-o", "new.csv"]) == 0
    assert np.corrcoef(pd.read_csv("new.csv")["prediction"], pd.read_csv("test.csv")["y"])[0, 1] > 0.99


def test_learn_and_carry_take_pairs_and_give_the_predictions_of_run(files, capsys):
    learn = ["learn", "source.csv", "--label", "y", "--pair", "id", "-m", PAIRED, "-o", "k"]
    assert run_command(learn) == 2
    assert "--allow-source-rows" in capsys.readouterr().err
    assert run_command([*learn, "--allow-source-rows"]) == 0
    assert "holds source rows" in capsys.readouterr().out
    settings = ["--pair", "id", "--test", "test.csv", "--repeats", "1", "-q"]
    assert run_command(["carry", "k", "target.csv", "--out", "carried", *settings]) == 0
    run = ["run", "source.csv", "target.csv", "--label", "y", "-m", PAIRED, "--spaces", "different", "--out", "whole"]
    assert run_command([*run, *settings]) == 0
    assert (files / "carried/predictions.csv").read_bytes() == (files / "whole/predictions.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "model-based"], "no shared columns: source has 'a0', 'a1'"),
        (["--pair", "idd"], "did you mean 'id'"),
        (["--pair", "id", "-m", "coral"], "coral needs source and target rows with the same columns"),
        (["--pair", "id", "--spaces", "same"], "rename them alike"),
        (["--pair", "id", "--spaces", "apart"], "no spaces 'apart'; there is 'auto', 'same', 'different'"),
    ],
)
def test_mistakes_between_files_with_other_columns_are_one_line(files, arguments, message, capsys):
    if "--pair" not in arguments:
        for name in ("source", "target"):
            pd.read_csv(f"{name}.csv").drop(columns="id").to_csv(f"{name}.csv", index=False)
    assert run_command(["run", "source.csv", "target.csv", "--label", "y", "-q", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert not (files / "out").exists()
