from __future__ import annotations

from pathlib import Path

import pytest

from runner.doctor.findings import Finding, State
from runner.doctor.keys import check_key, judge_key
from runner.doctor.platforms import Platform
from runner.doctor.wishes import Wishes
from runner.services import ASSEMBLYAI_KEY, OTHER_KEY

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
LINUX = Platform("linux")


def look(folder: Path, *, service: str | None = None, **environment: str) -> Finding:
    (finding,) = check_key(Wishes(environment, folder, service=service))
    for secret in (KEY, OTHER):
        assert secret not in f"{finding}"
    return finding


def test_without_a_key_the_embedded_server_answers(tmp_path: Path) -> None:
    finding = look(tmp_path)

    assert finding.state is State.SKIPPED
    assert finding.detail == (
        "ASSEMBLYAI_API_KEY is not set, and the local service on this machine "
        "needs none"
    )


def test_a_service_that_wants_a_key_says_so(tmp_path: Path) -> None:
    finding = look(tmp_path, service="assemblyai")

    assert finding.state is State.FAILED
    assert finding.fix is not None
    assert f"a line in {tmp_path / '.env'}" in finding.fix


def test_a_key_is_told_by_where_it_is_from(tmp_path: Path) -> None:
    shell = look(tmp_path, **{ASSEMBLYAI_KEY: KEY})
    (tmp_path / ".env").write_text(f"{ASSEMBLYAI_KEY}={OTHER}\n")
    file = look(tmp_path)
    both = look(tmp_path, **{ASSEMBLYAI_KEY: KEY})

    assert shell.detail == "ASSEMBLYAI_API_KEY is set, from the shell"
    assert file.detail == f"ASSEMBLYAI_API_KEY is set, from {tmp_path / '.env'}"
    assert both.detail.endswith(".env has another one, which does not count")
    assert {shell.state, file.state, both.state} == {State.OK}


def test_a_service_of_ones_own_has_a_key_of_its_own(tmp_path: Path) -> None:
    finding = look(
        tmp_path,
        service="wss://example.com/v1/ws",
        **{ASSEMBLYAI_KEY: KEY, OTHER_KEY: "my-own"},
    )

    assert finding.detail == "VAGENT_SERVICE_KEY is set, from the shell"


def test_an_env_file_that_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe=\x00")
    finding = look(tmp_path)

    assert finding.state is State.FAILED
    assert "cannot be read" in finding.detail


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f"{KEY}\n", "spaces or line ends"),
        (f" {KEY}", "spaces or line ends"),
        (f'"{KEY}"', "quotes"),
        (f"Bearer {KEY}", "a header"),
        (f"{KEY[:8]} {KEY[8:]}", "a space"),
        (f"{KEY}\N{ZERO WIDTH SPACE}", "characters that no key has"),
        ("your-api-key-here", "the stand-in of a manual"),
        ("<KEY>", "the stand-in of a manual"),
    ],
)
def test_a_key_of_a_wrong_shape_is_told_and_not_shown(value: str, problem: str) -> None:
    finding = judge_key(ASSEMBLYAI_KEY, value, "from the shell", LINUX)

    assert finding.state is State.FAILED
    assert problem in finding.detail
    assert finding.fix == "export ASSEMBLYAI_API_KEY=YOUR-KEY"
    assert value.strip() not in f"{finding}"


def test_an_unusual_key_is_only_remarked_on() -> None:
    finding = judge_key(ASSEMBLYAI_KEY, KEY[:-1], "from the shell", LINUX)

    assert finding.state is State.OK
    assert finding.detail.endswith("is it whole?")
