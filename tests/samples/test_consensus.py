from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.ingest.catalogue import FilmEntry
from xraynet.ingest.consensus import Consensus, ConsensusConfig, find_consensus
from xraynet.samples.cache import FilmCache
from xraynet.samples.dataset import SamplesConfig, TrainingSamples, without_augmentation
from xraynet.samples.order import SampleRef
from xraynet.samples.validation import ValidationConfig, ValidationFilms

TWO = ConsensusConfig(least_readers=2)


def marked(*boxes: tuple[str | None, Sequence[float]]) -> NoduleAnnotations:
    annotations = NoduleAnnotations.of_boxes(np.array([box for _, box in boxes], dtype=np.float32).reshape(-1, 4))
    return replace(annotations, readers=tuple(reader for reader, _ in boxes))


def agree(annotations: NoduleAnnotations, config: ConsensusConfig = TWO, *, num_readers: int = 3) -> Consensus:
    return find_consensus(annotations, num_readers=num_readers, config=config)


def test_boxes_of_two_readers_become_one_nodule() -> None:
    found = agree(marked(("R1", [0, 0, 10, 10]), ("R2", [2, 0, 12, 10]), ("R3", [50, 50, 60, 60])))
    np.testing.assert_allclose(found.agreed.boxes, [[1, 0, 11, 10]])
    assert found.agreed.readers == ("R1+R2",)
    assert found.agreed.state is LabelState.BOXED
    np.testing.assert_allclose(found.disputed, [[50, 50, 60, 60]])


def test_one_reader_is_enough_by_default_but_nothing_counts_twice() -> None:
    found = agree(marked(("R1", [0, 0, 10, 10]), ("R2", [0, 0, 10, 10]), ("R3", [50, 50, 60, 60])), ConsensusConfig())
    np.testing.assert_allclose(found.agreed.boxes, [[0, 0, 10, 10], [50, 50, 60, 60]])
    assert len(found.disputed) == 0


def test_two_boxes_of_one_reader_stay_two_nodules() -> None:
    found = agree(marked(("R1", [0, 0, 10, 10]), ("R1", [1, 0, 11, 10])), ConsensusConfig())
    assert len(found.agreed.boxes) == 2


def test_a_box_joins_the_group_it_overlaps_most() -> None:
    boxes = marked(("R1", [0, 0, 10, 10]), ("R1", [6, 0, 16, 10]), ("R2", [5, 0, 15, 10]))
    np.testing.assert_allclose(agree(boxes).agreed.boxes, [[5.5, 0, 15.5, 10]])


def test_where_fewer_read_than_asked_all_of_them_decide() -> None:
    found = agree(marked(("R1", [0, 0, 10, 10])), num_readers=1)
    assert len(found.agreed.boxes) == 1


def test_unsigned_boxes_stand_as_they_are() -> None:
    boxes = marked((None, [0, 0, 10, 10]), (None, [0, 0, 9, 10]))
    assert agree(boxes, num_readers=0).agreed is boxes


def test_a_film_whose_boxes_are_all_disputed_is_of_unknown_state() -> None:
    found = agree(marked(("R1", [0, 0, 10, 10])))
    assert found.agreed.state is LabelState.UNKNOWN
    assert found.agreed.boxes.shape == (0, 4)
    assert len(found.disputed) == 1


@pytest.mark.parametrize("state", [LabelState.FREE, LabelState.UNKNOWN])
def test_a_film_without_boxes_stays_what_it_is(state: LabelState) -> None:
    found = agree(NoduleAnnotations(state=state))
    assert found.agreed.state is state
    assert found.disputed.shape == (0, 4)


def test_diameters_are_averaged_and_the_middle_subtlety_is_kept() -> None:
    boxes = marked(("R1", [0, 0, 10, 10]), ("R2", [0, 0, 10, 10]), ("R3", [50, 50, 60, 60]))
    boxes = replace(boxes, diameter_mm=(10.0, 14.0, None), subtlety=(3, 4, 5))
    found = agree(boxes, ConsensusConfig())
    assert found.agreed.diameter_mm == (12.0, None)
    assert found.agreed.subtlety == (4, 5)


def test_disputed_boxes_are_ignored_in_training_and_left_out_of_validation(
    film_cache: FilmCache, entries: list[FilmEntry], film_folder: Path, make_entry: Callable[..., FilmEntry]
) -> None:
    boxes = marked(("R1", [60, 80, 90, 110]), ("R2", [60, 80, 90, 112]), ("R3", [120, 100, 140, 120]))
    several = replace(entries[7], annotations=boxes, readers=("R1", "R2", "R3"))
    config = replace(without_augmentation(SamplesConfig(frame_size=(256, 224))), consensus=TWO)
    sample = TrainingSamples(film_cache, [several], config=config, seed=0).draw(SampleRef(0, 0))
    assert (len(sample.boxes), len(sample.ignore)) == (1, 1)
    films = ValidationFilms(film_cache, [several], config=ValidationConfig(consensus=TWO))
    assert len(films.film(0).annotations.boxes) == 1
    alone = replace(several, annotations=marked(("R1", [60, 80, 90, 110])))
    assert len(ValidationFilms(film_cache, [alone], config=ValidationConfig(consensus=TWO))) == 0


@pytest.mark.parametrize("wrong", [{"least_readers": 0}, {"overlap": 1.0}])
def test_an_impossible_consensus_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="was expected"):
        replace(TWO, **wrong)  # type: ignore[arg-type]
