"""Files of ratings become domains, ids stay as they are written, and mistakes are one line with the row."""

import re

import numpy as np
import pandas as pd
import pytest

from headstart.errors import InputError
from headstart.recommend.id_files import read_ids
from headstart.recommend.rating_files import read_ratings

ROWS = pd.DataFrame(
    {"user": ["ann", "bob", "ann"], "item": [7, 7, 9], "rating": [5.0, 1.0, 3.0], "timestamp": [1, 2, 3]}
)


def write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("name", ["films.csv", "films.tsv", "films.parquet"])
def test_every_kind_of_file_gives_the_same_domain(name, tmp_path):
    path = tmp_path / name
    if name.endswith("parquet"):
        ROWS.to_parquet(path)
    else:
        ROWS.to_csv(path, sep="\t" if name.endswith("tsv") else ",", index=False)
    found = read_ratings(path)
    assert list(found) == ["films"]
    domain = found["films"]
    assert (domain.task, domain.X.users.tolist(), domain.X.items.tolist()) == (
        "regression",
        ["ann", "bob", "ann"],
        [7, 7, 9],
    )
    assert domain.X.times.tolist() == [1.0, 2.0, 3.0]
    assert domain.labels.tolist() == [5.0, 1.0, 3.0]


def test_several_files_are_several_domains_and_a_domain_column_parts_one(tmp_path):
    one, other = (ROWS.to_csv(tmp_path / f"{name}.csv", index=False) or tmp_path / f"{name}.csv" for name in ("a", "b"))
    assert list(read_ratings([one, other])) == ["a", "b"]
    path = tmp_path / "all.csv"
    ROWS.assign(domain=["b", "a", "b"]).to_csv(path, index=False)
    found = read_ratings(path)
    assert {name: len(domain) for name, domain in found.items()} == {"b": 2, "a": 1}
    assert found["b"].X.names == ["b"]
    with pytest.raises(InputError, match=r"domain 'a' is in .*a\.csv too"):
        read_ratings([one, path])


@pytest.mark.parametrize(
    "header",
    [
        "userId,movieId,rating,timestamp",
        "user_id:token,item_id:token,rating:float,timestamp:float",
        "reviewerID,asin,overall,unixReviewTime",
    ],
)
def test_usual_names_of_columns_are_recognised_and_that_is_said(header, tmp_path):
    path = write(tmp_path, "films.csv", f"{header}\n1,2,5,10\n")
    names = header.split(",")
    with pytest.warns(UserWarning, match=re.escape(f"takes {names[0]!r} for the user, {names[1]!r} for the item")):
        domain = read_ratings(path)["films"]
    assert (domain.X.users[0], domain.X.items[0], domain.labels[0], domain.X.times[0]) == (1, 2, 5, 10)


def test_named_columns_are_taken_without_a_word_and_events_leave_ratings_out(tmp_path, recwarn):
    path = write(tmp_path, "films.csv", "who,what,stars\n1,2,5\n")
    domain = read_ratings(path, user="who", item="what", rating="stars", events=True)["films"]
    assert domain.task == "ranking"
    assert len(recwarn) == 0


def test_a_zero_in_front_makes_another_id(tmp_path):
    path = write(tmp_path, "a.csv", "user,item\n007,1\n7,1\n0,2\n")
    assert read_ratings(path)["a"].X.users.tolist() == ["007", "7", "0"]
    path = write(tmp_path, "b.csv", "user,item,rating\n10,1,0.5\n0,1,01\n")
    assert read_ratings(path)["b"].X.users.tolist() == [10, 0]


def test_joined_rows_are_counted_and_the_latest_counts(tmp_path):
    path = write(tmp_path, "a.csv", "user,item,rating,timestamp\n1,2,3,9\n1,2,5,8\n1,3,1,1\n")
    with pytest.warns(UserWarning, match="1 of 3 rows repeat a user and an item; the latest counts"):
        assert read_ratings(path)["a"].labels.tolist() == [3.0, 1.0]


def test_dates_are_times(tmp_path):
    path = write(tmp_path, "a.csv", "user,item,date\n1,2,2024-01-02\n1,3,2024-01-01T12:00:00\n")
    with pytest.warns(UserWarning, match="'date' for the time"):
        times = read_ratings(path)["a"].X.times
    assert times[0] - times[1] == 12 * 3600


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("user,thing\n1,2\n", {}, "no item column; there is 'user', 'thing'; name it with item=... (--item)"),
        ("user,item\n1,2\n", {"rating": "stars"}, "no rating column 'stars'"),
        ("uid,movieId,book_id\n1,2,3\n", {}, "'movieId', 'book_id' could all be the item column"),
        ("user,item\n1,2\n,3\n", {}, "row 2: the user id is missing"),
        ("user,item,domain\n1,2,a\n1,2,\n", {}, "row 2: the domain is missing"),
        (
            "user,item,domain,rating\n1,2,a,3\n1,2,b,3\n1,4,a,9\n",
            {"scale": (1, 5)},
            "row 3: the rating 9 is not on the scale",
        ),
        ("user,item,rating\n1,2,good\n", {}, "'good' is not a number"),
        ("user,item,rating\n1,2,3\n1,2,4\n", {}, "user 1 rated item 2 twice, 3 and 4 (rows 1 and 2)"),
        ("user,item,timestamp\n1,2,soon\n", {}, "row 1: 'soon' is neither a number nor a date"),
        ("user,item\n", {}, "has columns but no rows"),
        ("user,item\n1.5,2\n", {}, "user ids are whole numbers or text, not 1.5"),
    ],
)
def test_mistakes_are_one_line(text, options, words, tmp_path):
    path = write(tmp_path, "films.csv", text)
    with pytest.raises(InputError) as caught:
        read_ratings(path, **options)
    said = str(caught.value)
    assert words in said
    assert said.startswith(f"{path}: ")
    assert "\n" not in said


def test_ids_of_two_types_are_refused_where_they_should_be_shared(tmp_path):
    numbers = write(tmp_path, "a.csv", "user,item\n1,2\n")
    text = write(tmp_path, "b.csv", "user,item\nann,2\n")
    with pytest.raises(InputError, match=r"user ids of b are text .such as 'ann'. and those of a are numbers"):
        read_ratings([numbers, text])
    assert len(read_ratings([numbers, text], shared="items")) == 2
    mixed = pd.DataFrame({"user": np.array([7, "7", 8], dtype=object), "item": [1, 2, 3]})
    from headstart.recommend.rating_files import written_ids

    with pytest.raises(InputError, match="hold 7 as a number and as text"):
        written_ids(mixed["user"], "user", "user", tmp_path / "a.parquet")


def test_ids_are_read_with_and_without_a_header(tmp_path):
    assert read_ids(write(tmp_path, "a.txt", "ann\n007\nann\n"), "user") == ["ann", "007"]
    assert read_ids(write(tmp_path, "b.csv", "user_id\nann\n"), "user") == ["ann"]
    assert read_ids(write(tmp_path, "c.csv", "item,name\n7,up\n9,heat\n"), "item") == ["7", "9"]
    with pytest.raises(InputError, match="holds no user"):
        read_ids(write(tmp_path, "d.csv", "user\n"), "user")
