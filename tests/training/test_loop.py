import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import training_discs
from training_discs import SHORT, Discs, build_learner, run_loop, same_weights, validation_of

from xraynet.detector import decode_detections
from xraynet.errors import NonFiniteLossError, TrainingError
from xraynet.samples.batches import DetectionBatch
from xraynet.training.journal import Journal
from xraynet.training.learner import build_optimizer
from xraynet.training.loop import Clock, fit
from xraynet.training.recipe import TrainingConfig
from xraynet.training.state import STATE_FILE

SUPPORT = Path(training_discs.__file__).parent


def test_four_films_are_learnt_by_heart(tmp_path: Path, quiet_journal: Journal) -> None:
    source = Discs(num_steps=150, fixed=True)
    learner = build_learner(replace(SHORT, epochs=1), total_steps=150)
    run_loop(learner, source, tmp_path, quiet_journal)
    batch: DetectionBatch = next(source.draw(0, first_step=0))
    found = decode_detections(learner.average.model.eval()(batch.images))
    for (boxes, scores), annotated in zip(found, batch.boxes, strict=True):
        confident = boxes[scores > 0.3]
        assert len(confident) == len(annotated)
        assert len(annotated) == 0 or (confident - annotated).abs().max() < 5


def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, quiet_journal: Journal) -> None:
    whole = build_learner(SHORT)
    run_loop(whole, Discs(), tmp_path, quiet_journal)
    part = tmp_path / "part"
    part.mkdir()
    # Time runs out during the second epoch; another sitting, with time enough, goes on from there.
    run_loop(build_learner(replace(SHORT, max_minutes=1e-9)), Discs(), part, quiet_journal)
    resumed = build_learner(SHORT)
    progress = run_loop(resumed, Discs(), part, quiet_journal, resume=True)
    assert progress.step == 12
    assert same_weights(whole, resumed)


def test_run_saved_in_the_middle_of_an_epoch_resumes_there(tmp_path: Path, quiet_journal: Journal) -> None:
    class Killed(Exception):
        pass

    class Breaking:
        steps_per_epoch = 4

        def draw(self, epoch: int, *, first_step: int):  # type: ignore[no-untyped-def]
            for step, batch in enumerate(Discs().draw(epoch, first_step=first_step), start=first_step):
                if (epoch, step) == (1, 3):
                    raise Killed
                yield batch

    config = replace(SHORT, state_every_steps=1)
    whole = build_learner(config)
    run_loop(whole, Discs(), tmp_path, quiet_journal)
    part = tmp_path / "part"
    part.mkdir()
    with pytest.raises(Killed):
        run_loop(build_learner(config), Breaking(), part, quiet_journal)
    resumed = build_learner(config)
    run_loop(resumed, Discs(), part, quiet_journal, resume=True)
    assert same_weights(whole, resumed)


CHILD = """
import io, sys
from pathlib import Path
import torch
sys.path.insert(0, {folder!r})
torch.set_num_threads(1)
from training_discs import Discs, build_learner, run_loop
from xraynet.training.journal import Journal
from xraynet.training.recipe import TrainingConfig

config = TrainingConfig(epochs=10, learning_rate=5e-3, warmup_steps=2, ema_decay=0.9, amp="bfloat16", state_every_steps=1)
journal = Journal(io.StringIO(), bar=None, board=None, voice=io.StringIO())
run_loop(build_learner(config, total_steps=40), Discs(), Path(sys.argv[1]), journal)
"""
KILLED = TrainingConfig(epochs=10, learning_rate=5e-3, warmup_steps=2, ema_decay=0.9, amp="bfloat16", state_every_steps=1)


def test_killed_process_goes_on_as_if_nothing_had_happened(tmp_path: Path, quiet_journal: Journal, one_thread: None) -> None:
    part = tmp_path / "part"
    part.mkdir()
    script = CHILD.format(folder=str(SUPPORT))
    victim = subprocess.Popen([sys.executable, "-c", script, str(part)], env={**os.environ, "JAXTYPING_DISABLE": "1"})
    while not (part / STATE_FILE).exists() and victim.poll() is None:
        time.sleep(0.002)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    resumed = build_learner(KILLED, total_steps=40)
    run_loop(resumed, Discs(), part, quiet_journal, resume=True)
    whole = build_learner(KILLED, total_steps=40)
    run_loop(whole, Discs(), tmp_path, quiet_journal)
    assert same_weights(whole, resumed)


def test_loss_that_is_not_finite_stops_before_the_optimizer_moves(tmp_path: Path, quiet_journal: Journal) -> None:
    class Poisoned:
        steps_per_epoch = 4

        def draw(self, epoch: int, *, first_step: int):  # type: ignore[no-untyped-def]
            for step, batch in enumerate(Discs().draw(epoch, first_step=first_step)):
                if step == 2:
                    before.update({name: value.clone() for name, value in learner.detector.named_parameters()})
                    batch.images.fill_(float("nan"))
                yield batch

    before: dict[str, torch.Tensor] = {}
    learner = build_learner(SHORT)
    with pytest.raises(NonFiniteLossError, match="step 2") as caught:
        run_loop(learner, Poisoned(), tmp_path, quiet_journal)
    assert caught.value.step == 2
    assert all(torch.equal(before[name], value) for name, value in learner.detector.named_parameters())


def test_run_stops_early_when_validation_does_not_improve(tmp_path: Path, quiet_journal: Journal) -> None:
    scores = iter([0.5, 0.4, 0.5, 0.9])
    kept: list[float] = []
    learner = build_learner(replace(SHORT, epochs=9, patience=2), total_steps=36)
    progress = fit(
        learner,
        Discs(),
        validate=lambda *_: validation_of(next(scores)),
        keep_best=lambda _, __, validation: kept.append(validation.score),
        folder=tmp_path,
        run_fingerprint="run",
        journal=quiet_journal,
    )
    assert progress.step == 12
    assert kept == [0.5]


def test_run_without_films_is_refused(tmp_path: Path, quiet_journal: Journal) -> None:
    with pytest.raises(TrainingError, match="no films"):
        run_loop(build_learner(SHORT), Discs(num_steps=0), tmp_path, quiet_journal)


def test_state_of_another_run_is_refused(tmp_path: Path, quiet_journal: Journal) -> None:
    run_loop(build_learner(SHORT), Discs(), tmp_path, quiet_journal)
    with pytest.raises(TrainingError, match="another configuration"):
        fit(
            build_learner(SHORT),
            Discs(),
            validate=lambda *_: validation_of(0.0),
            keep_best=lambda *_: None,
            folder=tmp_path,
            run_fingerprint="other",
            journal=quiet_journal,
            resume=True,
        )
    (tmp_path / STATE_FILE).write_bytes(b"PK not a state")
    with pytest.raises(TrainingError, match="not the state"):
        run_loop(build_learner(SHORT), Discs(), tmp_path, quiet_journal, resume=True)
    torch.save({"format": 99}, tmp_path / STATE_FILE)
    with pytest.raises(TrainingError, match="version 1"):
        run_loop(build_learner(SHORT), Discs(), tmp_path, quiet_journal, resume=True)


@pytest.mark.parametrize("amp", ["bfloat16", "float16"])
def test_mixed_precision_learns_too(tmp_path: Path, amp: str) -> None:
    lines = io.StringIO()
    config = replace(SHORT, amp=amp, epochs=1)  # type: ignore[arg-type]
    journal = Journal(lines, bar=None, board=None, voice=io.StringIO())
    run_loop(build_learner(config, total_steps=20), Discs(num_steps=20, fixed=True), tmp_path, journal)
    losses = [json.loads(line)["loss"] for line in lines.getvalue().splitlines()]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert losses[1] < losses[0]


def test_norms_and_biases_do_not_decay() -> None:
    detector = build_learner(SHORT).detector
    decaying, steady = build_optimizer(detector, SHORT).param_groups
    assert {value.ndim for value in steady["params"]} == {1}
    assert decaying["weight_decay"] == SHORT.weight_decay
    assert steady["weight_decay"] == 0
    plain = build_optimizer(detector, replace(SHORT, optimizer="adam"))
    assert isinstance(plain, torch.optim.Adam)
    assert plain.param_groups[0]["weight_decay"] == 0


def test_average_follows_slowly_and_training_leaves_a_copy_alone() -> None:
    learner = build_learner(SHORT)
    name = "head.score.bias"
    start = learner.average.weights()
    with torch.no_grad():
        learner.detector.head.score.bias.add_(1.0)  # type: ignore[operator]
    learner.average.update(learner.detector, step=1000)
    moved = learner.average.weights()
    torch.testing.assert_close(moved[name], start[name] + 0.1)
    learner.average.update(learner.detector, step=1001)
    torch.testing.assert_close(moved[name], start[name] + 0.1)


def test_clock_counts_all_sittings() -> None:
    team = build_learner(SHORT).team
    assert not Clock(already_s=1e6, max_minutes=None, team=team).is_up()
    assert Clock(already_s=61.0, max_minutes=1.0, team=team).is_up()
    assert not Clock(already_s=0.0, max_minutes=1.0, team=team).is_up()
