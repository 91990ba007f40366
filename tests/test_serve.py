"""headstart serve answers as the model does, refuses in one line, and stops when it is told to."""

import asyncio
import base64
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.cli import run_command
from headstart.delivery import Model
from headstart.errors import InputError
from headstart.readers import Vectorizer
from headstart.recommend import MatrixFactorization
from headstart.serve.limits import Limits
from headstart.serve.service import Service, TooMuchError

JSON = {"Content-Type": "application/json"}


@contextmanager
def served(folder, *options):
    """Run the command in a process of its own, and give its port and the process."""
    command = [sys.executable, "-m", "headstart", "serve", str(folder), "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)", line)
        assert found, line + process.stderr.read()
        assert found[1] == "127.0.0.1"
        port = int(found[2])
        for _ in range(300):
            if ask(port, "GET", "/ready")[0] == 200:
                break
            time.sleep(0.05)
        yield port, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def ask(port, method, path, body=None, headers=JSON):
    """Return the status and the answer to one request."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    line.request(method, path, body, headers)
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return answer.status, json.loads(text) if "json" in answer.headers["content-type"] else text


@pytest.fixture(scope="module")
def recommender():
    """A recommender of made likes: even users like even shows."""
    rng = np.random.default_rng(0)
    rows = [
        (user, f"show {2 * int(i) + user % 2}", "video") for user in range(60) for i in rng.choice(12, 6, replace=False)
    ]
    likes = pd.DataFrame(rows, columns=["user", "item", "domain"])
    return MatrixFactorization(n_factors=8, penalty=1.0).fit(likes).recommender_


@pytest.fixture(scope="module")
def recommending(recommender, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recommender") / "model"
    card = {"method": "MatrixFactorization", "target": "video", "rows": "ratings"}
    Model(Vectorizer("passthrough"), recommender, "ranking", card).save(folder)
    with served(folder, "--max-bytes", "20000", "--max-rows", "50", "--max-k", "20") as (port, process):
        yield port, process


@pytest.fixture(scope="module")
def table_model():
    """A model of a table of a number and a category."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(50, 10, 120), "town": rng.choice(["Ulm", "Bonn"], 120)})
    frame["ill"] = np.where(frame["age"] + 5 * (frame["town"] == "Ulm") + rng.normal(size=120) > 52, "yes", "no")
    source, target = (
        headstart.read(part, label="ill", name=name) for part, name in ((frame[:60], "a"), (frame[60:], "b"))
    )
    return headstart.run(source, target, methods=["pooled"], repeats=1, curve_draws=0).model


@pytest.fixture(scope="module")
def predicting(table_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table") / "model"
    table_model.save(folder)
    with served(folder) as (port, process):
        yield port, process


def test_a_table_is_predicted_as_the_model_does(table_model, predicting):
    rows = [{"age": 60.5, "town": "Ulm", "note": "left out"}, {"age": None, "town": "Bonn", "note": ""}]
    status, found = ask(predicting[0], "POST", "/predict", {"rows": rows})
    assert status == 200
    frame = pd.DataFrame(rows)[["age", "town"]]
    assert found["predictions"] == table_model.predict(frame).tolist()
    np.testing.assert_allclose(found["probabilities"], table_model.predict_proba(frame))
    assert found["classes"] == ["no", "yes"]
    status, about = ask(predicting[0], "GET", "/")
    assert (status, about["columns"]) == (200, {"age": "number", "town": "category"})


def test_wrong_rows_of_a_table_are_refused_with_their_place(predicting):
    fine = {"age": 1, "town": "Ulm"}
    for rows, words in (
        ([fine, {"town": "Ulm"}], "row 2: no 'age'; write null where the value is missing"),
        (
            [fine, {"age": "old", "town": "Ulm"}],
            "column 'age', row 2: 'old' is not a number, and the column is numeric",
        ),
        ([[1, 2]], "row 1: the model takes tables; write a row as an object, a name for each value"),
        ([fine] * 1001, "1001 rows; give 1000 at most in one request"),
    ):
        status, told = ask(predicting[0], "POST", "/predict", {"rows": rows})
        assert (status, told) == (413 if len(rows) > 1000 else 422, {"error": words})
    status, told = ask(predicting[0], "POST", "/recommend", {"user": 1})
    assert (status, told["error"]) == (422, "this model recommends nothing; ask /predict")


def test_items_are_recommended_as_the_recommender_does(recommender, recommending):
    port, _ = recommending
    status, found = ask(port, "POST", "/recommend", {"user": 7, "k": 4, "explain": True})
    best = recommender.recommend(7, 4)
    assert (status, [each["item"] for each in found["items"]], found["how"]) == (200, best.items.tolist(), best.how)
    np.testing.assert_allclose([each["score"] for each in found["items"]], best.scores, rtol=1e-5)
    first = recommender.explain(7, best.items[0], 3)
    assert [each["item"] for each in found["items"][0]["because"]] == first["item"].tolist()
    history = [{"domain": "video", "item": f"show {2 * i}"} for i in range(3)]
    candidates = [f"show {i}" for i in range(12)]
    found = ask(port, "POST", "/recommend", {"history": history, "k": 2, "candidates": candidates})[1]
    guest = recommender.fold_in([("video", event["item"]) for event in history])
    assert [each["item"] for each in found["items"]] == recommender.recommend(
        guest, 2, candidates=candidates
    ).items.tolist()
    found = ask(port, "POST", "/similar", {"item": "show 3", "k": 2})[1]
    assert [each["item"] for each in found["items"]] == recommender.similar_items("show 3", 2).items.tolist()
    rows = [{"user": 7, "item": "show 1"}, {"user": 8, "item": "show 1"}]
    scores = ask(port, "POST", "/predict", {"rows": rows})[1]["predictions"]
    assert scores[0] > scores[1]


def test_an_unknown_user_gets_what_is_popular_and_is_told_so(recommending):
    status, found = ask(recommending[0], "POST", "/recommend", {"user": "a stranger \ud83d\ude00", "k": 2})
    assert (status, len(found["items"]), found["how"]) == (200, 2, "popularity, for want of a history")


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [
        ("POST", "/recommend", b"{nope", JSON, 400, "the body is no JSON"),
        ("POST", "/recommend", b"[" * 19_000, JSON, 400, "body"),
        ("POST", "/recommend", b"\xff\xfe", JSON, 400, "body"),
        ("POST", "/recommend", {"user": [1]}, JSON, 422, "user: Input should be a valid integer or a valid string"),
        ("POST", "/recommend", {"user": True}, JSON, 422, "user"),
        ("POST", "/recommend", {"k": 3}, JSON, 422, "give a user or a history, one of both"),
        ("POST", "/recommend", {"user": 1, "K": 3}, JSON, 422, "K: "),
        ("POST", "/recommend", {"user": 1, "k": 0}, JSON, 422, "k: "),
        ("POST", "/recommend", {"user": 1, "k": 21}, JSON, 422, "k is 21; it is 20 at most"),
        ("POST", "/recommend", {"history": [{"domain": "video", "item": 1}] * 51}, JSON, 413, "51 events"),
        ("POST", "/recommend", {"history": [{"domain": "films", "item": 1}]}, JSON, 422, "no domain 'films'"),
        ("POST", "/recommend", {"user": 1, "candidates": [1.5]}, JSON, 422, "candidates.0"),
        ("POST", "/similar", {"item": "show 99"}, JSON, 422, "video: no item 'show 99'"),
        ("POST", "/predict", {"rows": [{"user": 1}]}, JSON, 422, "row 1: write"),
        ("POST", "/predict", {"texts": ["a"]}, JSON, 422, "give 'rows', and nothing else"),
        ("POST", "/predict", b" " * 20_001, JSON, 413, "the body is larger than 20000 bytes"),
        ("POST", "/predict", b"user=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "send JSON"),
        ("POST", "/predict", None, {}, 415, "send JSON"),
        ("GET", "/predict", None, {}, 405, "not by this method"),
        ("GET", "/../etc/passwd", None, {}, 404, "no such address"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(recommending, method, path, body, headers, status, words):
    found, told = ask(recommending[0], method, path, body, headers)
    assert (found, list(told)) == (status, ["error"])
    assert words in told["error"]
    assert "\n" not in told["error"]
    assert "Traceback" not in told["error"]


def test_a_body_that_does_not_tell_its_length_is_measured_while_it_comes(recommending):
    line = http.client.HTTPConnection("127.0.0.1", recommending[0], timeout=30)
    line.request("POST", "/predict", (b" " * 5000 for _ in range(5)), JSON, encode_chunked=True)
    assert line.getresponse().status == 413
    line.close()


def test_after_a_flood_of_nonsense_it_still_answers(recommending):
    port, process = recommending
    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    for number, line in enumerate(lines):
        line.sendall(b"POST /recommend HTTP/1.1\r\nX: " if number % 2 else os.urandom(500))
    for _ in range(30):
        assert ask(port, "POST", "/recommend", b"{" * 100)[0] == 400
    assert ask(port, "POST", "/recommend", {"user": 3})[0] == 200
    assert ask(port, "GET", "/health") == (200, {"status": "alive"})
    for line in lines:
        line.close()
    assert process.poll() is None


def test_the_interface_is_described_and_its_page_loads_nothing(recommending):
    status, schema = ask(recommending[0], "GET", "/openapi.json")
    assert status == 200
    assert set(schema["paths"]) == {"/", "/health", "/ready", "/predict", "/recommend", "/similar"}
    assert {"200", "413", "415", "422", "503"} <= set(schema["paths"]["/recommend"]["post"]["responses"])
    status, page = ask(recommending[0], "GET", "/docs")
    assert status == 200
    assert "POST /recommend" in page
    assert not re.search(r"(src|href)=\"?(https?:)?//|<script", page)


def test_what_is_under_way_is_answered_before_it_stops(predicting):
    # The last to ask this server.
    port, process = predicting
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    body = json.dumps({"rows": [{"age": 50, "town": "Ulm"}]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    line.sendall(head.encode() + body[:5])
    assert ask(port, "GET", "/health")[0] == 200
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    line.sendall(body[5:])
    assert line.recv(1000).startswith(b"HTTP/1.1 200")
    line.close()
    assert process.wait(20) in (0, -signal.SIGTERM)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_worker_loads_the_model_that_it_is_told_of(recommender, tmp_path, monkeypatch):
    from headstart.serve.server import ASKED, app_of_worker

    Model(Vectorizer("passthrough"), recommender, "ranking", {"rows": "ratings"}).save(tmp_path / "model")
    limits = {"max_rows": 3, "max_bytes": 200}
    monkeypatch.setenv(ASKED, json.dumps({"folder": str(tmp_path / "model"), "model": None, "limits": limits}))

    async def first():
        app = app_of_worker()
        async with app.inner.router.lifespan_context(app.inner):
            while await asked_of(app, b'{"user": 1}') == 503:
                await asyncio.sleep(0.01)
            return await asked_of(app, b'{"user": 1}'), await asked_of(app, b" " * 201)

    assert asyncio.run(first()) == (200, 413)


async def asked_of(app, body, path="/recommend", sent=None):
    """Ask an application itself, and return the status; what it sends is put into `sent`."""
    sent = [] if sent is None else sent
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return messages.pop(0) if messages else await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    return sent[0]["status"]


def test_who_comes_when_too_many_wait_is_told_to_come_again(recommender):
    from headstart.serve.app import make_app

    limits = Limits(concurrency=2)
    service = Service(Model(Vectorizer("passthrough"), recommender, "ranking", {"rows": "ratings"}), limits)
    begun = threading.Event()

    class Slow(Service):
        def recommend(self, asked):
            begun.wait(10)
            return super().recommend(asked)

    slow = Slow(service.model, limits)

    async def all_of_them():
        app = make_app(lambda: slow, limits)
        async with app.inner.router.lifespan_context(app.inner):
            assert await asked_of(app, b'{"user": 1}') == 503
            begun.set()
            while await asked_of(app, b'{"user": 1}') == 503:
                await asyncio.sleep(0.01)
            begun.clear()
            waiting = [asyncio.create_task(asked_of(app, b'{"user": 1}')) for _ in range(3)]
            await asyncio.sleep(0.3)
            begun.set()
            assert sorted(await asyncio.gather(*waiting)) == [200, 200, 503]

    asyncio.run(all_of_them())


def test_our_own_mistake_is_one_plain_line(recommender):
    from headstart.serve.app import make_app

    class Broken(Service):
        def recommend_together(self, questions):
            if questions[0]["k"] == 3:
                raise RuntimeError("a secret")
            return super().recommend_together(questions)

    limits, answers = Limits(), []
    model = Model(Vectorizer("passthrough"), recommender, "ranking", {"rows": "ratings"})

    async def first():
        app = make_app(lambda: Broken(model, limits), limits)
        async with app.inner.router.lifespan_context(app.inner):
            while await asked_of(app, b'{"user": 1}') == 503:
                await asyncio.sleep(0.01)
            with pytest.raises(RuntimeError, match="a secret"):
                await asked_of(app, b'{"user": 1, "k": 3}', sent=answers)
            return await asked_of(app, b'{"user": 1}')

    assert asyncio.run(first()) == 200
    assert answers[0]["status"] == 500
    assert json.loads(answers[1]["body"]) == {"error": "something went wrong here; the service's log has more"}


def test_pictures_come_as_bytes_never_as_paths_and_not_too_large():
    image = pytest.importorskip("PIL.Image")
    from headstart.serve.pictures import pictures_of

    file = io.BytesIO()
    image.new("RGB", (6, 4), (255, 0, 0)).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    found = pictures_of([text, f"data:image/png;base64,{text}"], 48)
    assert [np.asarray(each)[0, 0].tolist() for each in found] == [[255, 0, 0]] * 2
    for texts, words in (
        ([text, text, text], "picture 3: more than 48 pixels together"),
        (["/etc/passwd"], "picture 1: not"),
        ([base64.b64encode(b"no picture").decode()], "picture 1: not a picture that can be read"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            pictures_of(texts, 48)


def test_ids_of_any_kind_are_found_and_rows_are_limited(recommender):
    model = Model(Vectorizer("passthrough"), recommender, "ranking", {"rows": "ratings"})
    service = Service(model, Limits(max_rows=2))
    one = service.recommend({"user": 7, "k": 1})
    assert service.recommend({"user": "7", "k": 1}) == one
    assert service.recommend({"user": 10**30, "k": 1})["how"].startswith("popularity")
    with pytest.raises(TooMuchError, match="3 rows"):
        service.predict({"rows": [{"user": 1, "item": "show 1"}] * 3})


def test_what_can_not_be_served_is_refused_at_the_start(recommender, tmp_path, capsys):
    class Examples:
        takes_items = False

    with pytest.raises(InputError, match="takes facts, which are not served; use headstart predict"):
        Service(Model(Vectorizer("passthrough"), Examples(), "classification", {"rows": "facts"}), Limits())
    assert run_command(["serve", str(tmp_path / "nothing")]) == 2
    assert "no such folder" in capsys.readouterr().err
    Model(Vectorizer("passthrough"), recommender, "ranking", {"rows": "ratings"}).save(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run_command(["serve", str(tmp_path / "model"), "--port", str(taken.getsockname()[1])]) == 2
    assert "name another --port" in capsys.readouterr().err
