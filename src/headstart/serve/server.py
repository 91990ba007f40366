"""The server: a port, patience with limits, and as many workers as are wanted."""

from __future__ import annotations

import json
import os
import socket
from asyncio import Transport
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from headstart.delivery import load
from headstart.errors import InputError
from headstart.serve.app import make_app
from headstart.serve.gate import Application
from headstart.serve.limits import Limits
from headstart.serve.service import Service

#: What tells a worker what to load.
ASKED = "HEADSTART_SERVE"
#: Bytes of a request's head.
LONGEST_HEAD = 65_536
#: Seconds that the head of a request may take, an idle connection stays, and requests under way have when it stops.
HEAD_SECONDS, IDLE_SECONDS, STOPPING_SECONDS = 10.0, 30, 30
#: Seconds in which a worker must say that it lives: at first it reads the libraries.
STARTING_SECONDS = 120
#: Connections of one worker.
CONNECTIONS = 1000


class PatientProtocol(HttpToolsProtocol):
    """HTTP that waits for a request's head, but not for ever, nor for a head of any size."""

    _watch: Any = None
    _head_size = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the head of the next request of a connection that was kept."""
        super().on_message_begin()
        self._stop_waiting()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Stop waiting: the body has a limit of its own."""
        self._stop_waiting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on; a head without end is cut off."""
        super().data_received(data)
        if self._watch is not None:
            self._head_size += len(data)
            if self._head_size > LONGEST_HEAD:
                self.transport.close()

    def _await_head(self) -> None:
        self._head_size = 0
        self._watch = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def serve(folder: Path, model: str | None, host: str, port: int, workers: int, limits: Limits, announce: Any) -> None:
    """Serve a model until it is told to stop (SIGTERM, SIGINT), then end what is under way.

    Parameters
    ----------
    folder : path
        Of the model.
    model : str, optional
        Where the pretrained model is now.
    host, port : where to listen; port 0 takes a free one
    workers : int
        Processes, each with the model.
    limits : Limits
    announce : callable
        Gets the service and the port before it begins.

    Raises
    ------
    InputError, StoreError
        When the port is taken, or the model can't be loaded or served.
    """
    with listening(host, port) as sock:
        service = Service(load(folder, model=model), limits, str(folder))
        # In more workers each will load it: here it is seen that it can be.
        service.self_test()
        announce(service, sock.getsockname()[1])
        settings: dict[str, Any] = {
            "http": PatientProtocol,
            "ws": "none",
            "log_level": "error",
            "access_log": False,
            "server_header": False,
            "limit_concurrency": CONNECTIONS,
            "timeout_keep_alive": IDLE_SECONDS,
            "timeout_graceful_shutdown": STOPPING_SECONDS,
            "timeout_worker_healthcheck": STARTING_SECONDS,
        }
        if workers == 1:
            app = make_app(_giving(service), limits)
            uvicorn.Server(uvicorn.Config(app, **settings)).run(sockets=[sock])
            return
        del service
        os.environ[ASKED] = json.dumps({"folder": str(folder.resolve()), "model": model, "limits": asdict(limits)})
        place = f"{__name__}:app_of_worker"
        Multiprocess(uvicorn.Config(place, factory=True, workers=workers, **settings), sockets=[sock]).run()


def _giving(service: Service) -> Callable[[], Service]:
    return lambda: service


def app_of_worker() -> Application:
    """Return the application of a worker that was started to serve what `serve` was told."""
    asked = json.loads(os.environ[ASKED])
    limits = Limits(**asked["limits"])
    return make_app(lambda: Service(load(asked["folder"], model=asked["model"]), limits, asked["folder"]), limits)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    InputError
        When the port is taken, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InputError(
            f"can't listen at {host}, port {port} ({error.strerror}); name another --port, or --host"
        ) from error
    sock.set_inheritable(True)
    return sock
