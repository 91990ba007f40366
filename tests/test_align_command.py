"""headstart align writes the pairs that the class finds, and refuses in one line."""

import json

import numpy as np
import pandas as pd
import pytest

from headstart.bench.entities import made_graphs, measure_entities, measure_size
from headstart.cli import run_command
from headstart.errors import InputError
from headstart.relations.entity_alignment import EntityAlignment
from headstart.relations.triple_files import read_triples


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two made graphs in the layout of DBP15K, and some pairs by id."""
    folder = tmp_path_factory.mktemp("graphs")
    source, target, truth = made_graphs(150)
    for i, graph, shift in ((1, source, 0), (2, target, 1000)):
        rows = [f"{h + shift}\t{r}\t{t + shift}\n" for h, r, t in graph.triples.tolist()]
        (folder / f"triples_{i}").write_text("".join(rows))
        names = [f"{n + shift}\t{'st'[i - 1]}{name}\n" for n, name in enumerate(graph.entities)]
        (folder / f"ent_ids_{i}").write_text("".join(names))
    rows = [f"{a}\t{b + 1000}\n" for a, b in truth.tolist()]
    (folder / "ref_ent_ids").write_text("".join(rows))
    (folder / "known").write_text("".join(rows[::5]))
    return folder


@pytest.fixture
def arguments(folder, tmp_path):
    at = [str(folder / name) for name in ("triples_1", "triples_2", "ent_ids_1", "ent_ids_2", "known", "ref_ent_ids")]
    return [*at[:2], "--names", *at[2:4], "--pairs", at[4], "--test-pairs", at[5], "--out", str(tmp_path / "p.csv")]


def test_the_file_holds_the_pairs_of_the_class(folder, arguments, tmp_path, capsys):
    assert run_command(["align", *arguments]) == 0
    told = capsys.readouterr().out
    source, target = (read_triples(folder / f"triples_{i}", folder / f"ent_ids_{i}") for i in (1, 2))
    known = [line.split("\t") for line in (folder / "known").read_text().splitlines()]
    pairs = np.array([(int(a), int(b) - 1000) for a, b in known])
    alignment = EntityAlignment().fit(source, target, pairs)
    written = pd.read_csv(tmp_path / "p.csv")
    assert written[["source", "target"]].equals(alignment.pairs_[["source", "target"]])
    np.testing.assert_allclose(written["confidence"], alignment.pairs_["confidence"], atol=5e-5)
    assert "method: structure, 30 known pairs" in told
    assert "test: 120 pairs among their own target entities (120)" in told
    assert "note: 30 test pairs are known ones" in told
    assert told.endswith(f"{tmp_path / 'p.csv'}: {len(written)} pairs\n")


def test_json_tells_the_figures(arguments, capsys):
    assert run_command(["align", *arguments, "--json", "--one-to-one", "assigned"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["known"], told["tested"]["all"]["candidates"]) == (30, 150)
    assert told["tested"]["tested"]["hits@1"] > 0.8
    assert told["sure"] + told["likely"] + told["doubtful"] == told["found"]


def refused(arguments, words, capsys):
    assert run_command(["align", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_mistakes_are_one_line(arguments, folder, tmp_path, capsys):
    (tmp_path / "p.csv").write_text("mine")
    refused(arguments, "exists; name another file, or use --force", capsys)
    known = str(folder / "known")
    refused([*arguments, "--out", known, "--force"], "is read too", capsys)
    refused([*arguments[:5], "--out", str(tmp_path / "q.csv")], "nothing to align by", capsys)
    (tmp_path / "bad").write_text("0\t1000\nnobody\t1001\n")
    bad = [*arguments[:5], "--pairs", str(tmp_path / "bad"), "--out", str(tmp_path / "q.csv")]
    refused(bad, "bad, line 2: no source entity 'nobody'", capsys)
    assert (tmp_path / "p.csv").read_text() == "mine"
    assert not (tmp_path / "q.csv").exists()


def test_the_measuring_splits_and_tells(folder, tmp_path):
    found = measure_entities(folder, 0.2, n_dims=128)
    assert (found["n_seeds"], found["n_tested"], found["settings"]["n_dims"]) == (30, 120, 128)
    assert found["tested"]["hits@1"] >= found["all"]["hits@1"] > 0.7
    assert found["seconds"] > 0
    assert found["peak_mib"] > 1
    with pytest.raises(InputError, match="no triples_1 and no triples_2"):
        measure_entities(tmp_path)
    with pytest.raises(InputError, match="leave pairs"):
        measure_entities(folder, 1.0)


def test_made_graphs_share_what_both_kept():
    source, target, truth = made_graphs(200, kept=1.0)
    place = dict(truth.tolist())
    there = set(map(tuple, target.triples.tolist()))
    assert {(place[h], r, place[t]) for h, r, t in source.triples.tolist()} == there
    assert measure_size(200, n_dims=64)["hits@1"] > 0.9
