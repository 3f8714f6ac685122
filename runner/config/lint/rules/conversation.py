"""Rules VA501 to VA504: what is said, and what the prompt wants to be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.formatting import find_requests
from runner.config.interpolation import find_placeholders
from runner.config.lint.spoken_text import fill, find_prompt, find_spoken, value_of
from runner.config.rules.rule import rule
from runner.config.utterances import estimate_seconds, find_unspeakable

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
