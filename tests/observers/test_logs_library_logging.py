"""Log records of libraries are captured on any thread inside the context."""

from __future__ import annotations

import logging
import threading
import warnings

import pytest

from runner.observers.logs import capture_library_logs

Records = list[tuple[str, int, str]]


def test_a_warning_is_captured_and_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    records: Records = []
    with capture_library_logs(lambda *line: records.append(line)):
        logging.getLogger("library.part").warning("line %s lost", 3)
        logging.getLogger("library.part").info("not captured")

    assert records == [("line 3 lost", logging.WARNING, "library.part")]
    assert capfd.readouterr() == ("", "")


def test_a_lower_level_is_captured_if_asked_for() -> None:
    records: Records = []
    with capture_library_logs(lambda *line: records.append(line), logging.INFO):
        logging.getLogger("library").info("fine")

    assert records == [("fine", logging.INFO, "library")]


def test_a_python_warning_is_captured_and_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    records: Records = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with capture_library_logs(lambda *line: records.append(line)):
            warnings.warn("this will be gone", UserWarning, stacklevel=1)

    [(text, level, library)] = records
    assert "UserWarning: this will be gone" in text
    assert (level, library) == (logging.WARNING, "py.warnings")
    assert capfd.readouterr() == ("", "")


def test_an_exception_is_in_the_text_without_a_traceback() -> None:
    records: Records = []
    with capture_library_logs(lambda *line: records.append(line)):
        try:
            raise ValueError("no luck")
        except ValueError:
            logging.getLogger("library").exception("it failed")

    assert records == [("it failed: ValueError: no luck", logging.ERROR, "library")]


def test_arguments_that_do_not_fit_are_reported_as_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # pytest's own handler would raise.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    records: Records = []
    with capture_library_logs(lambda *line: records.append(line)):
        logging.getLogger("library").warning("%d", "no number")

    assert records == [("unreadable log record: TypeError", logging.WARNING, "library")]


def test_records_of_other_threads_are_captured() -> None:
    records: Records = []
    with capture_library_logs(lambda *line: records.append(line)):
        thread = threading.Thread(
            target=logging.getLogger("library").error, args=("x",)
        )
        thread.start()
        thread.join()

    assert records == [("x", logging.ERROR, "library")]


def test_logging_is_restored_on_exit() -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with capture_library_logs(lambda *line: None, logging.INFO):
        assert root.handlers != before[1]

    assert (root.level, root.handlers) == before
