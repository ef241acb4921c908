"""Checkpoints: the detector's weights and everything they mean, in one safetensors file. Loading executes nothing.

Beside the tensors travel, as JSON: the network's shape, the preparation of films, the target classes, the operating
point, the calibration, the fingerprint of the lung-field segmenter, and where the weights come from.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from xraynet.detector.calibration import Calibration
from xraynet.detector.decode import DecodeConfig
from xraynet.detector.network import Detector, DetectorConfig
from xraynet.errors import CheckpointError, ConfigError
from xraynet.files import write_bytes_atomically
from xraynet.findings import CheckpointIdentity
from xraynet.preparation import PreparationConfig
from xraynet.settings import config_to_dict, structure_config

CHECKPOINT_KIND: Final = "xraynet-detector"
CHECKPOINT_FORMAT: Final = "1"
DEFAULT_CHECKPOINT: Final = "xraynet"


@dataclass(frozen=True)
class OperatingPoint:
    """The score above which a detection is reported, and what was measured there.

    ``target``: how the threshold was chosen, in words. ``sensitivity`` with its 95 % interval and
    ``false_positives_per_normal_film`` were measured on ``calibrated_on`` under the match rule ``rule``; None where
    nothing was measured.
    """

    threshold: float = 0.5
    target: str = "not chosen on any film"
    false_positives_per_normal_film: float | None = None
    sensitivity: float | None = None
    sensitivity_low: float | None = None
    sensitivity_high: float | None = None
    calibrated_on: str = ""
    rule: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; a score between 0 and 1 was expected")


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from: films, code, settings. ``versions`` are those of the libraries that trained them."""

    preset: str = ""
    step: int = 0
    seed: int = 0
    catalogue_fingerprint: str = ""
    git_revision: str = ""
    film_sources: str = ""
    terms: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointSettings:
    """All that a detector needs beside its weights to speak about a film."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    preparation: PreparationConfig = field(default_factory=PreparationConfig)
    decoding: DecodeConfig = field(default_factory=DecodeConfig)
    target_classes: tuple[str, ...] = ("nodule", "mass")
    calibration: Calibration = field(default_factory=Calibration)
    operating_point: OperatingPoint = OperatingPoint()
    lungs_fingerprint: str | None = None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained detector at rest. ``weights`` are the tensors of ``Detector.state_dict()``, as they are stored."""

    name: str
    settings: CheckpointSettings
    weights: Mapping[str, Tensor]
    provenance: Provenance = field(default_factory=Provenance)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over weights and settings (not provenance): what the detector says depends on nothing else."""
        digest = hashlib.sha256(_to_json(config_to_dict(self.settings)).encode())
        for name in sorted(self.weights):
            tensor = self.weights[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def identity(self) -> CheckpointIdentity:
        """Name, fingerprint and version, as readings carry them."""
        return CheckpointIdentity(
            name=self.name, fingerprint=self.fingerprint, version=self.provenance.versions.get("xraynet", "unknown")
        )

    def build_detector(self) -> Detector:
        """The network with these weights, float32, ready to be asked (``eval``)."""
        detector = Detector(self.settings.detector)
        expected = detector.state_dict()
        if expected.keys() != self.weights.keys():
            odd = sorted(expected.keys() ^ self.weights.keys())
            raise CheckpointError(
                f"checkpoint '{self.name}': {len(odd)} tensors do not belong together with backbone"
                f" {self.settings.detector.backbone}, {odd[:3]} among them"
            )
        try:
            detector.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise CheckpointError(f"checkpoint '{self.name}': weights do not fit the network: {error}") from error
        return detector.eval()

    def halve(self) -> "Checkpoint":
        """The same checkpoint with float16 weights. Vectors (norms and biases) stay float32: small, and sensitive."""
        weights = {
            name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
            for name, tensor in self.weights.items()
        }
        return replace(self, weights=weights)

    def with_settings(self, settings: CheckpointSettings) -> "Checkpoint":
        """The same weights under other settings (another operating point, for example)."""
        return replace(self, settings=settings)


def write_checkpoint(path: Path, checkpoint: Checkpoint, *, half: bool = False) -> Checkpoint:
    """Write the checkpoint whole or not at all, with ``half`` in float16; returns what was written."""
    stored = checkpoint.halve() if half else checkpoint
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in stored.weights.items()}
    header = {
        "format": CHECKPOINT_FORMAT,
        "name": stored.name,
        "fingerprint": stored.fingerprint,
        "settings": config_to_dict(stored.settings),
        "provenance": config_to_dict(stored.provenance),
    }
    # One entry of metadata: safetensors would write several in an order that changes from run to run.
    write_bytes_atomically(path, save(tensors, metadata={CHECKPOINT_KIND: _to_json(header)}))
    return stored


def read_checkpoint(path: Path | str) -> Checkpoint:
    """The checkpoint in a file. Raises CheckpointError for a damaged one, one of another kind, or of another version."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as stream:
            header = _read_header(stream.metadata() or {}, path)
            weights = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged, or not a safetensors file: {error}") from error
    checkpoint = Checkpoint(name=header.name, settings=header.settings, weights=weights, provenance=header.provenance)
    if checkpoint.fingerprint != header.fingerprint:
        raise CheckpointError(
            f"{path}: damaged: its content has fingerprint {checkpoint.fingerprint[:16]}, {header.fingerprint[:16]} was written"
        )
    return checkpoint


def find_shipped_checkpoint(name: str = DEFAULT_CHECKPOINT) -> Path:
    """The checkpoint of that name that came with xraynet: inside an installed wheel, or beside an editable checkout."""
    package = Path(str(resources.files("xraynet")))
    folders = (package / "_checkpoints", package.parent / "checkpoints")
    for folder in folders:
        path = folder / f"{name}.safetensors"
        if path.is_file():
            return path
    raise CheckpointError(f"this installation ships no checkpoint '{name}' (looked in {' and '.join(map(str, folders))})")


@dataclass(frozen=True)
class _Header:
    format: str
    name: str
    fingerprint: str
    settings: CheckpointSettings
    provenance: Provenance


def _read_header(metadata: Mapping[str, str], path: Path) -> _Header:
    if CHECKPOINT_KIND not in metadata:
        found = ", ".join(sorted(metadata)) or "no metadata"
        raise CheckpointError(f"{path}: a checkpoint of another kind ({found}); '{CHECKPOINT_KIND}' was expected")
    try:
        content = json.loads(metadata[CHECKPOINT_KIND])
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path}: damaged: its header is not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT_FORMAT:
        version = content.get("format") if isinstance(content, dict) else None
        raise CheckpointError(f"{path}: format version {version}; this xraynet reads version {CHECKPOINT_FORMAT}")
    try:
        return structure_config(content, _Header, where=str(path))
    except ConfigError as error:
        raise CheckpointError(f"damaged, or with settings that this xraynet does not know: {error}") from error


def _to_json(values: Mapping[str, object]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False)
