"""Reading: what a file holds, and one clear line when it can't be read."""

import numpy as np
import pandas as pd
import pytest

from headstart import Domain, read
from headstart.errors import InputError
from headstart.readers import Vectorizer, align, read_domains


def refused(message, what, **settings):
    with pytest.raises(InputError, match=message) as caught:
        read(what, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".csv", ";"), (".tsv", "\t"), (".txt", "\t")])
def test_text_tables_read_the_same_whatever_separates_the_cells(tmp_path, frame, suffix, separator):
    path = tmp_path / f"rows{suffix}"
    frame.to_csv(path, sep=separator, index=False)
    domain = read(path, label="ill")
    assert repr(domain) == "Domain('rows', 4 rows x 4 columns, 3 labelled, classification)"
    assert domain.labels.tolist() == [1, 0, 1]


def test_parquet_and_frames_read_like_text(tmp_path, frame):
    frame.to_parquet(tmp_path / "rows.parquet")
    for what in (tmp_path / "rows.parquet", frame):
        assert read(what, label="ill").labels.tolist() == [1, 0, 1]


def test_npz_arrays_are_rows_and_labels(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(3), y=[0, 1, 1])
    domain = read(tmp_path / "a.npz", label="y")
    assert domain.X.shape == (3, 3)
    assert domain.labels.tolist() == [0, 1, 1]


def test_a_domain_column_takes_a_file_apart(tmp_path, frame):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    domains = read_domains(tmp_path / "rows.csv", label="ill", domain_column="site")
    assert list(domains) == ["a", "b"]
    assert "site" not in domains["a"].X.columns
    assert read(tmp_path / "rows.csv", domain_column="site", domain="b").n_labelled == 0


def test_question_marks_and_empty_cells_are_missing(tmp_path):
    (tmp_path / "r.csv").write_text("a,b,y\n1,?,1\n,x,0\nNA,x,\n")
    domain = read(tmp_path / "r.csv", label="y")
    assert domain.X["a"].isna().tolist() == [False, True, True]
    assert domain.X["b"].isna().tolist() == [True, False, False]
    assert domain.n_labelled == 2


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    (tmp_path / "r.csv").write_bytes(b"\xef\xbb\xbfa,y\n1,0\n2,1\n")
    assert read(tmp_path / "r.csv", label="y").X.columns.tolist() == ["a"]


def test_unreadable_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "heart.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "blank.csv").write_text("\n\n")
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "twice.csv").write_text("a,b,a\n1,2,3\n")
    (tmp_path / "zip.csv").write_bytes(b"PK\x03\x04\x00\x00binary")
    (tmp_path / "latin.csv").write_bytes("town\nKöln\n".encode("latin-1"))
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    (tmp_path / "bad.npz").write_bytes(b"not npz")
    (tmp_path / "notes.docx").write_text("x")
    np.savez(tmp_path / "noX.npz", rows=np.eye(2))
    refused("no such file; did you mean 'heart.csv'", tmp_path / "hart.csv")
    refused("is a folder", tmp_path)
    refused("is empty", tmp_path / "empty.csv")
    refused("is empty", tmp_path / "blank.csv")
    refused("no rows", tmp_path / "header.csv")
    refused("'a' is there twice", tmp_path / "twice.csv")
    refused("is not text", tmp_path / "zip.csv")
    refused("not UTF-8", tmp_path / "latin.csv")
    refused("can't be read as a table", tmp_path / "ragged.csv")
    refused("not a Parquet file", tmp_path / "bad.parquet")
    refused("not an .npz file", tmp_path / "bad.npz")
    refused("can't tell what a .docx is", tmp_path / "notes.docx")
    refused("no array 'X'", tmp_path / "noX.npz")


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "evil.npz", X=np.array([{"a": 1}], dtype=object))
    refused("plain arrays", tmp_path / "evil.npz")


def test_columns_that_are_not_there_name_the_close_ones(frame):
    refused("no label column 'il'.*did you mean 'ill'", frame, label="il")
    refused("no domain column 'sites'.*did you mean 'site'", frame, domain_column="sites", domain="a")
    refused("no domain .*'c'.*there is 'a', 'b'", frame, domain_column="site", domain="c")
    refused("needs domain=", frame, domain_column="site")


def test_an_absent_label_column_may_mean_unlabelled(frame):
    assert read(frame.drop(columns="ill"), label="ill", label_optional=True).n_labelled == 0
    refused("did you mean 'Ill'", frame.rename(columns={"ill": "Ill"}), label="ill", label_optional=True)


def test_columns_are_aligned_in_the_targets_order_and_kinds_agreed(frame):
    source = read(frame.drop(columns="ill").assign(extra=1), name="s")
    target = read(frame[["town", "age", "seen"]], name="t")
    aligned = align([source], target)
    assert aligned.kinds == {"town": "category", "age": "number", "seen": "date"}
    assert aligned.sources[0].X.columns.tolist() == ["town", "age", "seen"]
    assert "'extra'" in aligned.notes[0]


def test_text_in_a_numeric_column_names_the_cell(frame):
    source = read(frame, name="here")
    target = read(frame.astype({"age": object}).assign(age=["63", "41", "old", None]), name="there")
    with pytest.raises(InputError, match=r"there: column 'age', row 3: 'old' is not a number"):
        align([source], target)
    as_text = [read(domain.X, name=domain.name, categories=["age"]) for domain in (source, target)]
    assert align(as_text[:1], as_text[1]).kinds["age"] == "category"


def test_domains_without_shared_columns_are_refused():
    with pytest.raises(InputError, match="no shared columns: a has 'x', b has 'y'"):
        align([Domain(pd.DataFrame({"x": [1]}), name="a")], Domain(pd.DataFrame({"y": [1]}), name="b"))
    with pytest.raises(InputError, match="a has 2 columns and b 3"):
        align([Domain(np.eye(2), name="a")], Domain(np.eye(3), name="b"))


def test_the_vectoriser_is_fitted_on_the_rows_it_is_given(frame):
    kinds = {"age": "number", "town": "category", "seen": "date"}
    fitted = Vectorizer(kinds=kinds).fit([frame[:2]])
    # The mean and the categories are those of the first two rows; a new town is no column.
    Z = fitted.transform(frame)
    assert Z[0, 0] == pytest.approx(1.0)
    assert len(fitted.names()) == Z.shape[1]
    assert not any("Bonn" in name for name in fitted.names())
    assert np.isfinite(Z).all()


def test_dates_become_day_month_and_weekday():
    rows = pd.DataFrame({"seen": ["1970-01-02", "1970-03-01"]})
    numbers, _ = Vectorizer(kinds={"seen": "date"})._split(rows)
    assert numbers.tolist() == [[1.0, 1.0, 4.0], [59.0, 3.0, 6.0]]


def test_infinite_numbers_name_the_cell():
    with pytest.raises(InputError, match="column 'a', row 2: infinite"):
        Vectorizer(kinds={"a": "number"}).fit([pd.DataFrame({"a": [1.0, np.inf]})])
    with pytest.raises(InputError, match="column 1, row 1: infinite"):
        Vectorizer().fit([np.array([[0.0, np.inf]])])


def test_a_column_that_is_empty_where_it_is_fitted_stays_usable():
    fitted = Vectorizer(kinds={"a": "number", "b": "number"}).fit([pd.DataFrame({"a": [None, None], "b": [1, 2]})])
    assert np.isfinite(fitted.transform(pd.DataFrame({"a": [3.0], "b": [None]}))).all()


def test_labels_of_two_kinds_are_refused():
    with pytest.raises(InputError, match="mix"):
        Domain(np.eye(2), y=np.array([1, "yes"], dtype=object))
    with pytest.raises(InputError, match="2 rows but 3 labels"):
        Domain(np.eye(2), y=[1, 2, 3])
    with pytest.raises(InputError, match="infinite"):
        Domain(np.eye(2), y=[1.0, np.inf])


def test_minus_one_is_a_class_like_any_other():
    domain = Domain(np.eye(3), y=[-1, 1, None])
    assert domain.labels.tolist() == [-1, 1]
    assert domain.n_labelled == 2


def test_gaps_are_refused_where_nothing_imputes_them():
    rows = np.array([[0.0, 1.0], [np.nan, 2.0]])
    with pytest.raises(InputError, match="column 0, row 2: NaN; vectorizer='auto' imputes"):
        Vectorizer("passthrough").fit([rows]).transform(rows)
    assert np.isfinite(Vectorizer().fit([rows]).transform(rows)).all()
