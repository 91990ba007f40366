"""headstart recommend: what is fitted comes back, lists are those of the class, figures are those of evaluate."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import headstart
import headstart.delivery
from headstart.cli import run_command
from headstart.errors import InputError
from headstart.readers import Vectorizer
from headstart.recommend import EmbeddingMapping, MatrixFactorization, Ratings
from headstart.recommend.evaluation import evaluate
from headstart.recommend.rating_files import read_ratings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Books and films of people with one taste in both, and a fitted model."""
    folder = tmp_path_factory.mktemp("shops")
    rng = np.random.default_rng(0)
    for name, people in (("books", range(60)), ("films", range(30, 90))):
        rows = [
            (f"u{user}", f"{name[:-1]} {item}", int(np.clip(rng.normal(4 if item % 3 == user % 3 else 2, 0.6), 1, 5)))
            for user in people
            for item in range(24)
            if rng.random() < (0.5 if item % 3 == user % 3 else 0.08)
        ]
        table = pd.DataFrame(rows, columns=["user", "item", "rating"])
        table.to_csv(folder / f"{name}-rated.csv", index=False)
        table.drop(columns="rating").to_csv(folder / f"{name}.csv", index=False)
    assert run_command(["recommend", "fit", *files(folder), "-t", "films", "-o", str(folder / "model"), "--quiet"]) == 0
    return folder


def files(folder, rated=False):
    return [str(folder / f"{name}{'-rated' * rated}.csv") for name in ("books", "films")]


def said(capsys, *arguments):
    capsys.readouterr()
    assert run_command(["recommend", *map(str, arguments)]) == 0
    return capsys.readouterr()


def refused(capsys, words, *arguments):
    capsys.readouterr()
    assert run_command(["recommend", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


def test_the_model_that_is_loaded_recommends_what_the_class_does(folder):
    model = headstart.load(folder / "model")
    fitted = EmbeddingMapping().fit(read_ratings(files(folder)), "films", learner=MatrixFactorization())
    for user in ("u3", "u40", "u80", "nobody"):
        one, other = model.recommend(user, 5), fitted.recommend(user, 5)
        assert one.items.tolist() == other.items.tolist()
        np.testing.assert_array_equal(one.scores, other.scores)
        assert one.how == other.how
    rows = Ratings.of(["u3", "u40"], ["film 0", "film 1"], "films")
    np.testing.assert_array_equal(model.ranks(rows), fitted.recommender().ranks(rows))
    assert model.card["rows"] == "ratings"
    assert (model.card["method"], model.card["target"], model.card["sources"]) == (
        "EmbeddingMapping",
        "films",
        ["books"],
    )


def test_a_model_of_a_table_recommends_nothing():
    model = headstart.delivery.Model(Vectorizer("passthrough"), LogisticRegression(), "classification")
    with pytest.raises(InputError, match="is no recommender"):
        model.recommend("ann")


def test_lists_are_printed_and_written_alike(folder, tmp_path, capsys):
    model = headstart.load(folder / "model")
    shown = said(capsys, "top", folder / "model", "--user", "u3", "-u", "nobody", "-k", "3", "--explain").out
    assert "u3: from history in books, carried to films" in shown
    assert "nobody: from popularity, for want of a history" in shown
    assert "(books)" in shown
    told = json.loads(said(capsys, "top", folder / "model", "--user", "u3", "-k", "3", "--json").out)
    assert [each["item"] for each in told[0]["items"]] == model.recommend("u3", 3).items.tolist()
    (tmp_path / "who.txt").write_text("u3\nu40\n")
    out = tmp_path / "top.csv"
    assert said(capsys, "top", folder / "model", "--users", tmp_path / "who.txt", "-o", out).out.startswith(
        f"{out}: 20 "
    )
    table = pd.read_csv(out)
    for user in ("u3", "u40"):
        assert table.loc[table["user"] == user, "item"].tolist() == model.recommend(user).items.tolist()
    said(capsys, "top", folder / "model", "--user", "u3", "-o", tmp_path / "top.json")
    assert json.loads((tmp_path / "top.json").read_text())[0]["user"] == "u3"


def test_candidates_and_what_was_seen(folder, tmp_path, capsys):
    (tmp_path / "some.txt").write_text("item\nfilm 1\nfilm 2\nnever heard of\n")
    asked = ["top", folder / "model", "-u", "u3", "--candidates", tmp_path / "some.txt", "--json"]
    items = [each["item"] for each in json.loads(said(capsys, *asked).out)[0]["items"]]
    assert sorted(items) == ["film 1", "film 2"]
    seen = pd.read_csv(folder / "films.csv").query("user == 'u40'")["item"].tolist()
    for more, there in (([], 0), (["--include-seen"], len(seen))):
        told = json.loads(said(capsys, "top", folder / "model", "-u", "u40", "-k", 99, "--json", *more).out)
        assert len({each["item"] for each in told[0]["items"]} & set(seen)) == there


def test_somebody_new_is_folded_in_by_a_file(folder, tmp_path, capsys):
    model = headstart.load(folder / "model")
    (tmp_path / "history.csv").write_text("user,domain,item\neve,books,book 3\neve,books,book 6\nsue,films,film 1\n")
    told = json.loads(said(capsys, "top", folder / "model", "--history", tmp_path / "history.csv", "--json").out)
    assert [each["user"] for each in told] == ["eve", "sue"]
    guest = model.recommender.fold_in([("books", "book 3"), ("books", "book 6")])
    assert [each["item"] for each in told[0]["items"]] == model.recommend(guest).items.tolist()
    (tmp_path / "books.csv").write_text("item\nbook 3\nbook 6\n")
    again = json.loads(said(capsys, "top", folder / "model", "--history", tmp_path / "books.csv", "--json").out)
    assert (again[0]["user"], again[0]["items"]) == ("guest", told[0]["items"])
    (tmp_path / "bad.csv").write_text("item,domain\nbook 3,\n")
    refused(capsys, "row 1: the domain is missing", "top", folder / "model", "--history", tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_text("item\nbook 3\n")
    refused(
        capsys,
        "no domain column, which must say 'books', 'films'",
        "top",
        folder / "model",
        "--history",
        tmp_path / "bad.csv",
    )
    (tmp_path / "bad.csv").write_text("item,domain\nbook 333,books\n")
    refused(
        capsys, "guest: no item of this history is known", "top", folder / "model", "--history", tmp_path / "bad.csv"
    )


def test_figures_are_those_of_evaluate(folder, tmp_path, capsys):
    names = ["item-knn", "cross-domain-item-knn"]
    out = tmp_path / "evaluation.json"
    shown = said(
        capsys, "evaluate", *files(folder), "-t", "films", "-m", ",".join(names), "--share", "0.8", "-o", out
    ).out
    told = evaluate(names, read_ratings(files(folder)), "films", share=0.8, learner=MatrixFactorization(random_state=0))
    written = json.loads(out.read_text())
    for document in (written, expected := told.document()):
        for each in document["methods"]:
            each.pop("seconds")
    assert written == expected
    assert shown.splitlines()[-2:] == [told.sentence, f"figures: {out}"]
    assert "ranked among: all 24 items" in shown
    assert "users of films who stand in books too: 30" in shown
    assert "twins: none of 24 items" in shown
    sampled = said(capsys, "evaluate", *files(folder), "-t", "films", "-m", ",".join(names), "--negatives", "5").out
    assert "SAMPLED: 5 random items" in sampled
    quiet = said(capsys, "evaluate", *files(folder), "-t", "films", "-m", ",".join(names), "--quiet").out
    assert quiet.count("\n") == 1


def test_ratings_are_judged_by_their_errors_unless_they_are_left_out(folder, capsys):
    asked = ["evaluate", *files(folder, True), "-t", "films-rated", "-m", "global-mean,embedding-mapping", "--json"]
    told = json.loads(said(capsys, *asked, "--scale", 1, 5, "--protocol", "random").out)
    assert told["metric"] == "MAE"
    assert set(told["methods"][0]["scores"]) == {"MAE", "RMSE"}
    assert json.loads(said(capsys, *asked, "--events").out)["metric"] == "NDCG@10"


def test_mistakes_are_one_line_and_nothing_is_written(folder, tmp_path, capsys):
    out = tmp_path / "m"
    both = files(folder)
    refused(capsys, "did you mean 'films'", "fit", *both, "-t", "film", "-o", out)
    refused(
        capsys,
        "no recommender 'popul'; did you mean 'popularity'",
        "fit",
        *both,
        "-t",
        "films",
        "-m",
        "popul",
        "-o",
        out,
    )
    refused(capsys, "no domain but films", "fit", both[1], "-t", "films", "-o", out)
    refused(capsys, "no such file", "fit", both[0], folder / "flims.csv", "-t", "films", "-o", out)
    refused(
        capsys,
        "the rating 1 is not on the scale",
        "fit",
        *files(folder, True),
        "-t",
        "films-rated",
        "--scale",
        2,
        5,
        "-o",
        out,
    )
    assert not out.exists()
    refused(capsys, "is not empty", "fit", *both, "-t", "films", "-o", folder / "model")
    refused(capsys, "for whom? give --user", "top", folder / "model")
    refused(capsys, "must end in .csv or .json", "top", folder / "model", "-u", "u3", "-o", tmp_path / "x.txt")
    (tmp_path / "x.csv").write_text("mine")
    refused(
        capsys,
        "exists; name another file, or use --force",
        "top",
        folder / "model",
        "-u",
        "u3",
        "-o",
        tmp_path / "x.csv",
    )
    assert (tmp_path / "x.csv").read_text() == "mine"
    strangers = tmp_path / "strangers.csv"
    strangers.write_text("user,item\n" + "\n".join(f"other{u},book {i}" for u in range(20) for i in range(3)) + "\n")
    refused(capsys, "codebook-transfer, which needs none", "fit", strangers, both[1], "-t", "films", "-o", out)
    refused(capsys, "so there are no cold users", "evaluate", strangers, both[1], "-t", "films", "-m", "item-knn")


def test_force_replaces_a_model_whole(folder, tmp_path, capsys):
    out = tmp_path / "model"
    said(capsys, "fit", *files(folder), "-t", "films", "-m", "item-knn", "-o", out, "--quiet")
    said(capsys, "fit", *files(folder), "-t", "books", "-m", "cross-domain-item-knn", "-o", out, "--quiet", "--force")
    assert headstart.load(out).card["target"] == "books"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
