"""One training run, from a catalogue to a checkpoint in a run folder."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from xraynet.checkpoint import Checkpoint, read_checkpoint
from xraynet.detector.backbone import load_backbone_weights
from xraynet.detector.network import Detector
from xraynet.errors import CheckpointError, TrainingError
from xraynet.evaluation.rules import parse_rule
from xraynet.files import remove_torn_files, write_text_atomically
from xraynet.findings import LabelState
from xraynet.ingest.catalogue import Catalogue, FilmEntry
from xraynet.ingest.leaks import check_no_leaks
from xraynet.samples.batches import DetectionBatch, count_steps, iterate_batches
from xraynet.samples.build import LungFinder, build_cache
from xraynet.samples.cache import FilmCache
from xraynet.samples.dataset import TrainingSamples
from xraynet.samples.validation import ValidationFilms
from xraynet.samples.workers import SampleWorkers
from xraynet.settings import write_config
from xraynet.training.distributed import Team, join_team
from xraynet.training.journal import Journal, Stream, open_journal
from xraynet.training.keeper import BestKeeper
from xraynet.training.learner import Learner
from xraynet.training.loop import fit
from xraynet.training.origins import describe_versions, find_git_revision, fingerprint_run, hash_backbone_weights
from xraynet.training.recipe import RunConfig, plan_steps
from xraynet.training.state import STATE_FILE
from xraynet.training.validate import Validation, judge, score_films, uncalibrated

BEST_FILE: Final = "best.safetensors"
CONFIG_FILE: Final = "config.toml"
RUN_FILE: Final = "run.json"


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out, which does not change what it learns.

    ``cache``: where prepared films are kept (``OUT/cache`` unless told). ``device``: auto, cpu, cuda, cuda:N. ``start``:
    a checkpoint whose weights the detector starts from. ``preset``: the name that the checkpoint will give its recipe.
    """

    resume: bool = False
    device: str = "auto"
    cache: Path | None = None
    start: Path | None = None
    preset: str = ""


def train_detector(
    catalogue: Catalogue,
    config: RunConfig,
    *,
    out: Path,
    lungs: LungFinder | None,
    options: RunOptions = RunOptions(),
    voice: Stream | None = None,
) -> Path:
    """Train a detector on a catalogue; returns the path of the best checkpoint, ``OUT/best.safetensors``.

    The run folder also holds the exact configuration, the run's origins, the journal and the state to resume from.
    Raises CatalogueError where the catalogue's splits leak or hold nothing to learn from, TrainingError where ``out`` is
    another run's folder or a run cannot go on, NonFiniteLossError where the loss did.
    """
    check_no_leaks(catalogue)
    start = None if options.start is None else read_checkpoint(options.start)
    run_fingerprint = fingerprint_run(
        config,
        catalogue_fingerprint=catalogue.fingerprint,
        lungs_fingerprint=None if lungs is None else lungs.fingerprint,
        start="" if start is None else start.fingerprint,
    )
    with ExitStack() as stack:
        team = stack.enter_context(join_team(options.device))
        if config.training.threads is not None:
            torch.set_num_threads(config.training.threads)
        if team.is_first:
            _prepare_folder(out, config, catalogue, run_fingerprint, resume=options.resume)
        journal = stack.enter_context(open_journal(out, voice=voice, silent=not team.is_first))
        entries = _choose_entries(catalogue, config)
        cache = _build_cache(catalogue, config, options.cache or out / "cache", entries=entries, lungs=lungs, journal=journal)
        samples = TrainingSamples(cache, entries.training, config=config.samples, seed=config.training.seed)
        films = ValidationFilms(cache, entries.validation, config=config.validation)
        steps_per_epoch = count_steps(samples, batch_size=config.training.batch_size, world_size=team.world_size)
        total_steps = plan_steps(config.training, steps_per_epoch=steps_per_epoch)
        journal.plan(total_steps)
        journal.say(_describe(samples, films, entries, total_steps=total_steps, steps_per_epoch=steps_per_epoch))
        learner = Learner.of(_build_detector(config, start), config=config.training, team=team, total_steps=total_steps)
        workers = stack.enter_context(SampleWorkers(samples, num_workers=config.training.num_workers))
        keeper = BestKeeper(config, catalogue, cache.header.lungs_fingerprint, preset=options.preset, path=out / BEST_FILE)
        validator = Validator(films, config, learner, journal)
        fit(
            learner,
            FilmSource(samples, workers, team=team, batch_size=config.training.batch_size),
            validate=validator.validate,
            keep_best=keeper.keep,
            folder=out,
            run_fingerprint=run_fingerprint,
            journal=journal,
            resume=options.resume,
        )
        everything = replace(config.validation, most_films=None)
        _settle(keeper, ValidationFilms(cache, entries.validation, config=everything), team=team, journal=journal)
    return out / BEST_FILE


@dataclass(frozen=True, eq=False)
class FilmSource:
    """The batches that this rank trains on."""

    samples: TrainingSamples
    workers: SampleWorkers
    team: Team
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """How many optimizer steps an epoch has, on every rank."""
        return count_steps(self.samples, batch_size=self.batch_size, world_size=self.team.world_size)

    def draw(self, epoch: int, *, first_step: int) -> Iterator[DetectionBatch]:
        """This rank's batches of one epoch, from its ``first_step`` on."""
        return iterate_batches(
            self.samples,
            epoch=epoch,
            batch_size=self.batch_size,
            rank=self.team.rank,
            world_size=self.team.world_size,
            first_step=first_step,
            workers=self.workers,
        )


@dataclass(frozen=True, eq=False)
class Validator:
    """Scores the averaged weights on the validation films and tells the journal."""

    films: ValidationFilms
    config: RunConfig
    learner: Learner
    journal: Journal

    def validate(self, detector: Detector, step: int) -> Validation:
        """One validation, the same on every rank."""
        scored = score_films(
            detector,
            self.films,
            batch_size=self.config.training.batch_size,
            team=self.learner.team,
            precision=self.learner.autocast(),
        )
        validation = judge(scored, parse_rule(self.config.rule))
        self.journal.write("validation", step=step, figures=validation.figures)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in validation.figures.items() if value is not None)
        self.journal.say(f"step {step}: validation: {shown}")
        return validation


def _settle(keeper: BestKeeper, films: ValidationFilms, *, team: Team, journal: Journal) -> None:
    """Calibrate the best checkpoint once more, as it will be used: stored weights, all views, full precision, all films."""
    team.wait()
    config = keeper.config
    best = read_checkpoint(keeper.path)
    detector = best.build_detector().to(team.device)
    scored = score_films(
        detector,
        films,
        batch_size=config.training.batch_size,
        team=team,
        precision=nullcontext(),
        decoding=uncalibrated(config.decoding),
    )
    if not team.is_first:
        return
    validation = judge(scored, parse_rule(config.rule))
    point = keeper.write(best, validation).settings.operating_point
    journal.write("calibration", step=best.provenance.step, figures={**validation.figures, "threshold": point.threshold})
    found = "not measured" if point.sensitivity is None else f"{point.sensitivity:.3f}"
    journal.say(
        f"best: step {best.provenance.step}; threshold {point.threshold:.3f}; sensitivity {found}, {point.calibrated_on}"
    )


def _prepare_folder(out: Path, config: RunConfig, catalogue: Catalogue, run_fingerprint: str, *, resume: bool) -> None:
    if not resume and (out / STATE_FILE).exists():
        raise TrainingError(f"{out} holds a training run; --resume goes on with it, another --out starts a new one")
    out.mkdir(parents=True, exist_ok=True)
    remove_torn_files(out, (STATE_FILE, BEST_FILE, CONFIG_FILE, RUN_FILE))
    if resume and (out / STATE_FILE).exists():
        return
    write_config(config, out / CONFIG_FILE)
    origins = {
        "run_fingerprint": run_fingerprint,
        "catalogue_fingerprint": catalogue.fingerprint,
        "backbone_weights": hash_backbone_weights(config),
        "git_revision": find_git_revision(),
        "versions": describe_versions(),
    }
    write_text_atomically(out / RUN_FILE, json.dumps(origins, indent=1) + "\n")


@dataclass(frozen=True)
class _Entries:
    training: list[FilmEntry]
    validation: list[FilmEntry]
    num_unknown: int


def _choose_entries(catalogue: Catalogue, config: RunConfig) -> _Entries:
    """The films to train and to validate on. A film whose nodules are not known is never among them."""
    parts = [catalogue.entries(split, fold=config.fold) for split in ("train", "validation")]
    training, validation = ([entry for entry in part if entry.annotations.state is not LabelState.UNKNOWN] for part in parts)
    num_unknown = sum(map(len, parts)) - len(training) - len(validation)
    return _Entries(training=training, validation=validation, num_unknown=num_unknown)


def _build_cache(
    catalogue: Catalogue, config: RunConfig, folder: Path, *, entries: _Entries, lungs: LungFinder | None, journal: Journal
) -> FilmCache:
    def tell(done: int, num: int) -> None:
        if done % 100 == 0 or done == num:
            journal.say(f"prepared {done} of {num} films")

    cache = build_cache(
        folder,
        [*entries.training, *entries.validation],
        catalogue_fingerprint=catalogue.fingerprint,
        preparation=config.preparation,
        lungs=lungs,
        progress=tell,
    )
    for failure in cache.failures:
        journal.say(f"left out: film {failure.key}: {failure.code}: {failure.reason}")
    return cache


def _build_detector(config: RunConfig, start: Checkpoint | None) -> Detector:
    torch.manual_seed(config.training.seed)
    detector = Detector(config.detector)
    if config.training.backbone_weights is not None:
        load_backbone_weights(detector.backbone, Path(config.training.backbone_weights))
    if start is not None:
        if start.settings.detector != config.detector:
            raise CheckpointError(f"the checkpoint to start from is {start.settings.detector}; {config.detector} was expected")
        detector.load_state_dict(dict(start.weights))
    return detector


def _describe(
    samples: TrainingSamples, films: ValidationFilms, entries: _Entries, *, total_steps: int, steps_per_epoch: int
) -> str:
    boxed = sum(entry.annotations.state is LabelState.BOXED for entry in samples.entries)
    return (
        f"{len(samples.entries)} training films ({boxed} with nodules), {len(films)} validation films"
        f" ({films.num_simulated} with simulated nodules), {entries.num_unknown} left out because their nodules are not known;"
        f" {total_steps} steps, {steps_per_epoch} an epoch"
    )
