"""The configuration of xraynet's runs: composed from the owners' dataclasses, read from strict TOML or a shipped preset."""

from pathlib import Path

from xraynet.settings import list_presets, read_config, write_config
from xraynet.training.recipe import CardConfig, RunConfig, TrainingConfig

__all__ = ["CardConfig", "RunConfig", "TrainingConfig", "list_presets", "read_config", "read_run_config", "write_config"]


def read_run_config(path_or_preset: str | Path) -> RunConfig:
    """The configuration of a detector's training run, from a TOML file or the preset of that name.

    Raises ConfigError for an unknown key (naming the near ones) or an impossible value.
    """
    return read_config(path_or_preset, RunConfig)
