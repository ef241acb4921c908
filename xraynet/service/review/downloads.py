"""What readers said, as files to download."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from xraynet.service.review.desk import ReviewDesk
from xraynet.service.review.export import ExportedLook, LookName, render_coco, render_csv, select_looks
from xraynet.service.review.export_sr import pack_reports
from xraynet.service.review.guard import session_of


@dataclass(frozen=True)
class Downloads:
    """The exports of a desk. ``?reader=NAME`` is of one reader; ``?look=first`` of the looks before marks were shown.

    Whoever asks gets of others only what the page would show: ``xraynet review OUT --export`` is for all of it.
    """

    desk: ReviewDesk

    def routes(self) -> list[Route]:
        """Where they are found."""
        return [
            Route("/api/export/coco.json", self.coco),
            Route("/api/export/findings.csv", self.csv),
            Route("/api/export/sr.zip", self.reports),
        ]

    def coco(self, request: Request) -> Response:
        """The finished readings as COCO."""
        looks = self._select(request, default="final", finished=True)
        return _download(render_coco(looks), name="coco.json", kind="application/json")

    def csv(self, request: Request) -> Response:
        """All looks as a table, unfinished ones too."""
        return _download(render_csv(self._select(request)), name="findings.csv", kind="text/csv; charset=utf-8")

    def reports(self, request: Request) -> Response:
        """The finished readings as structured reports."""
        looks = self._select(request, default="final", finished=True)
        return _download(pack_reports(looks, root=self.desk.folder.root), name="sr.zip", kind="application/zip")

    def _select(self, request: Request, *, default: LookName | None = None, finished: bool = False) -> list[ExportedLook]:
        asked = request.query_params.get("look", default)
        look: LookName | None = "first" if asked == "first" else "final" if asked == "final" else None
        if asked is not None and look is None:
            raise HTTPException(400, "look is first or final")
        found = select_looks(self.desk.store, reader=request.query_params.get("reader"), look=look, finished=finished)
        me = session_of(request).reader
        open_films = self.desk.films_open_to(me)
        return [item for item in found if item.reader == me or item.reading.id in open_films]


def _download(content: str | bytes, *, name: str, kind: str) -> Response:
    headers = {"content-type": kind, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers)
