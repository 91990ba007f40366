"""The command line as a user meets it: the same verdict every way, one line for every mistake."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.catalogue import names_in
from headstart.cli import run_command

THREE = ["pooled", "coral", "regular-transfer"]
ONCE = ["--repeats", "1", "--quiet"]
QUICK = [*ONCE, *(part for name in THREE for part in ("-m", name))]


def command(*arguments):
    return run_command([str(argument) for argument in arguments])


@pytest.fixture
def here(mixed_files, monkeypatch):
    monkeypatch.chdir(mixed_files)
    return mixed_files


def sentence(out):
    return json.loads((out / "result.json").read_text())["sentence"]


def test_one_file_two_files_and_python_give_the_same_verdict(here, patients, capsys):
    one = command(
        "run", "patients.csv", "--domain-column", "group", "--source", "younger", "--target", "older",
        "--label", "progressed", "--out", "one", *QUICK,
    )  # fmt: skip
    two = command("run", "younger.csv", "older.csv", "--label", "progressed", "--out", "two", *QUICK)
    named = command("run", "-s", "younger.csv", "-t", "older.csv", "-l", "progressed", "--out", "named", *QUICK)
    assert (one, two, named) == (0, 0, 0)
    source = headstart.read("younger.csv", label="progressed")
    target = headstart.read("older.csv", label="progressed")
    result = headstart.run(source, target, methods=THREE, repeats=1)
    assert sentence(here / "one") == sentence(here / "two") == sentence(here / "named") == result.sentence
    assert result.sentence in capsys.readouterr().out


def test_source_given_twice_equals_a_list_of_domains(here, patients):
    younger = pd.read_csv("younger.csv")
    younger[:100].to_csv("first.csv", index=False)
    younger[100:].to_csv("second.csv", index=False)
    assert command("run", "-s", "first.csv", "-s", "second.csv", "-t", "older.csv", "-l", "progressed", *QUICK) == 0
    assert command("run", "first.csv", "second.csv", "older.csv", "-l", "progressed", "--out", "p", *QUICK) == 0
    assert command("run", "younger.csv", "older.csv", "-l", "progressed", "--out", "whole", *QUICK) == 0
    sources = [headstart.read(name, label="progressed") for name in ("first.csv", "second.csv")]
    result = headstart.run(sources, headstart.read("older.csv", label="progressed"), methods=THREE, repeats=1)
    assert sentence(here / "out") == sentence(here / "p") == sentence(here / "whole") == result.sentence


def test_a_run_writes_its_five_things_and_predict_repeats_its_predictions(here, capsys):
    assert command("run", "younger.csv", "older.csv", "-l", "progressed", "--guard", "off", *QUICK) == 0
    assert sorted(path.name for path in (here / "out").iterdir()) == [
        "model",
        "model_card.md",
        "predictions.csv",
        "report.html",
        "result.json",
    ]
    assert command("predict", "out/model", "older.csv", "-o", "again.csv") == 0
    run, again = pd.read_csv("out/predictions.csv", dtype=str), pd.read_csv("again.csv", dtype=str)
    pd.testing.assert_frame_equal(run.drop(columns="label"), again)
    capsys.readouterr()
    assert command("predict", "out/model", "older.csv") == 0
    assert capsys.readouterr().out == (here / "again.csv").read_text()


def test_learn_then_carry_gives_the_predictions_of_run(here, capsys):
    settings = ["--seed", "4", "--guard", "off", *ONCE]
    assert command("learn", "younger.csv", "-l", "progressed", "-o", "y.knowledge") == 0
    assert "no source row inside" in capsys.readouterr().out
    assert command("carry", "y.knowledge", "older.csv", "--out", "carried", *settings) == 0
    run = ["run", "younger.csv", "older.csv", "-l", "progressed", "-m", "regular-transfer", "--out", "whole"]
    assert command(*run, *settings) == 0
    assert (here / "carried/predictions.csv").read_bytes() == (here / "whole/predictions.csv").read_bytes()
    assert sentence(here / "carried") == sentence(here / "whole")
    manifest = headstart.store.read_archive(here / "y.knowledge", "knowledge")[0]
    assert manifest["holds_source_rows"] is False
    assert manifest["inside"]["arrays"]["W"][0] == 1


def test_a_target_without_the_label_column_is_unlabelled(here, capsys):
    pd.read_csv("older.csv").drop(columns="progressed").to_csv("new.csv", index=False)
    assert command("run", "younger.csv", "new.csv", "-l", "progressed", *ONCE, "-m", "pooled", "-m", "coral") == 0
    assert "a gain cannot be proven" in capsys.readouterr().out


def test_json_prints_the_document_and_nothing_else(here, capsys):
    arguments = [
        "run",
        "younger.csv",
        "older.csv",
        "-l",
        "progressed",
        "-m",
        "pooled",
        "--repeats",
        "1",
        "--json",
    ]
    assert command(*arguments) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["schema"] == 1
    assert printed.err == ""


def test_methods_lists_the_catalogue(capsys):
    assert command("methods") == 0
    assert "regular-transfer" in capsys.readouterr().out
    assert command("methods", "--family", "model-based", "--json") == 0
    listed = [line["method"] for line in json.loads(capsys.readouterr().out)]
    assert listed == [
        "regular-transfer",
        "transfer-tree",
        "transfer-forest",
        "adaptive-svm",
        "warm-start",
        "blend",
        *names_in("fine-tuning"),
    ]


@pytest.mark.parametrize("name", ["demo", "run", "learn", "carry", "predict", "map", "methods"])
def test_every_command_has_help(name, capsys):
    assert command(name, "--help") == 0
    assert "Usage: headstart" in capsys.readouterr().out


def bad_files(folder):
    younger = pd.read_csv(folder / "younger.csv")
    younger.assign(progressed="yes").to_csv(folder / "oneclass.csv", index=False)
    younger.assign(progressed=None).to_csv(folder / "unlabelled.csv", index=False)
    younger.assign(age=np.inf).to_csv(folder / "infinite.csv", index=False)
    pd.DataFrame({"weight": [1, 2], "progressed": ["yes", "no"]}).to_csv(folder / "stranger.csv", index=False)
    older = pd.read_csv(folder / "older.csv").astype({"bmi": object})
    older.loc[3, "bmi"] = "heavy"
    older.to_csv(folder / "text.csv", index=False)
    few = pd.read_csv(folder / "older.csv")
    few["progressed"] = few["progressed"].where(few.index < 1)
    few.to_csv(folder / "few.csv", index=False)
    pd.read_csv(folder / "older.csv").assign(progressed=1.5).to_csv(folder / "numbers.csv", index=False)
    (folder / "empty.csv").write_text("")
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    (folder / "twice.csv").write_text("age,age,progressed\n1,2,yes\n")
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.txt").write_text("years of work")


RUN = ["run", "younger.csv", "older.csv", "--label", "progressed"]
ONE = ["run", "patients.csv", "--domain-column", "group", "--label", "progressed"]
MISTAKES = {
    "no such file": (
        ["run", "yonger.csv", "older.csv", "-l", "progressed"],
        "no such file; did you mean 'younger.csv'",
    ),
    "empty file": (["run", "empty.csv", "older.csv", "-l", "progressed"], "is empty"),
    "a folder": (["run", "taken", "older.csv", "-l", "progressed"], "is a folder"),
    "not text": (["run", "binary.csv", "older.csv", "-l", "progressed"], "is not text"),
    "no label column": (["run", "younger.csv", "older.csv", "-l", "progresed"], "did you mean 'progressed'"),
    "no domain column": (
        ["run", "patients.csv", "--domain-column", "grup", "-t", "older"],
        "did you mean 'group'",
    ),
    "no such domain": ([*ONE, "-s", "middle", "-t", "older"], "there is 'older', 'younger'"),
    "no target named": ([*ONE, "-s", "younger"], "needs --target"),
    "no shared columns": (
        ["run", "stranger.csv", "older.csv", "-l", "progressed", "--spaces", "same"],
        "no shared columns",
    ),
    "one class": (["run", "oneclass.csv", "unlabelled.csv", "-l", "progressed"], "one class only"),
    "fewer rows than classes": (
        ["run", "younger.csv", "few.csv", "-l", "progressed"],
        "1 labelled rows for 2 classes",
    ),
    "unlabelled source": (
        ["run", "unlabelled.csv", "older.csv", "-l", "progressed"],
        "all labels are missing",
    ),
    "no label given": (["run", "younger.csv", "older.csv"], "all labels are missing"),
    "infinite": (["run", "infinite.csv", "older.csv", "-l", "progressed"], "infinite"),
    "NaN in a method": ([*RUN, "--learner", "svm", "--task", "clasification"], "task must be"),
    "two columns alike": (["run", "twice.csv", "older.csv", "-l", "progressed"], "'age' is there twice"),
    "text in numbers": (
        ["run", "younger.csv", "text.csv", "-l", "progressed"],
        "'bmi', row 4: 'heavy' is not a number",
    ),
    "other labels": (["run", "younger.csv", "numbers.csv", "-l", "progressed"], "write them one way"),
    "taken folder": ([*RUN, "--out", "taken"], "exists and is not empty"),
    "out is a file": ([*RUN, "--out", "older.csv"], "is a file"),
    "unknown method": ([*RUN, "-m", "corla"], "did you mean 'coral'"),
    "unknown learner": ([*RUN, "--learner", "svn"], "did you mean 'svm'"),
    "unknown option": ([*RUN, "--lable", "x"], "No such option"),
    "a word for a number": ([*RUN, "--seed", "one"], "valid integer"),
    "one file only": (["run", "younger.csv", "-l", "progressed"], "give a source file and a target file"),
    "the same file twice": (
        ["run", "younger.csv", "younger.csv", "-l", "progressed"],
        "two domains are called",
    ),
    "no model": (["predict", "nowhere", "older.csv"], "no such folder"),
    "not a model": (["predict", "taken", "older.csv"], "holds no manifest.json"),
    "not knowledge": (["carry", "older.csv", "older.csv"], "is not a headstart knowledge file"),
    "rows can't travel": (
        ["learn", "younger.csv", "-l", "progressed", "-m", "kmm", "-o", "k"],
        "needs the source rows",
    ),
    "rows would travel": (
        ["learn", "younger.csv", "-l", "progressed", "-m", "source-only", "--learner", "svm", "-o", "k"],
        "keeps rows",
    ),
    "unknown family": (["methods", "--family", "features"], "did you mean 'feature-based'"),
    "unknown command": (["rnu"], "Did you mean 'run'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_status_2_and_nothing_written(here, name, capsys):
    arguments, message = MISTAKES[name]
    bad_files(here)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert command(*arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_predicting_rows_without_a_needed_column_is_refused(here, capsys):
    assert command(*RUN, *QUICK) == 0
    pd.read_csv("older.csv").drop(columns="bmi").to_csv("short.csv", index=False)
    assert command("predict", "out/model", "short.csv") == 2
    assert "no column 'bmi'" in capsys.readouterr().err


def test_an_existing_predictions_file_is_not_overwritten(here, capsys):
    assert command(*RUN, *QUICK) == 0
    assert command("predict", "out/model", "older.csv", "-o", "younger.csv") == 2
    assert "exists; name another file, or use --force" in capsys.readouterr().err


def test_force_runs_again_into_the_same_folder(here):
    assert command(*RUN, *QUICK) == 0
    assert command(*RUN, *QUICK) == 2
    assert command(*RUN, *QUICK, "--force") == 0


def test_ctrl_c_leaves_nothing_half_written(here):
    process = subprocess.Popen(
        [sys.executable, "-m", "headstart", *RUN, "--repeats", "500"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    # The first stage is over: imports are done and the trial runs.
    assert "look" in process.stderr.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopped; nothing was written" in error
    assert "Traceback" not in error
    assert sorted(path.name for path in here.iterdir()) == ["older.csv", "patients.csv", "younger.csv"]


def test_the_demo_shows_that_digits_of_mnist_help_to_read_ucis(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "headstart", "demo", "--out", tmp_path / "out"],
        check=True,
        capture_output=True,
        text=True,
    )
    *_, verdict, report = done.stdout.strip().splitlines()
    assert verdict.startswith("transfer helps: accuracy 0.8")
    assert "95% CI +" in verdict
    assert "worth about" in verdict
    assert report.endswith("report.html")
    curve = json.loads((tmp_path / "out" / "result.json").read_text())["curve"]
    at = dict(zip(curve["sizes"], zip(curve["target_only"], curve["transfer"], strict=True), strict=True))
    # A support vector machine: about 0.68 against 0.80 with one row a class, nearly no head start with 16.
    assert at[10][1] - at[10][0] > 0.1
    assert at[160][1] - at[160][0] < 0.04
    assert at[160][0] > 0.92
