"""Every shipped checkpoint has a card, and the card is about that checkpoint."""

from pathlib import Path

import pytest

from xraynet.checkpoint import read_checkpoint
from xraynet.lungs.segmenter import LungSegmenter

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"
LARGEST_BYTES = 30_000_000


def test_both_checkpoints_are_shipped() -> None:
    assert {path.name for path in CHECKPOINTS.glob("*.safetensors")} == {"lungs.safetensors", "xraynet.safetensors"}


@pytest.mark.parametrize("name", ["lungs", "xraynet"])
def test_a_checkpoint_is_small_and_its_card_names_its_fingerprint(name: str) -> None:
    path = CHECKPOINTS / f"{name}.safetensors"
    assert path.stat().st_size < LARGEST_BYTES
    fingerprint = LungSegmenter.from_file(path).fingerprint if name == "lungs" else read_checkpoint(path).fingerprint
    card = (CHECKPOINTS / f"{name}.md").read_text(encoding="utf-8")
    assert fingerprint[:16] in card
    assert "Research use, not for diagnosis" in card


def test_the_detector_goes_with_the_lungs_beside_it() -> None:
    detector = read_checkpoint(CHECKPOINTS / "xraynet.safetensors")
    assert detector.settings.lungs_fingerprint == LungSegmenter.from_file(CHECKPOINTS / "lungs.safetensors").fingerprint


def test_the_detector_says_where_it_comes_from() -> None:
    checkpoint = read_checkpoint(CHECKPOINTS / "xraynet.safetensors")
    settings = checkpoint.settings
    assert "NIH" in checkpoint.provenance.film_sources
    assert "attribution" in checkpoint.provenance.terms
    assert checkpoint.provenance.preset == "nodule-cpu-lite-faint"
    assert settings.operating_point.calibrated_on
    assert settings.operating_point.false_positives_per_normal_film is not None
    assert settings.operating_point.false_positives_per_normal_film <= 0.25
