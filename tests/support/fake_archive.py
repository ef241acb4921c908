"""A DICOMweb archive of a few lines that can be made to misbehave: for faults that a real one does not have on demand."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

BOUNDARY = b"boundary-of-the-fake"
DX = "1.2.840.10008.5.1.4.1.1.1.1"


@dataclass(frozen=True)
class Held:
    """One instance that the archive holds; ``tags`` are further attributes that its searches match."""

    study: str
    series: str
    sop: str
    content: bytes = b""
    sop_class: str = DX
    modality: str = "DX"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[str, str]:
        return {
            "StudyInstanceUID": self.study,
            "SeriesInstanceUID": self.series,
            "SOPInstanceUID": self.sop,
            "Modality": self.modality,
            "ModalitiesInStudy": self.modality,
            **self.tags,
        }

    def to_json(self, level: str) -> dict[str, object]:
        shown = {"0020000D": ("UI", self.study)}
        if level != "studies":
            shown |= {"0020000E": ("UI", self.series), "00080060": ("CS", self.modality)}
        if level == "instances":
            shown |= {"00080018": ("UI", self.sop), "00080016": ("UI", self.sop_class)}
        return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in shown.items()}


@dataclass
class Answer:
    """What is sent. ``cut``: that many bytes of the body, then the connection ends."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/dicom+json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    pause_s: float = 0.0


STORED = b'{"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}}'
"""What an archive says of objects that it stored (PS3.18 I.2, Referenced SOP Sequence)."""

Fault = Callable[[str, int], Answer | None]
"""(path, how often that path was asked for before) -> what is answered instead, or None."""


@dataclass
class FakeArchive:
    """Searches, gives and takes. ``requests`` are the paths asked for, ``stored`` the bodies of STOW."""

    held: list[Held]
    fault: Fault = lambda _path, _before: None
    ignores_offset: bool = False
    requests: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serve(self, *, certificate: Path | None = None, key: Path | None = None) -> Iterator["FakeArchive"]:
        """Answer on a free port of loopback while the block lasts; by https with a certificate."""
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                archive.respond(self, b"")

            def do_POST(self) -> None:
                archive.respond(self, self.rfile.read(int(self.headers.get("Content-Length", "0"))))

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests look at ``requests``."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}/rs"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def respond(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        path = parts.path.removeprefix("/rs/")
        before = self.requests.count(path)
        self.requests.append(path)
        self.queries.append(parse_qs(parts.query))
        self.headers.append(dict(handler.headers))
        answer = self.fault(path, before) or self._answer(handler.command, path, parse_qs(parts.query), body)
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.content_type)
        if "Content-Length" not in answer.headers:
            handler.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            self._write(handler, answer)
        except OSError:  # whoever asked has had enough
            handler.close_connection = True

    def _write(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.pause_s:
            for index in range(len(answer.body)):
                handler.wfile.write(answer.body[index : index + 1])
                threading.Event().wait(answer.pause_s)
            return
        handler.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])
        if answer.cut is not None:
            handler.close_connection = True

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Answer:
        if method == "POST":
            self.stored.append(body)
            return Answer(body=STORED)
        words = path.split("/")
        named = dict(zip(words[::2], words[1::2], strict=False))
        wanted = {
            "StudyInstanceUID": named.get("studies", ""),
            "SeriesInstanceUID": named.get("series", ""),
            "SOPInstanceUID": named.get("instances", ""),
        }
        if wanted["SOPInstanceUID"]:
            return self._give({name: value for name, value in wanted.items() if value})
        wanted |= {name: values[0] for name, values in query.items() if name not in ("limit", "offset")}
        found = [one for one in self.held if all(one.attributes.get(name) == value for name, value in wanted.items() if value)]
        level = words[-1]
        rows = list({json.dumps(one.to_json(level)): None for one in found})
        offset = 0 if self.ignores_offset else int(query.get("offset", ["0"])[0])
        page = rows[offset : offset + int(query.get("limit", ["100000"])[0])]
        return Answer(body=f"[{','.join(page)}]".encode())

    def _give(self, wanted: dict[str, str]) -> Answer:
        for one in self.held:
            if all(one.attributes[name] == value for name, value in wanted.items()):
                return Answer(body=envelope(one.content), content_type=multipart_type())
        return Answer(status=404)


def envelope(*contents: bytes) -> bytes:
    """A multipart/related body with these parts."""
    head = b"\r\nContent-Type: application/dicom\r\n\r\n"
    parts = b"".join(b"--" + BOUNDARY + head + content + b"\r\n" for content in contents)
    return parts + b"--" + BOUNDARY + b"--\r\n"


def multipart_type() -> str:
    """The content type of ``envelope``."""
    return f'multipart/related; type="application/dicom"; boundary={BOUNDARY.decode()}'
