from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from runner.cli.new import render_template, split_name, templates
from runner.errors import UsageError

TEMPLATES = templates()


def agent(name: str = "pizza", template: str = "blank", **given: str) -> dict[str, str]:
    greeting = given.pop("greeting", "Hello!")
    texts = render_template(TEMPLATES[template], name, greeting=greeting, **given)
    value = yaml.safe_load(texts[f"{name}.yaml"])
    assert isinstance(value, dict)
    return value


def test_there_are_four_templates_and_the_first_is_for_support() -> None:
    assert list(TEMPLATES) == ["support", "booking", "blank", "http-only"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_placeholder_remains(template: str) -> None:
    chosen = TEMPLATES[template]
    texts = render_template(chosen, "my-pizza", greeting=chosen.greeting, voice="alba")

    assert next(iter(texts)) == "my-pizza.yaml"
    assert "my-pizza.test.yaml" in texts
    for path, text in texts.items():
        assert "AGENT_" not in path + text


def test_compiled_files_of_a_template_are_not_written() -> None:
    texts = render_template(TEMPLATES["support"], "pizza", greeting="")

    assert sorted(texts) == ["pizza.test.yaml", "pizza.yaml", "tools/pizza.py"]


@pytest.mark.parametrize("name", ["123", "true", "null", "1e3", "0x1F", "a", "a-b.c"])
def test_a_name_is_read_back_as_text(name: str) -> None:
    assert agent(name)["name"] == name


@pytest.mark.parametrize("name", ["123", "true", "null", "1e3", "a-b.c"])
def test_the_scenarios_name_the_agents_file(name: str) -> None:
    texts = render_template(TEMPLATES["blank"], name, greeting="")

    scenarios = yaml.safe_load(texts[f"{name}.test.yaml"])
    assert scenarios["agent"] == f"{name}.yaml"


@pytest.mark.parametrize(
    "greeting",
    [
        "Hello!",
        "Hi, this is Anna's. How can I help?",
        "no: that is a # colon",
        '"quoted" and \\ back',
        "- not a list",
        "yes",
        "12",
        "two\nlines",
        "👋 你好",
        "{flow}",
        "trailing: ",
        "Say AGENT_NAME or AGENT_VOICE",
        "*star &anchor !tag %x @y `z`",
    ],
)
def test_a_greeting_is_read_back_unchanged(greeting: str) -> None:
    assert agent(greeting=greeting)["greeting"] == greeting


def test_values_that_are_not_given_have_no_line() -> None:
    value = agent(greeting="")

    assert "greeting" not in value
    assert "voice" not in value


def test_a_voice_is_written() -> None:
    assert agent(voice="alba")["voice"] == "alba"


def test_a_greeting_with_a_declared_variable_is_accepted() -> None:
    value = agent(template="support", greeting="This is ${company}, at $${ you.")

    assert value["greeting"] == "This is ${company}, at $${ you."


@pytest.mark.parametrize(
    "greeting", ["Hi, ${shop}", "Hi, ${env:USER}", "Hi, ${", "Hi, ${a b}"]
)
def test_a_greeting_with_an_undeclared_variable_is_refused(greeting: str) -> None:
    with pytest.raises(UsageError, match="greeting") as refused:
        agent(template="support", greeting=greeting)

    assert "${company}" in str(refused.value.hint)


@pytest.mark.parametrize("text", ["bell \a", "\udcff", "\u2028", "\x7f"])
def test_unprintable_values_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unprintable characters"):
        agent(greeting=text)


@pytest.mark.parametrize(
    ("given", "folder", "name"),
    [
        ("pizza", ".", "pizza"),
        ("agents/pizza", "agents", "pizza"),
        ("agents/pizza.yaml", "agents", "pizza"),
        ("agents/v1.2", "agents", "v1.2"),
        ("../a", "..", "a"),
    ],
)
def test_a_folder_in_the_name_is_used(given: str, folder: str, name: str) -> None:
    assert split_name(given) == (Path(folder), name)


@pytest.mark.parametrize("given", ["", "agents/", "a b", "-x", "..", ".yaml", "ä"])
def test_an_invalid_name_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="invalid agent name"):
        split_name(given)


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError, match="65 characters, at most 64"):
        split_name("x" * 65)
