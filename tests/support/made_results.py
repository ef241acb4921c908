"""The DICOM results of one film on disk, made in this process by the spot detector."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
import spots
from pydicom.dataset import FileDataset

from xraynet.batch.dicom_results import ResultSettings, results_of_film
from xraynet.batch.film_reader import facts_of_checkpoint
from xraynet.batch.options import FolderOptions
from xraynet.dicom_source import DicomSource
from xraynet.findings import Reading
from xraynet.inference.predictor import Predictor
from xraynet.ingest.dicom_source import read_dicom_source
from xraynet.ingest.read import read_radiograph
from xraynet.radiograph import Radiograph
from xraynet.reporting.dicom_kinds import ALL_DICOM_KINDS, DicomKind
from xraynet.reporting.dicom_object import DicomObject

UIDS = {
    "StudyInstanceUID": "1.2.826.0.1.3680043.10.1.1",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.10.1.2",
    "SOPInstanceUID": "1.2.826.0.1.3680043.10.1.3",
}
HEADER = {
    **UIDS,
    "ImagerPixelSpacing": [0.8, 0.8],
    "ViewPosition": "PA",
    "BitsStored": 12,
    "PatientOrientation": ["L", "F"],
    "StudyDate": "20250203",
    "StudyTime": "101112",
    "AccessionNumber": "ACC-1",
    "StudyID": "7",
}


@dataclass(frozen=True)
class MadeResults:
    """A film, what was read of it, and its objects by kind."""

    film: Radiograph
    source: DicomSource
    reading: Reading
    objects: dict[DicomKind, DicomObject]

    def dataset(self, kind: DicomKind) -> FileDataset:
        """One object, read back."""
        return pydicom.dcmread(BytesIO(self.objects[kind].content))

    def write(self, folder: Path) -> dict[DicomKind, Path]:
        """The objects as files."""
        folder.mkdir(parents=True, exist_ok=True)
        for item in self.objects.values():
            (folder / item.name).write_bytes(item.content)
        return {kind: folder / item.name for kind, item in self.objects.items()}


SPOTS = spots.make_predictor()


def make_settings(
    predictor: Predictor = SPOTS, *, kinds: tuple[DicomKind, ...] = ALL_DICOM_KINDS, **options: object
) -> ResultSettings:
    """Settings for these kinds of results."""
    wanted = FolderOptions(dicom_results=frozenset(kinds), **options)
    return ResultSettings.of(predictor, facts=facts_of_checkpoint(predictor.checkpoint), options=wanted)


def make_results(
    path: Path, *, predictor: Predictor = SPOTS, kinds: tuple[DicomKind, ...] = ALL_DICOM_KINDS, **options: object
) -> MadeResults:
    """Read the film at ``path``, let the spot detector look at it, and make its objects."""
    film = read_radiograph(path)
    source = read_dicom_source(path)
    assert isinstance(source, DicomSource), source
    analysis = predictor.analyse(film)
    objects = results_of_film(source, film, analysis, settings=make_settings(predictor, kinds=kinds, **options))
    return MadeResults(film, source, analysis.reading, {item.kind: item for item in objects})
