"""The backbone: a network from timm that turns a film into feature maps at strides 4 to 32."""

from pathlib import Path
from typing import Final, Protocol, cast, runtime_checkable

import timm
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xraynet.errors import CheckpointError

STRIDES: Final = (4, 8, 16, 32)
_SHOWN_KEYS: Final = 3


@runtime_checkable
class _FeatureInfo(Protocol):
    def reduction(self) -> list[int]: ...

    def channels(self) -> list[int]: ...


def _create(name: str, *, indices: tuple[int, ...] | None) -> tuple[nn.Module, _FeatureInfo]:
    network = timm.create_model(name, features_only=True, in_chans=1, pretrained=False, out_indices=indices)
    return network, cast(_FeatureInfo, network.feature_info)


class _DepthwiseInSinglePrecision(nn.Module):
    """Mixed into a depthwise convolution: CPU autocast leaves it in float32.

    Its gradient in bfloat16 takes a CPU longer than all the rest of such a network; in float32 a training step takes half
    the time. What it hands on is in the type of what it was given.
    """

    def forward(self, maps: Tensor) -> Tensor:
        if not (maps.device.type == "cpu" and torch.is_autocast_enabled("cpu")):
            plain: Tensor = super().forward(maps)
            return plain
        with torch.autocast("cpu", enabled=False):
            computed: Tensor = super().forward(maps.float())
        return computed.to(maps.dtype)


def keep_depthwise_in_single_precision(network: nn.Module) -> None:
    """Let CPU autocast pass by the network's depthwise convolutions, which then train twice as fast."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            # The module keeps its name, its weights and its padding: only what it computes in changes.
            own = type(module)
            module.__class__ = type(own.__name__, (_DepthwiseInSinglePrecision, own), {})


class Backbone(nn.Module):
    """A timm network without its classifier, for films of one channel; its weights start at random.

    ``channels`` are those of the feature maps, at ``STRIDES``. Raises ValueError for a name that timm does not know or
    a network that has no maps at these strides.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise ValueError(f"backbone is {name!r}; the name of a timm network was expected (timm.list_models())")
        reductions = _create(name, indices=None)[1].reduction()
        missing = [stride for stride in STRIDES if stride not in reductions]
        if missing:
            raise ValueError(f"backbone {name!r} has feature maps at strides {reductions}; {missing} are missing")
        self.network, kept = _create(name, indices=tuple(reductions.index(stride) for stride in STRIDES))
        keep_depthwise_in_single_precision(self.network)
        self.channels: tuple[int, ...] = tuple(kept.channels())

    def forward(self, films: Float[Tensor, "batch 1 height width"]) -> list[Float[Tensor, "batch _ _ _"]]:
        """Feature maps at ``STRIDES``, finest first."""
        maps: list[Tensor] = self.network(films)
        return maps


def load_backbone_weights(backbone: Backbone, path: Path) -> int:
    """Start the backbone from a local safetensors file in timm's names; returns how many tensors were taken.

    A stem learnt on three colour channels is summed over them (what it would see of a grey picture). Tensors that the
    backbone does not have (a classifier) are passed over. Raises CheckpointError for a file that cannot be read, does
    not fit, or leaves a tensor of the backbone without a value.
    """
    try:
        loaded = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file of backbone weights: {error}") from error
    own = backbone.network.state_dict()
    wanted = {name for name, value in own.items() if value.is_floating_point()}
    missing = sorted(wanted - loaded.keys())
    if missing:
        raise CheckpointError(
            f"{path}: {len(missing)} of the backbone's {len(wanted)} tensors are missing, {missing[:_SHOWN_KEYS]} among them"
        )
    taken = {name: _to_one_channel(loaded[name], own[name]) for name in wanted}
    for name, value in taken.items():
        if value.shape != own[name].shape:
            raise CheckpointError(f"{path}: {name} is {tuple(value.shape)}; {tuple(own[name].shape)} was expected")
    backbone.network.load_state_dict(taken, strict=False)
    return len(taken)


def _to_one_channel(value: Tensor, own: Tensor) -> Tensor:
    is_colour_stem = value.ndim == 4 and own.ndim == 4 and value.shape[1] == 3 and own.shape[1] == 1
    return value.sum(dim=1, keepdim=True) if is_colour_stem else value
