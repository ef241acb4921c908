import configparser
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from xraynet.service.node.systemd import Notifier

UNIT = Path(__file__).resolve().parents[2] / "docker" / "xraynet-node.service"


def read_service() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/xraynet/bin/xraynet", "/bin/true"))
    done = subprocess.run([program, "verify", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_service_has_no_rights_that_it_does_not_need() -> None:
    service = read_service()
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    for name in ("DynamicUser", "NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
        assert service[name] == "yes"
    assert service["UMask"] == "0077"
    assert service["LimitCORE"] == "0"  # a core holds films


def test_the_service_lets_the_film_at_hand_be_finished() -> None:
    service = read_service()
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"  # the decoder ends with the node, not before it
    assert int(service["TimeoutStopSec"]) > 120
    assert " listen " in service["ExecStart"]


def test_systemd_hears_that_the_node_is_ready_and_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        notifier = Notifier()
        notifier.say("READY=1")
        notifier.feed_watchdog()
        notifier.feed_watchdog()  # not due again for half a minute
        notifier.say("STOPPING=1")
        assert [listener.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "")
    Notifier().feed_watchdog()
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    Notifier().say("READY=1")
