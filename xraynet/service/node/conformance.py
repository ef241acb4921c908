"""The DICOM conformance statement, after PS3.2 Annex A: its tables are those that the node negotiates with."""

from collections.abc import Iterable, Sequence
from importlib import resources
from string import Template

from pydicom.charset import python_encoding
from pydicom.uid import UID

import xraynet
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.dicom_object import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from xraynet.service.node.delivery import PROCESSING_FAILURES_BELIEVED
from xraynet.service.node.options import NodeOptions
from xraynet.service.node.server import make_entity
from xraynet.service.node.services import (
    ANSWERS,
    FALLBACK_SYNTAXES,
    RESULT_CLASSES,
    STORAGE_CLASSES,
    VERIFICATION,
    list_transfer_syntaxes,
)

_CONTEXT_COLUMNS = ("Abstract syntax", "UID", "Transfer syntax", "UID")


def write_conformance(options: NodeOptions) -> str:
    """The statement of a node with these options, as Markdown."""
    text = (resources.files("xraynet.service.node") / "conformance.md").read_text(encoding="utf-8")
    archive = options.forward
    return Template(text).substitute(
        version=xraynet.__version__,
        disclaimer=DISCLAIMER,
        classes=_list_classes(),
        acceptance=_table(("Property", "Value"), _acceptance(options)),
        accepted_contexts=_table(_CONTEXT_COLUMNS, _accepted_contexts(options)),
        fates=_table(("SOP class", "What the node does"), ((uid.name, what) for uid, what in STORAGE_CLASSES.items())),
        answers=_table(
            ("Status", "Error comment", "Given when"),
            ((f"{answer.status:04X}", answer.comment or "none", answer.meaning) for answer in ANSWERS),
        ),
        archive=f"{archive.ae_title} at {archive.host}, port {archive.port}" if archive else "`--forward AE@HOST:PORT`",
        offered_contexts=_table(_CONTEXT_COLUMNS, _offered_contexts()),
        verdicts=_table(("Status", "Meaning for the node"), _verdicts(options)),
        host=options.bind_host,
        port=str(options.port),
        character_sets=", ".join(f"`{name}`" for name in sorted(python_encoding) if name),
        tls="not in use" if options.tls is None else "in use" if options.tls.ca is None else "in use, with client certificates",
        results=_table(("SOP class", "UID", "Made in"), ((*_name(uid), syntax.name) for uid, syntax in RESULT_CLASSES.items())),
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (columns, ["---"] * len(columns), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _name(uid: UID) -> tuple[str, str]:
    return uid.name, str(uid)


def _list_classes() -> str:
    received = (VERIFICATION, *STORAGE_CLASSES)
    both = dict.fromkeys((*received, *RESULT_CLASSES))
    rows = ((*_name(uid), "yes" if uid in RESULT_CLASSES else "no", "yes" if uid in received else "no") for uid in both)
    return _table(("SOP class", "UID", "User of service (SCU)", "Provider of service (SCP)"), rows)


def _acceptance(options: NodeOptions) -> list[tuple[str, str]]:
    limits = options.limits
    peers = ", ".join(f"{peer.ae_title} at {peer.host}" for peer in options.allow) or "none"
    return [
        ("AE title", options.ae_title),
        ("Called AE title", "must be the above"),
        ("Peers", f"any calling AE title from loopback; configured: {peers}; all others are rejected (1, 1, 3)"),
        ("Application context", "1.2.840.10008.3.1.1.1"),
        ("Associations at a time", str(limits.max_associations)),
        ("Asynchronous operations window", "not supported (one operation at a time)"),
        ("Implementation class UID", str(IMPLEMENTATION_UID)),
        ("Implementation version name", IMPLEMENTATION_VERSION),
        ("Largest PDU received", f"{limits.max_pdu_bytes} bytes"),
        ("Largest object", f"{limits.max_object_mib:g} MiB; the association is aborted beyond that"),
        ("Network timeout", f"{limits.network_timeout_s:g} s; one object may take {limits.transfer_limit_s:g} s"),
        ("Role selection, extended negotiation", "none; user identity is ignored"),
    ]


def _accepted_contexts(options: NodeOptions) -> Iterable[tuple[str, ...]]:
    entity = make_entity(options)
    entity.add_supported_context(VERIFICATION)
    for syntax in entity.supported_contexts[0].transfer_syntax or ():
        yield (*_name(VERIFICATION), *_name(UID(str(syntax))))
    for sop_class in STORAGE_CLASSES:
        for syntax in list_transfer_syntaxes():
            yield (*_name(sop_class), *_name(syntax))


def _offered_contexts() -> Iterable[tuple[str, ...]]:
    for sop_class, own in RESULT_CLASSES.items():
        for syntax in dict.fromkeys((own, *FALLBACK_SYNTAXES)):
            yield (*_name(sop_class), *_name(syntax))


def _verdicts(options: NodeOptions) -> list[tuple[str, str]]:
    later = f"sent again later, after at most {options.retry_cap_s:g} s"
    return [
        ("0000", "stored"),
        ("B000-BFFF, 0001, 0107, 0116", "stored; the warning is logged"),
        ("0111", "stored before"),
        ("A700-A7FF, 0213", later),
        ("0110", f"sent again later; after {PROCESSING_FAILURES_BELIEVED} times as any other failure"),
        ("any other, or no accepted context", "kept at the node and reported; sent again by `--retry-refused`"),
        ("no answer, rejection or abort", later),
    ]
