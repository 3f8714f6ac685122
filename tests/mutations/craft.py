"""Mutations after which the file is valid, and the call bad or unsafe."""

from __future__ import annotations

import re
from random import Random

from tests.mutations.subject import Change, Edit, Site, Subject, is_word, mentions

_MARKDOWN = (
    "Format your answers in markdown.",
    "Answer with bullet points.",
    "Use emoji in every answer.",
    "Always give a numbered list of the options.",
)
_LONG = (
    "Welcome, and thank you very much for calling us. Before we begin, let me tell "
    "you a little about what we do, how we came to do it, and why so many people have "
    "trusted us for more than forty years with everything that matters to them. We are "
    "open every day of the week, we speak many languages, and we would like nothing "
    "better than to help you."
)
_HINTS = {"pattern", "format", "examples", "enum"}
# In pieces, so that scanners do not take them for real ones.
_SECRETS = (
    "sk-" + "proj4Qm9Zr7TtX2vLw8KcB3n",
    "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a",
)


def written_answers(subject: Subject, draw: Random) -> Change | None:
    """The prompt asks for what cannot be spoken."""
    site = next((each for each in subject.sites if each.path == ("prompt",)), None)
    if site is None or site.node.style != "|":
        return None
    end = site.node.span.start + len(subject.written(site).rstrip())
    start = subject.line_start(end)
    line = subject.text[start:end]
    indent = line[: len(line) - len(line.lstrip())]
    new = f"{subject.newline}{indent}{draw.choice(_MARKDOWN)}"
    change = subject.change(Edit(end, end, new))
    return Change(change.text, (end + len(new) - 1,), exact=False)


def long_greeting(subject: Subject, draw: Random) -> Change | None:
    """The greeting takes half a minute."""
    del draw
    site = next((each for each in subject.sites if each.path == ("greeting",)), None)
    if site is None or not subject.in_one_line(site):
        return None
    return subject.change(Edit(*site.node.span, f'"{_LONG}"'))


def no_way_out(subject: Subject, draw: Random) -> Change | None:
    """Only the caller can end the call."""
    del draw
    prompt, tools = _prompt(subject), subject.document.value_span(("tools",))
    session = next((s for s in subject.sites if s.path == ("session",)), None)
    ends = re.search(r"(?m)^ *- plugin: end_call\r?\n", subject.text)
    if prompt is None or session is None or session.key is None or ends is None:
        return None
    if not subject.is_alone(session) or "idle" in session.node.value:
        return None
    start = subject.line_start(session.key.start)
    more = [
        Edit(*ends.span(), ""),
        *(Edit(*each, "that") for each in mentions(subject, "end_call")),
    ]
    limit = Edit(start, subject.next_line(start), "")
    key = subject.document.key_span(("tools",))
    return subject.change(limit, key.start, tools.start, exact=False, more=more)


def long_description(subject: Subject, draw: Random) -> Change | None:
    """The description of a tool has over 1,000 characters."""
    site = _description(subject, draw)
    if site is None:
        return None
    text = "Look it up, once the caller has confirmed the number. " * 30
    return subject.change(Edit(*site.node.span, f'"{text}"'))


def same_descriptions(subject: Subject, draw: Random) -> Change | None:
    """Two tools are described in the same words."""
    described = [
        site
        for site in subject.sites
        if site.general == ("tools", "*", "description")
        and subject.in_one_line(site)
        # What changes something needs words of its own.
        and subject.document.value["tools"][site.path[1]].get("effect") != "write"
    ]
    if len(described) < 2:
        return None
    first, second = sorted(
        draw.sample(described, 2), key=lambda each: each.node.span.start
    )
    return subject.change(Edit(*second.node.span, subject.written(first)))


def reserved_name(subject: Subject, draw: Random) -> Change | None:
    """A tool has a name that the service keeps for itself."""
    site = subject.choose(draw, lambda each: each.general == ("tools", "*", "name"))
    if site is None or _prompt(subject) is None:
        return None
    start = site.node.span.start + (site.node.style != "")
    named = mentions(subject, str(site.node.value))
    more = [Edit(at, at, "aai_") for at, _ in named]
    return subject.change(Edit(start, start, "aai_"), site.node.span.start, more=more)


def gone_voice(subject: Subject, draw: Random) -> Change | None:
    """The service no longer has the voice."""
    site = subject.choose(draw, _is_voice)
    if site is None:
        return None
    return subject.change(Edit(*site.node.span, draw.choice(["ivy", "james", "lucia"])))


def foreign_voice(subject: Subject, draw: Random) -> Change | None:
    """The voice does not speak the language."""
    site = subject.choose(draw, _is_voice)
    if site is None or subject.document.value.get("languages") != ["en"]:
        return None
    languages = subject.document.value_span(("languages",)).start
    edit = Edit(*site.node.span, "juergen")
    # German and English are spoken; French is not.
    item = subject.document.value_span(("languages", 0))
    more = [Edit(*item, "fr")]
    return subject.change(edit, site.node.span.start, item.start, languages, more=more)


def dictated_without_hints(subject: Subject, draw: Random) -> Change | None:
    """Nothing says how a dictated value looks."""
    for site in draw.sample(subject.sites, len(subject.sites)):
        general = site.general
        if general[2:4] != ("parameters", "properties") or len(general) != 5:
            continue
        if not re.search("phone|email|date$|number$", str(site.name)):
            continue
        if site.node.style != "{" or site.node.is_alias or site.key is None:
            continue
        if not _HINTS & site.node.value.keys():
            continue
        edit = Edit(*site.node.span, "{type: string}")
        return subject.change(edit, site.key.start, site.node.span.start)
    return None


def silent_wait(subject: Subject, draw: Random) -> Change | None:
    """A slow tool says nothing while it runs."""
    site = subject.choose(
        draw,
        lambda each: (
            each.general == ("tools", "*", "announce") and subject.is_alone(each)
        ),
    )
    if site is None or site.key is None:
        return None
    tool = site.path[:2]
    timeout = subject.document.value_span((*tool, "timeout"))
    start, end = subject.line_start(site.key.start), subject.next_line(site.key.start)
    more = [Edit(*timeout, "20s")]
    marks = (timeout.start, site.parent.head.start)
    return subject.change(Edit(start, end, ""), *marks, more=more)


def unknown_tool_in_prompt(subject: Subject, draw: Random) -> Change | None:
    """The prompt misspells the name of a tool."""
    site = _prompt(subject)
    if site is None:
        return None
    start = site.node.span.start
    found = list(re.finditer(r"\b[a-z]+_[a-z_]+\b", subject.written(site)))
    longer = [each for each in found if len(each[0].rpartition("_")[2]) > 4]
    if not longer:
        return None
    chosen = draw.choice(longer)
    at = start + chosen.end() - 2
    return subject.change(Edit(at, at, subject.text[at]), start + chosen.start())


def secret_in_header(subject: Subject, draw: Random) -> Change | None:
    """A key is written into the file."""
    site = subject.choose(draw, lambda each: _is_secret(subject, each))
    if site is None:
        return None
    start, end = site.node.span
    at = subject.text.index("${env:", start, end)
    stop = subject.text.index("}", at) + 1
    secret = draw.choice(_SECRETS)
    change = subject.change(Edit(at, stop, secret))
    # The secret begins after the prefix that names the vendor.
    prefix = re.match("[a-z]+[-_]", secret)
    assert prefix is not None
    return Change(change.text, (start, at, at + prefix.end()))


def plain_http(subject: Subject, draw: Random) -> Change | None:
    """What is asked goes over the net in clear."""
    site = subject.choose(draw, lambda each: _is_url(subject, each))
    if site is None:
        return None
    at = site.node.span.start + subject.written(site).index("https")
    return subject.change(Edit(at + 4, at + 5, ""), site.node.span.start, at)


def private_host(subject: Subject, draw: Random) -> Change | None:
    """A url leads into a private network."""
    site = subject.choose(draw, lambda each: _is_url(subject, each))
    if site is None:
        return None
    found = re.search(r"//([^/]+)", subject.written(site))
    assert found is not None
    start = site.node.span.start
    host = draw.choice(["192.168.0.10", "169.254.169.254", "10.1.2.3"])
    edit = Edit(start + found.start(1), start + found.end(1), host)
    return subject.change(edit, start, start + found.start(1))


def leaked_key(subject: Subject, draw: Random) -> Change | None:
    """The service's key would go to another host."""
    site = subject.choose(draw, lambda each: _is_secret(subject, each))
    if site is None:
        return None
    start, end = site.node.span
    at = subject.text.index("${env:", start, end)
    stop = subject.text.index("}", at) + 1
    return subject.change(Edit(at, stop, "${env:ASSEMBLYAI_API_KEY}"), at, start)


def unconfirmed_write(subject: Subject, draw: Random) -> Change | None:
    """A tool that changes something does not say that it needs a yes."""
    site = _description(subject, draw, effect="write")
    if site is None:
        return None
    effect = subject.document.value_span((*site.path[:2], "effect"))
    edit = Edit(*site.node.span, "Change what is written in the system.")
    return subject.change(edit, site.node.span.start, effect.start)


def _prompt(subject: Subject) -> Site | None:
    return next((each for each in subject.sites if each.path == ("prompt",)), None)


def _description(
    subject: Subject, draw: Random, effect: str | None = None
) -> Site | None:
    def wanted(site: Site) -> bool:
        if site.general != ("tools", "*", "description"):
            return False
        tool = subject.document.value["tools"][site.path[1]]
        return subject.in_one_line(site) and effect in (None, tool.get("effect"))

    return subject.choose(draw, wanted)


def _is_voice(site: Site) -> bool:
    named = site.path in (("voice",), ("voice", "name"))
    return named and is_word(site)


def _is_secret(subject: Subject, site: Site) -> bool:
    headers = ("tools", "*", "http", "headers")
    return site.general[:-1] == headers and "${env:" in subject.written(site)


def _is_url(subject: Subject, site: Site) -> bool:
    return site.general[2:] == ("http", "url") and "https://" in subject.written(site)
