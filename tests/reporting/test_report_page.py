import html
import re
from dataclasses import replace

import numpy as np
import pytest

from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Reading
from xraynet.radiograph import GreyScale, PatientIdentity, Radiograph, ViewPosition
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.html import ReportPicture, content_policy, identity_lines, read_part, render_report
from xraynet.reporting.overlay import render_heatmap
from xraynet.reporting.packing import pack_film, unpack_levels
from xraynet.reporting.words import NOT_LOOKED_FOR, OperatingFacts

SCALE = ColourScale.of_threshold(0.3)
FACTS = OperatingFacts(
    threshold=0.3, sensitivity=0.63, low=0.51, high=0.74, measured_on="120 films", false_positives_per_normal_film=0.25
)
EVIL = "<img src=x onerror=alert(1)>"
READING = Reading(
    source=FilmSource(path="ward/film.dcm", sha256="0123456789abcdef" * 4),
    status="ok",
    image=FilmFacts(height=120, width=100, spacing_mm=(0.5, 0.4), spacing_plane="detector", view_position=ViewPosition.PA),
    gate=GateVerdict(passed=True),
    film_score=0.81,
    detections=(
        Finding(box=(10, 20, 30, 40), score=0.81, reported=True, diameter_mm=14.2, side="right", zone="upper"),
        Finding(box=(95, 1, 100, 6), score=0.4, reported=True, diameter_mm=4.0, side="left", zone="upper"),
        Finding(box=(50, 60, 60, 70), score=0.1, reported=False, diameter_mm=5.0),
    ),
    warnings=("the header is odd",),
    checkpoint=CheckpointIdentity(name="demo", fingerprint="fedcba9876543210" * 4, version="0.1.0"),
    operating_threshold=0.3,
)


def make_picture(*, with_map: bool = True) -> ReportPicture:
    pixels = np.random.default_rng(0).random((120, 100)).astype(np.float32)
    film = Radiograph(pixels=pixels, grey=GreyScale(slope=4095, bits_stored=12))
    frame = DisplayFrame.of(film.size, spacing_mm=(0.5, 0.4))
    heat = render_heatmap(np.zeros(frame.size, dtype=np.float32), SCALE) if with_map else None
    return ReportPicture(film=pack_film(film, frame), frame=frame, heatmap=heat)


def render(
    reading: Reading = READING, *, identity: PatientIdentity | None = None, facts: OperatingFacts = FACTS, with_map: bool = True
) -> str:
    return render_report(reading, make_picture(with_map=with_map), facts=facts, scale=SCALE, identity=identity)


def text_of(page: str) -> str:
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def test_the_page_says_what_was_found_and_by_whom() -> None:
    text = text_of(render())
    assert "2 findings" in text
    assert "Nodule suspected right upper zone, 14 mm at the detector" in text
    assert "0.81" in text
    assert "demo" in text
    assert "0.1.0" in text
    assert "fedcba9876543210" in text
    assert "Research use, not for diagnosis." in text
    assert NOT_LOOKED_FOR in text
    assert "the header is odd" in text
    assert "1 further mark below the operating point is in reading.json" in text


def test_boxes_lie_in_the_frame_of_the_page() -> None:
    page = render()
    frame = make_picture().frame
    assert frame.size == (150, 100)
    assert 'data-box="10.0 25.0 20.0 25.0"' in page
    assert page.count('class="halo"') == 2


def test_labels_at_the_border_turn_inwards() -> None:
    assert 'dy="1.15em" text-anchor="end"' in render()


def test_a_film_without_findings_is_never_called_normal() -> None:
    page = render(replace(READING, detections=(), film_score=0.0, warnings=()))
    text = text_of(page)
    assert "No finding above the operating point" in text
    assert "Sensitivity there was 0.63 [0.51 to 0.74] on 120 films." in text
    assert "does not rule out" in text
    assert "no nodule" not in text.lower()
    assert not re.search(r"\bnormal\b(?! film)", text)


def test_an_unmeasured_detector_says_so() -> None:
    text = text_of(render(replace(READING, detections=(), film_score=0.0), facts=OperatingFacts(threshold=0.3)))
    assert "has not been measured" in text


def test_a_film_that_was_not_analysed_says_why() -> None:
    withheld = replace(
        READING, status="refused", film_score=None, detections=(), gate=GateVerdict(False, ("rotated-90", "inverted"))
    )
    text = text_of(render(withheld, with_map=False))
    assert "Not analysed" in text
    assert "turned clockwise by 90 degrees" in text
    assert "gate.rotated-90, gate.inverted" in text
    assert "Opacity" not in text


def test_a_film_analysed_against_the_gate_says_so() -> None:
    text = text_of(render(replace(READING, gate=GateVerdict(False, ("inverted",)), gate_enforced=False)))
    assert "Analysed against the gate" in text


def test_without_spacing_no_millimetres_are_given() -> None:
    bare = replace(
        READING,
        image=replace(READING.image, spacing_mm=None, spacing_plane=None, view_position=ViewPosition.UNKNOWN),
        detections=(replace(READING.detections[0], diameter_mm=None),),
    )
    text = text_of(render(bare))
    assert "not stated; no millimetres are given" in text
    assert "20 pixels across" in text
    assert " mm at" not in text


def test_the_page_carries_the_film_in_full_depth() -> None:
    page = render()
    packed = re.search(r'id="film-levels">([^<]+)<', page)
    assert packed is not None
    picture = make_picture()
    assert (unpack_levels(packed.group(1), size=picture.frame.size) == picture.film.levels).all()
    assert '"numLevels": 4096' in page


def test_the_page_needs_nothing_from_outside() -> None:
    page = render()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", page)
    assert "default-src 'none'" in html.unescape(page)
    assert "unsafe-inline" not in page
    assert " style=" not in page
    assert not re.search(r"\son[a-z]+\s*=", page)


def test_the_policy_names_exactly_the_parts_of_the_page() -> None:
    page = render()
    style, script = read_part("report.css"), read_part("film.js", "report.js")
    assert f"<style>{style.text}</style>" in page
    assert f'<script type="module">{script.text}</script>' in page
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page).group(1))
    assert policy == content_policy(style=style, script=script)
    assert "script-src 'none'" in content_policy(style=style, script=None)


def test_what_a_file_says_cannot_become_markup() -> None:
    evil = replace(
        READING,
        source=replace(READING.source, path=f"{EVIL}.dcm"),
        warnings=(EVIL,),
        checkpoint=replace(READING.checkpoint, name="</script><script>alert(1)</script>"),
    )
    page = render(evil, identity=PatientIdentity(name=EVIL, patient_id='"><script>alert(1)</script>'))
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert html.escape(EVIL) in page


def test_identity_is_printed_only_where_it_was_asked_for() -> None:
    identity = PatientIdentity(
        name="Doe^Jane", patient_id="ID77", birth_date="19500131", accession_number="ACC9", study_date="20260102"
    )
    named, plain = text_of(render(identity=identity)), text_of(render())
    for value in ("Doe, Jane", "ID77", "1950-01-31", "ACC9", "2026-01-02"):
        assert value in named
        assert value not in plain


def test_a_date_of_another_form_is_printed_as_it_is() -> None:
    assert identity_lines(PatientIdentity(birth_date="1950")) == [("Birth date", "1950")]


@pytest.mark.parametrize("text_colour", ["e9eef2", "aab6c1", "78e1ff", "ffcf70"])
@pytest.mark.parametrize("ground", ["0b0e11", "14191e", "1d242b", "2c2410"])
def test_every_text_colour_has_contrast_aa_on_every_ground(text_colour: str, ground: str) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert f"#{text_colour}" in read_part("report.css").text
    assert f"#{ground}" in read_part("report.css").text
    light, dark = sorted((luminance(text_colour), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_pictures_have_alternative_texts() -> None:
    page = render()
    for tag in re.findall(r"<img\b[^>]*>", page):
        assert re.search(r'alt="[^"]+"', tag)
    assert re.search(r'<canvas[^>]+aria-label="Chest radiograph, view PA', page)
