"""Training that is killed again and again ends in the very checkpoint of a training that was left alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soak
from soak import sit

from xraynet.checkpoint import read_checkpoint
from xraynet.config import RunConfig, write_config
from xraynet.ingest.catalogue import Catalogue

NUM_KILLS = 20 if soak.IS_FULL else 1
MOST_SAVES = 4
"""A sitting is killed after 1 to this many states were written: it always gets on, and never to the end."""
SEED = 21

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600 if soak.IS_FULL else 600)]


class SaveCounter:
    """How often ``state.pt`` was written anew since the counter was made."""

    def __init__(self, run: Path) -> None:
        self._path = run / "state.pt"
        self._last = self._stamp()
        self._num = 0

    def __call__(self) -> int:
        stamp = self._stamp()
        self._num += stamp != self._last
        self._last = stamp
        return self._num

    def _stamp(self) -> tuple[int, int]:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (facts.st_mtime_ns, facts.st_ino)


def test_training_killed_again_and_again_gives_the_same_checkpoint(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path
) -> None:
    rng = np.random.default_rng(SEED)
    num_steps = 2 * (MOST_SAVES + 1) * (NUM_KILLS + 1)
    training = replace(tiny_run.training, state_every_steps=1, validate_every=4, total_steps=num_steps)
    write_config(replace(tiny_run, training=training), tmp_path / "run.toml")
    asked = ["train", "--catalogue", str(phantom_catalogue.path), "--config", str(tmp_path / "run.toml"), "--lungs", "none"]
    asked += ["--cache", str(film_cache_folder), "--device", "cpu", "--resume", "--out"]

    whole = sit([*asked, str(tmp_path / "whole")], log=tmp_path / "log", progress=SaveCounter(tmp_path / "whole"))
    assert whole.exit_code == 0, whole.said[-2000:]
    part, elapsed_s = tmp_path / "part", 0.0
    for _ in range(NUM_KILLS):
        sitting = sit(
            [*asked, str(part)],
            log=tmp_path / "log",
            progress=SaveCounter(part),
            kill_at=int(rng.integers(1, MOST_SAVES + 1)),
            after_s=rng.uniform(0, 0.05),
        )
        elapsed_s += sitting.elapsed_s
        assert sitting.was_killed, sitting.said[-2000:]
    last = sit([*asked, str(part)], log=tmp_path / "log", progress=SaveCounter(part))
    assert last.exit_code == 0, last.said[-2000:]
    checkpoints = [read_checkpoint(run / "best.safetensors") for run in (tmp_path / "whole", part)]
    assert checkpoints[0].fingerprint == checkpoints[1].fingerprint
    assert checkpoints[0].provenance == checkpoints[1].provenance
    assert {path.name for path in part.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
    for line in (part / "journal.jsonl").read_text().splitlines():
        json.loads(line)
    elapsed_s = round(elapsed_s + last.elapsed_s, 1)
    soak.keep_figures("training-kills", {"steps": num_steps, "kills": NUM_KILLS, "elapsed_s": elapsed_s, "differences": 0})
