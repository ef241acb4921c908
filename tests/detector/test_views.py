import pytest
import torch

from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint
from xraynet.detector import DecodeConfig, Detector, DetectorConfig, decode_detections
from xraynet.detector.views import read_films
from xraynet.settings import config_to_dict, structure_config

TWICE = DecodeConfig(second_view="mirrored")


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    detector = Detector(DetectorConfig(backbone="test_resnet", channels=16, head_depth=1))
    with torch.no_grad():
        detector.head.score.weight.mul_(200)  # an untrained network hardly tells one place from another
        detector.head.box.weight.mul_(20)
    return detector.eval()


@torch.no_grad()
def test_one_view_is_the_detector_itself(detector: Detector) -> None:
    films = torch.rand(2, 1, 64, 96)
    output, plain = read_films(detector, films, config=DecodeConfig()), detector(films)
    assert torch.equal(output.score_logits, plain.score_logits)
    assert torch.equal(output.box_distances, plain.box_distances)


@torch.no_grad()
def test_a_mirrored_film_is_read_as_the_mirror_image(detector: Detector) -> None:
    films = torch.rand(1, 1, 64, 96)
    output = read_films(detector, films, config=TWICE)
    mirrored = read_films(detector, films.flip(-1), config=TWICE)
    torch.testing.assert_close(mirrored.score_logits.flip(-1), output.score_logits, atol=1e-4, rtol=1e-4)
    (boxes, scores), (others, other_scores) = decode_detections(output)[0], decode_detections(mirrored)[0]
    torch.testing.assert_close(scores, other_scores, atol=1e-4, rtol=1e-4)
    back = torch.stack([96 - others[:, 2], others[:, 1], 96 - others[:, 0], others[:, 3]], dim=1)
    torch.testing.assert_close(boxes[:5], back[:5], atol=1e-2, rtol=1e-3)


@torch.no_grad()
def test_the_boxes_of_two_views_lie_between_those_of_each(detector: Detector) -> None:
    films = torch.rand(1, 1, 64, 64)
    once, twice = detector(films).box_distances, read_films(detector, films, config=TWICE).box_distances
    other = detector(films.flip(-1)).box_distances.flip(-1)[:, [2, 1, 0, 3]]
    assert (twice <= torch.maximum(once, other) + 1e-3).all()
    assert (twice >= torch.minimum(once, other) - 1e-3).all()


def test_a_decoding_without_the_key_reads_once_and_says_nothing_of_it() -> None:
    # Checkpoints of before keep their fingerprint, which is over their settings.
    assert "second_view" not in config_to_dict(DecodeConfig())
    kept = config_to_dict(TWICE)
    assert kept["second_view"] == "mirrored"
    assert structure_config(kept, DecodeConfig, where="test") == TWICE
    assert read_checkpoint(find_shipped_checkpoint()).fingerprint
