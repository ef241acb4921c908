import http.client
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from review_folders import make_reading, write_film
from review_server import ReviewClient, ReviewServer, running_server

pytestmark = pytest.mark.network

A = make_reading(1).id
Sit = Callable[[ReviewServer, str], ReviewClient]


@pytest.fixture
def server(results: Path, tmp_path: Path) -> Iterator[ReviewServer]:
    with running_server(results, log=tmp_path / "log") as running:
        yield running


@pytest.fixture
def sit() -> Iterator[Callable[[ReviewServer, str], ReviewClient]]:
    """Seats a reader at a server's page."""
    clients: list[ReviewClient] = []

    def enter(server: ReviewServer, reader: str) -> ReviewClient:
        clients.append(ReviewClient(server, reader).enter())
        return clients[-1]

    yield enter
    for client in clients:
        client.close()


def read_event(stream: object) -> str:
    lines = []
    while True:
        line = stream.readline().decode().rstrip("\n")
        if not line:
            return "\n".join(lines)
        lines.append(line)


def test_what_one_reader_does_the_others_see_at_once(server: ReviewServer, results: Path, sit: Sit) -> None:
    ada, ben = sit(server, "Ada"), sit(server, "Ben")
    stream = ben.listen()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["x-accel-buffering"] == "no"
    assert read_event(stream) == ": listening"
    ada.step(A, "verdict", verdict="normal")
    told = read_event(stream)
    assert told.startswith("event: change\n")
    assert f'"film": "{A}", "reader": "Ada", "revision": 1, "num_unread": 3' in told  # Ben still has three
    write_film(results, make_reading(5))
    assert read_event(stream) == 'event: films\ndata: {"num_films": 4, "num_unread": 4}'


def test_a_killed_server_has_kept_what_it_answered(results: Path, tmp_path: Path, sit: Sit) -> None:
    with running_server(results, log=tmp_path / "log") as first:
        ada = sit(first, "Ada")
        reading = ada.step(A, "accept", detection="d1")
        first.kill()
    with running_server(results, log=tmp_path / "log") as second:
        ada.enter(second)
        assert ada.get(f"/api/films/{A}")["mine"] == reading
        ada.step(A, "verdict", verdict="findings")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_leaves_one_whole_file_and_says_nothing_of_its_token(
    results: Path, tmp_path: Path, how: signal.Signals, sit: Sit
) -> None:
    with running_server(results, log=tmp_path / "log") as server:
        ada = sit(server, "Ada")
        stream = ada.listen()
        read_event(stream)
        ada.step(A, "verdict", verdict="normal")
        server.process.send_signal(how)
        server.process.wait(timeout=30)
        assert sorted(path.name for path in results.glob("review.sqlite*")) == ["review.sqlite"]
        said = (tmp_path / "log").read_text()
        assert said.count(server.token) == 1  # the link itself
        assert "Traceback" not in said
        if how is signal.SIGINT:
            assert said.rstrip().endswith("stopped; all that the page showed as saved is kept")


def test_a_second_server_on_the_same_readings_is_refused(server: ReviewServer, results: Path) -> None:
    command = [sys.executable, "-m", "xraynet", "review", str(results), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "another review server has it" in done.stderr


def test_a_port_that_is_taken_and_a_folder_without_results_are_said(
    server: ReviewServer, results: Path, tmp_path: Path
) -> None:
    for arguments, said in (
        ([str(tmp_path)], "holds no results"),
        ([str(tmp_path), "--host", "0.0.0.0"], "needs"),  # noqa: S104 - refused
        (
            [str(server.log.parent / "results"), "--store", str(tmp_path / "other.sqlite"), "--port", str(server.port)],
            "listened on",
        ),
    ):
        command = [sys.executable, "-m", "xraynet", "review", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2
        assert said in done.stderr


def test_without_its_libraries_the_verb_names_the_extra(results: Path) -> None:
    code = (
        "import sys, importlib.util as util; real = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'starlette' else real(name, *rest)\n"
        f"sys.argv = ['xraynet', 'review', {str(results)!r}]\n"
        "from xraynet.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "pip install 'xraynet[review]'" in done.stderr


def test_the_server_starts_without_torch(results: Path) -> None:
    code = "import sys, xraynet.cli.review, xraynet.service.review.server; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_under_tls_films_travel_encrypted_and_the_cookie_is_secure(results: Path, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*make, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--tls-cert", str(certificate), "--tls-key", str(key)]
    process = subprocess.Popen(
        [sys.executable, "-m", "xraynet", "review", str(results), *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        link = next(line for line in process.stdout if line.startswith("review: ")).split()[1]
        assert link.startswith(f"https://127.0.0.1:{port}/?token=")
        trust = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=20)
        connection.request("GET", link.removeprefix(f"https://127.0.0.1:{port}"))
        cookie = connection.getresponse().headers["set-cookie"]
        connection.close()
        assert cookie.startswith(f"__Host-xraynet-review-{port}=")
        assert cookie.endswith("; HttpOnly; SameSite=Strict; Path=/; Secure")
    finally:
        process.kill()
        process.communicate()
