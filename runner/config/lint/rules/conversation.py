"""Rules VA501 to VA504: what is said, and what the prompt wants to be said."""

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


_LONGEST_GREETING = 12.0  # seconds
_LONGEST_PROMPT = 20_000  # characters: about 5,000 tokens, read before every answer


@rule("VA501", "formatted-speech", "warning")
def formatted_speech(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt asks for something that only a page can show.

    Whatever the model writes is read out: of a list the caller hears dashes, of a table
    nothing that makes sense, of a link every letter. Say how it should sound instead:
    "one at a time", "name at most three".

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
        message = f"the prompt asks for `{each.what}`, which cannot be heard"
        help_ = "all that the model writes is read out; say how it should sound"
        yield Finding(place, message, help_)


@rule("VA502", "unspeakable", "warning")
def unspeakable(inspection: RuleContext) -> Iterator[Finding]:
    """A text that is spoken word for word holds what a voice cannot say.

    The greeting, announcements, and the lines of `session` go to the voice as they
    stand: addresses are spelled out or mumbled, markdown and emoji are read by name or
    lost.

    Bad:
        greeting: Welcome to **Acme**! Our shop is at https://acme.example.

    Good:
        greeting: Welcome to Acme! Our shop is at acme dot example.
    """
    help_ = "write it as it should be said"
    for passage in inspection.fact(find_spoken):
        for each in find_unspeakable(passage.bare):
            place = passage.place(inspection, each.start, each.end)
            yield Finding(place, f"{each.what} cannot be said", help_)
        for use in find_placeholders(passage.text):
            if use.kind == "variable":
                place = passage.place(inspection, use.start, use.end)
                for each in find_unspeakable(value_of(inspection, use.name)):
                    message = f"{each.what}, in `{use.name}`, cannot be said"
                    yield Finding(place, message, help_)
                    break


@rule("VA503", "long-greeting", "warning")
def long_greeting(inspection: RuleContext) -> Iterator[Finding]:
    """The greeting takes longer than about twelve seconds to say.

    Callers know what they want and begin to speak over it. Say who answers and ask one
    question; the rest can wait until it is asked for. The time is an estimate: 15
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
    if seconds > _LONGEST_GREETING:
        message = f"the greeting takes about {seconds:.0f} seconds to say"
        help_ = "say who answers, and ask one question: callers do not wait"
        yield Finding(inspection.value(("greeting",)), message, help_)


@rule("VA504", "long-prompt", "warning")
def long_prompt(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt is longer than 20,000 characters.

    The model reads it before every answer, while the caller waits, and loses what
    stands in the middle. Facts that are needed now and then belong into a tool.

    Bad:
        prompt_file: handbook.md

    Good:
        prompt: You are the phone agent of a shop. Use lookup for orders.
        tools:
          - python: tools/shop.py:lookup
    """
    prompt = inspection.fact(find_prompt)
    if prompt is None or len(prompt.text) <= _LONGEST_PROMPT:
        return
    place = inspection.value(prompt.path)
    message = f"the prompt has {len(prompt.text):,} characters"
    help_ = f"up to {_LONGEST_PROMPT:,} are read quickly; put facts into a tool"
    yield Finding(place, message, help_)


# Rules VA505 to VA508: how a call goes on, waits and ends.


# A network answers within a second or two, or it is slow today.
_NETWORK_WAIT = 2.0
_WAIT = 10.0
_NAME = r"(?<![\w$/.@{-])(?P<name>[a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?![\w/@])"
_CALLED = r"(?:use|using|call|calling|invoke|invoking|run|trigger)\s+(?:the\s+)?"
_KIND = r"(?:(?:tool|function)\s+)?[`\"'*]{0,2}"
_HINT_HELP = "add `pattern`, `format`, `enum` or `examples`: they tell when it is whole"


@rule("VA505", "no-way-to-end", "warning")
def no_way_to_end(inspection: RuleContext) -> Iterator[Finding]:
    """Nothing but the caller ends the call.

    A caller who forgets to hang up, or a machine that called, keeps the line open and
    the bill running. Any of these ends it: the plugin `end_call`, another tool with
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
    if not isinstance(session, dict) or not inspection.is_sound(("session",)):
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
    message = "nothing but the caller ends the call"
    help_ = "add `- plugin: end_call` to `tools`, or `session: {max_duration: 30m}`"
    yield Finding(place, message, help_)


@rule("VA506", "dictated-without-shape", "warning")
def dictated_without_shape(inspection: RuleContext) -> Iterator[Finding]:
    """An argument that callers dictate says nothing about its shape.

    Callers pause inside a telephone number, a date or an e-mail address. The service
    waits for the rest when `pattern`, `format`, `enum` or `examples` show what a whole
    value looks like; without them it answers in the middle. In Python:
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
            if inspection.is_sound(each.path):
                message = f"callers dictate {each.kind}, and `{each.name}` has no shape"
                yield Finding(inspection.key(each.path), message, _HINT_HELP)
    for found in inspection.fact(find_python_tools):
        has_own = "parameters" in (inspection.get(found.tool, dict) or {})
        if has_own or found.definition is None:
            continue
        for each in find_dictated_arguments(found.definition):
            message = f"callers dictate {each.kind}, and `{each.name}` has no shape"
            help_ = f'write Annotated[str, "…", {{"examples": […]}}] for `{each.name}`'
            yield Finding(inspection.value(found.path), message, help_)


@rule("VA507", "silent-wait", "warning")
def silent_wait(inspection: RuleContext) -> Iterator[Finding]:
    """A slow tool runs in silence.

    After two seconds of nothing callers ask whether anybody is there, and interrupt.
    What a tool does can be said while it runs: `announce`. A `timeout` of over 2 s for
    a tool that asks another machine (`http`), and of 10 s or more for any other, says
    that it may take that long. The default of 30 s says nothing. `announce: false` says
    that the silence is meant.

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
        if not inspection.is_sound((*tool, "announce")):
            continue
        function = definitions.get(tool)
        if function is not None and "announce" in read_marks(function):
            continue
        seconds = parse_duration(text)
        if seconds >= _WAIT or ("http" in keys and seconds > _NETWORK_WAIT):
            message = f"up to {text} of silence while the tool runs"
            help_ = "add what is said meanwhile: `announce: One moment, please.`"
            yield Finding(inspection.value((*tool, "timeout")), message, help_)


@rule("VA508", "prompt-names-no-tool", "warning")
def prompt_names_no_tool(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt tells the model to use a tool that the agent does not have.

    The model then calls what there is not, or tells the caller that it did. Names with
    an underscore are looked at: after "use", "call", "invoke" or "run", before "tool",
    and where they are nearly the name of a tool.

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
        is_misspelt = guess is not None and _is_slip(name, guess)
        if not (is_called or is_tool or is_misspelt):
            continue
        said.add(name)
        place = prompt.place(inspection, *found.span("name"))
        help_, fix = _none_called(name, names), None
        if guess:
            help_ = f"did you mean `{guess}`?"
            fix = replacement(place, name, guess) if is_misspelt else None
        message = f"the prompt speaks of `{name}`, and no tool is called that"
        yield Finding(place, message, help_, fix)


def _none_called(name: str, names: set[str]) -> str:
    if name == "end_call":
        return "add `- plugin: end_call` to `tools`"
    if not names:
        return "the agent has no tools"
    return f"the tools are {', '.join(f'`{each}`' for each in sorted(names)[:8])}"


def _is_slip(name: str, guess: str) -> bool:
    """Whether a name is surely the other one misspelt: `get_x` is never `set_x`."""
    one, other = name.split("_"), guess.split("_")
    if len(one) != len(other):
        return name.replace("_", "") == guess.replace("_", "")
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    return len(pairs) == 1 and all(
        min(len(a), len(b)) > 3 and nearest(a, [b]) == b and a[0] == b[0]
        for a, b in pairs
    )


def _words(value: object) -> Iterator[str]:
    """Yield all names that a file gives to anything: keys, and texts of one word."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _words(each)
    elif isinstance(value, list):
        for each in value:
            yield from _words(each)
    elif isinstance(value, str) and " " not in value:
        yield value
