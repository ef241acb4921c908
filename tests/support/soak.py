"""How large a soak is, processes that are killed while they work, and where the figures are kept."""

import datetime
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

IS_FULL = os.environ.get("XRAYNET_SOAK") == "full"
FIGURES = Path(__file__).resolve().parents[1] / "benchmarks" / "soak.json"
_POLL_S = 0.02
_SAMPLE_S = 0.5


@dataclass(frozen=True)
class Sitting:
    """One process, from its start to its end. ``memory``: (progress, resident MiB with all children), as it ran."""

    exit_code: int
    elapsed_s: float
    memory: list[tuple[int, float]]
    said: str

    @property
    def was_killed(self) -> bool:
        return self.exit_code < 0


def sit(
    arguments: list[str],
    *,
    log: Path,
    progress: Callable[[], int],
    kill_at: int | None = None,
    after_s: float = 0.0,
    limit_s: float = 3600.0,
) -> Sitting:
    """Run ``xraynet`` with these arguments; SIGKILL it ``after_s`` seconds after ``progress()`` reached ``kill_at``."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started_at = time.monotonic()
    reached_at: float | None = None
    memory: list[tuple[int, float]] = []
    with log.open("wb") as stream:
        running = subprocess.Popen(
            [sys.executable, "-m", "xraynet", *arguments], stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while running.poll() is None:
                now, done = time.monotonic(), progress()
                if kill_at is not None and reached_at is None and done >= kill_at:
                    reached_at = now
                if (reached_at is not None and now - reached_at >= after_s) or now - started_at > limit_s:
                    break
                if kill_at is None and now - started_at > len(memory) * _SAMPLE_S:
                    memory.append((done, _resident_mib(running.pid)))
                time.sleep(_POLL_S)
        finally:
            running.kill()
            running.wait()
    return Sitting(
        exit_code=running.returncode,
        elapsed_s=time.monotonic() - started_at,
        memory=memory,
        said=log.read_text(errors="replace"),
    )


def _resident_mib(pid: int) -> float:
    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    except psutil.Error:
        pass
    return total / 2**20


def memory_growth(memory: list[tuple[int, float]], *, end: int) -> tuple[float, float]:
    """Highest resident MiB up to a quarter of the way to ``end``, and over the whole run."""
    early = [mib for done, mib in memory if done <= end / 4]
    return max(early), float(np.max([mib for _, mib in memory]))


def keep_figures(name: str, figures: dict[str, float | int | str]) -> None:
    """Print the figures of a soak; those of a full one are kept, dated, with the machine in general terms."""
    print(f"\nsoak {name}: {json.dumps(figures)}")
    if not IS_FULL:
        return
    spec = importlib.util.spec_from_file_location("benchmark_runner", FIGURES.with_name("run.py"))
    assert spec is not None and spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    kept = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    kept[name] = {"date": today, "machine": runner.describe_machine(), "figures": figures}
    FIGURES.write_text(json.dumps(kept, indent=2) + "\n")
