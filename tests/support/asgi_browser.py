"""A browser without sockets: speaks to the review page's application as the server would, cookie and origin included."""

import asyncio
import json
import uuid
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message

HOST = "127.0.0.1:8765"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class AsgiBrowser:
    """Keeps its cookie; ``headers`` of a request replace the usual ones (None: leaves them out)."""

    app: ASGIApp
    token: str
    cookie: str = ""
    revisions: dict[str, int] = field(default_factory=dict)

    def enter(self, reader: str | None = None) -> "AsgiBrowser":
        """Come in by the printed link, and say who reads."""
        welcome = self.get(f"/?token={self.token}")
        assert welcome.status == 303
        self.cookie = welcome.headers["set-cookie"].partition(";")[0]
        if reader is not None:
            assert self.post("/api/reader", {"name": reader}).status == 200
        return self

    def get(self, path: str, *, headers: dict[str, str | None] | None = None, method: str = "GET") -> Answer:
        return self.ask(method, path, headers=headers or {})

    def post(self, path: str, tables: object, *, headers: dict[str, str | None] | None = None) -> Answer:
        body = tables if isinstance(tables, bytes) else json.dumps(tables).encode()
        usual: dict[str, str | None] = {"origin": f"http://{HOST}", "content-type": "application/json"}
        return self.ask("POST", path, headers={**usual, **(headers or {})}, body=body)

    def act(self, film: str, kind: str, *, base: int | None = None, action_id: str | None = None, **facts: object) -> Answer:
        """Take a step at the last revision that this browser heard of."""
        asked = {
            "action_id": action_id or str(uuid.uuid4()),
            "base_revision": self.revisions.get(film, 0) if base is None else base,
            "kind": kind,
            **facts,
        }
        answer = self.post(f"/api/films/{film}/actions", asked)
        if answer.status == 200:
            self.revisions[film] = answer.json()["reading"]["revision"]
        return answer

    def ask(self, method: str, path: str, *, headers: dict[str, str | None], body: bytes = b"") -> Answer:
        return asyncio.run(self._ask(method, path, headers, body))

    async def _ask(self, method: str, path: str, headers: dict[str, str | None], body: bytes) -> Answer:
        every: dict[str, str | None] = {
            "host": HOST,
            "cookie": self.cookie or None,
            "content-length": str(len(body)),
            **headers,
        }
        where, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": where,
            "raw_path": where.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in every.items() if value is not None],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8765),
        }
        told: list[Message] = []
        asked = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Message:
            return next(asked, {"type": "http.disconnect"})

        async def send(message: Message) -> None:
            told.append(message)

        await self.app(scope, receive, send)
        start = told[0]
        content = b"".join(message.get("body", b"") for message in told[1:])
        return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, content)
