"""What all three kinds of results share: identity, study, text, and that xraynet never takes one for a film."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
import spots
from dicom_files import write_dicom
from made_results import HEADER, MadeResults, make_results
from named_films import NAMED, write_over
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xraynet.checkpoint import OperatingPoint
from xraynet.errors import FilmRefused
from xraynet.ingest.read import read_radiograph
from xraynet.reporting.dicom_kinds import ALL_DICOM_KINDS, DicomKind

IDENTITY = {"PatientName": "Seededson^Janetta", "PatientID": "SEEDID99", "PatientBirthDate": "19511213", "PatientSex": "F"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "a.dcm"
    return write_dicom(path, spots.spot_film((90, 120)), **HEADER, **IDENTITY, IssuerOfPatientID="Ward 7")


@pytest.fixture(scope="module")
def made(film: Path) -> MadeResults:
    return make_results(film)


def uids_of(made: MadeResults) -> set[str]:
    return {item.sop_instance_uid for item in made.objects.values()}


@pytest.mark.parametrize("kind", ALL_DICOM_KINDS)
def test_a_result_stands_in_the_films_study_in_a_series_of_its_own(made: MadeResults, kind: DicomKind) -> None:
    result = made.dataset(kind)
    assert result.StudyInstanceUID == HEADER["StudyInstanceUID"]
    assert result.SeriesInstanceUID != HEADER["SeriesInstanceUID"]
    assert result.SeriesNumber >= 900
    for keyword, value in IDENTITY.items():
        assert str(result[keyword].value) == value
    assert (result.IssuerOfPatientID, result.AccessionNumber, result.StudyID) == ("Ward 7", "ACC-1", "7")
    assert (result.StudyDate, result.StudyTime) == ("20250203", "101112")
    assert result.Manufacturer == "xraynet"
    assert result.SoftwareVersions[0].startswith("xraynet ")
    assert made.reading.checkpoint.fingerprint[:16] in result.SoftwareVersions[1]
    assert result.SpecificCharacterSet == "ISO_IR 192"
    assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID == made.objects[kind].sop_instance_uid


def test_kinds_have_series_of_their_own(made: MadeResults) -> None:
    assert len({made.dataset(kind).SeriesInstanceUID for kind in ALL_DICOM_KINDS}) == 3
    assert len({made.dataset(kind).SeriesNumber for kind in ALL_DICOM_KINDS}) == 3


def test_made_again_they_are_the_same_bytes_in_another_process_too(film: Path, made: MadeResults, tmp_path: Path) -> None:
    again = make_results(film)
    assert {kind: item.content for kind, item in again.objects.items()} == {
        kind: item.content for kind, item in made.objects.items()
    }
    support = Path(__file__).parents[1] / "support"
    code = (
        f"import sys; sys.path.insert(0, {str(support)!r}); from pathlib import Path; import made_results\n"
        f"made_results.make_results(Path({str(film)!r})).write(Path({str(tmp_path)!r}))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for item in made.objects.values():
        assert (tmp_path / item.name).read_bytes() == item.content


def test_another_checkpoint_another_film_and_another_configuration_give_other_uids(film: Path, made: MadeResults) -> None:
    other_point = spots.make_predictor(operating_point=OperatingPoint(threshold=0.31))
    other_detector = make_results(film, predictor=other_point, kinds=("sr", "pr"))
    other_gate = make_results(film, enforce_gate=False, kinds=("sr", "pr"))
    assert not uids_of(made) & uids_of(other_detector)
    assert not uids_of(made) & uids_of(other_gate)
    for kind in ("sr", "pr"):
        assert made.dataset(kind).SeriesInstanceUID != other_detector.dataset(kind).SeriesInstanceUID


def test_the_same_sop_instance_uid_with_other_bytes_is_another_source(film: Path, made: MadeResults, tmp_path: Path) -> None:
    changed = write_dicom(tmp_path / "b.dcm", spots.spot_film((90, 121)), **HEADER, **IDENTITY)
    other = make_results(changed, kinds=("sr",))
    assert other.source.sop_instance_uid == made.source.sop_instance_uid
    assert not uids_of(made) & uids_of(other)
    assert made.dataset("sr").SeriesInstanceUID == other.dataset("sr").SeriesInstanceUID


@pytest.mark.parametrize("kind", ALL_DICOM_KINDS)
def test_no_date_comes_from_the_clock(made: MadeResults, kind: DicomKind) -> None:
    dates = [element for element in made.dataset(kind).iterall() if element.VR in ("DA", "DT") and element.value]
    assert {str(element.value) for element in dates} <= {"20250203", IDENTITY["PatientBirthDate"]}
    assert "ContributionDateTime" not in made.dataset(kind).ContributingEquipmentSequence[0]


def test_a_film_without_a_date_gets_a_stated_one_where_dicom_needs_one(tmp_path: Path) -> None:
    header = {name: value for name, value in HEADER.items() if not name.startswith("Study") or name.endswith("UID")}
    made = make_results(write_dicom(tmp_path / "a.dcm", spots.spot_film((90, 120)), **header), kinds=("sr",))
    assert made.dataset("sr").ContentDate == "19000101"
    assert made.dataset("sr").StudyDate == ""


@pytest.mark.parametrize("kind", ALL_DICOM_KINDS)
@pytest.mark.parametrize(
    "syntax", [None, ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], ids=str
)
def test_a_result_that_comes_back_is_refused_as_our_own(
    made: MadeResults, kind: DicomKind, syntax: pydicom.uid.UID | None, tmp_path: Path
) -> None:
    path = tmp_path / "back.dcm"
    path.write_bytes(made.objects[kind].content)
    if syntax is not None:  # an archive keeps it in another transfer syntax, and the picture unpacked
        result = made.dataset(kind)
        if "PixelData" in result:
            result.decompress()
        result.file_meta.TransferSyntaxUID = syntax
        implicit = syntax == ImplicitVRLittleEndian
        stream = BytesIO()
        pydicom.dcmwrite(stream, result, implicit_vr=implicit, little_endian=True, force_encoding=True)
        path.write_bytes(stream.getvalue())
    with pytest.raises(FilmRefused) as caught:
        read_radiograph(path)
    assert caught.value.code == "own-result"


@pytest.mark.parametrize("file", NAMED)
def test_names_of_any_script_arrive_in_unicode(file: str, tmp_path: Path) -> None:
    name = NAMED[file]
    made = make_results(write_over(file, tmp_path / file), kinds=("sr", "pr"))
    for kind in ("sr", "pr"):
        result = made.dataset(kind)
        assert result.SpecificCharacterSet == "ISO_IR 192"
        assert str(result.PatientName) == name
        assert name.encode("utf-8") in made.objects[kind].content
