"""The conformance statement lists what the server negotiates: neither less nor more."""

import re
from collections.abc import Iterator

import pytest
from node_desk import Desk
from pydicom.uid import UID_dictionary
from pynetdicom import AE
from pynetdicom.presentation import StoragePresentationContexts, build_context
from typer.testing import CliRunner

from xraynet.cli.main import build_app
from xraynet.service.node.conformance import write_conformance
from xraynet.service.node.options import NodeLimits, NodeOptions
from xraynet.service.node.peers import AllowedPeer, Archive
from xraynet.service.node.services import ANSWERS, RESULT_CLASSES

pytestmark = pytest.mark.network

VERIFICATION = "1.2.840.10008.1.1"


def section(text: str, title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}.*?$(.*?)(?=^#|\Z)", text, flags=re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def contexts_of(text: str) -> set[tuple[str, str]]:
    return {(cells[1], cells[3]) for cells in rows(text) if cells[1] != "UID"}


def negotiate(port: int, sop_classes: list[str], syntaxes: list[str]) -> set[tuple[str, str]]:
    """All pairs that the server accepts, each proposed in a context of its own, 128 an association."""
    pairs = [(sop_class, syntax) for sop_class in sop_classes for syntax in syntaxes]
    accepted: set[tuple[str, str]] = set()
    for start in range(0, len(pairs), 128):
        entity = AE("ASKER")
        asked = [build_context(sop_class, syntax) for sop_class, syntax in pairs[start : start + 128]]
        association = entity.associate("127.0.0.1", port, ae_title="XRAYNET", contexts=asked)
        for context in association.accepted_contexts:
            accepted.add((str(context.abstract_syntax), str(context.transfer_syntax[0])))
        if association.is_established:
            association.release()
        else:
            association.abort()
    return accepted


def test_the_server_accepts_what_is_listed_and_nothing_else(desk: Desk) -> None:
    listed = contexts_of(section(write_conformance(NodeOptions(ae_title="XRAYNET", port=0)), "3.1 Presentation contexts"))
    syntaxes = [uid for uid, facts in UID_dictionary.items() if facts[1] == "Transfer Syntax"]
    classes = sorted({sop_class for sop_class, _ in listed})
    assert len(syntaxes) > 40
    assert negotiate(desk.port, classes, syntaxes) == listed
    others = [str(context.abstract_syntax) for context in StoragePresentationContexts]
    others += ["1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.20.1", "1.2.840.10008.5.1.4.31"]
    rest = [sop_class for sop_class in others if sop_class not in classes]
    assert negotiate(desk.port, rest, ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]) == set()


def test_every_status_is_listed_with_its_meaning() -> None:
    text = section(write_conformance(NodeOptions(ae_title="XRAYNET", port=0)), "3.3 C-STORE response statuses")
    listed = {cells[0] for cells in rows(text)} - {"Status"}
    assert listed == {f"{answer.status:04X}" for answer in ANSWERS}
    assert len({answer.status for answer in ANSWERS}) == len(ANSWERS)


def test_what_is_sent_is_listed_with_its_fallbacks() -> None:
    text = section(write_conformance(NodeOptions(ae_title="XRAYNET", port=0)), "4 Association initiation")
    offered = contexts_of(text)
    for sop_class, syntax in RESULT_CLASSES.items():
        assert (sop_class, syntax) in offered
        assert (sop_class, "1.2.840.10008.1.2") in offered


def test_the_site_s_own_settings_are_in_it() -> None:
    options = NodeOptions(
        ae_title="NODE7",
        port=4242,
        allow=(AllowedPeer.parse("CR1@10.1.2.3"),),
        forward=Archive.parse("PACS@10.1.2.9:104"),
        limits=NodeLimits(max_object_mib=77),
    )
    text = write_conformance(options)
    for words in ("NODE7", "port 4242", "CR1 at 10.1.2.3", "PACS at 10.1.2.9, port 104", "77 MiB", ".0.0.0,"):
        assert words in text
    assert "$" not in text
    assert "Research use, not for diagnosis." in text


@pytest.mark.parametrize("title", ["1 Overview", "2 Impl", "3 Assoc", "5 Network", "6 Support of char", "7 Security", "8 Res"])
def test_the_parts_that_the_standard_asks_for_are_there(title: str) -> None:
    assert section(write_conformance(NodeOptions(ae_title="XRAYNET", port=0)), title).strip()


def test_the_command_line_prints_it() -> None:
    done = CliRunner().invoke(build_app(("listen", "doctor")), ["listen", "--conformance", "--ae-title", "NODE7"])
    assert done.exit_code == 0, done.output
    assert done.output == write_conformance(NodeOptions(ae_title="NODE7", port=11112))
