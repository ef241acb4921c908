"""``xraynet listen``: a node beside the PACS. Films in by C-STORE, results out by C-STORE."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xraynet.errors import ServiceError

if TYPE_CHECKING:
    from xraynet.batch.options import FolderOptions
    from xraynet.inference.predictor import Predictor
    from xraynet.service.node.options import NodeOptions

_HEALTH_PORT = 11113


def listen(
    port: Annotated[int, typer.Option(help="The port for DICOM; 0 takes a free one.")] = 11112,
    ae_title: Annotated[str, typer.Option(help="The AE title by which the node is called.")] = "XRAYNET",
    out: Annotated[Path | None, typer.Option(help="The folder for results and the queue; the node goes on there.")] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A peer beyond this machine: AE title (* for any) and address, network or name.", metavar="AE@HOST"),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on; by default loopback, or all with --allow.")
    ] = None,
    forward: Annotated[str | None, typer.Option(help="The archive that results are sent to.", metavar="AE@HOST:PORT")] = None,
    dicom_results: Annotated[
        str, typer.Option(help="Results: sr (report), sc (picture), pr (presentation state).", metavar="KIND,…")
    ] = "sr,sc,pr",
    checkpoint: Annotated[Path | None, typer.Option(help="A detector's checkpoint; by default the shipped one.")] = None,
    lungs: Annotated[Path | None, typer.Option(help="A lungs checkpoint; by default the shipped one.")] = None,
    outputs: Annotated[
        str, typer.Option(help="What to write into OUT: reading, heatmap, overlay, report, index, csv.", metavar="NAME,…")
    ] = "reading,heatmap,overlay,report,index,csv",
    language: Annotated[
        str, typer.Option(help="The language of what people read in OUT: en, de, es, or a language file.", metavar="CODE|FILE")
    ] = "en",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps …")] = "cpu",
    precision: Annotated[str, typer.Option(help="What the detector computes in: float32 or bfloat16.")] = "float32",
    max_megapixels: Annotated[float, typer.Option(help="Larger films are refused before they are decoded.")] = 200.0,
    tls_cert: Annotated[Path | None, typer.Option(help="The node's certificate (PEM): connections must use TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The key of the certificate (PEM, no password).")] = None,
    tls_ca: Annotated[Path | None, typer.Option(help="Peers must show a certificate of this CA (PEM).")] = None,
    forward_tls: Annotated[bool, typer.Option("--forward-tls", help="Speak TLS with the archive, too.")] = False,
    health_port: Annotated[int, typer.Option(help="The health page's port on loopback; 0 takes a free one.")] = _HEALTH_PORT,
    max_object_mib: Annotated[float, typer.Option(help="The largest object; beyond it the association is aborted.")] = 256.0,
    max_associations: Annotated[int, typer.Option(help="Associations at a time.")] = 10,
    network_timeout_s: Annotated[float, typer.Option(help="Silence after which a connection is closed.")] = 60.0,
    keep_days: Annotated[float, typer.Option(help="How long films are kept once the archive has their results.")] = 7.0,
    keep_failed_days: Annotated[float, typer.Option(help="The same, for what failed or was refused by the archive.")] = 90.0,
    min_free_gib: Annotated[float, typer.Option(help="Below so much free disk no film is accepted.")] = 2.0,
    retry_cap_s: Annotated[float, typer.Option(help="The longest pause before the archive is tried again.")] = 300.0,
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="Send once more what the archive refused before.")
    ] = False,
    conformance: Annotated[bool, typer.Option("--conformance", help="Print the DICOM conformance statement and end.")] = False,
) -> None:
    """Receive films from a PACS and send what is found to an archive. Research use, not for diagnosis."""
    _need_pacs()
    from xraynet.batch.options import FolderOptions, parse_dicom_results, parse_outputs
    from xraynet.cli.language import ask_language
    from xraynet.service.node.options import NodeLimits, NodeOptions, Retention, TlsFiles
    from xraynet.service.node.peers import AllowedPeer, Archive

    if (tls_cert is None) != (tls_key is None) or (tls_ca is not None and tls_cert is None):
        raise typer.BadParameter("--tls-cert and --tls-key belong together, and --tls-ca needs both")
    try:
        options = NodeOptions(
            ae_title=ae_title,
            port=port,
            host=host,
            allow=tuple(AllowedPeer.parse(peer) for peer in allow or ()),
            forward=Archive.parse(forward) if forward is not None else None,
            forward_tls=forward_tls,
            tls=TlsFiles(tls_cert, tls_key, tls_ca) if tls_cert is not None and tls_key is not None else None,
            health_port=health_port,
            limits=NodeLimits(
                max_object_mib=max_object_mib, max_associations=max_associations, network_timeout_s=network_timeout_s
            ),
            retention=Retention(keep_days=keep_days, keep_failed_days=keep_failed_days, min_free_gib=min_free_gib),
            retry_first_s=min(2.0, retry_cap_s),
            retry_cap_s=retry_cap_s,
            retry_refused=retry_refused,
        )
        folder_options = FolderOptions(
            outputs=parse_outputs(outputs),
            hash_paths=True,
            max_megapixels=max_megapixels,
            dicom_results=parse_dicom_results(dicom_results),
            language=ask_language(language),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if precision not in ("float32", "bfloat16"):
        raise typer.BadParameter(f"precision is '{precision}'; float32 or bfloat16 was expected")
    if conformance:
        _print_conformance(options)
        return
    if out is None:
        raise typer.BadParameter("--out is missing: the folder for results and the queue")
    _run(_load(checkpoint, lungs, device=device, precision=precision), out=out, options=options, folder_options=folder_options)


def _need_pacs() -> None:
    from importlib.util import find_spec

    if find_spec("pynetdicom") is None:
        raise ServiceError("xraynet listen needs the extra [pacs]: pip install 'xraynet[pacs]'")


def _print_conformance(options: "NodeOptions") -> None:
    from xraynet.service.node.conformance import write_conformance

    typer.echo(write_conformance(options), nl=False)


def _load(checkpoint: Path | None, lungs: Path | None, *, device: str, precision: str) -> "Predictor":
    from xraynet.inference.predictor import Predictor
    from xraynet.lungs.segmenter import LungSegmenter

    try:
        return Predictor.from_checkpoint(
            checkpoint,
            lungs=LungSegmenter.from_file(lungs) if lungs is not None else None,
            device=device,
            precision="bfloat16" if precision == "bfloat16" else "float32",
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _run(predictor: "Predictor", *, out: Path, options: "NodeOptions", folder_options: "FolderOptions") -> None:
    from xraynet.service.node.log import NodeLog
    from xraynet.service.node.run import run_node

    log = NodeLog()
    for warning in predictor.warnings:
        log.warning("model", says=warning)
    run_node(predictor, out=out, options=options, folder_options=folder_options, log=log)
