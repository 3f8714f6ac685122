from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli.doctor_checks.model import CheckResult, DoctorOptions, Platform, State
from runner.cli.doctor_checks.service import check_key, judge_key
from runner.engine.services import ASSEMBLYAI_KEY, OTHER_KEY

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
LINUX = Platform("linux")


def check(
    folder: Path, *, service: str | None = None, **environment: str
) -> CheckResult:
    (result,) = check_key(DoctorOptions(environment, folder, service=service))
    for secret in (KEY, OTHER):
        assert secret not in f"{result}"
    return result


def test_without_a_key_the_embedded_server_answers(tmp_path: Path) -> None:
    result = check(tmp_path)

    assert result.state is State.SKIPPED
    assert result.detail == (
        "ASSEMBLYAI_API_KEY is not set, and the local service on this machine "
        "needs none"
    )


def test_a_service_that_requires_a_key_fails_without_one(tmp_path: Path) -> None:
    result = check(tmp_path, service="assemblyai")

    assert result.state is State.FAILED
    assert result.fix is not None
    assert f"a line in {tmp_path / '.env'}" in result.fix


def test_a_key_is_described_by_its_source(tmp_path: Path) -> None:
    shell = check(tmp_path, **{ASSEMBLYAI_KEY: KEY})
    (tmp_path / ".env").write_text(f"{ASSEMBLYAI_KEY}={OTHER}\n")
    file = check(tmp_path)
    both = check(tmp_path, **{ASSEMBLYAI_KEY: KEY})

    assert shell.detail == "ASSEMBLYAI_API_KEY is set, from the shell"
    assert file.detail == f"ASSEMBLYAI_API_KEY is set, from {tmp_path / '.env'}"
    assert both.detail.endswith(".env has another one, which is ignored")
    assert {shell.state, file.state, both.state} == {State.OK}


def test_another_service_has_another_key(tmp_path: Path) -> None:
    result = check(
        tmp_path,
        service="wss://example.com/v1/ws",
        **{ASSEMBLYAI_KEY: KEY, OTHER_KEY: "my-own"},
    )

    assert result.detail == "VAGENT_SERVICE_KEY is set, from the shell"


def test_an_unreadable_env_file_fails(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe=\x00")
    result = check(tmp_path)

    assert result.state is State.FAILED
    assert "cannot be read" in result.detail


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f"{KEY}\n", "spaces or line ends"),
        (f" {KEY}", "spaces or line ends"),
        (f'"{KEY}"', "quotes"),
        (f"Bearer {KEY}", "a header"),
        (f"{KEY[:8]} {KEY[8:]}", "a space"),
        (f"{KEY}\N{ZERO WIDTH SPACE}", "characters that keys do not have"),
        ("your-api-key-here", "the placeholder of a manual"),
        ("<KEY>", "the placeholder of a manual"),
    ],
)
def test_a_key_of_a_wrong_format_is_not_shown(value: str, problem: str) -> None:
    result = judge_key(ASSEMBLYAI_KEY, value, "from the shell", LINUX)

    assert result.state is State.FAILED
    assert problem in result.detail
    assert result.fix == "export ASSEMBLYAI_API_KEY=YOUR-KEY"
    assert value.strip() not in f"{result}"


def test_an_unusual_key_passes_with_a_remark() -> None:
    result = judge_key(ASSEMBLYAI_KEY, KEY[:-1], "from the shell", LINUX)

    assert result.state is State.OK
    assert result.detail.endswith("is it complete?")
