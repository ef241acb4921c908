"""Runs the benchmarks one after another and keeps their figures: ``make bench``.

Each ``bench_*.py`` has a ``run() -> dict`` that measures xraynet and its peer in the same process run, and names the target.
Times depend on the machine, ratios hardly: read the ratios.
"""

import argparse
import datetime
import importlib
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def describe_machine() -> str:
    """The machine in general terms: processors, memory, system; nothing that names it."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = ".".join(str(part) for part in sys.version_info[:2])
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {system}, Python {python}, no GPU used"


def find_benchmarks() -> list[str]:
    """The names of all benchmarks, in order."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def run_benchmarks(names: list[str]) -> dict[str, object]:
    """The figures of each benchmark, under its name."""
    figures: dict[str, object] = {}
    for name in names:
        print(f"benchmark {name} ...", flush=True)
        figures[name] = importlib.import_module(f"bench_{name}").run()
        print(json.dumps(figures[name], indent=2), flush=True)
    return figures


def main() -> None:
    """Parse, run, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "figures.json")
    parser.add_argument("names", nargs="*", default=find_benchmarks())
    asked = parser.parse_args()
    kept = json.loads(asked.out.read_text()) if asked.out.is_file() else {}
    figures = {**kept.get("figures", {}), **run_benchmarks(asked.names)}
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    asked.out.write_text(json.dumps({"date": today, "machine": describe_machine(), "figures": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
