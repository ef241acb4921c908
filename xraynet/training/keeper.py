"""Keeps the best weights of a run as a whole checkpoint: calibrated, with an operating point and its origins."""

from dataclasses import dataclass
from pathlib import Path

from xraynet.checkpoint import Checkpoint, CheckpointSettings, Provenance, write_checkpoint
from xraynet.detector.network import Detector
from xraynet.evaluation.rules import parse_rule
from xraynet.ingest.catalogue import Catalogue
from xraynet.training.calibrate import calibrate
from xraynet.training.ema import MovingAverage
from xraynet.training.origins import describe_versions, find_git_revision
from xraynet.training.recipe import RunConfig
from xraynet.training.validate import Validation


@dataclass(frozen=True, eq=False)
class BestKeeper:
    """Writes the best weights so far as a whole checkpoint, calibrated on the validation that chose them."""

    config: RunConfig
    catalogue: Catalogue
    lungs_fingerprint: str | None
    preset: str
    path: Path

    def keep(self, average: MovingAverage[Detector], step: int, validation: Validation) -> None:
        """Write these weights now: what training does later cannot change them."""
        card = self.config.card
        of_these_films = not card.label_tables or set(card.label_tables) == {
            sha256 for *_, sha256 in self.catalogue.facts.labels
        }
        provenance = Provenance(
            preset=self.preset,
            step=step,
            seed=self.config.training.seed,
            catalogue_fingerprint=self.catalogue.fingerprint,
            git_revision=find_git_revision(),
            film_sources=card.film_sources if of_these_films else "",
            terms=card.terms if of_these_films else "",
            versions=describe_versions(),
        )
        checkpoint = Checkpoint(name=card.name, settings=CheckpointSettings(), weights=average.weights(), provenance=provenance)
        self.write(checkpoint, validation)

    def write(self, checkpoint: Checkpoint, validation: Validation) -> Checkpoint:
        """Write a checkpoint with calibration and operating point from ``validation``."""
        films = f"validation films of catalogue {self.catalogue.fingerprint[:16]}"
        simulated = sum(film.attributes.get("simulated") == "yes" for film in validation.films)
        calibrated = calibrate(
            validation.films,
            rule=parse_rule(self.config.rule),
            target=self.config.target,
            calibrated_on=f"{films}, {simulated} of them with simulated nodules",
        )
        settings = CheckpointSettings(
            detector=self.config.detector,
            preparation=self.config.preparation,
            decoding=self.config.decoding,
            target_classes=self.catalogue.facts.target_classes,
            calibration=calibrated.calibration,
            operating_point=calibrated.operating_point,
            lungs_fingerprint=self.lungs_fingerprint,
        )
        calibrated_checkpoint = checkpoint.with_settings(settings)
        return write_checkpoint(self.path, calibrated_checkpoint, half=self.config.storage == "float16")
