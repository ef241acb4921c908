"""``xraynet import-backbone``: weights learnt on photographs, as a start for a detector."""

from pathlib import Path
from typing import Annotated

import typer


def import_backbone(
    weights: Annotated[Path, typer.Argument(help="A state dict (.pth, .safetensors) of a network known to timm.", exists=True)],
    network: Annotated[str, typer.Option(help="timm's name of the network.")],
    out: Annotated[Path, typer.Option(help="The safetensors file to write.", dir_okay=False)],
    mean: Annotated[
        tuple[float, float, float] | None, typer.Option(help="Mean colour taken from the photographs; default: timm's.")
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None, typer.Option(help="What their colours were divided by; default: timm's.")
    ] = None,
) -> None:
    """Bring weights learnt on photographs into the form that ``backbone_weights`` of a training recipe takes."""
    from safetensors.torch import save

    from xraynet.detector.pretrained import ColourScale, import_pretrained
    from xraynet.files import write_bytes_atomically

    if (mean is None) != (std is None):
        raise typer.BadParameter("--mean and --std go together: give both or neither")
    try:
        scale = ColourScale.of_network(network) if mean is None or std is None else ColourScale(mean, std)
        tensors = import_pretrained(weights, network, scale=scale)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(out, save({name: value.contiguous() for name, value in tensors.items()}))
    typer.echo(f"written: {out}, {len(tensors)} tensors of {network}, for films of one grey channel")
