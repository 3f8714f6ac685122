"""What a model writes in addition to its answer: thoughts, tool calls, fences, links.

Servers that do not parse the output of a model pass it on as text. Nothing of it may be
spoken, and the tool calls in it are calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_THOUGHT = "think|thinking|thoughts?|reasoning|reflection|scratchpad"
# Gemma and others write calls into such fences.
_MARK = re.compile(
    rf"""
    (?P<thought> <\s*(?P<tag>{_THOUGHT})(?:\s[^<>]{{0,80}})?> )
  | (?P<bracket> \[(?P<word>{_THOUGHT})\] )
  | (?P<end> </\s*(?:{_THOUGHT})\s*> | \[/(?:{_THOUGHT})\] )
  | (?P<start> <\|start\|>(?P<role>[^<]{{0,100}})(?=<) )
  | (?P<channel> <\|channel\|>(?P<header>[^<]{{0,100}})
        (?:<\|constrain\|>[^<]{{0,20}})?<\|message\|> )
  | (?P<call> <\|?tool_call\|?> | <\|python_tag\|> )
  | (?P<function> <function=(?P<name>[^<>\s]{{1,80}})> )
  | (?P<mistral> \[TOOL_CALLS\] )
  | (?P<fence> ```(?P<language>[a-z_]{{0,16}})[ \t]*(?:\n|(?=[^a-z_ \t\n`])) )
  | (?P<json> (?<![^\s>]) (?:\{{\s*"|\[\s*\{{\s*") )
  | (?P<dropped> <\|(?:end|return|call|im_end|eot_id|eom_id)\|> )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# The end of a text that can begin a mark.
_PARTIAL = re.compile(
    r"""
    (?: <\|(?:channel|start)\|>[^<]{0,100}
            (?:<\|constrain\|>[^<]{0,20})? (?:<[^<>]{0,12})?
      | <(?:[/|a-z][^<>]{0,100})?
      | \[/?[a-z_]{0,12}
      | ```[a-z_]{0,16}[ \t]* | `{1,2}
      | (?<![^\s>])(?:\{\s*|\[\s*\{?\s*)
    ) \Z
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CHANNEL_END = re.compile(
    r"<\|(?:end|call|return)\|>|(?=<\|channel\|>)|(?=<\|start\|>)", re.IGNORECASE
)
_CALL_END = re.compile(r"<\|?/tool_call\|?>|<\|(?:eom|eot)_id\|>", re.IGNORECASE)
_FUNCTION_END = re.compile(r"</function>", re.IGNORECASE)
_FENCE_END = re.compile(r"```")
_NO_END = re.compile(r"(?!)")
_LONGEST_END = 16  # characters of an end mark
_TARGET = re.compile(r"to=(?:functions\.)?([\w.-]+)")
_WRITTEN_FUNCTION = re.compile(
    r"<function=([^<>\s]+)>(.*?)(?:</function>|\Z)", re.DOTALL | re.IGNORECASE
)
_WRITTEN_PARAMETER = re.compile(
    r"<parameter=([^<>\s]+)>(.*?)(?:</parameter>|\Z)", re.DOTALL | re.IGNORECASE
)
_ARGUMENTS = re.compile(r"([\w.-]+)\s*(?:\[CALL_ID\]\S{0,64}?)?\[ARGS\]\s*")
_SILENT = str.maketrans("", "", "*`#|")
_LINK = re.compile(
    r"""!?\[([^\]]*)\]\(\s*(?:[^()\s]|\([^()\s]*\))*(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)"""
)
_ADDRESS = re.compile(
    r"<?\bhttps?://(?:[^\s/@]*@)?(?:www\.)?([^\s/?#:<>\"']+[^\s/?#:<>\"'.,;!])"
    r"(?:[/?#:][^\s<>\"']*[^\s<>\"'.,;:!?)])?>?",
    re.IGNORECASE,
)
_decoder = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class TextCall:
    """A tool call that a model wrote as text; `arguments` is JSON text.

    `is_certain` is False if the text could be something else than a call.
    """

    name: str
    arguments: str
    is_certain: bool = True


@dataclass(slots=True)
class _Section:
    """A part of the text that is not spoken; `name` is the function of a call."""

    kind: str  # thought, call, fence or json
    end: re.Pattern[str]
    name: str = ""
    text: str = ""


class MarkupFilter:
    """Removes thoughts, tool calls and markdown from streamed text.

    With `starts_thinking` the text begins inside of a thought, because the template of
    the server writes its first tag. `ended_stray` is True after the end of a thought
    that had no beginning: all text before it is part of the thought. `calls` are the
    tool calls in the text; with `keeps_json`, JSON is part of the text.
    """

    def __init__(
        self, *, starts_thinking: bool = False, keeps_json: bool = False
    ) -> None:
        self._keeps_json = keeps_json
        self.ended_stray = False
        self.calls: list[TextCall] = []
        self._held = ""
        # The text of a thought whose beginning is only assumed: without an end it is
        # the answer.
        self._assumes = starts_thinking
        self._section: _Section | None = None
        self._target = ""  # of the message that begins, in gpt-oss's format
        if starts_thinking:
            end = re.compile(rf"</\s*(?:{_THOUGHT})\s*>|\[/(?:{_THOUGHT})\]", re.I)
            self._section = _Section("thought", end)

    def feed(self, piece: str) -> str:
        """Adds a piece; returns the text that can be spoken so far."""
        self._held += piece
        spoken = ""
        while True:
            found = (self._section.end if self._section else _MARK).search(self._held)
            if found is None:
                break
            before = self._held[: found.start()]
            self._held = self._held[found.end() :]
            if self._section is not None:
                self._section.text += before
                spoken += self._end_section()
            elif found.group("end"):
                spoken, self.ended_stray = "", True
            else:
                spoken += before + self._begin(found)
        if self._section is not None:
            # An end mark can be in two pieces.
            keep = min(len(self._held), _LONGEST_END)
            split = len(self._held) - keep
            self._section.text += self._held[:split]
            self._held = self._held[split:]
            return _plain(spoken)
        partial = _PARTIAL.search(self._held)
        split = partial.start() if partial else len(self._held)
        spoken += self._held[:split]
        self._held = self._held[split:]
        return _plain(spoken)

    def finish(self) -> str:
        """Returns the text held back, at the end of the text."""
        rest, self._held = self._held, ""
        section = self._section
        if section is None:
            return _plain(rest)
        section.text += rest
        if section.kind == "thought":
            self._section = None
            return _plain(section.text) if self._assumes else ""
        return _plain(self._end_section())

    def _begin(self, found: re.Match[str]) -> str:
        """Begins the section of a mark, or drops it; returns what of it is text."""
        match found.lastgroup:
            case "tag" | "thought" | "word" | "bracket":
                self._section = _Section("thought", _end_of(found))
            case "role" | "start":
                self._target = _find_target(found["role"])
            case "header" | "channel":
                self._begin_channel(found["header"])
            case "call":
                self._section = _Section("call", _CALL_END)
            case "name" | "function":
                self._section = _Section("call", _FUNCTION_END, found["name"])
            case "mistral":
                self._section = _Section("call", _NO_END)
            case "language" | "fence":
                self._section = _Section("fence", _FENCE_END)
            case "json" if not self._keeps_json:
                self._section = _Section("json", _NO_END, text=found["json"])
            case "json":
                return found["json"]
        return ""

    def _begin_channel(self, header: str) -> None:
        target, self._target = _find_target(header) or self._target, ""
        if target:
            self._section = _Section("call", _CHANNEL_END, target)
        elif not header.strip().lower().startswith("final"):
            self._section = _Section("thought", _CHANNEL_END)

    def _end_section(self) -> str:
        """Ends the section; returns the part of it that is spoken."""
        section, self._section = self._section, None
        assert section is not None
        self._assumes = False
        if section.kind == "thought":
            return ""
        if self._keeps_json and section.kind == "fence":
            return section.text
        if section.name:
            arguments = _read_parameters(section.text)
            self.calls.append(TextCall(section.name, arguments))
            return ""
        calls, rest = read_text_calls(section.text)
        self.calls += calls
        return "" if section.kind == "call" else rest


def read_text_calls(text: str) -> tuple[list[TextCall], str]:
    """Returns the tool calls in a text, and the rest of the text.

    Without a call, the rest is the whole text.
    """
    calls: list[TextCall] = []
    rest, at = "", 0
    for name, body in _WRITTEN_FUNCTION.findall(text):
        calls.append(TextCall(name, _read_parameters(body)))
    if calls:
        return calls, ""
    while at < len(text):
        named = _ARGUMENTS.match(text, at)
        start = named.end() if named else at
        if start < len(text) and text[start] in "{[":
            try:
                value, end = _decoder.raw_decode(text, start)
            except (ValueError, RecursionError):
                value, end = None, at
            if named and isinstance(value, dict):
                found = [TextCall(named[1], json.dumps(value))]
            else:
                found = list(_calls_in(value))
            if found:
                calls += found
                at = end
                continue
        rest += text[at]
        at += 1
    if not calls:
        return [], text
    # What separates the calls is not an answer.
    return calls, rest if re.search(r"\w", rest) else ""


def without_links(text: str) -> str:
    """Returns a text with the words of its links, and hosts in place of addresses."""
    return _ADDRESS.sub(r"\1", _LINK.sub(r"\1", text))


def _calls_in(value: Any) -> Iterator[TextCall]:
    """Yields the calls in a JSON value, in the forms in which models write them."""
    if isinstance(value, list):
        found = [list(_calls_in(each)) for each in value]
        if found and all(found):
            yield from (call for each in found for call in each)
    elif isinstance(value, dict):
        listed, function = value.get("tool_calls"), value.get("function")
        if isinstance(listed, list):
            yield from _calls_in(listed)
        elif isinstance(function, dict):
            yield from _calls_in(function)
        elif call := _read_call(value):
            yield call


def _read_call(value: Mapping[str, Any]) -> TextCall | None:
    name = next(
        (
            value[key]
            for key in ("name", "function", "tool", "tool_name")
            if isinstance(value.get(key), str)
        ),
        None,
    )
    if not name:
        return None
    for key in ("arguments", "parameters", "args", "input"):
        if key in value:
            arguments = value[key]
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            return TextCall(name, text)
    is_bare = value.keys() <= {"name", "function", "tool", "tool_name", "type", "id"}
    return TextCall(name, "{}", is_certain=False) if is_bare else None


def _read_parameters(text: str) -> str:
    """Returns the arguments in the body of a function mark, as JSON text."""
    written = _WRITTEN_PARAMETER.findall(text)
    if not written:
        return text.strip() or "{}"
    return json.dumps({name: _value(value.strip("\r\n")) for name, value in written})


def _end_of(found: re.Match[str]) -> re.Pattern[str]:
    """Returns the end of a thought whose beginning was found."""
    if found["tag"]:
        return re.compile(rf"</\s*{re.escape(found['tag'])}\s*>", re.IGNORECASE)
    return re.compile(rf"\[/{re.escape(found['word'])}\]", re.IGNORECASE)


def _value(text: str) -> Any:
    """Returns a written value: numbers and objects are JSON, all else is text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _find_target(header: str) -> str:
    found = _TARGET.search(header)
    return found[1] if found else ""


def _plain(text: str) -> str:
    return text.translate(_SILENT)
