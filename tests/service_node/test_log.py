import io
import json
import logging
import sys
import threading
import warnings

import pytest

from xraynet.service.node.log import NodeLog, silence_libraries


def test_a_line_is_one_json_object_whatever_is_in_it() -> None:
    stream = io.StringIO()
    log = NodeLog(stream.write)
    log.info("a", text="two\nlines \x1b[31m", number=1.23456, nothing=None, flag=True)
    log.warning("b", text="x" * 1000)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["level"] == "info"
    assert first["number"] == 1.235
    assert "nothing" not in first
    assert "\n" not in first["text"] and "\x1b" not in first["text"]
    assert len(second["text"]) == 300


def test_an_exception_is_told_without_its_text() -> None:
    stream = io.StringIO()
    try:
        raise ValueError("Seededson")
    except ValueError as error:
        NodeLog(stream.write).broke("x", error)
    assert "ValueError" in stream.getvalue()
    assert "Seededson" not in stream.getvalue()


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    NodeLog().error("x")
    assert json.loads(capsys.readouterr().err)["level"] == "error"


def test_nobody_listening_is_no_reason_to_stop() -> None:
    def fail(line: str) -> None:
        raise BrokenPipeError

    NodeLog(fail).info("x")


def test_libraries_and_dying_threads_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    level = logging.getLogger("pynetdicom").level

    def die() -> None:
        raise ValueError("Seededson")

    with silence_libraries(NodeLog(stream.write)):
        logging.getLogger("pynetdicom.assoc").error("Seededson")
        logging.getLogger("pydicom").warning("Seededson")
        warnings.warn("Seededson", stacklevel=1)
        thread = threading.Thread(target=die)
        thread.start()
        thread.join()
    said = stream.getvalue() + "".join(capfd.readouterr())
    assert "Seededson" not in said
    assert "thread-died" in stream.getvalue()
    assert logging.getLogger("pynetdicom").level == level
    assert threading.excepthook is not None and sys.excepthook is not None
