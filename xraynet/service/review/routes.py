"""What the server answers at which address; all of it behind the guard."""

import asyncio
import contextlib
import datetime
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from xraynet.errors import ActionRefused, PredictionsError, ReviewError
from xraynet.service.review.actions import parse_step
from xraynet.service.review.answers import (
    Answer,
    answer_film,
    answer_reading,
    answer_session,
    answer_worklist,
)
from xraynet.service.review.desk import ReviewDesk
from xraynet.service.review.door import Door, Session, parse_reader
from xraynet.service.review.downloads import Downloads
from xraynet.service.review.events import EventHub
from xraynet.service.review.export_sr import has_sources
from xraynet.service.review.films import ListedFilm
from xraynet.service.review.guard import CRASHED, MOST_BODY_BYTES, session_of
from xraynet.service.review.history import Action
from xraynet.service.review.page_files import page_routes
from xraynet.service.review.store import StaleRevision

_WATCH_S: Final = 2.0
_ENVELOPE: Final = frozenset({"action_id", "base_revision", "reader"})
_NO_READER: Final = "say who reads first"


class ReviewSite:
    """The review page's server side: a desk, the door, and who listens."""

    def __init__(self, desk: ReviewDesk, door: Door) -> None:
        self.desk = desk
        self.door = door
        self.hub = EventHub()

    def build_app(self) -> Starlette:
        """The application without its guard."""
        return Starlette(
            routes=[
                *page_routes(),
                Route("/api/session", self.session),
                Route("/api/reader", self.name_reader, methods=["POST"]),
                Route("/api/worklist", self.worklist),
                Route("/api/films/{film}", self.film),
                Route("/api/films/{film}/levels", self.levels),
                Route("/api/films/{film}/table", self.table),
                Route("/api/films/{film}/heatmap.png", self.heatmap),
                Route("/api/films/{film}/actions", self.act, methods=["POST"]),
                Route("/api/events", self.events),
                *Downloads(self.desk).routes(),
            ],
            exception_handlers={
                HTTPException: _answer_http_error,
                ActionRefused: _answer_refusal,
                PredictionsError: _answer_missing,
                ReviewError: _answer_failure,
                Exception: _answer_crash,
            },
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        watcher = asyncio.create_task(self._watch_films())
        try:
            yield
        finally:
            watcher.cancel()
            self.desk.store.close()

    async def _watch_films(self) -> None:
        known = set(await run_in_threadpool(self.desk.folder.films))
        while True:
            await asyncio.sleep(_WATCH_S)
            films = set(await run_in_threadpool(self.desk.folder.films)) if self.hub.is_heard else known
            if films != known:
                await self.hub.announce("films", self._count_films)
            known = films

    def _count_films(self, reader: str | None) -> Answer:
        return {"num_films": len(self.desk.folder.films()), "num_unread": self.desk.count_unread(reader)}

    def session(self, request: Request) -> Response:
        """Who sits here, and what is to be read."""
        return JSONResponse(self._answer_session(session_of(request)))

    def _answer_session(self, session: Session) -> Answer:
        return answer_session(self.desk, session.reader, readers=self.door.readers(), has_sr=has_sources(self.desk.folder.root))

    async def name_reader(self, request: Request) -> Response:
        """Say who sits here."""
        tables = await _read_json(request)
        session = session_of(request)
        known = await run_in_threadpool(self.desk.store.readers)
        session.reader = parse_reader(tables.get("name"), known=(*known, *self.door.readers()))
        return JSONResponse(await run_in_threadpool(self._answer_session, session))

    def worklist(self, request: Request) -> Response:
        """The films, in the order in which this reader should take them."""
        return JSONResponse(answer_worklist(self.desk, session_of(request).reader))

    def film(self, request: Request) -> Response:
        """A film as this reader may see it now."""
        reader = session_of(request).reader
        return JSONResponse(answer_film(self.desk, self.desk.view(self._find(request), reader), reader=reader))

    def levels(self, request: Request) -> Response:
        """The film's packed grey values."""
        return _binary(self.desk.folder.read_film(self._find(request).id).levels)

    def table(self, request: Request) -> Response:
        """The file's own VOI table, deflated; nothing where it has none."""
        table = self.desk.folder.read_film(self._find(request).id).table
        return _binary(table) if table else Response(status_code=204)

    def heatmap(self, request: Request) -> Response:
        """The heatmap, once the reader may see it."""
        film = self._find(request)
        if self.desk.view(film, session_of(request).reader).is_hidden:
            raise HTTPException(403, "the detector's marks are not shown yet: this is the first look")
        heatmap = self.desk.folder.read_heatmap(film.id)
        if heatmap is None:
            raise HTTPException(404, "this film has no heatmap")
        return Response(heatmap, media_type="image/png")

    async def act(self, request: Request) -> Response:
        """Keep an action of the reader, on disk before the answer."""
        session, film = session_of(request), await run_in_threadpool(self._find, request)
        tables = await _read_json(request)
        if session.reader is None:
            raise ActionRefused(_NO_READER)
        if tables.get("reader", session.reader) != session.reader:
            # Two tabs share a cookie: what was done in the name of one reader is never kept in the name of another.
            refusal = {"error": f"{session.reader} reads here now", "reader": session.reader}
            return JSONResponse(refusal, status_code=409)
        status, answer = await run_in_threadpool(self._save, film, session.reader, tables)
        if status == 200:
            await self.hub.announce("change", lambda listener: self._tell_change(film, answer, listener))
        return JSONResponse(answer, status_code=status)

    def _save(self, film: ListedFilm, reader: str, tables: Mapping[str, object]) -> tuple[int, Answer]:
        results = self.desk.results_of(film)
        action = Action(
            id=_parse_action_id(tables.get("action_id")),
            at=datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            reader=reader,
            film=film.id,
            results=results.digest,
            mode=self.desk.mode,
            base_revision=_parse_revision(tables.get("base_revision")),
            step=parse_step({name: value for name, value in tables.items() if name not in _ENVELOPE}),
        )
        try:
            then = self.desk.store.save(action, results=results)
        except (StaleRevision, ActionRefused) as error:
            view = self.desk.view(film, reader)
            now = answer_reading(self.desk, view.mine, view) if view.mine is not None else None
            return 409 if isinstance(error, StaleRevision) else 422, {"error": str(error), "reading": now}
        view = self.desk.view(film, reader)
        return 200, {
            "reading": answer_reading(self.desk, then, view),
            "num_unread": self.desk.count_unread(reader),
        }

    def _tell_change(self, film: ListedFilm, answer: Answer, listener: str | None) -> Answer:
        reading = answer["reading"]
        assert isinstance(reading, dict)
        return {
            "film": film.id,
            "reader": reading["reader"],
            "revision": reading["revision"],
            "num_unread": self.desk.count_unread(listener),
        }

    async def events(self, request: Request) -> Response:
        """The changes of others, as they happen."""
        # An encrypting proxy must pass each change on as it comes, not collect them.
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self.hub.listen(session_of(request)), headers=headers, media_type="text/event-stream")

    def _find(self, request: Request) -> ListedFilm:
        film = self.desk.folder.find(str(request.path_params["film"]))
        if film is None:
            raise HTTPException(404, "there is no such film in this folder")
        return film


async def _read_json(request: Request) -> Mapping[str, object]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise HTTPException(413, f"a request has at most {MOST_BODY_BYTES} bytes")
    try:
        tables = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the request is not JSON") from None
    if not isinstance(tables, dict):
        raise HTTPException(400, "the request is not a JSON object")
    return tables


def _parse_action_id(value: object) -> str:
    try:
        parsed = uuid.UUID(value) if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != 4:
        raise ActionRefused("the action_id is no version 4 UUID")
    return str(parsed)


def _parse_revision(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise ActionRefused("the base_revision is no number from 0 on")
    return value


def _binary(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")


def _answer_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def _answer_refusal(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=422)


def _answer_missing(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=404)


def _answer_failure(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=503)


def _answer_crash(_: Request, _error: Exception) -> Response:
    # The error itself goes on to the guard, which logs it.
    return JSONResponse({"error": CRASHED}, status_code=500)
