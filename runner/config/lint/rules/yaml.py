"""Rules VA101 to VA114: what is found while the file is read, before its meaning."""

from __future__ import annotations

from runner.config.rules.rule import documented

YAML_SYNTAX = documented(
    "VA101",
    "yaml-syntax",
    """The text is not YAML.

    Nothing can be said about what comes after the place, unless it is clear what was
    meant.

    Bad:
        greeting: "Hello
        name: shop

    Good:
        greeting: "Hello"
        name: shop
    """,
)

REPEATED_KEY = documented(
    "VA102",
    "repeated-key",
    """A mapping has the same key twice.

    YAML readers keep the last one and lose the other without a word.

    Bad:
        greeting: Hello.
        greeting: Good day.

    Good:
        greeting: Hello.
    """,
)

KEY_NOT_TEXT = documented(
    "VA103",
    "key-not-text",
    """A key is a number, a list or something else that is no text.

    The keys of an agent file are names.

    Bad:
        variables:
          1: {default: one}

    Good:
        greeting: Welcome to platform ${one}.
        variables:
          one: {default: one}
    """,
)

TAG_NOT_ALLOWED = documented(
    "VA104",
    "tag-not-allowed",
    """A value has a tag that an agent file does not take.

    Tags can make other YAML readers run code; agent files hold plain data.

    Bad:
        greeting: !!python/name:os.system

    Good:
        greeting: Hello.
    """,
)

NUMBER_NOT_JSON = documented(
    "VA105",
    "number-not-json",
    """A number is infinite, not a number, or too long.

    The wire speaks JSON, which has no word for it.

    Bad:
        voice: {name: alba, volume: .inf}

    Good:
        voice: {name: alba, volume: 100}
    """,
)

SECOND_DOCUMENT = documented(
    "VA106",
    "second-document",
    """A second YAML document begins in the file.

    An agent file holds one agent; what comes after `---` would be ignored.

    Bad:
        greeting: Hello.
        ---
        greeting: Good day.

    Good:
        greeting: Hello.
    """,
)

EMPTY_FILE = documented(
    "VA107",
    "empty-file",
    """There is nothing in the file.

    An agent has at least `version`, `name` and a prompt.

    Bad:
        # to do

    Good:
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}
    """,
)

NOT_TEXT = documented(
    "VA108",
    "not-text",
    """The file is not UTF-8 text.

    A control character or another encoding shows that something went wrong when it was
    saved.

    Bad:
        greeting: "a character\\x07 that rings a bell"

    Good:
        greeting: Hello.
    """,
)

TOO_LARGE = documented(
    "VA109",
    "too-large",
    """The file is larger than a megabyte.

    An agent file is a page or two of text; data belongs into a tool.

    Bad:
        # a megabyte of text

    Good:
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}
    """,
)

NESTED_TOO_DEEP = documented(
    "VA110",
    "nested-too-deep",
    """Values are nested too deeply, or aliases repeat too much.

    No field needs it; such a file is made to exhaust the memory of what reads it.

    Bad:
        # more than 32 brackets
        prompt: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]

    Good:
        prompt: You are the phone agent of a shop. Be brief.
    """,
)

MERGE_OF_NO_MAPPING = documented(
    "VA111",
    "merge-of-no-mapping",
    """`<<` stands before something that is no mapping.

    It takes the entries of another mapping over, or of a list of mappings.

    Bad:
        turn_detection:
          <<: hello

    Good:
        turn_detection:
          <<: {vad_threshold: 0.5}
    """,
)

ALIAS_OF_NOTHING = documented(
    "VA112",
    "alias-of-nothing",
    """An alias has no anchor before it, or stands inside its own.

    `*name` repeats what `&name` has marked further up.

    Bad:
        greeting: *hello

    Good:
        key_terms: [&brand Acme]
        greeting: *brand
    """,
)

IGNORE_UNUSED = documented(
    "VA113",
    "ignore-unused",
    """A comment ignores a rule that finds nothing there.

    What it was for has been mended; left in place, it would hide the next mistake.

    Bad:
        greeting: Hello.  # vagent: ignore[VA308] we want that

    Good:
        greeting: Hello.
    """,
    "warning",
)

IGNORE_WRONG = documented(
    "VA114",
    "ignore-wrong",
    """A comment that should ignore a finding cannot do so.

    It names no rule, or one that there is not, or an error: what stops a run cannot be
    ignored.

    Bad:
        greeting: Hello.  # vagent: ignore[VA9999] no such rule

    Good:
        greeting: Hello.
    """,
    "warning",
)
