"""Weights learnt on colour photographs, brought into the form that a backbone starts from: timm's names, one grey channel."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xraynet.errors import CheckpointError


@dataclass(frozen=True)
class ColourScale:
    """How the pictures came to the network that learnt: each channel's values (0..1) less ``mean``, over ``std``."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std}; three numbers above 0 were expected")

    @classmethod
    def of_network(cls, name: str) -> "ColourScale":
        """What timm notes for its own weights of the network; for weights from elsewhere ask whoever made them."""
        noted = timm.get_pretrained_cfg(name)
        if noted is None:
            raise ValueError(f"timm notes no colour scale for {name!r}; mean and std must be given")
        return cls(mean=cast(tuple[float, float, float], noted.mean), std=cast(tuple[float, float, float], noted.std))


def import_pretrained(path: Path, network: str, *, scale: ColourScale) -> dict[str, Tensor]:
    """The weights in ``path`` (a state dict of torch or safetensors) for timm's ``network``, for films of one grey channel.

    Names may be those of another library where the tensors stand in the same order with the same shapes. The first
    convolution is summed over its three channels and takes the colour scale into itself, so that it makes of a film (0..1)
    what it made of a grey picture; only at the film's rim, where zeros stand for what lies outside, is the border now black
    instead of the mean colour. Raises CheckpointError for a file that cannot be read or does not fit, ValueError for a
    network that timm does not know or that begins in another way.
    """
    if not timm.is_model(network):
        raise ValueError(f"network is {network!r}; the name of a timm network was expected (timm.list_models())")
    model = timm.create_model(network, pretrained=False)
    named = _name_as(model.state_dict(), _read_tensors(path), path=path, network=network)
    _take_in_colour(named, model, scale, network=network)
    return named


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path}: weights cannot be read from it: {error}") from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path}: holds a {type(loaded).__name__}; names with their tensors (a state dict) were expected")
    return dict(loaded)


def _name_as(own: Mapping[str, Tensor], loaded: Mapping[str, Tensor], *, path: Path, network: str) -> dict[str, Tensor]:
    if loaded.keys() >= own.keys():
        pairs = [(name, loaded[name]) for name in own]
    elif len(loaded) == len(own):
        pairs = list(zip(own, loaded.values(), strict=True))
    else:
        raise CheckpointError(
            f"{path}: holds {len(loaded)} tensors in other names; the {len(own)} of {network} were expected, or as many in "
            "their order"
        )
    for name, value in pairs:
        if value.shape != own[name].shape:
            raise CheckpointError(
                f"{path}: {tuple(value.shape)} stands where {network} has {name}, {tuple(own[name].shape)}: weights of "
                "another network"
            )
    return {name: value.clone() for name, value in pairs}


def _take_in_colour(named: dict[str, Tensor], model: nn.Module, scale: ColourScale, *, network: str) -> None:
    modules = list(model.named_modules())
    stem = next((index for index, (_, module) in enumerate(modules) if isinstance(module, nn.Conv2d)), None)
    after = None if stem is None else next(((n, m) for n, m in modules[stem + 1 :] if isinstance(m, nn.BatchNorm2d)), None)
    if stem is None or after is None or after[1].num_features != modules[stem][1].out_channels:
        raise ValueError(f"{network} does not begin with a convolution and a batch normalisation; others cannot be converted")
    name = f"{modules[stem][0]}.weight"
    colour = named[name]
    mean, std = (torch.tensor(values, dtype=colour.dtype).view(1, 3, 1, 1) for values in (scale.mean, scale.std))
    named[name] = (colour / std).sum(dim=1, keepdim=True)
    # Without a bias of the convolution, what the mean takes away everywhere is the normalisation's to know.
    named[f"{after[0]}.running_mean"] += (colour * mean / std).sum(dim=(1, 2, 3))
