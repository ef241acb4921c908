"""The files of one reading, in its own folder ``readings/<id>/``: pictures, report, map, and reading.json last."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from xraynet.batch.options import FolderOptions
from xraynet.batch.reading_folder import (
    FILM_NAME,
    HEATMAP_NAME,
    IDENTITY_NAME,
    MAP_NAME,
    OVERLAY_NAME,
    PDF_NAME,
    THUMBNAIL_NAME,
    encode_identity,
)
from xraynet.batch.reading_folder import READING_NAME as READING_NAME
from xraynet.batch.reading_folder import REPORT_NAME as REPORT_NAME
from xraynet.batch.reading_folder import find_thumbnail as find_thumbnail
from xraynet.batch.reading_folder import read_identity as read_identity
from xraynet.batch.visit_record import page_of_visit
from xraynet.files import write_bytes_atomically, write_text_atomically
from xraynet.inference.predictor import Analysis
from xraynet.radiograph import Radiograph
from xraynet.reading_file import DISCLAIMER, write_reading
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.dicom_object import DicomObject
from xraynet.reporting.frame import SHORTEST_LONG_SIDE, DisplayFrame
from xraynet.reporting.html import ReportPicture, render_report
from xraynet.reporting.overlay import draw_overlay, render_heatmap, render_overlay, render_thumbnail
from xraynet.reporting.packing import pack_film
from xraynet.reporting.visit_picture import render_plain_film
from xraynet.reporting.window import choose_window, show_film
from xraynet.reporting.words import OperatingFacts

_WORKLIST: Final = "../../index.html"


@dataclass(frozen=True)
class ModelFacts:
    """What documents say of the detector: at its operating point, and the colours of its scores."""

    operating: OperatingFacts
    scale: ColourScale


def render_film(
    radiograph: Radiograph,
    analysis: Analysis,
    *,
    facts: ModelFacts,
    options: FolderOptions,
    study_key: str | None = None,
) -> dict[str, bytes]:
    """The files that ``options`` ask for, by name, all but reading.json. ``study_key``: of the visit whose page it leads to."""
    spacing = radiograph.spacing.row_column_mm if radiograph.spacing is not None else None
    frame = DisplayFrame.of(radiograph.size, spacing_mm=spacing, least=SHORTEST_LONG_SIDE)
    heat = analysis.heat.resized(frame.size) if analysis.heat is not None else None
    heatmap = render_heatmap(heat, facts.scale) if heat is not None and options.outputs & {"heatmap", "report"} else None
    files: dict[str, bytes] = {}
    if heatmap is not None and "heatmap" in options.outputs:
        files[HEATMAP_NAME] = heatmap
    if options.outputs & {"overlay", "index"}:
        shown = frame.show(show_film(radiograph))
        picture = draw_overlay(shown, heat, reading=analysis.reading, frame=frame, scale=facts.scale, language=options.language)
        if "overlay" in options.outputs:
            files[OVERLAY_NAME] = render_overlay(picture)
        if "index" in options.outputs:
            files[THUMBNAIL_NAME] = render_thumbnail(picture)
    if "report" in options.outputs:
        page_frame = DisplayFrame.of(radiograph.size, spacing_mm=spacing)
        page = render_report(
            analysis.reading,
            ReportPicture(film=pack_film(radiograph, page_frame), frame=page_frame, heatmap=heatmap),
            facts=facts.operating,
            scale=facts.scale,
            identity=radiograph.identity if options.identify else None,
            worklist=_WORKLIST if "index" in options.outputs else None,
            pdf=PDF_NAME if options.pdf else None,
            visit=f"../../{page_of_visit(study_key)}" if study_key is not None and options.visits is not None else None,
            language=options.language,
        )
        files[REPORT_NAME] = page.encode("utf-8")
    if options.pdf:
        files[PDF_NAME] = _render_pdf(radiograph, analysis, facts=facts, options=options)
    if options.visits is not None:
        files[FILM_NAME] = render_plain_film(radiograph)
    if options.save_map and analysis.heat is not None:
        files[MAP_NAME] = _pack_map(analysis)
    if options.identify:
        files[IDENTITY_NAME] = encode_identity(radiograph.identity)
    return files


def _render_pdf(radiograph: Radiograph, analysis: Analysis, *, facts: ModelFacts, options: FolderOptions) -> bytes:
    # reportlab is an extra: only those who ask for a PDF need it.
    from xraynet.reporting.pdf import render_pdf
    from xraynet.reporting.pdf_pictures import LONGEST_SIDE, PdfPicture

    spacing = radiograph.spacing.row_column_mm if radiograph.spacing is not None else None
    frame = DisplayFrame.of(radiograph.size, spacing_mm=spacing, longest=LONGEST_SIDE, least=SHORTEST_LONG_SIDE)
    return render_pdf(
        analysis.reading,
        PdfPicture(
            shown=frame.show(show_film(radiograph)),
            score_map=analysis.heat.resized(frame.size) if analysis.heat is not None else None,
            reading=analysis.reading,
            frame=frame,
            window_source=choose_window(radiograph).source,
        ),
        facts=facts.operating,
        scale=facts.scale,
        identity=radiograph.identity if options.identify else None,
        language=options.language,
        paper=options.paper,
    )


def write_film(folder: Path, analysis: Analysis, files: dict[str, bytes]) -> None:
    """Write a reading's files; reading.json comes last, so that a folder that has it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_bytes_atomically(folder / name, content)
        if name == IDENTITY_NAME:
            (folder / name).chmod(0o600)
    write_reading(folder / READING_NAME, analysis.reading)


def write_objects(folder: Path, objects: Iterable[DicomObject]) -> None:
    """Write DICOM objects that stand without a reading: those of a radiograph that was refused at the door."""
    for made in objects:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(folder / made.name, made.content)


def _pack_map(analysis: Analysis) -> bytes:
    score_map = analysis.score_map
    assert score_map is not None
    stream = io.BytesIO()
    np.savez_compressed(
        stream, score_map=score_map, notice=np.array(DISCLAIMER), sha256=np.array(analysis.reading.source.sha256)
    )
    return stream.getvalue()


def write_tables(folder: Path, texts: dict[str, str]) -> None:
    """Write the pages and tables of a run."""
    for name, text in texts.items():
        write_text_atomically(folder / name, text)
