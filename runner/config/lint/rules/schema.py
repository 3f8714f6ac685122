"""Rules VA201 to VA299: what the schema of agent files refuses.

The findings are made by `violations`, in the words of `wording`.
"""

from __future__ import annotations

from runner.config.rules.rule import documented

WRONG_TYPE = documented(
    "VA201",
    "wrong-type",
    """A value is of another kind than its field takes.

    YAML decides by the spelling: `5` is a number and `"5"` a text, `[a]` a list and `a`
    a text.

    Bad:
        greeting: 24

    Good:
        greeting: "24"
    """,
)

OUT_OF_RANGE = documented(
    "VA202",
    "out-of-range",
    """A number is smaller or larger than its field takes.

    The service refuses it, and with it the call.

    Bad:
        turn_detection: {vad_threshold: 1.5}

    Good:
        turn_detection: {vad_threshold: 0.5}
    """,
)

UNKNOWN_KEY = documented(
    "VA203",
    "unknown-key",
    """A key is none that an agent file has there.

    It would be ignored without a word: an agent with a misspelt `prompt` has no prompt.

    Bad:
        greetings: Hello.

    Good:
        greeting: Hello.
    """,
)

MISSING_KEY = documented(
    "VA204",
    "missing-key",
    """A key that must be there is missing.

    An agent has a version, a name and a prompt; an HTTP tool has an address, a name and
    a description.

    Bad:
        tools:
          - http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            http: {url: "https://api.example.com/look"}
    """,
)

NOT_A_CHOICE = documented(
    "VA205",
    "not-a-choice",
    """A value is none of those that its field takes.



    Bad:
        transcription: {mode: fast}

    Good:
        transcription: {mode: min_latency}
    """,
)

WRONG_FORM = documented(
    "VA206",
    "wrong-form",
    """A text does not have the form that its field needs.

    Names, addresses, durations and references have one way to be written each.

    Bad:
        session: {max_duration: half an hour}

    Good:
        session: {max_duration: 30m}
    """,
)

WRONG_LENGTH = documented(
    "VA207",
    "wrong-length",
    """A text or a list is empty, or longer than its field takes.



    Bad:
        greeting: ""

    Good:
        greeting: Hello.
    """,
)

REPEATED_ITEM = documented(
    "VA208",
    "repeated-item",
    """A list has the same item twice.



    Bad:
        languages: [en, es, en]

    Good:
        languages: [en, es]
    """,
)

TOOL_WITHOUT_KIND = documented(
    "VA210",
    "tool-without-kind",
    """A tool does not say what it is, or an agent has no prompt.

    A tool has `python`, `http`, `plugin` or the key of an installed kind; an agent has
    `prompt` or `prompt_file`.

    Bad:
        tools:
          - name: look
            description: Look something up.
            timeout: 5s

    Good:
        tools:
          - name: look
            description: Look something up.
            http: {url: "https://api.example.com/look"}
    """,
)

TWO_KINDS = documented(
    "VA211",
    "two-kinds",
    """Two keys stand side by side that exclude each other.

    A tool is of one kind, and an agent has one prompt.

    Bad:
        tools:
          - name: look
            description: Look something up.
            python: tools/shop.py:lookup
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            http: {url: "https://api.example.com/look"}
    """,
)

LATER_VERSION = documented(
    "VA212",
    "later-version",
    """The file is of a later version than this vagent reads.

    What the version changed is not known here, so nothing else is said about the file.

    Bad:
        version: 2
        name: shop
        prompt: Be brief.

    Good:
        version: 1
        name: shop
        prompt: Be brief.
        session: {max_duration: 30m}
    """,
)

NOT_ALLOWED = documented(
    "VA299",
    "not-allowed",
    """A value is not what an installed kind of tool takes.

    The kind's own schema says so in a way that there are no better words for.

    Bad:
        tools:
          - plugin: {name: 5}

    Good:
        tools:
          - plugin: end_call
    """,
)
