"""Where a run comes from: the code's revision, the libraries' versions, and a fingerprint of all that decides it."""

import hashlib
import json
import platform
import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import xraynet
from xraynet.errors import CheckpointError
from xraynet.files import sha256_of_file
from xraynet.settings import config_to_dict
from xraynet.training.recipe import CardConfig, RunConfig

_LIBRARIES: Final = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless", "albumentations")


def describe_versions() -> dict[str, str]:
    """The versions of xraynet, Python and the libraries that shape the weights."""
    return {
        "xraynet": xraynet.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def find_git_revision(folder: Path | None = None) -> str:
    """The commit that the code in ``folder`` (xraynet's own unless told) is at, with ``-dirty`` where files differ; or ""."""
    folder = Path(xraynet.__file__).parent if folder is None else folder
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()


def hash_backbone_weights(config: RunConfig) -> str:
    """The SHA-256 of the file that the backbone starts from, or "". Raises CheckpointError where it cannot be read."""
    if config.training.backbone_weights is None:
        return ""
    try:
        return sha256_of_file(Path(config.training.backbone_weights))
    except OSError as error:
        raise CheckpointError(
            f"{config.training.backbone_weights}: backbone weights cannot be read: {error.strerror}"
        ) from error


def fingerprint_run(config: RunConfig, *, catalogue_fingerprint: str, lungs_fingerprint: str | None, start: str) -> str:
    """Changes with all that decides what a run learns; not with when it stops, who draws its samples, or its card's words.

    ``start``: the fingerprint of the checkpoint it starts from, or "". A file of backbone weights counts by its content.
    """
    training = replace(
        config.training,
        max_minutes=None,
        patience=None,
        num_workers=0,
        threads=None,
        state_every_steps=None,
        backbone_weights=hash_backbone_weights(config) or None,
    )
    parts = {
        "config": config_to_dict(replace(config, training=training, card=CardConfig())),
        "catalogue": catalogue_fingerprint,
        "lungs": lungs_fingerprint or "",
        "start": start,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
