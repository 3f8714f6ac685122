from __future__ import annotations

from pathlib import Path

from runner.config.files import read_agent_file
from runner.config.lint.context import RuleContext
from runner.config.lint.spoken_text import SpokenText, fill, find_prompt, find_spoken

TEXT = """version: 1
name: a
prompt_file: p.md
session: {one_minute_left: Soon., idle: {say: Hello?}}
tools:
  - {plugin: end_call, announce: Bye.}
greeting: Hi ${who} $${x} ${env:E} ${none}
variables: {who: {default: you}}
"""


def inspect(folder: Path, variables: dict[str, str] | None = None) -> RuleContext:
    (folder / "p.md").write_text("Be brief.\nBe kind.\n", encoding="utf-8")
    (folder / "a.yaml").write_text(TEXT, encoding="utf-8")
    document = read_agent_file(folder / "a.yaml").document
    assert document is not None
    return RuleContext(document, folder, {}, variables, frozenset())


def test_what_is_spoken_is_found(tmp_path: Path) -> None:
    said = [each.text.split()[0] for each in find_spoken(inspect(tmp_path))]
    assert said == ["Hi", "Bye.", "Soon.", "Hello?"]


def test_a_prompt_file_is_the_prompt_and_its_places_are_there(tmp_path: Path) -> None:
    inspection = inspect(tmp_path)
    prompt = find_prompt(inspection)
    assert prompt is not None
    place = prompt.place(inspection, 10, 12)
    assert place.source.path.endswith("p.md")
    assert place.source.point(place.span.start) == (2, 1)


def test_placeholders_leave_room() -> None:
    assert SpokenText("a ${b} c", ("greeting",)).bare == "a      c"


def test_a_text_is_filled_with_what_is_known(tmp_path: Path) -> None:
    text = "Hi ${who}${env:E}${none}!"
    assert fill(inspect(tmp_path), text) == "Hi you!"
    assert fill(inspect(tmp_path, {"who": "Ada"}), text) == "Hi Ada!"
