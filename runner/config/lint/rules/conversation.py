"""Rules VA501 to VA508: spoken text, the prompt and the course of a call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, replacement
from runner.config.durations import parse_duration
from runner.config.interpolation import find_placeholders
from runner.config.lint.context import rule
from runner.config.lint.python_files import find_python_tools, read_marks
from runner.config.lint.spoken_text import (
    estimate_seconds,
    fill,
    find_dictated,
    find_dictated_arguments,
    find_prompt,
    find_requests,
    find_spoken,
    find_unspeakable,
    value_of,
)
from runner.config.lint.tool_facts import (
    find_definitions,
    find_effect,
    find_names,
    plugin_name,
)
from runner.config.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext


_MAX_GREETING_SECONDS = 12.0  # seconds
_MAX_PROMPT_CHARS = 20_000  # characters: about 5,000 tokens, read before every answer


@rule("VA501", "formatted-speech", "warning")
def formatted_speech(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt asks for formatting that cannot be spoken.

    Everything that the model writes is read out: a list becomes dashes, a table becomes
    nonsense, and a link is spelled letter by letter. Describe speech instead: "one at a
    time", "name at most three".

    Bad:
        prompt: |
          You are the phone agent of a shop.
          Present the offers as bullet points.

    Good:
        prompt: |
          You are the phone agent of a shop.
          Name at most three offers, one after the other. Never use bullet points.
    """
    prompt = inspection.fact(find_prompt)
    if prompt is None:
        return
    for each in find_requests(prompt.bare):
        place = prompt.place(inspection, each.start, each.end)
        message = f"the prompt asks for `{each.what}`, which cannot be spoken"
        help_ = "all output of the model is spoken; describe speech instead"
        yield Finding(place, message, help_)


@rule("VA502", "unspeakable", "warning")
def unspeakable(inspection: RuleContext) -> Iterator[Finding]:
    """A text that is spoken verbatim contains characters that cannot be spoken.

    The greeting, announcements and the texts of `session` go to speech synthesis
    unchanged: addresses are spelled out or garbled, Markdown and emoji are read by name
    or dropped.

    Bad:
        greeting: Welcome to **Acme**! Our shop is at https://acme.example.

    Good:
        greeting: Welcome to Acme! Our shop is at acme dot example.
    """
    help_ = "write the text as it should be spoken"
    for passage in inspection.fact(find_spoken):
        for each in find_unspeakable(passage.bare):
            place = passage.place(inspection, each.start, each.end)
            yield Finding(place, f"{each.what} cannot be spoken", help_)
        for use in find_placeholders(passage.text):
            if use.kind == "variable":
                place = passage.place(inspection, use.start, use.end)
                for each in find_unspeakable(value_of(inspection, use.name)):
                    message = f"{each.what}, in `{use.name}`, cannot be spoken"
                    yield Finding(place, message, help_)
                    break


@rule("VA503", "long-greeting", "warning")
def long_greeting(inspection: RuleContext) -> Iterator[Finding]:
    """The greeting takes longer than about twelve seconds to say.

    Callers know what they want and begin to speak over it. Say who answers and ask one
    question. The time is an estimate: 15
    characters a second (150 words a minute), 5 Chinese characters, 8 Japanese kana; a
    variable counts with its default.

    Bad:
        greeting: >-
          Welcome to Acme, the leading supplier of everything that a household needs,
          from brooms to boilers. Please have your customer number at hand. This call
          may be recorded for training. How can I help you today?

    Good:
        greeting: Welcome to Acme. This call may be recorded. How can I help?
    """
    text = inspection.get(("greeting",), str)
    if text is None:
        return
    seconds = estimate_seconds(fill(inspection, text))
    if seconds > _MAX_GREETING_SECONDS:
        message = f"the greeting takes about {seconds:.0f} seconds to say"
        help_ = "say who answers, and ask one question"
        yield Finding(inspection.value(("greeting",)), message, help_)


@rule("VA504", "long-prompt", "warning")
def long_prompt(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt is longer than 20,000 characters.

    The model reads it before every answer, while the caller waits, and overlooks
    details in the middle. Facts that are needed only sometimes belong in a tool.

    Bad:
        prompt_file: handbook.md

    Good:
        prompt: You are the phone agent of a shop. Use lookup for orders.
        tools:
          - python: tools/shop.py:lookup
    """
    prompt = inspection.fact(find_prompt)
    if prompt is None or len(prompt.text) <= _MAX_PROMPT_CHARS:
        return
    place = inspection.value(prompt.path)
    message = f"the prompt has {len(prompt.text):,} characters"
    help_ = f"shorten it to {_MAX_PROMPT_CHARS:,} characters; move facts into a tool"
    yield Finding(place, message, help_)


# Rules VA505 to VA508: the course and the end of a call.


# A network usually answers within two seconds.
_NETWORK_WAIT = 2.0
_WAIT = 10.0
_NAME = r"(?<![\w$/.@{-])(?P<name>[a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?![\w/@])"
_CALLED = r"(?:use|using|call|calling|invoke|invoking|run|trigger)\s+(?:the\s+)?"
_KIND = r"(?:(?:tool|function)\s+)?[`\"'*]{0,2}"
_HINT_HELP = "add `pattern`, `format`, `enum` or `examples` to show a complete value"


@rule("VA505", "no-way-to-end", "warning")
def no_way_to_end(inspection: RuleContext) -> Iterator[Finding]:
    """Only the caller can end the call.

    A caller who forgets to hang up, or a machine that called, keeps the call open and
    the costs running. Any of these ends it: the plugin `end_call`, another tool with
    `effect: terminal`, `session.max_duration`, `session.idle.end_after`.

    Bad:
        session: {tool_results: after_reply}
        tools:
          - plugin: current_time

    Good:
        session: {tool_results: after_reply}
        tools:
          - plugin: current_time
          - plugin: end_call
    """
    session = inspection.document.value.get("session") or {}
    if not isinstance(session, dict) or not inspection.is_valid(("session",)):
        return
    idle = session.get("idle")
    # A last minute that is announced has a limit in mind; VA312 asks for it.
    limits = ("max_duration", "one_minute_left")
    has_end = isinstance(idle, dict) and "end_after" in idle
    if has_end or any(key in session for key in limits):
        return
    tools = inspection.document.value.get("tools")
    if tools is not None and inspection.get(("tools",), list) is None:
        return
    for index in range(len(tools or ())):
        if find_effect(inspection, ("tools", index)) in ("terminal", None):
            return
    place = inspection.start(("tools",) if tools else ())
    message = "only the caller can end the call"
    help_ = "add `- plugin: end_call` to `tools`, or `session: {max_duration: 30m}`"
    yield Finding(place, message, help_)


@rule("VA506", "dictated-without-shape", "warning")
def dictated_without_shape(inspection: RuleContext) -> Iterator[Finding]:
    """The schema of a dictated argument does not describe its form.

    Callers pause inside a telephone number, a date or an e-mail address. The service
    waits for the rest when `pattern`, `format`, `enum` or `examples` show a complete
    value; without them it answers too early. In Python:
    `Annotated[str, "What it is", {"examples": ["…", "…"]}]`, or a type such as `date`.

    Bad:
        tools:
          - name: call_back
            description: Have a colleague call back.
            parameters:
              type: object
              properties: {phone: {type: string}}
            http: {url: "https://api.example.com/calls"}

    Good:
        tools:
          - name: call_back
            description: Have a colleague call back.
            parameters:
              type: object
              properties: {phone: {type: string, pattern: "[0-9]{6,15}"}}
            http: {url: "https://api.example.com/calls"}
    """
    for tool in inspection.tools():
        path = (*tool, "parameters")
        for each in find_dictated(inspection.get(path, dict), path):
            if inspection.is_valid(each.path):
                message = _dictated_message(each.kind, each.name)
                yield Finding(inspection.key(each.path), message, _HINT_HELP)
    for found in inspection.fact(find_python_tools):
        has_own = "parameters" in (inspection.get(found.tool, dict) or {})
        if has_own or found.definition is None:
            continue
        for each in find_dictated_arguments(found.definition):
            message = _dictated_message(each.kind, each.name)
            help_ = f'write Annotated[str, "…", {{"examples": […]}}] for `{each.name}`'
            yield Finding(inspection.value(found.path), message, help_)


def _dictated_message(kind: str, name: str) -> str:
    return f"callers dictate {kind}, but the form of `{name}` is not described"


@rule("VA507", "silent-wait", "warning")
def silent_wait(inspection: RuleContext) -> Iterator[Finding]:
    """A slow tool runs without an announcement.

    After two seconds of silence callers ask if the agent is still there, and interrupt.
    The text of `announce` is spoken while the tool runs. The rule applies to an HTTP
    tool with a `timeout` of over 2 s and to any other tool with one of 10 s or more; a
    tool without `timeout` is not reported. `announce: false` accepts the silence.

    Bad:
        tools:
          - name: find_stock
            description: Look up what is in stock.
            http: {url: "https://api.example.com/stock"}
            timeout: 8s

    Good:
        tools:
          - name: find_stock
            description: Look up what is in stock.
            http: {url: "https://api.example.com/stock"}
            timeout: 8s
            announce: Let me look that up.
    """
    definitions = inspection.fact(find_definitions)
    for tool in inspection.tools():
        text = inspection.get((*tool, "timeout"), str)
        keys = inspection.get(tool, dict) or {}
        is_quick = plugin_name(inspection, tool) in ("end_call", "current_time")
        if text is None or "announce" in keys or is_quick:
            continue
        if not inspection.is_valid((*tool, "announce")):
            continue
        function = definitions.get(tool)
        if function is not None and "announce" in read_marks(function):
            continue
        seconds = parse_duration(text)
        if seconds >= _WAIT or ("http" in keys and seconds > _NETWORK_WAIT):
            message = f"up to {text} of silence while the tool runs"
            help_ = "add a text to speak meanwhile: `announce: One moment, please.`"
            yield Finding(inspection.value((*tool, "timeout")), message, help_)


@rule("VA508", "prompt-names-no-tool", "warning")
def prompt_names_no_tool(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt names a tool that the agent does not have.

    The model then calls a missing tool, or claims that it did. The rule checks names
    with an underscore: after "use", "call", "invoke" or "run", before "tool",
    and names similar to that of a tool.

    Bad:
        prompt: You are the phone agent of a shop. Use lookup_ordr for orders.
        tools:
          - name: lookup_order
            python: tools/shop.py:lookup

    Good:
        prompt: You are the phone agent of a shop. Use lookup_order for orders.
        tools:
          - name: lookup_order
            python: tools/shop.py:lookup
    """
    prompt = inspection.fact(find_prompt)
    if prompt is None or "_" not in prompt.text:
        return
    names = inspection.fact(find_names)
    if names is None:
        return
    known = names | {*_words(inspection.document.value)}
    said: set[str] = set()
    text = prompt.bare
    for found in re.finditer(_NAME, text):
        name = found["name"]
        if name in known or name in said:
            continue
        guess = nearest(name, names)
        before = text[max(0, found.start() - 40) : found.start()]
        is_called = re.search(rf"(?i)\b{_CALLED}{_KIND}\Z", before)
        is_tool = re.match(
            r"(?i)[`\"'*]{0,2}\s+(?:tool|function)\b|\(", text[found.end() :]
        )
        is_misspelled = guess is not None and _is_slip(name, guess)
        if not (is_called or is_tool or is_misspelled):
            continue
        said.add(name)
        place = prompt.place(inspection, *found.span("name"))
        help_, fix = _none_called(name, names), None
        if guess:
            help_ = f"did you mean `{guess}`?"
            fix = replacement(place, name, guess) if is_misspelled else None
        message = f"the prompt names `{name}`, but the agent has no tool with that name"
        yield Finding(place, message, help_, fix)


def _none_called(name: str, names: set[str]) -> str:
    if name == "end_call":
        return "add `- plugin: end_call` to `tools`"
    if not names:
        return "the agent has no tools"
    return f"the tools are {', '.join(f'`{each}`' for each in sorted(names)[:8])}"


def _is_slip(name: str, guess: str) -> bool:
    """True if `name` is a misspelling of `guess`; `get_x` is never one of `set_x`."""
    one, other = name.split("_"), guess.split("_")
    if len(one) != len(other):
        return name.replace("_", "") == guess.replace("_", "")
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    return len(pairs) == 1 and all(
        min(len(a), len(b)) > 3 and nearest(a, [b]) == b and a[0] == b[0]
        for a, b in pairs
    )


def _words(value: object) -> Iterator[str]:
    """Yields the names that a file defines: keys, and texts without spaces."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _words(each)
    elif isinstance(value, list):
        for each in value:
            yield from _words(each)
    elif isinstance(value, str) and " " not in value:
        yield value
