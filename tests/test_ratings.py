"""Ratings and histories: ids survive, wrong tables are told of in a line."""

import numpy as np
import pandas as pd
import pytest

from headstart import Domain
from headstart.errors import InputError
from headstart.recommend import Histories, Ratings, ratings_domain, ratings_domains
from headstart.recommend.histories import find_ids


def shops(seed=0, n=200):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user": rng.integers(0, 30, n),
            "item": [f"thing {i}" for i in rng.integers(0, 20, n)],
            "domain": rng.choice(["game", "video"], n),
        }
    ).drop_duplicates()


def test_histories_hold_each_event_once_in_its_column():
    table = shops()
    histories = Histories.of(list(ratings_domains(table).values()))
    told = set()
    for name in histories.domains:
        part = histories.part(name).tocoo()
        told |= {
            (int(histories.users[u]), histories.ids(name)[i], name) for u, i in zip(part.row, part.col, strict=True)
        }
    assert told == set(zip(table["user"], table["item"], table["domain"], strict=True))
    assert histories.matrix.data.max() == 1


def test_histories_do_not_depend_on_the_order_of_rows():
    table = shops()
    first = Histories.of(list(ratings_domains(table).values()))
    again = ratings_domains(table.sample(frac=1, random_state=1))
    second = Histories.of([again[name] for name in first.domains])
    assert (first.matrix != second.matrix).nnz == 0
    assert (first.users == second.users).all()


def test_a_user_whose_ids_are_not_shared_is_someone_else_in_each_domain():
    table = pd.DataFrame({"user": [1, 1], "item": ["a", "b"], "domain": ["game", "video"]})
    shared = Histories.of(list(ratings_domains(table).values()))
    apart = Histories.of(list(ratings_domains(table, shared="none").values()))
    assert len(shared.users) == 1
    assert apart.users.tolist() == ["1", "game:1"]
    assert len(apart.shared_users("game", "video")) == 0


def test_items_with_shared_ids_are_one_thing_in_two_columns():
    table = pd.DataFrame({"user": [1, 2, 2], "item": ["a", "a", "b"], "domain": ["phone", "desk", "desk"]})
    phone = Histories.of(list(ratings_domains(table, shared="both").values()))
    assert phone.things[phone.span("phone")][0] == phone.things[phone.span("desk")][0]
    assert len(np.unique(phone.things)) == 2


def test_only_some_domains_keep_the_users():
    histories = Histories.of(list(ratings_domains(shops()).values()))
    alone = histories.only("video")
    assert (alone.matrix != histories.part("video")).nnz == 0
    assert len(alone.users) == len(histories.users)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"item": [None, "b", "c"]}, "row 1: the item id is missing"),
        ({"user": [0.5, 1, 2]}, "whole numbers or text, not 0.5"),
        ({"rating": ["good", 1, 2]}, "'good' is not a number"),
        ({"rating": [9, 1, 2]}, "rating 9 is not on the scale of 1 to 5"),
    ],
)
def test_wrong_tables_are_told_of_in_one_line(change, says):
    table = pd.DataFrame({"user": [1, 2, 3], "item": ["a", "b", "c"], "domain": "shop", "rating": [1, 2, 3]})
    for column, values in change.items():
        table[column] = values
    with pytest.raises(InputError) as told:
        ratings_domains(table, scale=(1, 5))
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_a_column_that_is_not_there_is_named_with_what_is():
    with pytest.raises(InputError, match="no column 'user'"):
        ratings_domains(pd.DataFrame({"usr": [1], "item": [1], "domain": ["a"]}))


def test_an_empty_table_is_refused():
    with pytest.raises(InputError, match="holds no rows"):
        ratings_domains(pd.DataFrame({"user": [], "item": [], "domain": []}))


def test_of_two_ratings_the_later_counts():
    table = pd.DataFrame({"user": [1, 1], "item": [7, 7], "rating": [2.0, 5.0], "time": [20, 10]})
    domain = ratings_domain(table, rating="rating", time="time")
    assert domain.labels.tolist() == [2]


def test_two_ratings_and_no_time_are_refused():
    table = pd.DataFrame({"user": [1, 1], "item": [7, 7], "rating": [2.0, 5.0]})
    with pytest.raises(InputError, match="rated item 7 twice, 2 and 5"):
        ratings_domain(table, rating="rating")


def test_what_happened_twice_happened():
    table = pd.DataFrame({"user": [1, 1, 2], "item": [7, 7, 7]})
    assert len(ratings_domain(table)) == 2


def test_dates_are_times():
    days = pd.to_datetime(["2024-01-02", "2024-01-01"])
    table = pd.DataFrame({"user": [1, 1], "item": [7, 7], "rating": [2.0, 5.0], "when": days})
    assert ratings_domain(table, rating="rating", time="when").labels.tolist() == [2]


def test_ids_of_numbers_and_of_text_do_not_mix():
    numbers = ratings_domain(pd.DataFrame({"user": [1], "item": [7]}), name="a")
    text = ratings_domain(pd.DataFrame({"user": ["1"], "item": [7]}), name="b")
    with pytest.raises(InputError, match="numbers in one domain and text in another"):
        Histories.of([numbers, text])


def test_ratings_and_events_do_not_mix():
    table = pd.DataFrame({"user": [1], "item": [7], "rating": [3.0]})
    with pytest.raises(InputError, match="some domains have ratings and others have none"):
        Histories.of([ratings_domain(table, name="a", rating="rating"), ratings_domain(table, name="b")])


def test_a_guest_is_found_by_raw_ids():
    histories = Histories.of(list(ratings_domains(shops()).values()))
    known = histories.ids("game")[:2].tolist()
    guest = histories.history([("game", known[1]), ("game", known[0]), ("game", "no such thing")])
    span = histories.span("game")
    assert guest.indices.tolist() == [span.start, span.start + 1]
    with pytest.raises(InputError, match="no item of this history is known"):
        histories.history([("game", "no such thing")])
    with pytest.raises(InputError, match="film"):
        histories.history([("film", known[0])])


def test_numbers_written_as_text_find_their_id():
    assert find_ids(np.array([3, 5, 12]), ["12", "5", "5.0", "", "-1"]).tolist() == [2, 1, -1, -1, -1]


def test_rows_are_taken_and_stacked_as_those_of_a_matrix():
    rows = Ratings.of([1, 2, 3], list("abc"), "shop", times=[3, 2, 1])
    both = Ratings.stack_rows([rows[np.array([2])], rows[rows.users < 2]])
    assert both.users.tolist() == [3, 1]
    assert both.times.tolist() == [1, 3]
    assert Domain(rows, [1.0, 2.0, 3.0], "shop", task="regression").rows(np.array([0, 2])).X.items.tolist() == [
        "a",
        "c",
    ]


def test_users_held_out_together_are_one_group():
    rows = Ratings.of([7, 3, 7], list("abc"), "shop", held_out="users")
    assert rows.groups.tolist() == [1, 0, 1]
    assert Ratings.of([7, 3, 7], list("abc")).groups is None
