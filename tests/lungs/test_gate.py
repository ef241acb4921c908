from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from xraynet.lungs.config import GateThresholds
from xraynet.lungs.fields import LungFields
from xraynet.lungs.gate import GateEvidence, GateReason, is_blank, judge_film
from xraynet.preparation import GreyConfig, prepare_thumbnail
from xraynet.radiograph import Radiograph, ViewPosition

GOOD = GateEvidence(frontal=0.99, lateral=0.0, turned=(0.97, 0.01, 0.01, 0.01), inverted=0.01, mirrored=0.1)
SCENE = Radiograph(pixels=np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64))


def judge(
    evidence: GateEvidence, fields: LungFields, radiograph: Radiograph = SCENE
) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    prepared = prepare_thumbnail(radiograph, side_px=32, grey=GreyConfig())
    verdict = judge_film(radiograph, prepared, evidence, fields, thresholds=GateThresholds())
    return verdict.passed, verdict.reasons, verdict.warnings


def test_a_frontal_film_head_up_passes_without_a_word(two_lungs: LungFields) -> None:
    assert judge(GOOD, two_lungs) == (True, (), ())


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"frontal": 0.2}, ("not-a-chest",)),
        ({"frontal": 0.2, "lateral": 0.7}, ("lateral",)),
        ({"turned": (0.1, 0.8, 0.05, 0.05)}, ("rotated-90",)),
        ({"turned": (0.1, 0.1, 0.7, 0.1)}, ("rotated-180",)),
        ({"turned": (0.1, 0.1, 0.1, 0.7)}, ("rotated-270",)),
        ({"inverted": 0.9}, ("inverted",)),
        ({"inverted": 0.9, "turned": (0.0, 0.0, 1.0, 0.0)}, ("rotated-180", "inverted")),
    ],
)
def test_what_is_wrong_is_named(two_lungs: LungFields, changes: dict[str, object], reasons: tuple[str, ...]) -> None:
    assert judge(replace(GOOD, **changes), two_lungs) == (False, reasons, ())  # type: ignore[arg-type]
    assert set(reasons) <= set(get_args(GateReason))


@pytest.mark.parametrize("view", [ViewPosition.LATERAL, ViewPosition.OBLIQUE])
def test_a_lateral_by_its_header_is_refused_whatever_it_looks_like(two_lungs: LungFields, view: ViewPosition) -> None:
    assert judge(GOOD, two_lungs, replace(SCENE, view_position=view))[1] == ("lateral",)


@pytest.mark.parametrize("view", [ViewPosition.PA, ViewPosition.AP, ViewPosition.UNKNOWN, ViewPosition.OTHER])
def test_other_headers_do_not_refuse(two_lungs: LungFields, view: ViewPosition) -> None:
    assert judge(GOOD, two_lungs, replace(SCENE, view_position=view))[0]


def test_a_mirrored_film_or_a_heart_on_the_right_is_a_warning(two_lungs: LungFields) -> None:
    for passed, reasons, warnings in (
        judge(replace(GOOD, mirrored=0.99), two_lungs),
        judge(GOOD, two_lungs, replace(SCENE, mirrored=True)),
    ):
        assert passed
        assert not reasons
        assert "sides are not stated" in warnings[0]


def test_white_lungs_are_a_warning(two_lungs: LungFields) -> None:
    none = replace(two_lungs, probability=np.zeros((32, 32), dtype=np.float32))
    assert judge(GOOD, none)[0]
    assert "no lung field" in judge(GOOD, none)[2][0]
    one = two_lungs.probability.copy()
    one[:, 16:] = 0
    assert "only one lung field" in judge(GOOD, replace(two_lungs, probability=one))[2][0]


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((64, 64), 0.5),
        np.random.default_rng(0).normal(0.5, 0.05, (512, 512)),
        np.full((64, 64), 0.5) + np.random.default_rng(0).normal(0, 1e-4, (64, 64)) * (np.arange(64) == 3),
    ],
    ids=["one value", "noise", "one column"],
)
def test_a_blank_film_is_told_apart(two_lungs: LungFields, pixels: np.ndarray) -> None:
    blank = Radiograph(pixels=pixels.astype(np.float32))
    assert judge(GOOD, two_lungs, blank)[1] == ("blank",)


def test_a_film_that_is_all_padding_is_blank(two_lungs: LungFields) -> None:
    assert judge(GOOD, two_lungs, replace(SCENE, padding=np.ones((64, 64), dtype=np.bool_)))[1] == ("blank",)


def test_a_film_with_little_contrast_is_not_blank() -> None:
    faint = SCENE.with_pixels(SCENE.pixels * np.float32(0.01))
    prepared = prepare_thumbnail(faint, side_px=32, grey=GreyConfig())
    assert not is_blank(faint, prepared, flat_range=0.1)
