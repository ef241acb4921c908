import pytest

from xraynet.findings import LabelState
from xraynet.ingest.labels.records import (
    BoxRow,
    FilmLabels,
    LabelTable,
    Place,
    decide_label_state,
    merge_film_labels,
    merge_tables,
)
from xraynet.ingest.labels.tables import parse_age_years, parse_view_position
from xraynet.ingest.labels.vocabulary import is_target, may_be_target, meanings_of, normalise_targets
from xraynet.radiograph import ViewPosition

BOTH = ("nodule", "mass")


@pytest.mark.parametrize(
    ("boxes", "findings", "read_for", "expected"),
    [
        ([], [], [], LabelState.UNKNOWN),
        ([], [], BOTH, LabelState.FREE),
        ([], [], ["nodule"], LabelState.UNKNOWN),
        ([], ["No Finding"], BOTH, LabelState.FREE),
        ([], ["Effusion"], BOTH, LabelState.FREE),
        ([], ["Nodule"], BOTH, LabelState.UNKNOWN),
        (["Nodule"], ["Nodule"], BOTH, LabelState.BOXED),
        (["Mass"], ["Nodule"], BOTH, LabelState.UNKNOWN),
        (["Nodule/Mass"], ["Nodule"], BOTH, LabelState.BOXED),
        (["Effusion"], [], [], LabelState.UNKNOWN),
        (["Effusion"], [], BOTH, LabelState.FREE),
    ],
)
def test_label_state_of_every_combination(
    boxes: list[str], findings: list[str], read_for: list[str], expected: LabelState
) -> None:
    assert decide_label_state(box_classes=boxes, findings=findings, read_for=read_for, targets=BOTH) is expected


def test_class_that_may_mean_a_target_leaves_the_film_unknown() -> None:
    state = decide_label_state(box_classes=["Nodule/Mass"], findings=[], read_for=BOTH, targets=("nodule",))
    assert state is LabelState.UNKNOWN
    assert may_be_target("Nodule/Mass", targets=("nodule",))
    assert not is_target("Nodule/Mass", targets=("nodule",))


def test_synonyms_do_not_mind_case_and_underscores() -> None:
    assert meanings_of("MASS_LESION") == {"mass"}
    assert meanings_of("Nodule / Mass") == {"nodule", "mass"}
    assert meanings_of("Pleural_Thickening") == {"pleural thickening"}


def test_targets_are_named_once_in_a_fixed_order() -> None:
    assert normalise_targets(["mass", "Nodules", "Effusion"]) == ("nodule", "mass", "effusion")
    with pytest.raises(ValueError, match="at least one"):
        normalise_targets([" "])


def test_merged_labels_keep_both_patients_and_the_first_facts() -> None:
    first = FilmLabels(film="a", patient="1", sex="F", readers=("R1",), boxes=(BoxRow(Place("t", 2), (1, 2, 3, 4)),))
    second = FilmLabels(film="b", patient="2", sex="M", age_years=50.0, readers=("R1", "R2"), spacing_mm=(1.0, 2.0))
    merged = merge_film_labels(first, second)
    assert (merged.patient, merged.other_patients, merged.sex, merged.age_years) == ("1", ("2",), "F", 50.0)
    assert (merged.readers, merged.spacing_mm, len(merged.boxes)) == (("R1", "R2"), (1.0, 2.0), 1)
    assert merge_film_labels(FilmLabels(film="a"), second).patient == "2"
    assert merge_film_labels(first, first).other_patients == ()


def test_no_table_gives_no_films() -> None:
    assert merge_tables([]) == LabelTable(films={})


@pytest.mark.parametrize(
    ("text", "years"), [("012M", 1.0), ("026W", 0.5), ("366D", 1.0), ("", None), ("121", None), ("0", 0.0)]
)
def test_ages_of_all_units(text: str, years: float | None) -> None:
    assert parse_age_years(text) == (None if years is None else pytest.approx(years, abs=0.01))


def test_views_of_all_words() -> None:
    words = ["AP Supine", "LATERAL", "RAO", "other", "sideways"]
    expected = [ViewPosition.AP, ViewPosition.LATERAL, ViewPosition.OBLIQUE, ViewPosition.OTHER, ViewPosition.UNKNOWN]
    assert [parse_view_position(word) for word in words] == expected
