"""Word vectors and dictionaries from text: what is read, what is refused, and where it says the fault is."""

import gzip

import numpy as np
import pytest

from headstart.errors import InputError
from headstart.readers import vectors
from headstart.readers.vectors import positions, read_dictionary, read_vectors


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="words.vec"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.mark.parametrize("head", ["3 2\n", "", "\ufeff3 2\n", "\ufeff"])
def test_a_file_is_read_with_and_without_its_first_line(write, head):
    words, E = read_vectors(write(head + "the 1 -2\nKatze 0.5 1e-3\n猫 0 0\n"))
    assert words == ["the", "Katze", "猫"]
    assert E.dtype == np.float32
    np.testing.assert_array_equal(E, np.array([[1, -2], [0.5, 1e-3], [0, 0]], dtype=np.float32))


def test_what_was_written_is_read_back_whatever_the_chunks(write, monkeypatch):
    E = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    lines = [f"w{i} " + " ".join(repr(float(value)) for value in row) for i, row in enumerate(E)]
    path = write("50 7\n" + "\n".join(lines))
    for chunk in (4096, 7, 50):
        monkeypatch.setattr(vectors, "CHUNK", chunk)
        words, read = read_vectors(path)
        assert words == [f"w{i}" for i in range(50)]
        np.testing.assert_array_equal(read, E)


def test_words_hold_blanks_and_numbers_are_counted_from_the_right(write):
    words, E = read_vectors(write("4 2\nNew York 1 2\n1 1/2 3 4\nno\u00a0break 5 6\nafter\u2028line 7 8 \r\n"))
    assert words == ["New York", "1 1/2", "no\u00a0break", "after\u2028line"]
    np.testing.assert_array_equal(E.ravel(), np.arange(1, 9))


def test_of_a_word_that_stands_twice_the_first_vector_stays(write):
    words, E = read_vectors(write("a 1 1\nb 2 2\na 3 3\nc 4 4\n"), most=3)
    assert words == ["a", "b", "c"]
    assert E[:, 0].tolist() == [1, 2, 4]


def test_no_more_than_the_first_words_are_read(write):
    path = write("3 1\na 1\nb 2\nc broken\n")
    assert read_vectors(path, most=2)[0] == ["a", "b"]
    with pytest.raises(InputError, match="line 4"):
        read_vectors(path, most=None)
    with pytest.raises(InputError, match="most must be 1 or more"):
        read_vectors(path, most=0)


def test_bytes_that_are_no_text_are_replaced_and_packed_files_unpacked(write):
    content = b"2 1\ncut\xc3 1\nb 2\n"
    assert read_vectors(write(content))[0] == ["cut\ufffd", "b"]
    assert read_vectors(write(gzip.compress(content), "words.vec.gz"))[0] == ["cut\ufffd", "b"]
    with pytest.raises(InputError, match="can't be unpacked"):
        read_vectors(write(gzip.compress(content)[:-9], "cut.vec.gz"))
    with pytest.raises(InputError, match="can't be unpacked"):
        read_vectors(write(content, "plain.vec.gz"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a 1 2\nb 1\n",
            "line 2: 'b 1' has 1 numbers after the word, and 2 are wanted; delete the line, or correct it",
        ),
        ("2 2\na 1 2\nb 1 x\n", "line 3: 'b 1 x' does not end in 2 finite numbers"),
        ("a 1 2\n\nb nan 2\n", "line 3: 'b nan 2' does not end in 2 finite"),
        ("a 1 2\nb 1e39 2\n", "line 2: .* does not end in 2 finite"),
        ("a 1 2\nb 1 1e999\n", "line 2: .* does not end in 2 finite"),
        ("5 2\na 1 2\nb 1 2\n", "ends after 2 of 5 words; it is cut off"),
        ("5 0\na\n", "line 1: tells of 5 words of 0 numbers"),
        ("word\n", "line 1: 'word' has no numbers"),
        ("2 2\n", "ends after 0 of 2 words"),
        ("\n\n", "is empty"),
        ("", "is empty"),
    ],
)
def test_a_broken_line_is_named_with_its_file_and_number(write, content, message):
    with pytest.raises(InputError, match=message) as refused:
        read_vectors(write(content))
    assert "words.vec" in str(refused.value)


def test_a_long_broken_line_is_cut_in_the_message(write):
    with pytest.raises(InputError) as refused:
        read_vectors(write("a " + "1 " * 300 + "\nb " + "1 " * 299))
    assert len(str(refused.value).replace(str(refused.value).split(",")[0], "")) < 150


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_vectors(tmp_path / "no.vec")
    with pytest.raises(InputError, match="no such file"):
        read_dictionary(tmp_path)


def test_a_dictionary_is_read_with_tabs_and_with_blanks(write):
    path = write("\ufeffcat Katze\nNew York\tNeu York\n\ncat\tKater\r\n", "en-de.txt")
    assert read_dictionary(path) == [("cat", "Katze"), ("New York", "Neu York"), ("cat", "Kater")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat Katze\nNew York Neu York\n", "line 2: 'New York Neu York' is not a source word and a target word"),
        ("cat\n", "line 1: 'cat' is not"),
        ("cat\t\n", "line 1: .*write the two with a tab"),
        ("a b\n\xff\xfe c".encode("latin-1"), "line 2: is not UTF-8 text"),
        ("\n", "is empty"),
    ],
)
def test_a_broken_dictionary_is_refused_with_its_line(write, content, message):
    with pytest.raises(InputError, match=message):
        read_dictionary(write(content))


def test_a_dictionary_becomes_positions_and_unknown_words_are_left_out():
    entries = [("b", "y"), ("b", "x"), ("missing", "x"), ("a", "missing"), ("a", "x")]
    assert positions(entries, ["a", "b", "a"], ["x", "y", "x"]).tolist() == [[1, 1], [1, 0], [0, 0]]
    with pytest.raises(InputError, match="no entry of the dictionary"):
        positions([("A", "x")], ["a"], ["x"])
