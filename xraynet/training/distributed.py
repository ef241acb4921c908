"""Several processes train as one (torchrun): every rank makes the same collective calls, with films or without.

Gradients are summed over the ranks by hand, in one flat tensor, instead of by DistributedDataParallel: a rank whose
shard has run out of films adds zeros, and the arithmetic stays in plain sight.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Item = TypeVar("Item")


@dataclass(frozen=True)
class Team:
    """The processes that train together: this one's ``rank`` of ``world_size``, and the device it computes on."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """True for the one process that writes files and speaks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over all ranks, on every rank."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, items: list[Item]) -> list[Item]:
        """The items of all ranks, in the order of ranks, on every rank."""
        if self.world_size == 1:
            return items
        gathered: list[list[Item]] = [[] for _ in range(self.world_size)]
        dist.all_gather_object(gathered, items)
        return [item for of_rank in gathered for item in of_rank]

    def wait(self) -> None:
        """Go on when every rank has come here."""
        if self.world_size > 1:
            dist.barrier()

    def share_first(self, value: float) -> float:
        """The first rank's ``value``, on every rank: where all must decide alike."""
        if self.world_size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return float(shared.item())

    def sum_gradients(self, model: nn.Module) -> None:
        """Every parameter's gradient becomes its sum over the ranks; a missing one counts as zero."""
        if self.world_size == 1:
            return
        gradients = []
        for parameter in model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        _reduce_in_place(gradients)

    def average_statistics(self, model: nn.Module, *, share: float) -> None:
        """Running statistics of normalisation become their mean over the ranks; this rank saw ``share`` of the films."""
        if self.world_size == 1:
            return
        statistics = [value for value in model.buffers() if value.is_floating_point()]
        for value in statistics:
            value.mul_(share)
        _reduce_in_place(statistics)


def _reduce_in_place(tensors: list[Tensor]) -> None:
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    for tensor, value in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(value.view(tensor.shape))


@contextmanager
def join_team(device: str = "auto") -> Iterator[Team]:
    """This process among those that torchrun started, or alone. ``device``: auto, cpu, cuda, or cuda:N.

    Raises ValueError for a CUDA device on a machine that has none.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
    if world_size == 1:
        yield Team(rank=0, world_size=1, device=chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Team(rank=dist.get_rank(), world_size=dist.get_world_size(), device=chosen)
    finally:
        dist.destroy_process_group()


def choose_device(device: str, *, local_rank: int = 0) -> torch.device:
    """The device that ``device`` (auto, cpu, cuda, cuda:N) means to the process of this local rank.

    Raises ValueError for any other word, and for a CUDA device on a machine that has none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ValueError(f"device is {device!r}; auto, cpu, cuda or cuda:N was expected")
    chosen = torch.device(device)
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"device is {device}; this machine has no CUDA device")
        chosen = torch.device("cuda", local_rank if chosen.index is None else chosen.index)
        torch.cuda.set_device(chosen)
    return chosen
