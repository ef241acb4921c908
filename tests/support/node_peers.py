"""Peers of a node in tests: films with a whole identity, senders that tell what they were answered, an archive on cue."""

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from dicom_files import write_dicom
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

SEEDED = ("Seededson^Janetta", "SEEDID99", "19511213", "SEEDACC7", "20250203")
"""Name, ID, birth date, accession number and study date of the patient on every film: they must turn up nowhere."""


def draw_film(seed: int, size: tuple[int, int] = (96, 80)) -> NDArray[np.uint16]:
    """Smooth noise, another for every seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    film = 600 + 1800 * np.sin(np.pi * x / size[1]) * np.sin(np.pi * y / size[0]) + rng.normal(0, 8, size)
    return np.clip(film, 0, 4095).astype(np.uint16)


def write_film(path: Path, seed: int = 0, *, pixels: NDArray[np.uint16] | None = None, **tags: object) -> Path:
    """A DX film with the seeded identity; the same seed is the same file."""
    name, patient, birth, accession, study_date = SEEDED
    stated = {
        "SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.1.{seed + 1}",
        "StudyInstanceUID": f"1.2.826.0.1.3680043.8.498.2.{seed + 1}",
        "SeriesInstanceUID": f"1.2.826.0.1.3680043.8.498.3.{seed + 1}",
        "PatientName": name,
        "PatientID": patient,
        "PatientBirthDate": birth,
        "AccessionNumber": accession,
        "StudyDate": study_date,
        "BitsStored": 12,
        "ImagerPixelSpacing": [0.8, 0.8],
        "ViewPosition": "PA",
    }
    return write_dicom(path, draw_film(seed) if pixels is None else pixels, **{**stated, **tags})  # type: ignore[arg-type]


def send(
    port: int,
    *films: Path | Dataset,
    calling: str = "SENDER",
    called: str = "XRAYNET",
    tls: ssl.SSLContext | None = None,
    contexts: Sequence[tuple[str, str]] = (),
) -> list[int | None]:
    """C-STORE films over one association: the status of each; None where there was no answer, or no association."""
    datasets = [film if isinstance(film, Dataset) else dcmread(film) for film in films]
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    wanted = {(str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)) for each in datasets} | set(contexts)
    for sop_class, syntax in sorted(wanted):
        entity.add_requested_context(sop_class, syntax)
    arguments = {} if tls is None else {"tls_args": (tls, "localhost")}
    association = entity.associate("127.0.0.1", port, ae_title=called, **arguments)  # type: ignore[arg-type]
    answers: list[int | None] = []
    for dataset in datasets:
        if not association.is_established:
            answers.append(None)
            continue
        try:
            answer = association.send_c_store(dataset)
        except (RuntimeError, ValueError):
            answers.append(None)
            continue
        answers.append(int(answer.Status) if "Status" in answer else None)
    if association.is_established:
        association.release()
    return answers


def ask_association(
    port: int, *, calling: str = "SENDER", called: str = "XRAYNET", tls: ssl.SSLContext | None = None
) -> tuple[bool, tuple[int, int, int] | None]:
    """Whether an association for C-ECHO is accepted (and echoes), and the rejection's result, source and reason."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(Verification)
    arguments = {} if tls is None else {"tls_args": (tls, "localhost")}
    association = entity.associate("127.0.0.1", port, ae_title=called, **arguments)  # type: ignore[arg-type]
    if association.is_established:
        status = association.send_c_echo()
        association.release()
        return status.Status == 0, None
    answer = association.acceptor.primitive
    return False, None if answer is None else (int(answer.result), int(answer.result_source), int(answer.diagnostic))


@dataclass
class StubArchive:
    """An archive that answers on cue. ``answers`` are given first, then success; ``stored`` are the files it took."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    stored: list[tuple[str, str, bytes]] = field(default_factory=list)
    associations: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs of what it took, in order."""
        with self.lock:
            return [uid for uid, _, _ in self.stored]


@contextmanager
def run_stub_archive(
    *,
    answers: Sequence[int] = (),
    contexts: Sequence[tuple[str, Sequence[str]]] = (),
    tls: ssl.SSLContext | None = None,
    port: int = 0,
    on_store: Callable[[], None] | None = None,
) -> Iterator[StubArchive]:
    """A storage SCP on loopback; ``contexts`` are (SOP class, transfer syntaxes)."""
    archive = StubArchive(answers=list(answers))

    def store(event: evt.Event) -> int:
        if on_store is not None:
            on_store()
        content = event.encoded_dataset()
        with archive.lock:
            status = archive.answers.pop(0) if archive.answers else 0
            if status == 0 or (status >= 0xB000 and status < 0xC000):
                syntax = str(event.context.transfer_syntax)
                archive.stored.append((str(event.request.AffectedSOPInstanceUID), syntax, content))
        return status

    def count(event: evt.Event) -> None:
        archive.associations += 1

    entity = AE("ARCHIVE")
    for sop_class, syntaxes in contexts:
        entity.add_supported_context(sop_class, list(syntaxes))
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_ACCEPTED, count)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
    archive.port = server.server_address[1]
    try:
        yield archive
    finally:
        entity.shutdown()


def write_result(name: str, uid: str, *, sop_class: str, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """A small object such as a node sends."""
    stream = BytesIO()
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    made = FileDataset(stream, {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = UID(sop_class), UID(uid)
    made.PatientID, made.Manufacturer, made.Modality = SEEDED[1], "xraynet", name[:2].upper()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@dataclass(frozen=True)
class Certificates:
    """A CA, a certificate of it for localhost with its key, and a certificate of nobody that is trusted."""

    ca: Path
    certificate: Path
    key: Path
    stranger: Path
    stranger_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Fresh certificates by openssl."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA")
    openssl("req", *key, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "node.csr", *signing, "-out", "node.pem")
    openssl("req", "-x509", *key, "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/CN=localhost")
    names = ("ca.pem", "node.pem", "node.key", "stranger.pem", "stranger.key")
    return Certificates(*(folder / name for name in names))
