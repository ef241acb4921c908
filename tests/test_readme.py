"""Every command of the README works when pasted, in the README's order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks_of(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.mark.timeout(900)
def test_every_command_works_when_pasted(folder: Path) -> None:
    commands = [line for block in blocks_of("bash") for line in block.splitlines() if line.strip()]
    assert len(commands) >= 12
    for command in commands:
        result = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"$ {command}\n{result.stdout}\n{result.stderr}"
    for promised in ("results/index.html", "figures/metrics.json", "figures/report.html", "night/outcomes.jsonl"):
        assert (folder / promised).is_file(), promised
    script = blocks_of("python")[0]
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "check", "bench", "soak", "test-tools", "fix"):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_verbs_of_the_readme_are_the_verbs_of_the_command_line() -> None:
    result = subprocess.run([sys.executable, "-m", "xraynet", "--help"], capture_output=True, text=True, check=True)
    for verb in set(re.findall(r"^xraynet ([a-z-]+)", "\n".join(blocks_of("bash")), flags=re.MULTILINE)):
        assert verb in result.stdout
