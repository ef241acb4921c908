"""Stands before every request: host, origin, cookie and size are checked, and every answer is told to stay where it is."""

import json
import logging
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xraynet.service.review.door import Door, Session

MOST_BODY_BYTES: Final = 64 << 10
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", CONTENT_POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)
CRASHED: Final = "the server failed on this request; ask again to see what is stored"
_log: Final = logging.getLogger("xraynet.review")


class Guard:
    """The application that all requests meet first; ``app`` sees only those that may come in, with their session."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answered = False

        async def send_guarded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                named = {name for name, _ in _HEADERS}
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in named]
                message = {**message, "headers": [*kept, *_HEADERS]}
            await send(message)

        try:
            await self._answer(scope, receive, send_guarded)
        except Exception as error:  # the boundary of a request: the message may quote a path, which may name a patient
            _log.error("a request failed with %s at %s", type(error).__name__, _place_of(error))
            if not answered:
                await _send_json(send_guarded, 500, CRASHED)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        is_door = scope["path"] == "/"
        if headers.get("host", "").lower() not in self._door.address.hosts:
            await _refuse(send, 403, "the Host header does not name this server", as_page=is_door)
            return
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0] if is_door else ""
        session = self._door.find_session(_read_cookie(headers.get("cookie", ""), self._door.cookie_name))
        if token and scope["method"] == "GET":
            # A second tab keeps the session that the first one sits in.
            await self._welcome(send, token, has_session=session is not None)
            return
        if session is None:
            await _refuse(send, 403, "open the link that the server printed when it started", as_page=is_door)
            return
        if scope["method"] not in ("GET", "HEAD"):
            refusal = self._check_change(headers)
            if refusal is not None:
                await _send_json(send, *refusal)
                return
        scope.setdefault("state", {})["session"] = session
        await self._app(scope, receive, send)

    async def _welcome(self, send: Send, token: str, *, has_session: bool) -> None:
        if not self._door.knows_token(token):
            await _refuse(send, 403, "this link is of another start of the server; open the one printed last", as_page=True)
            return
        headers = [(b"location", b"/"), (b"content-length", b"0")]
        if not has_session:
            headers.append((b"set-cookie", self._door.cookie(self._door.open_session()).encode("latin-1")))
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _check_change(self, headers: dict[str, str]) -> tuple[int, str] | None:
        if headers.get("origin", "").lower() not in self._door.address.origins:
            return 403, "the request does not come from this server's own page"
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return 403, "the request does not come from this server's own page"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "changes are sent as application/json"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return 413, f"a request has at most {MOST_BODY_BYTES} bytes"
        return None


def session_of(request: Request) -> Session:
    """The session that a request came in with."""
    session = request.state.session
    assert isinstance(session, Session)
    return session


def _read_cookie(header: str, name: str) -> str:
    # Pair by pair: http.cookies drops every cookie where one is unusual, and all programs of a host share its cookies.
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return next((value for key, _, value in pairs if key == name), "")


def _place_of(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}" if trace is not None else "unknown"


async def _refuse(send: Send, status: int, reason: str, *, as_page: bool) -> None:
    if not as_page:
        await _send_json(send, status, reason)
        return
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>xraynet review</title>'
        f"<h1>Not let in</h1><p>{reason[0].upper()}{reason[1:]}.</p>"
        "<p>If you came here by such a link from another page, reload this page once.</p></html>"
    )
    await _send(send, status, page.encode("utf-8"), b"text/html; charset=utf-8")


async def _send_json(send: Send, status: int, reason: str) -> None:
    await _send(send, status, json.dumps({"error": reason}).encode("utf-8"), b"application/json")


async def _send(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
