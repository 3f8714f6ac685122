"""Rules VA406 and VA509 to VA514: names and descriptions of tools."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from runner.config.diagnostics import Edit, Finding, Fix
from runner.config.lint.context import rule
from runner.config.lint.tool_facts import find_definitions, tool_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

_MIN_DESCRIPTION_CHARS = 10  # characters
_MAX_DESCRIPTION_CHARS = 1000
_MAX_TOOLS = 10
_RESERVED = "aai_"
# Scripts in which one character carries about as much as five letters.
_DENSE = "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
# Words that do not distinguish one tool from another.
_FILLING = {
    *("a", "an", "the", "of", "to", "for", "in", "on", "by", "with", "and", "or"),
    *("its", "it", "their", "this", "that", "is"),
}
_STEM = 4  # letters that two forms of one word share


@rule("VA406", "tool-name-taken")
def tool_name_taken(inspection: RuleContext) -> Iterator[Finding]:
    """Two tools have the same name, given or by default.

    The model calls a tool by its name, so only one of the two could run.

    Bad:
        tools:
          - plugin: end_call
          - plugin: end_call

    Good:
        tools:
          - plugin: end_call
          - plugin: current_time
    """
    seen: dict[str, int] = {}
    for tool in inspection.tools():
        named = tool_name(inspection, tool)
        if named is None:
            continue
        name, path = named
        place = inspection.value(path)
        if name in seen:
            message = f"another tool is already named `{name}`"
            help_ = (
                f"the first one is on line {seen[name]}; give this one another `name`"
            )
            yield Finding(place, message, help_)
        else:
            seen[name] = place.source.point(place.span.start)[0]


@rule("VA509", "thin-description", "warning")
def thin_description(inspection: RuleContext) -> Iterator[Finding]:
    """A tool's description is empty, very short, or repeats its name.

    The model chooses a tool by its description: what the tool does, when to use it and
    what it needs first.

    Bad:
        tools:
          - name: lookup_order
            description: Lookup order.
            http: {url: "https://api.example.com/orders/last"}

    Good:
        tools:
          - name: lookup_order
            description: Look up where the caller's last order is.
            http: {url: "https://api.example.com/orders/last"}
    """
    for tool, text in _descriptions(inspection):
        place = inspection.value((*tool, "description"))
        help_ = "say what it does and when to use it, in a sentence"
        named = tool_name(inspection, tool)
        words = _plain_words(text)
        if not text.strip():
            yield Finding(place, "the description is empty", help_)
        elif named and "".join(words) == "".join(_plain_words(named[0])):
            message = f"the description only repeats the name `{named[0]}`"
            yield Finding(place, message, help_)
        elif len(text.strip()) < _MIN_DESCRIPTION_CHARS and not re.search(_DENSE, text):
            message = f"the description has {len(text.strip())} characters"
            yield Finding(place, message, help_)


@rule("VA510", "descriptions-alike", "warning")
def descriptions_alike(inspection: RuleContext) -> Iterator[Finding]:
    """Two tools have nearly the same description.

    The model cannot distinguish them. Two descriptions are alike if the same words
    remain without articles, order, endings and punctuation; one different word
    ("open", "close") is enough.

    Bad:
        tools:
          - name: find_order
            description: Look up an order by its number.
            http: {url: "https://api.example.com/orders"}
          - name: find_return
            description: Looks up orders by their number
            http: {url: "https://api.example.com/returns"}

    Good:
        tools:
          - name: find_order
            description: Look up an order by its number.
            http: {url: "https://api.example.com/orders"}
          - name: find_return
            description: Look up a return by its number.
            http: {url: "https://api.example.com/returns"}
    """
    seen: list[tuple[Pointer, Counter[str]]] = []
    for tool, text in _descriptions(inspection):
        words = _distinguishing_words(text)
        if not words:
            continue
        for other, others in seen:
            if words == others:
                first = inspection.value((*other, "description"))
                line = first.source.point(first.span.start)[0]
                message = "the description is nearly the same as that of another tool"
                help_ = f"the other one is on line {line}; say when to use which"
                place = inspection.value((*tool, "description"))
                yield Finding(place, message, help_)
                break
        seen.append((tool, words))


@rule("VA511", "long-description", "warning")
def long_description(inspection: RuleContext) -> Iterator[Finding]:
    """A tool's description is longer than 1,000 characters.

    The model reads all descriptions before every answer, while the caller waits.
    Guidance for the conversation belongs in the prompt.

    Bad:
        tools:
          - name: find_offer
            description: "${rules}${rules}${rules}"
            http: {url: "https://api.example.com/offers"}
        variables:
          rules:
            default: >-
              Look up an offer. First ask the caller which kind of product it is about,
              and in which colour. Do not name prices before the caller has asked for
              them, and then the price of the offer only. If there are several offers,
              name the cheapest one, then the newest one, and ask which of the two the
              caller would like to hear more about before you go on to the next ones.

    Good:
        tools:
          - name: find_offer
            description: Look up offers for a kind of product, in a colour.
            http: {url: "https://api.example.com/offers"}
    """
    from runner.config.lint.spoken_text import fill

    for tool, text in _descriptions(inspection):
        length = len(fill(inspection, text))
        if length > _MAX_DESCRIPTION_CHARS:
            place = inspection.value((*tool, "description"))
            message = f"the description has {length:,} characters"
            help_ = "shorten it to a sentence or two; move guidance into the prompt"
            yield Finding(place, message, help_)


@rule("VA512", "many-tools", "warning")
def many_tools(inspection: RuleContext) -> Iterator[Finding]:
    """The agent has more than ten tools.

    The service advises ten at most: with more the model takes longer and chooses worse.
    Tools that do nearly the same can be one tool with an `enum`.

    Bad:
        tools:
          - {plugin: current_time, name: time_in_rome}
          - {plugin: current_time, name: time_in_oslo}
          - {plugin: current_time, name: time_in_lima}
          - {plugin: current_time, name: time_in_cairo}
          - {plugin: current_time, name: time_in_delhi}
          - {plugin: current_time, name: time_in_tokyo}
          - {plugin: current_time, name: time_in_paris}
          - {plugin: current_time, name: time_in_quito}
          - {plugin: current_time, name: time_in_seoul}
          - {plugin: current_time, name: time_in_tunis}
          - {plugin: end_call}

    Good:
        tools:
          - plugin: current_time
          - plugin: end_call
    """
    count = len(inspection.get(("tools",), list) or ())
    if count > _MAX_TOOLS:
        message = f"the agent has {count} tools; the service advises at most ten"
        help_ = "merge similar tools into one with an `enum` argument"
        yield Finding(inspection.start(("tools", _MAX_TOOLS)), message, help_)


@rule("VA513", "reserved-name", "warning")
def reserved_name(inspection: RuleContext) -> Iterator[Finding]:
    """The name of a tool begins with `aai_`.

    The service reserves that prefix for its own tools.

    Bad:
        tools:
          - name: aai_lookup
            python: tools/shop.py:lookup

    Good:
        tools:
          - name: shop_lookup
            python: tools/shop.py:lookup
    """
    for tool in inspection.tools():
        named = tool_name(inspection, tool)
        if named and named[0].lower().startswith(_RESERVED):
            message = (
                f"`{named[0]}` begins with `{_RESERVED}`, which the service reserves"
            )
            yield Finding(inspection.value(named[1]), message, "choose another `name`")


@rule("VA514", "name-not-snake-case", "warning")
def name_not_snake_case(inspection: RuleContext) -> Iterator[Finding]:
    """The name of a tool contains capital letters.

    The service asks for snake_case; models sometimes misspell names in other styles.

    Bad:
        tools:
          - name: lookupOrder
            python: tools/shop.py:lookup

    Good:
        tools:
          - name: lookup_order
            python: tools/shop.py:lookup
    """
    for tool in inspection.tools():
        named = tool_name(inspection, tool)
        if not named or "plugin" in named[1]:
            continue
        name, path = named
        if path[-1] == "python" and tool not in inspection.fact(find_definitions):
            continue  # a class, or a function that does not exist
        plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        if plain == name:
            continue
        place, help_, fix = inspection.value(path), f"rename it to `{plain}`", None
        start, end = place.span
        if path[-1] == "python":
            help_ = f"give it `name: {plain}`"
        elif place.source.text[start:end] == name:
            # The prompt may speak of it under the old name.
            title = f"replace `{name}` by `{plain}`"
            fix = Fix(title, (Edit(start, end, plain),), is_safe=False)
        yield Finding(place, f"`{name}` is not in snake_case", help_, fix)


def _descriptions(inspection: RuleContext) -> Iterator[tuple[Pointer, str]]:
    for tool in inspection.tools():
        text = inspection.get((*tool, "description"), str)
        if text is not None:
            yield tool, text


def _plain_words(text: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", text)
    return re.findall(r"\w+", spaced.lower())


def _distinguishing_words(text: str) -> Counter[str]:
    """Returns the distinguishing words of a text, without endings, and their counts."""
    words = (each for each in _plain_words(text) if each not in _FILLING)
    return Counter(_without_ending(each) for each in words)


def _without_ending(word: str) -> str:
    if len(word) > _STEM and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
