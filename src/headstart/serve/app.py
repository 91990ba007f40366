"""The application: which address asks the service what, and how a mistake is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from json import dumps
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from threadpoolctl import threadpool_limits

from headstart.errors import HeadstartError
from headstart.serve.gate import Application, Gate
from headstart.serve.limits import Limits
from headstart.serve.page import page_of
from headstart.serve.questions import (
    ItemsAnswer,
    Mistake,
    PredictAnswer,
    PredictQuestion,
    RecommendQuestion,
    SimilarQuestion,
)
from headstart.serve.service import Service, TooMuchError
from headstart.version import __version__

#: What may go wrong with a question, for the page of the interface.
MISTAKES: dict[int | str, dict[str, Any]] = {
    400: {"model": Mistake, "description": "The body is no JSON."},
    408: {"model": Mistake, "description": "The body came too slowly."},
    413: {"model": Mistake, "description": "The body, or the number of rows, is too large."},
    415: {"model": Mistake, "description": "The body is not said to be JSON."},
    422: {"model": Mistake, "description": "The question is not as it should be; the line says what to do."},
    500: {"model": Mistake, "description": "Our own mistake; the service's log has more."},
    503: {"model": Mistake, "description": "The model is still being loaded, or too many requests are under way."},
}
NOT_READY: dict[int | str, dict[str, Any]] = {503: MISTAKES[503]}


class Answer(JSONResponse):
    """JSON in plain ASCII: whatever a text holds, it can be written."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Desk:
    """Where questions go: to the service, one after another, in a thread that is no one else's.

    The products of one question take all of a core, so more threads would only wait for each other; and a model
    answers nothing twice at a time. More at once is what more workers are for. Who asks for recommendations while
    another question is answered waits, and all who wait are answered together: the items are gone through once.
    """

    def __init__(self) -> None:
        self.service: Service | None = None
        self.waiting: list[tuple[dict[str, Any], asyncio.Future[dict[str, Any]]]] = []
        self.answering: asyncio.Task[None] | None = None
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="service", initializer=threadpool_limits, initargs=(1,))

    async def open(self, load: Callable[[], Service]) -> None:
        """Load the model, and let it answer a first question."""

        def loaded() -> Service:
            service = load()
            service.self_test()
            return service

        self.service = await asyncio.get_running_loop().run_in_executor(self.thread, loaded)

    def ready(self) -> Service:
        """Return the service, or say that it is not there yet."""
        if self.service is None:
            raise HTTPException(503, "the model is still being loaded; come again", {"Retry-After": "1"})
        return self.service

    async def ask(self, question: str, asked: dict[str, Any]) -> Answer:
        """Return the service's answer."""
        answer = getattr(self.ready(), question)
        return Answer(await asyncio.get_running_loop().run_in_executor(self.thread, answer, asked))

    async def recommend(self, asked: dict[str, Any]) -> Answer:
        """Return recommendations, made together with those for all others who wait."""
        service, loop = self.ready(), asyncio.get_running_loop()
        answer: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.waiting.append((asked, answer))
        if self.answering is None:
            self.answering = loop.create_task(self._answer_waiting(service))
        return Answer(await answer)

    async def _answer_waiting(self, service: Service) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self.waiting:
                asked, self.waiting = self.waiting, []
                questions = [question for question, _ in asked]
                work = loop.run_in_executor(self.thread, service.recommend_together, questions)
                await asyncio.wait([work])
                mistake = work.exception()
                answers = [mistake] * len(asked) if mistake is not None else work.result()
                for (_, waits), answer in zip(asked, answers, strict=True):
                    if waits.done():
                        # Who asked is gone.
                        continue
                    if isinstance(answer, BaseException):
                        waits.set_exception(answer)
                    else:
                        waits.set_result(answer)
        finally:
            self.answering = None


def make_app(load: Callable[[], Service], limits: Limits) -> Application:
    """Return the application; the model is loaded once it runs.

    Parameters
    ----------
    load : callable
        Returns the service.
    limits : Limits
    """
    desk = Desk()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        opening = asyncio.create_task(desk.open(load))
        opening.add_done_callback(_tell_failure)
        yield
        opening.cancel()
        desk.thread.shutdown(wait=True, cancel_futures=True)

    app = FastAPI(
        title="headstart",
        version=__version__,
        description=f"At most {limits.max_rows} rows, {limits.max_bytes} bytes and a k of {limits.max_k} a request.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        default_response_class=Answer,
    )
    _add_mistakes(app)
    _add_questions(app, desk)
    _add_states(app, desk)
    return Gate(app, limits)


def _add_questions(app: FastAPI, desk: Desk) -> None:
    @app.post("/predict", response_model=PredictAnswer, responses=MISTAKES)
    async def predict(asked: PredictQuestion) -> Answer:
        """Predict rows."""
        return await desk.ask("predict", asked.__dict__)

    @app.post("/recommend", response_model=ItemsAnswer, responses=MISTAKES)
    async def recommend(asked: RecommendQuestion) -> Answer:
        """Recommend items to a user, or to who has this history."""
        return await desk.recommend(_plain(asked))

    @app.post("/similar", response_model=ItemsAnswer, responses=MISTAKES)
    async def similar(asked: SimilarQuestion) -> Answer:
        """Tell which items are like one."""
        return await desk.ask("similar", asked.__dict__)


def _plain(asked: RecommendQuestion) -> dict[str, Any]:
    return {**asked.__dict__, "history": None if asked.history is None else [event.__dict__ for event in asked.history]}


def _add_states(app: FastAPI, desk: Desk) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        """Tell that the process lives."""
        return {"status": "alive"}

    @app.get("/ready", responses=NOT_READY)
    async def ready() -> dict[str, str]:
        """Tell whether the model is loaded and has answered a first question."""
        desk.ready()
        return {"status": "ready"}

    @app.get("/", responses=NOT_READY)
    async def about() -> Answer:
        """Tell what the model is, and what it takes."""
        return Answer(desk.ready().about())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page_of(app.openapi()))


def _add_mistakes(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def misunderstood(request: Request, error: RequestValidationError) -> Answer:
        first, *others = error.errors()
        if first["type"] == "json_invalid":
            return Answer({"error": f"the body is no JSON ({first['ctx']['error']})"}, 400)
        place = _place(first)
        # What may be a number or a text is told both ways.
        said = [first["msg"], *(each["msg"] for each in others if _place(each) == place)]
        told = " or ".join(dict.fromkeys(words.removeprefix("Value error, ") for words in said))
        return Answer({"error": f"{place + ': ' if place else ''}{told.replace(' or Input should be', ' or')}"}, 422)

    @app.exception_handler(HeadstartError)
    async def refused(request: Request, error: HeadstartError) -> Answer:
        return Answer({"error": str(error)}, 413 if isinstance(error, TooMuchError) else 422)

    @app.exception_handler(HTTPException)
    async def known(request: Request, error: HTTPException) -> Answer:
        said = {404: "no such address; GET /docs lists them", 405: "not by this method; GET /docs tells which"}
        return Answer({"error": said.get(error.status_code, error.detail)}, error.status_code, error.headers)

    # Starlette logs the traceback, and sends this.
    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Answer:
        return Answer({"error": "something went wrong here; the service's log has more"}, 500)


def _place(mistake: dict[str, Any]) -> str:
    """Return where in the body a mistake is, without the names of the kinds that were tried there."""
    kinds = ("list[", "dict[", "constrained-", "function-")
    parts = [str(part) for part in mistake["loc"][1:]]
    return ".".join(
        each for each in parts if each not in ("int", "str", "bool", "float") and not each.startswith(kinds)
    )


def _tell_failure(opening: asyncio.Task[None]) -> None:
    if not opening.cancelled() and opening.exception() is not None:
        logging.getLogger("uvicorn.error").error("the model could not be loaded", exc_info=opening.exception())
