"""Debian's DICOM tools, for tests marked ``tools``: missing ones fail in CI and skip elsewhere, saying why."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run_tool(name: str, *arguments: str | Path) -> tuple[int, str]:
    """(exit status, everything that the tool said)."""
    program = shutil.which(name)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing: make test-tools installs it")
        pytest.skip(f"{name} is not installed: make test-tools installs it")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def find_dicom_errors(path: Path) -> set[str]:
    """What dciodvfy calls an error in a file."""
    return {line for line in run_tool("dciodvfy", path)[1].splitlines() if line.startswith("Error")}
