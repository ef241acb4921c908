"""``xraynet doctor``: what this installation can do, on one page."""

import typer


def doctor() -> None:
    """Say what this installation can do: versions, devices, codecs, checkpoints."""
    for title, lines in (
        ("Versions", _versions()),
        ("Devices", _devices()),
        ("DICOM transfer syntaxes", _codecs()),
        ("Checkpoints", _checkpoints()),
        ("Reports", _reports()),
    ):
        width = max(len(name) for name, _ in lines)
        typer.echo(title)
        for name, value in lines:
            typer.echo(f"  {name:<{width}}  {value}")


def _versions() -> list[tuple[str, str]]:
    import platform
    from importlib import metadata

    import xraynet

    packages = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pydicom", "imagecodecs")
    lines = [("xraynet", xraynet.__version__), ("python", f"{platform.python_version()} on {platform.platform()}")]
    for package in packages:
        try:
            lines.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            lines.append((package, "missing"))
    return lines


def _devices() -> list[tuple[str, str]]:
    import torch

    lines = [("cpu", f"{torch.get_num_threads()} threads")]
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        lines.append((f"cuda:{index}", f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"))
    if torch.backends.mps.is_available():
        lines.append(("mps", "available"))
    if len(lines) == 1:
        lines.append(("cuda", "none: films are read on the CPU"))
    return lines


def _codecs() -> list[tuple[str, str]]:
    from xraynet.ingest.dicom_codecs import list_codecs

    native = [("uncompressed and deflated", "yes")]
    return native + [(name, "yes" if can else "no: films in it will fail") for name, can in sorted(list_codecs().items())]


def _checkpoints() -> list[tuple[str, str]]:
    from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint
    from xraynet.errors import CheckpointError
    from xraynet.lungs.segmenter import LungSegmenter, find_shipped_lungs

    lines = []
    expected = None
    try:
        path = find_shipped_checkpoint()
        checkpoint = read_checkpoint(path)
        expected = checkpoint.settings.lungs_fingerprint
        lines.append((f"detector '{checkpoint.name}'", f"{checkpoint.fingerprint[:16]}  {path}"))
    except CheckpointError as error:
        lines.append(("detector", f"not usable: {error}"))
    try:
        path = find_shipped_lungs()
        lungs = LungSegmenter.from_file(path)
        belongs = "" if expected in (None, lungs.fingerprint) else "  (the detector was made with others)"
        lines.append(("lungs and gate", f"{lungs.fingerprint[:16]}  {path}{belongs}"))
    except CheckpointError as error:
        lines.append(("lungs and gate", f"not usable: {error}"))
    return lines


def _reports() -> list[tuple[str, str]]:
    from importlib.util import find_spec

    from xraynet.reporting.language_files import find_language, languages_folder, list_languages

    names = [f"{code} ({find_language(code).name})" for code in list_languages()]
    has_pdf = find_spec("reportlab") is not None
    return [
        ("languages", f"{', '.join(names)}  {languages_folder()}"),
        ("PDF", "yes" if has_pdf else "no: pip install 'xraynet[pdf]'"),
    ]
