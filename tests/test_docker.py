"""The container files: linted, read, and their entry point run outside a container."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DOCKER = Path(__file__).resolve().parents[1] / "docker"


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.cuda"])
def test_hadolint_finds_nothing(name: str) -> None:
    program = Path(sys.executable).with_name("hadolint")
    assert program.is_file()
    result = subprocess.run([program, DOCKER / name], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.cuda"])
def test_images_drop_their_rights_and_copy_only_what_exists(name: str) -> None:
    lines = (DOCKER / name).read_text().splitlines()
    assert "USER 10001" in lines
    root = DOCKER.parent
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (root / source).exists(), f"{name} copies {source}, which is not there"


def test_services_get_no_network_and_read_films_only() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert set(services) == {"predict", "train"}
    for service in services.values():
        assert service["network_mode"] == "none"
        films = [volume for volume in service["volumes"] if ":/films" in volume]
        assert films
        assert all(volume.endswith(":ro") for volume in films)


def test_the_entry_point_runs_verbs_and_other_programs() -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    assert shutil.which("xraynet", path=path)
    run = lambda *words: subprocess.run(  # noqa: E731
        [DOCKER / "entrypoint.sh", *words], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    help_text = run("predict", "--help")
    assert help_text.returncode == 0
    assert "--out" in help_text.stdout
    assert run("echo", "plain").stdout == "plain\n"
    assert run("predict").returncode == 2
