import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from asgi_browser import AsgiBrowser
from review_folders import make_reading

from xraynet.errors import ActionRefused
from xraynet.service.review.door import Address, Door, parse_reader
from xraynet.service.review.guard import MOST_BODY_BYTES
from xraynet.service.review.routes import ReviewSite
from xraynet.service.review.server import ServerOptions

Enter = Callable[..., AsgiBrowser]
FILM = make_reading(1).id
PATHS = [
    *("/", "/api/session", "/api/worklist", f"/api/films/{FILM}", f"/api/films/{FILM}/levels"),
    *("/api/events", "/static/film.js"),
]
HOSTS = ["evil.example", "evil.example:8765", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:8765"]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - refused


def test_the_printed_link_gives_a_cookie_that_no_script_and_no_other_site_can_use(enter: Enter) -> None:
    browser = enter(None)
    browser.cookie = ""
    welcome = browser.get(f"/?token={browser.token}")
    assert (welcome.status, welcome.headers["location"]) == (303, "/")
    name, *flags = welcome.headers["set-cookie"].split("; ")
    assert name.startswith("xraynet-review-8765=")
    assert flags == ["HttpOnly", "SameSite=Strict", "Path=/"]


def test_a_second_tab_keeps_the_session_of_the_first(enter: Enter) -> None:
    browser = enter("Ada")
    welcome = browser.get(f"/?token={browser.token}")
    assert (welcome.status, welcome.headers["location"]) == (303, "/")
    assert "set-cookie" not in welcome.headers
    assert browser.get("/api/session").json()["reader"] == "Ada"


@pytest.mark.parametrize("other", ['settings={"a": 1}', "a=b c", "k[]=1", "flag", "a\xe9=1", "=", 'q="a;b"'])
def test_cookies_of_other_programs_on_the_machine_shut_nobody_out(enter: Enter, other: str) -> None:
    browser = enter()
    own = browser.cookie
    for cookie in (f"{other}; {own}", f"{own}; {other}", f"x{own}; {other};{own}"):
        browser.cookie = cookie
        assert browser.get("/api/session").status == 200


def test_under_tls_the_cookie_never_travels_in_the_clear() -> None:
    address = Address.direct("review.example.org", 443, has_certificate=True)
    assert address.url == "https://review.example.org"
    assert Door(address, cookie_name="__Host-xraynet-review-443").cookie("a").endswith("; Secure")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cookie", ["", "xraynet-review-8765=guess", "other=1", 'xraynet-review-8765="\\"'])
def test_nothing_is_told_without_the_cookie(enter: Enter, path: str, cookie: str) -> None:
    browser = enter()
    browser.cookie = cookie
    answer = browser.get(path)
    assert answer.status == 403
    assert b"open the link" in answer.body.lower()
    assert ("json" in answer.headers["content-type"]) == (path != "/")


def test_a_wrong_token_is_refused(enter: Enter) -> None:
    browser = enter(None)
    browser.cookie = ""
    for token in ("x", browser.token[:-1], browser.token + "x", "%00", "é"):
        assert browser.get(f"/?token={token}").status == 403


@pytest.mark.parametrize("host", [None, *HOSTS])
def test_a_name_that_was_bound_to_this_address_by_somebody_else_is_refused(enter: Enter, host: str | None) -> None:
    browser = enter()
    answer = browser.get("/api/worklist", headers={"host": host})
    assert answer.status == 403
    assert "Host" in answer.json()["error"]
    assert browser.get(f"/?token={browser.token}", headers={"host": host}).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": None}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "https://127.0.0.1:8765"}, 403),
        ({"origin": "http://127.0.0.1:8766"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": None}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-length": "x"}, 413),
        ({"content-length": str(MOST_BODY_BYTES + 1)}, 413),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_a_change_comes_from_the_servers_own_page_or_not_at_all(
    enter: Enter, headers: dict[str, str | None], status: int
) -> None:
    assert enter().post("/api/reader", {"name": "Ben"}, headers=headers).status == status


def test_a_body_longer_than_it_says_is_cut_short(enter: Enter) -> None:
    body = json.dumps({"name": "x" * MOST_BODY_BYTES}).encode()
    assert enter().post("/api/reader", body, headers={"content-length": "10"}).status == 413


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1]", b"null", b"[" * 60_000])
def test_what_is_no_json_object_is_refused(enter: Enter, body: bytes) -> None:
    assert enter().post("/api/reader", body).status == 400


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"kind": "accept"},
        {"kind": "burn", "detection": "d1"},
        {"kind": ["accept"], "detection": "d1"},
        {"kind": "accept", "detection": 1},
        {"kind": "accept", "detection": "d0"},
        {"kind": "accept", "detection": "d99"},
        {"kind": "accept", "detection": "d1", "box": [0, 0, 5, 5]},
        {"kind": "clear", "detection": "d1"},
        {"kind": "add", "mark": "../x", "box": [0, 0, 5, 5]},
        {"kind": "add", "mark": "d1", "box": [0, 0, 5, 5]},
        {"kind": "add", "mark": "m", "box": [0, 0, 5]},
        {"kind": "add", "mark": "m", "box": [0, 0, 5, "5"]},
        {"kind": "add", "mark": "m", "box": [0, 0, 5, True]},
        {"kind": "add", "mark": "m", "box": [0, 0, 5, float("nan")]},
        {"kind": "add", "mark": "m", "box": [0, 0, float("inf"), 5]},
        {"kind": "add", "mark": "m", "box": [0, 0, 5, 1e300]},
        {"kind": "add", "mark": "m", "box": [0, 0, 5, 10**400]},
        {"kind": "add", "mark": "m", "box": [0, 0, 101, 5]},
        {"kind": "add", "mark": "m", "box": [5, 5, 0, 0]},
        {"kind": "add", "mark": "m", "box": [5, 5, 5.5, 9]},
        {"kind": "move", "box": [0, 0, 5, 5]},
        {"kind": "move", "mark": "m", "detection": "d1", "box": [0, 0, 5, 5]},
        {"kind": "remove", "mark": "m"},
        {"kind": "note", "mark": "m", "text": "x"},
        {"kind": "note", "text": "x" * 2001},
        {"kind": "note", "text": 5},
        {"kind": "verdict", "verdict": "perhaps"},
        {"kind": "reopen"},
        {"kind": "reveal"},
        {"kind": "undo"},
        {"kind": "redo"},
        {"kind": "accept", "detection": "d1", "action_id": "1"},
        {"kind": "accept", "detection": "d1", "action_id": "00000000-0000-1000-8000-000000000000"},
        {"kind": "accept", "detection": "d1", "base_revision": -1},
        {"kind": "accept", "detection": "d1", "base_revision": True},
        {"kind": "accept", "detection": "d1", "base_revision": "0"},
    ],
    ids=lambda tables: json.dumps(tables)[:60],
)
def test_an_impossible_action_is_refused_and_changes_nothing(enter: Enter, tables: dict[str, object]) -> None:
    browser = enter()
    envelope = {"action_id": "6f6a7b38-53c2-4f0e-9d2c-0f0a5f7a3c11", "base_revision": 0}
    answer = browser.post(f"/api/films/{FILM}/actions", {**envelope, **tables})
    assert answer.status == 422
    assert answer.json()["error"]
    assert browser.get(f"/api/films/{FILM}").json()["mine"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/api/films/..%2f..%2fetc",
        "/api/films/../../../../etc/passwd",
        "/api/films/0123456789ABCDEF",
        "/api/films/0123456789abcdef",
        "/api/films/0123456789abcdef/levels",
        "/api/films/0123456789abcdef/heatmap.png",
        "/static/../routes.py",
        "/static/..%2froutes.py",
        "/static/.secret",
        "/static/film",
        "/static/film.js/",
        "/static/report.js",
        "/static/nothing.js",
        "/review.sqlite",
        "/readings",
    ],
)
def test_no_path_leads_out_of_the_films_and_the_page(enter: Enter, path: str) -> None:
    answer = enter().get(path)
    assert answer.status in (404, 307)
    assert b"root:" not in answer.body


def test_looking_at_everything_changes_nothing(enter: Enter, results: Path) -> None:
    browser = enter()
    before = (results / "review.sqlite").read_bytes()
    for path in (*PATHS[:5], "/static/film.js", f"/api/films/{FILM}/heatmap.png"):
        browser.get(path)
    for path in (f"/api/films/{FILM}/actions", "/api/reader"):
        assert browser.get(path).status == 405
    for method in ("PUT", "DELETE", "PATCH"):
        usual = {"origin": "http://127.0.0.1:8765", "content-type": "application/json"}
        assert browser.ask(method, "/api/reader", headers=usual).status == 405
        assert browser.ask(method, "/api/reader", headers={}).status == 403
    assert browser.get("/api/worklist").json()["revision"] == 0
    assert (results / "review.sqlite").read_bytes() == before


def test_every_answer_stays_where_it_is_shown(enter: Enter) -> None:
    browser = enter()
    for path in ("/api/worklist", f"/api/films/{FILM}/levels", "/static/film.js", "/nothing"):
        headers = browser.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"


def test_the_script_shared_with_the_report_is_served_as_a_script(enter: Enter) -> None:
    answer = enter().get("/static/film.js")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")


def test_a_failure_inside_is_told_without_what_it_was_about(
    enter: Enter, open_site: Callable[..., ReviewSite], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site()
    browser = enter(site=site)

    def fail(_: object) -> None:
        raise RuntimeError("ward/Doe^Jane.dcm")

    monkeypatch.setattr(site.desk, "worklist", fail)
    with caplog.at_level(logging.ERROR, logger="xraynet.review"):
        answer = browser.get("/api/worklist")
    assert answer.status == 500
    assert "Doe" not in answer.body.decode() + caplog.text
    assert "RuntimeError" in caplog.text


def test_a_failure_after_an_action_is_kept_does_not_say_that_it_is_not(
    enter: Enter, open_site: Callable[..., ReviewSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site()
    browser = enter(site=site)

    def fail(_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(site.desk, "count_unread", fail)
        answer = browser.act(FILM, "verdict", verdict="normal")
    assert answer.status == 500
    assert "nothing" not in answer.json()["error"]
    assert browser.get(f"/api/films/{FILM}").json()["mine"]["verdict"] == "normal"


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_answered_as_saved(
    enter: Enter, open_site: Callable[..., ReviewSite]
) -> None:
    site = open_site()
    browser = enter(site=site)
    pages = site.desk.store._connection.execute("PRAGMA page_count").fetchone()[0]
    site.desk.store._connection.execute(f"PRAGMA max_page_count = {pages}")
    statuses = [browser.act(FILM, "note", text=f"{number} " + "x" * 1900).status for number in range(60)]
    assert statuses[-1] == 503
    kept = statuses.count(200)
    assert statuses == [200] * kept + [503] * (60 - kept)
    assert browser.get(f"/api/films/{FILM}").json()["mine"]["revision"] == kept
    site.desk.store._connection.execute("PRAGMA max_page_count = 100000")
    assert browser.act(FILM, "verdict", verdict="normal").status == 200


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\x00b", 5, None, "a\u202eb"])
def test_a_readers_name_is_plain_text(name: object) -> None:
    with pytest.raises(ActionRefused):
        parse_reader(name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "192.0.2.1"}, "needs --allow-remote"),
        ({"host": EVERYWHERE}, "needs --allow-remote"),
        ({"host": "::"}, "needs --allow-remote"),
        ({"host": "review.example.org"}, "needs --allow-remote"),
        ({"host": "192.0.2.1", "allow_remote": True}, "needs a certificate"),
        ({"host": EVERYWHERE, "allow_remote": True, "tls_cert": Path("c"), "tls_key": Path("k")}, "the name or address"),
        ({"tls_cert": Path("c")}, "needs its key"),
        ({"tls_cert": Path("c"), "tls_key": Path("k"), "proxy_origin": "https://a"}, "not both"),
        ({"proxy_origin": "http://review.example.org"}, "https://HOST"),
        ({"proxy_origin": "https://review.example.org/xraynet"}, "https://HOST"),
        ({"proxy_origin": "https://user@review.example.org"}, "https://HOST"),
        ({"port": 70000}, "0 to 65535"),
    ],
)
def test_a_server_that_others_could_reach_in_the_clear_does_not_start(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ServerOptions(**options)


def test_behind_a_proxy_only_its_own_pages_may_change_anything() -> None:
    address = ServerOptions(host=EVERYWHERE, allow_remote=True, proxy_origin="https://review.example.org").address(8765)
    assert address.hosts == {"review.example.org", "review.example.org:443"}
    assert "http://127.0.0.1:8765" not in address.origins
    assert address.is_secure
