from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.config.diagnostics import Diagnostic, render
from runner.config.files import read_agent_file
from runner.config.loader import check_file, load_agent
from runner.config.model import AgentConfig, LlmConfig
from runner.config.schema import packaged_schema
from runner.errors import ConfigError, FileUnreadable, UsageError
from tests.shipped import AGENT_FILES

ROOT = Path(__file__).parents[2]
AGENTS = AGENT_FILES
MINIMAL = "version: 1\nname: a\nprompt: p\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, **given_: Any) -> AgentConfig:
    return load_agent(write(folder, text), **{"environment": {}, **given_})


def rules(error: ConfigError) -> list[str]:
    found = [each for each in error.diagnostics if isinstance(each, Diagnostic)]
    return [each.rule for each in found]


@pytest.mark.parametrize("path", AGENTS, ids=lambda path: path.stem)
def test_the_agents_of_the_project_have_no_findings(path: Path) -> None:
    assert render(check_file(path, environment={})) == ""
    agent = load_agent(path, environment={})
    assert agent.name == path.stem
    assert "${" not in agent.prompt
    assert "${" not in (agent.greeting or "")


@pytest.mark.parametrize("path", AGENTS, ids=lambda path: path.stem)
def test_the_agents_of_the_project_name_their_schema_for_editors(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=./agent.schema.json"
    assert (path.parent / "agent.schema.json").is_file()


def test_a_minimal_file_leaves_everything_to_the_service(tmp_path: Path) -> None:
    agent = load(tmp_path, MINIMAL)
    assert agent == AgentConfig(tmp_path / "agent.yaml", 1, "a", "p")


def test_every_field_of_a_file_arrives(tmp_path: Path) -> None:
    good = Path(__file__).parent / "schema" / "good" / "full.yaml"
    agent = load_agent(
        good, environment={"ORDERS_TOKEN": "t0ken"}, variables={"unset": "x"}
    )
    assert agent.prompt == "You are the phone agent of Acme. Be brief.\n"
    assert agent.greeting == "Hi, this is Acme. How can I help?"
    assert (agent.voice.name, agent.voice.volume) == ("alba", 80.5)
    assert agent.languages == ("en",)
    assert agent.key_terms == ("Acme", "SKU")
    assert agent.transcription.mode == "balanced"
    assert agent.transcription.prompt == "Order numbers have four digits."
    turns = agent.turn_detection
    assert (turns.vad_threshold, turns.min_silence, turns.max_silence) == (
        0.5,
        0.6,
        1.5,
    )
    assert (turns.interruptible, turns.interruption_delay) == (True, 0.2)
    assert agent.variables == {"company": "Acme", "unset": "x"}
    weather, order, end = agent.tools
    assert (weather.kind, weather.name, weather.timeout) == ("python", "get_weather", 8)
    assert weather.settings == "tools/weather.py:get_weather"
    assert order.kind == "http"
    assert order.settings["url"] == "https://api.example.com/orders/{order_id}"
    assert order.settings["headers"] == {"Authorization": "Bearer t0ken"}
    assert order.parameters is not None
    assert order.parameters["properties"]["order_id"]["pattern"] == "[0-9]{4}"
    assert (order.effect, order.on_interrupt) == ("read", "finish")
    assert order.announce == "Let me look that up."
    assert (end.kind, end.settings, end.timeout) == ("plugin", "end_call", None)
    assert (agent.session.max_duration, agent.session.tool_results) == (
        1800.0,
        "after_reply",
    )
    assert agent.service_url == "wss://agents.assemblyai.com/v1/ws"
    assert (agent.local.stt, agent.local.tts) == ("whisper-base", "joe")
    assert agent.local.llm == LlmConfig("auto")
    assert agent.folder == good.parent


def test_the_model_has_a_place_for_every_field_of_the_schema() -> None:
    fields = set(packaged_schema()["properties"])
    model = set(AgentConfig.__dataclass_fields__)
    renamed = {"prompt_file": "prompt", "service": "service_url"}
    assert {renamed.get(each, each) for each in fields} <= model


def test_a_brain_can_be_an_endpoint(tmp_path: Path) -> None:
    text = "local: {llm: {url: 'http://h/v1', model: m, key: '${env:K}'}}\n"
    agent = load(tmp_path, MINIMAL + text, environment={"K": "s3cret"})
    brain = agent.local.llm
    assert (brain.url, brain.model, brain.key) == ("http://h/v1", "m", "s3cret")


def test_values_of_the_environment_are_secrets_that_are_not_shown(
    tmp_path: Path,
) -> None:
    text = (
        "local: {llm: {url: 'http://${env:K}/v1', key: '${env:K}'}}\n"
        "service: {url: 'wss://${env:K}'}\n"
        "tools:\n  - name: x\n    description: X.\n"
        "    http: {url: 'https://${env:K}/', headers: {A: '${env:K}'}}\n"
    )
    agent = load(tmp_path, MINIMAL + text, environment={"K": "s3cret", "L": "other"})
    assert agent.secrets == {"s3cret"}
    assert "s3cret" not in repr(agent)


def test_variables_are_replaced_once_and_given_ones_win(tmp_path: Path) -> None:
    text = (
        "version: 1\nname: a\nprompt: '${a}, ${b}, $${a}'\n"
        "variables: {a: {default: x}, b: {default: y}}\n"
    )
    agent = load(tmp_path, text, variables={"a": "${b}"})
    assert agent.prompt == "${b}, y, ${a}"


def test_the_prompt_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Hello ${a}\r\n", encoding="utf-8")
    text = "version: 1\nname: a\nprompt_file: p.md\nvariables: {a: {default: x}}\n"
    assert load(tmp_path, text).prompt.strip() == "Hello x"


def test_what_is_not_set_is_a_warning_when_checked_and_an_error_when_run(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path,
        MINIMAL
        + "greeting: ${v}\nservice: {url: 'wss://${env:HOST}/'}\nvariables: {v: {}}\n"
        + "session: {max_duration: 9m}\n",
    )
    found = check_file(path, environment={})
    assert [(each.rule, each.severity) for each in found] == [
        ("VA302", "warning"),
        ("VA305", "warning"),
    ]
    with pytest.raises(ConfigError, match="2 errors") as caught:
        load_agent(path, environment={})
    assert rules(caught.value) == ["VA302", "VA305"]
    agent = load_agent(path, environment={"HOST": "h"}, variables={"v": "1"})
    assert agent.service_url == "wss://h/"


def test_all_errors_are_raised_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has 3 errors") as caught:
        load(tmp_path, "version: 1\nname: a\nprompt: '${x}'\nvoise: 1\nsession: 3\n")
    assert rules(caught.value) == ["VA301", "VA203", "VA201"]
    assert caught.value.exit_code == 1


def test_a_variable_that_the_file_does_not_declare_is_wrong_usage(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        UsageError, match="does not declare the variable 'town'"
    ) as caught:
        load(tmp_path, MINIMAL, variables={"town": "x"})
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable):
        check_file(tmp_path / "none.yaml", environment={})
    with pytest.raises(FileUnreadable, match="is a folder"):
        load_agent(tmp_path, environment={})


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "VA107"),
        (b"\x00\x01\x02", "VA108"),
        (b"name: \xff", "VA108"),
        (b"#" * 1_000_001, "VA109"),
    ],
)
def test_a_file_that_is_not_an_agent_has_one_finding(
    tmp_path: Path, data: bytes, rule: str
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(data)
    assert [each.rule for each in check_file(path, environment={})] == [rule]
    with pytest.raises(ConfigError):
        load_agent(path, environment={})


def test_a_kind_of_a_plugin_is_loaded_when_it_is_passed(tmp_path: Path) -> None:
    text = MINIMAL + "tools:\n  - name: x\n    serial: {port: '${env:PORT}'}\n"
    kinds = {"serial": {"type": "object"}}
    agent = load(tmp_path, text, environment={"PORT": "7"}, kinds=kinds)
    assert (agent.tools[0].kind, agent.tools[0].settings) == ("serial", {"port": "7"})


@pytest.mark.parametrize(
    ("text", "is_agent"),
    [
        (MINIMAL, True),
        ("version: 1\nprompt_file: a.md\n", True),
        ("version: 3\ntools: []\n", True),
        ("version: 1\nname: a\nprompt: 'open\n", True),
        ("version: 1\nservices: {}\n", False),
        ("prompt: x\n", False),
        ("- version\n- prompt\n", False),
        ("", False),
        ("a: [\n", False),
    ],
)
def test_agent_files_are_recognized_by_their_content(
    tmp_path: Path, text: str, is_agent: bool
) -> None:
    assert read_agent_file(write(tmp_path, text)).is_agent is is_agent


def test_a_binary_file_is_not_an_agent_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"version: \x00 prompt:")
    assert not read_agent_file(path).is_agent


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "8s", "5ms", "${a}", "${env:A}", "$${", "${", "{x}"])
    | st.sampled_from(
        ["a.py:f", "../a.py:f", "https://h/{x}", "object", "[", "end_call"]
    )
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
SCHEMA = packaged_schema()
FIELDS = sorted(SCHEMA["properties"])
TOOL_FIELDS = sorted(SCHEMA["$defs"]["tool"]["properties"])
HTTP_FIELDS = sorted(SCHEMA["$defs"]["kind_http"]["properties"])
parameters = st.fixed_dictionaries(
    {"type": st.just("object")},
    optional={"properties": anything, "required": anything, "allOf": anything},
)
tool = st.dictionaries(st.sampled_from(TOOL_FIELDS), anything, max_size=4) | (
    st.fixed_dictionaries(
        {"http": st.dictionaries(st.sampled_from(HTTP_FIELDS), anything, max_size=3)},
        optional={"name": anything, "description": anything, "parameters": parameters},
    )
)
agent_like = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just(1) | anything,
        "name": st.just("a") | anything,
        "prompt": st.just("p") | anything,
        "tools": st.lists(tool, max_size=3) | anything,
        "variables": st.dictionaries(
            st.sampled_from(["a", "b", "1"]),
            st.dictionaries(st.sampled_from(["default", "x"]), anything, max_size=2),
        )
        | anything,
        "turn_detection": st.dictionaries(
            st.sampled_from(
                sorted(SCHEMA["properties"]["turn_detection"]["properties"])
            ),
            anything,
        ),
        **{
            field: anything
            for field in FIELDS
            if field
            not in {"version", "name", "prompt", "tools", "variables", "turn_detection"}
        },
    },
)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(agent_like)
def test_any_mapping_is_loaded_or_has_findings_with_places_in_it(
    tmp_path: Path, value: dict[str, Any]
) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=True)
    path = write(tmp_path, text)
    found = check_file(path, environment={"A": "x"})
    lines = text.split("\n")
    for each in found:
        if each.path == str(path):
            assert 1 <= each.line <= len(lines)
            assert 1 <= each.column <= len(lines[each.line - 1]) + 1
        assert render([each])
    errors = [each for each in found if each.is_error]
    try:
        agent = load_agent(path, environment={"A": "x"})
    except ConfigError as error:
        assert error.diagnostics
    else:
        assert errors == []
        assert agent.prompt


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode(errors="replace"))
)
def test_any_bytes_have_findings_and_nothing_else_happens(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(data)
    assert check_file(path, environment={})


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_wrong_byte_in_a_real_file_is_survived(
    tmp_path: Path, data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from([path.read_bytes() for path in AGENTS]))
    at = data.draw(st.integers(0, len(text) - 1))
    path = tmp_path / "agent.yaml"
    path.write_bytes(text[:at] + data.draw(st.binary(max_size=3)) + text[at + 1 :])
    for each in check_file(path, environment={}):
        assert each.line >= 1
        assert each.column >= 1


@pytest.mark.parametrize(
    "text",
    [
        "greeting: ${company}\nvarialbes: {company: {default: Acme}}\n",
        "session: {idle: {nudge_afer: 5s, say: Hello?}}\n",
        "session: {idle: {nudge_after: 15h, say: Hello?}}\n",
        "session: {one_minute_left: Soon., max_durtion: 5m}\n",
        "tools: [{name: a, description: Look., http: {ulr: 'https://x.example.com'}}]\n",
    ],
)
def test_one_slip_is_one_finding(tmp_path: Path, text: str) -> None:
    found = check_file(write(tmp_path, MINIMAL + text), environment={})
    assert len([each for each in found if each.is_error]) == 1
