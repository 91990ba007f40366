"""`headstart map`: what is written is the truth, what is printed is what was learned, a mistake is one line."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from headstart.cli import run_command
from headstart.cli.waiting import waiting
from headstart.mapping.saved import load_mapping

# Rows of the lab (width, height, depth) as the field sees them (weight, size).
A = np.array([[2.0, 0.0], [-1.0, 0.5], [0.0, 3.0]])
SHIFT = np.array([10.0, -4.0])
NAMES = {"oak": "chêne", "elm": "orme", "fir": "sapin"}


def command(*arguments):
    return run_command([str(argument) for argument in arguments])


@pytest.fixture
def lab():
    rng = np.random.default_rng(5)
    kind = np.array(["oak", "elm", "fir"])[rng.choice(3, size=60, p=[0.5, 0.3, 0.2])]
    X = rng.normal(size=(60, 3)) * [1.0, 2.0, 0.5] + 4.0 * (kind == "fir")[:, None]
    frame = pd.DataFrame(X, columns=["width", "height", "depth"])
    return frame.assign(kind=kind, tag=[f"t{i}" for i in rng.permutation(60)])


@pytest.fixture
def here(tmp_path, monkeypatch, lab):
    """A folder with lab.csv; field.csv, the same rows in another order, seen otherwise; and what pairs them."""
    monkeypatch.chdir(tmp_path)
    order = np.random.default_rng(6).permutation(60)
    field = pd.DataFrame(lab[["width", "height", "depth"]].to_numpy() @ A + SHIFT, columns=["weight", "size"])
    field = field.assign(art=lab["kind"].map(NAMES), tag=lab["tag"]).iloc[order]
    lab.to_csv("lab.csv", index=False)
    field.to_csv("field.csv", index=False)
    pairs = pd.DataFrame({"target": np.arange(60) + 1, "source": order + 1})
    pairs.to_csv("all.csv", index=False)
    pairs[:8].to_csv("some.csv", index=False)
    return tmp_path


BOTH = ["map", "lab.csv", "field.csv"]
LABELS = ["--label", "kind", "--target-label", "art"]


def told(capsys, *arguments):
    """Return what a run prints as JSON."""
    assert command(*BOTH, *arguments, "--json") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)


def test_paired_rows_are_mapped_to_the_truth_under_the_targets_names(here, lab, capsys):
    document = told(capsys, "--pairs", "all.csv", *LABELS)
    mapped = pd.read_csv("mapped.csv")
    assert list(mapped) == ["weight", "size", "art", "art_source"]
    truth = lab[["width", "height", "depth"]].to_numpy() @ A + SHIFT
    np.testing.assert_allclose(mapped[["weight", "size"]], truth, atol=1e-9)
    assert mapped["art"].tolist() == lab["kind"].map(NAMES).tolist()
    assert mapped["art_source"].tolist() == lab["kind"].tolist()
    assert (document["pairing"], document["f"]["family"], document["confidence"]) == ("paired", "affine", 1.0)
    np.testing.assert_allclose(document["f"]["coefficients"], A, atol=1e-9)
    np.testing.assert_allclose(document["f"]["intercept"], SHIFT, atol=1e-9)
    assert document["g"] == {"source": ["elm", "fir", "oak"], "target": ["chêne", "orme", "sapin"], "matrix": [
        [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]}  # fmt: skip


def test_the_strongest_source_columns_are_printed_in_standard_deviations(here, lab, capsys):
    assert command(*BOTH, "--pairs", "all.csv", *LABELS) == 0
    printed = capsys.readouterr().out
    X = lab[["width", "height", "depth"]].to_numpy()
    by = A * X.std(axis=0)[:, None] / (X @ A).std(axis=0)
    line = next(line for line in printed.splitlines() if line.startswith("weight "))
    first, second = sorted([("width", by[0, 0]), ("height", by[1, 0])], key=lambda term: -abs(term[1]))
    assert line.rstrip().split(maxsplit=2)[1:] == ["1.00", f"{first[1]:+.2f} {first[0]}, {second[1]:+.2f} {second[0]}"]
    assert "confidence: 1, for the pairs leave nothing to search" in printed
    assert next(line.split() for line in printed.splitlines() if line.startswith("oak")) == [
        "oak",
        "1.00*",
        "0.00",
        "0.00",
    ]


def test_explained_is_the_r_squared_of_a_regression_where_all_rows_are_paired(here, lab, capsys):
    rng = np.random.default_rng(0)
    field = pd.read_csv("field.csv")
    field["weight"] += rng.normal(0, 2.0, 60)
    field["size"] += rng.normal(0, 1.0, 60)
    field.to_csv("field.csv", index=False)
    document = told(capsys, "--pair", "tag")
    both = lab.merge(field, on="tag")
    X = both[["width", "height", "depth"]]
    scores = [LinearRegression().fit(X, both[name]).score(X, both[name]) for name in ("weight", "size")]
    np.testing.assert_allclose(document["f"]["explained"], scores, atol=1e-9)


def test_numbers_names_and_a_shared_column_pair_the_same_rows(here, lab):
    field = pd.read_csv("field.csv")
    both = pd.read_csv("some.csv")
    named = pd.DataFrame(
        {"source": lab["tag"][both["source"] - 1].tolist(), "target": field["tag"][both["target"] - 1]}
    )
    named.to_csv("named.csv", index=False)
    assert command(*BOTH, "--pairs", "some.csv", "--category", "tag", "-o", "numbers.csv") == 0
    assert command(*BOTH, "--pairs", "named.csv", "--pair", "tag", "-o", "names.csv") == 0
    field.assign(tag=field["tag"].where(field.index < 8)).to_csv("field.csv", index=False)
    assert command(*BOTH, "--pair", "tag", "-o", "shared.csv") == 0
    numbers = (here / "numbers.csv").read_bytes()
    assert (here / "names.csv").read_bytes() == (here / "shared.csv").read_bytes() == numbers
    assert pd.read_csv("numbers.csv")["tag"].tolist() == lab["tag"].tolist()


def test_some_pairs_are_partial_and_find_the_truth(here, lab, capsys):
    document = told(capsys, "--pairs", "some.csv")
    assert (document["pairing"], document["pairs"], document["f"]["family"]) == ("partial", 8, "affine")
    truth = lab[["width", "height", "depth"]].to_numpy() @ A + SHIFT
    off = pd.read_csv("mapped.csv")[["weight", "size"]].to_numpy() - truth
    assert np.mean(off**2) / truth.var() < 1e-6
    assert document["g"] is None


def test_without_pairs_the_mapped_rows_have_the_targets_mean_and_covariance(here, capsys):
    document = told(capsys)
    assert (document["pairing"], document["f"]["family"]) == ("unpaired", "covariance")
    mapped, field = (pd.read_csv(name)[["weight", "size"]].to_numpy() for name in ("mapped.csv", "field.csv"))
    np.testing.assert_allclose(mapped.mean(axis=0), field.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(np.cov(mapped.T), np.cov(field.T), atol=1e-8)
    assert document["objective"] == document["trace"][-1]


def test_labels_that_are_missing_stay_missing(here, lab, capsys):
    lab.assign(kind=lab["kind"].where(lab.index % 3 > 0)).to_csv("lab.csv", index=False)
    assert told(capsys, "--pairs", "all.csv", *LABELS)["source"]["labelled"] == 40
    mapped = pd.read_csv("mapped.csv")
    assert mapped["art"].isna().tolist() == mapped["art_source"].isna().tolist() == [i % 3 == 0 for i in range(60)]


def test_labels_known_on_one_side_only_are_kept_and_not_relabelled(here, lab, capsys):
    document = told(capsys, "--pairs", "all.csv", "--label", "kind")
    assert document["notes"][-2:] == [
        "field.csv: no column 'kind', so no label is known there",
        "field.csv: left out, no numbers: 'art', 'tag'",
    ]
    mapped = pd.read_csv("mapped.csv")
    assert list(mapped) == ["weight", "size", "kind_source"]
    assert mapped["kind_source"].tolist() == lab["kind"].tolist()


def test_identity_keeps_the_labels_even_of_classes_that_the_target_lacks(here, lab, capsys):
    field = pd.read_csv("field.csv")
    field.assign(art=field["art"].map({name: kind for kind, name in NAMES.items() if kind != "fir"})).to_csv(
        "field.csv", index=False
    )
    told(capsys, "--pairs", "all.csv", *LABELS, "--g", "identity")
    assert pd.read_csv("mapped.csv")["art"].tolist() == lab["kind"].tolist()


def test_quantities_have_a_line(here, lab, capsys):
    celsius = np.random.default_rng(1).normal(15.25, 4.0, 60)
    lab.assign(kind=celsius).to_csv("lab.csv", index=False)
    seen = pd.read_csv("field.csv")
    seen.assign(art=celsius[pd.read_csv("all.csv")["source"] - 1] * 1.8 + 32).to_csv("field.csv", index=False)
    assert command(*BOTH, "--pairs", "all.csv", *LABELS) == 0
    assert "g: y -> 1.8 y + 32\n" in capsys.readouterr().out
    np.testing.assert_allclose(pd.read_csv("mapped.csv")["art"], celsius * 1.8 + 32)


def test_gaps_are_filled_with_the_mean_and_told(here, lab, capsys):
    gap = lab.assign(width=lab["width"].where(lab.index != 4), empty=None)
    gap.to_csv("lab.csv", index=False)
    notes = told(capsys, "--pairs", "all.csv")["notes"]
    assert "lab.csv: missing numbers are filled with the column's mean: 'width' (1)" in notes
    assert "lab.csv: left out, no numbers: 'kind', 'tag'" in notes
    assert "lab.csv: left out, empty: 'empty'" in notes
    gap.fillna({"width": gap["width"].mean()}).to_csv("lab.csv", index=False)
    assert command(*BOTH, "--pairs", "all.csv", "-o", "full.csv") == 0
    np.testing.assert_allclose(pd.read_csv("mapped.csv"), pd.read_csv("full.csv"))


def test_constant_columns_do_no_harm(here, lab, capsys, recwarn):
    lab.assign(flat=3.0).to_csv("lab.csv", index=False)
    pd.read_csv("field.csv").assign(flat=0.1).to_csv("field.csv", index=False)
    for setting in (["--pairs", "all.csv"], ["--pairs", "some.csv"], []):
        document = told(capsys, *setting, "--force")
        assert document["f"]["explained"][2] is None
        np.testing.assert_allclose(pd.read_csv("mapped.csv")["flat"], 0.1)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_warning_of_the_learner_is_one_note(here, capsys):
    rng = np.random.default_rng(2)
    for name in ("lab", "field"):
        pd.DataFrame(rng.normal(size=(50, 2)), columns=["a", "b"]).to_csv(f"{name}.csv", index=False)
    assert command(*BOTH) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    notes = [line for line in printed.out.splitlines() if line.startswith("note: ")]
    assert [note for note in notes if "a few pairs would decide" in note] == notes
    assert len(notes) == 1


def test_saved_maps_do_the_same(here, lab):
    assert command(*BOTH, "--pairs", "some.csv", *LABELS, "--save", "maps", "--f", "kernel") == 0
    saved = load_mapping("maps")
    mapped = pd.read_csv("mapped.csv")
    rows = lab[saved.card["source_columns"]].to_numpy()
    np.testing.assert_allclose(saved.map.transform(rows), mapped[saved.card["target_columns"]])
    assert saved.label_map.transform(lab["kind"].to_numpy()).tolist() == mapped[saved.card["label"]].tolist()


@pytest.mark.parametrize(("family", "size"), [("kernel", "a kernel at 60 rows"), ("perceptron", "layers of 3, ")])
def test_a_map_that_is_not_affine_is_told_by_its_size(here, capsys, family, size):
    assert command(*BOTH, "--pairs", "all.csv", "--f", family) == 0
    assert f"f: {family}, 3 columns to 2; {size}" in capsys.readouterr().out


def test_names_are_printed_as_they_are(here, lab, capsys):
    lab.rename(columns={"width": "[bold]width"}).assign(kind=lab["kind"] + "[/]").to_csv("lab.csv", index=False)
    assert command(*BOTH, "--pairs", "all.csv", *LABELS) == 0
    printed = capsys.readouterr().out
    assert "[bold]width" in printed
    assert "oak[/]" in printed


def test_many_classes_are_told_by_the_likeliest(here, lab, capsys):
    few = np.array([f"c{i:02d}" for i in range(20)])
    lab.assign(kind=few[np.arange(60) % 20]).to_csv("lab.csv", index=False)
    order = pd.read_csv("all.csv")["source"].to_numpy() - 1
    pd.read_csv("field.csv").assign(art=np.char.upper(few)[order % 20]).to_csv("field.csv", index=False)
    assert command(*BOTH, "--pairs", "all.csv", *LABELS) == 0
    assert "c07  C07 1.00" in capsys.readouterr().out


def test_arrays_and_parquet_are_read_as_tables_are(here, lab, capsys):
    field = pd.read_csv("field.csv")
    X = lab[["width", "height", "depth"]].to_numpy()
    np.savez("lab.npz", X=X, y=lab["kind"].to_numpy().astype(str))
    field.to_parquet("field.parquet")
    assert (
        command("map", "lab.npz", "field.parquet", "--pairs", "all.csv", "-l", "y", "--target-label", "art", "-q") == 0
    )
    assert capsys.readouterr().out == "mapped.csv: 60 rows in the target's 2 columns\n"
    assert command(*BOTH, "--pairs", "all.csv", *LABELS, "-o", "tables.csv") == 0
    assert (here / "mapped.csv").read_bytes() == (here / "tables.csv").read_bytes()


def test_a_long_step_gives_a_sign_of_life(capsys):
    with waiting("fitting", quiet=False, pause=0.02):
        time.sleep(0.2)
    assert capsys.readouterr().err.startswith("fitting: 0 s so far\nfitting: 0 s so far\n")
    with waiting("fitting", quiet=True, pause=0.02):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def bad_files(lab):
    def pairs(name, source, target, columns=("source", "target")):
        pd.DataFrame({columns[0]: source, columns[1]: target}).to_csv(name, index=False)

    pairs("headless.csv", [1], [1], ("sauce", "target"))
    pairs("beyond.csv", [1, 61], [1, 2])
    pairs("half.csv", [1, 2.5], [1, 2])
    pairs("gap.csv", [1, None], [1, 2])
    pairs("twice.csv", [3, 1, 3], [1, 2, 3])
    pairs("named.csv", ["t1", "t99"], ["t1", "t2"])
    pairs("none.csv", [], [])
    lab.assign(tag="t1").to_csv("alike.csv", index=False)
    lab[["kind", "tag"]].to_csv("texts.csv", index=False)
    lab.assign(width=np.inf).to_csv("infinite.csv", index=False)
    lab.assign(kind=np.arange(60) + 0.5).to_csv("numbers.csv", index=False)
    pd.read_csv("field.csv").assign(art_source=1).to_csv("clash.csv", index=False)


MISTAKES = {
    "no such file": (["map", "lap.csv", "field.csv"], "lap.csv: no such file; did you mean 'lab.csv'"),
    "no label column": ([*BOTH, "-l", "sort"], "neither lab.csv nor field.csv has a label column 'sort'"),
    "no target label": ([*BOTH, "-l", "kind", "--target-label", "arts"], "field.csv: no label column 'arts'"),
    "target label alone": ([*BOTH, "--target-label", "art"], "--target-label goes with --label"),
    "no numbers": (["map", "texts.csv", "field.csv"], "texts.csv: no column of numbers"),
    "infinite": (["map", "infinite.csv", "field.csv"], "infinite.csv: column 'width', row 1: infinite"),
    "classes and quantities": (
        ["map", "numbers.csv", "field.csv", *LABELS],
        "labels of field.csv are classes and those of numbers.csv quantities",
    ),
    "pairs without a column": ([*BOTH, "--pairs", "headless.csv"], "headless.csv: no column 'source'; did you mean"),
    "pairs beyond": ([*BOTH, "--pairs", "beyond.csv"], "beyond.csv: row 2: source '61' is no row number from 1 to 60"),
    "half a row": ([*BOTH, "--pairs", "half.csv"], "half.csv: row 2: source '2.5' is no row number"),
    "a gap in pairs": ([*BOTH, "--pairs", "gap.csv"], "gap.csv: row 2: source is empty"),
    "a row twice": ([*BOTH, "--pairs", "twice.csv"], "twice.csv: row 3: source '3' has a partner already, in row 1"),
    "no pairs": ([*BOTH, "--pairs", "none.csv"], "none.csv: has no pairs"),
    "unknown name": (
        [*BOTH, "--pairs", "named.csv", "--pair", "tag"],
        "named.csv: row 2: source 't99' is not in column 'tag' of lab.csv",
    ),
    "a name twice": (
        ["map", "alike.csv", "field.csv", "--pairs", "named.csv", "--pair", "tag"],
        "named.csv: row 1: source 't1' stands twice in column 'tag' of alike.csv, rows 1 and 2",
    ),
    "a shared name twice": (["map", "alike.csv", "field.csv", "--pair", "tag"], "stands twice in the source"),
    "no pair column": ([*BOTH, "--pair", "tags"], "lab.csv: no pair column 'tags'; did you mean 'tag'"),
    "no common name": (
        ["map", "lab.csv", "other.csv", "--pair", "tag"],
        "no value of column 'tag' stands in both lab.csv and other.csv",
    ),
    "no category": ([*BOTH, "--category", "tags"], "no column 'tags' to read as text"),
    "a name that clashes": (["map", "lab.csv", "clash.csv", *LABELS], "mapped.csv: 'art_source' would be there twice"),
    "unknown family": ([*BOTH, "--f", "affin"], "did you mean 'affine'"),
    "unknown label map": ([*BOTH, "--g", "one"], "no label map 'one'"),
    "unknown units": ([*BOTH, "--units", "metres"], "units must be"),
    "unknown distances": ([*BOTH, "--distances", "miles"], "miles"),
    "no clusters": ([*BOTH, "--clusters", "few"], "--clusters must be a whole number"),
    "negative penalty": ([*BOTH, "--pairs", "all.csv", "--alpha", "-1"], "alpha"),
    "no starts": ([*BOTH, "--starts", "0"], "n_starts above 0"),
    "taken output": ([*BOTH, "-o", "lab.csv"], "lab.csv: exists; name another file, or use --force"),
    "taken folder": ([*BOTH, "--save", "taken"], "taken: exists and is not an empty folder"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_status_2_and_nothing_written(here, lab, name, capsys):
    arguments, message = MISTAKES[name]
    bad_files(lab)
    pd.read_csv("field.csv").assign(tag=range(60)).to_csv("other.csv", index=False)
    (here / "taken").mkdir()
    (here / "taken" / "thesis.txt").write_text("years of work")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert command(*arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_force_replaces_what_is_there(here):
    assert command(*BOTH, "--pairs", "all.csv") == 0
    first = (here / "mapped.csv").read_bytes()
    assert command(*BOTH) == 2
    assert (here / "mapped.csv").read_bytes() == first
    assert command(*BOTH, "--force") == 0
    assert (here / "mapped.csv").read_bytes() != first
