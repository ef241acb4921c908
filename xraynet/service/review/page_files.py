"""The files of the page: plain HTML, CSS and ES modules, served as they lie in the package."""

import re
from importlib import resources
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_SHARED: Final = ("film.js",)
"""What the page and the offline report have in common lies with the report."""
_KINDS: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def page_routes() -> list[Route]:
    """Where the page's files are found."""
    return [Route("/", show_page), Route("/static/{name}", show_file)]


def show_page(_: Request) -> Response:
    """The page itself."""
    path = resources.files("xraynet.service.review") / "page" / "index.html"
    return Response(path.read_bytes(), media_type="text/html; charset=utf-8")


def show_file(request: Request) -> Response:
    """A style sheet, script or picture of the page."""
    name = str(request.path_params["name"])
    kind = _KINDS.get(f".{name.rpartition('.')[2]}")
    shared = resources.files("xraynet.reporting") / "templates" / name
    path = shared if name in _SHARED else resources.files("xraynet.service.review") / "page" / name
    if not _NAME.fullmatch(name) or kind is None or not path.is_file():
        raise HTTPException(404, "there is no such file")
    return Response(path.read_bytes(), headers={"content-type": kind})
