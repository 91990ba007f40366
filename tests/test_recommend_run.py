"""A run on ratings: what is found out, delivered, saved, loaded and told."""

import json

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.cli import run_command
from headstart.errors import InputError
from headstart.recommend import ItemKNN, MatrixFactorization, Ratings, ratings_domain

LEARNER = MatrixFactorization(n_factors=6, iterations=6)
QUICK = {"repeats": 1, "curve_draws": 1}
USERS, GAMES, SHOWS = 80, 20, 24


def world(*, planted=True, rated=False, seed=0, users=USERS):
    """What users played and watched; both by one taste of each where it is planted, else by two."""
    rng = np.random.default_rng(seed)
    tastes = rng.normal(size=(users, 2))
    others = tastes if planted else rng.normal(size=(users, 2))
    tables = []
    for name, count, many, of_users in (("game", GAMES, 8, tastes), ("show", SHOWS, 5, others)):
        liked = of_users @ rng.normal(size=(count, 2)).T + 0.2 * rng.normal(size=(users, count))
        rows = []
        for user in range(users):
            chosen = rng.choice(count, many, replace=False) if rated else np.argsort(-liked[user])[:many]
            rows += [(user, f"{name} {i}", float(np.clip(np.round(3 + liked[user, i]), 1, 5))) for i in chosen]
        tables.append(pd.DataFrame(rows, columns=["user", "item", "rating"]))
    return tables


def domains(tables, *, rated=False, held_out="users", **options):
    return [
        ratings_domain(table, rating="rating" if rated else None, name=name, held_out=held_out, **options)
        for table, name in zip(tables, ("games", "shows"), strict=True)
    ]


@pytest.fixture(scope="module")
def helped():
    return headstart.run(*domains(world()), learner=LEARNER, **QUICK)


def test_shared_tastes_help_users_who_start_cold(helped):
    assert helped.verdict == "helps"
    assert helped.decision.delivered != "target-only"
    assert helped.metric == "NDCG@10"
    assert "NDCG@10" in helped.sentence
    assert "all rows of a user held out together" in helped.gain.how
    assert "a user of one domain is the user of the same id" in helped.notes[0]
    assert {line.name for line in helped.tried} >= {"target-only", "collective-mf", "cross-domain-item-knn"}


def test_a_source_of_other_tastes_is_not_delivered():
    result = headstart.run(*domains(world(planted=False)), learner=LEARNER, **QUICK)
    assert result.verdict != "helps"
    assert result.decision.delivered == "target-only"
    assert result.model.recommend(3, k=4).items.shape == (4,)
    assert result.model.predict(result.target).shape == (len(result.target),)


def test_ratings_are_predicted_better_with_the_source_and_single_rows_may_be_held_out():
    result = headstart.run(*domains(world(rated=True), rated=True, held_out="rows"), learner=LEARNER, **QUICK)
    assert result.metric == "mean absolute error"
    assert "rows held out one by one" in result.gain.how
    assert "interval over users" in result.gain.how
    assert result.gain.gain > 0
    table = result.predictions
    assert table.columns.tolist() == ["row", "user", "item", "rating", "prediction"]
    assert np.array_equal(table["user"], result.target.X.users)
    assert np.array_equal(table["rating"].astype(float), result.target.y)
    assert {line.column for line in result.findings.slices} == {"other rows in shows", "rows in games"}


def test_what_is_delivered_is_saved_and_recommends_the_same_when_loaded(helped, tmp_path):
    helped.save(tmp_path / "out")
    model = headstart.load(tmp_path / "out" / "model")
    rows = Ratings.of([3, 500], ["show 1", "show 2"], "shows")
    assert np.array_equal(model.predict(rows), helped.model.predict(rows))
    assert np.array_equal(model.ranks(rows), helped.model.ranks(rows))
    one, other = model.recommend(3, k=5), helped.model.recommend(3, k=5)
    assert one.items.tolist() == other.items.tolist()
    assert model.recommender.explain(3, one.items[0]).shape == (5, 3)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Who is recommended what?" in page
    assert "80 of the 80 users of shows stand in games too" in page
    assert "parts of the users" in page
    assert "users and items" in (tmp_path / "out" / "model_card.md").read_text()
    told = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [each["name"] for each in told["recommendation"]["domains"]] == ["games", "shows"]
    assert told["recommendation"]["domains"][0]["density"] == pytest.approx(8 / GAMES)
    assert len(told["recommendation"]["examples"]) == 5
    assert all(len(each["items"]) == 5 for each in told["recommendation"]["examples"])
    assert "label" not in helped.predictions.columns


def test_the_verdict_may_rest_on_test_rows():
    source, target = domains(world())
    held = target.X.users >= 50
    test = target.rows(held)
    result = headstart.run(source, target.rows(~held), test=test, learner=LEARNER, repeats=1, curve_draws=0)
    assert "of 30 users" in result.gain.how
    assert result.verdict == "helps"
    assert {line.value for line in result.findings.slices if line.column == "rows in shows"} == {"none"}


def test_other_metrics_and_learners_are_taken_by_name():
    source, target = domains(world(), held_out="rows")
    result = headstart.run(source, target, learner="item-knn", metric="hit-rate@10", repeats=1, curve_draws=0)
    assert result.metric == "hit rate@10"
    assert result.settings["learner"] == repr(ItemKNN())
    assert "takes" in result.left_out["collective-mf"] or "take" in result.left_out["collective-mf"]
    with pytest.raises(InputError, match="NDCG@10"):
        headstart.run(source, target, metric="accuracy")
    with pytest.raises(InputError, match="no learner of ratings"):
        headstart.run(source, target, learner="forest")
    with pytest.raises(InputError, match="orders items and tells no ratings"):
        headstart.run(*domains(world(rated=True), rated=True), learner="item-knn")


def test_several_sources_stand_side_by_side():
    games, shows = world()
    odd = games["item"].str.endswith(("1", "3", "5", "7", "9"))
    target = ratings_domain(shows, name="shows", held_out="users")
    sources = [
        ratings_domain(part, name=name, held_out="users") for part, name in ((games[odd], "a"), (games[~odd], "b"))
    ]
    result = headstart.run(sources, target, learner=LEARNER, methods=["collective-mf"], repeats=1, curve_draws=0)
    assert result.verdict == "helps"
    assert [each.name for each in result.findings.recommendation.domains] == ["a", "b", "shows"]


def test_domains_that_do_not_fit_are_refused_in_a_line():
    source, target = domains(world())
    other = domains(world(), shared="none")[0]
    with pytest.raises(InputError, match="shares none and shows users"):
        headstart.run(other, target)
    with pytest.raises(InputError, match="has ratings and"):
        headstart.run(domains(world(rated=True), rated=True)[0], target)
    with pytest.raises(InputError, match="a table and shows ratings"):
        headstart.run(headstart.Domain(np.eye(3), [0, 1, 0], "table"), target)
    with pytest.raises(InputError, match="share none"):
        headstart.run(*domains(world(), shared="none"))
    with pytest.raises(InputError, match="histories of users"):
        headstart.learn(source, "collective-mf")
    model = headstart.run(*domains(world()), learner=LEARNER, repeats=1, curve_draws=0).model
    assert model.recommender.target == "shows"


def test_a_model_of_a_table_recommends_nothing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    halves = headstart.Domain(X[:30], y[:30], "a"), headstart.Domain(X[30:], y[30:], "b")
    result = headstart.run(*halves, methods=["pooled"], **QUICK)
    with pytest.raises(InputError, match="no recommender"):
        result.model.recommend(1)
    with pytest.raises(InputError, match="no recommender"):
        result.model.ranks(X)


def test_the_command_line_reads_files_of_users_and_items(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for table, name in zip(world(), ("games", "shows"), strict=True):
        table.drop(columns="rating").to_csv(f"{name}.csv", index=False)
    columns = ["--user", "user", "--item", "item"]
    quick = ["--repeats", "1", "-m", "cross-domain-item-knn", "--quiet"]
    assert run_command(["run", "games.csv", "shows.csv", *columns, "--hold-out", "users", *quick, "--out", "one"]) == 0
    assert "transfer helps: NDCG@10" in capsys.readouterr().out
    pd.DataFrame({"user": [1, 999], "item": ["show 1", "show 2"]}).to_csv("new.csv", index=False)
    assert run_command(["predict", "one/model", "new.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "row,user,item,prediction"
    assert lines[1].startswith("1,1,show 1,")
    assert run_command(["run", "games.csv", "shows.csv", "--user", "user", *quick, "--out", "two"]) == 2
    assert "name both" in capsys.readouterr().err
    assert run_command(["run", "games.csv", "shows.csv", *columns, "--label", "item", *quick, "--out", "two"]) == 2
    assert "--label is not for ratings" in capsys.readouterr().err
    assert run_command(["run", "games.csv", "shows.csv", "--user", "usr", "--item", "item", "--out", "two"]) == 2
    assert "no user column 'usr'" in capsys.readouterr().err


def test_the_command_line_reads_one_file_with_ratings_on_a_scale(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tables = world(rated=True, users=12)
    whole = pd.concat([table.assign(shop=name) for table, name in zip(tables, ("games", "shows"), strict=True)])
    whole.to_csv("all.csv", index=False)
    line = ["run", "all.csv", "--domain-column", "shop", "-t", "shows", "--user", "user", "--item", "item"]
    line += ["--rating", "rating", "--learner", "auto", "-m", "collective-mf", "--repeats", "1", "--folds", "2"]
    assert run_command([*line, "--scale", "2", "5", "--out", "no"]) == 2
    assert "not on the scale of 2 to 5" in capsys.readouterr().err
    assert run_command([*line, "--scale", "1", "5", "--out", "out", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metric"]["name"] == "mean absolute error"
    assert told["recommendation"]["explicit"] is True
