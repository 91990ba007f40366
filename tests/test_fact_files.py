"""Reading facts: the notations say the same, and what can't be read is refused with file and line."""

import json
import time
import warnings

import numpy as np
import pytest

from headstart.errors import InputError
from headstart.relations.fact_files import read_fact_base, read_facts

FACTS = {
    "professor": [("ann lee",), ("eve",)],
    "student": [("bob",), ("cy",)],
    "publication": [("t1", "ann lee"), ("t1", "bob"), ("a,b", "eve"), ("t2", "cy")],
}
TEXT = """// people
professor("ann lee").   professor( eve ).
student(bob).student(cy)   % no dot here

% papers
publication(t1,'ann lee'). publication(t1, bob)// told twice
publication("a,b" , eve).
publication(t1, bob).
publication(t2, cy)"""


def files(folder, **texts):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, text in texts.items():
        (folder / f"{stem}.txt").write_text(text, encoding="utf-8")
    return folder


def usual(folder, **texts):
    return files(folder, **{"facts": TEXT, "pos": "advisedby(bob, eve).", "neg": "advisedby(cy, eve).", **texts})


def refused(message, place, *args, **settings):
    with pytest.raises(InputError, match=message) as caught:
        read_facts(place, *args, **settings)
    assert "\n" not in str(caught.value)


def quiet(place, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_facts(place, *args, **settings)


def test_all_notations_say_the_same(tmp_path):
    for suffix in ("txt", "pl", "facts", "PL"):
        (tmp_path / f"a.{suffix}").write_text(TEXT)
        assert read_fact_base(tmp_path / f"a.{suffix}") == FACTS
    (tmp_path / "b.csv").write_text(
        "predicate,first,second\nprofessor,ann lee\nprofessor,eve,\n\nstudent,bob\nstudent,cy,,\n"
        'publication,t1,ann lee\npublication,t1,bob\npublication,"a,b", eve\npublication,t2,cy\n'
    )
    (tmp_path / "c.json").write_text(json.dumps({**FACTS, "student": ["bob", "cy"]}))
    assert read_fact_base(tmp_path / "b.csv") == FACTS
    assert read_fact_base(str(tmp_path / "c.json")) == FACTS
    tables = tmp_path / "facts"
    tables.mkdir()
    for name, rows in FACTS.items():
        header = ",".join(f"argument {i}" for i in range(len(rows[0])))
        cells = "\n".join(",".join(f'"{c}"' for c in row) for row in rows)
        (tables / f"{name}.csv").write_text(f"{header}\n{cells}\n")
    assert read_fact_base(tables) == FACTS
    both = read_fact_base([tmp_path / "a.txt", tmp_path / "c.json"])
    assert both == FACTS


def test_byte_order_marks_windows_lines_and_other_alphabets_are_read(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffstadt(köln).\r\nstadt('são paulo').\r\n".encode())
    assert read_fact_base(tmp_path / "a.txt") == {"stadt": [("köln",), ("são paulo",)]}
    (tmp_path / "b.json").write_text('{"level": [[1], [2.5], ["1"]]}')
    assert read_fact_base(tmp_path / "b.json") == {"level": [("1",), ("2.5",)]}
    (tmp_path / "c.txt").write_text("page(http://x.org/a%20b, 3.5, t-1).")
    assert read_fact_base(tmp_path / "c.txt") == {"page": [("http://x.org/a%20b", "3.5", "t-1")]}


def test_a_folder_becomes_a_domain(tmp_path):
    domain = quiet(usual(tmp_path / "uni", unknown="advisedby(bob, 'ann lee')."))
    assert (domain.name, domain.modality, domain.task, domain.label) == ("uni", "facts", "classification", "advisedby")
    assert domain.X.constants.tolist() == [["bob", "eve"], ["cy", "eve"], ["bob", "ann lee"]]
    np.testing.assert_array_equal(domain.y, [1, 0, np.nan])
    assert len(domain.X.facts) == 8
    assert quiet(tmp_path / "uni", "advisedby", name="other").name == domain.X.facts.name.replace("uni", "other")


def test_domains_of_two_folders_know_nothing_of_each_other(tmp_path):
    one = quiet(usual(tmp_path / "a"))
    other = quiet(files(tmp_path / "b", facts="near(x, y). near(y, z).", pos="far(x, z).", neg="far(x, y)."))
    again = quiet(tmp_path / "a")
    assert not set(one.X.facts.constants) & set(other.X.facts.constants)
    assert one.X.facts.constants == again.X.facts.constants
    assert one.X.facts is not again.X.facts


def test_parts_are_read_by_their_prefix(tmp_path):
    files(
        tmp_path,
        train_facts="p(a, b).",
        train_pos="q(a).",
        train_neg="q(b).",
        test_facts="p(c, d). p(d, e).",
        test_pos="q(c).",
        test_neg="q(d). q(e).",
    )
    assert len(quiet(tmp_path)) == len(quiet(tmp_path, part="train")) == 2
    assert quiet(tmp_path, part="test").X.constants.ravel().tolist() == ["c", "d", "e"]
    refused("no part 'testing'; did you mean 'test'", tmp_path, part="testing")
    common = files(
        tmp_path / "common",
        facts="p(a, b). p(c, d).",
        train_pos="q(a).",
        train_neg="q(b).",
        test_pos="q(c).",
        test_neg="q(d).",
    )
    assert quiet(common).X.constants.ravel().tolist() == ["a", "b"]
    assert quiet(common, part="test").X.constants.ravel().tolist() == ["c", "d"]
    only = files(tmp_path / "only", test_facts="p(a, b).", test_pos="q(a).")
    refused('ask for part="test"', only)
    refused("holds no train_facts", only, part="train")
    refused("holds no test_facts", usual(tmp_path / "plain"), part="test")
    refused("is one file, which has no part", tmp_path / "plain" / "facts.txt", "student", part="test")


def test_folders_of_folds_are_named(tmp_path):
    for fold in (1, 2):
        usual(tmp_path / f"fold_{fold}")
    (tmp_path / "notes").mkdir()
    refused("holds folders of facts, 'fold_1', 'fold_2'; name one", tmp_path)
    refused("holds no facts.txt", tmp_path / "notes")


def test_a_single_file_gives_positives_and_negatives_are_drawn_and_said(tmp_path):
    (tmp_path / "uni.txt").write_text(TEXT + "\nadvisedby(bob, eve). advisedby(cy, 'ann lee').")
    refused("which predicate to learn; name one with predicate=.*'professor'", tmp_path / "uni.txt")
    refused("did you mean 'advisedby'", tmp_path / "uni.txt", "advisedBy")
    with pytest.warns(UserWarning, match="no negatives are given, so 10 are drawn at random") as told:
        domain = read_facts(tmp_path / "uni.txt", "advisedby")
    assert len(told) == 1
    assert domain.name == "uni"
    y = domain.labels
    assert domain.X.constants[y == 1].tolist() == [["bob", "eve"], ["cy", "ann lee"]]
    drawn = {tuple(row) for row in domain.X.constants[y == 0].tolist()}
    assert len(drawn) == (y == 0).sum() == 10
    assert not drawn & {("bob", "eve"), ("cy", "ann lee")}
    assert "advisedby" not in domain.X.facts.schema
    with pytest.warns(UserWarning, match="no negatives are given"):
        np.testing.assert_array_equal(read_facts(tmp_path / "uni.txt", "advisedby").X.constants, domain.X.constants)


def test_facts_that_would_tell_the_labels_are_left_out_and_said(tmp_path):
    folder = usual(tmp_path, facts=TEXT + "\nrecursion_advisedby(bob, eve).\nrecursion_other(bob, eve).")
    with pytest.warns(UserWarning, match="1 facts of recursion_advisedby are left out") as told:
        domain = read_facts(folder)
    assert len(told) == 1
    assert "recursion_advisedby" not in domain.X.facts.schema
    assert "recursion_other" in domain.X.facts.schema
    folder = usual(tmp_path, facts=TEXT + "\nadvisedby(bob, eve).")
    with pytest.warns(UserWarning, match="1 facts of advisedby are left out"):
        assert "advisedby" not in read_facts(folder).X.facts.schema
    folder = usual(tmp_path, pos="advisedby(bob, eve). advisedby(bob, eve).")
    with pytest.warns(UserWarning, match="1 examples of advisedby are repeated"):
        assert len(read_facts(folder)) == 2


def test_declarations_give_the_types(tmp_path):
    declared = "likes(person, item). bought(person, item)."
    folder = files(
        tmp_path, facts="likes(1, 2). likes(2, 1).", pos="bought(1, 1).", neg="bought(1, 2).", types=declared
    )
    domain = quiet(folder)
    assert domain.X.predicate.types == ("person", "item")
    assert len(domain.X.facts.kinds) == 2
    assert quiet(folder, types={"likes": ("human", "thing"), "bought": ("human", "thing")}).X.predicate.types == (
        "human",
        "thing",
    )
    refused("types of what is not there: no predicate 'like'; did you mean 'likes'", folder, types={"like": ("a",)})
    (folder / "types.txt").unlink()
    assert quiet(folder).X.predicate.types[0] == quiet(folder).X.predicate.types[1]
    (folder / "schema.json").write_text('{"likes": ["person", "item"], "bought": ["person", "item"]}')
    assert quiet(folder).X.predicate.types == ("person", "item")
    (folder / "schema.json").write_text('{"likes": ["person", "item"], "buys": ["person", "item"]}')
    refused("pos.txt, line 1: schema.json: no predicate 'bought'", folder)
    (folder / "schema.json").write_text('{"likes": ["person"], "bought": ["person", "item"]}')
    refused("facts.txt, line 1: likes has 2 arguments, but 1 in .*schema.json, likes", folder)
    (folder / "schema.json").write_text('{"likes": 3}')
    refused("likes has no list of types", folder)
    (folder / "schema.json").unlink()
    files(folder, types="likes(person, item).\nlikes(item, item).")
    refused("types.txt, line 2: likes is declared otherwise in .*types.txt, line 1", folder)


@pytest.mark.parametrize("line", [
    "publication(t1, bob", "publication t1, bob).", "publication(t1, bob) extra.", "publication()", "publication(t1,)",
    "publication(t1, b o b).", 'publication("t1, bob).', "raining.", "p(f(x), y).", "!p(a).", "1p(a).", "p(_).",
    'p("", a).', "p(a) q(b).", "p(X) :- q(X).", 'p("a"b).', "p(a)..",
])  # fmt: skip
def test_lines_that_are_no_fact_are_refused_with_their_number(tmp_path, line):
    refused(
        "facts.txt, line 4: .* is no fact; write predicate", usual(tmp_path, facts=f"a(b).\n\n% c\n{line}\na(c).\n")
    )


@pytest.mark.parametrize(("name", "text", "message"), [
    ("facts.csv", "p,a\n,b\n", "facts.csv, line 2: ',b' is no fact"),
    ("facts.csv", "p,a\np,,b\n", "facts.csv, line 2"),
    ("facts.csv", 'p,a\np,"b\n', "facts.csv, line 2: is no CSV"),
    ("facts.csv", "p,a\np\n", "line 2: 'p' is no fact"),
    ("facts.json", '{"p": [["a"],\n', "facts.json, line 2: is no JSON"),
    ("facts.json", '{"p": [["a"], [null]]}', "facts.json, p, entry 2"),
    ("facts.json", '{"p": [["a"], []]}', "p, entry 2"),
    ("facts.json", '{"p": [["a"], [["b"]]]}', "p, entry 2"),
    ("facts.json", '{"p": "a"}', "p holds no list"),
    ("facts.json", '{"p": [["a"]], "p": [["b"]]}', "'p' is there twice"),
    ("facts.json", '{"p>q": [["a"]]}', "is no name of a predicate"),
    ("facts.json", '[["p", "a"]]', "is no JSON object"),
    ("facts.json", "", "is empty"),
    ("facts.csv", "\n\n", "is empty"),
    ("facts.txt", "% nothing\n", "is empty"),
    ("facts.txt", "", "is empty"),
])  # fmt: skip
def test_files_that_cannot_be_read_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    (tmp_path / "pos.txt").write_text("q(a).")
    refused(message, tmp_path)


def test_a_predicate_of_two_arities_is_refused_with_both_places(tmp_path):
    refused(
        "facts.txt, line 2: p has 1 argument, but 2 in .*facts.txt, line 1; give",
        usual(tmp_path, facts="p(a, b).\np(a)."),
    )
    folder = usual(tmp_path, neg="% none\nadvisedby(cy).")
    refused("neg.txt, line 2: advisedby has 1 argument, but 2 in .*pos.txt, line 1", folder)
    folder = usual(tmp_path, facts=TEXT + "\nadvisedby(x).")
    refused("pos.txt, line 1: advisedby has 2 arguments, but 1 in .*facts.txt, line 10", folder)
    tables = tmp_path / "t" / "facts"
    tables.mkdir(parents=True)
    (tables / "p.csv").write_text("one,two\na,b\na\n")
    refused("p.csv, line 3: 'a' has not the 2 arguments", tmp_path / "t", "p")


def test_examples_must_be_of_the_predicate_and_of_one_kind(tmp_path):
    refused("pos.txt, line 1: a positive example of advisedby, not of student", usual(tmp_path), "student")
    refused(
        "neg.txt, line 2: a negative example of other",
        usual(tmp_path, neg="advisedby(cy, eve).\nother(cy)."),
        "advisedby",
    )
    folder = usual(tmp_path, pos="advisedby(bob, eve).\ntutors(cy, eve).")
    refused("pos.txt: holds examples of several predicates; name one.*'advisedby', 'tutors'", folder)
    assert len(quiet(folder, "advisedby")) == 2
    folder = usual(tmp_path, neg="advisedby(cy, eve).\n\nadvisedby(bob, eve).")
    refused(r"neg.txt, line 3: advisedby\(bob, eve\) is negative here and positive in .*pos.txt, line 1", folder)
    folder = usual(tmp_path, unknown="advisedby(cy, eve).")
    refused("unknown.txt, line 1: .* is unknown here and negative in", folder)


def test_a_fold_without_positives_is_refused_but_not_a_target_without_labels(tmp_path):
    folder = usual(tmp_path, pos="% none")
    refused("pos.txt: is empty", folder)
    (folder / "pos.txt").unlink()
    refused("no positive example of advisedby .a fold without positives.", folder)
    (folder / "neg.txt").unlink()
    refused("does not tell which predicate", folder)
    files(folder, unknown="advisedby(bob, eve). advisedby(cy, eve).")
    domain = quiet(folder)
    assert (len(domain), domain.n_labelled, domain.task) == (2, 0, "classification")


def test_what_is_not_there_or_there_twice_is_refused(tmp_path):
    refused("no such file or folder; check the path", tmp_path / "nowhere")
    with pytest.raises(InputError, match="no such file"):
        read_fact_base(tmp_path / "nowhere.txt")
    with pytest.raises(InputError, match="one at least"):
        read_fact_base([])
    (tmp_path / "a.docx").write_text("x")
    refused("facts are read from .txt.*not '.docx'", tmp_path / "a.docx", "p")
    (tmp_path / "latin.txt").write_bytes("stadt(köln).".encode("latin-1"))
    refused("latin.txt: is not UTF-8 text .byte 7.", tmp_path / "latin.txt", "stadt")
    folder = usual(tmp_path / "two")
    (folder / "facts.pl").write_text("p(a).")
    refused("holds 'facts.txt', 'facts.pl'; keep one", folder)
    empty = tmp_path / "none" / "facts"
    empty.mkdir(parents=True)
    refused("holds no table", tmp_path / "none")


def test_many_facts_are_read_in_time(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 20_000, (50_000, 2)).tolist()
    (tmp_path / "facts.txt").write_text("\n".join(f"wrote(t{a}, 'p {b}')." for a, b in rows))
    start = time.process_time()
    told = read_fact_base(tmp_path / "facts.txt")
    assert time.process_time() - start < 5
    assert len(told["wrote"]) == len({tuple(row) for row in rows})


def test_one_bad_long_line_does_not_take_forever(tmp_path):
    start = time.process_time()
    refused("line 1", usual(tmp_path, facts="p(" + "a" * 50_000))
    refused("line 1", usual(tmp_path, facts="p('" + "a, " * 20_000))
    assert time.process_time() - start < 2
