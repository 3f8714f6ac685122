"""VA5xx: what makes a poor call is found, and what only looks like it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file

HEAD = "version: 1\nname: a\n"
PROMPT = "prompt: You are the phone agent of a shop.\n"
END = "session: {max_duration: 9m}\n"
TOOLS = """
from vagent import tool
import functools
from elsewhere import borrowed

def plain(): "Do something plain."
def note_phone(phone: str): "Note a number."
def noteCall(): "Note a call."
@tool(effect="terminal")
def hang_up(): "End the call, confirmed."
@tool(effect=EFFECT)
def computed(): "Do it."
@functools.cache
def cached(): "Do it."
@tool(name="renamed", announce="Wait.", effect="read")
def named(): "Do it."
@tool()
def marked(): "Do it."
"""


def check(folder: Path, text: str) -> list[Diagnostic]:
    path = folder / "agent.yaml"
    head = HEAD + ("" if "prompt:" in text or "prompt_file:" in text else PROMPT)
    path.write_text(head + text, encoding="utf-8")
    (folder / "t.py").write_text(TOOLS, encoding="utf-8")
    found = check_file(path, environment={})
    return [each for each in found if each.rule.startswith("VA5")]


def rules_of(folder: Path, text: str) -> list[str]:
    return [each.rule for each in check(folder, text)]


def http(name: str, more: str, describe: str = "Look something up.") -> str:
    kind = "http: {url: 'https://a.example/'}"
    return f"{{name: {name}, description: {describe}, {kind}, {more}}}"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("prompt: Use bullet points.\n", ["VA501"]),
        ("prompt: Use ${bullet points} and emoji_codes.\n", []),
        ("prompt: |\n  Never\n  use emoji.\n", []),
        ("prompt: >\n  Be kind and\n  use emoji.\n", ["VA501"]),
        ("greeting: Hello 👋\n", ["VA502"]),
        ("greeting: Hello ${who_is_it}\nvariables: {who_is_it: {default: You}}\n", []),
        ("greeting: Hi ${w}\nvariables: {w: {default: '**You**'}}\n", ["VA502"]),
        ("greeting: Hi ${w}\nvariables: {w: {default: 'a `b` `c`'}}\n", ["VA502"]),
        ("greeting: Hi $${w} ${env:W}\n", []),
        ("greeting: " + "ab cd " * 29 + "abcd\n", []),
        ("greeting: " + "ab cd " * 31 + "\n", ["VA503"]),
        ("greeting: " + "你" * 60 + "\n", []),
        ("greeting: " + "你" * 66 + "\n", ["VA503"]),
        (
            "greeting: ${w}\nvariables: {w: {default: " + "abcde " * 31 + "}}\n",
            ["VA503"],
        ),
        ("prompt: " + "a" * 20_000 + "\n", []),
        ("prompt: " + "a" * 20_001 + "\n", ["VA504"]),
    ],
)
def test_what_is_said(tmp_path: Path, text: str, rules: list[str]) -> None:
    assert rules_of(tmp_path, text + END) == rules


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("tools: []\n", True),
        ("tools: [{plugin: current_time}]\n", True),
        ("tools: [{plugin: end_call}]\n", False),
        ("tools: [{plugin: {name: end_call}}]\n", False),
        ("tools: [{plugin: end_call, effect: read}]\n", True),
        ("tools: [{plugin: somebody_elses}]\n", False),
        ("tools: [{python: 't.py:plain'}]\n", True),
        ("tools: [{python: 't.py:marked'}]\n", True),
        ("tools: [{python: 't.py:plain', effect: terminal}]\n", False),
        ("tools: [{python: 't.py:hang_up'}]\n", False),
        ("tools: [{python: 't.py:computed'}]\n", False),
        ("tools: [{python: 't.py:cached'}]\n", False),
        ("tools: [{python: 't.py:borrowed'}]\n", False),
        ("tools: [{python: 't.py:missing'}]\n", False),
        (f"tools: [{http('look', 'effect: read')}]\n", True),
        (f"tools: [{http('look', 'timeout: 1s')}]\n", True),
        (f"tools: [{http('look', 'effect: terminl')}]\n", False),
        ("tools: 3\n", False),
        ("session: {max_duration: 9m}\n", False),
        ("session: {max_duration: 9 minutes}\n", False),
        ("session: {idle: {nudge_after: 9s}}\n", True),
        ("session: {idle: {end_after: 9s}}\n", False),
        ("session: {one_minute_left: Soon.}\n", False),
        ("session: 3\n", False),
        ("session:\n", False),
    ],
)
def test_a_call_has_an_end(tmp_path: Path, text: str, found: bool) -> None:
    assert ("VA505" in rules_of(tmp_path, text)) is found


def test_where_an_end_is_missing(tmp_path: Path) -> None:
    [bare] = check(tmp_path, "")
    assert (bare.line, bare.column) == (1, 1)
    [tools] = check(tmp_path, "tools:\n  - plugin: current_time\n")
    assert (tools.line, tools.column) == (5, 3)


@pytest.mark.parametrize(
    ("tool", "rules"),
    [
        ("{python: 't.py:note_phone'}", ["VA506"]),
        ("{python: 't.py:note_phone', parameters: {type: object}}", []),
        ("{python: 't.py:plain', timeout: 9.9s}", []),
        ("{python: 't.py:plain', timeout: 10s}", ["VA507"]),
        ("{python: 't.py:plain', timeout: 10s, announce: Wait.}", []),
        ("{python: 't.py:named', timeout: 10s}", []),
        ("{plugin: end_call, timeout: 30s}", []),
        ("{plugin: {name: current_time}, timeout: 30s}", []),
        ("{plugin: somebody_elses, timeout: 30s}", ["VA507"]),
        (http("look", "timeout: 2s"), []),
        (http("look", "timeout: 2001ms"), ["VA507"]),
        (http("look", "timeout: 5s, announce: ''"), []),
        (http("look", "timeout: 5s, anounce: Wait."), []),
        (http("look", "timeout: 400s"), []),
        (http("look", "effect: read"), []),
        (http("look", "timeout: 1s", "Look up."), ["VA509"]),
        (http("look", "timeout: 1s", "Look!"), ["VA509"]),
        (http("look_up", "timeout: 1s", "Look-up"), ["VA509"]),
        (http("look", "timeout: 1s", "注文を探す"), []),
        (http("look", "timeout: 1s", "'   '"), ["VA509"]),
        (http("look", "timeout: 1s", "'" + "a" * 1000 + "'"), []),
        (http("look", "timeout: 1s", "'" + "a" * 1001 + "'"), ["VA511"]),
        (http("aai_look", "timeout: 1s"), ["VA513"]),
        (http("AAI_look", "timeout: 1s"), ["VA513", "VA514"]),
        (http("aailook", "timeout: 1s"), []),
        (http("Look", "timeout: 1s"), ["VA514"]),
        (http("look2", "timeout: 1s"), []),
        ("{python: 't.py:noteCall'}", ["VA514"]),
        ("{python: 't.py:noteCall', name: note_call}", []),
        ("{plugin: SomebodyElses}", []),
    ],
)
def test_one_tool(tmp_path: Path, tool: str, rules: list[str]) -> None:
    assert rules_of(tmp_path, f"tools: [{tool}]\n{END}") == rules


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("Look up an order.", "Look up an order.", True),
        ("Look up an order.", "look up the orders", True),
        ("Look up an order by its number.", "By their number, looks up orders", True),
        ("Open the front door.", "Close the front door.", False),
        ("Book a table for a day.", "Cancel a table for a day.", False),
        ("Look up the press release.", "Look up the pres release.", False),
        ("!!!!!!!!!!!", "???????????", False),
    ],
)
def test_descriptions_differ(tmp_path: Path, one: str, other: str, found: bool) -> None:
    first = http("first", "timeout: 1s", f"'{one}'")
    second = http("second", "timeout: 1s", f"'{other}'")
    text = f"tools:\n  - {first}\n  - {second}\n" + END
    diagnostics = check(tmp_path, text)
    assert [(each.rule, each.line) for each in diagnostics] == [("VA510", 6)] * found


@pytest.mark.parametrize(("count", "rules"), [(10, []), (11, ["VA512"])])
def test_ten_tools_are_enough(tmp_path: Path, count: int, rules: list[str]) -> None:
    tools = [f"{{plugin: current_time, name: t_{index}}}" for index in range(count)]
    assert rules_of(tmp_path, f"tools: [{', '.join(tools)}]\n{END}") == rules


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("Use get_order.", []),
        ("Use get_orders.", ["get_orders"]),
        ("The state is get_ordre.", ["get_ordre"]),
        ("Use set_order.", ["set_order"]),
        ("The state is set_order.", []),
        ("The getorder_ is", []),
        ("Call `send_mail` then.", ["send_mail"]),
        ("Then send_mail(text) is right.", ["send_mail"]),
        ("There is the send_mail tool.", ["send_mail"]),
        ('Invoke the tool "send_mail" twice: call send_mail.', ["send_mail"]),
        ("The order is in_transit or sent_back.", []),
        ("Use order_number of the caller.", []),
        ("See use_a.example/send_mail or mail send_mail@a.example.", []),
        ("Use ${send_mail}.", []),
        ("Use end_call.", ["end_call"]),
    ],
)
def test_the_prompt_names_tools_that_there_are(
    tmp_path: Path, prompt: str, found: list[str]
) -> None:
    parameters = "{type: object, properties: {order_number: {type: integer}}}"
    tool = http("get_order", f"parameters: {parameters}")
    text = f"prompt: |\n  {prompt}\ntools: [{tool}]\n{END}"
    said = [each for each in check(tmp_path, text) if each.rule == "VA508"]
    assert [each.message.split("`")[1] for each in said] == found


@pytest.mark.parametrize(
    "tools",
    [
        "[{python: 't.py:named'}]",  # which is called otherwise
        "[{plugin: somebody_elses, name: renamed}]",
    ],
)
def test_a_tool_may_be_called_otherwise(tmp_path: Path, tools: str) -> None:
    text = f"prompt: Use renamed. Use re_named.\ntools: {tools}\n{END}"
    [found] = check(tmp_path, text)
    assert found.help == "did you mean `renamed`?"


@pytest.mark.parametrize(
    "tools",
    [
        "[{plugin: somebody_elses}]",
        "[{python: 't.py:missing'}]",
        "[{python: 't.py:cached'}]",
        "[{python: 't.py:computed'}]",
        "[{python: 'none.py:send_mail'}]",
        "[{name: 3, plugin: end_call}]",
        "[3]",
        "3",
    ],
)
def test_nothing_is_said_of_tools_that_cannot_be_known(
    tmp_path: Path, tools: str
) -> None:
    text = f"prompt: Use send_mail.\ntools: {tools}\n{END}"
    assert rules_of(tmp_path, text) == []


def test_an_agent_without_tools_gets_a_hint(tmp_path: Path) -> None:
    [found] = check(tmp_path, f"prompt: Use send_mail.\n{END}")
    assert found.help == "the agent has no tools"


def test_a_misspelt_tool_is_fixed_and_another_verb_is_not(tmp_path: Path) -> None:
    tools = f"tools: [{http('get_order', 'timeout: 1s')}]\n{END}"
    [slip] = check(tmp_path, f"prompt: Use get_ordr.\n{tools}")
    assert slip.fix is not None and slip.fix.is_safe
    [other] = check(tmp_path, f"prompt: Use set_order.\n{tools}")
    assert other.fix is None and other.help == "did you mean `get_order`?"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("turn_detection: {min_silence: 1s, max_silence: 2s}\n", ["VA515"]),
        ("turn_detection: {min_silence: 1s}\n", []),
        ("turn_detection: {max_silence: 1s}\n", []),
        ("turn_detection: {min_silence: 2s, max_silence: 1s}\n", []),
        ("turn_detection: {min_silence: 1s, max_silence: 1h}\n", []),
        ("turn_detection: {interruptible: false}\n", []),
        ("turn_detection: {interruption_delay: 0ms}\n", []),
        (
            "turn_detection: {interruptible: false, interruption_delay: 0ms}\n",
            ["VA516"],
        ),
        ("turn_detection: {vad_threshold: 0}\n", ["VA517"]),
        ("turn_detection: {vad_threshold: 1.0}\n", ["VA517"]),
        ("turn_detection: {vad_threshold: 0.01}\n", []),
        ("turn_detection: {vad_threshold: 1.5}\n", []),
        ("turn_detection: {vad_threshold: false}\n", []),
        ("key_terms: [Acme, ' acme  ']\n", ["VA518"]),
        ("key_terms: [Straße, STRASSE]\n", ["VA518"]),
        ("key_terms: [Acme, Acmes, 3]\n", []),
        ("key_terms: [Acme, Acme]\n", []),
        ("key_terms: ['one two three four five six']\n", []),
        ("key_terms: ['one two three four five six seven']\n", ["VA519"]),
        ("key_terms: ['tea, coffee']\n", ["VA519"]),
        ("key_terms: ['1,5', 'C#', 'A-Team', '#1', snake_case, 'M*A*S*H']\n", []),
        ("key_terms: ['${a, b}']\n", []),
        ("key_terms: ['https://a.example']\n", ["VA519"]),
        ("transcription: {prompt: Answer briefly.}\n", ["VA520"]),
        ("transcription: {prompt: 'Names. Never greet the caller.'}\n", ["VA520"]),
        ("transcription: {prompt: Answers are brief.}\n", []),
        ("transcription: {prompt: Callers say that you are a friend.}\n", []),
        ("transcription: {prompt: Help topics are printers and mail.}\n", []),
    ],
)
def test_how_the_caller_is_heard(tmp_path: Path, text: str, rules: list[str]) -> None:
    assert rules_of(tmp_path, text + END) == rules


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("voice: alba\n", []),
        ("voice: ivy\n", ["VA521"]),
        ("voice: IVY\n", ["VA521"]),
        ("voice: {name: albaa}\n", ["VA521"]),
        ("voice: Alba\n", ["VA521"]),
        ("voice: zoroaster\n", ["VA521"]),
        ("voice: '${name}'\n", []),
        ("voice: {volume: 80}\n", []),
        ("voice: ivy\nservice: {url: 'ws://127.0.0.1:1/'}\n", []),
        (
            "voice: ivy\nservice: {url: 'wss://agents.assemblyai.com/v1/ws'}\n",
            ["VA521"],
        ),
        ("voice: ivy\nservice: {url: '${env:URL}'}\n", []),
        ("voice: ivy\nservice: 3\n", []),
        ("languages: [de]\n", ["VA522"]),
        ("languages: [de, en]\n", []),
        ("languages: [de]\nvoice: {volume: 80}\n", []),
        ("languages: [de]\nlocal: {llm: rules}\n", []),
        ("languages: [de]\nservice: {url: 'ws://127.0.0.1:1/'}\n", []),
        ("languages: [en, de]\nvoice: alba\n", ["VA522"]),
        ("languages: [en, de]\nvoice: juergen\n", []),
        ("languages: [tr, ja]\nvoice: juergen\n", ["VA522", "VA522"]),
        ("languages: [de, fr]\nvoice: iris\n", []),
        ("languages: [de]\nvoice: ivy\n", ["VA521"]),
        ("languages: [xx]\nvoice: alba\n", []),
        ("local: {llm: auto}\n", []),
        ("local: {llm: rules}\n", []),
        ("local: {llm: qwen-9b}\n", ["VA523"]),
        ("local: {llm: ./none.gguf}\n", ["VA523"]),
        ("local: {llm: {url: 'http://127.0.0.1:1/v1', model: qwen-9b}}\n", []),
        ("local: {stt: joe}\n", ["VA523"]),
        ("local: {tts: zoroaster}\n", ["VA523"]),
        ("local: {tts: '${name}'}\n", []),
    ],
)
def test_who_speaks(tmp_path: Path, text: str, rules: list[str]) -> None:
    assert rules_of(tmp_path, text + END) == rules


def test_a_capital_is_fixed_safely_and_a_similar_name_may_be_a_new_voice(
    tmp_path: Path,
) -> None:
    [capital] = check(tmp_path, "voice: Alba\n" + END)
    assert capital.fix is not None and capital.fix.is_safe
    [near] = check(tmp_path, "voice: albas\n" + END)
    assert near.fix is not None and not near.fix.is_safe


def test_what_a_local_choice_runs_on_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mind = tmp_path / "mind.gguf"
    mind.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # as if not installed
    text = f"local: {{llm: '{mind.as_posix()}'}}\n{END}"
    [found] = check(tmp_path, text)
    assert (found.rule, found.help) == ("VA523", "pip install 'vagent[local]'")
    assert "xllamacpp" in found.message


def test_what_is_installed_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A package that fails to load replaces the real one.
    (tmp_path / "xllamacpp.py").write_text("raise SystemExit(7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    assert rules_of(tmp_path, f"local: {{llm: qwen-0.5b}}\n{END}") == []
