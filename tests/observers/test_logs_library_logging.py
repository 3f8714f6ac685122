"""What libraries log is caught, from any thread, while the context lasts."""

from __future__ import annotations

import logging
import threading
import warnings

import pytest

from runner.observers.logs import capture_library_logs

Told = list[tuple[str, int, str]]


def test_a_warning_is_told_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    told: Told = []
    with capture_library_logs(lambda *line: told.append(line)):
        logging.getLogger("library.part").warning("line %s lost", 3)
        logging.getLogger("library.part").info("nobody wants this")

    assert told == [("line 3 lost", logging.WARNING, "library.part")]
    assert capfd.readouterr() == ("", "")


def test_a_lower_level_is_told_where_it_is_wanted() -> None:
    told: Told = []
    with capture_library_logs(lambda *line: told.append(line), logging.INFO):
        logging.getLogger("library").info("fine")

    assert told == [("fine", logging.INFO, "library")]


def test_a_warning_of_pythons_own_is_told_and_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    told: Told = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with capture_library_logs(lambda *line: told.append(line)):
            warnings.warn("this will be gone", UserWarning, stacklevel=1)

    [(text, level, library)] = told
    assert "UserWarning: this will be gone" in text
    assert (level, library) == (logging.WARNING, "py.warnings")
    assert capfd.readouterr() == ("", "")


def test_an_exception_is_told_in_the_line_without_a_traceback() -> None:
    told: Told = []
    with capture_library_logs(lambda *line: told.append(line)):
        try:
            raise ValueError("no luck")
        except ValueError:
            logging.getLogger("library").exception("it failed")

    assert told == [("it failed: ValueError: no luck", logging.ERROR, "library")]


def test_arguments_that_do_not_fit_are_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # pytest listens too, and it does raise.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    told: Told = []
    with capture_library_logs(lambda *line: told.append(line)):
        logging.getLogger("library").warning("%d", "no number")

    assert told == [
        ("a log line that cannot be written: TypeError", logging.WARNING, "library")
    ]


def test_other_threads_are_heard() -> None:
    told: Told = []
    with capture_library_logs(lambda *line: told.append(line)):
        thread = threading.Thread(
            target=logging.getLogger("library").error, args=("x",)
        )
        thread.start()
        thread.join()

    assert told == [("x", logging.ERROR, "library")]


def test_logging_is_as_it_was_afterwards() -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with capture_library_logs(lambda *line: None, logging.INFO):
        assert root.handlers != before[1]

    assert (root.level, root.handlers) == before
