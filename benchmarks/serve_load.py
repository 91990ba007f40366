"""How fast `headstart serve` recommends, and whether it still does after a flood of malformed requests.

Top-10 requests come at a steady rate, whether or not earlier ones were answered, over connections that are kept; a
latency counts from the moment at which the request was due. All runs on one machine, the clients too.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import http.client
import json
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import record
from scipy.sparse import csr_matrix

from headstart.delivery import Model
from headstart.readers import Vectorizer
from headstart.recommend import Histories, Recommender
from headstart.recommend.factorization import Factors, Preferences

JSON = {"Content-Type": "application/json"}
#: What may not be let in: method, path, headers, body, and the statuses that may be the answer.
MALFORMED = (
    ("POST", "/recommend", JSON, b"{nope", (400,)),
    ("POST", "/recommend", JSON, b"[" * 500_000, (400,)),
    ("POST", "/recommend", JSON, b'{"user": [1, 2], "k": "ten"}', (422,)),
    ("POST", "/recommend", JSON, b'{"user": 1, "k": 100000000}', (422,)),
    ("POST", "/recommend", JSON, b"\xff\xfe\x00", (400,)),
    ("POST", "/recommend", JSON, b'{"user": ' + b"9" * 10_000 + b"}", (400, 422)),
    ("POST", "/recommend", JSON, b" " * 5_000_000, (413,)),
    ("POST", "/recommend", {"Content-Type": "text/plain"}, b"hello", (415,)),
    ("POST", "/../../etc/passwd", JSON, b"{}", (404,)),
    ("DELETE", "/recommend", {}, b"", (405,)),
    ("GET", "/no-such-path", {}, b"", (404,)),
)


def made_model(n_users, n_items, n_factors, n_events, folder):
    """Save a model of made numbers: what it recommends means nothing, how long it takes does."""
    rng = np.random.default_rng(0)
    at = rng.integers(0, n_users, n_events), (n_items * rng.random(n_events) ** 2).astype(int)
    matrix = csr_matrix((np.ones(n_events, dtype=np.float32), at), shape=(n_users, n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    histories = Histories(np.arange(n_users), ("shop",), (np.arange(n_items),), matrix, False)
    vectors = rng.normal(0, 0.1, (n_items, n_factors)).astype(np.float32)
    tastes = Preferences(vectors, np.full(n_items, 20, dtype=np.float32), 50.0)
    popularity = np.asarray(matrix.sum(axis=0), dtype=np.float32).ravel()
    recommender = Recommender(histories, Factors(tastes, *tastes.item_side(slice(None))), popularity, "made")
    Model(Vectorizer("passthrough"), recommender, "ranking", {"method": "made", "rows": "ratings"}).save(folder)


def steady(port, rate, seconds, n_users, connections=32):
    """Ask for top-10 at a steady rate; return latencies in milliseconds, and how many went wrong."""
    due, latencies, wrong = queue.SimpleQueue(), [], []
    users = np.random.default_rng(1).integers(0, n_users, int(rate * seconds)).tolist()

    def client():
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while (task := due.get()) is not None:
            moment, user = task
            try:
                line.request("POST", "/recommend", json.dumps({"user": user, "k": 10}), JSON)
                answer = line.getresponse()
                fine = answer.status == 200 and len(json.loads(answer.read())["items"]) == 10
            except (OSError, http.client.HTTPException):
                fine = False
                line.close()
            (latencies if fine else wrong).append(1000 * (time.perf_counter() - moment))
        line.close()

    clients = [threading.Thread(target=client) for _ in range(connections)]
    for each in clients:
        each.start()
    begin = time.perf_counter() + 0.1
    for i, user in enumerate(users):
        moment = begin + i / rate
        time.sleep(max(0.0, moment - time.perf_counter()))
        due.put((moment, user))
    for _ in clients:
        due.put(None)
    for each in clients:
        each.join()
    took = time.perf_counter() - begin
    found = {"asked": len(users), "wrong": len(wrong), "answered_per_second": len(latencies) / took}
    return found | {f"p{q}_ms": float(np.percentile(latencies, q)) for q in (50, 95, 99)} | {"max_ms": max(latencies)}


def flood(port, rounds, slow):
    """Send what is malformed, and heads that never end; return how many were answered as they should be."""
    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(slow)]
    for line in lines:
        line.sendall(b"POST /recommend HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    right = wrong = 0
    for _ in range(rounds):
        for method, path, headers, body, expected in MALFORMED:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                line.request(method, path, body, headers)
                status = line.getresponse().status
            except (BrokenPipeError, ConnectionResetError):
                # Refused before the body was sent in full.
                status = 413 if len(body) > 1_000_000 else None
            right, wrong = right + (status in expected), wrong + (status not in expected)
            line.close()
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(os.urandom(2000))
    return {"requests": right + wrong, "answered_otherwise": wrong, "slow_heads": slow}, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made_model(arguments.users, arguments.items, arguments.factors, arguments.events, Path(folder) / "model")
        command = [sys.executable, "-m", "headstart", "serve", str(Path(folder) / "model"), "--port", "0"]
        command += ["--workers", str(arguments.workers)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        try:
            port = int(server.stdout.readline().partition("http://127.0.0.1:")[2].partition(",")[0])
            wait_until_ready(port)
            steady(port, arguments.rate, 2, arguments.users)
            before = steady(port, arguments.rate, arguments.seconds, arguments.users)
            print("before", before, flush=True)
            flooded, lines = flood(port, arguments.rounds, 200)
            print("flood", flooded, flush=True)
            after = steady(port, arguments.rate, arguments.seconds, arguments.users)
            print("after", after, flush=True)
            for line in lines:
                line.close()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    asked = vars(arguments) | {"seed": 0}
    lines = [{"when": "before the flood", **before}, {"when": "after it", **after}]
    record.write("serve", {"load": os.getloadavg()[0], **asked, "flood": flooded, "lines": lines})


def wait_until_ready(port):
    for _ in range(600):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            line.request("GET", "/ready")
            if line.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            line.close()
        time.sleep(0.1)
    raise SystemExit("not ready after a minute")


if __name__ == "__main__":
    main()
