"""A real archive for tests: Debian's Orthanc on loopback, in a folder of its own, with DICOM, REST and DICOMweb.

    with Orthanc.start(tmp_path) as archive:
        archive.upload(film.read_bytes())
        archive.list_instances()

``stop`` and ``start_again`` keep ports and storage: that is how an outage looks from outside. Tests ask for the fixture
``orthanc_program`` first, which skips (fails in CI) where the Debian packages are not there.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

PLUGIN: Final = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
HOST: Final = "127.0.0.1"
_START_LIMIT_S: Final = 60.0

Json = dict[str, object]


def find_missing() -> str | None:
    """What is missing to start Orthanc; None where all is there."""
    if find_program() is None:
        return "orthanc is not installed"
    if not PLUGIN.is_file():
        return "orthanc-dicomweb is not installed"
    return None


def find_program() -> str | None:
    """Orthanc's program; Debian puts it where only root's PATH leads."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


def find_free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Modality:
    """Somebody whom Orthanc can send to (C-STORE), by the name that tests call it."""

    name: str
    ae_title: str
    port: int
    host: str = HOST


@dataclass
class Orthanc:
    """A running Orthanc. ``settings`` go over the generated configuration, ``scripts`` are Lua files that it loads."""

    folder: Path
    dicom_port: int
    http_port: int
    ae_title: str = "ORTHANC"
    settings: Mapping[str, object] = field(default_factory=dict)
    scripts: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        ae_title: str = "ORTHANC",
        modalities: Sequence[Modality] = (),
        settings: Mapping[str, object] | None = None,
        scripts: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> "Orthanc":
        """Start Orthanc with its storage in ``folder`` and wait until it answers."""
        known = {one.name: [one.ae_title, one.host, one.port] for one in modalities}
        archive = cls(
            folder=folder,
            dicom_port=find_free_port(),
            http_port=find_free_port(),
            ae_title=ae_title,
            settings={"DicomModalities": known, **(settings or {})},
            scripts=tuple(scripts),
            environment=environment or {},
        )
        archive.start_again()
        return archive

    def __enter__(self) -> "Orthanc":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop(kill=True)  # its storage goes away with the test, and a gentle end takes seconds

    @property
    def url(self) -> str:
        """The root of the REST interface, without a slash at the end."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """The root of DICOMweb, without a slash at the end."""
        return f"{self.url}/dicom-web"

    @property
    def log(self) -> str:
        """All that Orthanc has said since the first start."""
        path = self.folder / "orthanc.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def start_again(self) -> None:
        """Start over the same storage and ports, and wait until it answers. Raises RuntimeError where it does not."""
        program = find_program()
        if program is None or self._process is not None:
            raise RuntimeError("orthanc is not installed" if program is None else "orthanc is running already")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configure(), indent=1), encoding="utf-8")
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "--verbose", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **self.environment},
            )
        self._wait_until_it_answers()

    def stop(self, *, kill: bool = False) -> None:
        """Stop Orthanc, or kill it as a power cut would. What was stored stays. Does nothing where it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def upload(self, content: bytes) -> str:
        """Store one DICOM file; returns Orthanc's own id of the instance. Uploading the same twice is no error."""
        answer = self._ask("POST", "/instances", content, content_type="application/dicom")
        assert isinstance(answer, dict)
        return str(answer["ID"])

    def send(self, modality: str, *resources: str) -> None:
        """Have Orthanc send instances, series or studies (its own ids) to a modality by C-STORE, and wait for the end."""
        self._ask("POST", f"/modalities/{modality}/store", json.dumps(list(resources)).encode())

    def echo(self, modality: str) -> bool:
        """Whether a modality answers Orthanc's C-ECHO."""
        try:
            self._ask("POST", f"/modalities/{modality}/echo", b"{}")
        except urllib.error.HTTPError:
            return False
        return True

    def list_studies(self) -> list[str]:
        """The Study Instance UIDs of all studies, sorted."""
        return sorted(self._tags("/studies", "StudyInstanceUID"))

    def list_series(self, study_uid: str | None = None) -> list[Json]:
        """The main tags of the series (of one study): Modality, SeriesInstanceUID, SeriesNumber, Manufacturer and so on."""
        asked = {"StudyInstanceUID": study_uid} if study_uid else {}
        query: Json = {"Level": "Series", "Expand": True, "Query": asked}
        return [series["MainDicomTags"] for series in self._find(query)]  # type: ignore[misc]

    def list_instances(self, *, study_uid: str | None = None, series_uid: str | None = None) -> list[Json]:
        """Tags of the instances (of a study or series): SOPInstanceUID, SOPClassUID, Modality, SeriesInstanceUID, …"""
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        query = {"Level": "Instance", "Query": {name: uid for name, uid in asked.items() if uid}}
        answer = self._ask("POST", "/tools/find", json.dumps(query).encode())
        assert isinstance(answer, list)
        return [self._instance_tags(str(one)) for one in answer]

    def download(self, sop_instance_uid: str) -> bytes:
        """The stored DICOM file of an instance. Raises LookupError where there is none, or more than one."""
        found = self.find_ids(sop_instance_uid)
        if len(found) != 1:
            raise LookupError(f"{len(found)} instances have that SOP Instance UID; one was expected")
        return self.ask_bytes(f"/instances/{found[0]}/file")

    def find_ids(self, uid: str) -> list[str]:
        """Orthanc's own ids of what has this UID (study, series or instance)."""
        answer = self._ask("POST", "/tools/lookup", uid.encode())
        assert isinstance(answer, list)
        return [str(one["ID"]) for one in answer]

    def search_dicomweb(self, path: str, **query: str) -> list[Json]:
        """What QIDO-RS answers, for example ``search_dicomweb("studies/1.2.3/series", Modality="SR")``."""
        asked = f"?{urllib.parse.urlencode(query)}" if query else ""
        answer = self._ask("GET", f"/dicom-web/{path}{asked}")
        return answer if isinstance(answer, list) else []

    def wait_for_instances(self, num: int, *, limit_s: float = 60.0, study_uid: str | None = None) -> list[Json]:
        """Wait until there are ``num`` instances (in a study); AssertionError with what is there when time is up."""
        deadline = time.monotonic() + limit_s
        while True:
            found = self.list_instances(study_uid=study_uid)
            if len(found) >= num:
                return found
            shown = [(one.get("Modality"), one.get("SOPClassUID")) for one in found]
            assert time.monotonic() < deadline, f"{len(found)} instances after {limit_s:g} s, {num} were expected: {shown}"
            time.sleep(0.2)

    def execute_lua(self, script: str) -> None:
        """Run Lua in Orthanc's own engine, where its scripts live (needs the setting ExecuteLuaEnabled)."""
        self._send("POST", "/tools/execute-script", script.encode(), content_type="text/plain")

    def ask_bytes(self, path: str) -> bytes:
        """The body of a GET of the REST interface."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310  loopback
            content: bytes = answer.read()
            return content

    def _instance_tags(self, instance: str) -> Json:
        answer = self._ask("GET", f"/instances/{instance}/tags?simplify")
        assert isinstance(answer, dict)
        return answer

    def _tags(self, path: str, name: str) -> list[str]:
        answer = self._ask("GET", f"{path}?expand")
        assert isinstance(answer, list)
        return [str(one["MainDicomTags"][name]) for one in answer]

    def _find(self, query: Json) -> list[Json]:
        answer = self._ask("POST", "/tools/find", json.dumps(query).encode())
        assert isinstance(answer, list)
        return answer

    def _ask(self, method: str, path: str, body: bytes | None = None, *, content_type: str = "application/json") -> object:
        content = self._send(method, path, body, content_type=content_type)
        return json.loads(content) if content.strip() else None

    def _send(self, method: str, path: str, body: bytes | None, *, content_type: str) -> bytes:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  loopback
            content: bytes = answer.read()
            return content

    def _configure(self) -> Json:
        return {
            "Name": "Test archive",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "Plugins": [str(PLUGIN)],
            "LuaScripts": [str(script) for script in self.scripts],
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "HttpDescribeErrors": True,
            "OverwriteInstances": False,
            "WebDavEnabled": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False, "Host": HOST, "Ssl": False},
            **self.settings,
        }

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                self._process = None
                raise RuntimeError(f"orthanc ended at once:\n{self.log[-2000:]}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                self._ask("GET", "/system")
                with socket.create_connection((HOST, self.dicom_port), timeout=1):
                    return
            time.sleep(0.1)
        self.stop(kill=True)
        raise RuntimeError(f"orthanc did not answer within {_START_LIMIT_S:g} s:\n{self.log[-2000:]}")
