"""The whole road from films to reports, with every connection beyond this machine refused and written down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = Path(__file__).with_name("support") / "loopback"
ROAD = """
import sys
from pathlib import Path
from xraynet.cli.main import build_app

films, catalogue, run = "films", "catalogue", "run"
detector = ["--checkpoint", "run/best.safetensors"]
road = [
    ["phantoms", films, "--num", "12", "--size", "160", "--nodule-every", "2"],
    ["ingest", films, "--labels", "films/labels.csv", "--format", "plain-csv", "--split", "0.5,0.5,0", "--workers", "1",
     "--out", catalogue],
    ["train", "--catalogue", catalogue, "--config", "tiny", "--out", run, "--steps", "2", "--device", "cpu"],
    ["evaluate", "--catalogue", catalogue, "--split", "validation", *detector, "--out", "figures"],
    ["simulate", films, *detector, "--out", "simulated"],
    ["predict", films, *detector, "--out", "results"],
    ["doctor"],
]
if __name__ == "__main__":  # for the decoder's process, which imports this file
    app = build_app()
    for asked in road:
        code = app(asked, standalone_mode=False)
        assert not code, (asked, code)
        print("passed", asked[0], flush=True)
"""


def guarded(log: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(GUARD), "XRAYNET_SOCKET_LOG": str(log), "OMP_NUM_THREADS": "1"}


def noted(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if line != "guarded"]


def test_no_verb_speaks_to_another_machine(tmp_path: Path) -> None:
    (tmp_path / "road.py").write_text(ROAD)
    log = tmp_path / "sockets.log"
    done = subprocess.run(
        [sys.executable, "road.py"], cwd=tmp_path, env=guarded(log), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    passed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("passed ")]
    assert passed == ["phantoms", "ingest", "train", "evaluate", "simulate", "predict", "doctor"]
    assert noted(log) == []
    assert log.read_text().count("guarded") >= 3  # decoders are processes of their own


@pytest.mark.parametrize(
    "call",
    [
        'socket(type=SOCK_DGRAM).connect(("192.0.2.1", 80))',
        'socket(type=SOCK_DGRAM).connect_ex(("192.0.2.1", 80))',
        'socket(type=SOCK_DGRAM).sendto(b"a", ("192.0.2.1", 80))',
        'create_connection(("example.invalid", 80))',
        'socket().bind(("0.0.0.0", 0))',
    ],
)
def test_the_guard_would_notice(tmp_path: Path, call: str) -> None:
    log = tmp_path / "sockets.log"
    code = f"from socket import *; {call}"
    done = subprocess.run([sys.executable, "-c", code], env=guarded(log), capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr
    assert len(noted(log)) == 1


def test_the_guard_lets_loopback_be(tmp_path: Path) -> None:
    log = tmp_path / "sockets.log"
    code = 'import socket; a = socket.create_server(("127.0.0.1", 0)); socket.create_connection(a.getsockname())'
    assert subprocess.run([sys.executable, "-c", code], env=guarded(log), check=False).returncode == 0
    assert noted(log) == []
