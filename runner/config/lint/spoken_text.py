"""The texts of an agent that are spoken word for word, and the one the model reads."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.config.diagnostics import Place
from runner.config.interpolation import find_placeholders
from runner.config.lint.references import read_prompt
from runner.config.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.source import Source
    from runner.config.yaml.nodes import Pointer


@dataclass(frozen=True, slots=True)
class SpokenText:
    """One text, with its path in the agent file and the prompt file that holds it."""

    text: str
    path: Pointer
    file: Source | None = None

    def place(self, inspection: RuleContext, start: int, end: int) -> Place:
        """The place of some characters of it."""
        if self.file is not None:
            return Place(self.file, Span(start, end))
        return inspection.part(self.path, start, end)

    @property
    def bare(self) -> str:
        """The text with spaces for its placeholders: every other letter in place."""
        parts, at = [], 0
        for each in find_placeholders(self.text):
            parts += [self.text[at : each.start], " " * (each.end - each.start)]
            at = each.end
        return "".join([*parts, self.text[at:]])


def find_prompt(inspection: RuleContext) -> SpokenText | None:
    """Returns the prompt, from the agent file or its prompt file."""
    text = inspection.get(("prompt",), str)
    if text is not None:
        return SpokenText(text, ("prompt",))
    source = inspection.fact(read_prompt).source
    return SpokenText(source.text, ("prompt_file",), source) if source else None


def find_spoken(inspection: RuleContext) -> list[SpokenText]:
    """Returns the texts that are spoken verbatim, in the order of the fields."""
    paths: list[Pointer] = [("greeting",)]
    paths += [(*tool, "announce") for tool in inspection.tools()]
    paths += [("session", "one_minute_left"), ("session", "idle", "say")]
    texts = ((inspection.get(path, str), path) for path in paths)
    return [SpokenText(text, path) for text, path in texts if text is not None]


def value_of(inspection: RuleContext, variable: str) -> str:
    """Returns what a variable stands for as far as is known: given, or by default."""
    given = (inspection.variables or {}).get(variable)
    if given is not None:
        return given
    return inspection.get(("variables", variable, "default"), str) or ""


def fill(inspection: RuleContext, text: str) -> str:
    """Returns a text with the values of its variables, as far as they are known."""
    return "".join(_pieces(inspection, text))


def _pieces(inspection: RuleContext, text: str) -> Iterator[str]:
    end = 0
    for each in find_placeholders(text):
        yield text[end : each.start]
        yield value_of(inspection, each.name) if each.kind == "variable" else ""
        end = each.end
    yield text[end:]


# Texts as a voice would say them: how long that takes, and what it cannot say.


# 150 words a minute, the usual measure of unhurried English, with six characters to a
# word (the space counted) are 15 characters a second; the other alphabets come close.
# Mandarin and Japanese: 5.2 and 7.8 syllables a second (Pellegrino, Coupé, Marsico:
# Across-language perspective on speech information rate, Language 87, 2011), where a
# Chinese character is one syllable and a Japanese sentence mixes both.
_PER_SECOND = 15.0
_HAN_PER_SECOND = 5.2
_KANA_PER_SECOND = 7.8
_HAN = "[\u3400-\u9fff\uac00-\ud7a3]"  # and Hangul, a syllable each too
_KANA = "[\u3040-\u30ff]"
# Of one kind in one text. A file made to have a million would only take time.
_MAX_MATCHES = 100
_SPELLED = 5  # characters in the name of a digit: "seven"

# The order counts: a link of markdown holds an address, which is not found again.
_UNSPEAKABLE = (
    ("a link", r"\[[^\[\]\n]+\]\([^()\s]+\)"),
    ("an address of the web", r"(?:https?://|\bwww\.)[^\s<>\"')\]]*[\w/]"),
    ("an e-mail address", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
    ("markup", r"</?[A-Za-z][^<>\n]*>"),
    ("markdown", r"\*\*[^*\n]+\*\*|`[^`\n]+`|(?<![\w*])\*\w[^*\n]*\w\*(?![\w*])"),
    ("markdown", r"(?<!\w)__?[^\W_][^_\n]*_(?!\w)"),
    ("markdown", r"(?m:^[ \t]*(?:#{1,6}|[-*+•]) +\S)"),
    ("an emoji", "[\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]\ufe0f?"),
)


class UnspeakableText(NamedTuple):
    """A stretch of a text that no voice can say, by offsets into it."""

    what: str
    start: int
    end: int


def find_unspeakable(text: str) -> Iterator[UnspeakableText]:
    """Yields the parts that cannot be spoken as written, without overlaps."""
    taken: list[UnspeakableText] = []
    for what, pattern in _UNSPEAKABLE:
        for found in islice(re.finditer(pattern, text), _MAX_MATCHES):
            start, end = found.span()
            if all(end <= each.start or each.end <= start for each in taken):
                taken.append(UnspeakableText(what, start, end))
    yield from sorted(taken, key=lambda each: each.start)


def estimate_seconds(text: str) -> float:
    """Returns about how long a voice takes to say a text, in seconds.

    15 characters a second; Chinese, Korean and Japanese by their syllables; a digit
    counts as a word.
    """
    text = " ".join(text.split())
    han = len(re.findall(_HAN, text))
    kana = len(re.findall(_KANA, text))
    digits = sum(each.isdecimal() for each in text)
    letters = len(text) - han - kana + digits * (_SPELLED - 1)
    return letters / _PER_SECOND + han / _HAN_PER_SECOND + kana / _KANA_PER_SECOND


# Sentences of a prompt that ask for what only a page can show.


# Requested formats of an answer; what a caller, a tool or a document does is put in
# other words ("callers use", "is written in").
_ANSWER = (
    r"answer|respond|reply|write|format|output|return|present|structure|summari[sz]e"
)
_ADD = r"use|using|add|include|insert|put|give|provide|share|" + _ANSWER
# Mentioning a format is not a request: "answer questions about Markdown".
_GAP = r"\b(?:(?!\b(?:about|questions?)\b)[^\"“”]){0,60}?"
_TOPIC = (
    r"(?!\s+(?:knowledge|skills?|experience|courses?|class(?:es)?|files?|syntax)\b)"
)
_PAGE = (
    r"markdown|bullet[ -]?points?|bullet(?:ed)? lists?|bullets|numbered lists?|"
    r"code[ -]?blocks?|emojis?|emoticons|asterisks|html(?: tags)?|(?<=in )bold|"
    r"bold (?:text|type)|italics|headings|markdown tables?"
)
_REQUESTS = (
    rf"\b(?:{_ADD}){_GAP}\b(?P<what>{_PAGE})\b{_TOPIC}",
    # A restaurant has tables and a bank lists: here they are the form of an answer.
    rf"\b(?:{_ANSWER}|show|give|list){_GAP}\b(?:in|as) (?:a |an )?(?:short |neat )?"
    r"(?P<what>tables?|lists?|list form|list format)\b(?! of\b)",
    r"\b(?:include|add|insert|provide|share|read out|give)\b[^\"“”]{0,30}?\b"
    r"(?P<what>hyperlinks?|links?|urls?)\b"
    r"(?=\s*[.,;!?)]|\s*\Z|\s+(?:to|for|of|at|and|or|when|if|where|in (?:your|the))\b)",
)
_NOT = (
    r"\b(?:no|not|never|without|avoid|nor|neither|none|instead of|rather than|cannot|"
    r"skip|omit|refrain|forbidden|free of|leave out|bad|wrong|don.?ts?)\b|n['’]t\b"
)
# Output on another channel, or requests of other people.
_ELSEWHERE = (
    r"\b(?:e-?mails?|text messages?|by text|text (?:them|him|her)|sms|whatsapp|"
    r"letters?|tickets?|chat|notes?|reports?|logs?|documents?|screen)\b|"
    r"\b(?:asks?|wants?|requests?|begs?|tells?) (?:you|for|to)\b"
)
_BULLET = r"[ \t]*(?:[-*+•]|\d+[.)])[ \t]"


class MarkupRequest(NamedTuple):
    """A format that a prompt asks for, by offsets into it."""

    what: str
    start: int
    end: int


def find_requests(prompt: str) -> Iterator[MarkupRequest]:
    """Yields what a prompt asks to be formatted: at most one to a sentence."""
    lead = ""
    for start, block in _blocks(prompt):
        is_item = re.match(_BULLET, block) is not None
        for at, sentence in _sentences(block):
            context = lead + " " + sentence if is_item else sentence
            if re.search(f"{_NOT}|{_ELSEWHERE}", context, re.IGNORECASE):
                continue
            for pattern in _REQUESTS:
                found = re.search(pattern, sentence, re.IGNORECASE)
                if found and sentence.count('"', 0, found.start("what")) % 2 == 0:
                    offset = start + at
                    first, last = found.span("what")
                    yield MarkupRequest(found["what"], offset + first, offset + last)
                    break
        if not is_item:
            lead = block.rstrip().rpartition("\n")[2]


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yields the paragraphs and the items of lists, each with its offset."""
    ends = rf"\n[ \t]*\n|\n(?={_BULLET})|\n(?=[ \t]*#)|(?<=:)[ \t]*\n"
    start = 0
    for found in re.finditer(ends, text):
        yield start, text[start : found.start()]
        start = found.end()
    yield start, text[start:]


def _sentences(block: str) -> Iterator[tuple[int, str]]:
    for found in re.finditer(r"(?s).+?(?:[.!?;](?=\s)|\Z)", block):
        yield found.start(), found[0]


# Arguments that callers dictate: numbers, codes, addresses, dates, amounts.


# Each of these shows the service when a value is complete.
_HINTS = {"pattern", "format", "enum", "const", "examples"}
# Keywords that may describe the value elsewhere.
_INDIRECT = {"$ref", "anyOf", "oneOf", "allOf"}

# The last word of a name, or its last two, and what a caller gives there.
_KINDS = {
    "phone": "a telephone number",
    "telephone": "a telephone number",
    "mobile": "a telephone number",
    "phone_number": "a telephone number",
    "email": "an e-mail address",
    "mail": "an e-mail address",
    "email_address": "an e-mail address",
    "date": "a date",
    "dob": "a date",
    "birthday": "a date",
    "birthdate": "a date",
    "time": "a time",
    "number": "a number",
    "id": "a number",
    "code": "a code",
    "pin": "a code",
    "amount": "an amount",
    "price": "an amount",
    "iban": "an account number",
    "zip": "a postcode",
    "zipcode": "a postcode",
    "postcode": "a postcode",
    "postal_code": "a postcode",
    "isbn": "a number",
    "vin": "a number",
    "ssn": "a number",
}
# Words that make another thing of it: no caller dictates the code of a language.
_OTHERWISE = {
    *("country", "currency", "language", "lang", "locale", "color", "colour"),
    *("source", "status", "error", "session", "call", "request", "zone", "part"),
}
_DESCRIBED = (
    (r"(?:tele)?phone number|mobile number", "a telephone number"),
    (r"e-?mail address", "an e-mail address"),
    (r"date of birth|birth ?date", "a date"),
    (r"post(?:al )?code|zip code", "a postcode"),
    (r"iban\b", "an account number"),
    (
        r"(?:order|customer|account|policy|booking|reference|card|member(?:ship)?|"
        r"tracking|invoice|ticket|licen[cs]e|serial|contract|meter) (?:number|code|id)",
        "a number",
    ),
)
_ARTICLE = r"\s*(?:the |their |his |her |an? )?(?:(?:caller|customer|user)['’]s )?"
# The id that another tool gave is copied by the model, not heard.
_INTERNAL = (
    r"\b(?:returned|came with|comes from|result of|never ask|internal|uuid)\b|"
    r"\bfrom `?[a-z]+_[a-z_]+|\bdo(?:es)? ?n[o']t know\b"
)


@dataclass(frozen=True, slots=True)
class DictatedArgument:
    """A value that is heard: `path` leads to it from the tool, or it is an argument of
    the Python function."""

    name: str
    kind: str
    path: Pointer = ()


def find_dictated(schema: Any, path: Pointer) -> Iterator[DictatedArgument]:
    """Yields dictated properties of a schema that do not describe their form."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return
    for name, each in properties.items():
        here = (*path, "properties", name)
        if not isinstance(each, dict) or not isinstance(name, str):
            continue
        if each.get("type") in ("string", ["string", "null"]):
            kind = kind_of_value(name, each.get("description"))
            if kind and not each.keys() & (_HINTS | _INDIRECT):
                yield DictatedArgument(name, kind, here)
        yield from find_dictated(each, here)


def find_dictated_arguments(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[DictatedArgument]:
    """Yields the arguments of a function that are dictated plain strings."""
    taken = function.args
    for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs):
        texts = _read_string(each.annotation)
        if texts is not None:
            kind = kind_of_value(each.arg, texts[0] if texts else None)
            if kind:
                yield DictatedArgument(each.arg, kind)


def kind_of_value(name: str, description: object) -> str | None:
    """Says what a caller dictates here; None when nothing, or when it is not clear."""
    said = description if isinstance(description, str) else ""
    if re.search(_INTERNAL, said, re.IGNORECASE):
        return None
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    if not _OTHERWISE.isdisjoint(words):
        return None
    kind = _KINDS.get("_".join(words[-2:])) or _KINDS.get(words[-1])
    if kind:
        return kind
    for pattern, each in _DESCRIBED:
        if re.match(_ARTICLE + f"(?:{pattern})", said, re.IGNORECASE):
            return each
    return None


def _read_string(annotation: ast.expr | None) -> list[str] | None:
    """Returns the metadata texts of a plain `str`; None for others or with hints."""
    match annotation:
        case ast.Subscript(value=called, slice=ast.Tuple(elts=[kind, *notes])) if (
            _ends_with(called, "Annotated")
        ):
            texts = [
                each.value
                for each in notes
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
            if not _is_plain(kind) or any(map(_may_hint, notes)):
                return None
            return texts
        case None:
            return None
    return [] if _is_plain(annotation) else None


def _is_plain(kind: ast.expr) -> bool:
    match kind:
        case ast.Name(id="str"):
            return True
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _is_plain(left)
        case ast.Subscript(value=called, slice=inner) if _ends_with(called, "Optional"):
            return _is_plain(inner)
    return False


def _ends_with(node: ast.expr, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, ast.Attribute) and node.attr == name
    )


def _may_hint(note: ast.expr) -> bool:
    """True if the metadata of a type describes its form or cannot be read."""
    if isinstance(note, ast.Dict):
        keys = [
            key.value if isinstance(key, ast.Constant) else None for key in note.keys
        ]
        return None in keys or not _HINTS.isdisjoint(keys)
    return not isinstance(note, ast.Constant)
