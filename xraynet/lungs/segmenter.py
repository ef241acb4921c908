"""LungSegmenter: the two small networks with their settings, from one file that executes nothing when it is loaded."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Final

import safetensors
import safetensors.torch
import torch

from xraynet.errors import CheckpointError, ConfigError
from xraynet.files import write_bytes_atomically
from xraynet.findings import GateVerdict
from xraynet.lungs.config import GateThresholds, LungsConfig
from xraynet.lungs.fields import LungFields
from xraynet.lungs.gate import GateEvidence, judge_film, looks_mirrored
from xraynet.lungs.network import LungsNetwork
from xraynet.preparation import PreparedFilm, prepare_thumbnail
from xraynet.radiograph import Radiograph
from xraynet.settings import config_to_dict, structure_config

FORMAT: Final = "xraynet-lungs-1"
SHIPPED_NAME: Final = "lungs.safetensors"


@dataclass(frozen=True, eq=False)
class LungSegmenter:
    """Outlines the lung fields of a film and judges whether it is a frontal chest film at all.

    ``provenance`` says what it learnt from and how it did, as text that travels with the weights.
    """

    network: LungsNetwork
    config: LungsConfig
    thresholds: GateThresholds
    provenance: Mapping[str, str]
    fingerprint: str

    @classmethod
    def of_network(
        cls, network: LungsNetwork, *, config: LungsConfig, thresholds: GateThresholds, provenance: Mapping[str, str]
    ) -> "LungSegmenter":
        """A segmenter around trained networks, with the fingerprint of its weights and settings."""
        network.eval()
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        digest = _fingerprint(network, config, thresholds)
        return cls(network=network, config=config, thresholds=thresholds, provenance=dict(provenance), fingerprint=digest)

    @classmethod
    def from_file(cls, path: str | Path) -> "LungSegmenter":
        """The segmenter in a safetensors file. Raises CheckpointError where it is missing, damaged or of another kind."""
        path = Path(path)
        try:
            with safetensors.safe_open(path, framework="pt") as stored:
                texts = stored.metadata() or {}
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        except FileNotFoundError as error:
            raise CheckpointError(f"there is no lungs checkpoint at {path}") from error
        except (safetensors.SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is not a safetensors file: {error}") from error
        if FORMAT not in texts:
            raise CheckpointError(f"{path} has metadata {sorted(texts)}; '{FORMAT}' was expected")
        return cls._from_parts(texts[FORMAT], tensors, path=path)

    @classmethod
    def _from_parts(cls, text: str, tensors: dict[str, torch.Tensor], *, path: Path) -> "LungSegmenter":
        try:
            metadata = json.loads(text)
            config = structure_config(metadata["config"], LungsConfig, where=str(path))
            thresholds = structure_config(metadata["thresholds"], GateThresholds, where=str(path))
            provenance = {str(key): str(value) for key, value in metadata["provenance"].items()}
            network = LungsNetwork(config)
            network.load_state_dict(tensors)
        except (KeyError, ValueError, TypeError, AttributeError, ConfigError, RuntimeError) as error:
            raise CheckpointError(f"{path} does not hold a whole lungs checkpoint: {error}") from error
        segmenter = cls.of_network(network, config=config, thresholds=thresholds, provenance=provenance)
        if segmenter.fingerprint != metadata.get("fingerprint"):
            raise CheckpointError(f"{path} is damaged: its weights do not have the fingerprint {metadata.get('fingerprint')}")
        return segmenter

    def write(self, path: Path) -> None:
        """Put weights, settings and provenance into one safetensors file, whole or not at all."""
        metadata = {
            "fingerprint": self.fingerprint,
            "config": config_to_dict(self.config),
            "thresholds": config_to_dict(self.thresholds),
            "provenance": dict(self.provenance),
        }
        tensors = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        # One entry of metadata: safetensors would write several in an order that changes from run to run.
        write_bytes_atomically(path, safetensors.torch.save(tensors, {FORMAT: json.dumps(metadata, sort_keys=True)}))

    def segment(self, radiograph: Radiograph) -> LungFields:
        """Where the lungs are on a film; ``mirrored`` by its header alone."""
        return self._outline(radiograph, self._prepare(radiograph))

    def judge(self, radiograph: Radiograph) -> tuple[GateVerdict, LungFields]:
        """Whether a film is a frontal chest radiograph as it should be, and where its lungs are."""
        prepared = self._prepare(radiograph)
        evidence = self._look(prepared)
        fields = replace(self._outline(radiograph, prepared), mirrored=looks_mirrored(radiograph, evidence, self.thresholds))
        return judge_film(radiograph, prepared, evidence, fields, thresholds=self.thresholds), fields

    def look(self, radiograph: Radiograph) -> GateEvidence:
        """What the gate's network sees, before any threshold."""
        return self._look(self._prepare(radiograph))

    def _prepare(self, radiograph: Radiograph) -> PreparedFilm:
        return prepare_thumbnail(radiograph, side_px=self.config.side_px, grey=self.config.grey)

    def _outline(self, radiograph: Radiograph, prepared: PreparedFilm) -> LungFields:
        with torch.inference_mode():
            probability = torch.sigmoid(self.network.segmenter(torch.from_numpy(prepared.pixels)[None, None]))[0, 0]
        return LungFields(probability=probability.numpy(), letterbox=prepared.letterbox, mirrored=radiograph.mirrored)

    def _look(self, prepared: PreparedFilm) -> GateEvidence:
        with torch.inference_mode():
            logits = self.network.gate(torch.from_numpy(prepared.pixels)[None, None])
            kind, turned = torch.softmax(logits.kind[0], 0).tolist(), torch.softmax(logits.quarter_turns[0], 0).tolist()
        return GateEvidence(
            frontal=kind[0],
            lateral=kind[1],
            turned=(turned[0], turned[1], turned[2], turned[3]),
            inverted=float(torch.sigmoid(logits.inverted[0])),
            mirrored=float(torch.sigmoid(logits.mirrored[0])),
        )


def _fingerprint(network: LungsNetwork, config: LungsConfig, thresholds: GateThresholds) -> str:
    digest = hashlib.sha256(json.dumps([config_to_dict(config), config_to_dict(thresholds)], sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def find_shipped_lungs() -> Path:
    """The lungs checkpoint that xraynet ships: inside the wheel, or beside the package in an editable checkout.

    Raises CheckpointError where neither has it.
    """
    package = Path(str(resources.files("xraynet")))
    places = (package / "_checkpoints" / SHIPPED_NAME, package.parent / "checkpoints" / SHIPPED_NAME)
    for place in places:
        if place.is_file():
            return place
    raise CheckpointError(f"no {SHIPPED_NAME} was shipped: looked at {', '.join(str(place) for place in places)}")


def shipped_lungs() -> LungSegmenter:
    """The segmenter and gate that xraynet ships."""
    return LungSegmenter.from_file(find_shipped_lungs())
