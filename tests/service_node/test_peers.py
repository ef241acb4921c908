import socket

import pytest

from xraynet.service.node.options import NodeLimits, NodeOptions, Retention
from xraynet.service.node.peers import AllowedPeer, AllowList, Archive

LISTED = AllowList((AllowedPeer.parse("CR1@10.1.2.3"), AllowedPeer.parse("*@10.9.0.0/16"), AllowedPeer.parse("DX 2@fd00::/8")))


@pytest.mark.parametrize(
    ("ae_title", "address", "admitted"),
    [
        ("ANY", "127.0.0.1", True),
        ("ANY", "::1", True),
        ("ANY", "::ffff:127.0.0.1", True),
        ("CR1", "10.1.2.3", True),
        ("CR1 ", "::ffff:10.1.2.3", True),
        ("CR2", "10.1.2.3", False),
        ("CR1", "10.1.2.4", False),
        ("X", "10.9.8.7", True),
        ("DX 2", "fd00::1", True),
        ("DX 2", "fe00::1", False),
        ("CR1", "no address", False),
    ],
)
def test_title_and_address_must_fit_together(ae_title: str, address: str, admitted: bool) -> None:
    assert LISTED.admits(ae_title=ae_title, address=address) is admitted


@pytest.mark.parametrize(
    ("peers", "address", "known"),
    [
        (LISTED, "10.1.2.3", True),
        (LISTED, "::ffff:10.9.8.7", True),
        (LISTED, "10.1.2.4", False),
        (LISTED, "127.0.0.1", True),
        (LISTED, "no address", False),
        (AllowList(), "10.1.2.3", False),
        (AllowList((AllowedPeer.parse("CR1@modality.example"),)), "10.1.2.3", True),
    ],
    ids=["listed", "in a network", "stranger", "loopback", "none", "nobody is listed", "a name is not looked up"],
)
def test_an_address_that_nobody_is_listed_at_is_told_without_a_look_up(peers: AllowList, address: str, known: bool) -> None:
    assert peers.may_know(address) is known


def test_nobody_is_listed_by_default() -> None:
    assert AllowList().admits(ae_title="A", address="127.0.0.1")
    assert not AllowList().admits(ae_title="A", address="10.1.2.3")


def test_a_host_is_found_by_its_name_and_asked_for_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(name: str, port: None) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(name)
        return [(2, 1, 6, "", ("10.5.5.5", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    peers = AllowList((AllowedPeer.parse("CR1@modality.ward"),))
    assert [peers.admits(ae_title="CR1", address=address) for address in ("10.5.5.5", "10.5.5.6")] == [True, False]
    assert asked == ["modality.ward"]


def test_a_name_that_is_not_known_admits_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, port: None) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert not AllowList((AllowedPeer.parse("CR1@nowhere"),)).admits(ae_title="CR1", address="10.1.2.3")


@pytest.mark.parametrize("text", ["", "CR1", "@10.0.0.1", "CR1@", "A\\B@10.0.0.1", "CR1@bad host", "CR1@10.0.0.1/33", "Ü@a"])
def test_a_peer_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        AllowedPeer.parse(text)


@pytest.mark.parametrize("text", ["", "A@host", "A@:104", "@host:104", "A@host:0", "A@host:70000", "TITLE-OF-17-CHARS@h:1"])
def test_an_archive_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Archive.parse(text)


def test_an_archive_may_have_an_address_of_version_6() -> None:
    assert Archive.parse("PACS@[::1]:104") == Archive("PACS", "::1", 104)


def test_the_node_listens_beyond_loopback_only_for_somebody() -> None:
    assert NodeOptions(ae_title="X", port=0).bind_host == "127.0.0.1"
    assert NodeOptions(ae_title="X", port=0, allow=(AllowedPeer.parse("A@127.0.0.1"),)).bind_host == "127.0.0.1"
    assert NodeOptions(ae_title="X", port=0, allow=(AllowedPeer.parse("A@10.0.0.1"),)).bind_host == "0.0.0.0"  # noqa: S104
    assert NodeOptions(ae_title="X", port=0, host="10.0.0.9").bind_host == "10.0.0.9"


def test_impossible_options_are_refused() -> None:
    for make in (
        lambda: NodeOptions(ae_title="", port=0),
        lambda: NodeOptions(ae_title="X", port=70000),
        lambda: NodeOptions(ae_title="X", port=0, forward_tls=True),
        lambda: NodeOptions(ae_title="X", port=0, retry_first_s=9, retry_cap_s=1),
        lambda: NodeLimits(max_object_mib=float("nan")),
        lambda: NodeLimits(max_associations=0),
        lambda: NodeLimits(max_pdu_bytes=1),
        lambda: Retention(keep_days=-1),
        lambda: Retention(min_free_gib=float("inf")),
    ):
        with pytest.raises(ValueError, match=r"expected|needs|must"):
            make()
