"""Files are read as they stand, and what is wrong in them is said with file and line."""

import numpy as np
import pytest

from headstart.errors import InputError
from headstart.relations.triple_files import read_names, read_pairs, read_triples
from headstart.relations.triples import KnowledgeGraph


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_tabs_and_commas_give_the_same_graph(write):
    tabs = read_triples(write("a.tsv", "Ada\tknows\tBob\nBob\tin\tRome\n\n"))
    commas = read_triples(write("a.csv", 'Ada,knows,"Bob"\nBob,in,Rome\n'))
    assert tabs.entities == commas.entities == ("Ada", "Bob", "Rome")
    np.testing.assert_array_equal(tabs.triples, commas.triples)


def test_ids_are_read_as_names_and_entities_without_triples_are_there(write):
    names = write("ent_ids_1", "7\tAda\n3\tBob\n9\tEve\n")
    literals = write("literals", "7\tborn\t1815\nBob\tborn\t1816\n")
    graph = read_triples(write("triples_1", "3\t44\t7\n"), names, literals)
    assert graph.entities == ("Ada", "Bob", "Eve")
    assert graph.relations == ("44",)
    assert graph.triples.tolist() == [[1, 0, 0]]
    assert [(graph.entities[e], graph.values[v]) for e, _, v in graph.literals] == [("Ada", "1815"), ("Bob", "1816")]


def test_pairs_are_names_or_ids_and_may_have_a_header(write):
    source, target = (KnowledgeGraph.of([], entities=names) for names in (["Ada", "Bob"], ["A", "B"]))
    ids = ({"1": "Ada", "2": "Bob"}, {"11": "A", "12": "B"})
    plain = read_pairs(write("p.csv", "source,target,confidence\nBob,A,1.0\n"), source, target)
    assert plain.tolist() == [[1, 0]]
    assert read_pairs(write("ref", "2\t11\n1\tB\n"), source, target, ids).tolist() == [[1, 0], [0, 1]]


def refused(words, work):
    with pytest.raises(InputError, match=words) as error:
        work()
    assert "\n" not in str(error.value)


def test_what_is_wrong_is_said_with_file_and_line(write, tmp_path):
    names = write("ids", "1\tAda\n2\tBob\n")
    refused(
        "t.tsv, line 2: 2 parts; there should be 3, with tabs", lambda: read_triples(write("t.tsv", "a\tb\tc\na\tb"))
    )
    refused("t.csv, line 1: 4 parts", lambda: read_triples(write("t.csv", "a,b,c,d\n")))
    refused("t, line 1: no id '5' in", lambda: read_triples(write("t", "5\t0\t1\n"), names))
    refused("ids2, line 2: the id '1' was there", lambda: read_names(write("ids2", "1\tAda\n1\tBob\n")))
    refused("ids3, line 2: the name 'Ada' was there", lambda: read_names(write("ids3", "1\tAda\n2\tAda\n")))
    refused("no such file", lambda: read_triples(tmp_path / "nothing"))
    refused("no triples in it", lambda: read_triples(write("empty", "")))
    graph = KnowledgeGraph.of([("a", "r", "b")])
    refused("q, line 2: no target entity 'z'", lambda: read_pairs(write("q", "a\tb\nb\tz\n"), graph, graph))
    refused("no pairs in it", lambda: read_pairs(write("h.csv", "source,target\n"), graph, graph))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\t\x80\n")
    refused("can't be read as text", lambda: read_triples(tmp_path / "bytes"))
