import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import training_discs
from training_discs import SHORT, Discs, build_learner, run_loop

from xraynet.training.distributed import Team, choose_device, join_team
from xraynet.training.journal import Journal

SUPPORT = Path(training_discs.__file__).parent
RECIPE = replace(SHORT, epochs=2, validate_every=2)
RANK = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {folder!r})
import torch
torch.set_num_threads(1)
from training_discs import SHORT, Discs, Sharded, build_learner, run_loop
from xraynet.training.distributed import join_team
from xraynet.training.journal import open_journal

out = Path(sys.argv[1])
with join_team("cpu") as team, open_journal(out, silent=not team.is_first) as journal:
    assert team.gather([team.rank]) == [0, 1]
    assert team.share_first(float(team.rank)) == 0.0
    team.wait()
    learner = build_learner(replace(SHORT, epochs=2, validate_every=2), total_steps=8, team=team)
    run_loop(learner, Sharded(Discs(), team.rank), out, journal)
    torch.save(learner.detector.state_dict(), out / f"rank{{team.rank}}.pt")
"""


def test_two_processes_one_without_films_train_as_one(tmp_path: Path, quiet_journal: Journal, one_thread: None) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    script = RANK.format(folder=str(SUPPORT))
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "JAXTYPING_DISABLE": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=240) for process in ranks] == [0, 0]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first if "num_batches_tracked" not in name)
    (tmp_path / "alone").mkdir()
    alone = build_learner(RECIPE, total_steps=8)
    run_loop(alone, Discs(), tmp_path / "alone", quiet_journal)
    assert all(torch.equal(first[name], value) for name, value in alone.detector.state_dict().items())


def test_process_alone_is_a_team_of_one() -> None:
    with join_team("cpu") as team:
        assert team == Team(rank=0, world_size=1, device=torch.device("cpu"))
        assert team.is_first
        assert team.gather(["a"]) == ["a"]
        assert team.share_first(2.0) == 2.0
        team.wait()


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="no CUDA device"):
        choose_device("cuda:1")
    with pytest.raises(ValueError, match="'tpu'"):
        choose_device("tpu")


def test_cuda_takes_the_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert choose_device("auto", local_rank=3) == torch.device("cuda", 3)
    assert choose_device("cuda:1", local_rank=3) == torch.device("cuda", 1)
    assert chosen == [torch.device("cuda", 3), torch.device("cuda", 1)]
